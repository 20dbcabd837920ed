//! `windlass run`: as if the command had run here.

use std::os::unix::fs::PermissionsExt;

use crate::home::Home;

#[test]
fn exit_codes_are_the_commands_own() {
    let home = Home::new();
    let plain = home.write("plain", "not a program");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let plain = plain.to_str().unwrap();
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 124"], 124),
        (&["no-such-program"], 127),
        (&[plain], 126),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
    ] {
        let ended = home.windlass(&[&["run", "--"], command].concat());
        assert_eq!(ended.code, Some(code), "{command:?}: {ended:?}");
    }
}

#[test]
fn stdout_and_stderr_stay_apart_byte_for_byte() {
    let home = Home::new();
    let script = r"printf 'a\0b\r\nno end'; printf 'oops' >&2";
    let ended = home.windlass(&["run", "-q", "--", "sh", "-c", script]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(0), "a\0b\r\nno end", "oops")
    );
}

#[test]
fn a_command_substitution_returns_although_it_started_the_engine() {
    let home = Home::new();
    let ended = home.script(r#"x=$("$windlass" run -- echo hello); echo "[$x]""#);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "[hello]\n"), "{ended:?}");
}

#[test]
fn the_engine_keeps_no_descriptor_of_its_starter() {
    let home = Home::new();
    let ended = home.script(r#"exec 7>held 9<"$windlass"; "$windlass" run -- true"#);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let engine = home.engine().expect("an engine runs");
    let held: Vec<_> = std::fs::read_dir(format!("/proc/{engine}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| *target == home.file("held") || target.ends_with("windlass"))
        .collect();
    assert_eq!(held, Vec::<std::path::PathBuf>::new());
}

#[test]
fn many_first_commands_at_once_share_one_engine() {
    let home = Home::new();
    let running: Vec<_> = (0..6)
        .map(|n| crate::home::Running::start(home.command(&["run", "-q", "--", "echo", &n.to_string()])))
        .collect();
    for (n, running) in running.into_iter().enumerate() {
        let ended = running.end();
        assert_eq!((ended.code, ended.stdout), (Some(0), format!("{n}\n")), "{}", ended.stderr);
    }
}

#[test]
fn the_command_sees_the_callers_directory_and_the_listed_variables_only() {
    let home = Home::new();
    let mut command =
        home.command(&["run", "-q", "-e", "GIVEN=1", "--", "sh", "-c", "pwd; echo $USER $GIVEN $OTHER"]);
    command.env("OTHER", "secret");
    let ended = crate::home::finish(command);
    let dir = home.file("").canonicalize().unwrap();
    assert_eq!(ended.stdout, format!("{}\ntester 1\n", dir.display()), "{ended:?}");
}

#[test]
fn a_deadline_ends_the_job_with_124() {
    let home = Home::new();
    let ended = home.windlass(&["run", "--deadline", "1s", "--", "sleep", "600"]);
    assert_eq!(ended.code, Some(124), "{ended:?}");
}

#[test]
fn retries_run_again_until_it_succeeds() {
    let home = Home::new();
    let script = "echo try >> tries; test $(wc -l < tries) -ge 2";
    let ended = home.windlass(&["run", "--retries", "3", "--", "sh", "-c", script]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(std::fs::read_to_string(home.file("tries")).unwrap().lines().count(), 2);
}

#[test]
fn what_never_starts_ends_with_its_verdict() {
    let home = Home::new();
    let ended = home.windlass(&[
        "run",
        "--give-up-after",
        "1s",
        "--name",
        "boxed",
        "--image",
        "busybox",
        "--",
        "true",
    ]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("image"), "{}", ended.stderr);
    assert!(home.ok(&["list"]).contains("Cancelled"));
}

#[test]
fn a_result_file_tells_a_jobs_125_from_ours() {
    let home = Home::new();
    let file = home.file("result.json");
    let file = file.to_str().unwrap();
    let read = || serde_json::from_slice::<serde_json::Value>(&std::fs::read(file).unwrap()).unwrap();
    let ended = home.windlass(&["run", "--result-file", file, "--", "sh", "-c", "exit 125"]);
    assert_eq!(ended.code, Some(125));
    let result = read();
    assert_eq!(result["exitCode"], 125);
    assert_eq!(result["error"], serde_json::Value::Null);
    assert_eq!(result["jobs"][0]["exitCode"], 125);
    assert_eq!(result["jobs"][0]["cause"]["kind"], "exited");
    let ended = home.windlass(&["run", "--context", "none", "--result-file", file, "--", "true"]);
    assert_eq!(ended.code, Some(125));
    assert!(read()["error"].is_string(), "{}", read());
}

#[test]
fn the_same_submission_id_is_one_job() {
    let home = Home::new();
    let line = ["run", "-q", "--id", "nightly-1", "--", "sh", "-c", "echo once >> runs; echo ran"];
    assert_eq!(home.ok(&line), "ran\n");
    assert_eq!(home.ok(&line), "ran\n");
    assert_eq!(std::fs::read_to_string(home.file("runs")).unwrap(), "once\n");
    let ended = home.windlass(&["run", "--id", "nightly-1", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
}
