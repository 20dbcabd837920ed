//! Keeping the engine: a command that follows a job outlives the engine that it asked, and starts the next one.

use std::fs::File;

use tokio::sync::oneshot;
use windlass_engine::Home;

use super::find::ensure;
use crate::env::Env;
use crate::out::Notes;

/// Starts the engine again whenever it dies while this command goes on. One that was stopped by somebody stays so.
pub(crate) fn keep(home: Home, env: Env, notes: Notes) {
    tokio::spawn(async move {
        while end(&home).await.is_some() {
            if home.running().is_some() {
                continue;
            }
            if home.left_behind().is_none() {
                notes.say(
                    "the engine was stopped; this command goes on as soon as `windlass up` starts it again",
                );
                return;
            }
            notes.say("the engine died: starting it again");
            if let Err(failure) = ensure(&home, &env, notes).await {
                notes.say(&failure.to_string());
                return;
            }
        }
    });
}

/// Comes back when the engine's process has passed away; none if that cannot be known.
async fn end(home: &Home) -> Option<()> {
    let lock = File::open(home.lock_file()).ok()?;
    let (sender, end) = oneshot::channel();
    // A thread of its own, which nobody waits for: one of the runtime's would keep this process from ending.
    let waiting = std::thread::Builder::new().name("keep".to_owned()).spawn(move || {
        if lock.lock_shared().is_ok() {
            drop(lock);
            // Its command may have ended meanwhile.
            _ = sender.send(());
        }
    });
    waiting.ok()?;
    end.await.ok()
}
