//! Jobs with many tasks: counted, told apart, their failures by cause.

use crate::home::{Home, Running};

/// Six tasks, two at a time, each counting its own failures. Tasks 2 and 4 fail alike, task 5 otherwise.
fn six(home: &Home) -> String {
    let script = r#"echo begin $JOB_COMPLETION_INDEX; case $JOB_COMPLETION_INDEX in
      2|4) echo "sample $JOB_COMPLETION_INDEX: no such column" >&2; exit 3;;
      5) kill -9 $$;;
    esac"#;
    let job = serde_json::json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "six" }, "spec": {
        "completions": 6, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 0,
        "template": { "spec": { "restartPolicy": "Never", "runtimeClassName": "windlass-host", "containers": [
            { "name": "main", "image": "host", "command": ["sh", "-c", script.replace("$$", "$$$$")] }] } } } });
    home.write("six.json", &job.to_string()).display().to_string()
}

#[test]
fn failures_are_grouped_by_cause_with_numbers_and_last_lines() {
    let home = Home::new();
    let file = six(&home);
    let run = home.windlass(&["run", "-f", &file]);
    // The first failed task's.
    assert_eq!(run.code, Some(3), "{run:?}");
    for part in ["six: 3 of 6 succeeded, 3 failed", "2 tasks ended with code 3: 2, 4", "the last lines of 2:"]
    {
        assert!(run.stderr.contains(part), "{part} in {run:?}");
    }
    assert!(run.stderr.contains("    | sample 2: no such column\n"), "{run:?}");
    assert!(!run.stderr.contains("    | sample 4"), "{run:?}");
    assert!(run.stderr.contains("1 task ended by signal 9 (SIGKILL): 5"), "{run:?}");
    assert!(run.stderr.contains("windlass logs six --task 2"), "{run:?}");
    let mut lines: Vec<_> = run.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines[..2], ["[0] begin 0", "[1] begin 1"]);
    let why = home.ok(&["why", "last"]);
    let sentence = "six (Failed): failed because 3 of 6 tasks failed: 2 ended with code 3 (2, 4); 1 ended by signal 9 (SIGKILL) (5)";
    assert!(why.starts_with(sentence), "{why}");
    assert!(why.contains("    | sample 2: no such column\n"), "{why}");
    let list = home.ok(&["list"]);
    assert!(list.contains("3/6") && list.contains("3 of 6 tasks failed"), "{list}");
    let show = home.ok(&["show", "six"]);
    assert!(show.contains("Completions:  3/6 (3 failed)") && show.contains("\nFailures:\n"), "{show}");
    let wait = home.windlass(&["wait", "six"]);
    assert!(wait.code == Some(3) && wait.stderr.contains("2 ended with code 3 (2, 4)"), "{wait:?}");
    for part in [
        "  2 tasks ended with code 3: 2, 4\n",
        "    | sample 2: no such column\n",
        "  next: windlass logs six",
    ] {
        assert!(wait.stderr.contains(part), "{part} in {wait:?}");
    }
}

#[test]
fn results_are_a_table_for_people_and_for_programs() {
    let home = Home::new();
    let file = six(&home);
    home.windlass(&["submit", "--wait", "-f", &file]);
    let table = home.ok(&["results", "six"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["TASK", "STATE", "EXIT", "ATTEMPTS", "DURATION", "POD"]);
    assert_eq!(rows[3][..4], ["2", "failed", "3", "1"]);
    assert!(rows[3][5].starts_with("six-2-"), "{table}");
    let csv = home.ok(&["results", "last", "-o", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "task,state,exit_code,attempts,seconds,pod");
    assert!(lines[1].starts_with("0,succeeded,0,1,") && lines[6].starts_with("5,failed,137,1,"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&home.ok(&["results", "six", "-o", "json"])).unwrap();
    assert_eq!(
        (json["tasks"][4]["exitCode"].as_i64(), json["tasks"][4]["number"].as_i64()),
        (Some(3), Some(4))
    );
    assert_eq!(home.ok(&["logs", "six", "--task", "1"]), "begin 1\n");
    home.ok(&["run", "-q", "--name", "one", "--", "true"]);
    for (args, text) in [
        (&["results", "one"][..], "not Indexed"),
        (&["logs", "six", "--task", "6"], "no task 6"),
        (&["logs", "one", "--task", "0"], "not Indexed"),
    ] {
        let ended = home.windlass(args);
        assert!(ended.code == Some(125) && ended.stderr.contains(text), "{ended:?}");
    }
}

#[test]
fn each_task_writes_a_file_and_what_is_not_asked_for_is_not_shown() {
    let home = Home::new();
    let file = six(&home);
    let logs = home.file("logs");
    // Nothing writes to the second one now.
    std::fs::create_dir(&logs).unwrap();
    home.write("logs/3.log", "of an earlier run\n");
    home.write("logs/3.main.log", "of an earlier run\n");
    let run = home.windlass(&["run", "-f", &file, "--log-dir", "logs"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{run:?}");
    let read = |name: &str| std::fs::read_to_string(logs.join(name)).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["0.log", "1.log", "2.log", "3.log", "4.log", "5.log"]);
    assert_eq!((read("0.log"), read("5.log")), ("begin 0\n".into(), "begin 5\n".into()));
    let mut lines: Vec<String> = read("2.log").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["begin 2", "sample 2: no such column"]);
    let both = home.windlass(&["run", "-f", &file, "--name", "both", "--log-dir", "more", "--logs"]);
    assert!(both.stdout.contains("[3] begin 3\n"), "{both:?}");
    assert_eq!(std::fs::read_to_string(home.file("more/3.log")).unwrap(), "begin 3\n");
}

#[test]
fn a_directory_for_logs_that_takes_none_is_refused_before_anything_is_submitted() {
    let home = Home::new();
    home.write("taken", "a file");
    let run = home.windlass(&["run", "--log-dir", "taken", "--", "true"]);
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(run.stderr.contains("--log-dir") && run.stderr.contains("nothing was submitted"), "{run:?}");
    assert_eq!(home.ok(&["list", "-o", "name"]), "");
}

#[test]
fn many_tasks_are_told_a_tenth_at_a_time_where_there_is_no_terminal() {
    let home = Home::new();
    let options = ["run", "--name", "many", "--completions", "40", "--parallelism", "4", "--indexed", "--"];
    let script = "while [ $JOB_COMPLETION_INDEX -ge 20 ] && ! test -e go; do sleep 0.05; done";
    let mut run = Running::start(home.command(&[&options[..], &["sh", "-c", script]].concat()));
    run.stderr_has("many: 20 of 40 done (");
    home.write("go", "");
    let run = run.end();
    assert_eq!(run.code, Some(0), "{run:?}");
    let told: Vec<&str> = run.stderr.lines().filter(|line| line.contains(" of 40 done")).collect();
    assert!((1..=9).contains(&told.len()), "{run:?}");
    assert!(run.stderr.contains("many: 40 of 40 succeeded ("), "{run:?}");
}

/// Five lines, of which those with a `b` fail as long as there is no file `mended`.
const LINES: &str = "a/1\nb/2\na/3\nb/4\na/5\n";
const WORK: &str =
    r#"echo "$1 as {#}"; case $1 in b*) test -e mended || { echo "work: $1: broken" >&2; exit 4; };; esac"#;

fn failed(home: &Home) -> crate::home::Ended {
    let lines = home.write("lines", LINES);
    let ended =
        home.windlass(&["run", "--each-line", lines.to_str().unwrap(), "--", "sh", "-c", WORK, "sh", "{}"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""), "{ended:?}");
    ended
}

#[test]
fn an_arrays_failures_are_told_with_its_own_numbers_and_items() {
    let home = Home::new();
    let ended = failed(&home);
    let name = home.ok(&["list", "-o", "name"]).trim().to_owned();
    let told = format!(
        "windlass: {name}: 3 of 5 succeeded, 2 failed (0s)\n  2 tasks ended with code 4: 2, 4\n    b/2, b/4\n    \
         the last lines of 2:\n    | b/2 as 2\n    | work: b/2: broken\n  next: windlass logs {name} --task 2, then \
         windlass retry --failed {name}\n"
    );
    // However long it took.
    let (said, rest) = ended.stderr.rsplit_once(" failed (").unwrap();
    let said = format!("{said} failed (0s{}", rest.trim_start_matches(|c: char| c != ')'));
    assert!(said.ends_with(&told), "{said}");
    assert_eq!(home.ok(&["logs", &name, "--task", "5"]), "a/5 as 5\n");
    let csv = home.ok(&["results", "last", "-o", "csv"]);
    assert!(csv.starts_with("task,item,state,exit_code,attempts,seconds,pod\n1,a/1,succeeded,0,1,"), "{csv}");
    assert!(csv.contains("\n4,b/4,failed,4,1,"), "{csv}");
    let logs = home.ok(&["logs", &name]);
    assert!(logs.contains("[5] a/5 as 5\n"), "{logs}");
    let none = home.windlass(&["logs", &name, "--task", "6"]);
    assert!(none.code == Some(125) && none.stderr.contains("no task 6"), "{none:?}");
}

#[test]
fn failed_tasks_run_again_under_their_numbers_until_none_is_left() {
    let home = Home::new();
    failed(&home);
    let first = home.ok(&["list", "-o", "name"]).trim().to_owned();
    let again = home.windlass(&["retry", "--failed", "--wait", &first]);
    assert_eq!(again.code, Some(4), "{again:?}");
    home.write("mended", "");
    let second = again.stdout.trim();
    let third = home.ok(&["retry", "--failed", "--wait", second]);
    let third = third.trim();
    // A job's values are its own: nobody else's end takes them away.
    home.ok(&["delete", &first, second]);
    let mut logs: Vec<String> = home.ok(&["logs", third]).lines().map(str::to_owned).collect();
    logs.sort();
    assert_eq!(logs, ["[2] b/2 as 2", "[4] b/4 as 4"]);
    let none = home.windlass(&["retry", "--failed", third]);
    assert!(
        none.code == Some(0) && none.stdout.is_empty() && none.stderr.contains("none of its tasks failed"),
        "{none:?}"
    );
    let all = home.ok(&["retry", "--wait", third]);
    let table = home.ok(&["results", all.trim()]);
    assert!(table.contains("\n4      b/4    succeeded"), "{table}");
}

#[test]
fn tasks_that_could_not_keep_their_indexes_do_not_run_again_by_themselves() {
    let home = Home::new();
    let file = six(&home);
    home.windlass(&["submit", "--wait", "-f", &file]);
    let refused = home.windlass(&["retry", "--failed", "six"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(125), ""), "{refused:?}");
    assert!(refused.stderr.contains("2, 4, 5 would have other indexes"), "{refused:?}");
    home.windlass(&["run", "-q", "--name", "one", "--", "false"]);
    let refused = home.windlass(&["retry", "--failed", "one"]);
    assert!(refused.code == Some(125) && refused.stderr.contains("not Indexed"), "{refused:?}");
    assert_eq!(home.ok(&["list", "-o", "name"]).lines().count(), 2);
}

#[test]
fn numbers_without_values_run_again_as_what_they_were() {
    let home = Home::new();
    let options =
        ["--array", "0-4", "--", "sh", "-c", "test {} -ne 3 || test -e mended || exit 5; echo n {}"];
    assert_eq!(home.windlass(&[&["run"], &options[..]].concat()).code, Some(5));
    home.write("mended", "");
    let again = home.ok(&["retry", "--failed", "--wait", "last"]);
    assert_eq!(home.ok(&["logs", again.trim()]), "n 3\n");
    let table = home.ok(&["results", again.trim()]);
    assert!(table.lines().count() == 2 && table.contains("\n3      succeeded"), "{table}");
}
