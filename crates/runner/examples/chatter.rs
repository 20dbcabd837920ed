//! How long a run of `/bin/true` takes through the shim, from the request to the news of its end, alone and beside runs
//! that write as fast as they can; next to it the same beside runs that are as busy and write nothing for the shim.
//!
//! Arguments: the shim's program, and how many runs are chatty.

use std::time::{Duration, Instant};

use windlass_runner::runtime::{self, Event, Key, Runtime, Start};
use windlass_runner::shim::ShimRuntime;

const RUNS: usize = 300;

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn start(folder: &std::path::Path, name: &str, argv: &[&str]) -> Start {
    Start {
        key: Key { pod: name.to_owned(), container: "main".to_owned(), attempt: 0 },
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".into())],
        cwd: None,
        space: None,
        log: folder.join(format!("logs/{name}/0.log")),
        log_limit: runtime::LOG_LIMIT,
        stdio: runtime::Stdio::default(),
        rights: None,
        fate: None,
        limits: None,
    }
}

/// Starts a run and waits for its end, or for its start.
async fn until(runtime: &ShimRuntime, start: Start, is_end: bool) {
    let wanted = start.key.clone();
    runtime.start(vec![start]);
    loop {
        for event in runtime.events().await.expect("the shim lives") {
            let is_it = event.key() == &wanted && matches!(event, Event::Started { .. }) != is_end;
            if is_it {
                return;
            }
        }
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
async fn main() {
    let folder = std::env::temp_dir().join(format!("windlass-chatter-{}", std::process::id()));
    let program = std::env::args_os().nth(1).expect("the shim's program");
    let chatty: usize = std::env::args().nth(2).map_or(16, |count| count.parse().expect("a number"));
    for (what, count, script) in [
        ("alone", 0, ""),
        ("beside busy runs", chatty, "yes > /dev/null"),
        ("beside chatty runs", chatty, "yes"),
    ] {
        let runtime =
            ShimRuntime::connect(folder.join(what), vec![program.clone()]).await.expect("the shim starts");
        for n in 0..count {
            until(&runtime, start(&folder, &format!("{what}-chatty-{n}"), &["sh", "-c", script]), false)
                .await;
        }
        let mut times: Vec<Duration> = Vec::new();
        for n in 0..RUNS {
            let begin = now();
            until(&runtime, start(&folder, &format!("{what}-{n}"), &["/bin/true"]), true).await;
            times.push(begin.elapsed());
        }
        times.sort();
        let at = |part: usize| times[(RUNS - 1) * part / 100].as_secs_f64() * 1000.0;
        println!(
            "{what}: median {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
            at(50),
            at(90),
            at(99),
            at(100)
        );
        runtime.shutdown(true).await;
    }
    std::fs::remove_dir_all(folder).expect("removed");
}
