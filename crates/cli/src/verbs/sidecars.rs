//! A command that has ended in a pod that goes on: what is said, and the ending of what outlives it.

use std::time::Duration;

use windlass::{JobManager, Outcome as Ended};

use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out::Notes;
use crate::print::plain;

/// How long what was asked to end may take.
const GRACE: Duration = Duration::from_secs(30);

/// Says what keeps the job's pod running, and ends it if asked to. The command's code.
///
/// # Errors
/// The cluster cannot be asked.
pub(super) async fn outlived(end: &Ended, stop: bool, manager: &JobManager, notes: Notes) -> Outcome<Exit> {
    let exit = Exit(end.exit.code());
    let Some(payload) = end.status.payload.as_ref() else { return Ok(exit) };
    let (name, verdict) = (&end.name, &end.status.verdict);
    if !stop {
        let next =
            verdict.next_step.as_deref().map(|next| format!("\n  {}", plain(next))).unwrap_or_default();
        notes.say(&format!("{name}: {}{next}", plain(&verdict.text)));
        return Ok(exit);
    }
    let mut is_asked = false;
    for stop in manager.stop_sidecars(name, payload).await? {
        let container = plain(&stop.container);
        is_asked |= stop.asked.is_ok();
        notes.say(&match stop.asked {
            Ok(how) => format!("{name}: asked container {container:?} to end, {}", plain(&how)),
            Err(why) => {
                let why = plain(&why);
                format!("{name}: cannot end container {container:?}: {why}\n  windlass cancel {name} ends the whole pod")
            }
        });
    }
    if is_asked {
        let ended = manager.wait(name, Some(GRACE)).await.is_ok_and(|end| end.status.phase.is_final());
        if !ended {
            notes.say(&format!("{name}: it has not ended yet; windlass cancel {name} ends the whole pod"));
        }
    }
    Ok(exit)
}
