//! What the figures are measured against: starting a process and waiting for it, by a plain program.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

/// Processes a second, started and waited for by two threads.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
pub(crate) fn spawns_per_second(count: usize, argv: &'static [&'static str]) -> Result<f64> {
    let began = Instant::now();
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(move || spawn(count / 2, argv))).collect();
    for thread in threads {
        match thread.join() {
            Ok(result) => result?,
            Err(_) => anyhow::bail!("a thread of the yardstick ended badly"),
        }
    }
    Ok((count / 2 * 2) as f64 / began.elapsed().as_secs_f64())
}

/// Seconds that one process takes, one after another.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
pub(crate) fn seconds_per_spawn(count: usize) -> Result<f64> {
    let began = Instant::now();
    spawn(count, &["/bin/true"])?;
    Ok(began.elapsed().as_secs_f64() / count as f64)
}

fn spawn(count: usize, argv: &[&str]) -> Result<()> {
    for _ in 0..count {
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ensure!(command.status()?.success(), "{argv:?} failed");
    }
    Ok(())
}
