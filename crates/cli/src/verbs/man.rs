//! `windlass man`: a man page of every verb, of the words of its help.

use clap::CommandFactory;

use crate::args::low::{Cli, Man};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};

/// Writes them; the directory is made.
pub(crate) fn run(options: &Man, call: Call<'_>) -> Outcome {
    let folder = call.env.absolute(options.directory.clone());
    let place = folder.display().to_string();
    std::fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
        .map_err(|error| Failure::new(&place, error).way_out("name a directory that you may write to"))?;
    call.notes()
        .say(&format!("wrote the man pages into {place}; `man -l {place}/windlass.1` shows the first"));
    Ok(Exit::OK)
}
