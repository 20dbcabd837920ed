//! The shim as a program of its own: what tests use. The `windlass` binary has the same in itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_runner::shim::main(std::env::args_os().skip(1))
}
