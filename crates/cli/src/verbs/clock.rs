//! `windlass clock`: the time of an engine for tests, and setting it forward.

use windlass::{ClockMove, ClusterClock};

use crate::args::low::{Clock, ClockVerb};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::{age, out};

/// Prints the time, after it was set forward if that was asked for.
pub(crate) async fn run(options: &Clock, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let (clock, told) = match &options.verb {
        None => {
            let clock = session.manager.clock().await?;
            let told = told(&clock);
            (clock, told)
        }
        Some(verb) => {
            let before = session.manager.clock().await?;
            let to = match verb {
                ClockVerb::Advance { span } => ClockMove::By(span.clone()),
                ClockVerb::To { time } => ClockMove::To(time.clone()),
            };
            let after = session.manager.set_clock(&to).await?;
            let told = moved(verb, &before, &after);
            (after, told)
        }
    };
    out::data(&format!("{}\n", clock.now))?;
    session.notes.say(&told);
    Ok(Exit::OK)
}

/// Of a clock that was asked.
fn told(clock: &ClusterClock) -> String {
    match (clock.can_move, clock.ahead_seconds) {
        (false, _) => "it is the machine's own time, and cannot be set forward".to_owned(),
        (true, 0) => "it is the machine's time still; `windlass clock advance 1h` sets it forward".to_owned(),
        (true, ahead) => format!("it is {} ahead of the machine's", age::exact(ahead)),
    }
}

/// Of a clock that was set forward: how far now, and how far in all if that is not the same.
fn moved(verb: &ClockVerb, before: &ClusterClock, after: &ClusterClock) -> String {
    let all = after.ahead_seconds;
    // The machine's own clock went on meanwhile: a span that was asked for is told as it was written.
    let now = match verb {
        ClockVerb::Advance { span } if span.bytes().all(|byte| byte.is_ascii_digit()) => format!("{span}s"),
        ClockVerb::Advance { span } => span.clone(),
        ClockVerb::To { .. } => age::exact(all - before.ahead_seconds),
    };
    let in_all = match before.ahead_seconds {
        0 => String::new(),
        _ => format!("; in all it is {} ahead of the machine's", age::exact(all)),
    };
    format!("set forward by {now}{in_all}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_how_far_it_went_now_and_how_far_it_is_in_all() {
        let at = |ahead_seconds, can_move| ClusterClock { now: String::new(), ahead_seconds, can_move };
        let day = 24 * 3600;
        let to = ClockVerb::To { time: String::new() };
        let by = |span: &str| ClockVerb::Advance { span: span.to_owned() };
        assert_eq!(moved(&by("24h"), &at(0, true), &at(day, true)), "set forward by 24h");
        let all = "set forward by 1h30m; in all it is 1d1h30m ahead of the machine's";
        assert_eq!(moved(&to, &at(day, true), &at(day + 5400, true)), all);
        assert_eq!(
            moved(&by("5400"), &at(day, true), &at(day + 5400, true)),
            all.replace("1h30m;", "5400s;")
        );
        assert_eq!(told(&at(day - 1, true)), "it is 23h59m59s ahead of the machine's");
        assert!(told(&at(0, true)).contains("still"));
        assert!(told(&at(0, false)).contains("cannot"));
    }
}
