//! `windlass why`: in a sentence, why a job stands where it stands, and what to do.

use windlass::JobView;
use windlass::manifest::Right;

use super::list::phase;
use super::which;
use crate::args::low::Why;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out;
use crate::print::plain;

/// Prints the verdict.
pub(crate) async fn run(options: &Why, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    for name in which::names(&options.which, &session.manager, false).await? {
        out::data(&verdict(&session.manager.get(&name).await?))?;
    }
    Ok(Exit::OK)
}

/// One job's: where it stands, why, the next step, what could not be seen.
fn verdict(view: &JobView) -> String {
    let status = &view.status;
    let mut text = format!("{} ({}): {}\n", status.name, phase(status.phase), plain(&status.verdict.text));
    if let Some(next) = &status.verdict.next_step {
        text.push_str(&format!("  {}\n", plain(next)));
    }
    for right in &status.verdict.missing {
        let what = match right {
            Right::Pods => "pods",
            Right::Events => "events",
        };
        text.push_str(&format!("  (you may not read {what} here: there may be more to it)\n"));
    }
    text
}
