//! A small cluster for tests: it does what the executor does with a plan, and lets pods live and end as a test says.
//!
//! After every plan it checks what must hold whatever happens; see [`World::commit`].

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::count::{index_count, is_indexed, is_terminal, is_tracked};
use super::finish::finished_condition;
use super::indexed::index_of;
use super::*;
use crate::view::{ContainerState, ContainerStatus, Owner, PodCondition, Terminated};

/// The template of the Jobs that tests make.
pub(super) fn template() -> Value {
    json!({
        "metadata": {"labels": {"job": "j"}, "annotations": {"a": "b"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "x-unknown": 1}]},
    })
}

/// A Job as the API stores it, with that spec.
pub(super) fn job(spec: Value) -> Job {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"job": "j"}});
    if spec["template"].is_null() {
        spec["template"] = template();
    }
    let metadata = json!({"name": "j", "namespace": "n", "uid": "J", "creationTimestamp": at(0)});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// The exit code that the policies of random Jobs ignore.
pub(super) const IGNORED_CODE: i32 = 3;

/// A time of the tests' calendar.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A Job, its pods, and the time.
pub(super) struct World {
    pub job: Job,
    pub pods: Vec<Pod>,
    pub now: Timestamp,
    /// All events so far: reason and message.
    pub events: Vec<(&'static str, String)>,
    /// The conditions that were true after each commit that wrote a status.
    pub history: Vec<Vec<String>>,
    /// When the last plan wants to be asked again.
    pub wake_at: Option<Timestamp>,
    /// What the executor keeps for the next plan.
    pub past: Past,
    /// Pods made so far.
    pub made: usize,
    /// What the counters must say, by an independent count of what was released.
    pub expected: (i32, i32),
}

impl World {
    pub(super) fn new(job: Job) -> Self {
        Self {
            job,
            pods: Vec::new(),
            now: at(0),
            events: Vec::new(),
            history: Vec::new(),
            wake_at: None,
            past: Past::default(),
            made: 0,
            expected: (0, 0),
        }
    }

    pub(super) fn with(spec: Value) -> Self {
        Self::new(job(spec))
    }

    /// Plans and commits once.
    pub(super) fn step(&mut self) -> Plan {
        let wanted = self.plan(&self.pods);
        if let Some(past) = &wanted.past {
            self.past = past.clone();
        }
        self.check_what_may_be_left_out(&Plan { past: None, ..wanted.clone() });
        self.commit(&wanted);
        wanted
    }

    fn plan(&self, pods: &[Pod]) -> Plan {
        plan(&self.job, pods, &self.past, self.now)
    }

    /// Plans and commits until nothing is wanted, as the engine does within a moment.
    pub(super) fn settle(&mut self) -> &mut Self {
        for _ in 0..50 {
            if self.step().is_quiet() {
                return self;
            }
        }
        panic!("does not come to rest: {:?}", self.plan(&self.pods));
    }

    pub(super) fn advance(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self.settle()
    }

    pub(super) fn status(&self) -> &JobStatus {
        &self.job.status
    }

    pub(super) fn active(&self) -> Vec<&Pod> {
        let own = |pod: &Pod| claim::controller(&pod.metadata).is_some_and(|owner| owner.uid == "J");
        let active = |pod: &&Pod| own(pod) && !is_terminal(pod) && pod.metadata.deletion_timestamp.is_none();
        self.pods.iter().filter(active).collect()
    }

    /// The names of conditions that are true, in order.
    pub(super) fn conditions(&self) -> Vec<String> {
        let held = self.job.status.conditions.iter().filter(|condition| condition.status == "True");
        held.map(|condition| condition.kind.clone()).collect()
    }

    pub(super) fn reasons(&self) -> Vec<&'static str> {
        self.events.iter().map(|(reason, _)| *reason).collect()
    }

    pub(super) fn is_finished(&self) -> bool {
        finished_condition(&self.job.status).is_some()
    }

    pub(super) fn pod(&mut self, uid: &str) -> &mut Pod {
        self.pods.iter_mut().find(|pod| pod.metadata.uid == uid).unwrap()
    }

    /// The pod starts to run, and is ready.
    pub(super) fn run(&mut self, uid: &str) -> &mut Self {
        let now = self.now;
        let pod = self.pod(uid);
        pod.spec.node_name = "node".to_owned();
        pod.status.phase = "Running".to_owned();
        pod.status.conditions = vec![PodCondition {
            kind: "Ready".into(),
            status: "True".into(),
            last_transition_time: Some(now),
        }];
        self
    }

    /// The pod's only container ends with this code.
    pub(super) fn end(&mut self, uid: &str, exit_code: i32) -> &mut Self {
        self.run(uid);
        let now = self.now;
        let pod = self.pod(uid);
        pod.status.phase = if exit_code == 0 { "Succeeded" } else { "Failed" }.to_owned();
        pod.status.conditions[0].status = "False".to_owned();
        let terminated = Some(Terminated { exit_code, finished_at: Some(now) });
        pod.status.container_statuses = vec![ContainerStatus {
            name: "c".into(),
            state: ContainerState { terminated },
            ..ContainerStatus::default()
        }];
        self.collect();
        self
    }

    /// Somebody deletes the pod through the API.
    pub(super) fn delete(&mut self, uid: &str) -> &mut Self {
        let now = self.now;
        let pod = self.pod(uid);
        pod.metadata.deletion_timestamp.get_or_insert(now + SignedDuration::from_secs(30));
        pod.metadata.deletion_grace_period_seconds = Some(30);
        self.collect();
        self
    }

    /// All pods that are being deleted end, killed.
    pub(super) fn reap(&mut self) -> &mut Self {
        for uid in self.uids(|pod| !is_terminal(pod) && pod.metadata.deletion_timestamp.is_some()) {
            self.end(&uid, 137);
        }
        self
    }

    pub(super) fn uids(&self, which: impl Fn(&Pod) -> bool) -> Vec<String> {
        self.pods.iter().filter(|pod| which(pod)).map(|pod| pod.metadata.uid.clone()).collect()
    }

    pub(super) fn active_uids(&self) -> Vec<String> {
        self.active().iter().map(|pod| pod.metadata.uid.clone()).collect()
    }

    /// Pods that are deleted, ended or never started, and without finalizers, leave the store.
    fn collect(&mut self) {
        self.pods.retain(|pod| {
            let over = is_terminal(pod) || pod.spec.node_name.is_empty();
            !(pod.metadata.deletion_timestamp.is_some() && over && pod.metadata.finalizers.is_empty())
        });
    }

    /// Does what the executor does, and checks every plan.
    fn commit(&mut self, plan: &Plan) {
        self.check_actions(plan);
        for action in &plan.actions {
            self.perform(action);
        }
        self.collect();
        if let Some(wake_at) = plan.wake_at {
            assert!(wake_at > self.now, "a plan wakes later, not now: {plan:?}");
        }
        self.wake_at = plan.wake_at;
        for event in &plan.events {
            self.events.push((event.reason, event.message.clone()));
        }
        if let Some(status) = &plan.status {
            self.check_status(status);
            // As stored: what does not survive JSON would be written again and again.
            self.job.status = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
            assert_eq!(&self.job.status, status);
            self.history.push(self.conditions());
        }
        self.check_pods(plan.actions.iter().any(|action| matches!(action, Action::CreatePod { .. })));
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::CreatePod { pod } => self.create(pod),
            Action::DeletePod { uid, release, .. } => {
                if *release {
                    self.release(uid);
                }
                let uid = uid.clone();
                self.delete(&uid);
            }
            Action::Release { uid, .. } => self.release(uid),
            Action::Adopt { uid, .. } => {
                let owner = serde_json::from_value(owner(&self.job)).unwrap();
                let pod = self.pod(uid);
                pod.metadata.owner_references.push(owner);
                pod.metadata.finalizers.push(TRACKING_FINALIZER.to_owned());
            }
            Action::Disown { uid, .. } => {
                let pod = self.pod(uid);
                pod.metadata.owner_references.retain(|owner: &Owner| owner.uid != "J");
                pod.metadata.finalizers.clear();
            }
        }
    }

    fn create(&mut self, manifest: &Value) {
        let mut pod: Pod = serde_json::from_value(manifest.clone()).unwrap();
        assert!(is_tracked(&pod));
        pod.metadata.name =
            format!("{}{:05}", manifest["metadata"]["generateName"].as_str().unwrap(), self.made);
        pod.metadata.uid = format!("p{}", self.made);
        pod.metadata.creation_timestamp = Some(self.now);
        pod.status.phase = "Pending".to_owned();
        self.made += 1;
        self.pods.push(pod);
    }

    /// Takes the finalizer off, and notes what the pod must have been counted as.
    fn release(&mut self, uid: &str) {
        let (indexed, size) = (is_indexed(&self.job), index_count(&self.job));
        let pod = self.pod(uid);
        assert!(is_tracked(pod), "{uid} is released twice");
        pod.metadata.finalizers.retain(|finalizer| finalizer != TRACKING_FINALIZER);
        let code = pod.status.container_statuses.first().and_then(|status| status.state.terminated.as_ref());
        let ignored = code.is_some_and(|end| end.exit_code == IGNORED_CODE);
        if indexed && index_of(pod).is_none_or(|index| index >= size) {
            return; // The Job has been made smaller meanwhile.
        }
        let (phase, deleted) = (pod.status.phase.clone(), pod.metadata.deletion_timestamp.is_some());
        match phase.as_str() {
            "Succeeded" if indexed => {}
            "Succeeded" => self.expected.0 += 1,
            "Failed" if ignored && self.job.spec.pod_failure_policy.is_some() => {}
            "Failed" => self.expected.1 += 1,
            _ if deleted => self.expected.1 += 1,
            _ => {}
        }
    }

    fn check_actions(&self, plan: &Plan) {
        let created = plan.actions.iter().filter(|action| matches!(action, Action::CreatePod { .. })).count();
        let deleted = plan.actions.iter().filter(|action| matches!(action, Action::DeletePod { .. })).count();
        assert!(created == 0 || deleted == 0, "creates and deletes in one plan");
        assert!(created <= MAX_PODS_PER_PLAN && deleted <= MAX_PODS_PER_PLAN);
        let told = plan.events.iter().filter(|event| event.reason == "SuccessfulCreate").count();
        assert_eq!(told, created, "one event for each creation");
        let mut seen = BTreeSet::new();
        for action in &plan.actions {
            let (Action::DeletePod { uid, name, .. }
            | Action::Release { uid, name }
            | Action::Adopt { uid, name }
            | Action::Disown { uid, name }) = action
            else {
                continue;
            };
            assert!(seen.insert(uid.clone()), "two actions on {name}");
        }
    }

    fn check_status(&self, new: &JobStatus) {
        let old = &self.job.status;
        assert!(new.failed >= old.failed, "failed decreases");
        assert!(is_indexed(&self.job) || new.succeeded >= old.succeeded, "succeeded decreases");
        assert!(new.ready <= Some(new.active), "more ready than active");
        let held = |status: &JobStatus, kind: &str| {
            status.conditions.iter().any(|condition| condition.kind == kind && condition.status == "True")
        };
        for (interim, terminal) in [("SuccessCriteriaMet", "Complete"), ("FailureTarget", "Failed")] {
            if held(new, terminal) {
                assert!(held(old, interim), "{terminal} without an earlier {interim}");
                assert_eq!((new.active, new.terminating), (0, Some(0)));
                assert!(new.start_time.is_some());
                assert_eq!((new.succeeded, new.failed), (old.succeeded, old.failed));
                assert!(!self.pods.iter().any(is_tracked), "finished with a pod left to count");
            }
        }
        assert!(!(held(new, "SuccessCriteriaMet") && held(new, "FailureTarget")));
        assert_eq!(held(new, "Complete"), new.completion_time.is_some());
        let uncounted = new
            .uncounted_terminated_pods
            .iter()
            .flat_map(|lists| ["succeeded", "failed"].map(|of| &lists[of]));
        for uid in uncounted.filter_map(Value::as_array).flatten() {
            let is_left = |pod: &Pod| pod.metadata.uid == uid.as_str().unwrap() && is_tracked(pod);
            assert!(self.pods.iter().any(is_left), "{uid} is listed, and is to be counted by now");
        }
    }

    fn check_pods(&self, created: bool) {
        let active = self.active();
        let parallelism = usize::try_from(self.job.spec.parallelism.unwrap_or(1)).unwrap();
        if created {
            assert!(active.len() <= parallelism, "creates more pods than may run at once");
        }
        if is_indexed(&self.job) {
            let running: Vec<_> = active.iter().filter_map(|pod| index_of(pod)).collect();
            assert_eq!(running.iter().collect::<BTreeSet<_>>().len(), running.len(), "an index runs twice");
            if created {
                self.check_created_index(&running);
            }
        }
    }

    /// The newest pod is for an index that is neither done nor failed.
    fn check_created_index(&self, running: &[u32]) {
        let status = &self.job.status;
        let newest = self.pods.last().and_then(index_of);
        for settled in [&status.completed_indexes, &status.failed_indexes].into_iter().flatten() {
            let settled = super::indexed::Indexes::parse(settled, u32::MAX);
            assert!(
                newest.is_none_or(|index| !settled.has(index)),
                "{newest:?} runs again besides {running:?}"
            );
        }
    }

    /// The contract of `forgettable`: with the past that knows them the plan is the same without those pods, and whatever
    /// the order of the others.
    fn check_what_may_be_left_out(&self, full: &Plan) {
        let gone: BTreeSet<&str> = forgettable(&self.job, &self.pods).into_iter().collect();
        let mut rest: Vec<Pod> = self.pods.clone();
        rest.retain(|pod| !gone.contains(pod.metadata.uid.as_str()));
        assert_eq!(&self.plan(&self.pods), full, "a pod that is seen twice ends twice");
        assert_eq!(&self.plan(&rest), full, "pods that may be left out matter");
        rest.reverse();
        let turned = self.plan(&rest);
        assert_eq!(
            (&turned.status, turned.wake_at),
            (&full.status, full.wake_at),
            "the order of pods matters"
        );
    }
}
