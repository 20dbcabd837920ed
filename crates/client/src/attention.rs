//! When somebody who follows a job should look closer, give up, or stop waiting for the rest of a pod. Pure: the time
//! is an argument.

use std::time::{Duration, Instant};

use windlass_manifest::{JobStatus, Outlook, Phase};

use crate::limits;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// To find out why it waits.
    Look,
    /// To say that it waits for what never resolves itself.
    Stuck,
    /// To say that its payload has ended and others keep its pod running.
    Outlived,
}

/// Since when a job has been in which state.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    patience: Duration,
    /// The next look at a job that waits, or runs.
    look: Option<Instant>,
    waits: bool,
    stuck: Since,
    /// How many of its pods had ended.
    ended: u32,
    outlived: Since,
}

/// A state that is told once when it has lasted.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    begin: Option<Instant>,
    is_told: bool,
}

impl Since {
    fn see(&mut self, holds: bool, now: Instant) {
        self.begin = if holds { self.begin.or(Some(now)) } else { None };
    }

    fn due(&self, after: Duration) -> Option<Instant> {
        self.begin.filter(|_| !self.is_told)?.checked_add(after)
    }
}

impl Attention {
    /// Attention that gives up what never resolves itself after so long.
    pub(crate) fn new(patience: Duration) -> Self {
        let (stuck, outlived) = (Since::default(), Since::default());
        Attention { patience, look: None, waits: false, stuck, ended: 0, outlived }
    }

    /// Takes notice of a status.
    pub(crate) fn see(&mut self, status: &JobStatus, now: Instant) {
        let waits = matches!(status.verdict.outlook, Outlook::ResolvesItself | Outlook::NeedsAction);
        let first = if waits { limits::FIRST_LOOK } else { limits::RUNNING_LOOK };
        let known = self.look.filter(|_| waits == self.waits);
        let is_looked_at = waits || status.phase == Phase::Running;
        self.look = if is_looked_at { known.or(now.checked_add(first)) } else { None };
        self.waits = waits;
        let is_outlived = status.payload.is_some();
        self.outlived.see(is_outlived, now);
        // Who suspended a job will resume it: only what blocks it then counts (a queue that will never have room).
        let is_held = status.phase == Phase::Suspended && !status.verdict.text.starts_with("blocked by");
        // One pod that is blocked is no reason to give up the others: they go on as long as one runs or has just ended.
        let ended = status.counts.succeeded + status.counts.failed;
        if std::mem::replace(&mut self.ended, ended) != ended {
            self.stuck.see(false, now);
        }
        // A payload that is done waits for nothing.
        let is_blocked = status.verdict.outlook == Outlook::NeedsAction && !status.runs;
        self.stuck.see(is_blocked && !is_held && !is_outlived, now);
    }

    /// When the next thing is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let all = [self.look, self.stuck.due(self.patience), self.outlived.due(limits::OUTLIVED)];
        all.into_iter().flatten().min()
    }

    /// What is due now, once. A look comes before giving up: it may show that there is hope.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Due> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.look) {
            let next = if self.waits { limits::NEXT_LOOK } else { limits::RUNNING_LOOK };
            self.look = now.checked_add(next);
            return Some(Due::Look);
        }
        if is_due(self.outlived.due(limits::OUTLIVED)) {
            self.outlived.is_told = true;
            return Some(Due::Outlived);
        }
        if is_due(self.stuck.due(self.patience)) {
            self.stuck.is_told = true;
            return Some(Due::Stuck);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use windlass_manifest::{Seen, observe};

    use super::*;

    fn status(phase: Phase, outlook: Outlook, text: &str) -> JobStatus {
        let mut status = observe(&Job::default(), Seen::NotAsked, Seen::NotAsked);
        (status.phase, status.verdict.outlook, status.verdict.text) = (phase, outlook, text.to_owned());
        status
    }

    fn blocked() -> JobStatus {
        status(Phase::Pending, Outlook::NeedsAction, "blocked by secret \"key\", which is not there")
    }

    /// What is due in so many seconds, and when.
    fn dues(attention: &mut Attention, begin: Instant, seconds: u64) -> Vec<(u64, Due)> {
        let mut dues = Vec::new();
        while let Some(at) = attention.next().filter(|at| *at <= begin + Duration::from_secs(seconds)) {
            dues.extend(attention.take(at).map(|due| ((at - begin).as_secs(), due)));
        }
        dues
    }

    fn attention() -> (Attention, Instant) {
        (Attention::new(limits::STUCK), tokio::time::Instant::now().into_std())
    }

    #[test]
    fn what_is_blocked_is_looked_at_and_given_up_once() {
        let (mut attention, begin) = attention();
        attention.see(&blocked(), begin);
        let all = [2, 12, 22].map(|at| (at, Due::Look));
        assert_eq!(
            dues(&mut attention, begin, 40),
            [&all[..], &[(30, Due::Stuck), (32, Due::Look)]].concat()
        );
    }

    #[test]
    fn what_was_mended_begins_anew() {
        let (mut attention, begin) = attention();
        attention.see(&blocked(), begin);
        let later = begin + Duration::from_secs(29);
        attention.see(&status(Phase::Running, Outlook::Proceeds, "running"), later);
        assert_eq!(attention.next(), Some(later + limits::RUNNING_LOOK));
        attention.see(&blocked(), later);
        let stuck = dues(&mut attention, later, 40).into_iter().find(|(_, due)| *due == Due::Stuck);
        assert_eq!(stuck, Some((30, Due::Stuck)));
    }

    #[test]
    fn what_runs_is_looked_at_now_and_then_and_what_has_ended_is_not() {
        let (mut attention, begin) = attention();
        attention.see(&status(Phase::Pending, Outlook::ResolvesItself, "waiting"), begin);
        let started = begin + Duration::from_secs(1);
        attention.see(&status(Phase::Running, Outlook::Proceeds, "running"), started);
        assert_eq!(dues(&mut attention, begin, 130), [(61, Due::Look), (121, Due::Look)]);
        let full = begin + Duration::from_secs(121);
        attention.see(&status(Phase::Running, Outlook::ResolvesItself, "running; the disk is full"), full);
        assert_eq!(dues(&mut attention, begin, 140), [(123, Due::Look), (133, Due::Look)]);
        attention.see(&status(Phase::Succeeded, Outlook::Final, "succeeded"), full);
        assert_eq!(attention.next(), None);
    }

    #[test]
    fn one_blocked_pod_is_no_reason_to_give_up_those_that_run() {
        let (mut attention, begin) = attention();
        let mut some = status(Phase::Running, Outlook::NeedsAction, "running: 1 pod: blocked by its image");
        some.runs = true;
        attention.see(&some, begin);
        assert!(dues(&mut attention, begin, 600).iter().all(|(_, due)| *due == Due::Look));
        // None runs any more: its patience counts from then, and anew from each pod's end.
        let later = begin + Duration::from_secs(601);
        some.runs = false;
        attention.see(&some, later);
        let end = later + Duration::from_secs(20);
        some.counts.succeeded = 299;
        attention.see(&some, end);
        let stuck = dues(&mut attention, end, 60).into_iter().find(|(_, due)| *due == Due::Stuck);
        assert_eq!(stuck, Some((30, Due::Stuck)));
    }

    #[test]
    fn what_somebody_suspended_is_waited_for_and_what_a_queue_can_never_take_is_not() {
        for (text, given_up) in
            [("suspended: nothing starts until it is resumed", false), ("blocked by queue \"a\"", true)]
        {
            let (mut attention, begin) = attention();
            attention.see(&status(Phase::Suspended, Outlook::NeedsAction, text), begin);
            let is_stuck = dues(&mut attention, begin, 60).iter().any(|(_, due)| *due == Due::Stuck);
            assert_eq!(is_stuck, given_up, "{text}");
        }
    }

    #[test]
    fn what_may_resolve_itself_is_only_looked_at() {
        let (mut attention, begin) = attention();
        attention.see(&status(Phase::Pending, Outlook::ResolvesItself, "waiting for a node"), begin);
        assert!(dues(&mut attention, begin, 600).iter().all(|(_, due)| *due == Due::Look));
    }
}
