//! Volumes that follow what they are made of while pods run: when a ConfigMap, a Secret or a pod's own labels change, the
//! files of the pods that mount them do. Environments do not, nor files that are mounted one by one (`subPath`), as
//! upstream.

use std::collections::{BTreeSet, HashMap};

use windlass_runner::process::{self, Source, tokens};
use windlass_runner::volumes::update;

use crate::tick::Tick;

/// Which running pods mount what, and whose files are to be looked at.
#[derive(Default)]
pub(crate) struct Living {
    /// Keys of objects, and the uids of the pods that mount them.
    readers: HashMap<String, BTreeSet<String>>,
    /// The keys of a pod, by its uid.
    keys: HashMap<String, Vec<String>>,
    stale: BTreeSet<String>,
}

impl Living {
    fn begin(&mut self, uid: &str, keys: Vec<String>) {
        self.end(uid);
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
        for key in self.keys.remove(uid).unwrap_or_default() {
            if let Some(uids) = self.readers.get_mut(&key) {
                uids.remove(uid);
                if uids.is_empty() {
                    self.readers.remove(&key);
                }
            }
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

    /// Brings the files up to date whose sources have changed.
    pub(crate) fn refresh_volumes(&mut self) {
        for uid in std::mem::take(&mut self.living.stale) {
            let Some(pod) = self.pod_by(&uid) else { continue };
            let tokens = tokens(&pod);
            for (volume, files) in self.files_of(&pod) {
                let kept = tokens.iter().filter(|token| token.volume == volume);
                let kept: BTreeSet<_> = kept.map(|token| token.path.clone()).collect();
                let place = self.volumes.disk(&uid).join(&volume);
                if let Err(cause) = update(&place, &files, &kept) {
                    tracing::warn!(%uid, volume, %cause, "a volume could not be brought up to date");
                }
            }
        }
    }
}
