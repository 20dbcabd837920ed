//! The engine as a service of the user's systemd: its unit, and how systemd is spoken to.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use windlass_engine::{Home, Images};
use windlass_model::digest;

use super::Boot;
use crate::env::Env;
use crate::fail::{Failure, Outcome};

/// The engine finds the name of its unit here.
pub(crate) const VARIABLE: &str = "WINDLASS_SERVICE";

/// A unit for the engine of one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// `windlass.service`; of a home that is not the usual one, with a mark of it.
    pub name: String,
    /// The unit's file.
    pub file: PathBuf,
}

/// The unit of a home; none if the user has no directory for settings.
pub(crate) fn unit(home: &Home, env: &Env) -> Option<Unit> {
    let config = match (env.get("XDG_CONFIG_HOME"), env.get("HOME")) {
        (Some(config), _) => PathBuf::from(config),
        (None, Some(home)) => Path::new(home).join(".config"),
        (None, None) => return None,
    };
    let name = match env.get("WINDLASS_HOME") {
        None => "windlass.service".to_owned(),
        Some(_) => {
            format!("windlass-{}.service", &digest::short(home.root().as_os_str().as_encoded_bytes())[..8])
        }
    };
    let file = env.absolute(config).join("systemd/user").join(&name);
    Some(Unit { name, file })
}

/// The unit's text. `asked` is the `WINDLASS_HOME` that holds, if one was set.
///
/// # Errors
/// A path that a unit cannot hold.
pub(crate) fn text(unit: &Unit, boot: &Boot, program: &Path, env: &Env) -> Outcome<String> {
    let mut variables = vec![(VARIABLE, unit.name.clone())];
    // systemd's own PATH and language are seldom the user's; jobs get the engine's.
    for name in ["WINDLASS_HOME", "PATH", "LANG", "TMPDIR"] {
        variables.extend(env.get(name).map(|value| (name, value.to_owned())));
    }
    let variables = variables.iter().map(|(name, value)| quoted(&format!("{name}={value}")));
    let variables = variables.collect::<Outcome<Vec<_>>>()?.join(" ");
    let mut words =
        vec![quoted(&program.display().to_string())?.replace('$', "$$"), "up --foreground".to_owned()];
    words.extend(boot.listen.map(|address| format!("--listen {address}")));
    words.extend((boot.images == Images::Host).then(|| "--images=host".to_owned()));
    Ok(format!(
        "# Written by `windlass up --install`; `windlass up --uninstall` removes it.\n\
         [Unit]\n\
         Description=Windlass, batch jobs on this machine\n\
         \n\
         [Service]\n\
         Type=notify\n\
         Environment={variables}\n\
         ExecStart={}\n\
         # Running jobs outlive the engine; the next one takes them over.\n\
         KillMode=process\n\
         Restart=on-failure\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        words.join(" ")
    ))
}

/// A word of a unit (systemd.syntax(7), systemd.unit(5) on specifiers).
fn quoted(word: &str) -> Outcome<String> {
    if word.contains(char::is_control) {
        return Err(Failure::new(format!("{word:?}"), "holds a character that no unit can hold"));
    }
    Ok(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")))
}

/// `systemctl --user` with these words.
///
/// # Errors
/// Its own words, or that it is not there.
pub(crate) async fn systemctl(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new("systemctl");
    command.arg("--user").args(words).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.map_err(|error| format!("systemctl: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.lines().next().unwrap_or("it did not say why").trim();
    Err(format!("systemctl --user {}: {said}", words.join(" ")))
}

/// Tells whoever supervises this process that it is ready (sd_notify(3)); nobody does, usually.
pub(crate) fn tell_ready(env: &Env) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(place) = env.get("NOTIFY_SOCKET") else { return };
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(place),
    };
    let told = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &to));
    if let Err(cause) = told {
        tracing::warn!(%cause, place, "the service manager was not told that the engine is ready");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Env { vars, cwd: Some("/work".into()), ..Env::default() }
    }

    #[test]
    fn the_usual_home_has_the_usual_unit_and_another_one_its_own() {
        let usual = unit(&Home::at("/me/.windlass"), &env(&[("HOME", "/me")])).unwrap();
        assert_eq!(usual.file, Path::new("/me/.config/systemd/user/windlass.service"));
        let vars = [("XDG_CONFIG_HOME", "/c"), ("HOME", "/me"), ("WINDLASS_HOME", "/state")];
        let other = unit(&Home::at("/state"), &env(&vars)).unwrap();
        assert!(
            other.file.starts_with("/c/systemd/user") && other.name.starts_with("windlass-"),
            "{other:?}"
        );
        assert_eq!(unit(&Home::at("/state"), &env(&[("WINDLASS_HOME", "/state")])), None);
    }

    #[test]
    fn words_of_a_unit_are_quoted_as_systemd_reads_them() {
        let vars = [("HOME", "/me"), ("PATH", "/a b:/c%d"), ("LANG", "C.UTF-8")];
        let unit = unit(&Home::at("/me/.windlass"), &env(&vars)).unwrap();
        let boot = Boot {
            home: "/me/.windlass".into(),
            listen: Some("127.0.0.1:6443".parse().unwrap()),
            images: Images::Host,
            idle_exit_s: None,
        };
        let text = text(&unit, &boot, Path::new("/opt/a $b\"c/windlass"), &env(&vars)).unwrap();
        insta::assert_snapshot!(text);
        let bad = env(&[("HOME", "/me"), ("PATH", "/a\nb")]);
        assert!(super::text(&unit, &boot, Path::new("/w"), &bad).is_err());
    }
}
