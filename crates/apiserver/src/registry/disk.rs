//! A disk without room, as nodes tell it: the condition `DiskPressure`. It is shown from memory, since nothing can be
//! written then, so a watch does not bring it and its object's revision stays.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use windlass_store::Entry;

use super::object_of;
use crate::kind::Kind;

/// Whether the disk under the store has room, as whoever writes has met it. A cheap handle.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Option<Value>>>);

impl Disk {
    /// Says that it is full: in whose words, and since when (RFC 3339). What was said first holds until there is room.
    pub fn set_full(&self, cause: &str, since: &str) {
        // The reason is the kubelet's (`kubernetes/pkg/kubelet/nodestatus/setters.go`, `DiskPressureCondition`).
        self.lock().get_or_insert_with(|| {
            json!({
                "type": CONDITION, "status": "True", "reason": "KubeletHasDiskPressure", "message": cause,
                "lastHeartbeatTime": since, "lastTransitionTime": since,
            })
        });
    }

    /// Says that there is room.
    pub fn set_free(&self) {
        *self.lock() = None;
    }

    /// The condition that objects of a kind show beside those that are stored.
    pub(crate) fn pressure(&self, kind: &Kind) -> Option<Value> {
        if kind.kind == "Node" { self.lock().clone() } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CONDITION: &str = "DiskPressure";

/// Shows the condition in an object that was read. One that cannot be read is left to whoever reads it next.
pub(crate) fn show_pressure(pressure: &Value, entry: &mut Entry) {
    let Ok(mut object) = object_of(entry) else { return };
    let Some(Value::Array(conditions)) = object.pointer_mut("/status/conditions") else { return };
    conditions.retain(|one| one["type"] != CONDITION);
    conditions.push(pressure.clone());
    entry.value = windlass_store::Value::from_parts(object.to_string().into(), None, 0);
}
