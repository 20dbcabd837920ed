//! A command from its words to its exit code.

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

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
    tell_of_panics(env.get("RUST_BACKTRACE").is_some());
    let result = guarded(|| runtime.block_on(fatal.or(Box::pin(perform(request, &env, &fatal)))));
    // A thread may be blocked in a write that nobody reads, or wait for the engine's lock: it must not keep the process.
    runtime.shutdown_background();
    result.unwrap_or_else(|failure| report(&failure))
}

/// Does the work. One that panics has failed, and has said so: nothing of it is looked at any more.
fn guarded(work: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Ok(Exit::FAILED))
}

/// A panic is a defect of this program, told in one line; in more if the caller has asked for a backtrace.
fn tell_of_panics(in_full: bool) {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        let what = panicked.payload_as_str().unwrap_or("it does not say why").replace('\n', " ");
        let place =
            panicked.location().map(|at| format!("{}:{}: ", at.file(), at.line())).unwrap_or_default();
        let way_out = "RUST_BACKTRACE=1 tells more, for whoever you report it to";
        out::say_at_once(&format!("windlass: a defect of windlass itself: {place}{what}; {way_out}"));
        if in_full {
            usual(panicked);
        }
    }));
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
        Act::Clock(options) => verbs::clock::run(&options, call).await,
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The variable by which the test below finds itself in a process of its own: whoever tells of panics does so for a
    /// whole process.
    const ALONE: &str = "WINDLASS_TEST_ALONE";

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that is to end with the command's code")]
    fn command_that_panics_ends_with_125_and_one_line() {
        if std::env::var_os(ALONE).is_some() {
            tell_of_panics(false);
            let none: [u8; 0] = [];
            let ended = guarded(|| panic!("index 3\nof {}", none.len()));
            std::process::exit(i32::from(ended.unwrap().0));
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "app::tests::command_that_panics_ends_with_125_and_one_line",
            "--nocapture",
        ]);
        let ended = command.env(ALONE, "yes").output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(125), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("windlass: a defect of windlass itself: crates/cli/src/app.rs:"), "{said}");
        assert!(said.contains(": index 3 of 0; RUST_BACKTRACE=1 tells more"), "{said}");
    }
}
