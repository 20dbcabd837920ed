//! The laws that every history keeps.

use proptest::prelude::*;

use super::*;

/// What may happen to a pod between two plans.
#[derive(Clone, Debug)]
enum Happening {
    Heard,
    Exits(i32),
    Fails,
    Lost,
    EngineRestarts,
    Deleted,
    Waits(i64),
    Answered(bool),
    HookEnds(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Heard),
        4 => (0..3).prop_map(Happening::Exits),
        1 => Just(Happening::Fails),
        1 => Just(Happening::Lost),
        1 => Just(Happening::EngineRestarts),
        1 => Just(Happening::Deleted),
        3 => (0..400_i64).prop_map(Happening::Waits),
        3 => any::<bool>().prop_map(Happening::Answered),
        2 => any::<bool>().prop_map(Happening::HookEnds),
    ]
}

fn shape() -> impl Strategy<Value = Value> {
    let policy = prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")];
    let sidecar = beside().prop_map(|beside| with(json!({"name": "s", "restartPolicy": "Always"}), beside));
    let init = prop_oneof![Just(json!({"name": "i"})), sidecar];
    let apps = proptest::collection::vec(beside(), 1..3);
    (policy, proptest::collection::vec(init, 0..2), apps, proptest::option::of(1..500_i64)).prop_map(
        |(policy, inits, apps, deadline)| {
            let named = |(n, beside)| with(json!({"name": format!("c{n}")}), beside);
            let apps: Vec<Value> = apps.into_iter().enumerate().map(named).collect();
            let mut spec = json!({"restartPolicy": policy, "initContainers": inits, "containers": apps});
            if let Some(deadline) = deadline {
                spec["activeDeadlineSeconds"] = json!(deadline);
            }
            spec
        },
    )
}

/// Probes and hooks, or none.
fn beside() -> impl Strategy<Value = Vec<&'static str>> {
    let fields = ["startupProbe", "readinessProbe", "livenessProbe", "postStart", "preStop"];
    prop_oneof![1 => Just(Vec::new()), 1 => proptest::sample::subsequence(fields.to_vec(), 0..=5)]
}

fn with(mut container: Value, beside: Vec<&'static str>) -> Value {
    for field in beside {
        let handler = json!({"exec": {"command": ["true"]}});
        match field {
            "postStart" | "preStop" => container["lifecycle"][field] = handler,
            _ => {
                container[field] =
                    json!({"exec": handler["exec"], "periodSeconds": 5, "failureThreshold": 2});
            }
        }
    }
    container
}

fn happen(happening: &Happening, pod: &mut Value, facts: &mut Facts, now: &mut i64) {
    match happening {
        Happening::Answered(holds) => {
            let answer = if *holds { Answer::Success } else { Answer::Failure("no".to_owned()) };
            for probed in facts.probes.clone() {
                facts.note_answer(
                    &*pod,
                    (&probed.container, probed.attempt, probed.probe),
                    &answer,
                    at(*now),
                );
            }
        }
        Happening::HookEnds(is_well) => {
            let answer = if *is_well { Answer::Success } else { Answer::Failure("no".to_owned()) };
            for hooked in facts.hooks.clone() {
                for hook in [Hook::PostStart, Hook::PreStop] {
                    facts.note_hook_end(&hooked.container, hooked.attempt, hook, &answer, at(*now));
                }
            }
        }
        _ => happen_to_runs(happening, pod, facts, now),
    }
}

fn happen_to_runs(happening: &Happening, pod: &mut Value, facts: &mut Facts, now: &mut i64) {
    let alive = facts.runs.iter_mut().find(|run| run.state.is_alive());
    match (happening, alive) {
        (Happening::Heard, Some(run)) if run.state == RunState::Starting => {
            run.state = RunState::Running { pid: 1, started_at: at(*now) };
        }
        (Happening::Exits(code), Some(run)) => {
            run.state = {
                let (ended, at) = (Ended::Code(*code), at(*now));
                let message = String::new();
                RunState::Ended { ended, started_at: at, finished_at: at, used: Used::default(), message }
            };
        }
        (Happening::Fails, Some(run)) if run.state == RunState::Starting => {
            run.state =
                RunState::Failed { failure: StartFailure::Other, message: String::new(), at: at(*now) };
        }
        (Happening::Lost, Some(run)) => run.state = RunState::Lost { message: String::new(), at: at(*now) },
        (Happening::EngineRestarts, _) => {
            // The ledger forgets only runs whose end the status tells.
            facts.runs.retain(|run| run.state.is_alive());
            (facts.probes, facts.hooks) = (Vec::new(), Vec::new());
        }
        (Happening::Deleted, _) if pod["metadata"]["deletionTimestamp"].is_null() => {
            delete(pod, *now, 30);
        }
        (Happening::Waits(seconds), _) => *now += seconds,
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_history_keeps_the_laws(spec in shape(), happenings in proptest::collection::vec(happening(), 1..60)) {
        let (mut pod, mut facts, mut now) = (pod(spec), Facts::default(), 0);
        let mut started = std::collections::BTreeSet::new();
        for happening in &happenings {
            let old_phase = pod["status"]["phase"].as_str().unwrap().to_owned();
            let old_counts = counts(&pod);
            if !facts.news.is_empty() {
                let told = plan(&pod, &facts, at(now)).events;
                prop_assert!(told.ends_with(&facts.news));
                facts.news.clear();
            }
            let made = step(&mut pod, &facts, now);
            for run in &made.announced {
                prop_assert!(!facts.announced.contains(run), "that a run is ended is told twice");
            }
            facts.announced.extend(made.announced.clone());
            let is_final = |phase: &str| matches!(phase, "Succeeded" | "Failed");
            let phase = pod["status"]["phase"].as_str().unwrap();
            prop_assert!(!is_final(&old_phase) || phase == old_phase);
            for (old, new) in old_counts.iter().zip(counts(&pod)) {
                prop_assert!(*old <= new, "an attempt went back");
            }
            let is_alive = |run: &Run| run.state.is_alive();
            prop_assert!(!is_final(phase) || !facts.runs.iter().any(is_alive));
            for action in made.actions {
                if let Action::Start { container, attempt } = action {
                    prop_assert!(!is_final(phase) && pod["metadata"]["deletionTimestamp"].is_null());
                    prop_assert!(!facts.runs.iter().any(|run| run.container == container && is_alive(run)));
                    prop_assert!(started.insert((container.clone(), attempt)), "a run was started twice");
                    facts.runs.push(Run { container, attempt, state: RunState::Starting });
                } else if action == Action::Remove {
                    prop_assert!(!facts.runs.iter().any(is_alive));
                } else {
                    let is_signal = matches!(action, Action::Signal { .. });
                    prop_assert!(is_signal || !is_final(phase));
                    begin(&mut facts, action, now);
                }
            }
            prop_assert!(made.wake_at.is_none_or(|wake| wake > at(now)));
            happen(happening, &mut pod, &mut facts, &mut now);
            now += SignedDuration::from_secs(1).as_secs();
        }
    }
}

/// What is asked and begun is remembered.
fn begin(facts: &mut Facts, action: Action, now: i64) {
    match action {
        Action::Probe { container, attempt, probe } => {
            let is_running = |run: &Run| run.container == container && run.attempt == attempt;
            let run = facts.runs.iter().find(|run| is_running(run)).expect("a run is asked");
            assert!(matches!(run.state, RunState::Running { .. }), "only a container that runs is asked");
            facts.note_asked(&container, attempt, probe, at(now));
        }
        Action::Hook { container, attempt, hook } => {
            let known = facts.hooks.len();
            facts.note_hook(&container, attempt, hook);
            assert_eq!(facts.hooks.len(), known + 1, "a hook is begun once");
        }
        _ => {}
    }
}

proptest! {
    /// Whatever its probes and hooks said or never say: when its containers have ended for good, so has the pod.
    #[test]
    fn pod_ends_when_its_containers_do(spec in shape(), happenings in proptest::collection::vec(happening(), 0..30)) {
        let (mut pod, mut facts, mut now) = (pod(spec), Facts::default(), 0);
        pod["spec"]["restartPolicy"] = json!("Never");
        let act = |made: Plan, facts: &mut Facts, now: i64| {
            for action in made.actions {
                match action {
                    Action::Start { container, attempt } => {
                        facts.runs.push(Run { container, attempt, state: RunState::Starting });
                    }
                    action => begin(facts, action, now),
                }
            }
        };
        for happening in &happenings {
            let made = step(&mut pod, &facts, now);
            act(made, &mut facts, now);
            happen(happening, &mut pod, &mut facts, &mut now);
            facts.news.clear();
        }
        // From here on whatever is started runs and ends, sidecars when they are told to; hooks and probes do well.
        for _ in 0..40 {
            for happening in [Happening::Answered(true), Happening::HookEnds(true)] {
                let made = step(&mut pod, &facts, now);
                act(made, &mut facts, now);
                for run in facts.runs.iter_mut().filter(|run| run.state == RunState::Starting) {
                    run.state = RunState::Running { pid: 1, started_at: at(now) };
                }
                happen(&happening, &mut pod, &mut facts, &mut now);
                facts.news.clear();
            }
            let told = plan(&pod, &facts, at(now)).actions;
            for run in &mut facts.runs {
                let RunState::Running { started_at, .. } = run.state else { continue };
                let is_told = told.iter().any(|action| {
                    matches!(action, Action::Signal { container, attempt, .. }
                        if *container == run.container && *attempt == run.attempt)
                });
                if is_told || run.container != "s" {
                    let (ended, finished_at, used) = (Ended::Code(0), at(now), Used::default());
                    run.state =
                        RunState::Ended { ended, started_at, finished_at, used,  message: String::new() };
                }
            }
            now += 400;
        }
        step(&mut pod, &facts, now);
        let phase = pod["status"]["phase"].as_str().unwrap();
        prop_assert!(matches!(phase, "Succeeded" | "Failed"), "{phase}: {facts:?}");
    }
}

fn counts(pod: &Value) -> Vec<u64> {
    let of = |name: &str| pod["status"][name].as_array().cloned().unwrap_or_default();
    let all = of("initContainerStatuses").into_iter().chain(of("containerStatuses"));
    all.map(|status| status["restartCount"].as_u64().unwrap()).collect()
}
