//! Being the engine: the process that `__engine` or `up --foreground` is.

use std::ffi::OsString;
use std::io::Write;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use windlass_engine::{Config, Engine, Home, StopPods};

use super::boot::{Answer, Boot};
use super::{SHIM, detach};
use crate::env::Env;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome, chain};
use crate::out;

/// What host processes see of the engine's environment.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "USER", "LANG", "TMPDIR"];

/// How an engine is asked to end, by signal: `Leave` by TERM and INT, `End` by USR1.
struct Signals {
    term: Signal,
    int: Signal,
    end: Signal,
}

impl Signals {
    /// Takes the signals over.
    fn take() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            end: signal(SignalKind::user_defined1())?,
        })
    }

    /// What the running pods are to expect.
    async fn next(&mut self) -> StopPods {
        tokio::select! {
            _ = self.term.recv() => StopPods::Leave,
            _ = self.int.recv() => StopPods::Leave,
            _ = self.end.recv() => StopPods::End,
        }
    }
}

/// The detached engine's process. Its one argument is a [`Boot`]; its stdout takes one [`Answer`].
pub(crate) fn main(mut args: impl Iterator<Item = OsString>) -> Exit {
    detach::close_inherited();
    detach::leave();
    let result = match args.next().and_then(|word| serde_json::from_str(word.to_str()?).ok()) {
        Some(boot) => detached(&boot),
        None => Err("this command is Windlass's own; `windlass up` starts the engine".to_owned()),
    };
    match result {
        Ok(()) => Exit::OK,
        Err(why) => {
            out::say(&format!("windlass: {why}"));
            answer(&Answer::Failed(why));
            Exit::FAILED
        }
    }
}

/// Serves until a signal ends it.
fn detached(boot: &Boot) -> Result<(), String> {
    let home = Home::at(&boot.home);
    detach::redirect(&home.engine_log())
        .map_err(|error| format!("{}: {error}", home.engine_log().display()))?;
    let env = Env::read();
    log(&env);
    let ready = || {
        answer(&Answer::Ready);
        detach::end_stdout()
    };
    let runtime = crate::runtime::many_threads().map_err(|error| error.to_string())?;
    let result = runtime.block_on(serve(boot, &env, ready));
    runtime.shutdown_background();
    result
}

/// The engine in the foreground of a terminal: logs to stderr, ends by Ctrl-C.
pub(crate) async fn foreground(boot: &Boot, env: &Env, ready: impl FnOnce()) -> Outcome {
    log(env);
    let ready = || {
        ready();
        Ok(())
    };
    serve(boot, env, ready).await.map_err(|why| Failure::new("the engine did not start", why))?;
    Ok(Exit::OK)
}

/// Starts an engine, tells that it is ready, and stops it when asked to.
async fn serve(boot: &Boot, env: &Env, ready: impl FnOnce() -> std::io::Result<()>) -> Result<(), String> {
    let mut signals = Signals::take().map_err(|error| error.to_string())?;
    let engine = Engine::start(config(boot, env)?).await.map_err(|error| chain(&error))?;
    ready().map_err(|error| error.to_string())?;
    tracing::info!(address = %engine.address(), home = %boot.home.display(), "ready");
    let pods = tokio::select! {
        pods = signals.next() => pods,
        cause = engine.stopped() => {
            tracing::info!(cause, "the engine ends by itself");
            StopPods::Leave
        }
    };
    tracing::info!(?pods, "stopping");
    engine.stop(pods).await;
    tracing::info!("stopped");
    Ok(())
}

/// The engine's configuration: this program is its shim.
fn config(boot: &Boot, env: &Env) -> Result<Config, String> {
    let program = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let mut config = Config::new(Home::at(&boot.home), vec![program.into_os_string(), SHIM.into()]);
    config.listen = boot.listen;
    config.images = boot.images;
    let known = |name: &&str| Some(((*name).to_owned(), env.vars.get(*name)?.clone()));
    config.environment = ENVIRONMENT.iter().filter_map(known).collect();
    Ok(config)
}

/// The engine's log on stderr; `WINDLASS_LOG` is its level (error, warn, info, debug, trace).
fn log(env: &Env) {
    let level = env.get("WINDLASS_LOG").and_then(|word| word.parse().ok()).unwrap_or(LevelFilter::INFO);
    let log =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_ansi(env.colour());
    // A second subscriber is refused: there is one already, which will do.
    _ = log.try_init();
}

/// Tells the starter. It may have gone: then nobody asks any more.
fn answer(answer: &Answer) {
    let mut stdout = std::io::stdout().lock();
    _ = serde_json::to_writer(&mut stdout, answer);
    _ = stdout.write_all(b"\n").and_then(|()| stdout.flush());
}
