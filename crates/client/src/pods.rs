//! The pods of one job as a watch tells of them, in one row that `observe` can read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};
use windlass_manifest::Seen;

use crate::view::owner;
use crate::watch::{News, is_older};

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

    /// Takes news of a pod of the Job with this uid. A failed pod that is deleted is remembered, and so is one whose
    /// container failed and was to be started again: it may hold the job's exit code. What is older than what is known
    /// is passed over.
    pub(crate) fn take(&mut self, news: News<Pod>, job: Option<&str>) {
        let is_ours = |pod: &Pod| owner(pod) == job;
        match news {
            News::All(list) => self.replace(list.into_iter().filter(is_ours).collect()),
            News::Is(pod) | News::Gone(pod) if !is_ours(&pod) => {}
            News::Is(pod) => self.change(|table| table.put(pod)),
            News::Gone(mut pod) => match may_be_the_end(&mut pod) {
                true => self.change(|table| table.put(pod)),
                false => self.change(|table| table.remove(&pod)),
            },
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Table)) {
        if let Pods::Coming(table) | Pods::Known(table) = self {
            change(table);
        }
    }

    /// Takes a whole list: what is not in it is gone, the failed ones remembered.
    pub(crate) fn replace(&mut self, list: Vec<Pod>) {
        let before = match std::mem::replace(self, Pods::NotAsked) {
            Pods::Coming(table) | Pods::Known(table) => table.row,
            Pods::NotAsked | Pods::Forbidden => Vec::new(),
        };
        let mut table = Table::default();
        let before = before.into_iter().filter_map(|mut pod| may_be_the_end(&mut pod).then_some(pod));
        before.chain(list).for_each(|pod| table.put(pod));
        *self = Pods::Known(table);
    }

    /// How many pods are known to have ended.
    pub(crate) fn over(&self) -> usize {
        let over = |pod: &&Pod| matches!(phase(pod), Some("Succeeded" | "Failed"));
        self.seen().items().iter().filter(over).count()
    }
}

/// The pod with no more than what a status is made of, as soon as it has ended: of thousands most have.
fn lightened(mut pod: Pod) -> Pod {
    pod.metadata.managed_fields = None;
    if !matches!(phase(&pod), Some("Succeeded" | "Failed")) {
        return pod;
    }
    let name = |container: Container| {
        let Container { name, restart_policy, .. } = container;
        Container { name, restart_policy, ..Container::default() }
    };
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        containers: spec.containers.into_iter().map(name).collect(),
        init_containers: spec.init_containers.map(|all| all.into_iter().map(name).collect()),
        node_name: spec.node_name,
        restart_policy: spec.restart_policy,
        runtime_class_name: spec.runtime_class_name,
        ..PodSpec::default()
    });
    pod
}

impl Table {
    fn put(&mut self, pod: Pod) {
        let pod = lightened(pod);
        let Some(name) = pod.metadata.name.clone() else { return };
        match self.place.get(&name) {
            Some(place) if is_stale(&pod, &self.row[*place]) => {}
            Some(place) => self.row[*place] = pod,
            None => {
                self.place.insert(name, self.row.len());
                self.row.push(pod);
            }
        }
    }

    fn remove(&mut self, pod: &Pod) {
        let Some(name) = pod.metadata.name.as_deref() else { return };
        let Some(place) = self.place.get(name).copied() else { return };
        if is_stale(pod, &self.row[place]) {
            return;
        }
        self.place.remove(name);
        self.row.swap_remove(place);
        if let Some(name) = self.row.get(place).and_then(|moved| moved.metadata.name.clone()) {
            self.place.insert(name, place);
        }
    }
}

/// Whether news of a pod come after what they tell of is over: of an older revision, or of a pod that had its name
/// before.
fn is_stale(news: &Pod, known: &Pod) -> bool {
    is_older(news.metadata.resource_version.as_deref(), known.metadata.resource_version.as_deref())
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// Whether a pod that is gone had failed. One that Kubernetes starts again in its place until that was too often is deleted
/// then, and need not come to say that it failed: it is said here.
fn may_be_the_end(pod: &mut Pod) -> bool {
    let starts_again = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("OnFailure");
    let Some(status) = &mut pod.status else { return false };
    if starts_again && has_tried(status) {
        status.phase = Some("Failed".to_owned());
    }
    status.phase.as_deref() == Some("Failed")
}

/// Whether a container has ended badly, now or in its last try.
fn has_tried(status: &PodStatus) -> bool {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let states = containers.flat_map(|one| [one.state.as_ref(), one.last_state.as_ref()]).flatten();
    states.filter_map(|state| state.terminated.as_ref()).any(|end| end.exit_code != 0)
        && status.phase.as_deref() != Some("Succeeded")
}
