//! `windlass cancel`: end jobs that have not ended.

use windlass::CancelEffect;

use super::which;
use crate::args::low::Cancel;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;

/// Cancels.
pub(crate) async fn run(options: &Cancel, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    for name in which::names(&options.which, &session.manager, true).await? {
        let effect = session.manager.cancel(&name, call.who(), options.reason.as_deref()).await?;
        let done = matches!(effect, CancelEffect::AlreadyEnded);
        if options.now && !done {
            session.manager.kill(&name).await?;
        }
        session.notes.say(&format!("{name}: {}", words(effect, options.now)));
    }
    Ok(Exit::OK)
}

/// What happened.
fn words(effect: CancelEffect, now: bool) -> &'static str {
    match effect {
        CancelEffect::Stopping if now => "cancelled, its processes were killed",
        CancelEffect::Stopping => "cancelled, what of it runs is being ended",
        CancelEffect::NeverStarts => "cancelled before it started",
        CancelEffect::AlreadyEnded => "had ended before",
        CancelEffect::AlreadyCancelled if now => "was cancelled before, its processes were killed",
        CancelEffect::AlreadyCancelled => "was cancelled before (--now kills its processes)",
    }
}
