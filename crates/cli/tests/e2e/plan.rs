//! What a plan says of a cluster, and a doctor of this machine: nothing is changed, and no engine is started by the latter.

use serde_json::{Value, json};

use crate::home::{Home, finish};

fn kubectl_like(home: &Home, object: &Value) {
    // The engine's kubeconfig has what a plain client needs; `kubectl` is not everywhere.
    home.write("object.json", &object.to_string());
    let script = r#"
        config=$("$windlass" kubeconfig --path)
        kubectl --kubeconfig "$config" apply -f object.json"#;
    let ended = home.script(script);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_plan_of_a_command_is_its_manifest_and_a_line_a_check() {
    let home = Home::new();
    let ended = home.windlass(&["plan", "--name", "fit", "--", "fit", "--all"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("apiVersion: batch/v1\nkind: Job\n"), "{ended:?}");
    for part in [
        "ok       namespace default: is there",
        "ok       right to create jobs: you have it",
        "ok       service account default: is there",
        "ok       runtime class windlass-host: is there",
        "ok       quota: there is none",
        "ok       a node that is large enough: 1 of 1",
        "ok       the server's own trial: it would take the job",
    ] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    assert_eq!(home.ok(&["list", "-o", "name"]), "", "nothing was submitted");
    home.write("job.yaml", &ended.stdout);
    assert_eq!(home.ok(&["submit", "--dry-run", "-f", "job.yaml"]), "fit\n");
}

#[test]
fn what_is_missing_is_told_each_in_a_line_and_ends_with_1() {
    let home = Home::new();
    let words = [
        "--image",
        "Registry/Fit",
        "--env-secret",
        "P=db:password",
        "--env-configmap",
        "H=settings:host",
        "-v",
        "claim/data:/in",
        "--service-account",
        "runner",
        "--pull-secret",
        "registry",
        "--priority-class",
        "high",
        "--queue",
        "team",
        "--gpu",
        "1",
        "--node-selector",
        "disk=ssd",
        "--",
        "fit",
    ];
    let ended = home.windlass(&[&["plan", "-q"][..], &words].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in [
        "problem  image \"Registry/Fit\": has capital letters",
        "problem  secret db: is not there",
        "problem  configmap settings: is not there",
        "problem  claim data: is not there",
        "problem  service account runner: is not there",
        "problem  priority class high: is not there",
        "problem  queue team: is not there, or this cluster has no Kueue",
        "problem  a node that is large enough: none of 1 (1: label disk=ssd is not there)",
    ] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("pull secret"), "a public image needs none: {ended:?}");
    assert!(!ended.stderr.contains("ok "), "only what is wrong is told with -q: {ended:?}");
    let ended = home.windlass(&["plan", "-n", "nowhere", "--", "true"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("namespace nowhere: is not there"), "{ended:?}");
}

#[test]
fn a_job_of_that_name_is_compared() {
    let home = Home::new();
    home.ok(&[
        "submit",
        "-q",
        "--name",
        "fit",
        "--label",
        "team=a",
        "--deadline",
        "1h",
        "--",
        "sleep",
        "600",
    ]);
    let ended = home.windlass(&[
        "plan",
        "--name",
        "fit",
        "--label",
        "team=b",
        "--deadline",
        "1h",
        "--",
        "sleep",
        "5",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.starts_with("# job fit is there; this would differ"), "{ended:?}");
    for part in [
        "metadata.labels.team: \"a\" -> \"b\"\n",
        "spec.template.spec.containers[0].command[1]: \"600\" -> \"5\"\n",
    ] {
        assert!(ended.stdout.contains(part), "{part} in {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("activeDeadlineSeconds"), "{ended:?}");
    assert!(ended.stderr.contains("problem  the server's own trial: "), "{ended:?}");
    let ended = home.windlass(&[
        "plan",
        "-o",
        "json",
        "--name",
        "fit",
        "--label",
        "team=a",
        "--deadline",
        "1h",
        "--",
        "sleep",
        "600",
    ]);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&plan["jobs"][0]["exists"], &plan["jobs"][0]["changes"]), (&json!("fit"), &Value::Null));
}

#[test]
fn keys_that_are_missing_are_named_and_fewer_rights_are_told_as_unknown() {
    let home = Home::new();
    home.ok(&["up"]);
    if finish({
        let mut command = home.program("kubectl");
        command.args(["version", "--client"]);
        command
    })
    .code
        == Some(0)
    {
        kubectl_like(
            &home,
            &json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db" }, "data": { "user": "bWU=" } }),
        );
        let words =
            ["plan", "-q", "--env-secret", "P=db:password", "--env-secret", "U=db:user", "--", "true"];
        let ended = home.windlass(&words);
        assert!(
            ended.code == Some(1) && ended.stderr.contains("problem  secret db: has no key password"),
            "{ended:?}"
        );
    }
    let file = home.file("reader");
    let file = file.to_str().unwrap();
    home.ok(&["kubeconfig", "--role", "read", "--output", file]);
    let ended = home.windlass(&["plan", "--kubeconfig", file, "--env-secret", "P=db:password", "--", "true"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in [
        "problem  right to create jobs: you do not have it",
        "unknown  secret db: not known: you may not get secrets",
    ] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

#[test]
fn the_doctor_starts_no_engine_and_looks_at_one_that_runs() {
    let home = Home::new();
    let said = home.windlass(&["doctor"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for part in [
        "home directory: ",
        "proxy: none is set",
        "user namespaces: ",
        "limits of jobs: ",
        "open files: ",
        "does not run",
    ] {
        assert!(said.stdout.contains(part), "{part} in {}", said.stdout);
    }
    assert!(home.engine().is_none(), "nothing was started for it");
    home.ok(&["up"]);
    let findings: Value = serde_json::from_str(&home.ok(&["doctor", "-o", "json"])).unwrap();
    let of = |what: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["what"] == what);
        found.map(|finding| (finding["level"].as_str().unwrap(), finding["text"].as_str().unwrap()))
    };
    assert_eq!(of("clock"), Some(("ok", "goes as the cluster's")));
    assert!(of("cluster").unwrap().1.starts_with("the engine of this machine answers: Kubernetes v1."));
    assert_eq!(of("right to create jobs"), Some(("ok", "you have it")));
}

#[test]
fn the_doctor_tells_what_is_wrong_with_the_way_out() {
    let home = Home::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\nclusters: [{{name: c, cluster: {{server: \"https://{closed}\"}}}}]\n\
         users: [{{name: u, user: {{token: x.eyJleHAiOjF9.y}}}}]\ncontexts: [{{name: lab, context: {{cluster: c, user: u}}}}]\n"
    );
    let file = home.write("config", &text);
    let mut command = home.command(&["doctor"]);
    command.env("KUBECONFIG", &file).env("https_proxy", "http://me:secret@proxy:3128");
    let ended = finish(command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("problem  cluster: ") && ended.stdout.contains("does not answer"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("proxy:3128") && !ended.stdout.contains("secret"), "{ended:?}");
    let mut command = home.command(&["doctor"]);
    command.env("KUBECONFIG", "/nowhere/config");
    let ended = finish(command);
    assert!(ended.code == Some(1) && ended.stdout.contains("/nowhere/config"), "{ended:?}");
}

#[test]
fn quota_that_leaves_no_room_is_told_before_and_after_the_job_is_sent() {
    let home = Home::new();
    home.ok(&["up"]);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "0"}}});
    kubectl_like(&home, &quota);
    let counted = r#"
        config=$("$windlass" kubeconfig --path)
        kubectl --kubeconfig "$config" wait quota/few --for=jsonpath='{.status.used.pods}'=0 --timeout=180s"#;
    assert_eq!(home.script(counted).code, Some(0));
    let planned = home.windlass(&["plan", "--", "true"]);
    assert_eq!(planned.code, Some(1), "{planned:?}");
    assert!(planned.stderr.contains("quota few: pods: 0 of 0 are used"), "{}", planned.stderr);
    home.ok(&["submit", "--name", "waits", "--", "true"]);
    // The refusal is told a moment after the job has come.
    let told = home
        .script(r#"until "$windlass" why last 2>&1 | grep 'by quota' >told; do sleep 0.2; done; cat told"#);
    let why =
        "blocked by quota \"few\", which will never have room: a pod asks for pods 1, the whole quota is 0";
    assert!(told.stdout.contains(why), "{told:?}");
    let more = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "1"}}});
    kubectl_like(&home, &more);
    assert_eq!(home.windlass(&["wait", "last", "--timeout", "180s"]).code, Some(0));
}
