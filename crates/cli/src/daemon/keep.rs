//! Keeping the engine: a command that follows a job outlives the engine that it asked, and starts the next one.

use tokio::task::JoinHandle;
use windlass_engine::Home;

use super::find::{ensure, passed_away};
use crate::env::Env;
use crate::out::Notes;

/// Starts the engine again whenever it dies while this command goes on. One that was stopped by somebody stays so.
pub(crate) fn keep(home: Home, env: Env, notes: Notes) -> JoinHandle<()> {
    tokio::spawn(async move {
        while passed_away(&home).await {
            if home.running().is_some() {
                continue;
            }
            let Some(left) = home.left_behind() else {
                notes.say(
                    "the engine was stopped; this command goes on as soon as `windlass up` starts it again",
                );
                return;
            };
            if !left.resting {
                notes.say("the engine died: starting it again");
            }
            if let Err(failure) = ensure(&home, &env, notes).await {
                notes.say(&failure.to_string());
                return;
            }
        }
    })
}
