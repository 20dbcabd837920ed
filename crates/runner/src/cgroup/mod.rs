//! Control groups: what a run may take of memory, CPU and processes, held by the kernel.
//!
//! A run with limits has a group of its own in every hierarchy that is needed (one in version 2, one a controller in
//! version 1), below a group of the shim's, below the group that the shim was started in, if that group is the
//! user's to divide. Nothing outside it is ever touched. A run without limits has none, and nothing is read for it.
//!
//! It knows no pod and no ledger. `hierarchy` and `delegate` are pure: where the groups are, and whose.

mod base;
mod delegate;
mod group;
mod hierarchy;

#[cfg(test)]
mod tests;

/// What the fuzz targets ask of the control groups.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::delegate::{Look, judge};
    pub(crate) use super::hierarchy::{Controller, Table, Version};
}

use serde::{Deserialize, Serialize};

pub use self::base::look;
pub(crate) use self::base::{Groups, clean_up};
pub(crate) use self::group::RunGroup;

/// What a run may take at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all its processes together, files in memory and the page cache included, in bytes. There is no swap
    /// beside it (upstream: `ConfigureNoSwap` in pkg/kubelet/kuberuntime).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// CPU time, in thousandths of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
}

/// That limits of a run are not enforced, and why. The run goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unlimited {
    /// The class of the cause; of several, the first.
    pub reason: Reason,
    /// Which limits, why, and the way out.
    pub message: String,
}

/// Why a limit cannot be enforced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Reason {
    /// There is no control group of this controller to be seen.
    NoCgroup,
    /// The file system of the groups is read-only, as in most containers.
    ReadOnly,
    /// The group that the engine was started in is not the user's to divide.
    NotDelegated,
    /// Processes that are not the engine's are in the same group (version 2 has processes only where no groups are below).
    Shared,
    /// The group was not given this controller.
    NoController,
    /// The kernel refused.
    Refused,
    /// The process that starts the containers is of an older build, and does not say that it enforces any.
    OlderShim,
}

impl Reason {
    /// As the condition has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::NoCgroup => "NoCgroup",
            Reason::ReadOnly => "ReadOnly",
            Reason::NotDelegated => "NotDelegated",
            Reason::Shared => "Shared",
            Reason::NoController => "NoController",
            Reason::Refused => "Refused",
            Reason::OlderShim => "OlderShim",
        }
    }

    fn way_out(self, is_root: bool) -> &'static str {
        match self {
            Reason::NoCgroup => "mount the groups' file system at /sys/fs/cgroup",
            Reason::ReadOnly => "mount /sys/fs/cgroup writable in the container the engine runs in",
            Reason::NotDelegated | Reason::Shared | Reason::NoController if is_root => {
                "start the engine by systemd-run --scope -p Delegate=yes windlass up"
            }
            Reason::NotDelegated | Reason::Shared => {
                "start the engine by systemd-run --user --scope -p Delegate=yes windlass up"
            }
            Reason::NoController => {
                "have systemd give users' services the controller (Delegate=cpu memory pids for user@.service)"
            }
            Reason::Refused => "see the kernel's log (dmesg)",
            Reason::OlderShim => {
                "limits hold for what is started after none of its containers runs any more, when a new one takes its \
                 place (at once: windlass down --force, windlass up)"
            }
        }
    }
}

/// One limit that is not enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Lack {
    controller: hierarchy::Controller,
    reason: Reason,
    /// What is in the way, in words.
    cause: String,
}

impl Unlimited {
    /// Of a run with limits that was begun by a shim which may not know what limits are.
    pub(crate) fn of_older_shim() -> Unlimited {
        let cause = "the limits are not known to be enforced: the process that starts the containers (the shim) is of an \
                     older Windlass and does not say so";
        let reason = Reason::OlderShim;
        Unlimited { reason, message: format!("{cause}; {}", reason.way_out(false)) }
    }

    /// Several lacks in one. None: nothing is lacking.
    fn of(lacks: &[Lack], is_root: bool) -> Option<Unlimited> {
        let reason = lacks.first()?.reason;
        let mut told: Vec<(&Lack, Vec<&str>)> = Vec::new();
        for lack in lacks {
            match told.iter_mut().find(|(known, _)| known.cause == lack.cause) {
                Some((_, names)) => names.push(lack.controller.limit()),
                None => told.push((lack, vec![lack.controller.limit()])),
            }
        }
        let causes = told.iter().map(|(lack, names)| {
            let is = if names.len() == 1 { "limit is" } else { "limits are" };
            let names = match names.as_slice() {
                [front @ .., last] if !front.is_empty() => format!("{} and {last}", front.join(", ")),
                names => names.concat(),
            };
            format!("the {names} {is} not enforced: {}", lack.cause)
        });
        let causes = causes.collect::<Vec<_>>().join("; ");
        Some(Unlimited { reason, message: format!("{causes}; {}", reason.way_out(is_root)) })
    }
}
