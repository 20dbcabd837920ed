//! Programs that probes and hooks run beside a container's own.
//!
//! Source: pkg/probe/exec/exec.go, and the words of cri-client's `ExecSync`.

use std::sync::Weak;
use std::time::Duration;

use windlass_runner::kubelet::Answer;
use windlass_runner::runtime::{Exec, ExecError, Key as RunKey, Runtime};

use super::within;
use crate::world;

/// What is kept of what a program writes (upstream: `maxReadLength`).
const MOST_OUTPUT: usize = 10 << 10;

/// When a hook asks again whether there is room for it.
const TURN: Duration = Duration::from_millis(200);

/// Runs it: its exit code 0 is a yes. It is killed when the time is over, or when nobody waits for it any more.
pub(super) async fn run(
    runtime: &Weak<dyn Runtime>,
    run: &RunKey,
    argv: &[String],
    timeout: Option<Duration>,
) -> Answer {
    let exec =
        Exec { key: run.clone(), argv: argv.to_vec(), stdin: false, stdout: true, stderr: true, tty: false };
    let ended = async move {
        let session = loop {
            // Not held while it runs: the runtime goes with the controllers.
            let Some(runtime) = runtime.upgrade() else { return Err("the engine is stopping".to_owned()) };
            match runtime.exec(exec.clone()).await {
                // A hook has no time of its own: it waits for its turn, as long as its container is there.
                Err(ExecError::TooMany) if timeout.is_none() => {}
                begun => break begun.map_err(|cause| cause.to_string())?,
            }
            drop(runtime);
            world::pause(TURN).await;
        };
        session.collect(MOST_OUTPUT).await.map_err(|cause| cause.to_string())
    };
    match within(timeout, ended).await {
        Some(Ok((ended, _))) if ended.exit_code() == 0 => Answer::Success,
        Some(Ok((_, written))) => Answer::Failure(String::from_utf8_lossy(&written).into_owned()),
        Some(Err(why)) => Answer::Error(why),
        None => {
            let seconds = timeout.unwrap_or_default().as_secs();
            Answer::Failure(format!("command timed out: {:?} timed out after {seconds}s", argv.join(" ")))
        }
    }
}
