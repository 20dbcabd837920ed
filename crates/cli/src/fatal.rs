//! What ends a command from outside of what it does: the engine that it needs cannot be kept.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::fail::{Failure, Outcome};

/// Told once, by whoever finds out. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fatal(Arc<(Mutex<Option<Failure>>, Notify)>);

impl Fatal {
    /// Ends the command with this failure.
    pub(crate) fn tell(&self, failure: Failure) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.0.1.notify_one();
    }

    /// The work's outcome, or the failure that was told meanwhile.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = self.0.1.notified() => {
                    let told = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(failure) = told {
                        return Err(failure);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn what_is_told_ends_the_innermost_work_once() {
        let fatal = Fatal::default();
        let inner = async { fatal.or(std::future::pending::<Outcome>()).await.or(Ok(Exit::TIMEOUT)) };
        let mut outer = std::pin::pin!(fatal.or(inner));
        assert!(outer.as_mut().now_or_never().is_none());
        fatal.tell(Failure::bare("gone"));
        assert_eq!(outer.now_or_never(), Some(Ok(Exit::TIMEOUT)));
    }

    #[test]
    fn work_that_is_done_wins() {
        let fatal = Fatal::default();
        fatal.tell(Failure::bare("gone"));
        assert_eq!(fatal.or(std::future::ready(Ok(Exit::OK))).now_or_never(), Some(Ok(Exit::OK)));
    }
}
