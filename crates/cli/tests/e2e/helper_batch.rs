//! submission-helper's batches: lines and tasks, limits, what is up to date, what failed, and going on.

use nix::sys::signal::Signal;

use crate::home::{Ended, Home, Running};

/// A home whose engine runs images' commands on the host, and mounts `data` where the document has the claim.
fn home() -> Home {
    let home = Home::new();
    std::fs::create_dir(home.file("data")).unwrap();
    home.ok(&["up", "--images=host", "--claim", "ntuples-claim=data"]);
    home
}

fn line<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["submit", "--k8s-image", "fit:1", "--local", "--memory", "10"];
    line.extend(more);
    line
}

fn submit(home: &Home, more: &[&str]) -> Ended {
    home.windlass(&line(more))
}

/// The lines of a file in the claim.
fn data(home: &Home, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(home.file("data").join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn has(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
    }
}

#[test]
fn each_line_is_a_job_ntest_stops_and_the_same_again_goes_on() {
    let home = home();
    home.write("one.txt", "# the first file\necho a >> /ntuples/out\n\necho b >> /ntuples/out\n");
    home.write("two.txt", "echo c >> /ntuples/out\nexit 3\n");
    let files = ["--identifier", "My/Run", "--retries", "0", "--file-lines", "one.txt", "two.txt"];
    let first = submit(&home, &[&files[..], &["--ntest", "2", "--wait"]].concat());
    has(&first, 0, &["4 tasks: 2 submitted, 2 not submitted yet", "--identifier My/Run"]);
    assert_eq!(first.stdout, "shj-my-run-00001\nshj-my-run-00002\n");
    let checked = submit(&home, &[&files[..], &["--debug"]].concat());
    assert_eq!(
        (checked.code, &*checked.stdout),
        (Some(0), "shj-my-run-00003\nshj-my-run-00004\n"),
        "{checked:?}"
    );
    // Of what failed too often in its pod Kubernetes deletes the pod, and the code with it.
    let rest = submit(&home, &[&files[..], &["--wait"]].concat());
    has(&rest, 125, &["2 of 4 tasks have a job already: 2 succeeded", "task My/Run_4: shj-my-run-00004: "]);
    assert_eq!(rest.stdout, "shj-my-run-00003\nshj-my-run-00004\n");
    let mut lines = data(&home, "out");
    lines.sort();
    assert_eq!(lines, ["a", "b", "c"]);
    let missing = submit(&home, &[&files[..], &["--checkmissing"]].concat());
    has(&missing, 0, &["3 of 4 tasks are done"]);
    assert_eq!(
        missing.stdout,
        "TASK       STATUS   JOB                NEEDS\nMy/Run_4   failed   shj-my-run-00004\n"
    );
    let again = submit(&home, &files);
    has(&again, 0, &["3 succeeded, 1 failed", "`windlass delete shj-my-run-00004` has it run again"]);
    assert_eq!(again.stdout, "");
}

#[test]
fn the_documents_useful_commands_work_word_for_word() {
    let home = home();
    if home.script("command -v kubectl").code != Some(0) {
        return;
    }
    home.write("lines.txt", "echo hello\necho world\n");
    has(&submit(&home, &["--identifier", "doc", "--file-lines", "lines.txt", "--wait"]), 0, &[]);
    let script = "export KUBECONFIG=$(\"$windlass\" kubeconfig --path)
        kubectl get jobs -l app=submission-helper
        kubectl get pods -l app=submission-helper
        for POD_NAME in $(kubectl get pods -l app=submission-helper -o name); do kubectl logs -f ${POD_NAME#pod/}; done
        kubectl delete jobs -l app=submission-helper
        kubectl get jobs -l identifier=doc_1 -o name";
    let ended = home.script(script);
    let out = &ended.stdout;
    for part in ["shj-doc-00001 ", "shj-doc-00002-", "hello\n", "world\n", "\"shj-doc-00002\" deleted"] {
        assert!(out.contains(part), "{part:?} in {ended:?}");
    }
    assert!(!out.contains("job.batch/shj-doc-00001\n"), "{ended:?}");
}

const CHAIN: &str = "\
tasks:
- identifier: report
  payload: sort /ntuples/fit.a /ntuples/fit.b > /ntuples/report && echo report >> /ntuples/ran
  outputs: /ntuples/report
  dependencies: [fit a, fit/b]
- identifier: fit a
  payload:
  - set -e
  - cat /ntuples/raw > /ntuples/fit.a
  - echo a >> /ntuples/ran
  inputs: /ntuples/raw
  outputs: [/ntuples/fit.a]
- identifier: fit/b
  payload: echo b > /ntuples/fit.b; echo b >> /ntuples/ran
  outputs: /ntuples/fit.b
  dependencies: fit a
  time: 5
  ncores: 1
";

#[test]
fn tasks_run_in_the_order_of_their_dependencies_and_what_is_up_to_date_is_not_made_again() {
    let home = home();
    std::fs::write(home.file("data").join("raw"), "raw\n").unwrap();
    home.write("tasks.yaml", CHAIN);
    let run =
        |identifier| submit(&home, &["--identifier", identifier, "--task-file", "tasks.yaml", "--wait"]);
    let first = run("one");
    has(&first, 0, &["3 tasks: 3 submitted"]);
    assert_eq!(data(&home, "ran"), ["a", "b", "report"]);
    assert_eq!(data(&home, "report"), ["b", "raw"]);
    let names: Vec<&str> = first.stdout.lines().map(|name| &name[..name.len() - 6]).collect();
    assert_eq!(names, ["shj-fit-a", "shj-fit-b", "shj-report"]);
    // Another batch has jobs of its own, which find that there is nothing to do.
    let second = run("two");
    has(&second, 0, &[]);
    assert_eq!(data(&home, "ran").len(), 3);
    let logs = home.windlass(&["logs", second.stdout.lines().next().unwrap()]);
    assert!(logs.stderr.contains("up to date: /ntuples/fit.a"), "{logs:?}");
    let newer = std::fs::File::options().append(true).open(home.file("data").join("raw")).unwrap();
    let later = std::fs::metadata(home.file("data").join("report")).unwrap().modified().unwrap();
    newer.set_modified(later + std::time::Duration::from_secs(2)).unwrap();
    // What is made of it is older than what it is made of, until the clock has gone on: a and b run, with all that
    // needs them.
    has(&run("three"), 0, &[]);
    assert_eq!(data(&home, "ran")[3..4], ["a"]);
}

#[test]
fn what_needs_a_failed_task_is_left_out_and_named_and_deleting_the_job_has_it_run_again() {
    let home = home();
    let text = CHAIN.replace("cat /ntuples/raw", "cat /ntuples/raw || exit 9; cat /ntuples/raw");
    home.write("tasks.yaml", &text.replace("  inputs: /ntuples/raw\n", ""));
    let line = ["--identifier", "x", "--task-file", "tasks.yaml", "--retries", "0"];
    let ended = submit(&home, &line);
    let parts = [
        "task fit a: shj-fit-a-",
        "failed because its pod ",
        "tasks.yaml:12: task fit/b: is left out: task fit a has failed",
        "tasks.yaml:2: task report: is left out: task fit a has failed",
        "3 tasks: 1 submitted, 1 failed, 2 left out",
    ];
    has(&ended, 125, &parts);
    has(
        &submit(&home, &[&line[..], &["--wait"]].concat()),
        125,
        &["1 of 3 tasks have a job already: 1 failed"],
    );
    home.ok(&["delete", ended.stdout.trim()]);
    std::fs::write(home.file("data").join("raw"), "raw\n").unwrap();
    has(&submit(&home, &[&line[..], &["--wait"]].concat()), 0, &["3 tasks: 3 submitted"]);
}

#[test]
fn only_so_many_are_active_at_a_time() {
    let home = home();
    // Two at a time would find the other's folder.
    let payload = "mkdir /ntuples/lock && sleep 0.05 && rmdir /ntuples/lock && echo x >> /ntuples/ran";
    home.write("lines.txt", &format!("{payload}\n").repeat(6));
    let line = ["--file-lines", "lines.txt", "--maxConcurrent", "1", "--request", "cpu=100m"];
    let ended = submit(&home, &[&line[..], &["--wait"]].concat());
    has(&ended, 0, &["the batch is called ", "6 tasks: 6 submitted"]);
    assert_eq!(data(&home, "ran").len(), 6);
}

#[test]
fn a_command_that_was_killed_goes_on_where_it_was() {
    let home = home();
    home.write(
        "lines.txt",
        "until [ -e /ntuples/go ]; do sleep 0.05; done; echo x >> /ntuples/ran\n".repeat(5).as_str(),
    );
    let args =
        ["--identifier", "k", "--file-lines", "lines.txt", "--max-concurrent", "2", "--request", "cpu=100m"];
    let mut running = Running::start(home.command(&line(&args)));
    running.stdout_has("shj-k-00002");
    running.signal(Signal::SIGKILL);
    running.end();
    let mut running = Running::start(home.command(&line(&[&args[..], &["--wait"]].concat())));
    running.stderr_has("2 of 5 tasks have a job already: 2 active");
    std::fs::write(home.file("data").join("go"), "").unwrap();
    let ended = running.end();
    has(&ended, 0, &["5 tasks: 3 submitted, 2 before"]);
    assert_eq!(data(&home, "ran").len(), 5);
}

#[test]
fn an_interrupt_leaves_the_jobs_and_says_how_to_go_on() {
    let home = home();
    home.write("lines.txt", "sleep 600\nsleep 600\n");
    let args = ["--identifier", "i", "--file-lines", "lines.txt", "--max-concurrent", "1"];
    let mut running = Running::start(home.command(&line(&args)));
    running.stdout_has("shj-i-00001");
    running.signal(Signal::SIGINT);
    let ended = running.end();
    let parts =
        ["interrupted; the jobs go on: 2 tasks: 1 submitted, 1 not submitted yet", "--identifier i goes on"];
    has(&ended, 130, &parts);
    assert_eq!(home.ok(&["list", "-o", "name"]), "shj-i-00001\n");
}

#[test]
fn what_a_job_waits_for_in_vain_is_told_while_the_command_waits() {
    let home = Home::new();
    home.ok(&["up"]);
    home.write("lines.txt", "true\ntrue\n");
    let args = ["--identifier", "w", "--file-lines", "lines.txt", "--max-concurrent", "1"];
    let mut running = Running::start(home.command(&line(&args)));
    // This engine runs no images.
    running.stderr_has("task w_1: shj-w-00001: blocked by ");
    running.signal(Signal::SIGINT);
    has(&running.end(), 130, &["2 tasks: 1 submitted, 1 not submitted yet"]);
}

#[test]
fn what_is_here_and_up_to_date_gets_no_job() {
    let home = home();
    home.write("in", "");
    home.write("out", "");
    let tasks = "- {identifier: made, payload: exit 9, inputs: in, outputs: out}\n\
                 - {identifier: next, payload: 'true', dependencies: made}\n";
    home.write("tasks.yaml", tasks);
    let ended = submit(&home, &["--identifier", "h", "--task-file", "tasks.yaml", "--wait"]);
    has(&ended, 0, &["task made: up to date", "2 tasks: 1 submitted, 1 before"]);
}

#[test]
fn mistakes_name_file_and_line_and_submit_nothing() {
    let home = Home::new();
    let circle =
        "- {identifier: a, payload: x, dependencies: b}\n- {identifier: b, payload: x, dependencies: a}\n";
    home.write("circle.yaml", circle);
    home.write(
        "unknown.yaml",
        "- identifier: fit\n  payload: x\n- {identifier: b, payload: x, dependencies: fti}\n",
    );
    home.write(
        "twice.yaml",
        "- {identifier: a, payload: x, outputs: o}\n- {identifier: b, payload: x, outputs: o}\n",
    );
    home.write("empty.txt", "# nothing\n");
    let cases: [(&[&str], &str); 8] = [
        (&["--task-file", "circle.yaml"], "circle.yaml:1:3: dependencies: go in a circle: a needs b needs a"),
        (
            &["--task-file", "unknown.yaml"],
            "unknown.yaml:3:45: dependencies: there is no task fti; did you mean fit?",
        ),
        (&["--task-file", "twice.yaml"], "twice.yaml:2:3: outputs: o is made by task a in line 1, too"),
        (&["--file-lines", "empty.txt"], "empty.txt: holds no line with a payload"),
        (&["--file-lines", "nothing.txt"], "nothing.txt: No such file"),
        (&["--ntest", "3", "--", "true"], "belong to --file-lines or --task-file"),
        (&["--task-file", "twice.yaml", "--id", "x"], "--id: is one job's"),
        (&["--task-file", "twice.yaml", "--check-missing"], "--identifier: is missing"),
    ];
    for (more, message) in cases {
        let ended = submit(&home, more);
        has(&ended, 125, &[message]);
        assert_eq!(ended.stdout, "");
    }
    let ended = home.windlass(&["submit", "--file-lines", "empty.txt"]);
    has(&ended, 125, &["--k8s-image"]);
    assert!(!home.state().join("lock").exists(), "no engine was started");
}
