//! What options make of a command's job and of a manifest; what they refuse, by their names.

use serde_json::{Value, json};

use crate::home::Home;

/// The job that these words would create, as the server sees it.
fn made(home: &Home, words: &[&str]) -> Value {
    let words = [&["submit", "-q", "--dry-run", "-o", "json"], words].concat();
    serde_json::from_str(&home.ok(&words)).unwrap()
}

const OPTIONS: [&str; 34] = [
    "--pull=always",
    "--gpu=2",
    "--request",
    "ephemeral-storage=1Gi",
    "--limit",
    "cpu=2",
    "--volume",
    "claim/data:/in:ro",
    "-v",
    "/srv:/srv",
    "-v",
    "configmap/settings:/etc/app",
    "-v",
    "empty:/scratch",
    "--annotation",
    "example.com/why=because it is = so",
    "--service-account",
    "builder",
    "--pull-secret",
    "registry",
    "--node-selector",
    "disk=ssd",
    "--label",
    "team=vision",
    "-e",
    "A=over",
    "--deadline",
    "1h",
    "--retries",
    "2",
    "--ttl",
    "1d",
    "--name",
    "all",
];

#[track_caller]
fn check(job: &Value) {
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(job["metadata"]["name"], "all");
    assert_eq!(job["metadata"]["annotations"]["example.com/why"], "because it is = so");
    assert_eq!(job["metadata"]["labels"]["team"], "vision");
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["team"], "vision");
    assert_eq!(
        (&job["spec"]["activeDeadlineSeconds"], &job["spec"]["backoffLimit"]),
        (&json!(3600), &json!(2))
    );
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 86400);
    assert_eq!((&container["imagePullPolicy"], &container["image"]), (&json!("Always"), &json!("i")));
    assert_eq!(container["resources"]["limits"], json!({ "cpu": "2", "nvidia.com/gpu": "2" }));
    assert_eq!(container["resources"]["requests"]["ephemeral-storage"], "1Gi");
    assert_eq!(
        container["volumeMounts"],
        json!([
            { "name": "volume-1", "mountPath": "/in", "readOnly": true },
            { "name": "volume-2", "mountPath": "/srv" },
            { "name": "volume-3", "mountPath": "/etc/app" },
            { "name": "volume-4", "mountPath": "/scratch" },
        ])
    );
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "data");
    assert_eq!(
        (&pod["serviceAccountName"], &pod["nodeSelector"]["disk"]),
        (&json!("builder"), &json!("ssd"))
    );
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "registry" }]));
    let env: Vec<_> =
        container["env"].as_array().unwrap().iter().map(|v| (&v["name"], &v["value"])).collect();
    assert!(
        env.contains(&(&json!("A"), &json!("over"))) && env.contains(&(&json!("B"), &json!("from file")))
    );
}

#[test]
fn options_mean_the_same_for_a_command_and_a_manifest() {
    let home = Home::new();
    home.write("vars", "# for both\nA=file\nB=from file\n");
    let mut words = OPTIONS.to_vec();
    words.extend(["--env-file", "vars", "--image", "i"]);
    check(&made(&home, &[&words[..], &["--", "true"]].concat()));
    let manifest = r"{apiVersion: batch/v1, kind: Job, metadata: {generateName: x-}, spec: {template: {spec: {
        restartPolicy: Never, containers: [{name: a, image: other, command: [kept]}]}}}}";
    home.write("job.yaml", manifest);
    let job = made(&home, &[&words[..], &["-f", "job.yaml"]].concat());
    check(&job);
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["command"], json!(["kept"]));
}

#[test]
fn mistakes_are_told_all_at_once_by_the_options_names() {
    let home = Home::new();
    let long = format!("team={}", "x".repeat(64));
    let words = [
        ("--label", long.as_str()),
        ("--name", "Not_A_Name"),
        ("--memory", "lots"),
        ("--gpu", "some"),
        ("--limit", "cpu"),
        ("--volume", "data:/in"),
        ("--annotation", "a b=x"),
        ("--node-selector", "disk=no value"),
        ("--service-account", "No One"),
        ("--deadline", "soon"),
        ("-e", "NOT_SET_HERE"),
    ];
    let mut line = vec!["run"];
    line.extend(words.iter().flat_map(|(option, value)| [*option, *value]));
    line.extend(["--", "true"]);
    let ended = home.windlass(&line);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    for (option, _) in words {
        let option = if option == "-e" { "--env" } else { option };
        assert!(ended.stderr.contains(&format!("{option}: ")), "{option} in {}", ended.stderr);
    }
    assert!(!home.state().join("lock").exists(), "nothing was started for it");
    let ended = home.windlass(&["run", "--env-file", "nowhere", "--", "true"]);
    assert!(ended.code == Some(125) && ended.stderr.contains("--env-file"), "{ended:?}");
}

#[test]
fn a_detached_run_prints_its_name_and_runs_on() {
    let home = Home::new();
    let name = home.ok(&["run", "-d", "--", "sh", "-c", "while ! test -e go; do sleep 0.05; done; exit 3"]);
    home.write("go", "");
    assert_eq!(home.windlass(&["wait", name.trim()]).code, Some(3));
}

#[test]
fn a_job_that_has_ended_is_submitted_again_as_it_was() {
    let home = Home::new();
    let script = "test -e fixed && echo better || exit 4";
    assert_eq!(home.windlass(&["run", "--label", "night=1", "--", "sh", "-c", script]).code, Some(4));
    let first = home.ok(&["list", "-o", "name"]);
    let why = home.ok(&["why", "last"]);
    assert!(why.contains(first.trim()) && why.contains("code 4") && why.contains("windlass logs"), "{why}");
    home.write("fixed", "");
    let ended = home.windlass(&["retry", "--wait", "-l", "night=1"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let second = ended.stdout;
    assert_ne!(second, first);
    assert_eq!(home.ok(&["logs", "last"]), "better\n");
    let object: Value = serde_json::from_str(&home.ok(&["show", "last", "-o", "json"])).unwrap();
    assert_eq!(object["job"]["metadata"]["annotations"]["windlass.dev/retry-of"], first.trim());
    let ended = home.windlass(&["retry", second.trim(), "--wait"]);
    assert_eq!(ended.code, Some(0), "one that is named is submitted again although it succeeded: {ended:?}");
}

#[test]
fn a_cancelled_job_is_submitted_again_as_it_was_before() {
    let home = Home::new();
    home.ok(&["submit", "--name", "long", "--deadline", "1h", "--", "sh", "-c", "test -e go || sleep 600"]);
    let ended = home.windlass(&["retry", "long"]);
    assert!(ended.code == Some(125) && ended.stderr.contains("has not ended"), "{ended:?}");
    home.ok(&["cancel", "--now", "long"]);
    assert_eq!(home.windlass(&["wait", "long"]).code, Some(130));
    home.write("go", "");
    let next = home.ok(&["retry", "-q", "--wait", "long"]);
    assert!(next.starts_with("long-"), "{next}");
    let object: Value = serde_json::from_str(&home.ok(&["show", "last", "-o", "json"])).unwrap();
    assert_eq!(object["job"]["spec"]["activeDeadlineSeconds"], 3600);
}

#[test]
fn labels_name_jobs_for_every_verb() {
    let home = Home::new();
    for name in ["one", "two"] {
        home.ok(&["run", "-q", "--name", name, "--label", "set=a", "--", "echo", name]);
    }
    assert_eq!(home.ok(&["logs", "-q", "-l", "set=a"]), "one\ntwo\n");
    let shown = home.ok(&["show", "-l", "set=a"]);
    assert!(shown.contains("Name:         one\n") && shown.contains("Name:         two\n"), "{shown}");
    let why = home.ok(&["why", "-l", "set=a"]);
    assert!(
        why.contains("one (Succeeded): succeeded\n") && why.contains("two (Succeeded): succeeded\n"),
        "{why}"
    );
    assert_eq!(home.windlass(&["why"]).code, Some(2));
}

#[test]
fn settings_are_told_with_their_origins() {
    let home = Home::new();
    let settings: Value = serde_json::from_str(&home.ok(&["config", "show", "-o", "json"])).unwrap();
    let of = |name: &str| {
        let found = settings.as_array().unwrap().iter().find(|setting| setting["name"] == name);
        found.map(|setting| (setting["value"].as_str().unwrap(), setting["origin"].as_str().unwrap()))
    };
    let state = home.state().display().to_string();
    assert_eq!(of("home"), Some((state.as_str(), "WINDLASS_HOME in the environment")));
    assert_eq!(of("cluster"), Some(("the engine of this machine", "default")));
    let logs = of("log kept of an attempt, by an engine that is started");
    assert_eq!(logs, Some(("64Mi", "default")));
    assert!(home.ok(&["config", "show"]).starts_with("SETTING"));
}
