//! Programs beside runs: begun for a guest, handed to it, ended with it or with the run. They are in no ledger: who asked
//! for one is there as long as it runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::Server;
use crate::exec::{Exec, LastWord};
use crate::mounts::Join;
use crate::runtime::StartFailure;
use crate::shim::children::{Children, Exit};
use crate::shim::descend;
use crate::shim::door::{Answer, MAX_GUESTS};
use crate::shim::run::{Live, Run, State};
use crate::shim::spawn;
use crate::shim::stdio::Ends;

/// The longest message about a failure, in bytes: it names the program, and a name may be long.
const MAX_MESSAGE: usize = 4 << 10;

/// A program beside a run.
pub(super) struct Beside {
    run: u64,
    guest: u64,
    /// Once it runs.
    pid: Option<i32>,
    /// Its side of its terminal, held until it has ended.
    terminal: Option<OwnedFd>,
    /// It was ended here: its guest is gone, or its run is over.
    is_ended: bool,
}

impl Server {
    /// Begins a program for a guest, or says why not.
    pub(super) fn on_exec(&mut self, number: u64, exec: Exec) {
        let Err(refusal) = self.begin_beside(number, exec) else { return };
        if let Some(guest) = self.door.guest(number) {
            let _ = guest.answer(&refusal, &[]);
        }
        self.dismiss(number);
    }

    fn begin_beside(&mut self, number: u64, exec: Exec) -> Result<(), Answer> {
        // More than guests: those whose guest is gone and that hang in the kernel.
        if self.beside.len() >= MAX_GUESTS {
            return Err(Answer::Full);
        }
        let run = *self.ids.get(&exec.key).ok_or(Answer::NotRunning)?;
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&run) else {
            return Err(Answer::NotRunning);
        };
        if live.ending.is_some() {
            return Err(Answer::NotRunning);
        }
        let join = join(&self.children, live)?;
        let id = self.next_id;
        self.next_id += 1;
        live.beside.insert(id);
        let (surroundings, first) = (Arc::clone(&live.surroundings), live.pid);
        let beside = Beside { run, guest: number, pid: None, terminal: None, is_ended: false };
        self.beside.insert(id, beside);
        if let Some(guest) = self.door.guest(number) {
            guest.beside = Some(id);
        }
        let beside = spawn::Beside { run, exec, surroundings, first, join };
        self.relief = self.children.start_beside(id, Box::new(beside));
        Ok(())
    }

    /// Hands its streams to the guest. Nothing of them stays here.
    pub(super) fn on_started_beside(&mut self, id: u64, pid: i32, ends: Ends) {
        let Some(beside) = self.beside.get_mut(&id) else { return };
        beside.pid = Some(pid);
        let Ends { outputs, input, terminal } = ends;
        beside.terminal = terminal;
        let handed = if beside.terminal.is_some() {
            // One end is all: what is read is what is written to.
            outputs.iter().flatten().map(AsFd::as_fd).collect::<Vec<_>>()
        } else {
            let input = input.iter().map(|input| input.end.as_fd());
            input.chain(outputs.iter().flatten().map(AsFd::as_fd)).collect()
        };
        let is_taken =
            self.door.guest(beside.guest).is_some_and(|guest| guest.answer(&Answer::Begun, &handed).is_ok());
        let is_wanted = match self.runs.get(&beside.run).map(|run| &run.state) {
            Some(State::Live(live)) => live.ending.is_none(),
            _ => false,
        };
        if beside.is_ended || !is_taken || !is_wanted {
            self.end_beside(id);
        }
    }

    pub(super) fn on_failed_beside(&mut self, id: u64, failure: StartFailure, mut message: String) {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        self.leave(id, &Answer::Failed { failure, message });
    }

    pub(super) fn on_reaped_beside(&mut self, id: u64, exit: Exit) {
        let ended = self.beside.get(&id).filter(|beside| beside.is_ended);
        if let Some(pid) = ended.and_then(|beside| beside.pid) {
            descend::end_session(&self.children, pid);
        }
        self.leave(id, &LastWord { ended: exit.ended });
    }

    /// It is over: its guest is told how and shown out.
    fn leave(&mut self, id: u64, word: &impl serde::Serialize) {
        let Some(beside) = self.beside.remove(&id) else { return };
        if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&beside.run) {
            live.beside.remove(&id);
        }
        if let Some(guest) = self.door.guest(beside.guest).filter(|guest| guest.beside == Some(id)) {
            let _ = guest.answer(word, &[]);
            self.dismiss(beside.guest);
        }
    }

    /// Kills it with everything below it, now or, if it is just being made, as soon as it runs. One whose turn has not come
    /// is not begun.
    pub(super) fn end_beside(&mut self, id: u64) {
        let Some(beside) = self.beside.get_mut(&id) else { return };
        beside.is_ended = true;
        if let Some(pid) = beside.pid {
            descend::end_beside(&self.children, pid);
        } else if self.children.cancel_beside(id) {
            self.leave(id, &Answer::NotRunning);
        }
    }
}

/// The way to where a run is, if that is not simply the host; or that it has just ended, or why there is none.
fn join(children: &Children, live: &Live) -> Result<Option<Join>, Answer> {
    let surroundings = &live.surroundings;
    if !surroundings.has_space {
        return Ok(None);
    }
    let mut joined = None;
    children.while_unreaped(live.pid, || joined = Some(Join::of(live.pid, &surroundings.cwd)));
    match joined {
        Some(Ok(join)) => Ok(Some(join)),
        // A process that has ended and was not reaped has no namespaces.
        Some(Err(cause)) if cause.kind() != io::ErrorKind::NotFound => {
            let message = format!("the container's namespaces cannot be entered: {cause}");
            Err(Answer::Failed { failure: StartFailure::Other, message })
        }
        _ => Err(Answer::NotRunning),
    }
}
