//! How many runs of `/bin/true` a second go through the shim, 64 at a time, next to plain spawn and wait by two
//! threads. Each five times in alternation, with the CPU time of a run: that of the child, of the shim, and of the
//! program that asks.

use std::process::{Command, Stdio};
use std::time::Instant;

use windlass_runner::runtime::{self, Event, Key, Runtime, Start};
use windlass_runner::shim::ShimRuntime;

const RUNS: usize = 10_000;
const IN_FLIGHT: usize = 64;

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// CPU time in microseconds: own, and of children that were waited for.
fn cpu_us(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let after_name = stat.rsplit_once(") ").expect("it has a name").1;
    let ticks: Vec<f64> =
        after_name.split(' ').skip(11).take(4).map(|n| n.parse().expect("a number")).collect();
    ((ticks[0] + ticks[1]) * 10_000.0, (ticks[2] + ticks[3]) * 10_000.0)
}

fn plain(program: &'static str) -> f64 {
    let begin = now();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..RUNS / 2 {
                    let mut command = Command::new(program);
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    command.status().expect("it starts");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    RUNS as f64 / begin.elapsed().as_secs_f64()
}

async fn shim(runtime: &ShimRuntime, folder: &std::path::Path, round: usize, program: &str) -> f64 {
    let start = |n: usize| Start {
        key: Key { pod: format!("{round}-{n}"), container: "main".to_owned(), attempt: 0 },
        argv: vec![program.to_owned(), "a line".to_owned()],
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".into()), ("HOME".to_owned(), "/root".into())],
        cwd: None,
        space: None,
        // As the engine has it: files of many pods in one of 256 folders.
        log: folder.join(format!("logs/{:02x}/{round}-{n}_main-0.log", n % 256)),
        log_limit: windlass_runner::runtime::LOG_LIMIT,
        stdio: runtime::Stdio::default(),
        rights: None,
        fate: None,
        limits: None,
    };
    let begin = now();
    runtime.start((0..IN_FLIGHT).map(start).collect());
    let (mut next, mut ended) = (IN_FLIGHT, 0);
    while ended < RUNS {
        let mut forget = Vec::new();
        for event in runtime.events().await.expect("the shim lives") {
            if let Event::Exited { key, .. } = event {
                forget.push(key);
            }
        }
        ended += forget.len();
        let more = forget.len().min(RUNS - next);
        runtime.forget(forget);
        runtime.start((next..next + more).map(start).collect());
        next += more;
    }
    RUNS as f64 / begin.elapsed().as_secs_f64()
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
async fn main() {
    let folder = std::env::temp_dir().join(format!("windlass-rate-{}", std::process::id()));
    let program = std::env::args_os().nth(1).expect("the shim's program");
    let runtime = ShimRuntime::connect(folder.join("shim"), vec![program]).await.expect("the shim starts");
    let rounds: usize =
        std::env::args().nth(2).map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let mut round = 0;
    for program in ["/bin/true", "/bin/echo"] {
        for _ in 0..rounds {
            let (me, them) = (std::process::id(), runtime.pid().expect("the shim lives"));
            let before = cpu_us(me);
            let plain = plain(program);
            let after = cpu_us(me);
            let plain_cpu = (after.0 + after.1 - before.0 - before.1) / RUNS as f64;
            let (mine, theirs) = (cpu_us(me), cpu_us(them));
            let shim = shim(&runtime, &folder, round, program).await;
            let (mine_after, theirs_after) = (cpu_us(me), cpu_us(them));
            let child = (theirs_after.1 - theirs.1) / RUNS as f64;
            let own = (theirs_after.0 - theirs.0) / RUNS as f64;
            let asking = (mine_after.0 - mine.0) / RUNS as f64;
            println!(
                "{program}: plain {plain:.0}/s ({plain_cpu:.0} us CPU), shim {shim:.0}/s \
                 (child {child:.0} + shim {own:.0} + asking {asking:.0} us CPU); ratio {:.2}, by CPU {:.2}",
                shim / plain,
                plain_cpu / (child + own + asking)
            );
            round += 1;
        }
    }
    runtime.shutdown(true).await;
}
