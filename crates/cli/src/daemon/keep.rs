//! Keeping the engine: a command that follows a job outlives the engine that it asked, and starts the next one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use windlass_engine::Home;

use super::ephemeral;
use super::find::{ensure, full, passed_away};
use crate::clock;
use crate::env::Env;
use crate::fail::Failure;
use crate::out::Notes;

/// When an engine is looked after; a request that it does not answer is tried again for much longer.
const SOON: Duration = Duration::from_millis(200);
/// An engine that dies sooner than this after its start has not been of use.
const BRIEF: SignedDuration = SignedDuration::from_secs(10);
/// So many of those in a row are enough.
const TRIES: u32 = 3;

/// Starts the engine again whenever it dies while this command goes on. One that was stopped by somebody stays so.
/// Comes back with the reason if no engine can be kept.
pub(crate) fn keep(home: Home, env: Env, notes: Notes) -> JoinHandle<Option<Failure>> {
    tokio::spawn(async move {
        // Most commands are over before it is worth a thread.
        tokio::time::sleep(SOON).await;
        let (mut tries, mut born) = (0, Timestamp::MIN);
        while passed_away(&home).await {
            if home.running().is_some() {
                continue;
            }
            let Some(left) = home.left_behind() else {
                if ephemeral::is_below(&home, &env) {
                    return Some(Failure::bare("the private engine of `windlass up --ephemeral` has ended"));
                }
                notes.say(
                    "the engine was stopped; this command goes on as soon as `windlass up` starts it again",
                );
                return None;
            };
            tries = if clock::now().duration_since(born) < BRIEF { tries + 1 } else { 0 };
            if tries == TRIES {
                return Some(ends_again(&home));
            }
            if !left.resting {
                notes.say("the engine died: starting it again");
            }
            if let Err(failure) = ensure(&home, &env, notes).await {
                return Some(failure);
            }
            born = clock::now();
        }
        None
    })
}

/// It starts, and dies, and starts.
fn ends_again(home: &Home) -> Failure {
    let place = home.root().display().to_string();
    let see = format!("see {}; jobs that run go on", home.engine_log().display());
    full(home).unwrap_or_else(|| Failure::new(place, "the engine dies again and again").way_out(see))
}
