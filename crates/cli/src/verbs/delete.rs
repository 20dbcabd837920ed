//! `windlass delete`: remove jobs with their pods and logs.

use windlass::DeleteOptions;

use super::which;
use crate::args::low::Delete;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;

/// Deletes. By labels only what Windlass submitted: others' jobs must be named.
pub(crate) async fn run(options: &Delete, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    for name in which::names(&options.which, &session.manager, true).await? {
        session.manager.delete(&name, &DeleteOptions::default()).await?;
        session.notes.say(&format!("{name}: deleted"));
    }
    Ok(Exit::OK)
}
