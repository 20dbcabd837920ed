//! Lifecycle hooks: when they are run, and what their ends mean. It runs nothing itself.
//!
//! A container is there for others when its postStart hook has ended; one that fails ends it. Its preStop hook has as
//! long as the container has to end; after it the container has two seconds more at least.
//!
//! Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (`startContainer`, `executePreStopHook`, `killContainer`).

use jiff::Timestamp;

use super::probe::Answer;
use super::standing::{Standing, attempt_of};
use super::view::ContainerView;
use super::wish::Grace;
use super::{Facts, News, RunState};

/// When something is run beside a container.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hook {
    /// Right after its start.
    PostStart,
    /// Before it is told to end.
    PreStop,
}

impl Hook {
    /// The field of the container's `lifecycle`.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Hook::PostStart => "postStart",
            Hook::PreStop => "preStop",
        }
    }
}

/// What is known of one hook of one run.
#[derive(Clone, PartialEq, Debug)]
pub struct Hooked {
    pub(super) container: String,
    pub(super) attempt: u32,
    hook: Hook,
    /// When it ended, and whether well.
    ended: Option<(Timestamp, bool)>,
}

/// How far a postStart hook is.
pub(super) enum Progress {
    /// It has not ended.
    Open,
    /// It has ended well, or there is none.
    Over,
    Failed(Timestamp),
}

/// How far a running container's postStart hook is. That the container is shown as running says that it has ended.
pub(super) fn post_start(container: &ContainerView<'_>, attempt: u32, facts: &Facts) -> Progress {
    if !has(container, Hook::PostStart) {
        return Progress::Over;
    }
    match find(facts, container.name, attempt, Hook::PostStart).map(|known| known.ended) {
        Some(Some((_, true))) => Progress::Over,
        Some(Some((at, false))) => Progress::Failed(at),
        Some(None) => Progress::Open,
        None => {
            let told = container.told;
            let is_told = told["state"]["running"].is_object() && attempt_of(told) == Some(attempt);
            if is_told { Progress::Over } else { Progress::Open }
        }
    }
}

/// What is to be done to end a running container now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Means {
    /// Its preStop hook is to be run.
    Run,
    /// Its preStop hook runs.
    Await,
    /// It may be sent a signal, since then.
    Signal(Timestamp),
}

/// How a container is ended that has so long for it. Its hook has all of it.
pub(super) fn means(
    container: &ContainerView<'_>,
    standing: &Standing,
    facts: &Facts,
    grace: Grace,
    now: Timestamp,
) -> Means {
    let Standing::Running { attempt, .. } = standing else { return Means::Signal(grace.since) };
    if !has(container, Hook::PreStop) {
        return Means::Signal(grace.since);
    }
    match find(facts, container.name, *attempt, Hook::PreStop).map(|known| known.ended) {
        None if now < grace.until => Means::Run,
        None => Means::Signal(grace.since),
        Some(None) if now < grace.until => Means::Await,
        Some(None) => Means::Signal(grace.until),
        Some(Some((at, _))) => Means::Signal(at.min(grace.until).max(grace.since)),
    }
}

/// Whether a hook of a run was begun already.
pub(super) fn is_begun(facts: &Facts, container: &str, attempt: u32, hook: Hook) -> bool {
    find(facts, container, attempt, hook).is_some()
}

impl Facts {
    /// A hook was begun: its end will be told.
    pub fn note_hook(&mut self, container: &str, attempt: u32, hook: Hook) {
        if find(self, container, attempt, hook).is_none() {
            self.hooks.push(Hooked { container: container.to_owned(), attempt, hook, ended: None });
        }
    }

    /// A hook that was begun cannot be run yet.
    pub fn note_hook_wait(&mut self, container: &str, hook: Hook, why: &str) {
        self.news.push(left_out(hook, "waits", why).of(container));
    }

    /// Takes in the end of a hook. Of a run that is over none counts.
    pub fn note_hook_end(
        &mut self,
        container: &str,
        attempt: u32,
        hook: Hook,
        answer: &Answer,
        now: Timestamp,
    ) {
        let runs = |run: &super::Run| {
            run.container == container
                && run.attempt == attempt
                && matches!(run.state, RunState::Running { .. })
        };
        if !self.runs.iter().any(runs) {
            return;
        }
        let known = self.hooks.iter_mut().find(|known| known.is(container, attempt, hook));
        let Some(known) = known.filter(|known| known.ended.is_none()) else { return };
        known.ended = Some((now, !matches!(answer, Answer::Failure(_) | Answer::Error(_))));
        let mut tell = |news: News| self.news.push(news.of(container));
        match (answer, hook) {
            (Answer::Success, _) => {}
            (Answer::Warning(text), _) => tell(News::warning("LifecycleHTTPFallback", text)),
            (Answer::LeftOut(why), hook) => tell(left_out(hook, "is left out", why)),
            // As upstream: what it wrote may be secret.
            (Answer::Failure(_) | Answer::Error(_), Hook::PostStart) => {
                tell(News::warning("FailedPostStartHook", "PostStartHook failed"));
                tell(News::normal("Killing", "FailedPostStartHook"));
            }
            (Answer::Failure(_) | Answer::Error(_), Hook::PreStop) => {
                tell(News::warning("FailedPreStopHook", "PreStopHook failed"));
            }
        }
    }
}

/// That a hook is not run, for a reason that is not the hook's.
fn left_out(hook: Hook, how: &str, why: &str) -> News {
    let (reason, name) = match hook {
        Hook::PostStart => ("FailedPostStartHook", "PostStartHook"),
        Hook::PreStop => ("FailedPreStopHook", "PreStopHook"),
    };
    News::warning(reason, format!("{name} {how}: {why}"))
}

impl Hooked {
    fn is(&self, container: &str, attempt: u32, hook: Hook) -> bool {
        self.hook == hook && self.attempt == attempt && self.container == container
    }
}

fn find<'a>(facts: &'a Facts, container: &str, attempt: u32, hook: Hook) -> Option<&'a Hooked> {
    facts.hooks.iter().find(|known| known.is(container, attempt, hook))
}

fn has(container: &ContainerView<'_>, hook: Hook) -> bool {
    container.spec["lifecycle"][hook.field()].is_object()
}
