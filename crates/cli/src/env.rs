//! The process's surroundings as a value: variables, working directory, terminals. Read once, in [`Env::read`].
//!
//! Knows no option and no cluster; what a variable means is decided where it is used.

mod network;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use nix::unistd::{User, geteuid};

use crate::place::LOCAL;

/// What the process was started with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Env {
    /// Every variable whose name and value are UTF-8.
    pub vars: BTreeMap<String, String>,
    /// Names of the variables that are not UTF-8: they cannot be sent to Kubernetes, and the user is told.
    pub unreadable: Vec<String>,
    /// The user's name as the system knows it, where no variable tells it.
    pub login: Option<String>,
    /// The working directory, if there still is one.
    pub cwd: Option<PathBuf>,
    /// Whether stdout is a terminal.
    pub stdout_terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_terminal: bool,
    /// The kind of network file system that Windlass' home lies on, if it does.
    pub home_network: Option<String>,
    /// Where this machine has room of its own.
    pub local: PathBuf,
    /// Only if the home lies on a network: the kind of network file system that `local` lies on, if it does.
    pub local_network: Option<String>,
}

impl Env {
    /// Reads the process's surroundings: the one place that does.
    pub(crate) fn read() -> Env {
        let mut env = Env {
            cwd: std::env::current_dir().ok(),
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            local: LOCAL.into(),
            ..Env::default()
        };
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    env.vars.insert(name, value);
                }
                (Ok(name), Err(_)) => env.unreadable.push(name),
                (Err(name), _) => env.unreadable.push(name.to_string_lossy().into_owned()),
            }
        }
        env.unreadable.sort();
        if env.user().is_none() {
            // The system's user database is read only by those who need it.
            env.login = Env::system_login();
        }
        env.home_network = env.windlass_home().and_then(|home| network::network(&home));
        if env.home_network.is_some() {
            env.local_network = network::network(&env.local);
        }
        env
    }

    /// The machine's own time zone, as a file of zoneinfo, unless the user's `TZ` names another.
    pub(crate) fn machine_zone() -> Option<Vec<u8>> {
        std::fs::read("/etc/localtime").ok()
    }

    /// The user's name as the system knows it.
    pub(crate) fn system_login() -> Option<String> {
        User::from_uid(geteuid()).ok().flatten().map(|user| user.name)
    }

    /// A variable's value; an empty one counts as unset, as in a shell's `${NAME:-}`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where Windlass keeps its state: `WINDLASS_HOME`, else `~/.windlass`. None if neither it nor `HOME` is set.
    pub(crate) fn windlass_home(&self) -> Option<PathBuf> {
        let path = match (self.get("WINDLASS_HOME"), self.get("HOME")) {
            (Some(home), _) => PathBuf::from(home),
            (None, Some(home)) => PathBuf::from(home).join(".windlass"),
            (None, None) => return None,
        };
        Some(self.absolute(path))
    }

    /// The path as seen from anywhere: a relative one is taken from the working directory.
    pub(crate) fn absolute(&self, path: PathBuf) -> PathBuf {
        match &self.cwd {
            Some(cwd) if path.is_relative() => cwd.join(path),
            _ => path,
        }
    }

    /// Who acts: `USER`, else `LOGNAME`, else whom the system knows.
    pub(crate) fn user(&self) -> Option<&str> {
        self.get("USER").or_else(|| self.get("LOGNAME")).or(self.login.as_deref())
    }

    /// Whether colour may be used on stderr (<https://no-color.org>).
    pub(crate) fn colour(&self) -> bool {
        self.stderr_terminal && self.get("NO_COLOR").is_none() && self.get("TERM") != Some("dumb")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        Env {
            vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            cwd: Some("/work".into()),
            stderr_terminal: true,
            ..Env::default()
        }
    }

    #[test]
    fn home_is_the_variable_then_the_users_folder() {
        let home = |vars| env(vars).windlass_home();
        assert_eq!(home(&[("WINDLASS_HOME", "/state"), ("HOME", "/me")]), Some("/state".into()));
        assert_eq!(home(&[("HOME", "/me")]), Some("/me/.windlass".into()));
        assert_eq!(home(&[("WINDLASS_HOME", ""), ("HOME", "/me")]), Some("/me/.windlass".into()));
        assert_eq!(home(&[("WINDLASS_HOME", "state")]), Some("/work/state".into()));
        assert_eq!(home(&[]), None);
    }

    #[test]
    fn colour_needs_a_terminal_that_wants_it() {
        assert!(env(&[]).colour());
        assert!(!env(&[("NO_COLOR", "1")]).colour());
        assert!(!env(&[("TERM", "dumb")]).colour());
        assert!(!Env { stderr_terminal: false, ..env(&[]) }.colour());
    }
}
