//! `windlass use`: remember which cluster the commands to come speak to.

use windlass::Source;
use windlass_engine::Home;

use crate::args::low::Use;
use crate::cluster::choose::{Because, Cluster};
use crate::cluster::{self, Call};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::saved::{self, Saved};
use crate::{env::Env, out};

/// Saves a choice, forgets it, or prints what is chosen.
pub(crate) async fn run(options: &Use, call: Call<'_>) -> Outcome {
    let flags = &call.common.flags;
    let context = options.chosen.clone().or_else(|| flags.context.clone());
    let chosen = if options.reset {
        None
    } else if flags.local {
        Some(Cluster::Local)
    } else if context.is_some() || flags.kubeconfig.is_some() {
        Some(checked(context, call).await?)
    } else {
        return print(call);
    };
    let settings = call.settings()?;
    Home::at(&settings).make().map_err(Failure::bare)?;
    // A file that cannot be read is written anew.
    let saved = saved::read(&settings).unwrap_or_default();
    saved::write(&settings, &Saved { cluster: chosen, ..saved })?;
    for name in ["WINDLASS_CONTEXT", "KUBECONFIG"] {
        if call.env.get(name).is_some() {
            call.notes().say(&format!("saved, but {name} is set here and wins"));
        }
    }
    Ok(Exit::OK)
}

/// A context that is there: a name with a slip in it is found out now, not by the next command.
async fn checked(name: Option<String>, call: Call<'_>) -> Outcome<Cluster> {
    let kubeconfig = match &call.common.flags.kubeconfig {
        Some(file) => vec![call.env.absolute(file.clone())],
        None => variable(call.env),
    };
    let source = Source::Files { paths: kubeconfig.clone(), context: name.clone() };
    windlass::connect(&source)
        .await
        .map_err(|error| Failure::new("use", error).way_out("nothing was saved"))?;
    Ok(Cluster::Context { kubeconfig, name })
}

/// The files of `KUBECONFIG`.
fn variable(env: &Env) -> Vec<std::path::PathBuf> {
    cluster::choose::variable_files(env)
}

/// The choice that holds here, for a program to read; what decided, for a person.
fn print(call: Call<'_>) -> Outcome {
    let choice = call.choice(&call.home()?)?;
    let because = match choice.because {
        Because::Flag(name) | Because::Variable(name) => format!("chosen by {name}"),
        Because::Saved => "chosen by `windlass use`; `windlass use --reset` forgets it".to_owned(),
        Because::Default => "nothing was chosen: `windlass use CONTEXT` does".to_owned(),
    };
    out::data(&match choice.cluster {
        Cluster::Local => "local\n".to_owned(),
        Cluster::Context { name: Some(name), .. } => format!("{name}\n"),
        Cluster::Context { name: None, kubeconfig } => {
            let files: Vec<String> = kubeconfig.iter().map(|path| path.display().to_string()).collect();
            format!("the current context of {}\n", files.join(":"))
        }
    })?;
    call.notes().say(&because);
    Ok(Exit::OK)
}
