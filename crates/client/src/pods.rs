//! The pods of one job as a watch tells of them, in one row that `observe` can read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;
use windlass_manifest::Seen;

use crate::view::owner;

/// What is known of a job's pods.
pub(crate) enum Pods {
    /// Nobody asked.
    NotAsked,
    /// The user may not read them.
    Forbidden,
    /// The first list is still being read.
    Coming(Table),
    /// Those that are there, and the failed ones that were.
    Known(Table),
}

/// Pods by name, and in a row.
#[derive(Default)]
pub(crate) struct Table {
    row: Vec<Pod>,
    place: BTreeMap<String, usize>,
    /// A list that is being read.
    staged: Vec<Pod>,
}

impl Pods {
    /// What `observe` may see.
    pub(crate) fn seen(&self) -> Seen<'_, Pod> {
        match self {
            Pods::NotAsked => Seen::NotAsked,
            Pods::Forbidden => Seen::Forbidden,
            Pods::Coming(table) | Pods::Known(table) => Seen::All(&table.row),
        }
    }

    /// Takes an event of a pod of the Job with this uid. A failed pod that is deleted is remembered: it may hold the
    /// job's exit code.
    pub(crate) fn take(&mut self, event: watcher::Event<Pod>, job: Option<&str>) {
        let (Pods::Coming(table) | Pods::Known(table)) = self else { return };
        let is_ours = |pod: &Pod| owner(pod) == job;
        match event {
            watcher::Event::Init => table.staged.clear(),
            watcher::Event::InitApply(pod) if is_ours(&pod) => table.staged.push(pod),
            watcher::Event::InitDone => {
                let list = std::mem::take(&mut table.staged);
                self.replace(list);
            }
            watcher::Event::Apply(pod) if is_ours(&pod) => table.put(pod),
            watcher::Event::Delete(pod) if is_ours(&pod) && has_failed(&pod) => table.put(pod),
            watcher::Event::Delete(pod) if is_ours(&pod) => table.remove(pod.metadata.name.as_deref()),
            _ => {}
        }
    }

    /// Takes a whole list: what is not in it is gone, the failed ones remembered.
    pub(crate) fn replace(&mut self, list: Vec<Pod>) {
        let before = match std::mem::replace(self, Pods::NotAsked) {
            Pods::Coming(table) | Pods::Known(table) => table.row,
            Pods::NotAsked | Pods::Forbidden => Vec::new(),
        };
        let mut table = Table::default();
        before.into_iter().filter(has_failed).chain(list).for_each(|pod| table.put(pod));
        *self = Pods::Known(table);
    }

    /// How many pods are known to have ended.
    pub(crate) fn over(&self) -> usize {
        let over = |pod: &&Pod| matches!(phase(pod), Some("Succeeded" | "Failed"));
        self.seen().items().iter().filter(over).count()
    }
}

impl Table {
    fn put(&mut self, pod: Pod) {
        let Some(name) = pod.metadata.name.clone() else { return };
        match self.place.get(&name) {
            Some(place) => self.row[*place] = pod,
            None => {
                self.place.insert(name, self.row.len());
                self.row.push(pod);
            }
        }
    }

    fn remove(&mut self, name: Option<&str>) {
        let Some(place) = name.and_then(|name| self.place.remove(name)) else { return };
        self.row.swap_remove(place);
        if let Some(name) = self.row.get(place).and_then(|moved| moved.metadata.name.clone()) {
            self.place.insert(name, place);
        }
    }
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn has_failed(pod: &Pod) -> bool {
    phase(pod) == Some("Failed")
}
