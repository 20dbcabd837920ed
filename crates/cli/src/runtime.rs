//! The asynchronous runtimes of the program: a small one for a command, a large one for the engine.

use tokio::runtime::{Builder, Runtime};

/// One thread: commands start in milliseconds.
pub(crate) fn one_thread() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A thread a core: the engine.
pub(crate) fn many_threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}
