//! Situations of claims and volumes.

use super::*;
use crate::schedule::Node;

mod place;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn a_claim(class: &str, size: &str) -> Value {
    json!({
        "metadata": {"name": "data", "namespace": "n", "uid": "u1", "finalizers": [CLAIM_FINALIZER]},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": size}},
        },
        "status": {"phase": "Pending"},
    })
}

fn a_volume(name: &str, class: &str, size: &str) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "finalizers": [VOLUME_FINALIZER]},
        "spec": {
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "storageClassName": class, "volumeMode": "Filesystem",
            "capacity": {"storage": size}, "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/srv"},
        },
        "status": {"phase": "Available"},
    })
}

fn class(provisioner: &str, mode: &str) -> Value {
    json!({"metadata": {"name": "c"}, "provisioner": provisioner, "volumeBindingMode": mode, "reclaimPolicy": "Delete"})
}

const CONSUMED: Use = Use { has_consumer: true, is_in_use: false };

/// The node that all but those of `place` are about.
fn here() -> Node {
    let labels = [("kubernetes.io/hostname".to_owned(), "here".to_owned())];
    Node { name: "here".to_owned(), labels: labels.into(), ..Node::default() }
}

fn claim(claim: &Value, volumes: &[Value], classes: &[Value], used: Use, now: jiff::Timestamp) -> ClaimPlan {
    super::claim(claim, volumes, classes, used, &here(), now)
}

fn reason(plan: &ClaimPlan) -> &str {
    plan.events.first().map_or("", |event| event.reason)
}

#[test]
fn claim_gets_the_smallest_volume_that_is_large_enough_and_both_say_so() {
    let volumes = [a_volume("big", "", "9Gi"), a_volume("small", "", "1Gi"), a_volume("right", "", "5Gi")];
    let pending = a_claim("", "2Gi");
    let plan = claim(&pending, &volumes, &[], Use::default(), at(1));
    let (bound, taken) = (plan.claim.unwrap(), plan.volume.unwrap());
    assert_eq!((&bound["spec"]["volumeName"], &bound["status"]["phase"]), (&json!("right"), &json!("Bound")));
    assert_eq!(bound["status"]["capacity"], json!({"storage": "5Gi"}));
    assert_eq!(
        (&taken["spec"]["claimRef"]["uid"], &taken["status"]["phase"]),
        (&json!("u1"), &json!("Bound"))
    );
    assert_eq!(claim(&bound, std::slice::from_ref(&taken), &[], Use::default(), at(2)), ClaimPlan::default());
    assert_eq!(volume(&taken, Some(&bound), false, at(2)), VolumePlan::default());
    assert_eq!(unbound("data", Some(&bound), &[]), None);
}

#[test]
fn volume_of_other_class_modes_labels_or_claim_is_left_alone() {
    let other = |edit: fn(&mut Value)| {
        let mut volume = a_volume("v", "", "5Gi");
        edit(&mut volume);
        volume
    };
    for volume in [
        other(|v| v["spec"]["storageClassName"] = "fast".into()),
        other(|v| v["spec"]["accessModes"] = json!(["ReadOnlyMany"])),
        other(|v| v["spec"]["claimRef"] = json!({"name": "x", "namespace": "n"})),
        other(|v| v["metadata"]["deletionTimestamp"] = json!(at(1))),
        other(|v| v["status"]["phase"] = "Released".into()),
        other(|v| v["spec"]["volumeMode"] = "Block".into()),
    ] {
        let plan = claim(&a_claim("", "1Gi"), &[volume], &[], Use::default(), at(1));
        assert_eq!((plan.claim.as_ref(), reason(&plan)), (None, "FailedBinding"));
    }
    let mut choosy = a_claim("", "1Gi");
    choosy["spec"]["selector"] = json!({"matchLabels": {"disk": "ssd"}});
    let mut labelled = a_volume("ssd", "", "5Gi");
    labelled["metadata"]["labels"] = json!({"disk": "ssd"});
    let plan = claim(&choosy, &[a_volume("v", "", "1Gi"), labelled], &[], Use::default(), at(1));
    assert_eq!(plan.claim.unwrap()["spec"]["volumeName"], "ssd");
}

#[test]
fn volume_that_names_the_claim_is_preferred_and_kept_for_it() {
    let mut named = a_volume("named", "", "9Gi");
    named["spec"]["claimRef"] = json!({"name": "data", "namespace": "n"});
    assert_eq!(volume(&named, None, false, at(1)), VolumePlan::default(), "it waits for its claim");
    let plan = claim(&a_claim("", "1Gi"), &[a_volume("v", "", "1Gi"), named], &[], Use::default(), at(1));
    assert_eq!(plan.claim.unwrap()["spec"]["volumeName"], "named");
}

#[test]
fn local_class_makes_a_volume_when_a_pod_first_uses_the_claim() {
    let classes = [class(PROVISIONER, "WaitForFirstConsumer")];
    let pending = a_claim("c", "1Gi");
    let plan = claim(&pending, &[], &classes, Use::default(), at(1));
    assert_eq!((plan.provision.as_ref(), reason(&plan)), (None, "WaitForFirstConsumer"));
    assert!(
        unbound("data", Some(&pending), &classes)
            .unwrap()
            .contains("didn't find available persistent volumes")
    );
    let plan = claim(&pending, &[], &classes, CONSUMED, at(1));
    let mut made = plan.provision.unwrap();
    assert_eq!(made["metadata"]["name"], "pvc-u1");
    made["status"] = json!({"phase": "Pending"});
    let plan = claim(&pending, &[made], &classes, Use::default(), at(1));
    assert_eq!(plan.claim.unwrap()["status"]["phase"], "Bound");
}

#[test]
fn claim_that_nobody_serves_says_what_it_waits_for() {
    let waits = |name: &str, classes: &[Value]| {
        let plan = claim(&a_claim(name, "1Gi"), &[], classes, CONSUMED, at(1));
        reason(&plan).to_owned()
    };
    assert_eq!(waits("", &[]), "FailedBinding");
    assert_eq!(waits("x", &[]), "ProvisioningFailed");
    assert_eq!(waits("c", &[class("example.com/nfs", "Immediate")]), "ExternalProvisioning");
    let immediate = a_claim("", "1Gi");
    assert_eq!(
        unbound("data", Some(&immediate), &[]).as_deref(),
        Some("pod has unbound immediate PersistentVolumeClaims")
    );
    assert_eq!(unbound("data", None, &[]).as_deref(), Some("persistentvolumeclaim \"data\" not found"));
}

#[test]
fn claim_that_is_used_stays_until_its_pods_have_ended() {
    let mut goes = a_claim("", "1Gi");
    goes["metadata"]["deletionTimestamp"] = json!(at(1));
    let used = Use { is_in_use: true, ..Use::default() };
    assert_eq!(claim(&goes, &[], &[], used, at(2)), ClaimPlan::default());
    let let_go = claim(&goes, &[], &[], Use::default(), at(2)).claim.unwrap();
    assert!(let_go["metadata"]["finalizers"].is_null());
}

#[test]
fn volume_without_its_claim_is_released_and_reclaimed_by_its_policy() {
    let mut bound = a_volume("v", "", "1Gi");
    bound["spec"]["claimRef"] = json!({"name": "data", "namespace": "n", "uid": "u0"});
    bound["status"]["phase"] = "Bound".into();
    let released = volume(&bound, Some(&a_claim("", "1Gi")), true, at(1)).volume.unwrap();
    assert_eq!(released["status"]["phase"], "Released", "another claim of that name is not its own");
    bound["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into();
    let is_left = |volume_: &Value, is_ours| {
        let plan = volume(volume_, None, is_ours, at(1));
        assert_eq!((plan.volume.unwrap()["status"]["phase"].as_str(), plan.remove), (Some("Failed"), false));
    };
    is_left(&bound, true);
    annotate(&mut bound, PROVISIONED_BY, PROVISIONER);
    is_left(&bound, false);
    assert!(volume(&bound, None, true, at(1)).remove);
}

#[test]
fn volume_that_is_deleted_before_its_claim_goes_with_its_directory_once_nobody_keeps_it() {
    let mut going = a_volume("v", "", "1Gi");
    going["spec"]["claimRef"] = json!({"name": "data", "namespace": "n", "uid": "u0"});
    going["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into();
    going["metadata"]["deletionTimestamp"] = json!(at(1));
    going["status"]["phase"] = "Bound".into();
    annotate(&mut going, PROVISIONED_BY, PROVISIONER);
    assert!(volume(&going, None, true, at(1)).remove);
    going["metadata"]["finalizers"] = json!([VOLUME_FINALIZER, "example.com/backup"]);
    let plan = volume(&going, None, true, at(1));
    assert!(!plan.remove);
    assert_eq!(plan.volume.unwrap()["metadata"]["finalizers"], json!(["example.com/backup"]));
    going["metadata"]["finalizers"] = json!([VOLUME_FINALIZER]);
    going["spec"]["persistentVolumeReclaimPolicy"] = "Retain".into();
    let plan = volume(&going, None, true, at(1));
    assert!(!plan.remove && plan.volume.unwrap()["metadata"]["finalizers"].is_null());
}

#[test]
fn claim_that_names_a_volume_is_not_bound_to_one_of_another_mode_or_one_that_goes() {
    let mut picky = a_claim("", "1Gi");
    picky["spec"]["volumeName"] = "v".into();
    let mut block = a_volume("v", "", "1Gi");
    block["spec"]["volumeMode"] = "Block".into();
    let mut going = a_volume("v", "", "1Gi");
    going["metadata"]["deletionTimestamp"] = json!(at(1));
    for volume in [block, going] {
        let plan = claim(&picky, &[volume], &[], Use::default(), at(1));
        assert_eq!((plan.claim.as_ref(), reason(&plan)), (None, "VolumeMismatch"));
    }
    let plan = claim(&picky, &[a_volume("v", "", "1Gi")], &[], Use::default(), at(1));
    assert_eq!(plan.claim.unwrap()["status"]["phase"], "Bound");
}

#[test]
fn claim_whose_volume_is_gone_is_lost() {
    let mut bound = a_claim("", "1Gi");
    bound["spec"]["volumeName"] = "gone".into();
    assert_eq!(claim(&bound, &[], &[], Use::default(), at(1)), ClaimPlan::default(), "it never was there");
    annotate(&mut bound, BIND_COMPLETED, "yes");
    bound["status"]["phase"] = "Bound".into();
    let plan = claim(&bound, &[], &[], Use::default(), at(1));
    assert_eq!(
        (plan.claim.as_ref().unwrap()["status"]["phase"].as_str(), reason(&plan)),
        (Some("Lost"), "ClaimLost")
    );
    assert_eq!(claim(&plan.claim.unwrap(), &[], &[], Use::default(), at(2)), ClaimPlan::default());
}
