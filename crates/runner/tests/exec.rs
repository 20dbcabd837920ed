//! Programs beside runs, with real processes.

mod common;

use common::{Home, ended, ends, is_alive, next, read_fifo, starts, write_fifo};
use windlass_runner::runtime::{
    Ended, Event, Exec, ExecError, Key, MAX_ARGUMENTS, Output, Runtime, Session, Start, StartFailure,
};
use windlass_runner::shim::ShimRuntime;

/// A run that lasts until the test says otherwise.
struct Machine {
    home: Home,
    shim: ShimRuntime,
    key: Key,
}

impl Machine {
    async fn new() -> Machine {
        Machine::with(|start| start).await
    }

    async fn with(change: impl FnOnce(Start) -> Start) -> Machine {
        let home = Home::new();
        let shim = home.connect().await;
        let gate = home.fifo("gate");
        let start = change(home.sh("main", &format!("read x < {}; exit 5", gate.display())));
        let key = start.key.clone();
        shim.start(vec![start]);
        starts(&shim, 1).await;
        Machine { home, shim, key }
    }

    fn exec(&self, argv: &[&str]) -> Exec {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let key = self.key.clone();
        Exec { key, argv, stdin: false, stdout: true, stderr: true, tty: false }
    }

    async fn sh(&self, script: &str) -> Session {
        self.shim.exec(self.exec(&["sh", "-c", script])).await.unwrap()
    }

    async fn says(&self, script: &str) -> (Ended, String) {
        let (ended, bytes) = in_time(self.sh(script).await.collect(1 << 20)).await.unwrap();
        (ended, String::from_utf8(bytes).unwrap())
    }

    /// Ends the run and the shim.
    async fn end(self) {
        self.shim.signal(&self.key, libc::SIGKILL);
        ends(&self.shim, 1).await;
        self.shim.shutdown(true).await;
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(common::PATIENCE, future).await.expect("it comes in time")
}

/// All that comes.
async fn whole(output: &mut Option<Output>) -> Vec<u8> {
    let output = output.as_mut().unwrap();
    let mut all = Vec::new();
    loop {
        let bytes = in_time(output.read()).await.unwrap();
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

async fn line(output: &mut Option<Output>) -> String {
    let output = output.as_mut().unwrap();
    let mut all = Vec::new();
    while !all.ends_with(b"\n") {
        let bytes = in_time(output.read()).await.unwrap();
        assert!(!bytes.is_empty(), "it ended with {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).unwrap().trim().to_owned()
}

#[tokio::test]
async fn program_has_the_runs_environment_and_directory_and_a_session_of_its_own() {
    let machine = Machine::with(|mut start| {
        start.env.push(("COLOUR".to_owned(), "green".into()));
        start.cwd = Some("/usr".into());
        start
    })
    .await;
    let script = "echo $COLOUR $PWD $WINDLASS_RUN; read a b c d e group session rest < /proc/self/stat; \
                  echo err >&2; test $e = $$ && exit 3; exit 4";
    let mut session = machine.sh(script).await;
    assert!(session.stdin.is_none() && session.terminal.is_none());
    let mark = format!("{}/main/0", machine.key.pod);
    assert_eq!(line(&mut session.stdout).await, format!("green /usr {mark}"));
    assert_eq!(whole(&mut session.stdout).await, b"");
    assert_eq!(whole(&mut session.stderr).await, b"err\n");
    assert_eq!(in_time(session.end.wait()).await.unwrap(), Ended::Code(3), "it leads its group");
    assert_eq!(in_time(session.end.wait()).await.unwrap(), Ended::Code(3), "it may be asked again");
    machine.end().await;
}

#[tokio::test]
async fn stdin_comes_through_whole_and_ends() {
    let machine = Machine::new().await;
    let exec = Exec { stdin: true, ..machine.exec(&["cat"]) };
    let mut session = machine.shim.exec(exec).await.unwrap();
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut stdin = session.stdin.take().unwrap();
    let (write, read) = tokio::join!(
        async {
            in_time(stdin.write(&bytes)).await.unwrap();
            drop(stdin);
        },
        whole(&mut session.stdout)
    );
    assert_eq!(write, ());
    assert!(read == bytes);
    assert_eq!(in_time(session.end.wait()).await.unwrap(), Ended::Code(0));
    machine.end().await;
}

#[tokio::test]
async fn streams_that_nobody_asked_for_go_nowhere() {
    let machine = Machine::new().await;
    let exec = machine.exec(&["sh", "-c", "echo out && echo err >&2 && cat && exit 6"]);
    let session = machine.shim.exec(Exec { stdout: false, stderr: false, ..exec }).await.unwrap();
    assert!(session.stdin.is_none() && session.stdout.is_none() && session.stderr.is_none());
    assert_eq!(in_time(session.collect(10)).await.unwrap(), (Ended::Code(6), Vec::new()));
    assert_eq!(machine.says("kill -9 $$").await, (Ended::Signal(9), String::new()));
    let limited = in_time(machine.sh("echo 12345; exit 1").await.collect(3)).await.unwrap();
    assert_eq!(limited, (Ended::Code(1), b"123".to_vec()));
    machine.end().await;
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_the_reason() {
    let machine = Machine::new().await;
    let failure = async |argv: &[&str]| match machine.shim.exec(machine.exec(argv)).await.err() {
        Some(ExecError::Failed { failure, message }) => (failure, message),
        other => panic!("{other:?}"),
    };
    let absent = "exec: \"windlass-absent\": executable file not found in $PATH".to_owned();
    assert_eq!(failure(&["windlass-absent"]).await, (StartFailure::NotFound, absent));
    assert_eq!(failure(&["/windlass/absent"]).await.0, StartFailure::NotFound);
    assert_eq!(failure(&["/etc/passwd"]).await.0, StartFailure::NotExecutable);
    assert_eq!(failure(&[]).await.0, StartFailure::NotFound);
    assert_eq!(failure(&["echo", "a\0b"]).await.0, StartFailure::Other);
    let name = "x".repeat(100_000);
    assert!(failure(&[&name]).await.1.len() <= 4096, "what is said has a limit");
    let long = "x".repeat(MAX_ARGUMENTS);
    let refused = machine.shim.exec(machine.exec(&["echo", &long])).await.err();
    assert!(matches!(refused, Some(ExecError::TooLong)), "{refused:?}");
    // Control characters are the longest in a question.
    let control = "\u{1}".repeat(100_000);
    let exec = machine.exec(&["sh", "-c", "echo ${#1} ${#2}", "sh", &control, &control]);
    let (ended, bytes) = in_time(machine.shim.exec(exec).await.unwrap().collect(100)).await.unwrap();
    assert_eq!((ended, bytes.as_slice()), (Ended::Code(0), b"100000 100000\n".as_slice()));
    machine.end().await;
}

#[tokio::test]
async fn run_that_does_not_run_has_nothing_beside_it() {
    let machine = Machine::new().await;
    let unknown = Exec { key: Key { attempt: 7, ..machine.key.clone() }, ..machine.exec(&["true"]) };
    assert!(matches!(machine.shim.exec(unknown).await.err(), Some(ExecError::NotRunning)));
    machine.shim.signal(&machine.key, libc::SIGKILL);
    ends(&machine.shim, 1).await;
    let over = machine.shim.exec(machine.exec(&["true"])).await.err();
    assert!(matches!(over, Some(ExecError::NotRunning)), "{over:?}");
    machine.shim.shutdown(true).await;
}

#[tokio::test]
async fn program_is_killed_with_all_below_it_when_nobody_wants_its_end() {
    let machine = Machine::new().await;
    let told = machine.home.fifo("told");
    let script = format!(
        "exec 3> {}; (exec sleep 600) & setsid sleep 600 & sh -c 'sleep 600 & exec sleep 600' & echo up; wait",
        told.display()
    );
    let (session, held) = tokio::join!(
        async {
            let mut session = machine.sh(&script).await;
            assert_eq!(line(&mut session.stdout).await, "up");
            drop(session);
        },
        read_fifo(&told)
    );
    assert_eq!((session, held.as_str()), ((), ""), "the fifo ends when none of them holds it");
    assert_eq!(machine.says("echo still here").await.1, "still here\n");
    machine.end().await;
}

#[tokio::test]
async fn program_ends_with_the_run_before_the_runs_end_is_told() {
    let machine = Machine::new().await;
    // It knows whom it stands beside.
    assert_eq!(
        machine.says("tr '\\0' ' ' < /proc/$WINDLASS_PID/cmdline").await.1.split(' ').next(),
        Some("sh")
    );
    let mut session = machine.sh("setsid sleep 600 & echo $$ $!; wait").await;
    let pids = line(&mut session.stdout).await;
    drop(write_fifo(&machine.home.folder.path().join("gate")));
    let over = ends(&machine.shim, 1).await;
    assert_eq!(ended(&over["main"]), Ended::Code(5));
    for pid in pids.split(' ') {
        assert!(!is_alive(pid.parse().unwrap()), "{pid} of {pids}");
    }
    assert_eq!(in_time(session.end.wait()).await.unwrap(), Ended::Signal(libc::SIGKILL));
    machine.shim.shutdown(true).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_stays_until_the_run_ends() {
    let machine = Machine::new().await;
    let (ended, pid) = machine.says("sleep 600 > /dev/null 2>&1 & echo $!").await;
    let pid: i32 = pid.trim().parse().unwrap();
    assert_eq!(ended, Ended::Code(0));
    assert_eq!(machine.says("true").await.0, Ended::Code(0));
    assert!(is_alive(pid));
    // It has the output open: its starter's end is told all the same.
    let (ended, other) = machine.says("sleep 600 & echo $!").await;
    assert_eq!(ended, Ended::Code(0));
    let other: i32 = other.trim().parse().unwrap();
    machine.end().await;
    assert!(!is_alive(pid) && !is_alive(other));
}

#[tokio::test]
async fn program_outlives_a_term_signal_to_the_run_that_the_run_ignores() {
    let home = Home::new();
    let shim = home.connect().await;
    let told = home.fifo("told");
    let ready = home.fifo("ready");
    let script = format!(
        "trap 'echo term > {}' TERM; echo up > {}; while :; do sleep 600 & wait $!; done",
        told.display(),
        ready.display()
    );
    let start = home.sh("main", &script);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    assert_eq!(read_fifo(&ready).await, "up\n");
    let machine = Machine { home, shim, key };
    let mut session = machine.sh("echo up; read x; echo $x").await;
    assert_eq!(line(&mut session.stdout).await, "up");
    drop(session);
    let exec = Exec { stdin: true, ..machine.exec(&["sh", "-c", "echo up; read x; echo got $x"]) };
    let mut session = machine.shim.exec(exec).await.unwrap();
    assert_eq!(line(&mut session.stdout).await, "up");
    machine.shim.signal(&machine.key, libc::SIGTERM);
    assert_eq!(read_fifo(&told).await, "term\n");
    session.stdin.take().unwrap().write(b"it\n").await.unwrap();
    assert_eq!(line(&mut session.stdout).await, "got it");
    machine.end().await;
}

#[tokio::test]
async fn terminal_is_the_programs_own_and_has_a_size() {
    let machine = Machine::new().await;
    let script = "test -t 0 && test -t 1 && test -t 2 && tty && echo $TERM && stty size && echo up \
                  && read line && echo \"got $line\" > /dev/tty && stty size; exit 4";
    let exec = machine.exec(&["sh", "-c", script]);
    let mut session = machine.shim.exec(Exec { stdin: true, tty: true, ..exec }).await.unwrap();
    assert!(session.stderr.is_none());
    let mut said = String::new();
    while !said.contains("up") {
        said += &(line(&mut session.stdout).await + "\n");
    }
    assert!(said.starts_with("/dev/pts/"), "{said:?}");
    assert!(said.replace("\r\n", "\n").ends_with("xterm\n24 80\nup\n"), "{said:?}");
    session.terminal.as_ref().unwrap().resize(123, 45).unwrap();
    session.stdin.as_mut().unwrap().write(b"hello\r").await.unwrap();
    let rest = String::from_utf8(whole(&mut session.stdout).await).unwrap();
    assert_eq!(rest, "hello\r\ngot hello\r\n45 123\r\n");
    assert_eq!(in_time(session.end.wait()).await.unwrap(), Ended::Code(4));
    machine.end().await;
}

#[tokio::test]
async fn last_words_in_a_terminal_are_not_lost() {
    let machine = Machine::new().await;
    let exec = Exec { tty: true, ..machine.exec(&["seq", "50000"]) };
    let mut session = machine.shim.exec(exec).await.unwrap();
    let expected: String = (1..=50_000).map(|n| format!("{n}\r\n")).collect();
    assert!(whole(&mut session.stdout).await == expected.as_bytes());
    assert_eq!(in_time(session.end.wait()).await.unwrap(), Ended::Code(0));
    machine.end().await;
}

#[tokio::test]
async fn many_short_programs_at_once_each_tell_their_own_end() {
    let machine = Machine::new().await;
    let all = (0..60).map(|n: i32| {
        let exec = machine.exec(&["sh", "-c", &format!("echo {n}; exit {n}")]);
        let session = machine.shim.exec(exec);
        async move { (n, in_time(session.await.unwrap().collect(100)).await.unwrap()) }
    });
    let tasks: Vec<_> = all.collect();
    let mut count = 0;
    for (n, told) in join_all(tasks).await {
        assert_eq!(told, (Ended::Code(n), format!("{n}\n").into_bytes()));
        count += 1;
    }
    assert_eq!(count, 60);
    machine.end().await;
}

/// Drives all of them at once.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut open: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        for slot in &mut open {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                done.push(value);
                *slot = None;
            }
        }
        if open.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn program_of_an_engine_that_is_gone_is_ended() {
    let machine = Machine::new().await;
    let told = machine.home.fifo("told");
    let script = format!("exec 3> {}; echo up; exec sleep 600", told.display());
    let Machine { home, shim, key } = machine;
    let exec = Exec {
        key: key.clone(),
        argv: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        stdin: false,
        stdout: true,
        stderr: true,
        tty: false,
    };
    let (gone, held) = tokio::join!(
        async {
            let mut session = shim.exec(exec).await.unwrap();
            assert_eq!(line(&mut session.stdout).await, "up");
            // All that an engine holds, as the kernel closes it.
            drop((session, shim));
        },
        read_fifo(&told)
    );
    assert_eq!((gone, held.as_str()), ((), ""));
    let shim = home.connect().await;
    assert!(shim.known().iter().any(|event| matches!(event, Event::Started { .. })), "the run goes on");
    let machine = Machine { home, shim, key };
    assert_eq!(machine.says("echo again").await.1, "again\n");
    machine.end().await;
}

#[tokio::test]
async fn session_without_a_shim_ends() {
    let machine = Machine::new().await;
    let mut session = machine.sh("echo up; exec sleep 600").await;
    assert_eq!(line(&mut session.stdout).await, "up");
    let pid = machine.shim.pid().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(in_time(session.end.wait()).await.is_err(), "nobody can say how it ended");
    next(&machine.shim, |event| matches!(event, Event::Lost { .. })).await;
    assert_eq!(whole(&mut session.stdout).await, b"", "the next shim has ended it");
    machine.shim.shutdown(true).await;
}
