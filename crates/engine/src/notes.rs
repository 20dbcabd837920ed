//! Writes events with the draft that they belong to, and takes old ones away.

use windlass_apiserver::kind::Kind;
use windlass_apiserver::registry::Object;
use windlass_store::Key;

use crate::draft::Draft;
use crate::events::{KEPT, Note, Record, Told};
use crate::tick::Tick;
use crate::world::rfc3339;

/// The name under which the timers remember the next sweep; no object has it.
const SWEEP: &str = "/events";
/// Old events that one transaction takes away.
const SWEPT_AT_ONCE: usize = 200;

impl Tick {
    /// The object an event speaks of, as the draft has it.
    pub(crate) fn about(&self, draft: &Draft, key: &Key) -> Object {
        draft.current(&self.cache, key).cloned().unwrap_or_default()
    }

    /// Records an event with the draft.
    pub(crate) fn note(&mut self, draft: &mut Draft, about: &Object, note: &Note) {
        let Some(kind) = self.cache.kind_of("/events/") else { return };
        let world = self.world.clone();
        match self.recorder.record(about, note, &*world) {
            Some(Record::New(told)) => {
                draft.write(self.registry.write_event(kind, &told.event(about, note, &self.node.name)));
            }
            Some(Record::Again(again)) => self.count_again(draft, kind, about, note, &again),
            None => {}
        }
    }

    /// The same event again: counts up the one that is there.
    fn count_again(
        &mut self,
        draft: &mut Draft,
        kind: &'static Kind,
        about: &Object,
        note: &Note,
        again: &Told,
    ) {
        let namespace = about.metadata()["namespace"].as_str().unwrap_or("default");
        let key: Key = kind.key(Some(namespace), &again.known.name).into();
        let bring_up = |event: &mut Object| {
            event["count"] = again.known.count.into();
            event["lastTimestamp"] = rfc3339(again.seen).into();
            event["message"] = again.message.as_str().into();
        };
        if draft.touches(&key) {
            draft.edit(&self.cache, &key, bring_up);
        } else if let Some(before) = self.stored(&key) {
            let mut after = before.clone();
            bring_up(&mut after);
            draft.replace(kind, &key, before, after);
        } else {
            // It was to be written with a draft that was thrown away.
            draft.write(self.registry.write_event(kind, &again.event(about, note, &self.node.name)));
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
