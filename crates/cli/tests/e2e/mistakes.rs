//! Bad input: each answer names the place, the cause and the way out, and nothing is left behind.

use crate::home::Home;

/// A Job whose pod spec has this.
fn job(name: &str, pod: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  template:\n    spec:\n      \
         runtimeClassName: windlass-host\n      containers: [{{name: main, image: host, command: [\"true\"]}}]\n{pod}"
    )
}

#[test]
fn bad_files_are_refused_with_the_place() {
    let home = Home::new();
    for (text, parts) in [
        (job("a", "      restartPolicy: Never\n      restartPolcy: x\n"), &["restartPolcy"][..]),
        (job("a", ""), &["restartPolicy"]),
        (job("Bad_Name", "      restartPolicy: Never\n"), &["Bad_Name"]),
        ("kind: [".to_owned(), &["jobs.yaml:1"]),
        (String::new(), &["jobs.yaml", "no document"]),
        ("apiVersion: v1\nkind: Pod\n".to_owned(), &["jobs.yaml", "Job"]),
    ] {
        let file = home.write("jobs.yaml", &text);
        let ended = home.windlass(&["submit", "-f", file.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{text}: {ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
        }
    }
    let list = home.windlass(&["list"]);
    assert_eq!((list.code, list.stdout.as_str()), (Some(0), ""));
}

#[test]
fn one_bad_document_keeps_all_of_a_file_out() {
    let home = Home::new();
    let good = job("good", "      restartPolicy: Never\n");
    let bad = job("Bad_Name", "      restartPolicy: Never\n");
    let file = home.write("jobs.yaml", &format!("{good}---\n{bad}"));
    let ended = home.windlass(&["submit", "-f", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    assert_eq!(home.ok(&["list", "-o", "name"]), "");
}

#[test]
fn bad_options_are_refused_before_any_engine_starts() {
    let home = Home::new();
    for line in [
        &["run"][..],
        &["run", "--"],
        &["run", "true"],
        &["run", "--name", "Bad_Name", "--", "true"],
        &["run", "--deadline", "soon", "--", "true"],
        &["submit", "-f", "missing.yaml"],
    ] {
        let ended = home.windlass(line);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{line:?}: {ended:?}");
        assert!(ended.stderr.starts_with("windlass: "), "{line:?}: {}", ended.stderr);
    }
    assert_eq!(home.windlass(&["describe", "x"]).code, Some(2));
    assert!(!home.state().join("lock").exists());
}

#[test]
fn a_job_that_is_not_there_is_named() {
    let home = Home::new();
    for verb in ["show", "logs", "wait", "cancel", "delete"] {
        let ended = home.windlass(&[verb, "nobody"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{verb}: {ended:?}");
        assert!(ended.stderr.contains("nobody"), "{verb}: {}", ended.stderr);
    }
}

#[test]
fn a_full_disk_under_stdout_is_an_error() {
    let home = Home::new();
    let ended = home.script(r#""$windlass" --help > /dev/full"#);
    assert_eq!(ended.code, Some(125), "{ended:?}");
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let home = Home::new();
    home.ok(&["run", "--name", "one", "--", "true"]);
    let ended = home.windlass(&["run", "--name", "one", "--", "false"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("one") && ended.stderr.contains("exists"), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_cut() {
    let home = Home::new();
    let file = home.write("jobs.yaml", &"# a comment\n".repeat(1_400_000));
    let ended = home.windlass(&["submit", "-f", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(125), "{}", ended.stderr);
    assert!(ended.stderr.contains("is longer than"), "{}", ended.stderr);
}
