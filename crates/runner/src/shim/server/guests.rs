//! Who writes to the runs: which input a guest gets, and what its going away means.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{GUEST, Server};
use crate::runtime::Key;
use crate::shim::door::{Answer, Heard};
use crate::shim::run::{Live, Run, State};

impl Server {
    pub(super) fn on_door(&mut self) {
        match self.door.accept() {
            Ok((number, stream)) => {
                let interest = EpollEvent::new(EpollFlags::EPOLLIN, GUEST | number);
                if let Err(error) = self.epoll.add(stream, interest) {
                    self.door.dismiss(number);
                    self.note(&format!("a guest cannot be waited for: {error}"));
                }
            }
            Err(error) => self.note(&format!("a guest was refused: {error}")),
        }
    }

    pub(super) fn on_guest(&mut self, number: u64) {
        let Some(guest) = self.door.guest(number) else { return };
        match guest.hear() {
            Heard::Nothing => {}
            Heard::Question(question) => self.on_question(number, &question.key),
            Heard::Gone => self.dismiss(number),
        }
    }

    fn on_question(&mut self, number: u64, key: &Key) {
        let id = self.ids.get(key).copied();
        let run = id.and_then(|id| self.runs.get(&id));
        let (answer, end) = match run.map(|run| &run.state) {
            Some(State::Live(live)) => input_of(live),
            _ => (Answer::NotRunning, None),
        };
        let Some(guest) = self.door.guest(number) else { return };
        guest.run = id.filter(|_| end.is_some());
        let told = guest.answer(&answer, end);
        if told.is_err() || guest.run.is_none() {
            self.dismiss(number);
        }
    }

    /// The end of the first who had a stdin is the end of one that is for one only.
    fn dismiss(&mut self, number: u64) {
        let Some(guest) = self.door.dismiss(number) else { return };
        let _ = self.epoll.delete(&guest);
        let run = guest.run.and_then(|id| self.runs.get_mut(&id));
        if let Some(Run { state: State::Live(live), .. }) = run
            && live.input.as_ref().is_some_and(|input| input.once)
        {
            live.input = None;
        }
    }
}

fn input_of(live: &Live) -> (Answer, Option<BorrowedFd<'_>>) {
    match &live.input {
        _ if live.ending.is_some() => (Answer::NotRunning, None),
        Some(input) => (Answer::Here { is_terminal: input.is_terminal }, Some(input.end.as_fd())),
        None if live.had_input => (Answer::Ended, None),
        None => (Answer::NoStdin, None),
    }
}
