//! Volumes at their mount paths, in real processes: as this user, and as an ordinary one where root may become one.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Home, ends, executable, starts, write_fifo};
use windlass_runner::mounts::{Mount, Space, probe};
use windlass_runner::runtime::{Ended, Event, Exec, ExecError, Key, Runtime, Start, StartFailure};
use windlass_runner::shim::ShimRuntime;
use windlass_runner::testing::shim_argv;

/// An ordinary user; no such account need exist.
const ORDINARY: u32 = 54321;

struct Machine {
    home: Home,
    runtime: ShimRuntime,
}

impl Machine {
    /// As the user of the tests.
    async fn new() -> Option<Machine> {
        let home = Home::new();
        fs::create_dir(home.folder.path().join("stage")).unwrap();
        if let Err(why) = probe(&shim_argv(), &home.folder.path().join("stage")) {
            skip(&why);
            return None;
        }
        let runtime = home.connect().await;
        Some(Machine { home, runtime })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.folder.path().join(name)
    }

    /// A directory that stands for a volume, with a file in it.
    fn volume(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("file"), format!("from {name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    fn start(&self, container: &str, script: &str, mounts: Vec<Mount>) -> Start {
        let stage = self.path("stage");
        Start { space: Some(Box::new(Space { stage, mounts })), ..self.home.sh(container, script) }
    }

    async fn run(&self, start: Start) -> (Event, String) {
        let container = start.key.container.clone();
        self.runtime.start(vec![start]);
        let event = ends(&self.runtime, 1).await.remove(&container).unwrap();
        (event, fs::read_to_string(self.home.log(&container)).unwrap_or_default())
    }

    async fn says(&self, container: &str, script: &str, mounts: Vec<Mount>) -> Vec<String> {
        let (event, log) = self.run(self.start(container, script, mounts)).await;
        assert!(matches!(event, Event::Exited { ended: Ended::Code(0), .. }), "{event:?}\n{log}");
        log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned()).collect()
    }
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn skip(why: &str) {
    eprintln!("left out: this machine does not let a test mount: {why}");
}

fn mount(source: PathBuf, target: impl Into<PathBuf>) -> Mount {
    Mount { source, target: target.into(), is_file: false, is_read_only: false, is_own: true }
}

/// What holds for any user.
async fn holds(machine: &Machine) {
    let (data, cache) = (machine.volume("data"), machine.volume("cache"));
    let existing = machine.volume("existing");
    let mounts = vec![
        mount(data.clone(), "/windlass-missing/deep/data"),
        Mount { is_read_only: true, ..mount(cache.clone(), &existing) },
        Mount { is_file: true, ..mount(data.join("file"), "/etc/windlass-missing.conf") },
        mount(cache.clone(), "/windlass-missing/deep/data/inner"),
    ];
    let script = format!(
        "cat /windlass-missing/deep/data/file {existing}/file /etc/windlass-missing.conf; \
         echo written > /windlass-missing/deep/data/new; \
         echo x 2>/dev/null > {existing}/new || echo read-only; \
         cat /windlass-missing/deep/data/inner/file; \
         test -s /etc/passwd && test -e /dev/null && test -d /proc/$$ && echo siblings; \
         mkdir /windlass-other 2>/dev/null || echo closed; pwd; id -u",
        existing = existing.display()
    );
    let mut start = machine.start("main", &script, mounts);
    start.cwd = Some("/windlass-missing/deep".into());
    let (event, log) = machine.run(start).await;
    assert!(matches!(event, Event::Exited { ended: Ended::Code(0), .. }), "{event:?}\n{log}");
    let said: Vec<&str> = log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap()).collect();
    let uid = fs::metadata(machine.path("logs")).unwrap().uid().to_string();
    assert_eq!(
        said,
        [
            "from data",
            "from cache",
            "from data",
            "read-only",
            "from cache",
            "siblings",
            "closed",
            "/windlass-missing/deep",
            uid.as_str()
        ]
    );
    assert_eq!(
        fs::read_to_string(data.join("new")).unwrap(),
        "written\n",
        "what is written is in the volume"
    );
    assert!(!Path::new("/windlass-missing").exists() && !Path::new("/etc/windlass-missing.conf").exists());
    assert_eq!(
        fs::read_to_string(existing.join("file")).unwrap(),
        "from existing\n",
        "the host sees its own"
    );
}

#[tokio::test]
async fn volumes_are_at_their_mount_paths_for_this_user() {
    let Some(machine) = Machine::new().await else { return };
    holds(&machine).await;
}

#[tokio::test]
async fn program_beside_a_run_sees_its_volumes_for_this_user() {
    let Some(machine) = Machine::new().await else { return };
    let scripts = machine.volume("scripts");
    executable(&scripts.join("windlass-tell"), b"#!/bin/sh\ncat /windlass-data/file; pwd; id -u\n");
    let (covered, covering) = (machine.volume("covered"), machine.volume("covering"));
    executable(&covered.join("windlass-covered"), b"#!/bin/sh\necho the host\n");
    executable(&covered.join("windlass-absent"), b"#!/bin/sh\necho the host\n");
    executable(&covering.join("windlass-covered"), b"echo the \"volume's\"\n");
    let path = format!("/usr/bin:/bin:{}:/windlass-scripts", covered.display());
    let gate = machine.home.fifo("gate");
    let mounts = vec![
        mount(machine.volume("data"), "/windlass-data"),
        mount(scripts, "/windlass-scripts"),
        mount(covering, covered),
    ];
    let mut start = machine.start("main", &format!("read x < {}", gate.display()), mounts);
    start.cwd = Some("/windlass-data".into());
    start.env = vec![("PATH".to_owned(), path.into())];
    let key = start.key.clone();
    machine.runtime.start(vec![start]);
    starts(&machine.runtime, 1).await;
    let exec = |argv: &[&str]| {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let exec = Exec { key: key.clone(), argv, stdin: false, stdout: true, stderr: true, tty: false };
        machine.runtime.exec(exec)
    };
    // It is found where only the run sees it.
    let (ended, said) = exec(&["windlass-tell"]).await.unwrap().collect(1000).await.unwrap();
    let uid = fs::metadata(machine.home.folder.path()).unwrap().uid();
    assert_eq!(String::from_utf8(said).unwrap(), format!("from data\n/windlass-data\n{uid}\n"));
    assert_eq!(ended, Ended::Code(0));
    // Where a volume covers what the host has by that name, the volume's is meant; a script without a first line is the
    // shell's.
    let (ended, said) = exec(&["windlass-covered"]).await.unwrap().collect(1000).await.unwrap();
    assert_eq!((ended, String::from_utf8(said).unwrap().as_str()), (Ended::Code(0), "the volume's\n"));
    let absent = exec(&["windlass-absent"]).await.err();
    let Some(ExecError::Failed { failure: StartFailure::NotFound, message }) = absent else {
        panic!("{absent:?}")
    };
    assert_eq!(message, "exec: \"windlass-absent\": executable file not found in $PATH");
    drop(write_fifo(&gate));
    ends(&machine.runtime, 1).await;
}

#[test]
fn volumes_are_at_their_mount_paths_for_an_ordinary_user() {
    as_ordinary_user("volumes_are_at_their_mount_paths_for_this_user");
}

#[test]
fn program_beside_a_run_sees_its_volumes_for_an_ordinary_user() {
    as_ordinary_user("program_beside_a_run_sees_its_volumes_for_this_user");
}

/// Root becomes an ordinary user for it: this same program, and the shim, where that user may run them.
fn as_ordinary_user(name: &str) {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Then the test of that name is this one.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (test, shim) = (folder.path().join("test"), folder.path().join("windlass-shim"));
    for (from, to) in [(std::env::current_exe().unwrap(), &test), (shim_argv().remove(0).into(), &shim)] {
        executable(to, &fs::read(from).unwrap());
    }
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    chown(&temporary, Some(ORDINARY), Some(ORDINARY)).unwrap();
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={ORDINARY}")).arg(format!("--regid={ORDINARY}")).arg("--clear-groups");
    command.arg(test).args(["--exact", name, "--nocapture"]);
    let output = match command.env("TMPDIR", &temporary).current_dir("/").output() {
        Ok(output) => output,
        Err(cause) => return skip(&format!("setpriv: {cause}")),
    };
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    match said.lines().find(|line| line.contains("left out")) {
        Some(line) => skip(line),
        None => assert!(output.status.success() && said.contains("1 passed"), "{said}"),
    }
}

#[tokio::test]
async fn directory_for_all_stays_one_in_which_entries_are_made() {
    let Some(machine) = Machine::new().await else { return };
    let data = machine.volume("data");
    let path = format!("/tmp/windlass-missing-{}", std::process::id());
    let script =
        format!("cat {path}/file; echo x > /tmp/windlass-mine-$$ && echo mine; ls /tmp/windlass-mine-$$");
    let said = machine.says("main", &script, vec![mount(data, &path)]).await;
    assert_eq!(said[..2], ["from data", "mine"]);
    assert!(!Path::new(&said[2]).exists(), "{} is not the host's", said[2]);
}

#[tokio::test]
async fn what_cannot_be_mounted_is_no_start_and_says_why() {
    let Some(machine) = Machine::new().await else { return };
    let gone = mount(machine.path("gone"), machine.volume("existing"));
    let (event, _) = machine.run(machine.start("gone", "true", vec![gone])).await;
    let Event::Failed { failure: StartFailure::Other, message, .. } = event else { panic!("{event:?}") };
    assert!(message.starts_with("finding ") && message.contains("No such file"), "{message}");
    let kernel = mount(machine.volume("data"), "/proc/windlass");
    let (event, _) = machine.run(machine.start("kernel", "true", vec![kernel])).await;
    let Event::Failed { message, .. } = event else { panic!("{event:?}") };
    assert!(message.contains("/proc/windlass") && message.contains("belongs to the kernel"), "{message}");
    let mut lost =
        machine.start("lost", "true", vec![mount(machine.volume("data"), machine.path("existing"))]);
    lost.cwd = Some("/windlass/nowhere".into());
    let (event, _) = machine.run(lost).await;
    assert!(matches!(event, Event::Failed { failure: StartFailure::NoDirectory, .. }), "{event:?}");
}

#[tokio::test]
async fn program_may_lie_in_a_volume() {
    let Some(machine) = Machine::new().await else { return };
    let scripts = machine.volume("scripts");
    executable(&scripts.join("run"), b"#!/bin/sh\necho ran $1\n");
    let mut start = machine.start("main", "", vec![mount(scripts, "/windlass-scripts")]);
    start.argv = vec!["/windlass-scripts/run".to_owned(), "well".to_owned()];
    let mut named =
        Start { key: Key { container: "named".to_owned(), ..start.key.clone() }, ..start.clone() };
    let (event, log) = machine.run(start).await;
    assert!(matches!(event, Event::Exited { ended: Ended::Code(0), .. }), "{event:?}");
    assert!(log.trim_end().ends_with("ran well"), "{log}");
    named.argv[0] = "run".to_owned();
    named.log = machine.home.log("named");
    named.env = vec![("PATH".to_owned(), "/usr/bin:/bin:/windlass-scripts".into())];
    let (event, log) = machine.run(named).await;
    assert!(matches!(event, Event::Exited { ended: Ended::Code(0), .. }), "{event:?}");
    assert!(log.trim_end().ends_with("ran well"), "{log}");
}
