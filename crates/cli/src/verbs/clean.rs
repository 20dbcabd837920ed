//! `windlass clean`: delete jobs that ended some time ago.

use windlass::retention::Retention;
use windlass_model::duration;

use crate::args::definition::Clean;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;
use crate::print::plain;

/// Deletes them; prints the name of each.
pub(crate) async fn run(options: &Clean, call: Call<'_>) -> Outcome {
    let period = duration::parse(&options.older_than)
        .map_err(|problem| Failure::new("clean", format!("--older-than: {problem}")).exit(Exit::USAGE))?;
    let session = call.open().await?;
    let retention = match &options.signature {
        Some(signature) => Retention::signed(&session.manager, signature)?,
        None => Retention::ours(&session.manager),
    };
    let pass = retention.period(period).clean_now(options.dry_run).await?;
    for (name, reason) in &pass.skipped {
        session.notes.say(&format!("{name} stays: {}", plain(reason)));
    }
    if pass.deleted.is_empty() {
        let namespace = session.manager.namespace();
        let age = duration::format(period);
        session.notes.say(&format!("no job in namespace {namespace:?} ended longer ago than {age}"));
    } else if options.dry_run {
        session.notes.say(&format!("{} would be deleted", pass.deleted.len()));
    }
    out::data(&pass.deleted.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    Ok(Exit::OK)
}
