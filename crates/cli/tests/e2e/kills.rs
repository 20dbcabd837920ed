//! The engine is killed in the middle of its work: what it acknowledged ends, and nothing runs twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, Running, lives};

const JOBS: usize = 100;
/// Every fourth job waits for the gate, so that some are surely running when the engine dies.
const WAITS: usize = 4;

/// A file of jobs, each of which notes that it ran.
fn manifests(home: &Home) -> String {
    let (ran, gate) = (home.file("ran"), home.file("gate"));
    let (ran, gate) = (ran.display(), gate.display());
    let mut text = String::new();
    for n in 0..JOBS {
        let wait = if n % WAITS == 0 {
            format!("until test -e {gate}; do sleep 0.05; done; ")
        } else {
            String::new()
        };
        // Kubernetes reads `$$` as an escaped `$`.
        let script = format!("echo job-{n:03} $$$$ >> {ran}; {wait}echo ended >> {ran}.ended; exit 0");
        writeln!(
            text,
            "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: job-{n:03}}}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      runtimeClassName: windlass-host\n      restartPolicy: Never\n      containers: [{{name: main, image: host, command: [sh, -c, {script:?}]}}]"
        )
        .unwrap();
    }
    text
}

/// Which jobs noted that they ran, with the process of each run.
fn ran(home: &Home) -> BTreeMap<String, Vec<i32>> {
    let text = std::fs::read_to_string(home.file("ran")).unwrap_or_default();
    let mut runs: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for line in text.lines() {
        let (job, pid) = line.split_once(' ').unwrap();
        runs.entry(job.to_owned()).or_default().push(pid.parse().unwrap());
    }
    runs
}

/// Submits the jobs, and kills the engine once this one is acknowledged. Returns the acknowledged ones, and the
/// processes that were running then.
fn kill_at(home: &Home, job: &str) -> (Vec<String>, Vec<i32>) {
    home.ok(&["up"]);
    let engine = home.engine().expect("an engine runs");
    let file = home.write("jobs.yaml", &manifests(home));
    let mut submit = Running::start(home.command(&["submit", "-f", file.to_str().unwrap()]));
    submit.stdout_has(job);
    kill(Pid::from_raw(engine), Signal::SIGKILL).unwrap();
    let submitted = submit.end();
    // Those behind the gate: the others may end at any moment.
    let waits = |job: &str| {
        job.strip_prefix("job-").and_then(|n| n.parse().ok()).is_some_and(|n: usize| n.is_multiple_of(WAITS))
    };
    let running = ran(home).into_iter().filter(|(job, _)| waits(job));
    let running = running.flat_map(|(_, pids)| pids).filter(|pid| lives(*pid)).collect();
    let acknowledged: Vec<String> = submitted.stdout.lines().map(str::to_owned).collect();
    assert!(acknowledged.contains(&job.to_owned()), "{submitted:?}");
    (acknowledged, running)
}

fn all_ended_once(home: &Home, acknowledged: &[String], adopted: &[i32]) {
    home.ok(&["up"]);
    assert!(adopted.iter().all(|pid| lives(*pid)), "what ran when the engine died goes on");
    home.write("gate", "");
    let mut wait = vec!["wait".to_owned()];
    wait.extend(acknowledged.iter().cloned());
    home.ok(&wait);
    let runs = ran(home);
    for job in acknowledged {
        assert_eq!(runs.get(job).map(Vec::len), Some(1), "{job} ran once: {:?}", runs.get(job));
    }
    let listed = home.ok(&["list", "-o", "name"]);
    assert!(acknowledged.iter().all(|job| listed.contains(job.as_str())), "{listed}");
}

#[test]
fn jobs_acknowledged_before_the_engine_was_killed_end_once() {
    let home = Home::new();
    let (acknowledged, running) = kill_at(&home, "job-099");
    assert_eq!(acknowledged.len(), JOBS);
    all_ended_once(&home, &acknowledged, &running);
}

#[test]
fn jobs_acknowledged_while_the_engine_was_killed_end_once() {
    let home = Home::new();
    let (acknowledged, running) = kill_at(&home, "job-030");
    all_ended_once(&home, &acknowledged, &running);
}

#[test]
fn killed_again_and_again_nothing_runs_twice() {
    let home = Home::new();
    let (acknowledged, running) = kill_at(&home, "job-060");
    for _ in 0..4 {
        home.ok(&["up"]);
        let engine = home.engine().expect("an engine runs");
        kill(Pid::from_raw(engine), Signal::SIGKILL).unwrap();
    }
    all_ended_once(&home, &acknowledged, &running);
}

#[test]
fn commands_that_follow_a_job_start_the_next_engine() {
    let home = Home::new();
    let script = "echo begun; until test -e go; do sleep 0.05; done; echo ended; exit 3";
    let mut run = Running::start(home.command(&["run", "--name", "long", "--", "sh", "-c", script]));
    run.stdout_has("begun");
    let mut wait = Running::start(home.command(&["wait", "long"]));
    wait.stderr_has("using the engine");
    kill(Pid::from_raw(home.engine().expect("an engine runs")), Signal::SIGKILL).unwrap();
    home.write("go", "");
    let (run, wait) = (run.end(), wait.end());
    // Whichever of them comes first.
    assert!([&run, &wait].iter().any(|ended| ended.stderr.contains("starting it again")), "{run:?} {wait:?}");
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "begun\nended\n"), "{run:?}");
    assert_eq!(wait.code, Some(3), "{wait:?}");
}

#[test]
fn an_engine_that_died_comes_back_as_it_was_started() {
    let home = Home::new();
    home.ok(&["up", "--images=host"]);
    kill(Pid::from_raw(home.engine().expect("an engine runs")), Signal::SIGKILL).unwrap();
    home.ok(&["list"]);
    let state = std::fs::read_to_string(home.state().join("engine.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["images"], "host");
}
