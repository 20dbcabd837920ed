//! Being the engine: the process that `__engine` or `up --foreground` is.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use windlass_engine::{Config, Engine, Home, StopPods};

use super::boot::{Answer, Boot};
use super::find::STARTING;
use super::{SHIM, detach, ephemeral, limits, service};
use crate::env::Env;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome, chain};
use crate::out;

/// What host processes see of the engine's environment.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "USER", "LANG", "TMPDIR"];

/// What an engine is asked by signal: to leave by TERM and INT, to end its pods by USR1, to stay by USR2.
struct Signals {
    term: Signal,
    int: Signal,
    end: Signal,
    stay: Signal,
}

/// What an engine is to do next.
enum Next {
    /// To stop; what the running pods are to expect.
    Stop(StopPods),
    /// To leave, because it is idle.
    Rest(File),
    /// To end, because it cannot go on.
    Fail,
    /// To end, because its owner has gone.
    Vanish,
}

impl Signals {
    /// Takes the signals over.
    fn take() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            end: signal(SignalKind::user_defined1())?,
            stay: signal(SignalKind::user_defined2())?,
        })
    }

    /// What the running pods are to expect; none if the engine is to stay.
    async fn next(&mut self) -> Option<StopPods> {
        tokio::select! {
            _ = self.term.recv() => Some(StopPods::Leave),
            _ = self.int.recv() => Some(StopPods::Leave),
            _ = self.end.recv() => Some(StopPods::End),
            _ = self.stay.recv() => None,
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
        service::tell_ready(env);
        Ok(())
    };
    serve(boot, env, ready).await.map_err(|why| Failure::new("the engine did not start", why))?;
    Ok(Exit::OK)
}

/// Starts an engine, tells that it is ready, and stops it when asked to.
async fn serve(boot: &Boot, env: &Env, ready: impl FnOnce() -> std::io::Result<()>) -> Result<(), String> {
    let mut signals = Signals::take().map_err(|error| error.to_string())?;
    let mut engine = Engine::start(config(boot, env)?).await.map_err(|error| chain(&error))?;
    ready().map_err(|error| error.to_string())?;
    tracing::info!(address = %engine.address(), home = %boot.home.display(), "ready");
    let home = Home::at(&boot.home);
    let next = next(&mut engine, &home, &mut signals).await;
    let vanishes = matches!(next, Next::Vanish);
    match next {
        Next::Stop(pods) => {
            tracing::info!(?pods, "stopping");
            engine.stop(pods).await;
        }
        Next::Rest(starting) => {
            tracing::info!("leaving: it was idle for long; whoever needs an engine starts the next");
            engine.rest().await;
            drop(starting);
        }
        Next::Fail => engine.abandon().await,
        Next::Vanish => {
            tracing::info!("ending: whoever started this private engine has gone");
            engine.stop(StopPods::End).await;
        }
    }
    tracing::info!("stopped");
    if vanishes {
        ephemeral::erase(&home).await.map_err(|error| format!("{}: {error}", boot.home.display()))?;
    }
    Ok(())
}

/// Waits for what ends the engine.
async fn next(engine: &mut Engine, home: &Home, signals: &mut Signals) -> Next {
    let mut orphaned = std::pin::pin!(ephemeral::orphaned(home));
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Some(pods) => return Next::Stop(pods),
                None => stay(engine),
            },
            cause = engine.stopped() => {
                tracing::error!(cause, "the engine ends by itself");
                return Next::Fail;
            }
            () = &mut orphaned => return Next::Vanish,
            () = engine.idle() => if let Some(starting) = nobody_comes(engine, home) {
                return Next::Rest(starting);
            },
        }
    }
}

/// From now on the engine stays.
fn stay(engine: &mut Engine) {
    tracing::info!("staying, however idle");
    if let Err(cause) = engine.stay() {
        tracing::warn!(%cause, "the state file still says that it leaves when idle");
    }
}

/// The lock of starting, if nobody is looking for the engine or speaking to it: who looks now waits until it is gone,
/// and starts the next.
fn nobody_comes(engine: &Engine, home: &Home) -> Option<File> {
    let lock = File::open(home.root().join(STARTING)).ok()?;
    lock.try_lock().ok()?;
    engine.is_quiet().then_some(lock)
}

/// The engine's configuration: this program is its shim.
fn config(boot: &Boot, env: &Env) -> Result<Config, String> {
    let program = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let mut config = Config::new(Home::at(&boot.home), vec![program.into_os_string(), SHIM.into()]);
    config.listen = boot.listen;
    config.images = boot.images;
    config.movable_clock = ephemeral::is_owned(&config.home);
    config.logs = limits::of_logs(env)?;
    config.pids = limits::of_pids(env)?;
    config.allotted = limits::allotted(env);
    let service = env.get(service::VARIABLE).map(|name| (service::VARIABLE.to_owned(), name.to_owned()));
    config.notes = service.into_iter().collect();
    config.idle_exit = boot.idle_exit_s.map(Duration::from_secs);
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
