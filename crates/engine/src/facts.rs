//! What is known of the runs of each pod's containers, from the runtime's events.

use std::collections::{HashMap, HashSet};

use windlass_runner::kubelet::{Eviction, Facts, Run, RunState, Used};
use windlass_runner::runtime::{Event, Key as RunKey};

/// The runs of all pods that are not yet settled, by the pod's uid.
#[derive(Default)]
pub(crate) struct Runs {
    pods: HashMap<String, Facts>,
    signalled: HashMap<String, HashSet<(RunKey, i32)>>,
}

impl Runs {
    /// What is known of a pod.
    pub(crate) fn of(&self, pod: &str) -> Facts {
        self.pods.get(pod).cloned().unwrap_or_default()
    }

    /// Whether anything is known of a run.
    pub(crate) fn knows(&self, run: &RunKey) -> bool {
        self.pods.get(&run.pod).is_some_and(|facts| find(facts, run).is_some())
    }

    /// Whether any run may still be a process.
    pub(crate) fn any_alive(&self) -> bool {
        self.pods.values().flat_map(|f| &f.runs).any(|run| run.state.is_alive())
    }

    /// The runs of a pod that may still be processes.
    pub(crate) fn alive(&self, pod: &str) -> Vec<RunKey> {
        let runs = self.pods.get(pod).into_iter().flat_map(|f| &f.runs);
        runs.filter(|r| r.state.is_alive()).map(|r| key(pod, r)).collect()
    }

    /// Every run that may still be a process.
    pub(crate) fn all_alive(&self) -> Vec<RunKey> {
        self.pods.keys().flat_map(|pod| self.alive(pod)).collect()
    }

    /// A run was asked for.
    pub(crate) fn starting(&mut self, run: &RunKey) {
        self.set(run, RunState::Starting);
    }

    /// Takes in an event, with the message of a run that ended. A run that ended stays ended, whatever is repeated.
    pub(crate) fn absorb(&mut self, event: Event, message: String) {
        let run = event.key().clone();
        let known = self.pods.get(&run.pod).and_then(|f| find(f, &run));
        if known.is_some_and(|r| !r.state.is_alive()) {
            return;
        }
        if let Event::Exited { started_at, finished_at, .. } = &event {
            let facts = self.pods.entry(run.pod.clone()).or_default();
            facts.note_end(&run.container, run.attempt, *started_at, *finished_at);
        }
        if let Event::Started { unlimited: Some(unlimited), .. }
        | Event::Exited { unlimited: Some(unlimited), .. } = &event
        {
            self.edit(&run.pod).unlimited = Some((**unlimited).clone());
        }
        let state = match event {
            Event::Started { pid, at, .. } => RunState::Running { pid, started_at: at },
            Event::Failed { failure, message, at, .. } => RunState::Failed { failure, message, at },
            Event::Exited { ended, started_at, finished_at, cpu_us, peak_bytes, out_of_memory, .. } => {
                let used = Used { cpu_us, peak_bytes, out_of_memory };
                RunState::Ended { ended, started_at, finished_at, used, message }
            }
            Event::Lost { message, at, .. } => RunState::Lost { message, at },
        };
        self.set(&run, state);
    }

    /// Remembers a signal; true if it was not sent before.
    pub(crate) fn first_signal(&mut self, run: &RunKey, signal: i32) -> bool {
        self.signalled.entry(run.pod.clone()).or_default().insert((run.clone(), signal))
    }

    /// A pod is to be evicted; the first reason counts.
    pub(crate) fn evict(&mut self, pod: &str, eviction: Eviction) {
        self.pods.entry(pod.to_owned()).or_default().evicted.get_or_insert(eviction);
    }

    /// What is known of a pod, to be told more.
    pub(crate) fn edit(&mut self, pod: &str) -> &mut Facts {
        self.pods.entry(pod.to_owned()).or_default()
    }

    /// So many of a pod's news are recorded.
    pub(crate) fn recorded(&mut self, pod: &str, count: usize) {
        if let Some(facts) = self.pods.get_mut(pod) {
            facts.news.drain(..count.min(facts.news.len()));
        }
    }

    /// Drops what is known of a pod, and returns its runs: their ends are recorded.
    pub(crate) fn settle(&mut self, pod: &str) -> Vec<RunKey> {
        let runs = self.pods.remove(pod).map(|f| f.runs).unwrap_or_default();
        let keys: Vec<RunKey> = runs.iter().map(|r| key(pod, r)).collect();
        self.signalled.remove(pod);
        keys
    }

    /// Forgets an attempt that nobody asks about any more.
    pub(crate) fn drop_run(&mut self, run: &RunKey) {
        if let Some(facts) = self.pods.get_mut(&run.pod) {
            facts.drop_run(&run.container, run.attempt);
        }
    }

    fn set(&mut self, run: &RunKey, state: RunState) {
        let facts = self.pods.entry(run.pod.clone()).or_default();
        let same = |r: &&mut Run| r.container == run.container && r.attempt == run.attempt;
        match facts.runs.iter_mut().find(same) {
            Some(known) => known.state = state,
            None => {
                facts.runs.push(Run { container: run.container.clone(), attempt: run.attempt, state });
                facts.runs.sort_by_key(|r| r.attempt);
            }
        }
    }
}

fn find<'a>(facts: &'a Facts, run: &RunKey) -> Option<&'a Run> {
    facts.runs.iter().find(|r| r.container == run.container && r.attempt == run.attempt)
}

fn key(pod: &str, run: &Run) -> RunKey {
    RunKey { pod: pod.to_owned(), container: run.container.clone(), attempt: run.attempt }
}
