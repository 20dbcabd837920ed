//! What a shim can do: it may be of an older build than the engine that speaks to it, because it outlives engines. It says
//! so in its first frame, by names; one that says nothing is taken to be able to do nothing of it. It knows no connection.
//!
//! A field that a start or a question gets, and that a shim which ignores it would not do justice to, needs a name here.

use std::collections::BTreeSet;

use crate::runtime::{Start, StartFailure};

/// It runs programs beside runs.
pub(crate) const EXEC: &str = "exec";
/// It enforces limits, or says why not.
pub(crate) const LIMITS: &str = "limits";
/// It takes values of variables that are not UTF-8.
pub(crate) const BYTES: &str = "bytes";
/// It takes rights away from what it starts.
pub(crate) const RIGHTS: &str = "rights";

/// What a shim said that it can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Abilities(BTreeSet<String>);

impl Abilities {
    /// Of a shim of this build.
    pub(crate) fn own() -> Abilities {
        Abilities([BYTES, EXEC, LIMITS, RIGHTS].map(str::to_owned).into())
    }

    /// As they were said.
    pub(crate) fn said(names: Vec<String>) -> Abilities {
        Abilities(names.into_iter().collect())
    }

    /// As they are said.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    /// Whether it can do this.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether one of this build can do more.
    pub(crate) fn is_older(&self) -> bool {
        !Abilities::own().0.is_subset(&self.0)
    }

    /// Why it cannot be asked for a start: one that would run with more rights than it may have is not begun, and
    /// none that it cannot read.
    pub(crate) fn refuses(&self, start: &Start) -> Option<(StartFailure, String)> {
        let what = if start.rights.is_some() && !self.has(RIGHTS) {
            "holds security contexts"
        } else if !self.has(BYTES) && start.env.iter().any(|(_, value)| value.as_str().is_none()) {
            "takes variables whose value is not UTF-8"
        } else {
            return None;
        };
        let message = format!(
            "the process that starts the containers (the shim) is of an older Windlass and does not say that it {what}; \
             it is replaced when none of its containers runs any more, or at once by windlass down --force and windlass up"
        );
        Some((StartFailure::Other, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shim_that_says_nothing_can_do_nothing_and_one_that_says_more_is_not_older() {
        assert!(Abilities::default().is_older() && !Abilities::default().has(LIMITS));
        let mut names = Abilities::own().names();
        names.push("of tomorrow".to_owned());
        let newer = Abilities::said(names);
        assert!(!newer.is_older() && newer.has(LIMITS) && newer.has(EXEC));
        assert!(Abilities::said(vec![EXEC.to_owned()]).is_older());
    }
}
