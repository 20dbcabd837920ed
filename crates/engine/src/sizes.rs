//! Limits to what pods take of the disk: their empty directories, and all that is theirs with their logs. Looked at now
//! and then, by a thread of their own; a pod that uses more than it may is evicted. What its processes write elsewhere on
//! the host nobody counts.
//!
//! Source: upstream `pkg/kubelet/eviction` (`localStorageEviction`, looked at every ten seconds).

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;
use windlass_runner::kubelet::Eviction;
use windlass_runner::process::{size_limits, storage_limits};
use windlass_runner::volumes::used;

use crate::fates::is_scripted;
use crate::tick::Tick;

/// Between the end of one look and the next.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// Where something is, how much that may be, and what is said if it is more.
#[derive(Clone)]
struct Limited {
    places: Vec<Place>,
    bytes: u64,
    message: String,
}

#[derive(Clone)]
enum Place {
    Directory(PathBuf),
    /// The files of a folder of logs whose names begin like this; of one container, if only its own.
    Logs {
        folder: PathBuf,
        prefix: String,
        is_containers: bool,
    },
}

/// The limits of running pods, by the pod's uid.
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
    /// A pod begins, and its volumes are there: what is limited is looked at from now on.
    pub(crate) fn sizes_begin(&mut self, uid: &str) {
        if self.sizes.limited.contains_key(uid) {
            return;
        }
        let Some(pod) = self.cache.key_of(uid).and_then(|key| self.cache.held(key)) else { return };
        if is_scripted(&pod.object) {
            return;
        }
        let spec = pod.object.spec();
        let containers =
            ["containers", "initContainers"].into_iter().filter_map(|list| spec[list].as_array());
        let has_limit = |spec: &Value| !spec["resources"]["limits"]["ephemeral-storage"].is_null();
        if spec["volumes"].is_null() && !containers.flatten().any(has_limit) {
            return;
        }
        let limited = self.limits_of_sizes(uid, &pod.object.whole());
        if limited.is_empty() {
            return;
        }
        if self.sizes.limited.is_empty() {
            self.sizes.next = self.world.now().checked_add(PAUSE).ok();
        }
        self.sizes.limited.insert(uid.to_owned(), limited);
    }

    fn limits_of_sizes(&self, uid: &str, pod: &Value) -> Vec<Limited> {
        let volumes = size_limits(pod).into_iter().map(|limit| Limited {
            places: vec![Place::Directory(self.volumes.place(uid, &limit.volume, limit.is_memory))],
            bytes: limit.bytes,
            message: format!(
                "Usage of EmptyDir volume {:?} exceeds the limit {:?}. ",
                limit.volume, limit.text
            ),
        });
        let folder = self.home.pod_logs(uid);
        let storage = storage_limits(pod).into_iter().map(|limit| {
            let (folder, bytes, text) = (folder.clone(), limit.bytes, limit.text);
            match limit.container {
                Some(name) => Limited {
                    places: vec![Place::Logs {
                        folder,
                        prefix: format!("{uid}_{name}-"),
                        is_containers: true,
                    }],
                    bytes,
                    message: format!(
                        "Container {name} exceeded its local ephemeral storage limit {text:?}. "
                    ),
                },
                None => Limited {
                    places: vec![
                        Place::Directory(self.volumes.disk(uid)),
                        Place::Logs { folder, prefix: format!("{uid}_"), is_containers: false },
                    ],
                    bytes,
                    message: format!(
                        "Pod ephemeral local storage usage exceeds the total limit of containers {text}. "
                    ),
                },
            }
        });
        volumes.chain(storage).collect()
    }

    /// A pod has ended, and its volumes go.
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
        let over = |list: &Vec<Limited>| list.iter().find(|one| one.is_over()).map(|one| one.message.clone());
        let found = limited.iter().filter_map(|(uid, list)| Some((uid.clone(), over(list)?))).collect();
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.done.notify_one();
    }
}

impl Limited {
    fn is_over(&self) -> bool {
        let all = self.places.iter().map(|place| match place {
            Place::Directory(directory) => used(directory, self.bytes),
            Place::Logs { folder, prefix, is_containers } => logs(folder, prefix, *is_containers),
        });
        all.fold(0, u64::saturating_add) > self.bytes
    }
}

/// How many bytes logs take on their disk.
fn logs(folder: &Path, prefix: &str, is_containers: bool) -> u64 {
    let is_meant = |name: &str| {
        // After a container's name comes its attempt alone; another's name may begin like it.
        let rest = name.strip_prefix(prefix)?;
        let attempt = rest.split('.').next().unwrap_or_default();
        (!is_containers || attempt.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let meant = entries.filter(|entry| entry.file_name().to_str().and_then(is_meant).is_some());
    meant.filter_map(|entry| Some(entry.metadata().ok()?.blocks() * 512)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_a_container_are_those_of_all_its_attempts_and_of_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["u_a-0.log", "u_a-1.log", "u_a-1.log.1.lz4", "u_a-b-0.log", "v_a-0.log"];
        for name in names {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let one = logs(folder.path(), "v_a-", true);
        assert!(one > 0);
        assert_eq!(logs(folder.path(), "u_a-", true), 3 * one);
        assert_eq!(logs(folder.path(), "u_a-b-", true), one);
        assert_eq!(logs(folder.path(), "u_", false), 4 * one);
        assert_eq!(logs(&folder.path().join("none"), "u_", false), 0);
    }

    #[test]
    fn whoever_takes_more_than_all_places_together_may_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (volumes, folder) = (folder.path().join("volumes"), folder.path().to_owned());
        fs::create_dir(&volumes).unwrap();
        fs::write(volumes.join("file"), "x").unwrap();
        fs::write(folder.join("u_a-0.log"), "x").unwrap();
        let whole = logs(&folder, "u_", false) + used(&volumes, u64::MAX);
        let is_over = |bytes| {
            let logs = Place::Logs { folder: folder.clone(), prefix: "u_".to_owned(), is_containers: false };
            let places = vec![Place::Directory(volumes.clone()), logs];
            Limited { places, bytes, message: String::new() }.is_over()
        };
        assert_eq!([is_over(whole), is_over(whole - 1)], [false, true]);
    }
}
