//! Where the engine's state lies: in the home, or, if that is on a network file system, on this machine's own disk.
//!
//! A store on a network file system has neither reliable locks nor reliable syncs, and several hosts that share a home
//! would fight over it. The choice that `windlass use` saves stays in the home: that is shared with reason.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use windlass_engine::Home;
use windlass_model::digest;

use crate::env::Env;
use crate::fail::{Failure, Outcome};

/// Where a machine has room of its own that survives a reboot, unlike `/tmp` and `XDG_RUNTIME_DIR` (Filesystem
/// Hierarchy Standard 3.0, 5.15).
pub(crate) const LOCAL: &str = "/var/tmp";

/// Where the state lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// The engine's home.
    pub home: Home,
    /// What is to be said once, if it is not where it was looked for.
    pub moved: Option<String>,
}

/// The engine's home for a home directory that is on that network file system, if it is on one.
pub(crate) fn place(asked: PathBuf, env: &Env) -> Outcome<Place> {
    let Some(kind) = &env.home_network else { return Ok(Place { home: Home::at(asked), moved: None }) };
    let way_out = "set WINDLASS_HOME to a directory of a local disk";
    let place = asked.display().to_string();
    let on = format!("is on a network file system ({kind}), where an engine cannot keep its state");
    if let Some(kind) = &env.local_network {
        let cause = format!("{on}; and so is {} ({kind})", env.local.display());
        return Err(Failure::new(place, cause).way_out(way_out));
    }
    let own = env.local.join(format!("windlass-{}", geteuid()));
    private(&own).map_err(|failure| failure.way_out(way_out))?;
    let home = own.join(&digest::short(asked.as_os_str().as_encoded_bytes())[..16]);
    let moved = format!(
        "{place} {on}: on this machine it is in {}, and other machines have their own",
        home.display()
    );
    Ok(Place { home: Home::at(home), moved: Some(moved) })
}

/// Makes a directory that is ours alone, or finds one that is.
fn private(directory: &Path) -> Outcome<()> {
    let fault = |cause: &dyn std::fmt::Display| Failure::new(directory.display().to_string(), cause);
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(fault(&error)),
        _ => {}
    }
    // Not through a link: in a directory that all may write to, somebody else may have been faster.
    let meta = directory.symlink_metadata().map_err(|error| fault(&error))?;
    if !meta.is_dir() || meta.uid() != geteuid().as_raw() {
        return Err(fault(&"is not a directory of yours"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(fault(&"may be entered by others; `chmod 700` it, after a look at what is in it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn env(home: Option<&str>, local: Option<&str>) -> Env {
        Env {
            local: "/var/tmp".into(),
            home_network: home.map(str::to_owned),
            local_network: local.map(str::to_owned),
            ..Env::default()
        }
    }

    #[test]
    fn a_local_home_is_where_it_is() {
        let place = place("/home/me/.windlass".into(), &env(None, None)).unwrap();
        assert_eq!(place, Place { home: Home::at("/home/me/.windlass"), moved: None });
    }

    #[test]
    fn a_network_home_has_its_state_on_this_machine_and_each_home_its_own() {
        let local = tempfile::tempdir().unwrap();
        let env = Env { local: local.path().to_owned(), ..env(Some("nfs"), None) };
        let one = place("/home/me/.windlass".into(), &env).unwrap();
        let other = place("/home/me/other".into(), &env).unwrap();
        let parent = local.path().join(format!("windlass-{}", geteuid())).display().to_string();
        for place in [&one, &other] {
            assert_eq!(place.home.root().parent().unwrap(), Path::new(&parent));
        }
        assert_ne!(one.home, other.home);
        let moved = one.moved.unwrap();
        assert!(
            moved.contains("/home/me/.windlass") && moved.contains("nfs") && moved.contains(&parent),
            "{moved}"
        );
        assert_eq!(Path::new(&parent).metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn without_a_local_disk_it_is_refused_with_the_way_out() {
        let failure = place("/home/me/.windlass".into(), &env(Some("nfs"), Some("lustre"))).unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("lustre") && text.contains("WINDLASS_HOME"), "{text}");
    }

    #[test]
    fn a_directory_that_others_made_or_may_enter_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("windlass");
        private(&place).unwrap();
        private(&place).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private(&place).unwrap_err().to_string().contains("chmod 700"));
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(private(&link).unwrap_err().to_string().contains("not a directory of yours"));
    }
}
