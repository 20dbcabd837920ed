//! Retention that goes on in the background, pass after pass, until it is stopped.

use std::time::Duration;

use futures::future::{self, Either};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Pass, Retention};
use crate::Result;

/// The pause between two passes unless somebody says otherwise.
pub const PERIOD_OF_PASSES: Duration = Duration::from_secs(60);

/// A retention that runs. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Background {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Background {
    /// Ends it at once, in the middle of a pass too: what was not done is done by the next one that is started.
    pub async fn stop(self) {
        drop(self.stop);
        // It fails only if the runtime ends; then it is stopped as well.
        self.task.await.ok();
    }
}

impl Retention {
    /// Marks and deletes, pass after pass with this pause in between, until the answer is stopped or dropped. `told`
    /// hears what each pass came to; a pass that failed is made again after the pause.
    ///
    /// Must be called inside of a tokio runtime.
    pub fn start(self, pause: Duration, told: impl Fn(Result<Pass>) + Send + Sync + 'static) -> Background {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let work = std::pin::pin!(self.go_on(pause, told));
            // A sender that is dropped is a stop as well.
            if let Either::Left(((), _)) = future::select(work, stopped).await {
                tracing::debug!("retention has ended");
            }
        });
        Background { stop, task }
    }

    async fn go_on(&self, pause: Duration, told: impl Fn(Result<Pass>)) {
        loop {
            let pass = self.mark_and_clean().await;
            if let Err(error) = &pass {
                tracing::warn!(%error, "a pass of the retention failed");
            }
            told(pass);
            self.jobs.world.sleep(pause).await;
        }
    }
}
