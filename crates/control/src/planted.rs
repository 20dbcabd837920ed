//! Mistakes that a test can make these controllers make, to show that it would find them. A released program has none
//! of it: without debug assertions every question here is answered no when it is compiled.

/// A mistake in a controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A Job gives up one failure too early.
    GivesUpEarly,
    /// Each failed pod counts twice.
    CountsTwice,
    /// Failed pods keep their finalizer.
    KeepsFinalizers,
    /// Indexes that are done are run again.
    RunsDoneIndexes,
    /// The indexes that were done before are forgotten when one more is.
    ForgetsDoneIndexes,
    /// A suspended Job's pods run on.
    LetsSuspendedRun,
    /// A Job is told to be over while its pods still end.
    EndsTooSoon,
    /// A work queue never ends.
    NeverEndsQueues,
    /// One pod too many runs at once.
    RunsTooMany,
    /// A pod that is being ended is replaced at once where the Job wants to wait for its end.
    ReplacesTooSoon,
    /// A Job whose end is decided makes pods as if it went on.
    GoesOnAfterTheEnd,
    /// A pod that was evicted counts twice when it fails.
    CountsEvictedTwice,
    /// What a status lists as ended and not yet counted is counted, and its pod once more.
    CountsListedTwice,
    /// An elastic Job that shrinks lets the pods of its former indexes run on.
    KeepsFormerIndexes,
    /// Jobs of other controllers are worked on.
    MeddlesWithManaged,
    /// A CronJob that forbids it starts a Job beside another one.
    OverlapsJobs,
    /// The time to live of a Job counts from its creation.
    ExpiresEarly,
    /// A namespace goes when all in it has been asked to go.
    EmptiesTooEarly,
    /// Pods stay on a node whose taint they do not tolerate.
    IgnoresTaints,
    /// Back-off forgets a failed pod that is gone.
    ForgetsFailures,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 20] = [
        Bug::GivesUpEarly,
        Bug::CountsTwice,
        Bug::KeepsFinalizers,
        Bug::RunsDoneIndexes,
        Bug::ForgetsDoneIndexes,
        Bug::LetsSuspendedRun,
        Bug::EndsTooSoon,
        Bug::NeverEndsQueues,
        Bug::RunsTooMany,
        Bug::ReplacesTooSoon,
        Bug::GoesOnAfterTheEnd,
        Bug::CountsEvictedTwice,
        Bug::CountsListedTwice,
        Bug::KeepsFormerIndexes,
        Bug::MeddlesWithManaged,
        Bug::OverlapsJobs,
        Bug::ExpiresEarly,
        Bug::EmptiesTooEarly,
        Bug::IgnoresTaints,
        Bug::ForgetsFailures,
    ];
}

#[cfg(debug_assertions)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// The mistake of every thread, by its place in [`Bug`] counted from 1; 0 is none.
#[cfg(debug_assertions)]
static EVERYWHERE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// From now on the controllers of this thread make this mistake; none if there is none.
#[cfg(debug_assertions)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// The same for all threads of this process, whatever is planted in one of them: an engine has threads of its own.
#[cfg(debug_assertions)]
pub fn plant_everywhere(bug: Option<Bug>) {
    EVERYWHERE.store(bug.map_or(0, place), std::sync::atomic::Ordering::SeqCst);
}

#[cfg(debug_assertions)]
const fn place(bug: Bug) -> usize {
    bug as usize + 1
}

/// Whether a mistake is to be made.
#[cfg(debug_assertions)]
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug) || EVERYWHERE.load(std::sync::atomic::Ordering::Relaxed) == place(bug)
}

/// Whether a mistake is to be made.
#[cfg(not(debug_assertions))]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}
