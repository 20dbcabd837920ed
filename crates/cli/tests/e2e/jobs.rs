//! submit, list, show, wait, cancel, delete.

use crate::home::Home;

const TWO: &str = "\
apiVersion: batch/v1
kind: Job
metadata: {name: good}
spec:
  template:
    spec:
      runtimeClassName: windlass-host
      restartPolicy: Never
      containers: [{name: main, image: host, command: [echo, fine]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: bad}
spec:
  backoffLimit: 0
  template:
    spec:
      runtimeClassName: windlass-host
      restartPolicy: Never
      containers: [{name: main, image: host, command: [sh, -c, exit 9]}]
";

#[test]
fn a_failed_job_is_listed_with_its_reason_and_shown_with_its_story() {
    let home = Home::new();
    let ended = home.windlass(&["run", "--name", "bad", "--", "sh", "-c", "echo out; exit 7"]);
    assert_eq!(ended.code, Some(7));
    let list = home.ok(&["list"]);
    let line = list.lines().find(|line| line.starts_with("bad")).unwrap();
    assert!(line.contains("Failed") && line.contains("0/1") && line.contains('7'), "{list}");
    let story = home.ok(&["show", "last"]);
    for part in [
        "Name:",
        "bad",
        "Failed",
        "s CPU, at most ",
        "sh -c 'echo out; exit 7'",
        "Pods:",
        "Events:",
        "tester",
    ] {
        assert!(story.contains(part), "{part} in {story}");
    }
    assert_eq!(home.ok(&["list", "-o", "name"]), "bad\n");
    let json: serde_json::Value = serde_json::from_str(&home.ok(&["list", "-o", "json"])).unwrap();
    assert_eq!(json["jobs"][0]["exitCode"], 7);
    let json: serde_json::Value = serde_json::from_str(&home.ok(&["show", "bad", "-o", "json"])).unwrap();
    assert!(
        json["status"]["usage"]["peakMemoryBytes"].as_u64().is_some_and(|bytes| bytes > 100_000),
        "{json}"
    );
}

#[test]
fn more_jobs_than_a_page_holds_are_listed_once_each_also_into_a_pipe() {
    let home = Home::new();
    let names: Vec<String> = (0..230).map(|n| format!("waits-{n:03}")).collect();
    let jobs = names.iter().map(|name| {
        TWO.split("---\n")
            .next()
            .unwrap()
            .replace("good", name)
            .replace("spec:\n  t", "spec:\n  suspend: true\n  t")
    });
    let file = home.write("many.yaml", &jobs.collect::<Vec<_>>().join("---\n"));
    home.ok(&["submit", "-f", file.to_str().unwrap()]);
    let mut listed: Vec<String> = home.ok(&["list", "-o", "name"]).lines().map(str::to_owned).collect();
    listed.sort();
    assert_eq!(listed, names);
    let table = home.ok(&["list"]);
    assert_eq!(table.lines().filter(|line| line.contains("Suspended")).count(), names.len(), "{table}");
}

#[test]
fn a_file_of_jobs_is_submitted_waited_for_and_deleted() {
    let home = Home::new();
    let file = home.write("jobs.yaml", TWO);
    let ended = home.windlass(&["submit", "--wait", "-f", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(9), "good\nbad\n"), "{ended:?}");
    home.ok(&["wait", "good"]);
    assert_eq!(home.windlass(&["wait", "good", "bad"]).code, Some(9));
    assert_eq!(home.ok(&["logs", "good"]), "fine\n");
    home.ok(&["delete", "good", "bad"]);
    assert_eq!(home.windlass(&["show", "good"]).code, Some(125));
}

#[test]
fn a_file_comes_from_stdin_and_options_change_it() {
    let home = Home::new();
    home.write("jobs.yaml", TWO.split("---").next().unwrap());
    let ended = home.script(r#""$windlass" submit --wait -f - --name other --label a=b -o yaml < jobs.yaml"#);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("name: other"), "{}", ended.stdout);
    assert_eq!(home.ok(&["list", "-l", "a=b", "-o", "name"]), "other\n");
}

#[test]
fn dry_run_checks_and_creates_nothing() {
    let home = Home::new();
    assert_eq!(home.ok(&["submit", "--dry-run", "--name", "never", "--", "true"]), "never\n");
    let list = home.windlass(&["list"]);
    assert_eq!((list.code, list.stdout.as_str()), (Some(0), ""));
    assert!(list.stderr.contains("no jobs"), "{}", list.stderr);
}

#[test]
fn wait_gives_up_with_124_and_the_job_goes_on() {
    let home = Home::new();
    home.ok(&["submit", "--name", "slow", "--", "sleep", "600"]);
    assert_eq!(home.windlass(&["wait", "--timeout", "1s", "slow"]).code, Some(124));
    home.ok(&["cancel", "--now", "--reason", "enough", "slow"]);
    assert_eq!(home.windlass(&["wait", "slow"]).code, Some(130));
    let story = home.ok(&["show", "slow"]);
    assert!(story.contains("by tester") && story.contains("enough"), "{story}");
}

#[test]
fn jobs_are_named_by_unique_beginnings_and_labels() {
    let home = Home::new();
    for name in ["train-a", "train-b"] {
        home.ok(&["submit", "--wait", "--name", name, "--label", "team=x", "--", "true"]);
    }
    home.ok(&["wait", "train-a"]);
    let ended = home.windlass(&["show", "train"]);
    assert_eq!(ended.code, Some(125));
    assert!(ended.stderr.contains("train-a") && ended.stderr.contains("train-b"), "{}", ended.stderr);
    home.ok(&["wait", "-l", "team=x"]);
    home.ok(&["delete", "-l", "team=x"]);
    assert_eq!(home.windlass(&["delete", "-l", "team=x"]).code, Some(125));
}

#[test]
fn namespaces_keep_jobs_apart() {
    let home = Home::new();
    home.ok(&["run", "--name", "here", "--", "true"]);
    let ended = home.windlass(&["run", "-n", "elsewhere", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("elsewhere"), "{}", ended.stderr);
    let all = home.ok(&["list", "-A"]);
    assert!(all.starts_with("NAMESPACE") && all.contains("default"), "{all}");
}

#[test]
fn last_is_the_newest_also_within_a_second() {
    let home = Home::new();
    for name in ["c", "a", "b"] {
        home.ok(&["submit", "--name", name, "--", "true"]);
    }
    assert!(home.ok(&["show", "last"]).contains("b\n"));
    assert_eq!(home.ok(&["list", "-o", "name"]), "c\na\nb\n");
}
