//! Empty directories with a limit to their size: looked at now and then, by a thread of their own; a pod that uses more
//! than it may is evicted.
//!
//! Source: upstream `pkg/kubelet/eviction` (`emptyDirLimitEviction`, looked at every ten seconds).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use windlass_runner::kubelet::Eviction;
use windlass_runner::process::size_limits;
use windlass_runner::volumes::used;

use crate::tick::Tick;

/// Between the end of one look and the next.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// A directory, what may be in it, and what is said of one that holds more.
#[derive(Clone)]
struct Limited {
    place: PathBuf,
    bytes: u64,
    message: String,
}

/// The directories with limits of running pods, by the pod's uid.
#[derive(Default)]
pub(crate) struct Sizes {
    limited: HashMap<String, Vec<Limited>>,
    /// When they are looked at next; none while they are looked at, or while there are none.
    next: Option<Timestamp>,
    look: Arc<Look>,
}

/// What a look has found: handed over once.
#[derive(Default)]
pub(crate) struct Look {
    /// Pods over a limit, and what is said of them; none while a look goes on.
    found: Mutex<Option<Vec<(String, String)>>>,
    pub(crate) done: Notify,
}

impl Sizes {
    /// When to look next.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Tells when a look is over.
    pub(crate) fn look(&self) -> &Look {
        &self.look
    }
}

impl Tick {
    /// The volumes of a pod are there: those with a limit are looked at from now on.
    pub(crate) fn sizes_begin(&mut self, uid: &str) {
        let Some(pod) = self.cache.key_of(uid).and_then(|key| self.cache.held(key)) else { return };
        if pod.object.spec()["volumes"].is_null() {
            return;
        }
        let limits = size_limits(&pod.object.whole()).into_iter();
        let limited = limits.map(|limit| Limited {
            place: self.volumes.place(uid, &limit.volume, limit.is_memory),
            bytes: limit.bytes,
            message: format!(
                "Usage of EmptyDir volume {:?} exceeds the limit {:?}. ",
                limit.volume, limit.text
            ),
        });
        let limited: Vec<Limited> = limited.collect();
        if limited.is_empty() {
            return;
        }
        if self.sizes.limited.is_empty() {
            self.sizes.next = self.world.now().checked_add(PAUSE).ok();
        }
        self.sizes.limited.insert(uid.to_owned(), limited);
    }

    /// The volumes of a pod go.
    pub(crate) fn sizes_end(&mut self, uid: &str) {
        if self.sizes.limited.remove(uid).is_some() && self.sizes.limited.is_empty() {
            self.sizes.next = None;
        }
    }

    /// Takes in what the last look found, and begins the next when its time has come.
    pub(crate) fn see_sizes(&mut self) {
        let found = self.sizes.look.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let now = self.world.now();
        if let Some(found) = found {
            for (uid, message) in found {
                self.evict(&uid, Eviction { message, at: now, is_disruption: false });
            }
            let goes_on = !self.sizes.limited.is_empty();
            self.sizes.next = now.checked_add(PAUSE).ok().filter(|_| goes_on);
        }
        if self.sizes.next.is_some_and(|at| at <= now) {
            self.sizes.next = None;
            let (limited, look) = (self.sizes.limited.clone(), Arc::clone(&self.sizes.look));
            let thread = std::thread::Builder::new().name("sizes".to_owned());
            if let Err(cause) = thread.spawn(move || look.at(&limited)) {
                tracing::warn!(%cause, "the sizes of volumes cannot be looked at");
                self.sizes.next = now.checked_add(PAUSE).ok();
            }
        }
    }

    fn evict(&mut self, uid: &str, eviction: Eviction) {
        let Some(key) = self.cache.key_of(uid).filter(|key| self.cache.held(key).is_some()).cloned() else {
            return;
        };
        if self.runs.alive(uid).is_empty() {
            // What is over uses nothing more; one that is to run again is looked at again.
            return;
        }
        tracing::info!(%key, why = eviction.message, "evicted");
        self.runs.evict(uid, eviction);
        self.dirty.insert(key);
    }
}

impl Look {
    fn at(&self, limited: &HashMap<String, Vec<Limited>>) {
        let over = |list: &Vec<Limited>| {
            let over = list.iter().find(|one| used(&one.place, one.bytes) > one.bytes);
            over.map(|one| one.message.clone())
        };
        let found = limited.iter().filter_map(|(uid, list)| Some((uid.clone(), over(list)?))).collect();
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.done.notify_one();
    }
}
