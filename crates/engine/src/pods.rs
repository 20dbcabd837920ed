//! Carries out what the kubelet plans for a pod: status, processes, removal.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use windlass_apiserver::kind::Fields;
use windlass_apiserver::registry::{DeleteOptions, Mark, Object, mark};
use windlass_runner::kubelet::{self, Action, EventType, Facts, News, PodView, hook_handler, probe_handler};
use windlass_runner::mounts::Space;
use windlass_runner::process::{Lookup, Process, process, user};
use windlass_runner::runtime::{Key as RunKey, Start};
use windlass_store::Key;

use crate::checks::{Check, What};
use crate::draft::Draft;
use crate::events::{KUBELET, Note};
use crate::fates;
use crate::tick::Tick;
use crate::volumes::{Furniture, Prepared};

/// How often a random name is drawn before it is given up: of 14 million, eight would all have to be taken.
const NAMES_TRIED: usize = 8;
/// When a pod is looked at again whose containers cannot be made yet.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

impl Tick {
    /// One look at a pod.
    pub(crate) fn pod(&mut self, draft: &mut Draft, key: &Key) {
        if self.cache.held(key).is_none() {
            self.end_leftovers(draft, key);
            return;
        }
        if self.sweep_tracking(draft, key) {
            return;
        }
        self.look(draft, key);
    }

    pub(crate) fn look(&mut self, draft: &mut Draft, key: &Key) {
        if self.drive_out(draft, key) {
            return;
        }
        self.place(draft, key);
        let Some(pod) = draft.current(&self.cache, key) else { return };
        // A pod that is not placed here is the kubelet's only when it goes.
        if is_deleting(pod) || is_ended(pod) || self.is_placed(pod) {
            self.kubelet(draft, key);
        }
    }

    fn is_placed(&self, pod: &Object) -> bool {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let scheduled = |c: &Value| c["type"] == "PodScheduled" && c["status"] == "True";
        pod["spec"]["nodeName"] == self.node.name.as_str() && conditions.into_iter().any(scheduled)
    }

    /// A pod whose end somebody else wrote: nothing of it may go on.
    fn end_leftovers(&mut self, draft: &mut Draft, key: &Key) {
        let Some(uid) = self.cache.uid_of(key) else { return };
        draft.signals.extend(self.runs.alive(uid).into_iter().map(|run| (run, libc::SIGKILL)));
    }

    /// Adds a pod that a controller wants: named, placed and given its first status in one write.
    pub(crate) fn create_pod(&mut self, draft: &mut Draft, pattern: &Object) -> Option<String> {
        let kind = self.cache.kind_of("/pods/")?;
        for _ in 0..NAMES_TRIED {
            let pod = pattern.with_metadata(self.registry.another(pattern.metadata()));
            let name = pod.text("name").to_owned();
            let key = kind.key(pod.metadata()["namespace"].as_str(), &name);
            if !draft.touches(&key) && self.cache.uid_of(&key).is_none() {
                let key = draft.insert(kind, pod);
                self.look(draft, &key);
                return Some(name);
            }
            // Taken: another one is drawn.
        }
        tracing::error!("no free name for a pod; the Job is asked again");
        None
    }

    /// Asks the kubelet about a bound pod and carries out its plan.
    pub(crate) fn kubelet(&mut self, draft: &mut Draft, key: &Key) {
        let Some(pod) = draft.current(&self.cache, key) else { return };
        let is_scripted = fates::is_scripted(pod);
        if is_scripted && self.lose_node(draft, key) {
            return;
        }
        let Some(pod) = draft.current(&self.cache, key) else { return };
        let uid = pod.text("uid").to_owned();
        let now = self.world.now();
        let mut facts = self.runs.of(&uid);
        facts.blocked.clear();
        facts.ending = self.drain_since;
        if is_scripted {
            self.befallen(&uid, &mut facts);
        } else if !facts.runs.is_empty() {
            facts.user = user(parts(pod), &self.host);
        }
        let known = self.alike.plan(pod, &facts, now);
        let (mut plan, alike) = match known {
            Some((plan, alike)) => (plan, Some(alike)),
            None => (kubelet::plan(parts(pod), &facts, now), None),
        };
        let before = pod.clone();
        let ((starts, furniture, blocked), again) = match is_scripted {
            true => self.scripted(pod, &plan.actions, now),
            // What is missing may be a path of the host, of which nobody tells.
            false => (self.processes(pod, &plan.actions), now.checked_add(LOOK_AGAIN).ok()),
        };
        if !is_scripted && let Some(hidden) = self.hidden_devices(pod, &plan.actions) {
            plan.events.push(News::normal("DevicesHidden", hidden));
        }
        if let Some(gone) = self.bereft.remove(key).filter(|_| !is_ended(&before)) {
            plan.events.push(News::warning("DeviceGone", gone));
        }
        if !blocked.is_empty() {
            facts.blocked = blocked;
            plan = kubelet::plan(parts(pod), &facts, now);
            let namespace = pod.text("namespace").to_owned();
            self.blocked.entry(namespace).or_default().insert(key.clone());
            plan.wake_at = plan.wake_at.into_iter().chain(again).min();
        }
        draft.reconsider(&uid);
        if let Some(furniture) = furniture {
            draft.furniture.insert(uid.clone(), furniture);
        }
        let wake = plan.wake_at.into_iter().chain(self.driven_out_at(&before)).min();
        self.timers.set(key, wake);
        if !facts.news.is_empty() {
            draft.news.insert(uid.clone(), facts.news.len());
        }
        if !plan.announced.is_empty() {
            draft.announced.insert(uid.clone(), std::mem::take(&mut plan.announced));
        }
        let is_silent = plan.events.is_empty();
        if !is_silent {
            let about = self.about(draft, key);
            for news in std::mem::take(&mut plan.events) {
                let field = news.field_path(parts(&about));
                let warning = news.kind == EventType::Warning;
                let (reason, message) = (news.reason.to_owned(), news.message);
                self.note(draft, &about, &Note { warning, reason, message, field, component: KUBELET });
            }
        }
        match (alike.filter(|_| facts.blocked.is_empty()), plan.status.take()) {
            (Some(alike), None) => draft.edit(&self.cache, key, |pod| pod.share_status(&alike)),
            (_, Some(status)) => {
                draft.edit(&self.cache, key, |pod| {
                    pod.set_status(status);
                    crate::usage::note(pod, &facts);
                });
                if is_silent && let Some(after) = draft.current(&self.cache, key) {
                    self.alike.remember(&before, &facts, now, &plan, after);
                }
                self.give_back(draft, key);
            }
            (None, None) => {}
        }
        self.effects(draft, key, &uid, &plan.actions, starts);
        self.settle_runs(draft, key, &uid, &facts);
        if draft.current(&self.cache, key).is_some_and(|pod| !is_deleting(pod)) {
            draft.quiet.insert(key.clone());
        }
    }

    fn effects(&self, draft: &mut Draft, key: &Key, uid: &str, actions: &[Action], starts: Vec<Start>) {
        let mut starts = starts;
        for action in actions {
            match action {
                Action::Start { container, attempt } => {
                    let wanted = |s: &Start| s.key.container == *container && s.key.attempt == *attempt;
                    if let Some(at) = starts.iter().position(wanted)
                        && !self.draining()
                    {
                        draft.starts.push(starts.swap_remove(at));
                    }
                }
                Action::Signal { container, attempt, signal } => {
                    let run = RunKey { pod: uid.to_owned(), container: container.clone(), attempt: *attempt };
                    draft.signals.push((run, *signal));
                }
                Action::Probe { container, attempt, probe } => {
                    let what = What::Probe(*probe);
                    draft.checks.extend(self.check(draft, key, (uid, container, *attempt), what));
                }
                Action::Hook { container, attempt, hook } => {
                    let what = What::Hook(*hook);
                    draft.checks.extend(self.check(draft, key, (uid, container, *attempt), what));
                }
                Action::Remove => draft.remove(&self.cache, key),
            }
        }
    }

    /// What a probe or a hook of a pod does.
    fn check(
        &self,
        draft: &Draft,
        key: &Key,
        (uid, container, attempt): (&str, &str, u32),
        what: What,
    ) -> Option<Check> {
        let pod = parts(draft.current(&self.cache, key)?);
        let (handler, timeout) = match what {
            What::Probe(probe) => {
                let (handler, seconds) = probe_handler(pod, container, probe)?;
                (handler, Some(Duration::from_secs(seconds)))
            }
            What::Hook(hook) => (hook_handler(pod, container, hook)?, None),
        };
        let run = RunKey { pod: uid.to_owned(), container: container.to_owned(), attempt };
        Some(Check { run, what, handler, timeout })
    }

    /// Once a pod's end is in the draft, the runtime may forget its runs.
    fn settle_runs(&self, draft: &mut Draft, key: &Key, uid: &str, facts: &Facts) {
        let ended = match draft.current(&self.cache, key) {
            Some(pod) => is_ended(pod),
            None => true,
        };
        if ended && !facts.runs.is_empty() && self.runs.alive(uid).is_empty() {
            draft.settled.push(uid.to_owned());
        }
    }

    /// The processes behind the plan's starts, the volumes they need, and what keeps containers from having one.
    fn processes(&self, pod: &Object, actions: &[Action]) -> Prepared {
        let (mut starts, mut furniture, mut blocked) = (Vec::new(), None::<Furniture>, Vec::new());
        if !actions.iter().any(|action| matches!(action, Action::Start { .. })) {
            return (starts, furniture, blocked);
        }
        let (whole, uid) = (pod.whole(), pod.text("uid"));
        let lookup = Objects { tick: self, namespace: pod.text("namespace"), pod: &whole };
        let unmounted = self.unmounted(pod);
        for action in actions {
            let Action::Start { container, attempt } = action else { continue };
            if let Some(why) = &unmounted {
                blocked.push((container.clone(), "ContainerCreating", why.clone()));
                continue;
            }
            let devices = match self.told_of_devices(pod, container) {
                Ok(devices) => devices,
                Err(gone) => {
                    blocked.push((container.clone(), "CreateContainerConfigError", gone));
                    continue;
                }
            };
            match process(&whole, container, &lookup, &self.host) {
                Ok(process) => match self.volumes.space(uid, (container, *attempt), &process) {
                    Ok(space) => {
                        let space = space.map(|(space, needs)| {
                            let all = furniture.get_or_insert_default();
                            all.volumes = needs.volumes;
                            all.mounts.extend(needs.mounts);
                            all.messages.extend(needs.messages);
                            space
                        });
                        starts.push(self.start_of(uid, container, *attempt, process.told(devices), space));
                    }
                    Err((reason, message)) => blocked.push((container.clone(), reason, message)),
                },
                Err(cause) => blocked.push((container.clone(), cause.reason(), cause.to_string())),
            }
        }
        (starts, furniture, blocked)
    }

    fn start_of(
        &self,
        uid: &str,
        container: &str,
        attempt: u32,
        process: Process,
        space: Option<Box<Space>>,
    ) -> Start {
        Start {
            key: RunKey { pod: uid.to_owned(), container: container.to_owned(), attempt },
            argv: process.argv,
            env: process.env,
            cwd: process.cwd,
            space,
            log: self.home.container_log(uid, container, attempt),
            log_limit: self.log_limit,
            stdio: process.stdio,
            rights: process.rights,
            fate: None,
            limits: process.limits,
        }
    }

    /// Deletes a pod by the API's rules.
    pub(crate) fn delete_pod(&mut self, draft: &mut Draft, key: &Key) {
        self.delete_pod_with(draft, key, &DeleteOptions::default());
    }

    /// The same, with options.
    pub(crate) fn delete_pod_with(&mut self, draft: &mut Draft, key: &Key, options: &DeleteOptions) {
        let Some(pod) = draft.current(&self.cache, key) else { return };
        let Some(kind) = self.cache.kind_of("/pods/") else { return };
        match mark(kind, &pod.whole(), options, self.world.now()) {
            Mark::Gone => draft.remove(&self.cache, key),
            Mark::Stays(marked) => draft.edit(&self.cache, key, |pod| *pod = (*marked).into()),
        }
        self.kubelet(draft, key);
    }

    /// A ConfigMap, Secret or service account came: the pods of its namespace that waited are looked at again.
    pub(crate) fn unblock(&mut self, key: &Key) {
        let namespace = key.split('/').nth(2).unwrap_or_default();
        if let Some(pods) = self.blocked.remove(namespace) {
            self.dirty.extend(pods);
        }
    }

    /// The files in a pod's volumes as they are to be now, by volume.
    pub(crate) fn files_of(&self, pod: &Value) -> Vec<(String, Vec<windlass_runner::volumes::File>)> {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let lookup = Objects { tick: self, namespace, pod };
        windlass_runner::process::files(pod, &lookup, &self.host)
    }
}

/// What a pod's environment and volumes name, as it is now.
struct Objects<'a> {
    tick: &'a Tick,
    namespace: &'a str,
    pod: &'a Value,
}

impl Lookup for Objects<'_> {
    fn token(&self, audience: Option<&str>, seconds: i64) -> Result<String, String> {
        self.tick.tokens.issue(self.pod, audience, seconds)
    }
    fn claim(&self, name: &str) -> Option<Value> {
        self.tick
            .stored(&format!("/persistentvolumeclaims/{}/{name}", self.namespace))
            .map(|object| object.whole())
    }
    fn volume(&self, name: &str) -> Option<Value> {
        self.tick.stored(&format!("/persistentvolumes/{name}")).map(|object| object.whole())
    }
    fn config_map(&self, name: &str) -> Option<Value> {
        self.tick.stored(&format!("/configmaps/{}/{name}", self.namespace)).map(|object| object.whole())
    }
    fn secret(&self, name: &str) -> Option<Value> {
        self.tick.stored(&format!("/secrets/{}/{name}", self.namespace)).map(|object| object.whole())
    }
}

pub(crate) fn parts(pod: &Object) -> PodView<'_> {
    PodView { metadata: pod.metadata(), spec: pod.spec(), status: pod.status() }
}

pub(crate) fn is_deleting(object: &dyn Fields) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

pub(crate) fn is_ended(pod: &Object) -> bool {
    matches!(pod.status()["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The runs of a pod that its status shows as running.
pub(crate) fn begun(pod: &Object) -> Vec<RunKey> {
    let uid = pod.text("uid");
    let lists = ["containerStatuses", "initContainerStatuses"];
    let statuses = lists.iter().filter_map(|list| pod["status"][*list].as_array()).flatten();
    statuses
        .filter(|status| status["state"]["running"].is_object())
        .map(|status| RunKey {
            pod: uid.to_owned(),
            container: status["name"].as_str().unwrap_or_default().to_owned(),
            attempt: u32::try_from(status["restartCount"].as_u64().unwrap_or(0)).unwrap_or(0),
        })
        .collect()
}

/// Replaces a condition of its type, or adds it.
pub(crate) fn set_condition(status: &mut Value, condition: Value) {
    let conditions = &mut status["conditions"];
    match conditions {
        Value::Array(list) => match list.iter_mut().find(|c| c["type"] == condition["type"]) {
            Some(known) => *known = condition,
            None => list.push(condition),
        },
        _ => *conditions = Value::Array(vec![condition]),
    }
}
