//! What an annotation says, key by key, before it is known whose run it is about.

use std::time::Duration;

use crate::course::{Course, Term};
use crate::exit::Exit;
use crate::{Role, Stuck};

/// What an annotation says. What it does not say is none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    pub(crate) delay: Option<Duration>,
    pub(crate) run: Option<Run>,
    /// One for each try; the last counts for all that follow.
    pub(crate) exit: Option<Vec<Exit>>,
    pub(crate) message: Option<String>,
    pub(crate) stdout: Option<String>,
    pub(crate) stderr: Option<String>,
    pub(crate) every: Option<Duration>,
    pub(crate) ready: Option<Duration>,
    pub(crate) term: Option<Term>,
    pub(crate) stuck: Option<Stuck>,
    pub(crate) unschedulable: Option<Wait>,
    /// What is otherwise for some indexes of a Job.
    pub(crate) indexes: Vec<OfIndexes>,
}

/// Ranges of indexes, first and last, and what is said of them.
pub(crate) type OfIndexes = (Vec<(u32, u32)>, Script);

/// How long it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Run {
    For(Duration),
    Forever,
}

/// A wait with words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    pub(crate) message: Option<String>,
    pub(crate) lasts: Option<Duration>,
}

impl Script {
    /// What keeps the container from coming to be, if anything.
    #[must_use]
    pub fn stuck(&self) -> Option<&Stuck> {
        self.stuck.as_ref()
    }

    /// What a run does that is the so-many-th of its work, counted from 0.
    #[must_use]
    pub fn course(&self, tried: usize) -> Course {
        let exits = self.exit.as_deref().unwrap_or(&[Exit::Code(0)]);
        let exit = exits.get(tried).or(exits.last()).copied().unwrap_or(Exit::Code(0));
        let lasts = match self.run {
            Some(Run::Forever) => None,
            Some(Run::For(time)) => Some(time),
            None => Some(Duration::ZERO),
        };
        Course {
            delay: self.delay.unwrap_or_default(),
            lasts,
            exit,
            ready: self.ready.unwrap_or_default(),
            term: self.term.unwrap_or_default(),
            message: self.message.clone().unwrap_or_default(),
            stdout: self.stdout.clone().unwrap_or_default(),
            stderr: self.stderr.clone().unwrap_or_default(),
            every: self.every.unwrap_or_default(),
        }
    }

    /// As it is for an index of a Job.
    pub(crate) fn at(&self, index: Option<u32>) -> Script {
        let mut script = self.clone();
        script.indexes.clear();
        let Some(index) = index else { return script };
        for (ranges, other) in &self.indexes {
            if ranges.iter().any(|(first, last)| (*first..=*last).contains(&index)) {
                script.take(other);
            }
        }
        script
    }

    /// What is said there counts, not what was said here.
    fn take(&mut self, other: &Script) {
        let Script {
            delay,
            run,
            exit,
            message,
            stdout,
            stderr,
            every,
            ready,
            term,
            stuck,
            unschedulable,
            ..
        } = other.clone();
        self.delay = delay.or(self.delay);
        self.run = run.or(self.run);
        self.exit = exit.or(self.exit.take());
        self.message = message.or(self.message.take());
        self.stdout = stdout.or(self.stdout.take());
        self.stderr = stderr.or(self.stderr.take());
        self.every = every.or(self.every);
        self.ready = ready.or(self.ready);
        self.term = term.or(self.term);
        self.stuck = stuck.or(self.stuck.take());
        self.unschedulable = unschedulable.or(self.unschedulable.take());
    }

    /// With what a container of this role does if nobody says otherwise: a sidecar runs until it is ended.
    pub(crate) fn for_role(mut self, role: Role) -> Script {
        if role == Role::Sidecar && self.run.is_none() && self.exit.is_none() {
            self.run = Some(Run::Forever);
        }
        self
    }
}
