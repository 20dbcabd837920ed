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
        if self.node.taints.is_empty() && self.leaving.is_empty() {
            return false;
        }
        let Some(pod) = draft.current(&self.cache, key) else { return false };
        let uid = pod.text("uid").to_owned();
        if is_deleting(pod) || is_ended(pod) {
            self.leaving.remove(&uid);
            return false;
        }
        let (namespace, name) = (pod.text("namespace").to_owned(), pod.text("name").to_owned());
        let is_due = match self.leave(pod) {
            Leave::Never => {
                if self.leaving.remove(&uid).is_some() {
                    self.tell_of_taints(draft, key, format!("Cancelling deletion of Pod {namespace}/{name}"));
                }
                false
            }
            Leave::Now => true,
            Leave::At(at) => {
                self.leaving.insert(uid, at);
                at <= now
            }
        };
        if !is_due {
            return false;
        }
        self.tell_of_taints(draft, key, format!("Marking for deletion Pod {namespace}/{name}"));
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

    fn tell_of_taints(&mut self, draft: &mut Draft, key: &Key, message: String) {
        let reason = "TaintManagerEviction".to_owned();
        let component = "taint-eviction-controller";
        let note = Note { warning: false, reason, message, field: None, component };
        let about = self.about(draft, key);
        self.note(draft, &about, &note);
    }

    /// When a pod's patience with the node's taints ends. Of one that was just bound it begins now.
    pub(crate) fn driven_out_at(&mut self, pod: &Object) -> Option<Timestamp> {
        if self.node.taints.is_empty() || is_deleting(pod) || is_ended(pod) {
            return None;
        }
        match self.leave(pod) {
            Leave::At(at) => {
                self.leaving.insert(pod.text("uid").to_owned(), at);
                Some(at)
            }
            Leave::Never | Leave::Now => None,
        }
    }

    fn leave(&self, pod: &Object) -> Leave {
        if pod["spec"]["nodeName"] != self.node.name.as_str() {
            return Leave::Never;
        }
        let known = self.leaving.get(pod.text("uid")).copied();
        schedule::leave(pod.spec(), &self.node.taints, known, self.world.now())
    }
}
