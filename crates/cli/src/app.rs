//! A command from its words to its exit code.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::args::high::{Act, Request};
use crate::args::{self, Usage};
use crate::cluster::Call;
use crate::env::Env;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::fatal::Fatal;
use crate::{out, runtime, verbs};

/// Does what a command line asks for.
pub(crate) fn run(argv: &[OsString]) -> Exit {
    let env = Env::read();
    let request = match args::parse(argv, &env) {
        Ok(request) => request,
        Err(usage) => return answer(&usage),
    };
    let runtime = match runtime::one_thread() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::new("starting", error)),
    };
    let fatal = Fatal::default();
    let work = || runtime.block_on(fatal.or(Box::pin(perform(request, &env, &fatal))));
    // Nothing of the work is looked at after a panic, which has been printed: the process ends.
    let result = catch_unwind(AssertUnwindSafe(work));
    // A thread may be blocked in a write that nobody reads, or wait for the engine's lock: it must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(result) => result.unwrap_or_else(|failure| report(&failure)),
        Err(_) => Exit::FAILED,
    }
}

/// One verb.
async fn perform(request: Request, env: &Env, fatal: &Fatal) -> Outcome {
    let call = Call { common: &request.common, env, fatal };
    match request.act {
        Act::Run(options) => verbs::run::run(&options, call).await,
        Act::Submit(options) => verbs::submit::run(&options, call).await,
        Act::Plan(options) => verbs::plan::run(&options, call).await,
        Act::Batch(options) => verbs::batch::run(&options, call).await,
        Act::List(options) => verbs::list::run(&options, call).await,
        Act::Show(options) => verbs::show::run(&options, call).await,
        Act::Why(options) => verbs::why::run(&options, call).await,
        Act::Logs(options) => verbs::logs::run(&options, call).await,
        Act::Results(options) => verbs::results::run(&options, call).await,
        Act::Wait(options) => verbs::wait::run(&options, call).await,
        Act::Cancel(options) => verbs::cancel::run(&options, call).await,
        Act::Retry(options) => verbs::retry::run(&options, call).await,
        Act::Delete(options) => verbs::delete::run(&options, call).await,
        Act::Clean(options) => verbs::clean::run(&options, call).await,
        Act::Cron(options) => verbs::cron::run(&options, call).await,
        Act::Definitions(options) => verbs::definitions::run(&options, call).await,
        Act::Doctor(options) => verbs::doctor::run(&options, call).await,
        Act::Use(options) => verbs::r#use::run(&options, call).await,
        Act::Up(options) => verbs::up::run(&options, call).await,
        Act::Down(options) => verbs::down::run(&options, call).await,
        Act::Status(options) => verbs::status::run(&options, call).await,
        Act::Kubeconfig(options) => verbs::kubeconfig::run(&options, call).await,
        Act::Config(options) => verbs::config::run(&options, call).await,
        Act::Completions(options) => verbs::completions::run(&options),
        Act::Man(options) => verbs::man::run(&options, call),
    }
}

/// Prints what a command line answers that is not followed.
fn answer(usage: &Usage) -> Exit {
    if usage.asked {
        return out::data(&usage.text).map_or_else(|failure| failure.code(), |()| usage.exit);
    }
    out::say(usage.text.trim_end());
    usage.exit
}

/// Prints a failure.
fn report(failure: &Failure) -> Exit {
    if !failure.is_silent() {
        out::say(&failure.to_string());
    }
    failure.code()
}
