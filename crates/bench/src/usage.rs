//! What a whole process costs: its time, and its peak memory. A process cannot ask that of one child alone, so this
//! program starts itself to start it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

/// The first argument of this program when it runs another one for its figures.
pub(crate) const MEASURE: &str = "--measure";

/// What a process took.
pub(crate) struct Usage {
    /// From start to end.
    pub(crate) seconds: f64,
    /// Resident, at most.
    pub(crate) peak_bytes: f64,
}

/// Runs a command to its end; its output is thrown away.
pub(crate) fn of(command: &Command) -> Result<Usage> {
    let mut outer = Command::new(std::env::current_exe()?);
    outer.arg(MEASURE).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let output = outer.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [seconds, peak_bytes] = figures[..] else { anyhow::bail!("not two figures: {text:?}") };
    Ok(Usage { seconds, peak_bytes })
}

/// The inner half: runs the command in its arguments and prints seconds and bytes.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
#[expect(clippy::print_stdout, reason = "the figures are what the outer half reads")]
pub(crate) fn inner(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<()> {
    let program = arguments.next().context("no command to measure")?;
    let began = Instant::now();
    let status = Command::new(&program).args(arguments).stdout(Stdio::null()).status()?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{}: {status}", program.display());
    println!("{seconds} {}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() * 1024);
    Ok(())
}

/// Where kubectl is, if it is anywhere.
pub(crate) fn kubectl() -> Option<PathBuf> {
    let tried = ["kubectl", "/usr/lib/google-cloud-sdk/bin/kubectl"];
    tried.into_iter().map(PathBuf::from).find(|path| {
        let mut version = Command::new(path);
        version.args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    })
}
