//! Events about objects: made, aggregated and bounded as upstream's recorder does it.
//!
//! The same event again counts up the one that is there; many alike about one object become one;
//! Normal events about pods, and those that they wait for room, have a budget, so that ten thousand short pods do not cost three writes more each.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use windlass_apiserver::registry::{Event, Object};
use windlass_apiserver::world::World;

/// Different messages of one reason about one object, no ten minutes apart, before they become one event.
///
/// Source: upstream `EventAggregate` in client-go's `tools/record/events_cache.go`.
const ALIKE: usize = 10;
const ALIKE_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// What stands before the message of a combined event.
const COMBINED: &str = "(combined from similar events): ";
/// Normal events about pods that may come at once, and how many come back each second.
const POD_BURST: f64 = 600.0;
const PODS_PER_SECOND: f64 = 10.0;
/// So many nanoseconds a recorder's names may be ahead of its clock at the start: a quarter of a second.
const AHEAD: u32 = 1 << 28;
/// Remembered events; beyond that the memory is emptied, and a repeated event is a new one.
const MEMORY: usize = 4096;

/// How long an event is kept (upstream's default).
pub(crate) const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// Who tells what happens to pods on the node. Its events name the node.
pub(crate) const KUBELET: &str = "kubelet";

/// An event somebody wants recorded.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Note {
    pub(crate) warning: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Where in the object that is what it speaks of, if not all of it.
    pub(crate) field: Option<String>,
    /// e.g. `job-controller`.
    pub(crate) component: &'static str,
}

/// What an event says about whom: the uid, where in the object, the reason, the message.
type Topic = (String, String, String, String);

/// What the recorder remembers.
pub(crate) struct Recorder {
    known: HashMap<Arc<Topic>, Known>,
    /// Where `known` has the event of a name.
    names: HashMap<String, Arc<Topic>>,
    /// The messages that an object had of a reason, and when the last came.
    alike: HashMap<(String, String), (Timestamp, BTreeSet<String>)>,
    tokens: f64,
    refilled: Timestamp,
    /// The last name's number.
    named: u64,
    /// Normal pod events that were not recorded since the start.
    pub(crate) unrecorded: u64,
}

#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    first: Timestamp,
    pub(crate) count: u32,
}

/// An event as it is to be told.
pub(crate) struct Told {
    /// What is known of it, this time counted.
    pub(crate) known: Known,
    pub(crate) message: String,
    pub(crate) seen: Timestamp,
}

impl Told {
    /// The event as a new one.
    pub(crate) fn event<'a>(&'a self, about: &'a Object, note: &'a Note, node: &'a str) -> Event<'a> {
        Event {
            about,
            name: &self.known.name,
            warning: note.warning,
            reason: &note.reason,
            message: &self.message,
            component: note.component,
            host: if note.component == KUBELET { node } else { "" },
            field: note.field.as_deref().unwrap_or_default(),
            first: self.known.first,
            last: self.seen,
            count: self.known.count,
        }
    }
}

/// What to write.
pub(crate) enum Record {
    New(Told),
    /// The event that is there already, seen again.
    Again(Told),
}

impl Recorder {
    pub(crate) fn new(world: &dyn World) -> Recorder {
        let now = world.now();
        let mut ahead = [0; 4];
        world.random(&mut ahead);
        // Where the clock stands still, or was set back, an engine before this one has given the next numbers already.
        let named = nanos(now).saturating_add(u64::from(u32::from_le_bytes(ahead) % AHEAD));
        Recorder {
            known: HashMap::new(),
            names: HashMap::new(),
            alike: HashMap::new(),
            tokens: POD_BURST,
            refilled: now,
            named,
            unrecorded: 0,
        }
    }

    /// Decides what is written for a note about an object; nothing if the budget is used up.
    pub(crate) fn record(&mut self, about: &Object, note: &Note, world: &dyn World) -> Option<Record> {
        let now = world.now();
        // That pods wait for room is as common as that they run, and their conditions say it too.
        let is_common = !note.warning || note.reason == "FailedScheduling";
        if is_common && about["kind"] == "Pod" && !self.afford(now) {
            self.unrecorded += 1;
            return None;
        }
        self.bound();
        let uid = about.text("uid").to_owned();
        let is_combined = self.is_combined(&uid, note, now);
        let message = match is_combined {
            true => format!("{COMBINED}{}", note.message),
            false => note.message.clone(),
        };
        // One event for all that are combined, with the last message.
        let text = if is_combined { COMBINED.to_owned() } else { message.clone() };
        let topic = (uid, note.field.clone().unwrap_or_default(), note.reason.clone(), text);
        if let Some(known) = self.known.get_mut(&topic) {
            known.count += 1;
            return Some(Record::Again(Told { known: known.clone(), message, seen: now }));
        }
        let name = self.name(about.text("name"), now);
        let known = Known { name, first: now, count: 1 };
        let told = Told { known: known.clone(), message, seen: now };
        let topic = Arc::new(topic);
        self.names.insert(known.name.clone(), Arc::clone(&topic));
        self.known.insert(topic, known);
        Some(Record::New(told))
    }

    /// An event left the store: it is not counted up again.
    pub(crate) fn forget(&mut self, name: &str) {
        if let Some(topic) = self.names.remove(name) {
            self.known.remove(&topic);
        }
    }

    /// A new event's name. Names of one object's events are in the order in which they came, and so are therefore lists,
    /// watches and what `kubectl describe` shows (it sorts by whole seconds, and keeps the order within one).
    ///
    /// Source: `GenerateEventName` in client-go's tools/internal/events.
    fn name(&mut self, about: &str, now: Timestamp) -> String {
        self.named = self.named.saturating_add(1).max(nanos(now));
        format!("{about}.{:016x}", self.named)
    }

    fn is_combined(&mut self, uid: &str, note: &Note, now: Timestamp) -> bool {
        let fresh = || (now, BTreeSet::new());
        let (last, messages) = self.alike.entry((uid.to_owned(), note.reason.clone())).or_insert_with(fresh);
        if now.duration_since(*last) > ALIKE_WITHIN {
            messages.clear();
        }
        *last = now;
        messages.insert(note.message.clone());
        let is_combined = messages.len() >= ALIKE;
        if is_combined {
            // No more than these are remembered.
            messages.pop_first();
        }
        is_combined
    }

    fn afford(&mut self, now: Timestamp) -> bool {
        let seconds = now.duration_since(self.refilled).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + seconds * PODS_PER_SECOND).min(POD_BURST);
        self.refilled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn bound(&mut self) {
        if self.known.len() >= MEMORY || self.alike.len() >= MEMORY {
            self.known.clear();
            self.names.clear();
            self.alike.clear();
        }
    }
}

/// Nanoseconds since the epoch, never before it.
fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still;
    impl World for Still {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn random(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    fn told(recorder: &mut Recorder, message: &str) -> (String, u32) {
        told_of(recorder, None, message)
    }

    fn told_of(recorder: &mut Recorder, field: Option<&str>, message: &str) -> (String, u32) {
        let note = Note {
            warning: true,
            reason: "Failed".to_owned(),
            message: message.to_owned(),
            field: field.map(str::to_owned),
            component: KUBELET,
        };
        let about = Object::from(serde_json::json!({"kind": "Pod", "metadata": {"name": "p", "uid": "u"}}));
        match recorder.record(&about, &note, &Still) {
            Some(Record::New(told) | Record::Again(told)) => (told.message, told.known.count),
            None => panic!("warnings are always told"),
        }
    }

    #[test]
    fn few_messages_count_up_however_often_they_come() {
        let mut recorder = Recorder::new(&Still);
        for round in 1..=20 {
            for message in ["one", "two", "three"] {
                assert_eq!(told(&mut recorder, message), (message.to_owned(), round));
            }
        }
    }

    #[test]
    fn names_are_in_the_order_of_the_events() {
        let mut recorder = Recorder::new(&Still);
        let about = Object::from(serde_json::json!({"kind": "Pod", "metadata": {"name": "p", "uid": "u"}}));
        let name = |message: &str| {
            let (reason, message, field) = ("Failed".to_owned(), message.to_owned(), None);
            let note = Note { warning: true, reason, message, field, component: KUBELET };
            match recorder.record(&about, &note, &Still) {
                Some(Record::New(told)) => told.known.name,
                _ => panic!("{note:?} is new"),
            }
        };
        let names: Vec<_> = ["c", "a", "b"].map(name).into();
        assert!(names.is_sorted_by(|before, after| before < after), "{names:?}");
        assert!(names.iter().all(|name| name.len() == "p.".len() + 16), "{names:?}");
    }

    #[test]
    fn same_message_of_two_containers_is_two_events() {
        let mut recorder = Recorder::new(&Still);
        for count in 1..3 {
            for field in ["spec.containers{a}", "spec.containers{b}"] {
                assert_eq!(told_of(&mut recorder, Some(field), "one"), ("one".to_owned(), count));
            }
        }
    }

    #[test]
    fn many_messages_become_one_event_that_tells_the_last() {
        let mut recorder = Recorder::new(&Still);
        for n in 1..10 {
            assert_eq!(told(&mut recorder, &format!("pod {n}")), (format!("pod {n}"), 1));
        }
        for n in 10..20 {
            assert_eq!(
                told(&mut recorder, &format!("pod {n}")),
                (format!("(combined from similar events): pod {n}"), n - 9)
            );
        }
    }
}
