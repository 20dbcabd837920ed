//! What happens in a history: the choice of what is next, how processes end, what time and misfortune do.

use jiff::SignedDuration;
use windlass_runner::runtime::{Ended, Key as RunKey};

use super::rng::Rng;
use super::{HAPPENINGS, Kill, Sim, jobs};

/// What may happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    CreateJob,
    CreateCron,
    CreatePod,
    ChangeJob,
    ChangeCron,
    DeleteJob,
    DeleteCron,
    DeletePod,
    Evict,
    Taint,
    Cordon,
    MeddleWithJob,
    MeddleWithPod,
    Relabel,
    Hold,
    Namespace,
    Quota,
    EndRun,
    BeginRun,
    LoseRun,
    Repeat,
    Time,
    Restart,
    Round,
}

/// How often each thing happens in a history that has it, of so many.
const OFTEN: [(Act, usize); 24] = [
    (Act::CreateJob, 8),
    (Act::CreateCron, 1),
    (Act::CreatePod, 1),
    (Act::ChangeJob, 5),
    (Act::ChangeCron, 1),
    (Act::DeleteJob, 2),
    (Act::DeleteCron, 1),
    (Act::DeletePod, 3),
    (Act::Evict, 3),
    (Act::Taint, 1),
    (Act::Cordon, 1),
    (Act::MeddleWithJob, 3),
    (Act::MeddleWithPod, 2),
    (Act::Relabel, 3),
    (Act::Hold, 2),
    (Act::Namespace, 2),
    (Act::Quota, 2),
    (Act::EndRun, 13),
    (Act::BeginRun, 3),
    (Act::LoseRun, 2),
    (Act::Repeat, 2),
    (Act::Time, 10),
    (Act::Restart, 3),
    (Act::Round, 50),
];

/// What every history has; of the rest each has some, so that it does not drown in the others.
const ALWAYS: [Act; 9] = [
    Act::CreateJob,
    Act::ChangeJob,
    Act::DeleteJob,
    Act::DeletePod,
    Act::EndRun,
    Act::BeginRun,
    Act::Time,
    Act::Restart,
    Act::Round,
];

/// What happens in a history, each as often as it is to, but for those whose names are in `without`.
pub(super) fn acts(rng: &mut Rng, without: &str) -> Vec<Act> {
    let mut all = Vec::new();
    for (act, often) in OFTEN {
        let is_left_out = without.split(',').any(|name| name == format!("{act:?}"));
        if (rng.chance(50) || ALWAYS.contains(&act)) && !is_left_out {
            all.extend(std::iter::repeat_n(act, often));
        }
    }
    all
}

impl Sim {
    /// The whole history.
    pub(super) async fn play(&mut self) -> Result<(), String> {
        for _ in 0..HAPPENINGS {
            self.happen().await;
            self.check()?;
        }
        self.rest().await
    }

    async fn happen(&mut self) {
        let Some(act) = self.rng.pick(&self.acts).copied() else { return };
        match act {
            Act::CreateJob => self.create_job().await,
            Act::CreateCron => self.create_cron().await,
            Act::CreatePod => self.create_pod().await,
            Act::ChangeJob => self.change_job().await,
            Act::ChangeCron => self.change_cron().await,
            Act::DeleteJob => self.delete_one("/jobs.batch/").await,
            Act::DeleteCron => self.delete_one("/cronjobs.batch/").await,
            Act::DeletePod => self.delete_one("/pods/").await,
            Act::Evict => self.evict().await,
            Act::Taint => self.taint().await,
            Act::Cordon => self.cordon().await,
            Act::MeddleWithJob => self.meddle_with_job().await,
            Act::MeddleWithPod => self.meddle_with_pod().await,
            Act::Relabel => self.relabel().await,
            Act::Hold => self.hold().await,
            Act::Namespace => self.namespace().await,
            Act::Quota => self.quota().await,
            Act::EndRun => self.end_a_run(),
            Act::BeginRun => self.begin_runs(),
            Act::LoseRun => self.lose_a_run(),
            Act::Repeat => self.runtime.repeat(),
            Act::Time => self.time_passes(),
            Act::Restart => self.restart(),
            Act::Round => self.a_round().await,
        }
    }

    async fn a_round(&mut self) {
        let kill = match self.rng.below(20) {
            0 => Kill::BeforeCommit,
            1 => Kill::AfterCommit,
            _ => Kill::Never,
        };
        let conflict = self.rng.chance(10);
        let is_busy = self.round(kill, conflict).await;
        if !is_busy && self.wrong.is_none() {
            self.wrong = self.check_idle().err();
        }
    }

    pub(super) fn a_run(&mut self) -> Option<RunKey> {
        let running = self.runtime.running();
        self.rng.pick(&running).cloned()
    }

    fn end_a_run(&mut self) {
        let Some(key) = self.a_run() else { return };
        let ended = match self.rng.below(10) {
            0 => Ended::Signal(9),
            1 | 2 => Ended::Code(1),
            3 => Ended::Code(jobs::IGNORED),
            _ => Ended::Code(0),
        };
        self.tell(format!("{key:?} ends: {ended:?}"));
        self.runtime.end(&key, ended);
    }

    /// Starts that hung come to their end.
    fn begin_runs(&mut self) {
        let before = self.runtime.running().len();
        self.runtime.begin_all();
        if self.runtime.running().len() > before {
            self.tell("what was slow to start has begun");
        }
    }

    fn lose_a_run(&mut self) {
        let Some(key) = self.a_run() else { return };
        self.tell(format!("{key:?} is lost"));
        self.runtime.lose(&key, "its keeper died");
    }

    fn time_passes(&mut self) {
        let by = match self.rng.below(20) {
            0 => SignedDuration::from_hours(1 + i64::try_from(self.rng.below(30)).unwrap_or(0)),
            1 => SignedDuration::from_secs(-i64::try_from(self.rng.below(300)).unwrap_or(0)),
            2..8 => SignedDuration::from_secs(i64::try_from(self.rng.below(700)).unwrap_or(0)),
            _ => SignedDuration::from_millis(i64::try_from(self.rng.below(12_000)).unwrap_or(0)),
        };
        self.tell(format!("the clock is set by {by:?}"));
        self.clock.shift(by);
    }
}
