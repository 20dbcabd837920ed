//! submission-helper's options, as its users type them.

use crate::home::Home;

const LINE: [&str; 5] = ["--k8s-image", "registry.example/fit:1", "--identifier", "My/Run_1", "--local"];

fn line<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec![verb];
    line.extend(LINE);
    line.extend(more);
    line
}

#[test]
fn payload_runs_through_a_login_shell_and_the_documents_commands_find_it() {
    let home = Home::new();
    home.ok(&["up", "--images=host", "--claim", "ntuples-claim=."]);
    let out = home.ok(&line("submit", &["--memory", "2000", "--", "echo", "$HOME", "&&", "exit 3"]));
    assert_eq!(out.trim(), "shj-my-run-1-00000");
    let job: serde_json::Value = serde_json::from_str(&home.ok(&["show", "-o", "json", "last"])).unwrap();
    let again = home.ok(&line("submit", &["--memory", "2000", "--", "echo", "$HOME", "&&", "exit 3"]));
    assert_eq!(again, out, "the same identifier and payload is the same job: {job}");
    let listed = home.ok(&["list", "-l", "app=submission-helper,identifier=My-Run_1", "-o", "name"]);
    assert_eq!(listed, out);
}

#[test]
fn dry_run_shows_what_is_sent() {
    let home = Home::new();
    let job = home.ok(&line(
        "submit",
        &["--dry-run", "-o", "json", "--memory", "2000", "--ncores", "2", "--time", "90", "--", "./fit a"],
    ));
    let job: serde_json::Value = serde_json::from_str(&job).unwrap();
    let (spec, pod) = (&job["spec"], &job["spec"]["template"]["spec"]);
    assert_eq!((&spec["activeDeadlineSeconds"], &spec["backoffLimit"]), (&5400.into(), &3.into()));
    let container = &pod["containers"][0];
    assert_eq!(container["command"], serde_json::json!(["bash", "-cl", "./fit a"]));
    assert_eq!(
        container["resources"],
        serde_json::json!({"requests": {"cpu": "2", "memory": "2G"}}),
        "2000 MB"
    );
    assert_eq!(
        container["volumeMounts"][0],
        serde_json::json!({"mountPath": "/ntuples", "name": "pvc-sh-vol"})
    );
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "ntuples-claim");
    assert_eq!(pod["imagePullSecrets"][0]["name"], "sh-k8s-registry-secret");
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["app"], "submission-helper");
}

#[test]
fn without_a_kubeconfig_the_error_offers_this_machine() {
    let home = Home::new();
    let ended = home.windlass(&["submit", "--k8s-image", "i", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("--local"), "{}", ended.stderr);
    let ended = home.windlass(&["submit", "--k8s-mount-path", "/data", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("--k8s-image: is missing"), "{}", ended.stderr);
}
