//! Volumes that only some nodes reach, classes that serve only some, and claims that ask for what nobody fills in.

use super::*;

/// A volume that the nodes of a term reach.
fn at_nodes(name: &str, terms: &Value) -> Value {
    let mut volume = a_volume(name, "c", "5Gi");
    volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": terms}});
    volume
}

fn hostname(operator: &str, values: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": operator, "values": values}]})
}

const CONFLICT: &str = "1 node(s) didn't match PersistentVolume's node affinity";

#[test]
fn volume_is_reached_from_the_nodes_of_one_of_its_terms() {
    let by_field = json!({"key": "metadata.name", "operator": "In", "values": ["there"]});
    let table = [
        ("no affinity", json!(null), true),
        ("this node", json!([hostname("In", &["here"])]), true),
        ("another node", json!([hostname("In", &["there"])]), false),
        ("another or this", json!([hostname("In", &["there"]), hostname("In", &["here"])]), true),
        ("not this one", json!([hostname("NotIn", &["here"])]), false),
        (
            "a label that it lacks",
            json!([{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]),
            false,
        ),
        ("a term that lists nothing", json!([{}]), false),
        ("no terms", json!([]), false),
        ("fields, which do not count", json!([{"matchFields": [by_field]}]), true),
    ];
    for (what, terms, is_reached) in table {
        let mut volume = at_nodes("v", &terms);
        if terms.is_null() {
            volume["spec"]["nodeAffinity"] = json!({});
        }
        assert_eq!(astray(Some(&volume), &here()), (!is_reached).then_some(CONFLICT), "{what}");
    }
    let gone = "1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
    assert_eq!(astray(None, &here()), Some(gone));
}

#[test]
fn claim_that_waits_for_its_consumer_gets_a_volume_that_the_consumers_node_reaches() {
    let elsewhere = at_nodes("a-there", &json!([hostname("In", &["there"])]));
    let near = at_nodes("b-here", &json!([hostname("In", &["here"])]));
    let classes = [class("kubernetes.io/no-provisioner", "WaitForFirstConsumer")];
    let pending = a_claim("c", "1Gi");
    let plan = claim(&pending, &[elsewhere.clone(), near], &classes, CONSUMED, at(1));
    assert_eq!(plan.claim.unwrap()["spec"]["volumeName"], "b-here");
    let alone = std::slice::from_ref(&elsewhere);
    assert_eq!(claim(&pending, alone, &classes, CONSUMED, at(1)), ClaimPlan::default(), "its pod says why");
    let made = claim(&pending, alone, &[class(PROVISIONER, "WaitForFirstConsumer")], CONSUMED, at(1));
    assert!(made.claim.is_none() && made.provision.is_some(), "{made:?}");
}

#[test]
fn who_does_not_wait_for_a_consumer_or_is_named_by_the_volume_is_bound_wherever_it_is() {
    let elsewhere = at_nodes("there", &json!([hostname("In", &["there"])]));
    let pending = a_claim("c", "1Gi");
    let now = [class("kubernetes.io/no-provisioner", "Immediate")];
    let plan = claim(&pending, std::slice::from_ref(&elsewhere), &now, Use::default(), at(1));
    assert_eq!(plan.claim.unwrap()["spec"]["volumeName"], "there");
    let mut named = elsewhere;
    named["spec"]["claimRef"] = json!({"name": "data", "namespace": "n"});
    let later = [class("kubernetes.io/no-provisioner", "WaitForFirstConsumer")];
    let plan = claim(&pending, &[named], &later, Use::default(), at(1));
    assert_eq!(plan.claim.unwrap()["spec"]["volumeName"], "there");
}

#[test]
fn class_that_serves_other_nodes_makes_nothing_here() {
    let of = |mode: &str, values: &[&str]| {
        let mut class = class(PROVISIONER, mode);
        let requirement = json!({"key": "kubernetes.io/hostname", "values": values});
        class["allowedTopologies"] = json!([{"matchLabelExpressions": [requirement]}]);
        [class]
    };
    let pending = a_claim("c", "1Gi");
    let plan = |classes: &[Value]| claim(&pending, &[], classes, CONSUMED, at(1));
    assert!(plan(&of("WaitForFirstConsumer", &["there", "here"])).provision.is_some());
    assert_eq!(plan(&of("WaitForFirstConsumer", &["there"])), ClaimPlan::default());
    let refused = plan(&of("Immediate", &["there"]));
    assert_eq!((refused.provision.as_ref(), reason(&refused)), (None, "ProvisioningFailed"));
}

#[test]
fn class_whose_volumes_are_made_by_hand_says_so_to_who_does_not_wait_for_a_consumer() {
    let by_hand = [class("kubernetes.io/no-provisioner", "Immediate")];
    let plan = claim(&a_claim("c", "1Gi"), &[], &by_hand, Use::default(), at(1));
    assert_eq!(plan.events[0].message, "no volume plugin matched name: kubernetes.io/no-provisioner");
}

#[test]
fn claim_with_a_data_source_is_not_given_an_empty_volume_but_may_have_one_that_is_there() {
    let snapshot = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"});
    for (field, mode) in [("dataSource", "Immediate"), ("dataSourceRef", "WaitForFirstConsumer")] {
        let classes = [class(PROVISIONER, mode)];
        let mut copy = a_claim("c", "1Gi");
        copy["spec"][field] = snapshot.clone();
        let plan = claim(&copy, &[], &classes, CONSUMED, at(1));
        let words = "plugin \"windlass.dev/local\" is not a CSI plugin. Only CSI plugin can provision a claim with a \
                     datasource";
        assert_eq!((plan.provision.as_ref(), reason(&plan)), (None, "ProvisioningFailed"));
        assert_eq!((plan.events[0].warning, plan.events[0].message.as_str()), (true, words));
        assert_eq!(plan.claim, None, "it stays pending");
        let plan = claim(&copy, &[a_volume("filled", "c", "1Gi")], &classes, CONSUMED, at(1));
        assert_eq!(plan.claim.unwrap()["spec"]["volumeName"], "filled");
    }
}
