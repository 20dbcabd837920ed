//! Pods whose fate is scripted by annotations (`windlass-fate`): what the kubelet's plan wants for them is played
//! (`windlass_runner::fate`) and not run, and what befalls them from outside is done here.

use jiff::Timestamp;
use serde_json::Value;
use windlass_apiserver::registry::{DeleteOptions, Object};
use windlass_fate::{Exit, Fate, Fault, Part, Role, containers};
use windlass_runner::fate::Struck;
use windlass_runner::kubelet::{Action, Eviction, Facts, disrupt};
use windlass_runner::runtime::{Key as RunKey, Start, Stdio};
use windlass_store::Key;

use crate::draft::Draft;
use crate::pods::is_ended;
use crate::tick::Tick;
use crate::volumes::Prepared;

/// Whether a pod is to be played.
pub(crate) fn is_scripted(pod: &Object) -> bool {
    windlass_fate::is_scripted(pod.metadata())
}

impl Tick {
    /// The starts of a pod that is played, the containers that are stuck, and when to look at those again.
    pub(crate) fn scripted(
        &self,
        pod: &Object,
        actions: &[Action],
        now: Timestamp,
    ) -> (Prepared, Option<Timestamp>) {
        let (mut starts, mut blocked, mut again) = (Vec::new(), Vec::new(), None::<Timestamp>);
        let fate = Fate::read(pod.metadata(), pod.spec());
        for action in actions {
            let Action::Start { container, attempt } = action else { continue };
            let fate = match &fate {
                Ok(fate) => fate,
                // What is written is checked; this was written by another version.
                Err(faults) => {
                    blocked.push((container.clone(), "CreateContainerConfigError", told(faults)));
                    continue;
                }
            };
            let role =
                containers(pod.spec()).find(|(name, _)| name == container).map_or(Role::App, |(_, r)| r);
            let script = fate.script(container, role);
            let stuck = script.stuck().filter(|_| *attempt == 0);
            let shown = stuck.and_then(|stuck| stuck.shown(image(pod, container), since(pod, now), now));
            match shown {
                Some((reason, message, next)) => {
                    blocked.push((container.clone(), reason, message));
                    again = again.into_iter().chain(next).min();
                }
                None => {
                    starts.push(self.play(pod, *attempt, fate.part(owner(pod), container, role), container));
                }
            }
        }
        ((starts, None, blocked), again)
    }

    fn play(&self, pod: &Object, attempt: u32, part: Part, container: &str) -> Start {
        let uid = pod.text("uid");
        Start {
            key: RunKey { pod: uid.to_owned(), container: container.to_owned(), attempt },
            argv: Vec::new(),
            env: Vec::new(),
            cwd: None,
            space: None,
            log: self.home.container_log(uid, container, attempt),
            log_limit: self.log_limit,
            stdio: Stdio::default(),
            rights: None,
            limits: None,
            fate: Some(Box::new(part)),
        }
    }

    /// Adds to the facts of a pod that is played what its runs alone do not say.
    pub(crate) fn befallen(&self, uid: &str, facts: &mut Facts) {
        facts.unready = self.fates.unready(keys(uid, facts));
        if let Some(Struck { what: Exit::Evicted, at, message }) = self.fates.struck(keys(uid, facts)) {
            let message = match message.is_empty() {
                true => "The node was low on resource: memory. ".to_owned(),
                false => message,
            };
            facts.evicted.get_or_insert(Eviction { message, at, is_disruption: true });
        }
    }

    /// Ends a pod whose node is lost, as upstream's garbage collector of pods does when a node is no more: it fails, is
    /// marked, and is deleted. Answers whether that is to be done.
    ///
    /// Source: upstream pkg/controller/podgc (`gcOrphaned`).
    pub(crate) fn lose_node(&mut self, draft: &mut Draft, key: &Key) -> bool {
        let Some(pod) = draft.current(&self.cache, key).filter(|pod| !is_ended(pod)) else { return false };
        let uid = pod.text("uid").to_owned();
        let struck = self.fates.struck(keys(&uid, &self.runs.of(&uid)));
        let Some(Struck { what: Exit::NodeLost, message, .. }) = struck else { return false };
        let (now, generation) = (self.world.now(), pod.metadata()["generation"].clone());
        let message = if message.is_empty() { "PodGC: node no longer exists" } else { &message };
        draft.edit(&self.cache, key, |pod| {
            let status = &mut pod["status"];
            status["phase"] = "Failed".into();
            disrupt(status, Some(&generation).filter(|g| !g.is_null()), ("DeletionByPodGC", message), now);
        });
        self.give_back(draft, key);
        let force = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        self.delete_pod_with(draft, key, &force);
        true
    }
}

/// The runs of a pod that are known.
fn keys<'a>(uid: &'a str, facts: &'a Facts) -> impl Iterator<Item = RunKey> + use<'a> {
    facts.runs.iter().map(move |run| RunKey {
        pod: uid.to_owned(),
        container: run.container.clone(),
        attempt: run.attempt,
    })
}

/// Since when a container was to be made: since its pod came, or its init containers ended.
fn since(pod: &Object, now: Timestamp) -> Timestamp {
    let status = pod.status();
    let time = |value: &Value| value.as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let inits = status["initContainerStatuses"].as_array().into_iter().flatten();
    let ends = inits.filter_map(|init| time(&init["state"]["terminated"]["finishedAt"]));
    ends.chain(time(&status["startTime"])).max().unwrap_or(now)
}

fn image<'a>(pod: &'a Object, container: &str) -> &'a str {
    let lists = ["initContainers", "containers"].into_iter();
    let mut all = lists.filter_map(|list| pod.spec()[list].as_array()).flatten();
    let found = all.find(|spec| spec["name"] == container);
    found.and_then(|spec| spec["image"].as_str()).unwrap_or_default()
}

/// Whose work a pod does: its controller's, or its own.
fn owner(pod: &Object) -> &str {
    let owners = pod.metadata()["ownerReferences"].as_array().into_iter().flatten();
    let mut controllers = owners.filter(|owner| owner["controller"] == true);
    controllers.find_map(|owner| owner["uid"].as_str()).unwrap_or_else(|| pod.text("uid"))
}

fn told(faults: &[Fault]) -> String {
    let all: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.annotation, fault.cause)).collect();
    all.join("; ")
}
