//! The node, closed and opened again: cordoned, drained, tainted.

use super::Kubectl;
use super::streams::run_pod;

pub(super) fn all(kubectl: &Kubectl) {
    run_pod(kubectl, "moves", "stdin: false", "exec sleep 600");
    kubectl.ok("cordon windlass");
    assert!(kubectl.ok("get nodes -o wide").contains("SchedulingDisabled"));
    let told = kubectl.ok("drain windlass --force --ignore-daemonsets --delete-emptydir-data --timeout=180s");
    assert!(told.contains("pod/moves evicted") && told.contains("node/windlass drained"), "{told}");
    assert!(kubectl.fails("get pod moves").contains("not found"));
    waits_for(kubectl, "closed", "uncordon windlass");
    kubectl.ok("taint nodes windlass held=yes:NoSchedule");
    assert!(kubectl.ok("describe node windlass").contains("held=yes:NoSchedule"));
    waits_for(kubectl, "tainted", "taint nodes windlass held-");
    kubectl.ok("label node windlass colour=red");
    kubectl.ok("annotate node windlass note=here");
    assert!(kubectl.ok("get nodes -l colour=red -o name").contains("node/windlass"));
}

/// A Job that finds no node, and runs when it has been opened.
fn waits_for(kubectl: &Kubectl, name: &str, opens: &str) {
    kubectl.ok_args(&["create", "job", name, "--image=any", "--", "true"]);
    // kubectl does not wait for pods of which there are none yet.
    kubectl.ok(&format!("wait --for=jsonpath={{.status.active}}=1 job/{name} --timeout=180s"));
    kubectl.ok(&format!("wait --for=condition=PodScheduled=false pod -l job-name={name} --timeout=180s"));
    kubectl.ok(opens);
    kubectl.ok(&format!("wait --for=condition=complete job/{name} --timeout=180s"));
    kubectl.ok(&format!("delete job {name}"));
}
