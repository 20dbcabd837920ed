//! One run that is played: a course, when it was asked for, and the signals that it was sent make all its times.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use windlass_fate::{Course, Exit, Term, after};

use super::ledger::Entry;
use super::record;
use crate::log::stamps::Stamps;
use crate::runtime::{Ended, Event, Key};

const SIGKILL: i32 = 9;

/// What has befallen a pod, by one of its runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Struck {
    /// [`Exit::Evicted`] or [`Exit::NodeLost`].
    pub what: Exit,
    /// When.
    pub at: Timestamp,
    /// In whose words; empty: upstream's.
    pub message: String,
}

/// A run that is played.
pub(super) struct Play {
    key: Key,
    course: Box<Course>,
    log: PathBuf,
    asked_at: Timestamp,
    signals: Vec<(i32, Timestamp)>,
    /// How many of its lines are written.
    written: usize,
    log_bytes: u64,
    stamps: Stamps,
    is_ready_told: bool,
    is_struck_told: bool,
    last: Option<Event>,
    /// When it is to be looked at, as its keeper has noted it.
    pub(super) noted: Option<Timestamp>,
}

/// How and when it ends.
struct Last {
    at: Timestamp,
    ended: Ended,
    out_of_memory: bool,
}

impl Play {
    /// The run that was asked for.
    pub(super) fn of(entry: Entry) -> Option<Play> {
        let Entry::Asked { key, course, log, at, .. } = entry else { return None };
        Some(Play {
            key,
            is_ready_told: course.ready.is_zero(),
            is_struck_told: !matches!(course.exit, Exit::Evicted | Exit::NodeLost) || course.lasts.is_none(),
            course,
            log,
            asked_at: at,
            signals: Vec::new(),
            written: 0,
            log_bytes: 0,
            stamps: Stamps::default(),
            last: None,
            noted: None,
        })
    }

    /// What its keeper has to write down to have it again.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let Play { key, course, log, asked_at, signals, .. } = self;
        let (course, log, at) = (course.clone(), log.clone(), *asked_at);
        let mut entries = vec![Entry::Asked { key: key.clone(), course, log, at, counted: None }];
        entries.extend(signals.iter().map(|&(signal, at)| Entry::Signalled { key: key.clone(), signal, at }));
        entries
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    pub(super) fn message(&self) -> &str {
        match self.course.exit {
            // Those are the node's words.
            Exit::Evicted | Exit::NodeLost => "",
            _ => &self.course.message,
        }
    }

    pub(super) fn last_word(&self) -> Option<Event> {
        self.last.clone()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.last, Some(Event::Exited { .. }))
    }

    pub(super) fn is_unready(&self, now: Timestamp) -> bool {
        now < after(self.begin(), self.course.ready)
    }

    /// What has befallen its pod by now.
    pub(super) fn struck(&self, now: Timestamp) -> Option<Struck> {
        let at = self.strike().filter(|at| *at <= now && self.last().is_none_or(|last| *at <= last.at))?;
        Some(Struck { what: self.course.exit, at, message: self.course.message.clone() })
    }

    /// Sends it a signal; whether that is news.
    pub(super) fn signal(&mut self, signal: i32, now: Timestamp) -> bool {
        let is_known = self.signals.iter().any(|(known, _)| *known == signal);
        if self.is_over() || is_known {
            return false;
        }
        self.signals.push((signal, now));
        true
    }

    fn begin(&self) -> Timestamp {
        after(self.asked_at, self.course.delay)
    }

    /// When its pod is struck, if that is its course.
    fn strike(&self) -> Option<Timestamp> {
        match self.course.exit {
            Exit::Evicted | Exit::NodeLost => Some(after(self.begin(), self.course.lasts?)),
            Exit::Code(_) | Exit::Signal(_) | Exit::OutOfMemory => None,
        }
    }

    /// Its end, as far as it is known: by itself, or by a signal before that.
    fn last(&self) -> Option<Last> {
        let by_signal = self.signals.iter().filter_map(|&(signal, at)| {
            let by = |at, ended| Some(Last { at, ended, out_of_memory: false });
            match self.course.term {
                _ if signal == SIGKILL => by(at, Ended::Signal(signal)),
                Term::Ignored => None,
                Term::Ends { after: wait, code: Some(code) } => by(after(at, wait), Ended::Code(code.into())),
                Term::Ends { after: wait, code: None } => by(after(at, wait), Ended::Signal(signal)),
            }
        });
        self.own_end().into_iter().chain(by_signal).min_by_key(|last| last.at)
    }

    fn own_end(&self) -> Option<Last> {
        let at = after(self.begin(), self.course.lasts?);
        let (ended, out_of_memory) = match self.course.exit {
            Exit::Code(code) => (Ended::Code(code.into()), false),
            Exit::Signal(signal) => (Ended::Signal(signal.into()), false),
            Exit::OutOfMemory => (Ended::Signal(SIGKILL), true),
            Exit::Evicted | Exit::NodeLost => return None,
        };
        Some(Last { at, ended, out_of_memory })
    }

    /// Takes it as far as the clock is: writes what it has said, and answers what is to be told of it.
    pub(super) fn go_on(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        if self.is_over() {
            return events;
        }
        let last = self.last();
        let begin = last.as_ref().map_or(self.begin(), |last| last.at.min(self.begin()));
        if self.last.is_none() && begin <= now {
            self.last = Some(Event::Started { key: self.key.clone(), pid: 0, at: begin, unlimited: None });
            events.extend(self.last.clone());
        }
        self.write(begin, last.as_ref().map_or(now, |last| last.at.min(now)));
        if let Some(Last { at, ended, out_of_memory }) = last.filter(|last| last.at <= now) {
            let key = self.key.clone();
            self.last = Some(Event::Exited {
                key,
                ended,
                started_at: begin,
                finished_at: at,
                cpu_us: 0,
                peak_bytes: 0,
                log_bytes: self.log_bytes,
                out_of_memory,
                unlimited: None,
            });
            events.extend(self.last.clone());
            return events;
        }
        let is_ready = self.last.is_some() && !self.is_ready_told && !self.is_unready(now);
        let is_struck = !self.is_struck_told && self.struck(now).is_some();
        if is_ready || is_struck {
            self.is_ready_told |= is_ready;
            self.is_struck_told |= is_struck;
            // Said again: who hears of a run looks at its pod.
            events.extend(self.last.clone().filter(|_| events.is_empty()));
        }
        events
    }

    /// When there is more to be done, if nobody signals it.
    pub(super) fn next(&self) -> Option<Timestamp> {
        if self.is_over() {
            return None;
        }
        let begin = self.begin();
        let end = self.last().map(|last| last.at);
        let line = self.course.line(self.written).map(|line| after(begin, line.after));
        // A line that would come after its end never comes.
        let line = line.filter(|line| end.is_none_or(|end| *line <= end));
        let begins = self.last.is_none().then_some(begin);
        let ready = (!self.is_ready_told).then(|| after(begin, self.course.ready));
        let struck = self.strike().filter(|_| !self.is_struck_told);
        [begins, line, ready, struck, end].into_iter().flatten().min()
    }

    fn write(&mut self, begin: Timestamp, now: Timestamp) {
        if self.last.is_none() {
            return;
        }
        let due = |place| self.course.line(place).map(|line| (after(begin, line.after), line));
        let due = (self.written..).map_while(due).take_while(|(at, _)| *at <= now);
        let mut count = 0;
        let due = due.inspect(|_| count += 1);
        let text = record::entries(&mut self.stamps, due);
        if count == 0 {
            return;
        }
        self.written += count;
        match record::append(&self.log, &text) {
            Ok(()) => self.log_bytes += text.len() as u64,
            Err(error) => {
                tracing::warn!(%error, log = %self.log.display(), "a played run's output is lost");
            }
        }
    }
}
