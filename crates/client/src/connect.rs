//! From a kubeconfig to a client: fast to fail, and never through a proxy to this machine itself.

use std::net::IpAddr;
use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

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

/// A client that knows where it leads.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The context's namespace, or `default`.
    pub namespace: String,
    /// The context's name, for messages.
    pub context: String,
    /// The server's address.
    pub server: String,
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
}

/// Makes a client. Its connections are refused or made within seconds; nothing is sent yet.
///
/// Addresses of this machine are never reached through a proxy.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(source: &Source) -> Result<Connection, ConnectError> {
    let (kubeconfig, place, wanted) = read(source)?;
    let context = choose(&kubeconfig, &place, wanted)?;
    let credentials = |error: &dyn std::error::Error| ConnectError::Credentials {
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
    let client = Client::try_from(config).map_err(|error| credentials(&error))?;
    Ok(Connection { client, namespace, context, server })
}

/// The kubeconfig, what to call it, and the context that is asked for.
fn read(source: &Source) -> Result<(Kubeconfig, String, Option<&str>), ConnectError> {
    let bad = |place: &str, error: &dyn std::error::Error| ConnectError::Kubeconfig {
        place: place.to_owned(),
        message: innermost(error),
    };
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
            let mut merged = Kubeconfig::default();
            for path in paths {
                let place = path.display().to_string();
                let next = Kubeconfig::read_from(path).map_err(|error| bad(&place, &error))?;
                merged = merged.merge(next).map_err(|error| bad(&place, &error))?;
            }
            let place = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":");
            Ok((merged, place, context.as_deref()))
        }
    }
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

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    is_name || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The words of the first cause: the outer errors only repeat them.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
