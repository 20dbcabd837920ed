//! What the engine has to say to the shim, and what it must say again to the next one. It knows no connection.

use std::collections::{BTreeMap, BTreeSet};

use super::MAX_RUNS;
use super::ability::{Abilities, LIMITS};
use super::wire::{self, MAX_FRAME, Request};
use crate::cgroup::Unlimited;
use crate::runtime::{Event, Key, Start, StartFailure};
use crate::world;

/// What is to be said, and what was and may have to be said again.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) frames: Vec<u8>,
    /// Starts that nothing was heard of: said again to a new shim.
    unheard: BTreeMap<Key, Box<Start>>,
    /// The last signal to each run whose end was not heard of: said again after a lost connection.
    signals: BTreeMap<Key, i32>,
    /// Refused here, told with the next events.
    pub(super) refused: Vec<Event>,
    /// The shim is to leave: whether after ending its runs.
    leaving: Option<bool>,
    /// What the shim can do.
    pub(super) abilities: Abilities,
    /// The runs of a shim that is older than this program: it is replaced when there are none.
    running: BTreeSet<Key>,
    /// It was asked to leave for that. Starts are not said to it any more.
    pub(super) is_replacing: bool,
    /// It was tried once: a program that stays older is not started again and again.
    was_replaced: bool,
}

impl Outbox {
    /// Another shim is there, which knows these runs. What it can do is taken down, and what it may not have heard is said.
    pub(super) fn meet(&mut self, abilities: Abilities, known: &mut [Event]) {
        self.abilities = abilities;
        self.is_replacing = false;
        self.frames.clear();
        self.running.clear();
        known.iter_mut().for_each(|event| self.hear(event));
        if let Some(end_runs) = self.leaving {
            // It came while there was no shim. Nothing is begun any more.
            return self.leave(end_runs);
        }
        for start in std::mem::take(&mut self.unheard).into_values() {
            self.start(*start);
        }
        // To a run that the shim does not know a signal is nothing.
        for (key, signal) in std::mem::take(&mut self.signals) {
            self.signal(key, signal);
        }
    }

    pub(super) fn signal(&mut self, key: Key, signal: i32) {
        // Ours always serialise.
        let _ = wire::put(&mut self.frames, &Request::Signal { key: key.clone(), signal });
        self.signals.insert(key, signal);
    }

    pub(super) fn forget(&mut self, keys: Vec<Key>) {
        for key in &keys {
            self.signals.remove(key);
        }
        drop(wire::put(&mut self.frames, &Request::Forget(keys)));
    }

    pub(super) fn leave(&mut self, end_runs: bool) {
        self.leaving = Some(end_runs);
        let _ = wire::put(&mut self.frames, &Request::Shutdown { end_runs });
    }

    /// Whether the shim was asked to leave for good.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// What the shim said needs not be said to it again. What an older one leaves out is added.
    pub(super) fn hear(&mut self, event: &mut Event) {
        let start = self.unheard.remove(event.key());
        match event {
            Event::Started { key, .. } if self.abilities.is_older() => _ = self.running.insert(key.clone()),
            Event::Started { .. } => {}
            Event::Failed { .. } | Event::Exited { .. } | Event::Lost { .. } => {
                self.signals.remove(event.key());
                self.running.remove(event.key());
            }
        }
        // Of a run that another engine began nobody here knows whether it has limits.
        if let Event::Started { unlimited, .. } | Event::Exited { unlimited, .. } = event
            && !self.abilities.has(LIMITS)
            && start.is_none_or(|start| start.limits.is_some())
        {
            unlimited.get_or_insert_with(|| Box::new(Unlimited::of_older_shim()));
        }
    }

    pub(super) fn start(&mut self, start: Start) {
        let before = self.frames.len();
        let refusal = self.abilities.refuses(&start);
        let request = Request::Start(Box::new(start));
        let written = wire::put(&mut self.frames, &request);
        let Request::Start(start) = request else { return };
        let (failure, message) = if written.is_err() || self.frames.len() - before > MAX_FRAME {
            (StartFailure::Other, "its arguments and environment are too long".to_owned())
        } else if self.unheard.len() >= MAX_RUNS {
            (StartFailure::Other, "too many containers are being started".to_owned())
        } else if let Some(refusal) = refusal.filter(|_| !self.is_replacing) {
            refusal
        } else {
            if self.is_replacing {
                self.frames.truncate(before);
            }
            self.unheard.insert(start.key.clone(), start);
            return;
        };
        self.frames.truncate(before);
        self.refused.push(Event::Failed { key: start.key, failure, message, at: world::now() });
    }

    /// Whether the shim is older than this program and has nothing to do.
    pub(super) fn may_replace(&self) -> bool {
        let is_free = !self.is_leaving() && !self.is_replacing && !self.was_replaced;
        is_free && self.abilities.is_older() && self.running.is_empty() && self.unheard.is_empty()
    }

    /// Asks it to leave, so that one of this program takes its place.
    pub(super) fn replace(&mut self) {
        (self.is_replacing, self.was_replaced) = (true, true);
        let _ = wire::put(&mut self.frames, &Request::Shutdown { end_runs: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Limits;

    fn key(container: &str) -> Key {
        Key { pod: "p".into(), container: container.into(), attempt: 0 }
    }

    fn start(container: &str) -> Start {
        Start {
            key: key(container),
            argv: vec!["true".to_owned()],
            env: Vec::new(),
            cwd: None,
            space: None,
            log: "/tmp/log".into(),
            log_limit: 1,
            stdio: crate::runtime::Stdio::default(),
            rights: None,
            fate: None,
            limits: None,
        }
    }

    fn started(container: &str) -> Event {
        Event::Started { key: key(container), pid: 1, at: world::now(), unlimited: None }
    }

    fn lost(container: &str) -> Event {
        Event::Lost { key: key(container), message: String::new(), at: world::now() }
    }

    fn unsaid(outbox: &mut Outbox) -> String {
        String::from_utf8(std::mem::take(&mut outbox.frames)).unwrap()
    }

    fn of(abilities: Abilities) -> Outbox {
        Outbox { abilities, ..Outbox::default() }
    }

    fn is_unlimited(event: &Event) -> bool {
        matches!(event, Event::Started { unlimited: Some(_), .. })
    }

    #[test]
    fn signal_that_was_on_its_way_when_the_connection_broke_is_said_again_until_the_run_has_ended() {
        let mut outbox = of(Abilities::own());
        outbox.signal(key("main"), 15);
        assert!(unsaid(&mut outbox).contains("15"));
        outbox.meet(Abilities::own(), &mut [started("main")]);
        assert!(unsaid(&mut outbox).contains("15"));
        outbox.meet(Abilities::own(), &mut [lost("main")]);
        assert_eq!(unsaid(&mut outbox), "");
    }

    #[test]
    fn limits_of_runs_of_a_shim_that_says_nothing_of_them_are_told_as_not_enforced() {
        let mut outbox = of(Abilities::default());
        let limits = Some(Limits { memory_bytes: Some(1 << 20), ..Limits::default() });
        outbox.start(Start { limits, ..start("limited") });
        outbox.start(start("free"));
        let [mut limited, mut free, mut unknown] = ["limited", "free", "of another engine"].map(started);
        for event in [&mut limited, &mut free, &mut unknown] {
            outbox.hear(event);
        }
        assert_eq!([&limited, &free, &unknown].map(is_unlimited), [true, false, true]);
        let mut today = of(Abilities::own());
        let mut event = started("limited");
        today.hear(&mut event);
        assert!(!is_unlimited(&event));
    }

    #[test]
    fn older_shim_is_replaced_once_and_only_when_it_has_nothing_to_do() {
        let mut outbox = of(Abilities::own());
        assert!(!outbox.may_replace(), "it is not older");
        outbox.meet(Abilities::default(), &mut [started("old")]);
        assert!(!outbox.may_replace(), "it runs something");
        outbox.hear(&mut lost("old"));
        outbox.start(start("asked"));
        assert!(!outbox.may_replace(), "it is about to run something");
        outbox.hear(&mut started("asked"));
        outbox.hear(&mut lost("asked"));
        assert!(outbox.may_replace());
        outbox.replace();
        unsaid(&mut outbox);
        outbox.start(start("meanwhile"));
        assert_eq!(unsaid(&mut outbox), "", "it would refuse");
        outbox.meet(Abilities::default(), &mut []);
        assert!(unsaid(&mut outbox).contains("meanwhile"));
        outbox.hear(&mut lost("meanwhile"));
        assert!(!outbox.may_replace(), "it is not tried again");
    }

    #[test]
    fn shim_that_comes_while_everything_is_to_end_is_told_so_and_begins_nothing() {
        let mut outbox = of(Abilities::default());
        outbox.replace();
        outbox.start(start("meanwhile"));
        outbox.leave(true);
        outbox.meet(Abilities::own(), &mut []);
        let said = unsaid(&mut outbox);
        assert!(said.contains("Shutdown") && said.contains("true") && !said.contains("meanwhile"), "{said}");
        assert!(!outbox.may_replace());
    }

    #[test]
    fn variable_that_is_no_text_is_refused_where_it_could_not_be_read() {
        let raw = || Start { env: vec![("RAW".to_owned(), vec![255].into())], ..start("main") };
        let mut outbox = of(Abilities::said(vec![super::super::ability::RIGHTS.to_owned()]));
        outbox.start(raw());
        assert_eq!(unsaid(&mut outbox), "", "it would take it for nonsense");
        assert!(
            matches!(outbox.refused.as_slice(), [Event::Failed { message, .. }] if message.contains("UTF-8"))
        );
        outbox.abilities = Abilities::own();
        outbox.start(raw());
        assert!(unsaid(&mut outbox).contains("[255]"));
    }

    #[test]
    fn start_with_fewer_rights_is_refused_where_they_may_not_be_taken_away() {
        let mut outbox = of(Abilities::default());
        outbox.start(Start { rights: Some(Box::default()), ..start("main") });
        assert_eq!(unsaid(&mut outbox), "");
        let message = match outbox.refused.as_slice() {
            [Event::Failed { message, .. }] => message.clone(),
            other => panic!("{other:?}"),
        };
        assert!(message.contains("windlass down --force"), "{message}");
        outbox.abilities = Abilities::own();
        outbox.start(Start { rights: Some(Box::default()), ..start("main") });
        assert!(unsaid(&mut outbox).contains("main"));
    }
}
