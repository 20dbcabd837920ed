//! One suite of situations for every backend: what holds in memory holds on disk.

mod kit;

mod commit;

mod list;

mod watch;

mod reopen;

mod model;

/// Runs each situation once a backend.
macro_rules! on_both {
    ($($situation:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $situation() {
                super::$situation(crate::kit::On::Memory).await;
            })*
        }
        mod disk {
            $(#[tokio::test]
            async fn $situation() {
                super::$situation(crate::kit::On::Disk).await;
            })*
        }
    };
}
pub(crate) use on_both;
