//! Variables that the cluster holds, nodes, queues, and jobs that are made from jobs.

use serde_json::{Value, json};

use crate::home::Home;

fn made(home: &Home, words: &[&str]) -> Value {
    let words = [&["submit", "-q", "--dry-run", "-o", "json"], words].concat();
    serde_json::from_str(&home.ok(&words)).unwrap()
}

const OPTIONS: [&str; 10] = [
    "--env-secret=PASSWORD=db:password",
    "--env-configmap=HOST=settings:db.host",
    "--env-from=secret/all",
    "--env-from=configmap/more",
    "--toleration=gpu=yes:NoSchedule",
    "--toleration=spot",
    "--queue=team-a",
    "--image=i",
    "--name=all",
    "--memory=1Gi",
];

#[track_caller]
fn check(job: &Value) {
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["env"],
        json!([
            { "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } },
            { "name": "HOST", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "db.host" } } },
        ])
    );
    assert_eq!(
        container["envFrom"],
        json!([{ "secretRef": { "name": "all" } }, { "configMapRef": { "name": "more" } }])
    );
    assert_eq!(
        pod["tolerations"],
        json!([
            { "key": "gpu", "value": "yes", "effect": "NoSchedule" },
            { "key": "spot", "operator": "Exists" },
        ])
    );
    assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "team-a");
    assert_eq!(container["args"], json!(["--all"]));
    assert_eq!(container["command"], Value::Null);
}

#[test]
fn references_mean_the_same_for_a_command_a_manifest_and_a_job_file() {
    let home = Home::new();
    check(&made(&home, &[&OPTIONS[..], &["--entrypoint", "--", "--all"]].concat()));
    let manifest = "{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {template: {spec: {restartPolicy: Never, \
                    containers: [{name: a, image: other, command: [gone]}]}}}}";
    home.write("job.yaml", manifest);
    check(&made(&home, &[&OPTIONS[..], &["--entrypoint", "-f", "job.yaml", "--", "--all"]].concat()));
    home.write(
        "file.yaml",
        "windlass: v1\nname: all\nimage: i\nentrypoint: true\ncommand: [--all]\nenv-secret: {PASSWORD: db:password}\n\
         env-configmap: {HOST: settings:db.host}\nenv-from: [secret/all, configmap/more]\n\
         toleration: ['gpu=yes:NoSchedule', spot]\nqueue: team-a\n",
    );
    check(&made(&home, &["-f", "file.yaml"]));
    let job = made(&home, &["--image=registry.example/tools/Fit:1.2", "--entrypoint", "--", "x"]);
    assert!(job["metadata"]["name"].as_str().unwrap().starts_with("fit-"), "{job}");
}

#[test]
fn what_could_be_mistaken_for_a_value_is_refused() {
    let home = Home::new();
    let words = [
        ("--env-secret", "PASSWORD=db", "has no key"),
        ("--env-configmap", "settings:host", "is not NAME=VALUE"),
        ("--env-from", "db", "neither secret/NAME"),
        ("--toleration", "gpu:Never", "no effect"),
        ("--queue", "No Queue", "no name of an object"),
        ("--memory", "512", "write it like 512Mi"),
    ];
    let mut line = vec!["submit", "--entrypoint"];
    line.extend(words.iter().flat_map(|(option, value, _)| [*option, *value]));
    line.extend(["--", "true"]);
    let ended = home.windlass(&line);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    for (option, _, reason) in words {
        assert!(
            ended.stderr.contains(&format!("{option}: ")) && ended.stderr.contains(reason),
            "{option} in {}",
            ended.stderr
        );
    }
    assert!(ended.stderr.contains("--entrypoint: is the image's own program"), "{ended:?}");
    assert!(!home.state().join("lock").exists(), "nothing was started for it");
}

#[test]
fn a_job_is_made_from_a_job_with_changes() {
    let home = Home::new();
    let first = home.ok(&[
        "submit",
        "--wait",
        "--label",
        "night=1",
        "--deadline=1h",
        "--",
        "sh",
        "-c",
        "echo ${WHO:-nobody}",
    ]);
    let from = format!("job/{}", first.trim());
    assert_eq!(home.ok(&["run", "--from", &from, "--env", "WHO=you"]), "you\n");
    let job: Value = serde_json::from_str(&home.ok(&["show", "last", "-o", "json"])).unwrap();
    assert_eq!(job["job"]["spec"]["activeDeadlineSeconds"], 3600);
    assert_eq!(job["job"]["metadata"]["labels"]["night"], "1");
    assert_ne!(job["job"]["metadata"]["name"], first.trim());
    assert_eq!(home.ok(&["run", "--from", "job/last", "--", "echo", "other"]), "other\n");
    let piped = home.script(&format!("echo in | \"$windlass\" run --from {from} -- cat"));
    assert_eq!((piped.code, piped.stdout.as_str()), (Some(0), "in\n"), "{piped:?}");
    assert_eq!(home.ok(&["run", "--no-stdin", "--from", "job/last"]), "");
    for (line, part) in [
        (vec!["run", "--from", "job/nothing"], "there is no job"),
        (vec!["run", "--from", "cronjob/nothing"], "there is no CronJob \"nothing\""),
        (vec!["run", "--from", "pod/x"], "neither job/NAME nor cronjob/NAME"),
        (vec!["submit", "--from", &from, "--image", "i"], "is a process of the host"),
    ] {
        let ended = home.windlass(&line);
        assert!(ended.code == Some(125) && ended.stderr.contains(part), "{line:?}: {ended:?}");
    }
}
