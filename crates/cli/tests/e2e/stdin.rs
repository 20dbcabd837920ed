//! What is piped into `windlass run`, and what is not.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, Running};

#[test]
fn what_was_given_stdin_is_not_submitted_again_without_it() {
    let home = Home::new();
    let ended =
        home.script(r#"echo data | "$windlass" run -q --name sorted -- sort && "$windlass" retry sorted"#);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), "data\n"), "{ended:?}");
    assert!(ended.stderr.contains("sorted: was given stdin"), "{ended:?}");
}

#[test]
fn piped_bytes_reach_the_command_with_their_end() {
    let home = Home::new();
    let ended = home.script(r#"printf 'a\0b\r\nno end' | "$windlass" run -q -- cat; echo "[$?]""#);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("a\0b\r\nno end[0]\n", ""));
    home.write("words", "some words");
    let ended = home.script(r#""$windlass" run -q -- sh -c 'cat; exit 3' < words"#);
    assert_eq!(ended.stdout, "some words");
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[test]
fn twenty_megabytes_of_anything_come_through_whole() {
    let home = Home::new();
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    })
    .take(20 << 20)
    .collect();
    std::fs::write(home.file("big"), &bytes).unwrap();
    let ended = home
        .script(r#"cksum < big; "$windlass" run -q -- cksum < big; cat big | "$windlass" run -q -- cksum"#);
    let sums: Vec<_> = ended.stdout.lines().collect();
    assert!(sums.len() == 3 && sums[0] == sums[1] && sums[1] == sums[2], "{ended:?}");
}

#[test]
fn nothing_costs_nothing() {
    let home = Home::new();
    home.write("empty", "");
    for stdin in ["< /dev/null", "<&-", "< empty", "--no-stdin < main", "< ."] {
        home.write("main", "words");
        let ended = home.script(&format!(r#""$windlass" run -q --name one {stdin} -- cat"#));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{stdin}: {ended:?}");
        assert!(!home.ok(&["show", "one", "-o", "json"]).contains("stdin"), "{stdin}");
        home.ok(&["delete", "one"]);
    }
}

#[test]
fn command_that_has_read_enough_ends_the_writer() {
    let home = Home::new();
    let ended = home.script(r#"yes | "$windlass" run -q -- head -n 2; echo $?"#);
    assert_eq!(ended.stdout, "y\ny\n0\n", "{ended:?}");
}

#[test]
fn pipe_that_nobody_writes_to_or_closes_holds_nothing_up() {
    let home = Home::new();
    let mut running = Running::reading(home.command(&["run", "-q", "--", "echo", "done"]), Stdio::piped());
    let _writer = running.stdin();
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "done\n"), "{ended:?}");
}

#[test]
fn what_is_typed_later_is_passed_on_as_it_comes() {
    let home = Home::new();
    let script = "while read line; do echo \"<$line>\"; done; echo over";
    let mut running =
        Running::reading(home.command(&["run", "-q", "--", "sh", "-c", script]), Stdio::piped());
    let mut writer = running.stdin();
    for word in ["one", "two"] {
        writeln!(writer, "{word}").unwrap();
        running.stdout_has(&format!("<{word}>"));
    }
    drop(writer);
    assert_eq!(running.end().stdout, "<one>\n<two>\nover\n");
}

#[test]
fn loop_that_reads_a_list_needs_no_stdin() {
    let home = Home::new();
    home.write("list", "1\n2\n3\n");
    let ended = home.script(r#"while read x; do "$windlass" run -q --no-stdin -- echo $x; done < list"#);
    assert_eq!(ended.stdout, "1\n2\n3\n", "{ended:?}");
    let ended = home.script(r#"while read x; do "$windlass" run -q -- cat; done < list"#);
    assert_eq!(ended.stdout, "2\n3\n", "as ssh does: {ended:?}");
}

#[test]
fn one_stdin_is_not_shared() {
    let home = Home::new();
    for option in ["--completions 2", "--retries 1", "--indexed --completions 2"] {
        let ended = home.script(&format!(r#"echo | "$windlass" run {option} -- cat"#));
        assert_eq!(ended.code, Some(125), "{ended:?}");
        assert!(ended.stderr.contains("--no-stdin"), "{}", ended.stderr);
        let ended = home.script(&format!(r#"echo | "$windlass" run -q {option} --no-stdin -- cat"#));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn submission_that_was_made_before_gets_no_stdin_again() {
    let home = Home::new();
    let line = r#"echo words | "$windlass" run --id once -- sh -c 'cat; cat > got'"#;
    assert_eq!(home.script(line).stdout, "words\n");
    let again = home.script(line);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "words\n"), "{again:?}");
    assert!(again.stderr.contains("stdin is not passed on again"), "{}", again.stderr);
}

#[test]
fn stdin_that_is_cut_off_is_no_success() {
    let home = Home::new();
    home.ok(&["up"]);
    let file = home.file("result.json");
    let line = [
        "run",
        "--result-file",
        file.to_str().unwrap(),
        "--",
        "sh",
        "-c",
        "read -r line; echo got $line; wc -l",
    ];
    let mut running = Running::reading(home.command(&line), Stdio::piped());
    let mut writer = running.stdin();
    writer.write_all(b"one line\n").unwrap();
    running.stdout_has("got one line");
    let engine = home.engine().unwrap();
    kill(Pid::from_raw(engine), Signal::SIGKILL).unwrap();
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), "got one line\n0\n"), "{ended:?}");
    assert!(ended.stderr.contains("cut off after 9 bytes"), "{}", ended.stderr);
    let result: serde_json::Value = serde_json::from_reader(File::open(file).unwrap()).unwrap();
    assert_eq!((&result["exitCode"], &result["jobs"][0]["exitCode"]), (&125.into(), &0.into()), "{result}");
}

#[test]
fn engine_that_dies_when_all_is_passed_on_changes_nothing() {
    let home = Home::new();
    home.ok(&["up"]);
    let script = "cat; echo up; while ! test -e go; do sleep 0.05; done; exit 6";
    let mut running = Running::reading(home.command(&["run", "--", "sh", "-c", script]), Stdio::piped());
    let mut writer = running.stdin();
    writer.write_all(b"all of it\n").unwrap();
    drop(writer);
    running.stdout_has("up");
    kill(Pid::from_raw(home.engine().unwrap()), Signal::SIGKILL).unwrap();
    home.write("go", "");
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(6), "all of it\nup\n"), "{ended:?}");
}
