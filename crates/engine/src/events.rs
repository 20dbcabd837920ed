//! Events about objects: made, aggregated and bounded as upstream's recorder does it.
//!
//! The same event again counts up the one that is there; many alike about one object become one;
//! Normal events about pods, and those that they wait for room, have a budget, so that ten thousand short pods do not cost three writes more each.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use windlass_apiserver::registry::{Event, Object};
use windlass_apiserver::world::World;

use crate::world::hex;

/// Alike events about one object before they become one (upstream: 10 in 10 minutes).
const ALIKE: u32 = 10;
const ALIKE_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// Normal events about pods that may come at once, and how many come back each second.
const POD_BURST: f64 = 600.0;
const PODS_PER_SECOND: f64 = 10.0;
/// Remembered events; beyond that the memory is emptied, and a repeated event is a new one.
const MEMORY: usize = 4096;

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
    /// How many alike events an object had since when.
    alike: HashMap<(String, String), (Timestamp, u32)>,
    tokens: f64,
    refilled: Timestamp,
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
    pub(crate) fn new(now: Timestamp) -> Recorder {
        Recorder {
            known: HashMap::new(),
            names: HashMap::new(),
            alike: HashMap::new(),
            tokens: POD_BURST,
            refilled: now,
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
        let message = self.combine(&uid, note, now);
        let topic = (uid, note.field.clone().unwrap_or_default(), note.reason.clone(), message);
        if let Some(known) = self.known.get_mut(&topic) {
            known.count += 1;
            return Some(Record::Again(Told { known: known.clone(), message: topic.3, seen: now }));
        }
        let name = format!("{}.{}", about.text("name"), hex(world, 8));
        let known = Known { name, first: now, count: 1 };
        let told = Told { known: known.clone(), message: topic.3.clone(), seen: now };
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

    fn combine(&mut self, uid: &str, note: &Note, now: Timestamp) -> String {
        let (since, seen) = self.alike.entry((uid.to_owned(), note.reason.clone())).or_insert((now, 0));
        if now.duration_since(*since) > ALIKE_WITHIN {
            (*since, *seen) = (now, 0);
        }
        *seen += 1;
        if *seen <= ALIKE {
            return note.message.clone();
        }
        // One text for all that follow, so that they count up one event.
        format!("(combined from similar events): {}", note.reason)
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

/// How long an event is kept (upstream's default).
pub(crate) const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
