//! Files in the formats of other systems, as their users write them: what is created, what runs, what is refused.

use serde_json::{Value, json};

use crate::home::{Ended, Home};

const MAGNUS: &str = "executor:\n  type: k8s-job\n  config:\n    docker_image: registry.example/fit:1\n";

/// A home whose engine runs images' commands on the host.
fn images_on_the_host() -> Home {
    let home = Home::new();
    home.ok(&["up", "--images=host"]);
    home
}

fn object(home: &Home, name: &str) -> Value {
    let shown: Value = serde_json::from_str(&home.ok(&["show", name, "-o", "json"])).unwrap();
    shown["job"].clone()
}

#[track_caller]
fn refused(ended: &Ended, parts: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

#[test]
fn a_magnus_configuration_runs_a_command_to_its_end() {
    let home = images_on_the_host();
    home.write("config.yaml", &format!("{MAGNUS}    labels: {{team: physics}}\n    cpu_limit: 100m\n"));
    let mut command = home.command(&[
        "run", "--run-id", "My_Run", "-f", "config.yaml", "--", "sh", "-c", "echo $MAGNUS_PRM_x; exit 3",
    ]);
    command.env("MAGNUS_PRM_X", "[1, true]");
    let ended = crate::home::finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), "[1, true]\n[1, true]\n[1, true]\n"), "{ended:?}");
    for part in ["config.yaml: read as a magnus configuration", "\"My_Run\" is called my-run", "60 s after its end"] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    let job = object(&home, "my-run");
    assert_eq!(job["metadata"]["labels"]["team"], "physics");
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job_name"], "My_Run");
    assert_eq!(job["spec"]["backoffLimit"], 2);
}

#[test]
fn a_magnus_function_is_run_by_magnus_own_command_under_the_jobs_name() {
    let home = images_on_the_host();
    home.write("config.yaml", &format!("{MAGNUS}    cpu_limit: 100m\n"));
    // What stands in for magnus in the image.
    let bin = home.write("magnus", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    assert_eq!(home.script(&format!("chmod +x {}", bin.display())).code, Some(0));
    let path = format!("PATH={}:/usr/bin:/bin", home.file("").display());
    let ended = home.windlass(&["run", "-e", &path, "-f", "config.yaml", "--function", "fit.run", "--tag", "a b"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let words: Vec<&str> = ended.stdout.lines().collect();
    let name = words[1];
    assert!(name.starts_with("fit-run-"), "{ended:?}");
    let rest = ["--log-level", "WARNING", "fit.run", "--config-file", "config.yaml", "--tag", "a b", "--data-folder", "data/"];
    assert_eq!((words[0], &words[2..]), ("execute_nb_or_func", &rest[..]));
    assert_eq!(object(&home, name)["metadata"]["labels"]["job_name"], name);
}

#[test]
fn a_magnus_kubeconfig_that_is_not_there_is_an_error_unless_this_machine_is_asked_for() {
    let home = Home::new();
    home.write("config.yaml", &format!("{MAGNUS}    config_path: ~/nowhere.yaml\n"));
    let line = ["submit", "-f", "config.yaml", "--", "true"];
    refused(&home.windlass(&line), &["nowhere.yaml: no such file", "--local"]);
    assert!(!home.state().join("lock").exists(), "no engine was started for it");
    let name = home.ok(&[&["--local"], &line[..]].concat());
    assert!(name.starts_with("true-"), "{name}");
}

#[test]
fn a_magnus_configuration_names_the_cluster_and_the_namespace() {
    let home = Home::new();
    home.ok(&["up"]);
    let kubeconfig = home.ok(&["kubeconfig", "--path"]);
    home.write("config.yaml", &format!("{MAGNUS}    config_path: {}\n    namespace: lab\n", kubeconfig.trim()));
    let dry = |words: &[&str]| {
        let line = [&["submit", "--dry-run", "-o", "json", "-f", "config.yaml"], words, &["--", "true"]].concat();
        home.windlass(&line)
    };
    let ended = dry(&["-n", "default"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let job: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(job["metadata"]["namespace"], "default", "the namespace that was typed goes over the file's");
    refused(&dry(&[]), &["lab"]);
}

#[test]
fn a_magnus_configuration_with_mistakes_submits_nothing_and_names_them_all() {
    let home = Home::new();
    let text = format!("{MAGNUS}    memroy_limit: 1G\n    memory_limit: 2 GB\n    secrets_from_k8s: {{A: secret}}\n");
    home.write("config.yaml", &text);
    let ended = home.windlass(&["submit", "-f", "config.yaml", "--", "true"]);
    let parts = [
        "config.yaml:5:5: executor.config.memroy_limit: is not known here; did you mean memory_limit?",
        "config.yaml:6:5: executor.config.memory_limit: \"2 GB\" is no quantity",
        "config.yaml:7:24: executor.config.secrets_from_k8s.A: \"secret\" is not SecretName:Key",
        "nothing was submitted",
    ];
    refused(&ended, &parts);
    home.write("config.yaml", MAGNUS);
    refused(&home.windlass(&["submit", "-f", "config.yaml"]), &["config.yaml", "--function"]);
    refused(&home.windlass(&["run", "--function", "a.b", "--", "true"]), &["--function"]);
    assert!(!home.state().join("lock").exists());
}

const PREFECT: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: my-prefect-job
  labels:
    identifier: \"\"
    flow_run_id: \"\"
spec:
  template:
    metadata:
      labels:
        identifier: \"\"
    spec:
      containers:
      - name: flow-container
        image: \"\"
        command: []
        args: []
        env:
          - name: MY_ENV
            value: foo
";

#[test]
fn a_prefect_job_spec_runs_the_command_in_its_first_container() {
    let home = images_on_the_host();
    home.write("job_spec.yaml", PREFECT);
    let line = [
        "run", "--job-spec-file", "job_spec.yaml", "--image", "registry.example/flows:3", "--unique-name", "--id", "abc-12345678",
        "--flow-run-id", "run-7", "-e", "MY_ENV=bar", "-e", "MORE=1", "--", "sh", "-c", "echo \"$1 $MY_ENV $MORE\"", "x", "a  b",
    ];
    let ended = home.windlass(&line);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "a  b bar 1\n"), "{ended:?}");
    for part in ["job_spec.yaml: read as a Prefect job spec", "has no restartPolicy: Never is taken"] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    let job = object(&home, "my-prefect-job-abc12345");
    for labels in [&job["metadata"]["labels"], &job["spec"]["template"]["metadata"]["labels"]] {
        for (key, value) in [("identifier", "abc-12345678"), ("flow_run_id", "run-7")] {
            assert_eq!(labels[key], value);
            assert_eq!(labels[format!("prefect.io/{key}")], value);
        }
    }
}

#[test]
fn a_prefect_sidecar_gets_the_variables_only_if_asked_for() {
    let home = Home::new();
    home.write("job_spec.yaml", &format!("{PREFECT}      - name: proxy\n        image: proxy:1\n"));
    let made = |words: &[&str]| -> Value {
        let line = [
            &["submit", "--dry-run", "-o", "json", "--job-spec-file", "job_spec.yaml", "--image", "i", "-e", "A=1"],
            words,
            &["--", "flow"],
        ];
        serde_json::from_str(&home.ok(&line.concat())).unwrap()
    };
    let containers = |job: &Value| job["spec"]["template"]["spec"]["containers"].clone();
    let first = containers(&made(&[]));
    assert_eq!(first[0]["env"], json!([{ "name": "MY_ENV", "value": "foo" }, { "name": "A", "value": "1" }]));
    assert_eq!((&first[1]["env"], &first[1]["image"]), (&Value::Null, &json!("proxy:1")));
    let all = containers(&made(&["--env-all"]));
    assert_eq!(all[1]["env"], json!([{ "name": "A", "value": "1" }]));
}

#[test]
fn a_prefect_placeholder_that_nobody_fills_is_refused_with_its_place() {
    let home = Home::new();
    home.write("job_spec.yaml", PREFECT);
    let parts = [
        "job_spec.yaml:16:9: spec.template.spec.containers[0].image: is empty; add --image",
        "job_spec.yaml:17:9: spec.template.spec.containers[0].command: is empty; add -- COMMAND",
    ];
    refused(&home.windlass(&["submit", "--job-spec-file", "job_spec.yaml"]), &parts);
    refused(&home.windlass(&["submit", "--job-spec-file", "nowhere.yaml", "--", "x"]), &["nowhere.yaml"]);
}

#[test]
fn a_manifest_can_be_run_and_of_several_jobs_none() {
    let home = Home::new();
    let job = |name: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec: {{template: {{spec: {{restartPolicy: Never, \
             runtimeClassName: windlass-host, containers: [{{name: a, image: host, command: [echo, {name}]}}]}}}}}}\n"
        )
    };
    home.write("one.yaml", &job("one"));
    let ended = home.windlass(&["run", "-f", "one.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "one\n"), "{ended:?}");
    assert!(ended.stderr.contains("one.yaml: read as a Kubernetes manifest"), "{ended:?}");
    let ended = home.windlass(&["run", "--name", "other", "-f", "one.yaml", "--", "echo", "changed"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "changed\n"), "{ended:?}");
    home.write("two.yaml", &format!("{}---\n{}", job("two"), job("three")));
    refused(&home.windlass(&["run", "-f", "two.yaml"]), &["holds 2 jobs", "windlass submit --wait -f"]);
    assert!(!home.ok(&["list", "-o", "name"]).contains("two"));
}
