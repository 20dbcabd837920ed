//! Whether the group that this process is in is the user's to divide. Pure but for a look at the files, which is a trait.
//!
//! Of an ordinary user the kernel's own rule counts: a group whose directory and files the user may write was
//! delegated (Documentation/admin-guide/cgroup-v2.rst, "Delegation"). Root may write everything, so of root's groups
//! only those count that are the topmost, or that their owner has marked (systemd's `Delegate=yes`); a user may write
//! all that the user's own systemd has made, so there the mark counts, too.

use std::path::Path;

use super::Reason;
use super::hierarchy::{Absent, Controller, Seat, Table, Version};

/// A look at the groups' files.
pub(crate) trait Look {
    /// Whether this process may do everything.
    fn is_root(&self) -> bool;
    /// Whether this process may write there.
    fn may_write(&self, path: &Path) -> bool;
    /// Whether systemd says that it leaves what is below to others.
    fn is_marked(&self, directory: &Path) -> bool;
    /// A file's text.
    fn text(&self, path: &Path) -> Option<String>;
}

/// The group that is ours to divide for a controller, or why there is none.
pub(crate) fn judge(
    table: &Table,
    controller: Controller,
    leaf: &str,
    look: &dyn Look,
) -> Result<Seat, (Reason, String)> {
    let name = controller.name();
    let seat = table.seat(controller, leaf).map_err(|absent| match absent {
        Absent::NotMounted => {
            (Reason::NoCgroup, format!("no control groups with the controller {name} are mounted"))
        }
        Absent::Elsewhere(path) => {
            (Reason::NoCgroup, format!("the engine's control group {path} cannot be seen from where it runs"))
        }
    })?;
    let (path, directory) = (&seat.path, seat.directory.display());
    if seat.is_read_only {
        return Err((Reason::ReadOnly, format!("the control groups in {directory} are mounted read-only")));
    }
    let files: &[&str] = match seat.version {
        Version::V1 => &["", "cgroup.procs"],
        Version::V2 => &["", "cgroup.procs", "cgroup.subtree_control"],
    };
    let may = files.iter().all(|file| look.may_write(&seat.directory.join(file)));
    let has_owner = (look.is_root() && !seat.is_top) || is_managed(path);
    if !may || (has_owner && !is_marked(table, &seat, look)) {
        let cause =
            format!("the control group {path} of the controller {name} is not delegated to the engine");
        return Err((Reason::NotDelegated, cause));
    }
    let given = || look.text(&seat.directory.join("cgroup.controllers")).unwrap_or_default();
    if seat.version == Version::V2 && !given().split_whitespace().any(|known| known == name) {
        return Err((
            Reason::NoController,
            format!("the control group {path} was not given the controller {name}"),
        ));
    }
    Ok(seat)
}

/// Whether a user's systemd has made it: the user may write all of these, but a unit's group is that manager's, which
/// puts the unit's next process there and cannot once groups below have controllers.
fn is_managed(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with("user@") && part.ends_with(".service"))
}

/// Systemd marks a unit's group in version 2 itself, in version 1 in a hierarchy of its own.
fn is_marked(table: &Table, seat: &Seat, look: &dyn Look) -> bool {
    let named = || table.systemd(&seat.path).filter(|_| seat.version == Version::V1);
    look.is_marked(&seat.directory) || named().is_some_and(|directory| look.is_marked(&directory))
}
