//! Carries out scheduling: who may come in at once, who waits for room, and who comes in when others leave.
//!
//! A pod that asks for something is placed at the end of a decision, so that of all that wait the first comes first.

use serde_json::Value;
use windlass_apiserver::registry::Object;
use windlass_control::schedule::{self, Amounts, Decision, Held, Plan, Quarrel, Rejection, Stand};
use windlass_store::Key;

use crate::draft::Draft;
use crate::events::{KUBELET, Note};
use crate::gpus;
use crate::pods::{is_deleting, is_ended};
use crate::tick::Tick;
use crate::world::rfc3339;

impl Tick {
    /// Binds a pod to the node, lets it wait for room, or says why it cannot come.
    pub(crate) fn place(&mut self, draft: &mut Draft, key: &Key) {
        let waited = self.neighbours.leave(key);
        let Some(pod) = draft.current(&self.cache, key) else { return self.room.leave(key) };
        match schedule::stand(pod, &self.node, self.world.now()) {
            Stand::Settled => self.room.leave(key),
            Stand::Refused(plan) => {
                let now = self.world.now();
                let until = schedule::unschedulable_until(pod).and_then(|(until, _)| until);
                if let Some(until) = until.filter(|until| *until > now) {
                    self.timers.set(key, Some(until));
                }
                self.room.leave(key);
                if let Some(plan) = plan {
                    self.scheduled(draft, key, plan);
                }
            }
            Stand::Placed(plan) => {
                self.room.leave(key);
                let request = Amounts::requested(&pod["spec"]);
                // Since it came it is counted among those that are here.
                self.room.free(uid(pod));
                let shortage = self.room.shortage(&request);
                let clashes = || self.clashes(draft, key);
                if let Some(why) = schedule::rejection(pod, &self.node, shortage.as_ref(), clashes) {
                    return self.turn_away(draft, key, why);
                }
                self.room.take(uid(pod), request, priority(pod));
                self.scheduled(draft, key, plan);
            }
            Stand::Open(request) => self.enter(draft, key, request, waited),
        }
    }

    /// Ends a pod that is bound to this node and that the node does not take, as a kubelet does (`rejectPod`).
    fn turn_away(&mut self, draft: &mut Draft, key: &Key, why: Rejection) {
        let Rejection { reason, message } = why;
        let about = self.about(draft, key);
        let now = rfc3339(self.world.now());
        draft.edit(&self.cache, key, |pod| {
            let status = &mut pod["status"];
            status["phase"] = "Failed".into();
            status["reason"] = reason.as_str().into();
            status["message"] = format!("Pod was rejected: {message}").into();
            if status["startTime"].is_null() {
                status["startTime"] = now.into();
            }
        });
        let note = Note { warning: true, reason, message, field: None, component: KUBELET };
        self.note(draft, &about, &note);
    }

    /// A pod that this node may take: once its claims are bound, and there is room. Those that waited for others (`waited`)
    /// come in their order: the first of them may be why the next has to wait on.
    fn enter(&mut self, draft: &mut Draft, key: &Key, request: Amounts, waited: bool) {
        let fits = self.room.lacks(&request).is_empty();
        if let Some(waits) = self.unclaimed(draft, key, fits) {
            self.room.leave(key);
            if let Some(plan) = waits {
                self.scheduled(draft, key, plan);
            }
            return;
        }
        // Too little room is told before, but for ports, which are asked for first.
        if let Some(quarrel) = self.quarrel(draft, key).filter(|quarrel| fits || *quarrel == Quarrel::Ports) {
            self.room.leave(key);
            return self.keep_apart(draft, key, quarrel);
        }
        let Some(pod) = draft.current(&self.cache, key) else { return };
        if request.is_nothing() && self.room.is_open() && !waited {
            return self.bind(draft, key, request);
        }
        let created = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
        self.room.wait(key, request, priority(pod), created);
        self.newcomers.push(key.clone());
    }

    /// A pod that fits comes in, and holds what it asks for, if the node finds that it is for its operating system.
    fn bind(&mut self, draft: &mut Draft, key: &Key, request: Amounts) {
        let Some(pod) = draft.current(&self.cache, key) else { return };
        let rejection = schedule::of_another_system(pod);
        if rejection.is_none() {
            self.room.take(uid(pod), request, priority(pod));
        }
        let plan = schedule::bind(pod, &self.node, self.world.now());
        self.scheduled(draft, key, plan);
        if let Some(why) = rejection {
            self.turn_away(draft, key, why);
        }
    }

    /// Places who waits and fits, at most so many, and tells the newcomers that stay outside why. Returns who was placed,
    /// or has to wait for something else now.
    pub(crate) fn fill(&mut self, draft: &mut Draft, most: usize) -> Vec<Key> {
        let mut placed = Vec::new();
        while placed.len() < most
            && !self.draining()
            && let Some((key, request)) = self.room.next_fit()
        {
            self.room.leave(&key);
            // Those that waited for its place come now; others may have gone, or another pod has come to use them.
            if let Some(waits) = self.unclaimed(draft, &key, true) {
                if let Some(plan) = waits {
                    self.scheduled(draft, &key, plan);
                }
                placed.push(key);
                continue;
            }
            if let Some(quarrel) = self.quarrel(draft, &key) {
                self.keep_apart(draft, &key, quarrel);
                placed.push(key);
                continue;
            }
            self.bind(draft, &key, request);
            self.kubelet(draft, &key);
            placed.push(key);
        }
        for key in std::mem::take(&mut self.newcomers) {
            let Some(request) = self.room.waits_for(&key) else { continue };
            let lacks = self.room.lacks(request);
            if let Some(pod) = draft.current(&self.cache, &key)
                && !lacks.is_empty()
                && let has_victims = self.room.would_fit_alone(request, priority(pod))
                && let Some(plan) = schedule::short(pod, &lacks, has_victims, self.world.now())
            {
                self.scheduled(draft, &key, plan);
            }
        }
        placed
    }

    /// Writes what was decided for a pod.
    pub(crate) fn scheduled(&mut self, draft: &mut Draft, key: &Key, plan: Plan) {
        if matches!(plan.decision, Decision::Bind { .. })
            && let Some(pod) = draft.current(&self.cache, key)
        {
            self.neighbours.bind(key, pod.spec());
        }
        let about = self.about(draft, key);
        let (alike, room) = (&mut self.alike, &self.room);
        draft.edit(&self.cache, key, |pod| {
            if let Decision::Bind { node } = &plan.decision {
                pod.bind(node);
                let grant = room.granted(pod.text("uid")).map(ToString::to_string);
                gpus::record(pod, grant);
            }
            alike.condition(pod, plan.condition);
        });
        for event in plan.events {
            let note = Note {
                warning: event.warning,
                reason: event.reason.to_owned(),
                message: event.message,
                field: None,
                component: "default-scheduler",
            };
            self.note(draft, &about, &note);
        }
    }

    /// What the store says of a pod: one that is bound here and has not ended holds what it asks for.
    pub(crate) fn pod_holds(&mut self, key: &Key, pod: &Object) {
        let holds = pod["spec"]["nodeName"] == self.node.name.as_str() && !is_ended(pod);
        self.pod_is_here(key, pod, holds);
        let held = || Held {
            request: Amounts::requested(&pod["spec"]),
            priority: priority(pod),
            grant: gpus::recorded(pod),
        };
        self.room.observe(uid(pod), holds.then_some(held));
    }

    /// A pod that has ended, in a draft or for good, gives its room back.
    pub(crate) fn give_back(&mut self, draft: &Draft, key: &Key) {
        match draft.current(&self.cache, key) {
            Some(pod) if is_ended(pod) => self.room.free(uid(pod)),
            Some(pod) if is_deleting(pod) => self.room.leave(key),
            _ => {}
        }
    }

    /// What the node object offers. An extended resource that somebody wrote into the capacity alone counts, too.
    pub(crate) fn node_offers(&mut self, node: &Object) {
        let mut offered = node["status"]["capacity"].as_object().cloned().unwrap_or_default();
        offered.retain(|name, _| name.contains('/'));
        offered.extend(node["status"]["allocatable"].as_object().cloned().unwrap_or_default());
        let offered = Value::Object(offered);
        if self.room.equip(gpus::devices(&offered, &self.gpus)) {
            self.see_devices();
        }
        self.room.offer(Amounts::read(&offered));
    }
}

pub(crate) fn priority(pod: &Object) -> i64 {
    pod["spec"]["priority"].as_i64().unwrap_or(0)
}

fn uid(pod: &Object) -> &str {
    pod.text("uid")
}
