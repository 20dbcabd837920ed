//! Many tasks in one job: what each is given, and what one's failure means to the others.

use serde_json::Value;

use crate::home::{Ended, Home, Running};

/// The lines of an output without their tasks' numbers, sorted: tasks end in any order.
fn sorted(text: &str) -> Vec<String> {
    let plain = |line: &str| match line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
        Some((number, line)) if number.parse::<u32>().is_ok() => line.to_owned(),
        _ => line.to_owned(),
    };
    let mut lines: Vec<String> = text.lines().map(plain).collect();
    lines.sort();
    lines
}

#[track_caller]
fn prints(home: &Home, args: &[&str], expected: &[&str]) {
    let ended = home.windlass(&[&["run", "-q", "--logs"], args].concat());
    assert_eq!(
        (ended.code, sorted(&ended.stdout)),
        (Some(0), sorted(&expected.join("\n"))),
        "{}",
        ended.stderr
    );
}

#[track_caller]
fn refused(home: &Home, args: &[&str], part: &str) {
    let ended = home.windlass(args);
    assert!(ended.code == Some(125) && ended.stderr.contains(part), "{args:?}: {ended:?}");
}

#[test]
fn numbers_from_zero_need_nothing_in_the_pod() {
    let home = Home::new();
    prints(
        &home,
        &["--array", "0-3%2", "--", "echo", "{}", "x{#}", "$(HOME)", "{a}", "{{}}"],
        &["0 x0 $(HOME) {a} {}", "1 x1 $(HOME) {a} {}", "2 x2 $(HOME) {a} {}", "3 x3 $(HOME) {a} {}"],
    );
    prints(&home, &["--array", "0-1", "--", "sh", "-c", "echo $WINDLASS_TASK ${#}"], &["0 0", "1 0"]);
    let job: Value = serde_json::from_str(&home.ok(&["show", "last", "-o", "json"])).unwrap();
    let spec = &job["job"]["spec"];
    assert_eq!(spec["template"]["spec"]["volumes"], Value::Null, "{spec}");
    assert_eq!(spec["backoffLimitPerIndex"], 0, "{spec}");
}

#[test]
fn slurms_numbers_are_kept() {
    let home = Home::new();
    let line = ["--array", "5,7,9-20:5", "--", "sh", "-c", "echo {} {#} $WINDLASS_TASK"];
    prints(&home, &line, &["5 5 5", "7 7 7", "9 9 9", "14 14 14", "19 19 19"]);
}

#[test]
fn lines_reach_the_command_byte_for_byte() {
    let home = Home::new();
    let lines = [
        "two  words ",
        "it's \"quoted\"",
        "a\tb",
        "grüße 日本",
        "$(HOME) ${HOME} `id` \\n",
        "{} {#} {item}",
        "-n",
    ];
    let mut text = lines.join("\n");
    text.push_str("\r\n\n  \nlast");
    let file = home.write("lines", &text);
    let file = file.to_str().unwrap();
    let mut expected: Vec<String> =
        (1..).zip(lines).map(|(number, line)| format!("{number}|{line}|<{line}>")).collect();
    expected.push("10|last|<last>".to_owned());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    prints(&home, &["--each-line", file, "--", "printf", "%s|%s|%s\n", "{#}", "{}", "<{item}>"], &expected);
    let script = r#"printf '%s|%s|<%s>\n' "$WINDLASS_TASK" "$WINDLASS_ITEM" "$item""#;
    prints(&home, &["--each-line", file, "--", "sh", "-c", script], &expected);
    let ended = home.windlass(&["run", "--each-line", file, "--", "true", "{itme}"]);
    assert!(ended.stderr.contains("2 lines are empty"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("{itme} is no name here and stays as it is; did you mean {item}?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn stdin_is_the_list_and_the_tasks_have_none() {
    let home = Home::new();
    let ended = home.script(
        r#"printf 'a\nb\n' | "$windlass" run -q --logs --each-line - -- sh -c 'cat; echo "$1"' sh {}"#,
    );
    assert_eq!((ended.code, sorted(&ended.stdout)), (Some(0), sorted("a\nb")), "{ended:?}");
    let ended = home.script(r#"echo data | "$windlass" run -q --logs --array 0-1 -- sh -c 'cat; echo {}'"#);
    assert_eq!((ended.code, sorted(&ended.stdout)), (Some(0), sorted("0\n1")), "{ended:?}");
}

#[test]
fn rows_and_matrices_have_names() {
    let home = Home::new();
    let table = home.write("table.csv", "sample,seed\n\"a, \"\"b\"\"\",1\n\"two\nlines\",2\n");
    let script = r#"printf '%s;' "$sample" "$seed" "$WINDLASS_TASK" "$1" "$2"; echo"#;
    let table = table.to_str().unwrap();
    prints(
        &home,
        &["--each-row", table, "--", "sh", "-c", script, "sh", "{sample}", "{#}{seed}"],
        &["a, \"b\";1;1;a, \"b\";11;", "two\nlines;2;2;two\nlines;22;"],
    );
    prints(
        &home,
        &["--matrix", "a=1,2", "b=x,y", "--", "echo", "{#}", "{a}-{b}"],
        &["1 1-x", "2 1-y", "3 2-x", "4 2-y"],
    );
}

#[test]
fn a_task_that_fails_ends_no_other() {
    let home = Home::new();
    let script = "test {} != 11 && test {} != 4 || exit {}; echo {}";
    let ended = home.windlass(&["run", "-q", "--logs", "--array", "1-12", "--", "sh", "-c", script]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(4), 10), "{ended:?}");
    assert_eq!(home.windlass(&["wait", "last"]).code, Some(4));
    let list = home.ok(&["list"]);
    assert!(list.contains("10/12"), "{list}");
}

#[test]
fn a_command_that_is_not_there_ends_with_127_and_one_that_cannot_start_with_126() {
    let home = Home::new();
    let plain = home.write("plain", "not a program");
    for (program, code) in [("no-such-program", 127), (plain.to_str().unwrap(), 126)] {
        let ended = home.windlass(&["run", "--array", "3-4", "--", program, "{}"]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(program), "{}", ended.stderr);
    }
}

#[test]
fn a_manifest_becomes_an_array() {
    let home = Home::new();
    let manifest = "\
apiVersion: batch/v1
kind: Job
metadata: {name: fits}
spec:
  backoffLimit: 0
  template:
    spec:
      runtimeClassName: windlass-host
      restartPolicy: Never
      containers:
      - {name: main, image: host, command: [sh, -c, 'echo $(WHAT) {} $0', '{#}'], env: [{name: WHAT, value: fit}]}
";
    let file = home.write("job.yaml", manifest);
    let lines = home.write("lines", "a\nb\n");
    prints(
        &home,
        &["-f", file.to_str().unwrap(), "--each-line", lines.to_str().unwrap()],
        &["fit a 1", "fit b 2"],
    );
}

#[test]
fn the_same_submission_is_one_array_and_its_values_go_with_it() {
    let home = Home::new();
    let submit = |lines: &str| -> Ended {
        let file = home.write("lines", lines);
        let file = file.to_str().unwrap();
        home.windlass(&[
            "submit",
            "--id",
            "fits-1",
            "--wait",
            "--each-line",
            file,
            "--",
            "sh",
            "-c",
            "echo {} >> runs",
        ])
    };
    let first = submit("a\nb\n");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(submit("a\nb\n").stdout, first.stdout);
    assert_eq!(sorted(&std::fs::read_to_string(home.file("runs")).unwrap()), ["a", "b"]);
    let other = submit("a\nc\n");
    assert!(other.code == Some(125) && other.stderr.contains("other content"), "{other:?}");

    let (job, config) = (first.stdout.trim(), home.ok(&["kubeconfig", "--path"]));
    let kubectl = |args: &[&str]| {
        let mut command = home.program("kubectl");
        command.args(["--kubeconfig", config.trim()]).args(args);
        crate::home::finish(command)
    };
    let owner =
        "-ojsonpath={.metadata.ownerReferences[*].kind}/{.metadata.ownerReferences[*].name} {.immutable}";
    let config_map = format!("configmap/{job}-tasks");
    assert_eq!(kubectl(&["get", &config_map, owner]).stdout, format!("Job/{job} true"));
    home.ok(&["delete", job]);
    let gone = kubectl(&["wait", "--for=delete", "--timeout=180s", &config_map]);
    assert_eq!(gone.code, Some(0), "{gone:?}");
    // The id is free again, whatever is left of the first.
    let again = submit("a\nc\n");
    assert_eq!(again.code, Some(0), "{again:?}");
}

#[test]
fn a_dry_run_leaves_nothing() {
    let home = Home::new();
    home.ok(&["submit", "--dry-run", "--matrix", "a=1,2", "--", "echo", "{a}"]);
    let mut command = home.program("kubectl");
    command.args([
        "--kubeconfig",
        home.ok(&["kubeconfig", "--path"]).trim(),
        "get",
        "jobs,configmaps",
        "-oname",
    ]);
    let ended = crate::home::finish(command);
    // The engine's own may not be there yet.
    let left: Vec<&str> = ended.stdout.lines().filter(|name| *name != "configmap/kube-root-ca.crt").collect();
    assert_eq!((ended.code, left), (Some(0), Vec::new()), "{ended:?}");
}

#[test]
fn what_makes_no_array_is_refused_before_anything_starts() {
    let home = Home::new();
    let lines = home.write("lines", "a\nb\n");
    let lines = lines.to_str().unwrap();
    let nul = home.write("nul", "a\nb\0c\n");
    let empty = home.write("empty", "\n \n");
    let ragged = home.write("ragged.csv", "a,b\n1,2\n3\n");
    let twice = home.write("twice.csv", "a,a\n1,2\n");
    for (options, part) in [
        (&["--array", "9-5"][..], "write 5-9"),
        (&["--array", "0-9%0"], "never run"),
        (&["--array", "1-5,3"], "3 twice"),
        (&["--array", "0-200000"], "100000"),
        (&["--array", "0-9%2", "--parallelism", "3"], "said twice"),
        (&["--array", "0-1", "--completions", "2"], "follows from the tasks"),
        (&["--array", "0-1", "--each-line", lines], "cannot be used with"),
        (&["--array", "0-1", "-i"], "for one process"),
        (&["--each-line", "nowhere"], "nowhere"),
        (&["--each-line", nul.to_str().unwrap()], "line 2: has a NUL byte"),
        (&["--each-line", empty.to_str().unwrap()], "nothing to run"),
        (&["--each-row", ragged.to_str().unwrap()], "line 3: has 1 values"),
        (&["--each-row", twice.to_str().unwrap()], "\"a\" is there twice"),
        (&["--matrix", "a"], "not KEY=VALUE"),
        (&["--matrix", "a=1,2", "b=3,4"], "{a} or {b}"),
        (&["--each-line", "-", "-f", "-"], "stdin is the job's file already"),
    ] {
        refused(&home, &[&["run"], options, &["--", "echo", "{}"]].concat(), part);
    }
    assert_eq!(home.engine(), None, "no engine was needed");
}

#[test]
fn numbers_need_no_volume_and_show_tells_the_command_as_it_was_written() {
    let home = Home::new();
    let command = "echo '{#}' '{{}}' '$(HOME)'";
    for numbers in ["0-1", "3-9:3", "1,5,20-40:10"] {
        home.ok(&["submit", "--wait", "--array", numbers, "--", "echo", "{}", "{{}}", "$(HOME)"]);
        let job: Value = serde_json::from_str(&home.ok(&["show", "last", "-o", "json"])).unwrap();
        assert_eq!(job["job"]["spec"]["template"]["spec"]["volumes"], Value::Null, "{job}");
        let story = home.ok(&["show", "last"]);
        assert!(story.lines().any(|line| line.starts_with("Command:") && line.ends_with(command)), "{story}");
    }
    home.ok(&["submit", "--wait", "--matrix", "a=1,2", "--", "echo", "{a}"]);
    let story = home.ok(&["show", "last"]);
    assert!(
        story.lines().any(|line| line.starts_with("Command:") && line.ends_with("echo '{a}'")),
        "{story}"
    );
}

#[test]
fn what_the_hosts_shell_cannot_take_is_the_helpers() {
    let home = Home::new();
    // Names in capitals may be the shell's own.
    prints(
        &home,
        &["--matrix", "UID=1,2", "B=x y", "--", "sh", "-c", "echo $B '{UID}{B}'"],
        &["x y 1x y", "x y 2x y"],
    );
    let ended = home.windlass(&["run", "--matrix", "A=1,2", "--", "no-such-program", "{A}"]);
    assert_eq!(ended.code, Some(127), "{ended:?}");
    let long = format!("first\n{}\n", "x".repeat(100_000));
    let file = home.write("long", &long);
    prints(
        &home,
        &["--each-line", file.to_str().unwrap(), "--", "sh", "-c", "echo ${#1}", "sh", "{}"],
        &["5", "100000"],
    );
}

#[test]
fn one_submission_that_many_send_at_once_is_one_array() {
    let home = Home::new();
    let file = home.write("lines", "a\nb\nc\n");
    let line =
        ["submit", "--id", "at-once", "--wait", "--each-line", file.to_str().unwrap(), "--", "sh", "-c"];
    let line = [&line[..], &["echo \"$item\" >> runs"]].concat();
    let all: Vec<Running> = (0..6).map(|_| Running::start(home.command(&line))).collect();
    let ends: Vec<Ended> = all.into_iter().map(Running::end).collect();
    assert!(ends.iter().all(|end| end.code == Some(0) && end.stdout == ends[0].stdout), "{ends:?}");
    assert_eq!(sorted(&std::fs::read_to_string(home.file("runs")).unwrap()), ["a", "b", "c"]);
}

#[test]
fn a_chosen_name_is_one_arrays_until_its_job_is_deleted() {
    let home = Home::new();
    let submit = |lines: &str| {
        let file = home.write("lines", lines);
        let line =
            ["submit", "--name", "fit", "--wait", "--each-line", file.to_str().unwrap(), "--", "echo", "{}"];
        home.windlass(&line)
    };
    assert_eq!(submit("a\nb\n").code, Some(0));
    let taken = submit("c\n");
    let is_told = taken.stderr.contains("job \"fit\" exists already") && !taken.stderr.contains("ConfigMap");
    assert!(taken.code == Some(125) && is_told, "{taken:?}");
    assert!(home.ok(&["results", "fit", "-o", "csv"]).contains("2,b,succeeded"));
    home.ok(&["delete", "fit"]);
    // Its ConfigMap may still be there.
    let again = submit("c\n");
    assert_eq!((again.code, again.stderr.contains("ConfigMap")), (Some(0), false), "{again:?}");
    assert!(home.ok(&["results", "fit", "-o", "csv"]).contains("1,c,succeeded"));
}
