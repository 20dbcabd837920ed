//! `windlass`: batch jobs on Kubernetes, or on this machine where there is none.
//!
//! The same program is the command line, the embedded engine and the engine's shim. Decisions about jobs are the
//! library's; this crate parses, chooses the cluster, calls and prints.

mod age;
mod app;
mod args;
mod bar;
mod clock;
mod cluster;
mod complete;
mod daemon;
mod env;
mod errors;
mod exit;
mod fail;
mod fatal;
mod out;
mod place;
mod print;
mod progress;
mod random;
mod runtime;
mod said;
mod saved;
mod strangers;
mod verbs;
mod zone;

use std::io::Write;
use std::process::ExitCode;

use crate::exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    match args.nth(1).as_deref().and_then(|word| word.to_str()) {
        Some(daemon::SHIM) => return windlass_engine::shim_main(args),
        Some(daemon::ENGINE) => {
            install_tls();
            return daemon::main(args).into();
        }
        _ => install_tls(),
    }
    let argv: Vec<_> = std::env::args_os().collect();
    if complete::answered(&argv) {
        leave(Exit::OK);
    }
    leave(app::run(&argv))
}

/// Ends a command's process. Its memory is not taken apart first: the system does that faster.
fn leave(exit: Exit) -> ! {
    // Whoever wrote has flushed and told of faults: nothing is expected to be left.
    _ = std::io::stdout().flush();
    // SAFETY: nothing is borrowed or awaited any more, and no handler is to be called at the end.
    unsafe { libc::_exit(i32::from(exit.0)) }
}

/// One TLS provider for the whole process.
fn install_tls() {
    // It fails only if there is one already.
    _ = rustls::crypto::ring::default_provider().install_default();
}
