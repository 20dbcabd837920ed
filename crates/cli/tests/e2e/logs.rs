//! `windlass logs`.

use crate::home::Home;

#[test]
fn output_of_several_pods_is_told_apart() {
    let home = Home::new();
    let script = "echo pod $JOB_COMPLETION_INDEX";
    home.ok(&[
        "submit",
        "--wait",
        "--name",
        "many",
        "--completions",
        "3",
        "--parallelism",
        "3",
        "--indexed",
        "--",
        "sh",
        "-c",
        script,
    ]);
    let text = home.ok(&["logs", "many"]);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["[0] pod 0", "[1] pod 1", "[2] pod 2"]);
    assert_eq!(home.ok(&["logs", "many", "--index", "1"]), "pod 1\n");
}

#[test]
fn tail_and_timestamps() {
    let home = Home::new();
    home.ok(&["run", "-q", "--name", "lines", "--", "seq", "5"]);
    assert_eq!(home.ok(&["logs", "lines", "--tail", "2"]), "4\n5\n");
    let stamped = home.ok(&["logs", "lines", "--tail", "1", "--timestamps"]);
    let (time, text) = stamped.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{stamped}");
    assert_eq!(text, "5\n");
}

#[test]
fn a_part_that_is_not_there_is_an_error() {
    let home = Home::new();
    home.ok(&["run", "-q", "--name", "one", "--", "true"]);
    home.ok(&["submit", "--wait", "--name", "two", "--completions", "2", "--indexed", "--", "true"]);
    for (args, text) in [
        (["logs", "one", "--index", "0"], "not Indexed"),
        (["logs", "two", "--index", "2"], "2 completions, counted from 0"),
        (["logs", "two", "-c", "side"], "it has main"),
    ] {
        let ended = home.windlass(&args);
        assert_eq!(ended.code, Some(125), "{ended:?}");
        assert!(ended.stderr.contains(text), "{ended:?}");
    }
}

#[test]
fn follow_ends_with_the_job() {
    let home = Home::new();
    home.ok(&[
        "submit",
        "--name",
        "talk",
        "--",
        "sh",
        "-c",
        "echo a; while ! test -e go; do sleep 0.05; done; echo b",
    ]);
    let mut running = crate::home::Running::start(home.command(&["logs", "-f", "talk"]));
    running.stdout_has("a");
    home.write("go", "");
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "a\nb\n"), "{ended:?}");
}

#[test]
fn past_its_limit_a_log_loses_its_begin_and_says_so_on_stderr() {
    let home = Home::new();
    let mut up = home.command(&["up"]);
    up.env("WINDLASS_LOG_LIMIT", "64Ki");
    assert_eq!(crate::home::finish(up).code, Some(0));
    home.ok(&["submit", "--wait", "--name", "long", "--", "seq", "20000"]);
    let logs = home.windlass(&["logs", "long"]);
    assert!(logs.stdout.ends_with("\n19999\n20000\n"), "{}", logs.stdout.len());
    let first: usize = logs.stdout.lines().next().unwrap().parse().unwrap();
    let told = format!("({} lines) of stdout: the log was over its limit", first - 1);
    assert!(first > 15_000 && logs.stderr.contains(&told), "{first}: {}", logs.stderr);
    assert_eq!(home.ok(&["logs", "long", "--tail", "2"]), "19999\n20000\n");
}

#[test]
fn a_limit_that_is_no_size_is_said() {
    let home = Home::new();
    let mut up = home.command(&["up"]);
    up.env("WINDLASS_LOG_TOTAL", "much");
    let ended = crate::home::finish(up);
    assert_eq!(ended.code, Some(125));
    assert!(ended.stderr.contains("WINDLASS_LOG_TOTAL: \"much\" is no size"), "{}", ended.stderr);
}
