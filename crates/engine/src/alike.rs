//! Pods of one Job are born alike: what is decided for one of them before anything of it runs is decided for all that
//! are made in the same second, and their objects share it.
//!
//! It remembers one decision of each sort. It decides nothing itself.

use jiff::Timestamp;
use serde_json::Value;
use windlass_apiserver::registry::Object;
use windlass_runner::kubelet::{Facts, Plan};

use crate::pods::set_condition;

/// The last decisions.
#[derive(Default)]
pub(crate) struct Alike {
    conditioned: Option<Conditioned>,
    planned: Option<Planned>,
}

/// A status that was given a condition.
struct Conditioned {
    before: Object,
    condition: Value,
    after: Object,
}

/// A plan for a pod of which nothing runs.
struct Planned {
    pod: Object,
    second: i64,
    /// Without its status: that is the object's.
    plan: Plan,
    after: Object,
}

impl Alike {
    /// Gives a pod a condition; one that had the same status before has the same after.
    pub(crate) fn condition(&mut self, pod: &mut Object, condition: Value) {
        let [_, _, alike] = self.conditioned.as_ref().map_or([false; 3], |known| known.before.shares(pod));
        if let Some(known) = self.conditioned.as_ref().filter(|known| alike && known.condition == condition) {
            pod.share_status(&known.after);
            return;
        }
        let before = pod.clone();
        set_condition(&mut pod["status"], condition.clone());
        self.conditioned = Some(Conditioned { before, condition, after: pod.clone() });
    }

    /// The kubelet's plan for a pod, if one that is alike had it in this second, and the object whose status it has.
    pub(crate) fn plan(&self, pod: &Object, facts: &Facts, now: Timestamp) -> Option<(Plan, Object)> {
        let known = self.planned.as_ref()?;
        let [_, spec, status] = known.pod.shares(pod);
        let alike = spec && status && generation(&known.pod) == generation(pod);
        (alike && known.second == now.as_second() && is_new(pod, facts))
            .then(|| (known.plan.clone(), known.after.clone()))
    }

    /// Remembers what the kubelet planned for a pod and told nobody, if pods that are alike would have the same plan.
    pub(crate) fn remember(
        &mut self,
        pod: &Object,
        facts: &Facts,
        now: Timestamp,
        plan: &Plan,
        after: &Object,
    ) {
        if is_new(pod, facts) && facts.blocked.is_empty() {
            let (pod, after) = (pod.clone(), after.clone());
            let plan = Plan { status: None, ..plan.clone() };
            self.planned = Some(Planned { pod, second: now.as_second(), plan, after });
        }
    }
}

/// Whether nothing of the pod has run yet, so that nothing in its plan is its own: neither name nor uid.
fn is_new(pod: &Object, facts: &Facts) -> bool {
    facts.runs.is_empty()
        && pod.metadata()["deletionTimestamp"].is_null()
        && pod.status()["containerStatuses"].is_null()
        && pod.status()["initContainerStatuses"].is_null()
}

fn generation(pod: &Object) -> &Value {
    &pod.metadata()["generation"]
}
