//! What the controllers tell in events: which object one is about, and when, its teller knows.

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whether it is a Warning.
    pub warning: bool,
    /// Its reason, e.g. `SawCompletedJob`.
    pub reason: &'static str,
    /// Its message. Of a Job's pod that is made, its executor writes it, who knows the name.
    pub message: String,
}

impl Event {
    pub(crate) fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, message: message.into() }
    }

    pub(crate) fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, message: message.into() }
    }
}
