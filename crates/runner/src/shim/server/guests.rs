//! Who writes to the runs: which input a guest gets, and what its going away means.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{DOOR, GUEST, LISTENER, Server};
use crate::runtime::Key;
use crate::shim::door::{Answer, Heard, Question};
use crate::shim::run::{Live, Run, State};
use crate::world;

/// How long nobody is let in after there were no descriptors for it.
const DEAF: Duration = Duration::from_secs(1);

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
            Err(error) => {
                self.note(&format!("a guest was refused: {error}"));
                self.rest_from_accepting(&error);
            }
        }
    }

    /// Whoever cannot be let in stays at the door, which is then ready all the time: without descriptors or memory it
    /// is not looked at for a while.
    pub(super) fn rest_from_accepting(&mut self, error: &io::Error) {
        let raw = error.raw_os_error().map(Errno::from_raw);
        if !matches!(raw, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) {
            return;
        }
        let _ = self.epoll.delete(&self.door);
        let _ = self.epoll.delete(&self.listener);
        self.deaf_until = Some(world::monotonic() + DEAF);
    }

    /// Listens again when that while is over.
    pub(super) fn listen_again(&mut self, now: Instant) {
        if self.deaf_until.is_some_and(|until| until <= now) {
            self.deaf_until = None;
            let _ = self.epoll.add(&self.door, EpollEvent::new(EpollFlags::EPOLLIN, DOOR));
            let _ = self.epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER));
        }
    }

    pub(super) fn on_guest(&mut self, number: u64) {
        let Some(guest) = self.door.guest(number) else { return };
        match guest.hear() {
            Heard::Nothing => {}
            Heard::Question(Question::Input { key }) => self.on_question(number, &key),
            Heard::Question(Question::Exec { exec }) => self.on_exec(number, exec),
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
        let told = guest.answer(&answer, end.as_slice());
        if told.is_err() || guest.run.is_none() {
            self.dismiss(number);
        }
    }

    /// The end of the first who had a stdin is the end of one that is for one only. Who had a program begun ends it.
    pub(super) fn dismiss(&mut self, number: u64) {
        let Some(guest) = self.door.dismiss(number) else { return };
        let _ = self.epoll.delete(&guest);
        if let Some(beside) = guest.beside {
            self.end_beside(beside);
        }
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
