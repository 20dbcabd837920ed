//! Carries out what a taint of effect `NoExecute` means to pods that run: they go, as upstream's taint manager has it.

use jiff::Timestamp;
use serde_json::json;
use windlass_apiserver::registry::Object;
use windlass_control::schedule::{self, Leave};
use windlass_store::Key;

use crate::draft::Draft;
use crate::events::Note;
use crate::pods::{is_deleting, is_ended, set_condition};
use crate::tick::Tick;
use crate::world::rfc3339;

impl Tick {
    /// Deletes a pod that the node's taints drive out now; whether it did.
    pub(crate) fn drive_out(&mut self, draft: &mut Draft, key: &Key) -> bool {
        let now = self.world.now();
        let Some(pod) = draft.current(&self.cache, key) else { return false };
        let is_due = match self.leave(pod) {
            Leave::Never => false,
            Leave::Now => true,
            Leave::At(at) => at <= now,
        };
        if !is_due {
            return false;
        }
        let message = format!("Marking for deletion Pod {}/{}", pod.text("namespace"), pod.text("name"));
        let reason = "TaintManagerEviction".to_owned();
        let note = Note { warning: false, reason, message, component: "taint-eviction-controller" };
        let about = self.about(draft, key);
        self.note(draft, &about, &note);
        draft.edit(&self.cache, key, |pod| {
            let condition = json!({
                "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
                "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": rfc3339(now),
            });
            set_condition(&mut pod["status"], condition);
        });
        self.delete_pod(draft, key);
        true
    }

    /// When a pod's patience with the node's taints ends.
    pub(crate) fn driven_out_at(&self, pod: &Object) -> Option<Timestamp> {
        match self.leave(pod) {
            Leave::At(at) => Some(at),
            Leave::Never | Leave::Now => None,
        }
    }

    fn leave(&self, pod: &Object) -> Leave {
        let is_here = pod["spec"]["nodeName"] == self.node.name.as_str();
        if self.node.taints.is_empty() || !is_here || is_deleting(pod) || is_ended(pod) {
            return Leave::Never;
        }
        // Of a pod that came later its patience counts from then (upstream: the time at which it is handled first).
        let came = pod["status"]["startTime"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let met = came.map_or(self.tainted, |came| came.max(self.tainted));
        schedule::leave(pod.spec(), &self.node.taints, met)
    }
}
