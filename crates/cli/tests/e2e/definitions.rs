//! Job definitions, and cleaning up after their jobs.

use serde_json::Value;

use crate::home::{Ended, Home, finish};

const GREET: &str = r#"
- name: greet
  spec: |
    apiVersion: batch/v1
    kind: Job
    metadata:
      name: greet
    spec:
      backoffLimit: {{ retries | default(0) }}
      template:
        spec:
          runtimeClassName: windlass-host
          restartPolicy: Never
          containers:
          - name: main
            image: host
            command: [echo, "hello {{ who }}"]
- name: loop
  spec: "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
- name: elsewhere
  spec_path: elsewhere.yaml
- name: remote
  spec_config_map_name: remote
  spec_config_map_namespace: default
"#;

/// A home with these definitions, and no engine yet.
fn home() -> Home {
    let home = Home::new();
    home.write("definitions.yaml", GREET);
    home
}

/// `windlass` with the variables of k8s-jobs.
fn windlass(home: &Home, args: &[&str]) -> Ended {
    let mut command = home.command(args);
    command.env("JOB_DEFINITIONS_CONFIG_PATH", home.file("definitions.yaml"));
    command.env("JOB_SIGNATURE", "ci").env("JOB_NAMESPACE", "default");
    finish(command)
}

#[track_caller]
fn ok(home: &Home, args: &[&str]) -> String {
    let ended = windlass(home, args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

fn object(home: &Home, name: &str) -> Value {
    let shown: Value = serde_json::from_str(&home.ok(&["show", name, "-o", "json"])).unwrap();
    shown["job"].clone()
}

#[test]
fn definitions_are_listed_shown_and_rendered_without_a_cluster() {
    let home = home();
    home.write("elsewhere.yaml", "{{ one }} {{ two | default(2) }}");
    let list = ok(&home, &["definitions", "list"]);
    for words in ["greet", "retries,who", "elsewhere.yaml", "one,two", "ConfigMap default/remote"] {
        assert!(list.contains(words), "{words} in {list}");
    }
    let json: Value = serde_json::from_str(&ok(&home, &["definitions", "list", "-o", "json"])).unwrap();
    assert_eq!(json["definitions"][0]["variables"], serde_json::json!(["retries", "who"]));
    assert_eq!(ok(&home, &["definitions", "show", "elsewhere"]), "{{ one }} {{ two | default(2) }}");
    assert_eq!(ok(&home, &["definitions", "vars", "greet"]), "retries\nwho\n");
    let args = ["definitions", "render", "greet", "--arg", "who=a: b\n# c", "-o", "json"];
    let job: Value = serde_json::from_str(&ok(&home, &args)).unwrap();
    assert_eq!(job["metadata"]["generateName"], "greet-");
    assert_eq!(job["metadata"]["labels"]["app.kubernetes.io/managed-by"], "ci");
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["command"][1], "hello a: b\n# c");
    assert!(ok(&home, &["definitions", "render", "greet", "--arg", "who=x"]).contains("backoffLimit: 0"));
    assert!(!home.state().join("lock").exists(), "no engine was started");
}

#[test]
fn a_job_of_a_definition_runs_to_its_end() {
    let home = home();
    let ended =
        windlass(&home, &["run", "--definition", "greet", "--arg", "who=world", "--arg-json", "retries=2"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hello world\n"), "{ended:?}");
    let name = home.ok(&["list", "-o", "name", "-l", "job_definition_name=greet"]);
    let name = name.trim();
    assert!(name.starts_with("greet-"), "{name}");
    let job = object(&home, name);
    assert_eq!(job["metadata"]["labels"]["app.kubernetes.io/managed-by"], "ci");
    assert_eq!(job["spec"]["backoffLimit"], 2);
    // What is typed goes over the template, and the same id is the same job.
    let args = [
        "submit",
        "--wait",
        "--id",
        "n1",
        "--definition",
        "greet",
        "--arg",
        "who=x",
        "--label",
        "a=b",
        "--",
        "sh",
        "-c",
        "exit 3",
    ];
    let first = windlass(&home, &args);
    assert_eq!(first.code, Some(3), "{first:?}");
    let again = windlass(&home, &args);
    assert_eq!((again.code, &again.stdout), (Some(3), &first.stdout), "{again:?}");
    assert_eq!(object(&home, first.stdout.trim())["metadata"]["labels"]["a"], "b");
}

#[test]
fn what_is_wrong_names_its_place_and_submits_nothing() {
    let home = home();
    let refused = |args: &[&str], parts: &[&str]| {
        let ended = windlass(&home, args);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, "");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
        }
    };
    let submit = |more: &[&'static str]| [&["submit", "--definition"][..], more].concat();
    refused(
        &submit(&["greet"]),
        &["definitions.yaml:17: the argument \"who\" is missing; add --arg who=VALUE"],
    );
    refused(
        &submit(&["greet", "--arg", "who=x", "--arg", "whom=y"]),
        &["definitions.yaml:2: definition \"greet\" does not use the argument \"whom\"", "did you mean who?"],
    );
    refused(&submit(&["loop"]), &["definitions.yaml:19: the template runs on and on: does it loop?"]);
    refused(&submit(&["gret"]), &["has no definition \"gret\"", "greet, loop, elsewhere, remote"]);
    refused(&submit(&["elsewhere"]), &["elsewhere.yaml: No such file"]);
    refused(&submit(&["greet", "--arg", "who"]), &["--arg: \"who\" is not NAME=VALUE"]);
    refused(&submit(&["greet", "--arg-json", "who={"]), &["--arg-json: who: \"{\" is no JSON"]);
    refused(&submit(&["greet", "--arg", "who=a", "--arg", "who=b"]), &["who is given twice"]);
    refused(&["submit", "--arg", "a=b", "--", "true"], &["--definition: is missing"]);
    refused(&["submit", "--definition", "greet", "-f", "x.yaml"], &["cannot be used with"]);
    refused(&submit(&["greet", "--arg-json", "who=[1]", "--arg", "retries=[x]"]), &["spec.backoffLimit"]);
    let ended = home.windlass(&["definitions", "list"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(
        ended.stderr.contains("add --definitions FILE, or set JOB_DEFINITIONS_CONFIG_PATH"),
        "{}",
        ended.stderr
    );
    home.write("definitions.yaml", "- name: a\n  spec_paht: b\n");
    refused(
        &["definitions", "list"],
        &["definitions.yaml:2:3: [0].spec_paht: is not known here; did you mean spec_path?"],
    );
}

#[test]
fn the_config_file_names_the_definitions_too() {
    let home = home();
    std::fs::create_dir_all(home.state()).unwrap();
    std::fs::write(home.state().join("config.yaml"), "definitions: ../definitions.yaml\n").unwrap();
    assert!(home.ok(&["definitions", "list"]).contains("greet"));
    assert!(home.ok(&["config", "show"]).contains("definitions.yaml"));
    home.ok(&["use", "--local"]);
    assert!(home.ok(&["definitions", "list"]).contains("greet"), "`use` keeps what it does not know");
    home.write("other.yaml", "- name: other\n  spec: x\n");
    assert!(home.ok(&["definitions", "list", "--definitions", "other.yaml"]).contains("other"));
}

#[test]
fn a_template_in_a_config_map_is_taken_from_the_cluster() {
    let home = home();
    let missing = windlass(&home, &["definitions", "vars", "remote"]);
    assert_eq!(missing.code, Some(125), "{missing:?}");
    assert!(missing.stderr.contains("ConfigMap default/remote: is not there"), "{}", missing.stderr);
}

#[test]
fn jobs_that_ended_long_enough_ago_are_cleaned_up_and_no_others() {
    let home = home();
    home.ok(&["run", "--name", "done", "--", "true"]);
    home.ok(&[
        "run",
        "--name",
        "kept",
        "--annotation",
        "job_deletion_time_unix_sec=99999999999",
        "--",
        "true",
    ]);
    home.ok(&["run", "--name", "strange", "--annotation", "job_deletion_time_unix_sec=soon", "--", "true"]);
    // The last: it takes a whole processor, and a machine may have no more.
    home.ok(&["submit", "--name", "busy", "--", "sleep", "600"]);
    let none = home.windlass(&["clean"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "{none:?}");
    assert!(
        none.stderr.contains("strange stays") && none.stderr.contains("longer ago than 1h"),
        "{}",
        none.stderr
    );
    assert_eq!(home.ok(&["clean", "--older-than", "0s", "--dry-run"]), "done\n");
    assert_eq!(home.ok(&["clean", "--older-than", "0s"]), "done\n");
    assert_eq!(home.windlass(&["clean", "--older-than", "soon"]).code, Some(2));
    let left = home.ok(&["list", "-o", "name"]);
    for name in ["busy", "kept", "strange"] {
        assert!(left.contains(name), "{name} in {left}");
    }
}

#[test]
fn a_signature_cleans_up_its_own_jobs() {
    let home = home();
    home.ok(&["run", "--name", "other", "--", "true"]);
    ok(&home, &["run", "--name", "signed", "--definition", "greet", "--arg", "who=x"]);
    assert_eq!(home.ok(&["clean", "--older-than", "0s", "--signature", "nobody"]), "");
    assert_eq!(home.ok(&["clean", "--older-than", "0s", "--signature", "ci"]), "signed\n");
    assert!(home.ok(&["list", "-o", "name"]).contains("other"));
    assert_eq!(home.windlass(&["clean", "--signature", "a b"]).code, Some(125));
}
