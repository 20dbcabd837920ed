//! Why jobs stand where they stand, with real ones on the engine: what is said, and what can be done about it.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::home::{Ended, Home, Running};

/// Two jobs with a limit.
const TWO_LIMITED: &str = "windlass: v1
jobs:
- {name: b, command: [\"true\"], memory: 1Gi}
- {name: c, command: [\"true\"], memory: 1Gi}
";

/// A Job of host processes.
fn job(name: &str, spec: &str, pod: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  backoffLimit: 0\n{spec}  template:\n    \
         spec:\n      runtimeClassName: windlass-host\n{pod}"
    )
}

/// Runs a command that waits for what never comes; the job must have been cancelled.
#[track_caller]
fn stuck(home: &Home, options: &[&str], words: &[&str]) {
    let line = [&["run", "--give-up-after", "1s", "--name", "stuck"], options, &["--", "true"]].concat();
    let ended = home.windlass(&line);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word} in {}", ended.stderr);
    }
    assert!(home.ok(&["list", "--phase", "cancelled"]).contains("stuck"));
    assert_eq!(home.windlass(&["wait", "stuck"]).code, Some(130));
    home.ok(&["delete", "stuck"]);
}

#[track_caller]
fn has(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for word in words {
        assert!(ended.stdout.contains(word) || ended.stderr.contains(word), "{word} in {ended:?}");
    }
}

#[test]
fn limits_that_are_not_held_are_told_once_wherever_a_job_is_asked_about() {
    let home = Home::new();
    let ran = home.windlass(&["run", "--name", "a", "--memory", "1Gi", "--cpu", "1", "--", "true"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Value = serde_json::from_str(&home.ok(&["show", "a", "-o", "json"])).unwrap();
    let said = |ended: &Ended| ended.stderr.matches("not enforced").count();
    let waited =
        home.windlass(&["submit", "--wait", "-f", home.write("jobs.yaml", TWO_LIMITED).to_str().unwrap()]);
    assert_eq!(waited.code, Some(0), "{waited:?}");
    let (why, show) = (home.ok(&["why", "a"]), home.ok(&["show", "a"]));
    // Whether they are held is the machine's affair.
    let Some(limits) = told["status"]["unlimited"].as_str() else {
        assert_eq!((said(&ran), said(&waited), why.contains("enforced")), (0, 0, false), "{ran:?}");
        return;
    };
    assert_eq!(ran.stderr.matches(&format!("windlass: a: {limits}\n")).count(), 1, "{ran:?}");
    assert_eq!((said(&ran), said(&waited)), (1, 1), "{ran:?} {waited:?}");
    assert!(why.contains(&format!("\n  {limits}\n")), "{why}");
    assert!(show.contains(&format!("\nLimits:       {limits}\n")), "{show}");
}

#[test]
fn what_is_not_there_is_named_with_the_command_that_makes_it() {
    let home = Home::new();
    let secret =
        ["blocked by secret \"login\", which is not there", "kubectl -n default create secret generic login"];
    stuck(&home, &["--volume", "secret/login:/mnt/login"], &secret);
    stuck(&home, &["--volume", "configmap/settings:/mnt/s"], &["blocked by configmap \"settings\""]);
    stuck(&home, &["--volume", "claim/data:/mnt/data"], &["blocked by claim \"data\", which is not there"]);
}

#[test]
fn what_no_node_can_run_is_told_with_what_it_asks_for() {
    let home = Home::new();
    stuck(&home, &["--cpu", "9999"], &["blocked by its size", "cpu 9999", "ask for less"]);
    stuck(&home, &["--image", "busybox:1.36"], &["container"]);
    stuck(&home, &["--node-selector", "disk=fast"], &["node selector", "disk=fast"]);
}

#[test]
fn a_secret_that_comes_in_time_lets_the_job_run() {
    let home = Home::new();
    let command = home.command(&[
        "run",
        "--give-up-after",
        "1h",
        "--name",
        "patient",
        "--volume",
        "configmap/late:/mnt/late",
        "--",
        "cat",
        "/mnt/late/a",
    ]);
    let mut running = Running::start(command);
    running.stderr_has("configmap \"late\"");
    let file =
        home.write("late.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\ndata: {a: here}\n");
    let kubectl =
        format!("KUBECONFIG=$(\"$windlass\" kubeconfig --path) kubectl apply -f {}", file.display());
    if home.script("command -v kubectl").code == Some(0) {
        has(&home.script(&kubectl), 0, &[]);
        has(&running.end(), 0, &["here"]);
    }
}

#[test]
fn a_failure_is_told_with_its_code_its_last_lines_and_where_its_time_went() {
    let home = Home::new();
    has(
        &home.windlass(&[
            "run",
            "--name",
            "bad",
            "--",
            "sh",
            "-c",
            "echo first; echo last words >&2; exit 3",
        ]),
        3,
        &[],
    );
    let why = home.ok(&["why", "bad"]);
    let words = [
        "its command ended with code 3",
        "next: windlass logs bad",
        "| first",
        "| last words",
        "in the queue",
        "running",
    ];
    for word in words {
        assert!(why.contains(word), "{word} in {why}");
    }
    has(
        &home.windlass(&["run", "--name", "lost", "--", "no-such-program"]),
        127,
        &["its command was not found"],
    );
    has(&home.windlass(&["run", "--name", "late", "--deadline", "1s", "--", "sleep", "600"]), 124, &[]);
    assert!(home.ok(&["why", "late"]).contains("its deadline of 1 s passed"));
    has(&home.windlass(&["run", "--name", "twice", "--retries", "1", "--", "false"]), 1, &[]);
    assert!(home.ok(&["why", "twice"]).contains("the last of 2 failed attempts (back-off limit 1)"));
    let failed = home.ok(&["list", "--failed", "-o", "name"]);
    assert_eq!(failed, "bad\nlost\nlate\ntwice\n");
    assert_eq!(home.windlass(&["list", "--phase", "pending,running", "-o", "name"]).stdout, "");
    assert_eq!(home.ok(&["list", "--since", "1h", "--failed", "-o", "name"]), failed);
}

#[test]
fn a_suspended_job_says_how_to_resume_it() {
    let home = Home::new();
    let pod =
        "      restartPolicy: Never\n      containers: [{name: main, image: host, command: [\"true\"]}]\n";
    let file = home.write("job.yaml", &job("later", "  suspend: true\n", pod));
    home.ok(&["submit", "-f", file.to_str().unwrap()]);
    let why = home.ok(&["why", "later"]);
    assert!(
        why.contains("suspended: nothing starts until it is resumed")
            && why.contains("kubectl -n default patch job"),
        "{why}"
    );
}

#[test]
fn a_command_that_ended_beside_a_sidecar_gives_its_code() {
    let home = Home::new();
    let pod = "      restartPolicy: Never\n      containers:\n      - {name: main, image: host, command: [sh, -c, exit 4]}\n      \
               - {name: proxy, image: host, command: [sleep, \"600\"]}\n";
    let file = home.write("job.yaml", &job("pair", "", pod));
    home.ok(&["submit", "-f", file.to_str().unwrap()]);
    has(&home.windlass(&["wait", "pair"]), 4, &["has ended with code 4", "proxy"]);
    let why = home.ok(&["why", "pair"]);
    assert!(
        why.contains("has ended with code 4") && why.contains("initContainers, with restartPolicy: Always"),
        "{why}"
    );
    // By a signal from inside, which ends the job with its pod.
    has(&home.windlass(&["wait", "pair", "--stop-sidecars"]), 4, &["asked container \"proxy\" to end"]);
    home.windlass(&["wait", "pair"]);
    assert_eq!(home.ok(&["list", "--running", "-o", "name"]), "");
}

#[test]
fn wait_takes_any_or_all_and_tells_of_what_is_not_there() {
    let home = Home::new();
    home.ok(&["run", "--name", "good", "--", "true"]);
    home.ok(&["submit", "--name", "slow", "--", "sh", "-c", "echo up; exec sleep 600"]);
    has(&home.windlass(&["wait", "--any", "slow", "good"]), 0, &["good: succeeded"]);
    has(&home.windlass(&["wait", "--timeout", "1s", "slow", "good"]), 124, &["slow"]);
    has(&home.windlass(&["wait", "good", "gone"]), 125, &["good: succeeded", "gone"]);
    let mut followed = Running::start(home.command(&["logs", "-f", "slow"]));
    assert!(followed.stdout_has("up").contains("up"));
    assert_eq!(home.ok(&["list", "--running", "-o", "name"]), "slow\n");
    home.ok(&["cancel", "slow", "--now"]);
}

#[test]
fn what_a_job_waits_for_in_vain_is_told_to_who_waits_for_it() {
    let home = Home::new();
    home.ok(&["up"]);
    // This engine runs no images.
    let submit = ["submit", "--name", "held", "--image", "busybox", "--wait", "--", "true"];
    for line in [&submit[..], &["wait", "held"], &["wait", "--timeout", "1h", "held"]] {
        let mut running = Running::start(home.command(line));
        running.stderr_has("held: blocked by ");
        running.signal(Signal::SIGINT);
        running.end();
    }
}

#[test]
fn logs_tell_attempts_and_containers_apart() {
    let home = Home::new();
    let script = "echo try >> tries; echo attempt $(wc -l < tries); test $(wc -l < tries) -ge 2";
    let pod = format!(
        "      restartPolicy: OnFailure\n      initContainers: [{{name: fetch, image: host, command: [echo, fetched]}}]\n      \
         containers: [{{name: main, image: host, workingDir: {}, command: [sh, -c, '{script}']}}]\n",
        home.file("").display()
    );
    let file = home.write("job.yaml", &job("again", "", &pod).replace("backoffLimit: 0", "backoffLimit: 3"));
    home.ok(&["submit", "--wait", "-f", file.to_str().unwrap()]);
    let pod = "/main] attempt 1\n";
    let logs = home.ok(&["logs", "again", "--prefix"]);
    assert!(logs.contains("/fetch] fetched\n") && logs.contains(pod) && logs.contains("attempt 2"), "{logs}");
    assert_eq!(home.ok(&["logs", "again", "-c", "main", "--previous"]), "attempt 1\n");
    assert_eq!(home.ok(&["logs", "again", "-c", "fetch"]), "fetched\n");
    assert_eq!(home.ok(&["logs", "again", "-c", "main", "--tail", "1", "--previous"]), "attempt 1\n");
}
