//! Volumes that follow what they are made of while pods run: when a ConfigMap, a Secret or a pod's own labels change, the
//! files of the pods that mount them do. Environments do not, nor what is mounted of a volume in part (`subPath`), as
//! upstream. What fails is tried again, with longer and longer pauses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use windlass_runner::process::{self, Source, tokens};
use windlass_runner::volumes::update;

use crate::tick::Tick;

/// The pause after a failure, which doubles with each, and the longest (upstream rounds it to 500 ms and 2 min 2 s:
/// pkg/util/goroutinemap/exponentialbackoff).
const FIRST_PAUSE_S: i64 = 1;
const LONGEST_PAUSE_S: i64 = 128;

/// Which running pods mount what, and whose files are to be looked at.
#[derive(Default)]
pub(crate) struct Living {
    /// Keys of objects, and the uids of the pods that mount them.
    readers: HashMap<String, BTreeSet<String>>,
    /// The keys of a pod, by its uid.
    keys: HashMap<String, Vec<String>>,
    stale: BTreeSet<String>,
    /// Pods whose files could not be brought up to date: when it is tried again, after which pause.
    failed: BTreeMap<String, (Timestamp, i64)>,
}

impl Living {
    fn begin(&mut self, uid: &str, keys: Vec<String>) {
        // That its files are to be looked at stays true.
        self.forget(uid);
        if keys.is_empty() {
            return;
        }
        for key in &keys {
            self.readers.entry(key.clone()).or_default().insert(uid.to_owned());
        }
        self.keys.insert(uid.to_owned(), keys);
    }

    fn end(&mut self, uid: &str) {
        self.stale.remove(uid);
        self.failed.remove(uid);
        self.forget(uid);
    }

    fn forget(&mut self, uid: &str) {
        for key in self.keys.remove(uid).unwrap_or_default() {
            if let Some(uids) = self.readers.get_mut(&key) {
                uids.remove(uid);
                if uids.is_empty() {
                    self.readers.remove(&key);
                }
            }
        }
    }

    /// When the first of those that failed is tried again.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.failed.values().map(|(at, _)| *at).min()
    }

    /// The pods whose files are to be looked at now.
    fn due(&mut self, now: Timestamp) -> BTreeSet<String> {
        let mut due = std::mem::take(&mut self.stale);
        due.extend(self.failed.iter().filter(|(_, (at, _))| *at <= now).map(|(uid, _)| uid.clone()));
        due
    }

    fn looked_at(&mut self, uid: &str, is_done: bool, now: Timestamp) {
        if is_done {
            self.failed.remove(uid);
            return;
        }
        let pause = self.failed.get(uid).map_or(FIRST_PAUSE_S, |(_, pause)| (pause * 2).min(LONGEST_PAUSE_S));
        if let Ok(at) = now.checked_add(SignedDuration::from_secs(pause)) {
            self.failed.insert(uid.to_owned(), (at, pause));
        }
    }

    /// An object came, changed or went.
    pub(crate) fn changed(&mut self, key: &str) {
        if self.readers.is_empty() {
            return;
        }
        if let Some(uids) = self.readers.get(key) {
            self.stale.extend(uids.iter().cloned());
        }
    }
}

impl Tick {
    /// The volumes of a pod are made of what was read a moment ago: from now on they follow it.
    pub(crate) fn living_begins(&mut self, uid: &str) {
        let Some(pod) = self.pod_by(uid) else { return };
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let own = pod["metadata"]["name"].as_str().unwrap_or_default();
        let keys = process::sources(&pod).into_iter().map(|source| match source {
            Source::ConfigMap(name) => format!("/configmaps/{namespace}/{name}"),
            Source::Secret(name) => format!("/secrets/{namespace}/{name}"),
            Source::Pod => format!("/pods/{namespace}/{own}"),
        });
        self.living.begin(uid, keys.collect());
    }

    /// The volumes of a pod are there since before this engine, and may be older than what they are made of.
    pub(crate) fn living_found(&mut self, uid: &str) {
        self.living_begins(uid);
        if self.living.keys.contains_key(uid) {
            self.living.stale.insert(uid.to_owned());
        }
    }

    /// The volumes of a pod go.
    pub(crate) fn living_ends(&mut self, uid: &str) {
        self.living.end(uid);
    }

    /// Brings the files up to date whose sources have changed, or that could not be when they had.
    pub(crate) fn refresh_volumes(&mut self) {
        let now = self.world.now();
        for uid in self.living.due(now) {
            // One that is gone has no files to fail at.
            let is_done = self.pod_by(&uid).is_none_or(|pod| self.refresh_volumes_of(&uid, &pod));
            self.living.looked_at(&uid, is_done, now);
        }
    }

    /// Whether all of them could be.
    fn refresh_volumes_of(&mut self, uid: &str, pod: &Value) -> bool {
        let tokens = tokens(pod);
        let (mut is_done, mut has_tokens) = (true, true);
        for (volume, files) in self.files_of(pod) {
            let kept = tokens.iter().filter(|token| token.volume == volume);
            let kept: BTreeSet<_> = kept.map(|token| token.path.clone()).collect();
            let place = self.volumes.disk(uid).join(&volume);
            match update(&place, &files, &kept) {
                Ok(()) => has_tokens &= kept.iter().all(|path| place.join(path).exists()),
                Err(cause) => {
                    tracing::warn!(%uid, volume, %cause, "a volume could not be brought up to date");
                    is_done = false;
                }
            }
        }
        if !has_tokens {
            // They went with the volume's former files.
            self.tokens_found(uid);
        }
        is_done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_could_not_follow_are_tried_again_with_longer_pauses_until_they_do() {
        let mut living = Living::default();
        living.begin("pod", vec!["map".to_owned()]);
        living.changed("map");
        let mut now = Timestamp::UNIX_EPOCH;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(living.due(now), BTreeSet::from(["pod".to_owned()]));
            living.looked_at("pod", false, now);
            assert_eq!(living.due(now), BTreeSet::new());
            let next = living.next().unwrap();
            pauses.push(next.as_second() - now.as_second());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 128]);
        living.begin("pod", vec!["map".to_owned()]);
        assert_eq!(living.next(), Some(now), "another container of the pod began");
        living.changed("map");
        living.looked_at("pod", true, now);
        assert_eq!(living.next(), None);
        living.looked_at("pod", false, now);
        living.end("pod");
        assert_eq!((living.next(), living.due(now)), (None, BTreeSet::new()));
    }
}
