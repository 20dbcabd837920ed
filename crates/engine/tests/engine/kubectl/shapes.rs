//! What is shown, and in what shape; what is set on a template; what kubectl does by itself; what this Kubernetes has not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use super::streams::{minor, run_pod};
use super::{Kubectl, text};

pub(super) fn all(kubectl: &Kubectl) {
    shown(kubectl);
    described(kubectl);
    set(kubectl);
    made(kubectl);
    restarted(kubectl);
    by_itself(kubectl);
    not_here(kubectl);
}

/// A Job and a ConfigMap, looked at in every shape.
fn shown(kubectl: &Kubectl) {
    kubectl.ok_args(&["create", "job", "shown", "--image=any", "--", "echo", "said"]);
    kubectl.ok("wait --for=condition=complete job/shown --timeout=180s");
    let whole: serde_json::Value = serde_json::from_str(&kubectl.ok("get job shown -o json")).expect("JSON");
    assert_eq!((&whole["kind"], &whole["status"]["succeeded"]), (&"Job".into(), &1.into()), "{whole}");
    let columns = kubectl.ok("get jobs shown -o custom-columns=NAME:.metadata.name,DONE:.status.succeeded");
    let words: Vec<&str> = columns.split_whitespace().collect();
    assert_eq!(words, ["NAME", "DONE", "shown", "1"]);
    assert_eq!(kubectl.ok("get job shown -o go-template={{.status.succeeded}}"), "1");
    assert_eq!(kubectl.ok("get job shown -o jsonpath={.status.succeeded}"), "1");
    assert_eq!(kubectl.ok("get job/shown -o name").trim(), "job.batch/shown");
    assert!(kubectl.ok("get jobs --show-labels -L job-name").contains("batch.kubernetes.io/job-name=shown"));
    let pages = kubectl.ok("get pods -l job-name=shown --chunk-size=1 --no-headers -o wide");
    assert_eq!(pages.lines().count(), 1, "{pages}");
    let mixed = kubectl.ok("get jobs,pods,nodes,namespaces,quota,limits,leases,pc,sc,pvc,pv,sa");
    for name in ["job.batch/shown", "node/windlass", "namespace/kube-system", "serviceaccount/default"] {
        assert!(mixed.contains(name), "no {name} in {mixed}");
    }
    let job = kubectl.ok("get job shown -o jsonpath={.spec.template.spec.containers[0].command}");
    assert_eq!(job, r#"["echo","said"]"#);
    kubectl.ok("delete job shown --wait=false");
    kubectl.ok("wait --for=delete job/shown --timeout=180s");
}

fn described(kubectl: &Kubectl) {
    let node = kubectl.ok("describe node windlass");
    assert!(node.contains("Allocatable:") && node.contains("Non-terminated Pods:"), "{node}");
    for (what, word) in [
        ("namespace default", "Active"),
        ("serviceaccount default", "Image pull secrets:"),
        ("configmap kube-root-ca.crt", "BEGIN CERTIFICATE"),
        ("storageclass", "IsDefaultClass:"),
    ] {
        let told = kubectl.ok(&format!("describe {what}"));
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    let schedule = kubectl.ok("explain cronjob.spec.schedule");
    assert!(schedule.contains("Five cron fields") && !schedule.contains("<empty>"), "{schedule}");
    assert!(!kubectl.ok("explain pod.spec").contains("<no description>"));
    assert!(kubectl.ok("explain pod.spec.containers --recursive").contains("volumeMounts"));
    assert!(kubectl.ok("api-resources --verbs=delete --namespaced=true -o name").contains("jobs.batch"));
    assert!(kubectl.ok("get --raw /apis/batch/v1").contains("cronjobs/status"));
}

/// `kubectl set` on a template that may be changed: a CronJob's.
fn set(kubectl: &Kubectl) {
    kubectl.ok_args(&["create", "cronjob", "set", "--image=any", "--schedule=0 3 * * *", "--", "date"]);
    kubectl.ok("set image cronjob/set set=other:2");
    kubectl.ok("set env cronjob/set COLOUR=red");
    assert!(kubectl.ok("set env cronjob/set --list").contains("COLOUR=red"));
    kubectl.ok("set resources cronjob/set --limits=cpu=200m,memory=64Mi --requests=cpu=100m");
    kubectl.ok("set serviceaccount cronjob/set default");
    let spec = kubectl.ok("get cronjob set -o jsonpath={.spec.jobTemplate.spec.template.spec}");
    let spec: serde_json::Value = serde_json::from_str(&spec).expect("JSON");
    let container = &spec["containers"][0];
    assert_eq!((&container["image"], &container["env"][0]["value"]), (&"other:2".into(), &"red".into()));
    assert_eq!(container["resources"]["limits"]["memory"], "64Mi", "{container}");
    assert_eq!(
        (&container["resources"]["requests"]["cpu"], &spec["serviceAccountName"]),
        (&"100m".into(), &"default".into())
    );
    kubectl.ok("delete cronjob set");
}

/// The small generators, what is tried only, and what is replaced whole or by its overlay.
fn made(kubectl: &Kubectl) {
    kubectl.ok("create priorityclass urgent --value=1000 --description=first");
    assert!(kubectl.ok("describe priorityclass urgent").contains("first"));
    assert!(kubectl.ok("get priorityclass urgent").contains("1000"));
    kubectl.ok("delete priorityclass urgent");
    kubectl.ok("create serviceaccount robot");
    assert_eq!(kubectl.ok("create token robot --duration=10m").trim().matches('.').count(), 2);
    kubectl.ok("delete serviceaccount robot");
    let printed = kubectl.ok("create job tried --image=any --dry-run=client -o yaml");
    assert!(
        printed.contains("kind: Job") && kubectl.fails("get job tried").contains("not found"),
        "{printed}"
    );
    let folder = kubectl.home.join("overlay");
    std::fs::create_dir(&folder).expect("a directory");
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    file("kustomization.yaml", "resources: [map.yaml]\nnamePrefix: over-\n");
    file("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: laid}\ndata: {a: '1'}\n");
    let folder = folder.display().to_string();
    kubectl.ok(&format!("apply -k {folder}"));
    assert!(kubectl.ok("apply view-last-applied configmap/over-laid").contains("over-laid"));
    let uid = kubectl.ok("get configmap over-laid -o jsonpath={.metadata.uid}");
    kubectl.ok(&format!("replace --force -k {folder}"));
    assert_ne!(kubectl.ok("get configmap over-laid -o jsonpath={.metadata.uid}"), uid, "it was made anew");
    let (code, _, stderr) =
        piped(kubectl, &["delete", "-f", "-"], &kubectl.ok(&format!("kustomize {folder}")));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(kubectl.ok("auth can-i delete nodes --all-namespaces").trim(), "yes");
    if minor(kubectl) < 28 {
        // It asks in a version that upstream does not serve any more.
        assert!(kubectl.fails("auth whoami").contains("not enabled"));
    }
}

fn piped(kubectl: &Kubectl, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = kubectl.command(arguments);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("kubectl starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it is read");
    let output = child.wait_with_output().expect("kubectl ends");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A container that fails once: what its last run said, and what the present one says.
fn restarted(kubectl: &Kubectl) {
    let mark = kubectl.home.join("once").display().to_string();
    let script =
        format!("if test -e {mark}; then echo second; exec sleep 600; fi; touch {mark}; echo first; exit 1");
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: again}}\nspec:\n  restartPolicy: OnFailure\n  containers:\n  \
         - {{name: main, image: any, command: [sh, -c, {script:?}]}}\n"
    );
    kubectl.ok(&format!("create -f {}", kubectl.file("again.yaml", &pod)));
    kubectl.ok("wait --for=jsonpath={.status.containerStatuses[0].restartCount}=1 pod/again --timeout=180s");
    kubectl.ok("wait --for=condition=ready pod/again --timeout=180s");
    assert_eq!(kubectl.ok("logs again --previous"), "first\n");
    let mut followed = kubectl.start("logs again -f --since-time=2020-01-01T00:00:00Z");
    let mut said = BufReader::new(followed.stdout.take().expect("a pipe")).lines();
    assert_eq!(said.next().expect("a line").expect("text"), "second");
    kubectl.ok("delete pod again --now");
    assert!(said.next().is_none(), "the log ends with the pod");
    assert!(followed.wait().expect("kubectl ends").success());
}

/// What kubectl does on its own side, and through its proxy.
fn by_itself(kubectl: &Kubectl) {
    assert!(kubectl.ok("config view --minify").contains("server: https://127.0.0.1:"));
    assert_eq!(kubectl.ok("config current-context").trim(), "windlass");
    assert!(kubectl.ok("config get-contexts").contains("windlass"));
    assert!(kubectl.ok("version -o json").contains("serverVersion"));
    let mut proxy = kubectl.start("proxy --port=0");
    let mut said = BufReader::new(proxy.stdout.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says where it serves");
    let address = line.trim().rsplit(' ').next().expect("an address");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let path = "/apis/batch/v1/namespaces/default/jobs";
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("200 OK") && answer.contains("JobList"), "{answer}");
    proxy.kill().expect("it was running");
    proxy.wait().expect("it is gone");
}

/// Each says what there is not, and none waits for it.
fn not_here(kubectl: &Kubectl) {
    run_pod(kubectl, "plain", "stdin: false", "exec sleep 600");
    for (command, said) in [
        ("top nodes", "Metrics API not available"),
        ("rollout status job/plain", ""),
        ("rollout restart pod/plain", "restarting is not supported"),
        ("scale job/plain --replicas=2", ""),
        ("autoscale job/plain --max=2", ""),
        ("expose pod plain --port=80", ""),
        // It asks for kinds of long-running workloads, of which there are none here.
        ("cluster-info dump", "could not find the requested resource"),
        ("certificate approve someone", "doesn't have a resource type"),
        ("debug plain --image=any", "ephemeral containers are not served"),
        ("create role any --verb=get --resource=pods", "its three roles, which are fixed"),
        ("create clusterrolebinding any --clusterrole=view --user=me", "its three roles, which are fixed"),
        ("create poddisruptionbudget any --min-available=1 --selector=a=b", "cannot be written"),
        ("create ingress any --rule=a/b=c:80", "could not find the requested resource"),
    ] {
        let told = kubectl.fails(command);
        assert!(!told.trim().is_empty() && told.contains(said), "{command}: {told}");
    }
    kubectl.ok("delete pod plain --now");
}
