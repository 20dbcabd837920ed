//! Programs that probes and hooks run beside a container's own.
//!
//! Source: pkg/probe/exec/exec.go, and the words of cri-client's `ExecSync`.

use std::sync::Weak;
use std::time::Duration;

use windlass_runner::kubelet::{Answer, Hook};
use windlass_runner::runtime::{Exec, ExecError, Key as RunKey, Runtime};

use super::{What, within};
use crate::world;

/// What is kept of what a program writes (upstream: `maxReadLength`).
const MOST_OUTPUT: usize = 10 << 10;

/// When a hook asks again whether there is room for it.
const TURN: Duration = Duration::from_millis(200);

/// Runs it: its exit code 0 is a yes. It is killed when the time is over, or when nobody waits for it any more. That a hook
/// has to wait because the shim is older than this program is said once; one before the end cannot wait for another shim,
/// and is left out.
pub(super) async fn run(
    runtime: &Weak<dyn Runtime>,
    run: &RunKey,
    (what, argv): (What, &[String]),
    timeout: Option<Duration>,
    mut waits: impl FnMut(String),
) -> Answer {
    let exec =
        Exec { key: run.clone(), argv: argv.to_vec(), stdin: false, stdout: true, stderr: true, tty: false };
    let mut is_told = false;
    let ended = async move {
        let session = loop {
            // Not held while it runs: the runtime goes with the controllers.
            let Some(runtime) = runtime.upgrade() else {
                return Err(Answer::Error("the engine is stopping".to_owned()));
            };
            match runtime.exec(exec.clone()).await {
                // A hook has no time of its own: it waits for its turn, as long as its container is there.
                Err(ExecError::TooMany) if timeout.is_none() => {}
                Err(cause @ ExecError::Older(_)) if what == What::Hook(Hook::PostStart) => {
                    if !std::mem::replace(&mut is_told, true) {
                        waits(cause.to_string());
                    }
                }
                Err(cause @ ExecError::Older(_)) => return Err(Answer::LeftOut(cause.to_string())),
                begun => break begun.map_err(|cause| Answer::Error(cause.to_string()))?,
            }
            drop(runtime);
            world::pause(TURN).await;
        };
        session.collect(MOST_OUTPUT).await.map_err(|cause| Answer::Error(cause.to_string()))
    };
    match within(timeout, ended).await {
        Some(Ok((ended, _))) if ended.exit_code() == 0 => Answer::Success,
        Some(Ok((_, written))) => Answer::Failure(String::from_utf8_lossy(&written).into_owned()),
        Some(Err(why)) => why,
        None => {
            let seconds = timeout.unwrap_or_default().as_secs();
            Answer::Failure(format!("command timed out: {:?} timed out after {seconds}s", argv.join(" ")))
        }
    }
}
