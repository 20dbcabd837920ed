//! Writes events with the draft that they belong to, and takes old ones away.

use serde_json::{Map, Value, json};
use windlass_apiserver::kind::Kind;
use windlass_apiserver::registry::Object;
use windlass_store::Key;

use crate::draft::Draft;
use crate::events::{KEPT, Note, Record};
use crate::tick::Tick;

/// The name under which the timers remember the next sweep; no object has it.
const SWEEP: &str = "/events";
/// Old events that one transaction takes away.
const SWEPT_AT_ONCE: usize = 200;

impl Tick {
    /// The object an event speaks of, as the draft has it.
    pub(crate) fn about(&self, draft: &Draft, key: &Key) -> Value {
        let Some(object) = draft.current(&self.cache, key) else { return Value::Null };
        let mut about = Map::new();
        for field in ["name", "namespace", "uid"] {
            if let Some(value) = object.metadata().get(field) {
                about.insert(field.to_owned(), value.clone());
            }
        }
        if let Some(revision) = object.revision {
            about.insert("resourceVersion".to_owned(), revision.0.to_string().into());
        }
        json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": about})
    }

    /// Records an event with the draft.
    pub(crate) fn note(&mut self, draft: &mut Draft, about: &Value, note: &Note) {
        let Some(kind) = self.cache.kind_of("/events/") else { return };
        let world = self.world.clone();
        match self.recorder.record(about, note, &*world) {
            Some(Record::New(object)) => match self.registry.prepare(kind, object) {
                Ok(object) => {
                    draft.insert(kind, object.into());
                }
                Err(cause) => tracing::warn!(%cause, "an event cannot be recorded"),
            },
            Some(Record::Again { name, object }) => self.count_again(draft, kind, &name, &object),
            None => {}
        }
    }

    /// The same event again: counts up the one that is there.
    fn count_again(&mut self, draft: &mut Draft, kind: &'static Kind, name: &str, newer: &Value) {
        let key: Key = kind.key(newer["metadata"]["namespace"].as_str(), name).into();
        let bring_up = |event: &mut Object| {
            for field in ["count", "lastTimestamp", "message"] {
                event[field] = newer[field].clone();
            }
        };
        if draft.touches(&key) {
            draft.edit(&self.cache, &key, bring_up);
        } else if let Some(before) = self.stored(&key) {
            let mut after = before.clone();
            bring_up(&mut after);
            draft.replace(kind, &key, before, after);
        } else if let Ok(event) = self.registry.prepare(kind, newer.clone()) {
            // It was to be written with a draft that was thrown away.
            draft.insert(kind, event.into());
        }
    }

    /// Takes away events that were not seen for an hour, and remembers when to look again.
    pub(crate) fn sweep_events(&mut self, draft: &mut Draft) {
        let Some(kind) = self.cache.kind_of("/events/") else { return };
        let now = self.world.now();
        let old = |seen: &jiff::Timestamp| seen.saturating_add(KEPT).is_ok_and(|end| end <= now);
        let gone: Vec<Key> = self
            .cache
            .oldest_events()
            .take_while(|(seen, _)| old(seen))
            .take(SWEPT_AT_ONCE)
            .map(|(_, key)| key.clone())
            .collect();
        for key in gone {
            if !draft.touches(&key)
                && let Some(event) = self.stored(&key)
            {
                draft.remove_object(kind, &key, event);
            }
        }
        let next = self.cache.oldest_events().next().and_then(|(seen, _)| seen.saturating_add(KEPT).ok());
        self.timers.set(&Key::from(SWEEP), next.map(|at| at.max(now + jiff::SignedDuration::from_secs(1))));
    }
}
