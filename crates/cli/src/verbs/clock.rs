//! `windlass clock`: the time of an engine for tests, and setting it forward.

use windlass::ClockMove;

use crate::args::low::{Clock, ClockVerb};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::{age, out};

/// Prints the time, after it was set forward if that was asked for.
pub(crate) async fn run(options: &Clock, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let to = match &options.verb {
        None => None,
        Some(ClockVerb::Advance { span }) => Some(ClockMove::By(span.clone())),
        Some(ClockVerb::To { time }) => Some(ClockMove::To(time.clone())),
    };
    let clock = match to {
        None => session.manager.clock().await?,
        Some(to) => session.manager.set_clock(&to).await?,
    };
    out::data(&format!("{}\n", clock.now))?;
    let told = match (clock.can_move, clock.ahead_seconds) {
        (false, _) => "it is the machine's own time, and cannot be set forward".to_owned(),
        (true, 0) => "it is the machine's time still; `windlass clock advance 1h` sets it forward".to_owned(),
        (true, ahead) => format!("it is {} ahead of the machine's", age::human(ahead)),
    };
    session.notes.say(&told);
    Ok(Exit::OK)
}
