//! Pods and their places: the node, those beside them, and the volumes of their claims.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{now, objects};
use crate::claims::{self, ClaimPlan, Use};
use crate::schedule::{
    Amounts, Beside, Decision, Fields, Leave, Node, Plan, Quarrel, Stand, leave, quarrel, stand,
};

/// Pods that are on the node, all of one namespace.
struct There(Vec<Value>);

impl Beside for There {
    fn pods<'a>(&'a self, _: Option<&'a str>) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        Box::new(self.0.iter().map(|pod| pod as &dyn Fields))
    }
    fn with_ports<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        self.pods(None)
    }
    fn repelling<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        self.pods(None)
    }
    fn labels_of(&self, _: &str) -> &Value {
        &Value::Null
    }
}

/// A pod, and a list of the node's taints and of pods that are there: what is decided is the same each time and is not
/// said twice; who is placed is placed on this node; nobody leaves where there is no taint; who is alone has
/// no quarrel with anybody.
pub fn placements(data: &[u8]) {
    let Some((mut pod, others)) = objects::<Value, Value>(data) else { return };
    if !pod["spec"].is_object() || !pod["metadata"].is_object() {
        return;
    }
    let (taints, there): (Vec<Value>, Vec<Value>) =
        others.into_iter().partition(|one| one["effect"].is_string());
    let labels =
        [("kubernetes.io/hostname", "n"), ("zone", "a")].map(|(name, value)| (name.into(), value.into()));
    let node = Node { name: "n".to_owned(), labels: labels.into(), taints, ..Node::default() };
    let found = stand(&pod, &node, now());
    assert_eq!(stand(&pod, &node, now()), found);
    match found {
        Stand::Settled | Stand::Refused(None) => {}
        Stand::Refused(Some(Plan { decision, condition, events })) => {
            let Decision::Wait { message, .. } = decision else { panic!("refused and placed") };
            assert!(!message.is_empty() && message.len() <= 4096 + 8 * data.len());
            assert_eq!(events.len(), 1);
            if pod["status"].is_object() || pod["status"].is_null() {
                pod["status"]["conditions"] = Value::Array(vec![condition]);
                assert_eq!(stand(&pod, &node, now()), Stand::Refused(None), "said twice");
            }
        }
        Stand::Placed(plan) => assert_eq!(plan.decision, Decision::Bind { node: "n".to_owned() }),
        Stand::Open(asked) => assert_eq!(asked, Amounts::requested(&pod["spec"])),
    }
    assert_eq!(leave(&pod["spec"], &[], None, now()), Leave::Never);
    if let Leave::At(at) = leave(&pod["spec"], &node.taints, None, now()) {
        assert!(at > now());
    }
    let known = Timestamp::UNIX_EPOCH;
    if let Leave::At(at) = leave(&pod["spec"], &node.taints, Some(known), now()) {
        assert_eq!(at, known, "a time that is set stays");
    }
    let _ = quarrel(&pod, &node, &There(there));
    let alone = quarrel(&pod, &node, &There(Vec::new()));
    let by_others = [Quarrel::Ports, Quarrel::AntiAffinity, Quarrel::Repelled].map(Some);
    assert!(!by_others.contains(&alone), "{alone:?} with nobody");
}

/// A claim and the volumes there are: what is decided is carried out in a few steps and then nothing more is, and a
/// volume is never given to a claim while it is another's.
pub fn claims(data: &[u8]) {
    let Some((mut claim, mut volumes)) = objects::<Value, Value>(data) else { return };
    let is_whole = |object: &Value| {
        object["metadata"]["name"].is_string()
            && object["spec"].is_object()
            && ["annotations", "labels"]
                .iter()
                .all(|map| object["metadata"][*map].is_null() || object["metadata"][*map].is_object())
            && (object["status"].is_null() || object["status"].is_object())
    };
    let names = |volumes: &[Value]| {
        let names =
            volumes.iter().filter_map(|volume| volume["metadata"]["name"].as_str().map(str::to_owned));
        names.collect::<BTreeSet<String>>().len()
    };
    let has_uid = claim["metadata"]["uid"].as_str().is_some_and(|uid| !uid.is_empty());
    if !has_uid || !is_whole(&claim) || !volumes.iter().all(is_whole) || names(&volumes) < volumes.len() {
        return;
    }
    let classes = [claims::default_class()];
    for used in [Use::default(), Use { is_in_use: true, ..Use::default() }] {
        for step in 0.. {
            let plan = claims::claim(&claim, &volumes, &classes, used, &Node::default(), now());
            assert_eq!(claims::claim(&claim, &volumes, &classes, used, &Node::default(), now()), plan);
            let ClaimPlan { claim: changed, volume, provision, .. } = plan;
            if changed.is_none() && volume.is_none() && provision.is_none() {
                break;
            }
            assert!(step < 5, "no end: {claim}");
            if let Some(volume) = volume {
                let name = volume["metadata"]["name"].clone();
                let old = volumes
                    .iter_mut()
                    .find(|old| old["metadata"]["name"] == name)
                    .expect("it is one of those");
                let owner = &old["spec"]["claimRef"]["uid"];
                assert!(owner.is_null() || owner == "" || *owner == claim["metadata"]["uid"], "{old}");
                *old = volume;
            }
            if let Some(made) = provision {
                assert!(is_whole(&made), "{made}");
                volumes.push(made);
                if names(&volumes) < volumes.len() {
                    // Another has that name, and nothing is made.
                    return;
                }
            }
            if let Some(changed) = changed {
                assert_ne!(changed, claim);
                claim = changed;
            }
        }
    }
    for volume in &volumes {
        let plan = claims::volume(volume, Some(&claim), false, now());
        assert_eq!(claims::volume(volume, Some(&claim), false, now()), plan);
    }
}
