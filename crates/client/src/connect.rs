//! From a kubeconfig to a client: fast to fail, and never through a proxy to this machine itself.

use std::path::PathBuf;

use kube::Client;

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
/// # Errors
/// See [`ConnectError`].
pub async fn connect(source: &Source) -> Result<Connection, ConnectError> {
    todo!("{source:?}")
}
