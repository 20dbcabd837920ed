//! `windlass clean`: delete jobs that ended some time ago, and the ConfigMaps of jobs that never came to be.

use windlass::retention::{Leftovers, Retention};
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
    let left = match &options.signature {
        Some(_) => Leftovers::default(),
        None => session.manager.clean_leftovers(period, options.dry_run).await?,
    };
    for (name, reason) in &left.skipped {
        session.notes.say(&format!("configmap/{name} stays: {}", plain(reason)));
    }
    if left.is_forbidden {
        let note =
            "you may not list configmaps: what submissions that were killed left of tasks or files stays";
        session.notes.say(note);
    }
    let maps = left.deleted.iter().map(|name| format!("configmap/{name}"));
    let deleted: Vec<String> = pass.deleted.into_iter().chain(maps).collect();
    if deleted.is_empty() {
        let namespace = session.manager.namespace();
        let age = duration::format(period);
        session.notes.say(&format!("no job in namespace {namespace:?} ended longer ago than {age}"));
    } else if options.dry_run {
        session.notes.say(&format!("{} would be deleted", deleted.len()));
    }
    out::data(&deleted.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    Ok(Exit::OK)
}
