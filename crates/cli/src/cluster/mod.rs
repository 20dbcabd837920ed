//! From a choice of cluster to a session with it.

pub(crate) mod choose;

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass::{JobManager, Known, Source};
use windlass_engine::Home;

use crate::args::high::Common;
use crate::daemon;
use crate::env::Env;
use crate::fail::{Failure, Outcome};
use crate::fatal::Fatal;
use crate::out::Notes;
use crate::{place, said, saved};
use choose::{Because, Choice, Cluster, choose};

/// An engine on this machine that takes longer to say its version is not asked again.
const PROMPT: Duration = Duration::from_secs(5);

/// What every engine is, of whatever version: nobody waits for an answer to that. One that was killed a moment ago is
/// started again by [`daemon::keep`], and asked again meanwhile.
const ENGINE: Known = Known { version: Some((1, 36)), has_host_class: true, has_answered: true };

/// A cluster that is ready to be asked.
pub(crate) struct Session {
    /// Its jobs, in the namespace that was asked for.
    pub manager: JobManager,
    /// What is said besides data.
    pub notes: Notes,
    /// Whether it is the engine of this machine.
    pub is_engine: bool,
}

/// What every verb is called with.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The options that all verbs share.
    pub common: &'a Common,
    /// The process's surroundings.
    pub env: &'a Env,
    /// Ends the command when its engine cannot be kept.
    pub fatal: &'a Fatal,
}

impl Call<'_> {
    /// Opens the chosen cluster; the embedded engine is started if it does not run.
    pub(crate) async fn open(self) -> Outcome<Session> {
        open(self).await
    }

    /// The home of this user's engine. That it is not where it was looked for is said once.
    pub(crate) fn home(self) -> Outcome<Home> {
        let place = place::place(asked(self.env)?, self.env)?;
        if let Some(moved) = &place.moved
            && place.home.make().is_ok()
        {
            said::once(&place.home, "place", moved, self.notes());
        }
        Ok(place.home)
    }

    /// Where this user's settings are.
    pub(crate) fn settings(self) -> Outcome<PathBuf> {
        asked(self.env)
    }

    /// The choice of cluster that holds for this command.
    pub(crate) fn choice(self, home: &Home) -> Outcome<Choice> {
        let saved = saved::read(&self.settings()?)?;
        Ok(choose(&self.common.flags, self.env, saved.cluster.as_ref(), &home.kubeconfig()))
    }

    /// What may be said besides data.
    pub(crate) fn notes(self) -> Notes {
        Notes { quiet: self.common.quiet }
    }

    /// Who acts, for the record.
    pub(crate) fn who(&self) -> &str {
        self.env.user().unwrap_or("somebody")
    }
}

/// The home that was asked for.
fn asked(env: &Env) -> Outcome<PathBuf> {
    env.windlass_home().ok_or_else(|| {
        Failure::new("WINDLASS_HOME", "neither it nor HOME is set")
            .way_out("set WINDLASS_HOME to a directory")
    })
}

/// Opens the chosen cluster; the embedded engine is started if it does not run.
async fn open(call: Call<'_>) -> Outcome<Session> {
    let Call { common, env, fatal } = call;
    let home = call.home()?;
    let choice = call.choice(&home)?;
    let notes = call.notes();
    let source = source(&choice.cluster, &home, env, notes).await?;
    let connection = windlass::connect(&source).await.map_err(|error| unusable(&choice, &error))?;
    let mut manager = JobManager::of(&connection);
    if choice.cluster == Cluster::Local {
        manager = manager.knowing(ENGINE);
        let (keeper, fatal) = (daemon::keep(home, env.clone(), notes), fatal.clone());
        // It ends with this process.
        tokio::spawn(async move {
            if let Ok(Some(failure)) = keeper.await {
                fatal.tell(failure);
            }
        });
    }
    let place = match &choice.cluster {
        Cluster::Local => "the engine of this machine".to_owned(),
        Cluster::Context { .. } => format!("context {:?}", connection.context),
    };
    notes.say(&which(&place, choice.because));
    manager = manager.named(&place);
    if let Some(namespace) = &common.namespace {
        manager = manager.in_namespace(namespace);
    }
    Ok(Session { manager, notes, is_engine: matches!(choice.cluster, Cluster::Local) })
}

/// Whether the engine that was found has just been killed. The question costs little: its answer is used again.
async fn has_gone(manager: &JobManager, home: &Home) -> bool {
    let answer = tokio::time::timeout(PROMPT, manager.version()).await;
    matches!(answer, Ok(Err(windlass::Error::Unreachable { .. }))) && daemon::gone(home).await
}

/// Whether the engine that was found still serves.
pub(crate) async fn serves(home: &Home) -> bool {
    let source = Source::Files { paths: vec![home.kubeconfig()], context: None };
    match windlass::connect(&source).await {
        Ok(connection) => !has_gone(&JobManager::of(&connection), home).await,
        Err(_) => true,
    }
}

/// Where the address and the credentials are.
async fn source(cluster: &Cluster, home: &Home, env: &Env, notes: Notes) -> Outcome<Source> {
    match cluster {
        Cluster::Local => {
            daemon::ensure(home, env, notes).await?;
            Ok(Source::Files { paths: vec![home.kubeconfig()], context: None })
        }
        Cluster::Context { kubeconfig, name } => {
            Ok(Source::Files { paths: present(kubeconfig)?, context: name.clone() })
        }
    }
}

/// Of several files those that are there, as kubectl does; at least one must be.
pub(crate) fn present(files: &[std::path::PathBuf]) -> Outcome<Vec<std::path::PathBuf>> {
    let there: Vec<_> = files.iter().filter(|path| Path::exists(path)).cloned().collect();
    match files {
        [first, ..] if there.is_empty() => Err(Failure::new(first.display().to_string(), "no such file")
            .way_out("name another kubeconfig, or use this machine: --local")),
        _ => Ok(there),
    }
}

/// Which cluster is used, because of what, and how to choose another.
fn which(place: &str, because: Because) -> String {
    match because {
        Because::Default => format!("using {place} (others: --context, KUBECONFIG, `windlass use`)"),
        Because::Flag(name) | Because::Variable(name) => format!("using {place} ({name})"),
        Because::Saved => format!("using {place} (saved; another: --context, --local, `windlass use`)"),
    }
}

/// A choice that cannot be used is an error, never a reason to take another cluster.
pub(crate) fn unusable(choice: &Choice, error: &windlass::ConnectError) -> Failure {
    let origin = match choice.because {
        Because::Flag(name) | Because::Variable(name) => name,
        Because::Saved => "the choice of `windlass use`",
        Because::Default => "the engine of this machine",
    };
    let login = match error {
        windlass::ConnectError::Credentials { .. } => "log in again, or ",
        _ => "",
    };
    let way_out = format!("{login}choose another: --context NAME, --local, `windlass use`");
    Failure::new(origin, error).way_out(way_out)
}
