//! From a kubeconfig to a client: fast to fail, one connection for all that it asks, and never through a proxy to
//! this machine itself.

mod expiry;
mod lanes;
mod login;
mod road;

use std::net::IpAddr;
use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use windlass_manifest::plain::{self, Broken};

/// What the fuzz targets ask of credentials.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::expiry::{of_pem as end_of_certificate, of_token as end_of_token};

    /// What a kubeconfig says of its credentials.
    pub(crate) fn said(text: &str) {
        let source = super::Source::Yaml { text: text.to_owned(), context: None };
        let _ = super::credentials(&source);
        let _ = super::needs_plugin(&source);
    }

    /// What several kubeconfigs are together: the names of their contexts, and the one that is chosen.
    pub(crate) fn merged(texts: &[&str]) -> Option<(Vec<String>, Option<String>)> {
        let read = |text: &&str| Some((String::new(), super::Kubeconfig::from_yaml(text).ok()?));
        let all: Vec<_> = texts.iter().map(read).collect::<Option<_>>()?;
        let (merged, place) = super::merge(all).ok()?;
        let chosen = super::choose(&merged, &place, None).ok();
        Some((merged.contexts.into_iter().map(|context| context.name).collect(), chosen))
    }
}

pub use expiry::{Credentials, credentials};

use crate::limits;

/// Where a cluster's address and credentials come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Kubeconfig files, merged as kubectl merges them; empty is `~/.kube/config`.
    Files {
        /// The files, the first wins.
        paths: Vec<PathBuf>,
        /// The context; `None` is the current one.
        context: Option<String>,
    },
    /// A kubeconfig's text.
    Yaml {
        /// The text.
        text: String,
        /// The context; `None` is the current one.
        context: Option<String>,
    },
}

impl Source {
    /// The same, with the context named: whoever changes the current one meanwhile does not mean this connection.
    fn at(&self, name: &str) -> Source {
        let context = Some(name.to_owned());
        match self {
            Source::Files { paths, .. } => Source::Files { paths: paths.clone(), context },
            Source::Yaml { text, .. } => Source::Yaml { text: text.clone(), context },
        }
    }
}

/// A client that knows where it leads. A [`JobManager`](crate::JobManager) of it reads the kubeconfig again when the
/// credentials have run out.
#[derive(Clone)]
#[non_exhaustive]
pub struct Connection {
    /// The client. Its requests share an HTTP/2 connection where the server has that, unless they upgrade.
    pub client: Client,
    /// The context's namespace, or `default`.
    pub namespace: String,
    /// The context's name, for messages.
    pub context: String,
    /// The server's address, a URL.
    pub server: String,
    pub(crate) source: Source,
    pub(crate) login: String,
}

/// Why there is no client. Nothing was sent yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A kubeconfig cannot be read.
    #[error("cannot read the kubeconfig {place}: {message}")]
    Kubeconfig {
        /// Which.
        place: String,
        /// Why.
        message: String,
    },
    /// The context is not in it.
    #[error("the kubeconfig {place} has no context {context:?}; it has: {}", .known.join(", "))]
    NoContext {
        /// Which kubeconfig.
        place: String,
        /// What was asked for.
        context: String,
        /// What is there.
        known: Vec<String>,
    },
    /// The credentials or certificates cannot be used.
    #[error("the context {context:?} cannot be used: {message}")]
    Credentials {
        /// Which.
        context: String,
        /// Why.
        message: String,
    },
    /// The context was changed while it was in use, and names another server now.
    #[error("the context {context:?} leads to {now} now and led to {before} before: it is another cluster")]
    Moved {
        /// Which.
        context: String,
        /// The server's address before.
        before: String,
        /// The server's address now.
        now: String,
    },
}

/// Makes a client. Its connections are refused or made within 5 seconds; nothing is sent yet. An exec plugin that
/// the kubeconfig names is run.
///
/// Addresses of this machine are never reached through a proxy.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(source: &Source) -> Result<Connection, ConnectError> {
    let (kubeconfig, place, wanted) = read(source)?;
    let context = choose(&kubeconfig, &place, wanted)?;
    let credentials = |error: &(dyn std::error::Error + 'static)| ConnectError::Credentials {
        context: context.clone(),
        message: innermost(error),
    };
    let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| credentials(&error))?;
    config.connect_timeout = Some(limits::CONNECT);
    if config.cluster_url.host().is_some_and(is_loopback) {
        config.proxy_url = None;
    }
    let (namespace, server) = (config.default_namespace.clone(), config.cluster_url.to_string());
    let login = login::words(&config.auth_info, &place);
    let client = client(config).await.map_err(|error| credentials(&error))?;
    let source = source.at(&context);
    Ok(Connection { client, namespace, context, server, source, login })
}

/// Whether [`connect`] would run an exec plugin.
///
/// # Errors
/// See [`ConnectError`].
pub fn needs_plugin(source: &Source) -> Result<bool, ConnectError> {
    let (kubeconfig, place, wanted) = read(source)?;
    let context = choose(&kubeconfig, &place, wanted)?;
    let named = kubeconfig.contexts.iter().find(|known| known.name == context);
    let user = named.and_then(|known| known.context.as_ref()?.user.as_deref());
    let auth = kubeconfig.auth_infos.iter().find(|auth| Some(auth.name.as_str()) == user);
    Ok(auth.and_then(|auth| auth.auth_info.as_ref()).is_some_and(|auth| auth.exec.is_some()))
}

/// The client. An exec plugin blocks its thread for as long as it runs: it gets one of its own.
async fn client(config: Config) -> kube::Result<Client> {
    if config.auth_info.exec.is_none() {
        return road::client(config);
    }
    let runtime = tokio::runtime::Handle::current();
    let made = tokio::task::spawn_blocking(move || {
        let _inside = runtime.enter();
        road::client(config)
    });
    made.await.unwrap_or_else(|error| Err(kube::Error::Service(error.into())))
}

/// The kubeconfig, what to call it, and the context that is asked for.
fn read(source: &Source) -> Result<(Kubeconfig, String, Option<&str>), ConnectError> {
    match source {
        Source::Yaml { text, context } => {
            let place = "of the embedded engine";
            let kubeconfig = Kubeconfig::from_yaml(text).map_err(|error| bad(place, &error))?;
            Ok((kubeconfig, place.to_owned(), context.as_deref()))
        }
        Source::Files { paths, context } if paths.is_empty() => {
            let kubeconfig = Kubeconfig::read().map_err(|error| bad("~/.kube/config", &error))?;
            Ok((kubeconfig, "~/.kube/config".to_owned(), context.as_deref()))
        }
        Source::Files { paths, context } => {
            let read = |path: &PathBuf| {
                let place = path.display().to_string();
                let kubeconfig = Kubeconfig::read_from(path).map_err(|error| bad(&place, &error))?;
                Ok((place, kubeconfig))
            };
            let (merged, place) = merge(paths.iter().map(read).collect::<Result<_, _>>()?)?;
            Ok((merged, place, context.as_deref()))
        }
    }
}

/// Several kubeconfigs as one, and what to call it: of what has one name the first counts, as for kubectl.
fn merge(all: Vec<(String, Kubeconfig)>) -> Result<(Kubeconfig, String), ConnectError> {
    let mut merged = Kubeconfig::default();
    let mut places = Vec::new();
    for (place, next) in all {
        merged = merged.merge(next).map_err(|error| bad(&place, &error))?;
        places.push(place);
    }
    Ok((merged, places.join(":")))
}

fn bad(place: &str, error: &(dyn std::error::Error + 'static)) -> ConnectError {
    ConnectError::Kubeconfig { place: place.to_owned(), message: innermost(error) }
}

fn choose(kubeconfig: &Kubeconfig, place: &str, wanted: Option<&str>) -> Result<String, ConnectError> {
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let wanted = wanted.or(kubeconfig.current_context.as_deref()).unwrap_or_default().to_owned();
    if known.contains(&wanted) {
        Ok(wanted)
    } else {
        Err(ConnectError::NoContext { place: place.to_owned(), context: wanted, known })
    }
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    is_name || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The words of the first cause: the outer errors only repeat them.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<KubeconfigError>() {
        // Without the text a line that a tab indents is told by the one before it.
        Some(KubeconfigError::Parse(error)) => {
            let Broken { line, column, cause } = plain::broken("", error);
            format!("line {line}, column {column}: {cause}")
        }
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_context_whose_user_has_exec_needs_a_plugin() {
        let text = "contexts:\n- {name: a, context: {cluster: c, user: u}}\n- {name: b, context: {cluster: c, user: v}}\n\
                    users:\n- name: u\n  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login}}\n\
                    - {name: v, user: {token: t}}\n";
        let source = |name: &str| Source::Yaml { text: text.to_owned(), context: Some(name.to_owned()) };
        assert!(needs_plugin(&source("a")).unwrap());
        assert!(!needs_plugin(&source("b")).unwrap());
    }
}
