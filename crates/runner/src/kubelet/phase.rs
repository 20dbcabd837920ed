//! What the containers make of the pod (upstream: `getPhase` in pkg/kubelet/kubelet_pods.go).

use super::shown::{Shown, State};
use super::view::{Kind, PodView};
use super::wish::{Cause, Wishes};

/// A pod's phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// The phase. A final one is given only when nothing of the pod runs, and is given then to a pod that is stopped.
pub(super) fn of(view: PodView<'_>, wishes: &Wishes<'_>, shown: &[Shown]) -> Phase {
    let phase = of_containers(wishes, shown);
    let is_alive = wishes.is_anything_alive();
    match (phase, wishes.stop) {
        (phase, _) if is_alive && phase.is_terminal() => {
            if view.phase() == "Running" || wishes.is_initialized { Phase::Running } else { Phase::Pending }
        }
        (_, Some(Cause::Deadline | Cause::Evicted)) if !is_alive => Phase::Failed,
        (Phase::Pending | Phase::Running, Some(Cause::Deleted)) if !is_alive => Phase::Failed,
        (phase, _) => phase,
    }
}

fn of_containers(wishes: &Wishes<'_>, shown: &[Shown]) -> Phase {
    let of = |kind: Kind| {
        let pairs = wishes.all.iter().zip(shown);
        pairs.filter(move |(wished, _)| wished.container.kind == kind).map(|(_, shown)| shown.state)
    };
    let for_good = |state: State| matches!(state, State::Stopped { restarts: false, .. });
    let failed = |state: State| matches!(state, State::Stopped { exit_code: 1.. | ..=-1, .. });
    if !wishes.is_initialized && of(Kind::Init).any(|state| for_good(state) && failed(state)) {
        return Phase::Failed;
    }
    let pending = |state: State| matches!(state, State::Waiting | State::Running);
    let mut pairs = wishes.all.iter().zip(shown);
    let is_coming = |shown: &Shown| match shown.state {
        State::Waiting => true,
        State::Running => !shown.is_started,
        State::Stopped { .. } => false,
    };
    let inits_pending = of(Kind::Init).any(pending)
        || pairs.any(|(wished, shown)| wished.container.kind == Kind::Sidecar && is_coming(shown));
    if (inits_pending && !wishes.is_initialized) || of(Kind::App).any(|state| state == State::Waiting) {
        return Phase::Pending;
    }
    if of(Kind::App).chain(of(Kind::Sidecar)).any(|state| state == State::Running) {
        return Phase::Running;
    }
    match of(Kind::App).all(for_good) {
        false => Phase::Running,
        true if of(Kind::App).any(failed) => Phase::Failed,
        true => Phase::Succeeded,
    }
}
