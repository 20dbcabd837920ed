//! The rest of what users of Jobs type: previews, edits, CronJobs, what is told about objects, waits, three cascades,
//! `run -i --rm`, and what is refused.

use std::io::Write;
use std::process::Stdio;

use super::streams::{minor, run_pod};
use super::{Kubectl, text};

pub(super) fn all(kubectl: &Kubectl) {
    previews(kubectl);
    edits(kubectl);
    crons(kubectl);
    tells(kubectl);
    logs(kubectl);
    waits(kubectl);
    cascades(kubectl);
    runs(kubectl);
    refusals(kubectl);
}

fn map(kubectl: &Kubectl, name: &str, value: &str) -> String {
    let manifest =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n");
    kubectl.file(&format!("{name}-{value}.yaml"), &manifest)
}

/// Nothing is changed by looking at what would be.
fn previews(kubectl: &Kubectl) {
    let (old, new) = (map(kubectl, "seen", "old"), map(kubectl, "seen", "new"));
    assert!(kubectl.ok(&format!("create -f {old} --dry-run=server")).contains("(server dry run)"));
    assert!(kubectl.fails("get configmap seen").contains("not found"));
    kubectl.ok(&format!("apply -f {old}"));
    kubectl.ok(&format!("diff -f {old}"));
    let different = kubectl.output(&["diff", "-f", &new]);
    let said = text(&different.stdout);
    assert!(
        different.status.code() == Some(1) && said.contains("-  key: old") && said.contains("+  key: new"),
        "{said}"
    );
    kubectl.ok(&format!("apply -f {new} --dry-run=server"));
    kubectl.ok(&format!("apply --server-side -f {new} --dry-run=server --force-conflicts"));
    assert_eq!(kubectl.ok("get configmap seen -o jsonpath={.data.key}"), "old");
}

fn edits(kubectl: &Kubectl) {
    let mut edit = kubectl.command(&["edit", "configmap", "seen"]);
    let output = edit.env("KUBE_EDITOR", "sed -i s/old/edited/").output().expect("kubectl starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(kubectl.ok("get configmap seen -o jsonpath={.data.key}"), "edited");
    let replaced = map(kubectl, "seen", "replaced");
    kubectl.ok(&format!("replace -f {replaced}"));
    assert_eq!(kubectl.ok("get configmap seen -o jsonpath={.data.key}"), "replaced");
    kubectl.ok("delete configmap seen");
    let job = kubectl.file(
        "theirs.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: theirs}\nspec:\n  managedBy: example.com/mine\n  \
         template: {spec: {restartPolicy: Never, containers: [{name: c, image: i, command: ['true']}]}}\n",
    );
    kubectl.ok(&format!("create -f {job}"));
    let status = r#"{"status":{"active":1,"ready":0}}"#;
    kubectl.ok_args(&["patch", "job", "theirs", "--subresource=status", "--type=merge", "-p", status]);
    assert_eq!(kubectl.ok("get job theirs -o jsonpath={.status.active}"), "1");
    let said = kubectl.fails("set image job/theirs c=other");
    assert!(said.contains("field is immutable"), "{said}");
    kubectl.ok("delete job theirs");
}

fn crons(kubectl: &Kubectl) {
    kubectl.ok_args(&["create", "cronjob", "nightly", "--image=any", "--schedule=0 3 * * *", "--", "date"]);
    kubectl.ok_args(&["patch", "cronjob", "nightly", "-p", r#"{"spec":{"suspend":true}}"#]);
    let shown = kubectl.ok("get cronjobs");
    assert!(shown.contains("0 3 * * *") && shown.contains("True"), "{shown}");
    kubectl.ok("create job by-hand --from=cronjob/nightly");
    kubectl.ok("wait --for=condition=complete job/by-hand --timeout=180s");
    assert_eq!(
        kubectl.ok("get job by-hand -o jsonpath={.metadata.ownerReferences[0].name}"),
        "nightly",
        "it belongs to the CronJob"
    );
    assert!(kubectl.ok("describe cronjob nightly").contains("0 3 * * *"));
    kubectl.ok("delete cronjob nightly");
    kubectl.ok("wait --for=delete job/by-hand --timeout=180s");
}

fn tells(kubectl: &Kubectl) {
    let job = kubectl.file(
        "told.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: told}\nspec:\n  backoffLimit: 0\n  template: {spec: \
         {restartPolicy: Never, containers: [{name: c, image: i, command: [sh, -c, exit 3]}]}}\n",
    );
    kubectl.ok(&format!("create -f {job}"));
    kubectl.ok("wait --for=condition=failed job/told --timeout=180s");
    let all = kubectl.ok("get all");
    assert!(all.contains("job.batch/told") && all.contains("pod/told-"), "{all}");
    assert!(all.contains("service/kubernetes   ClusterIP   127.0.0.1    <none>"), "{all}");
    assert!(kubectl.ok("get jobs -A").contains("default"));
    assert!(kubectl.ok("get jobs --field-selector=metadata.name=told -o name").trim() == "job.batch/told");
    assert!(kubectl.ok("get pods --field-selector=status.phase=Failed -o name").contains("pod/told-"));
    assert!(kubectl.ok("events --for job/told").contains("SuccessfulCreate"));
    assert!(kubectl.ok("get events --field-selector=involvedObject.name=told").contains("SuccessfulCreate"));
    assert_eq!(kubectl.ok("auth can-i create jobs").trim(), "yes");
    assert!(kubectl.ok("auth can-i --list").contains("*.*"));
    if minor(kubectl) >= 28 {
        assert!(kubectl.ok("auth whoami").contains("Username"));
    }
    assert!(kubectl.ok("api-versions").contains("batch/v1"));
    assert!(kubectl.ok("cluster-info").contains("is running at"));
    assert_eq!(kubectl.ok("get --raw /readyz"), "ok");
    assert!(
        kubectl.ok("get job told -o jsonpath={.spec.template.spec.containers[0].command[2]}") == "exit 3"
    );
    kubectl.ok("delete job told");
}

fn logs(kubectl: &Kubectl) {
    let container = |name: &str| {
        format!("{{name: {name}, image: any, command: [sh, -c, 'echo {name} one; echo {name} two']}}")
    };
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: speaks, labels: {{app: speaks}}}}\nspec:\n  \
         restartPolicy: Never\n  containers: [{}, {}]\n",
        container("left"),
        container("right")
    );
    kubectl.ok(&format!("create -f {}", kubectl.file("speaks.yaml", &pod)));
    kubectl.ok("wait --for=jsonpath={.status.phase}=Succeeded pod/speaks --timeout=180s");
    assert_eq!(kubectl.ok("logs speaks -c right --tail=1"), "right two\n");
    assert_eq!(kubectl.ok("logs speaks -c right --limit-bytes=5"), "right");
    let stamped = kubectl.ok("logs speaks -c left --timestamps --since=1h");
    assert!(stamped.lines().all(|line| line.starts_with("20") && line.contains("Z left ")), "{stamped}");
    assert_eq!(kubectl.ok("logs speaks --all-containers").lines().count(), 4);
    let prefixed = kubectl.ok("logs -l app=speaks --all-containers --prefix");
    assert!(prefixed.contains("[pod/speaks/left] left one"), "{prefixed}");
    let said = kubectl.fails("logs speaks -c left --previous");
    assert!(said.contains("previous terminated container \"left\" in pod \"speaks\" not found"), "{said}");
    kubectl.ok("delete pod speaks --grace-period=0 --force");
}

/// The four forms; `create` is there from 1.31 on.
fn waits(kubectl: &Kubectl) {
    if minor(kubectl) >= 31 {
        let mut child = kubectl.start("wait --for=create configmap/comes --timeout=180s");
        kubectl.ok("create configmap comes");
        assert!(child.wait().expect("kubectl ends").success());
        kubectl.ok("delete configmap comes");
    }
    kubectl.ok("create configmap goes");
    let mut child = kubectl.start("wait --for=delete configmap/goes --timeout=180s");
    kubectl.ok("delete configmap goes");
    assert!(child.wait().expect("kubectl ends").success());
    run_pod(kubectl, "waited", "stdin: false", "exec sleep 600");
    kubectl.ok("wait --for=jsonpath={.status.phase}=Running pod/waited --timeout=180s");
    let said = kubectl.fails("wait --for=condition=DisruptionTarget pod/waited --timeout=0s");
    assert!(said.contains("condition not met") || said.contains("timed out"), "{said}");
    kubectl.ok("delete pod waited --now");
}

fn cascades(kubectl: &Kubectl) {
    for (cascade, left) in [("foreground", false), ("background", false), ("orphan", true)] {
        kubectl.ok_args(&["create", "job", "parent", "--image=any", "--", "true"]);
        kubectl.ok("wait --for=condition=complete job/parent --timeout=180s");
        kubectl.ok(&format!("delete job parent --cascade={cascade}"));
        if left {
            let orphan =
                kubectl.ok("get pods -l job-name=parent -o jsonpath={.items[*].metadata.ownerReferences}");
            assert_eq!(orphan, "", "nobody owns it");
            kubectl.ok("delete pods -l job-name=parent");
        }
        kubectl.ok("wait --for=delete pod -l job-name=parent --timeout=180s");
    }
}

/// As a shell would: what is piped in is read, what it says comes out, its code is kubectl's, and nothing is left.
fn runs(kubectl: &Kubectl) {
    if minor(kubectl) < 29 {
        return;
    }
    let script = "while read line; do echo \"<$line>\"; done; exit 3";
    // Without --command these are arguments for an entrypoint that only the image knows.
    let mut command = kubectl.command(&["run", "once", "--image=any", "--restart=Never", "-i", "--rm", "-q"]);
    command.args(["--", "sh", "-c", script]).env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true");
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("kubectl starts");
    child.stdin.take().expect("a pipe").write_all(b"one\ntwo\n").expect("it is read");
    let output = child.wait_with_output().expect("kubectl ends");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stdout.starts_with("<one>\n<two>\n"), "{stdout}{stderr}");
    assert_eq!(output.status.code(), Some(3), "{stdout}{stderr}");
    assert!(kubectl.fails("get pod once").contains("not found"));
}

fn refusals(kubectl: &Kubectl) {
    assert!(kubectl.fails("top pods").contains("Metrics API not available"));
    run_pod(kubectl, "closed", "stdin: false", "exec sleep 600");
    let said = kubectl.fails("port-forward pod/closed 0:80");
    assert!(said.contains("port-forward is not served: pods here are processes of this machine"), "{said}");
    kubectl.ok("delete pod closed --now");
    let said = kubectl.fails("create service clusterip none --tcp=80:80");
    assert!(said.contains("services are listed only so that clients work"), "{said}");
}
