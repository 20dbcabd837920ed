//! Pods as they may be stored: what the kubelet plans for them, and the processes that stand for their containers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::kubelet::{Action, Facts, Plan, PodView, Run, RunState, plan};
use crate::process::{Host, Lookup, files, process, size_limits, sources, tokens};
use crate::runtime::Ended;

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

/// The names of a pod's containers; none if two have one name, which no stored pod has.
fn names(pod: &Value) -> Option<Vec<&str>> {
    let lists = ["initContainers", "containers"].into_iter();
    let all = lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    let all: Vec<&str> = all.map(|container| container["name"].as_str().unwrap_or_default()).collect();
    let once: BTreeSet<&str> = all.iter().copied().collect();
    (once.len() == all.len()).then_some(all)
}

/// A byte a run says how far it is, then the pod: a plan is the same each time, comes to rest when it is carried out,
/// starts only what does not run, nothing of a pod that goes or has ended, and looks at none again in the past.
pub fn pod_plans(data: &[u8]) {
    let Some((states, text)) = data.split_first_chunk::<4>() else { return };
    let Ok(mut pod) = serde_json::from_slice::<Value>(text) else { return };
    let Some(all) = names(&pod) else { return };
    // Nothing runs of a pod that has no node.
    let is_placed = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let runs = if is_placed { runs(&all, states) } else { Vec::new() };
    let facts = Facts { runs, ..Facts::default() };
    let is_over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let is_going = PodView::from(&pod).at("/metadata/deletionTimestamp").is_some_and(Value::is_string);
    let made = plan(&pod, &facts, now());
    assert_eq!(plan(&pod, &facts, now()), made);
    let alive =
        |container: &str| facts.runs.iter().any(|run| run.container == container && run.state.is_alive());
    let mut started = BTreeSet::new();
    for action in &made.actions {
        match action {
            Action::Start { container, .. } => {
                assert!(!is_over && !alive(container), "{action:?}");
                assert!(started.insert(container.clone()), "started twice: {action:?}");
                let time: Option<Timestamp> =
                    pod["metadata"]["deletionTimestamp"].as_str().and_then(|time| time.parse().ok());
                assert!(!is_going || time.is_none(), "it goes: {action:?}");
            }
            Action::Signal { container, .. }
            | Action::Probe { container, .. }
            | Action::Hook { container, .. } => {
                assert!(alive(container), "{action:?}");
            }
            Action::Remove => assert!(!facts.runs.iter().any(|run| alive(&run.container)), "{action:?}"),
        }
    }
    assert!(made.status.is_none() || !is_over, "a phase that is final stays");
    settles(&mut pod, facts, made);
    let _ = (size_limits(&pod), tokens(&pod), sources(&pod));
}

/// What is planned is carried out, and soon there is nothing more to say of a pod of which nothing is heard.
fn settles(pod: &mut Value, mut facts: Facts, mut made: Plan) {
    for _ in 0..4 {
        let Some(status) = made.status else { return };
        pod["status"] = status;
        for action in made.actions {
            if let Action::Start { container, attempt } = action {
                facts.runs.push(Run { container, attempt, state: RunState::Starting });
            }
        }
        made = plan(&*pod, &facts, now());
    }
    assert_eq!(made.status, None, "still something new: {}", pod["status"]);
}

/// Of each container a run, in the state that a byte says.
fn runs(containers: &[&str], states: &[u8; 4]) -> Vec<Run> {
    let run = |(container, state): (&&str, &u8)| {
        let state = match state % 6 {
            0 => return None,
            1 => RunState::Starting,
            2 => RunState::Running { pid: 7, started_at: now() },
            3 => RunState::Lost { message: String::new(), at: now() },
            code => RunState::Ended {
                ended: Ended::Code(i32::from(code) - 4),
                started_at: now(),
                finished_at: now(),
                used: Default::default(),
                message: String::new(),
            },
        };
        Some(Run { container: (*container).to_owned(), attempt: u32::from(states[0] / 6 % 4), state })
    };
    containers.iter().zip(states.iter().cycle()).filter_map(run).collect()
}

/// A namespace in which each ConfigMap, Secret and claim is the one of the input.
struct One(Value);

impl Lookup for One {
    fn config_map(&self, name: &str) -> Option<Value> {
        (!name.is_empty()).then(|| self.0.clone())
    }
    fn secret(&self, name: &str) -> Option<Value> {
        self.config_map(name)
    }
    fn claim(&self, name: &str) -> Option<Value> {
        self.config_map(name)
    }
    fn volume(&self, name: &str) -> Option<Value> {
        self.config_map(name)
    }
    fn token(&self, _: Option<&str>, seconds: i64) -> Result<String, String> {
        Ok(seconds.to_string())
    }
}

/// A pod and an object that all its sources are: each container has a process, the same each time, or there is a reason
/// in words; a variable has one value; no mount leaves its volume; what is living are files that the processes have.
pub fn pod_processes(data: &[u8]) {
    let Some((pod, object)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once("\n---\n"))
    else {
        return;
    };
    let (Ok(pod), Ok(object)) = (serde_json::from_str::<Value>(pod), serde_json::from_str::<Value>(object))
    else {
        return;
    };
    let Some(all) = names(&pod) else { return };
    let host = Host {
        env: vec![("PATH".to_owned(), "/bin".into()), ("HOME".to_owned(), "/root".into())],
        allocatable: BTreeMap::from([
            ("cpu".to_owned(), "4".to_owned()),
            ("memory".to_owned(), "8Gi".to_owned()),
        ]),
        uid: 1000,
        gid: 1000,
        ..Host::default()
    };
    let lookup = One(object);
    for name in all {
        let made = process(&pod, name, &lookup, &host);
        assert_eq!(process(&pod, name, &lookup, &host), made);
        let made = match made {
            Ok(made) => made,
            Err(why) => {
                assert!(!why.to_string().is_empty() && !why.reason().is_empty());
                continue;
            }
        };
        assert!(!made.argv.is_empty(), "a process without a program");
        let names: BTreeSet<&String> = made.env.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), made.env.len(), "{:?}", made.env);
        for mount in &made.mounts {
            let below = mount.sub_path.iter().flat_map(|path| path.components());
            let is_below =
                |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
            assert!(below.into_iter().all(is_below), "{mount:?}");
        }
        let limits = made.limits.unwrap_or_default();
        assert!(limits.cpu_millis != Some(0) && limits.memory_bytes != Some(0), "{limits:?}");
    }
    for (volume, files) in files(&pod, &lookup, &host) {
        assert!(pod.to_string().contains(&serde_json::to_string(&volume).expect("a text")), "{volume}");
        assert!(files.iter().all(|file| !file.path.as_os_str().is_empty()) || !files.is_empty());
    }
}
