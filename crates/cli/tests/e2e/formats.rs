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
        "run",
        "--local",
        "--run-id",
        "My_Run",
        "-f",
        "config.yaml",
        "--",
        "sh",
        "-c",
        "echo $MAGNUS_PRM_x",
    ]);
    command.env("MAGNUS_PRM_X", "[1, true]");
    let ended = crate::home::finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "[1, true]\n"), "{ended:?}");
    for part in
        ["config.yaml: read as a magnus configuration", "\"My_Run\" is called my-run", "60 s after its end"]
    {
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
    home.executable("magnus", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    let path = format!("PATH={}:/usr/bin:/bin", home.file("").display());
    let ended = home.windlass(&[
        "run",
        "--local",
        "-e",
        &path,
        "-f",
        "config.yaml",
        "--function",
        "fit.run",
        "--tag",
        "a b",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let words: Vec<&str> = ended.stdout.lines().collect();
    let name = words[1];
    assert!(name.starts_with("fit-run-"), "{ended:?}");
    let rest = [
        "--log-level",
        "WARNING",
        "fit.run",
        "--config-file",
        "config.yaml",
        "--tag",
        "a b",
        "--data-folder",
        "data/",
    ];
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
    home.write(
        "config.yaml",
        &format!("{MAGNUS}    config_path: {}\n    namespace: lab\n", kubeconfig.trim()),
    );
    let dry = |words: &[&str]| {
        let line =
            [&["submit", "--dry-run", "-o", "json", "-f", "config.yaml"], words, &["--", "true"]].concat();
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
    let text = format!(
        "{MAGNUS}    memroy_limit: 1G\n    memory_limit: 2 GB\n    secrets_from_k8s: {{A: secret}}\n"
    );
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
        "run",
        "--job-spec-file",
        "job_spec.yaml",
        "--image",
        "registry.example/flows:3",
        "--unique-name",
        "--id",
        "abc-12345678",
        "--flow-run-id",
        "run-7",
        "-e",
        "MY_ENV=bar",
        "-e",
        "MORE=1",
        "--",
        "sh",
        "-c",
        "echo \"$1 $MY_ENV $MORE\"",
        "x",
        "a  b",
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
            &[
                "submit",
                "--dry-run",
                "-o",
                "json",
                "--job-spec-file",
                "job_spec.yaml",
                "--image",
                "i",
                "-e",
                "A=1",
            ],
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

/// The chapter's first manifest, as it is printed there.
const ONESHOT: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: oneshot
spec:
  template:
    spec:
      containers:
      - name: kuard
        image: gcr.io/kuar-demo/kuard-amd64:blue
        imagePullPolicy: Always
    args:
    - \"--keygen-enable\"
    - \"--keygen-exit-on-complete\"
    restartPolicy: OnFailure
";

#[test]
fn the_books_broken_manifests_are_refused_with_the_corrected_text_and_that_is_taken() {
    let home = Home::new();
    home.write("job-oneshot.yaml", ONESHOT);
    let ended = home.windlass(&["submit", "-f", "job-oneshot.yaml"]);
    let parts = [
        "job-oneshot.yaml:12:5: spec.template.args: is at the wrong level",
        "job-oneshot.yaml:15:5: spec.template.restartPolicy: is at the wrong level",
        "nothing was submitted",
    ];
    refused(&ended, &parts);
    // What is shown is indented as a whole, so it can be copied as it stands.
    let (_, corrected) = ended.stderr.split_once("corrected it reads\n").unwrap();
    let (corrected, _) = corrected.split_once("  nothing was submitted").unwrap();
    home.write("corrected.yaml", corrected);
    let job: Value =
        serde_json::from_str(&home.ok(&["submit", "--dry-run", "-o", "json", "-f", "corrected.yaml"]))
            .unwrap();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "OnFailure");
    assert_eq!(pod["containers"][0]["args"], json!(["--keygen-enable", "--keygen-exit-on-complete"]));

    home.write(
        "cron-job.yaml",
        "apiVersion: batch/v1beta1\n    kind: CronJob\n    metadata:\n      name: example-cron\n",
    );
    let parts = [
        "cron-job.yaml:2:5: ",
        "windlass cron create -f",
        "batch/v1beta1",
        "  apiVersion: batch/v1\n  kind: CronJob\n",
    ];
    refused(&home.windlass(&["submit", "-f", "cron-job.yaml"]), &parts);
}

#[test]
fn a_field_that_only_the_cluster_may_know_is_asked_for_before_anything_is_created() {
    let home = Home::new();
    let job = |name: &str, field: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  template:\n    spec:\n      \
             restartPolicy: Never\n      {field}: 1\n      containers: [{{name: a, image: a}}]\n"
        )
    };
    home.write(
        "jobs.yaml",
        &format!("{}---\n{}", job("good", "activeDeadlineSeconds"), job("bad", "zeppelin")),
    );
    let parts =
        ["jobs.yaml:18: spec.template.spec.zeppelin: is not known", "unknown field", "nothing was submitted"];
    refused(&home.windlass(&["submit", "-f", "jobs.yaml"]), &parts);
    assert_eq!(home.ok(&["list", "-o", "name"]), "");
    home.write("slip.yaml", &job("slip", "restartPolcy"));
    let parts = ["slip.yaml:8:7: spec.template.spec.restartPolcy", "did you mean restartPolicy?"];
    refused(&home.windlass(&["submit", "-f", "slip.yaml"]), &parts);
}

#[test]
fn a_job_file_runs_here_as_if_it_had_been_typed() {
    let home = Home::new();
    let text = "windlass: v1\njobs:\n- name: one\n  command: [sh, -c, 'echo $WHO in $(basename $PWD); test -n \"$HOME\"']\n  \
                env: {WHO: 1.10}\n- command: [sh, -c, exit 3]\n  name: two\n";
    home.write("jobs.yaml", text);
    let ended = home.windlass(&["submit", "--wait", "-f", "jobs.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), "one\ntwo\n"), "{ended:?}");
    assert!(ended.stderr.contains("jobs.yaml: read as a job file"), "{ended:?}");
    let here = home.file("").canonicalize().unwrap();
    let here = here.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(home.ok(&["logs", "one"]), format!("1.10 in {here}\n"));
    home.write("job.yaml", "windlass: v1\ncommand: [echo, file]\n");
    assert_eq!(home.ok(&["run", "-f", "job.yaml"]), "file\n");
    assert_eq!(home.ok(&["run", "-f", "job.yaml", "--", "echo", "typed"]), "typed\n");
    let words = ["submit", "--dry-run", "-o", "json", "-f", "job.yaml", "--image", "i", "--label", "a=b"];
    let job: Value = serde_json::from_str(&home.ok(&words)).unwrap();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!((&pod["containers"][0]["image"], &pod["runtimeClassName"]), (&json!("i"), &Value::Null));
    assert_eq!((&pod["containers"][0]["env"], &job["metadata"]["labels"]["a"]), (&Value::Null, &json!("b")));
}

#[test]
fn a_job_file_with_mistakes_submits_nothing() {
    let home = Home::new();
    home.write(
        "jobs.yaml",
        "windlass: v1\njobs:\n- {name: good, command: [\"true\"]}\n- {name: Bad, comand: x}\n",
    );
    let parts = [
        "jobs.yaml:4:4: jobs[1].name: \"Bad\"",
        "like bad",
        "jobs.yaml:4:15: jobs[1].comand: is not known",
        "did you mean command?",
    ];
    refused(&home.windlass(&["submit", "-f", "jobs.yaml"]), &parts);
    home.write("jobs.yaml", "windlass: v1\ncommand: [a]\ncommand: [b]\n");
    refused(
        &home.windlass(&["submit", "-f", "jobs.yaml"]),
        &["jobs.yaml:3:1: the key command is there twice"],
    );
    let mut bomb = "windlass: v1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 10].join(", ")
        ));
    }
    bomb.push_str(&"# more\n".repeat(750_000));
    home.write("jobs.yaml", &bomb);
    refused(&home.windlass(&["submit", "-f", "jobs.yaml"]), &["jobs.yaml:", "nothing was submitted"]);
    refused(&home.windlass(&["submit", "-f", "nowhere.yaml"]), &["nowhere.yaml: No such file"]);
    assert!(!home.state().join("lock").exists());
}

/// The Jobs of all golden folders, one document each; not those with a field that no Kubernetes has.
fn golden_jobs() -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifest/tests/formats");
    let folders = |path: &std::path::Path| -> Vec<_> {
        let mut found: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    let cases = folders(&root).into_iter().flat_map(|format| folders(&format));
    let texts = cases.filter_map(|case| std::fs::read_to_string(case.join("job.yaml")).ok());
    let known: Vec<String> = texts.filter(|text| !text.contains("futureField")).collect();
    // What an array has beside its Job is not for `submit -f`.
    let known = known.iter().flat_map(|text| text.split("---\n")).filter(|text| text.contains("kind: Job\n"));
    let known: Vec<&str> = known.collect();
    assert!(known.len() > 5, "{}", known.len());
    // The namespaces of their users are not here, and an architecture stands for that of whoever builds.
    let text = known.join("---\n").replace("\n  namespace: research\n", "\n");
    text.replace("\"the helper's\"", "amd64").replace("the helper's", "amd64")
}

#[test]
fn the_server_accepts_every_job_that_the_readers_make() {
    let home = Home::new();
    let text = golden_jobs();
    home.write("golden.yaml", &text);
    let names = home.ok(&["submit", "--dry-run", "-f", "golden.yaml"]);
    assert_eq!(names.lines().count(), text.matches("kind: Job\n").count(), "{names}");
}
