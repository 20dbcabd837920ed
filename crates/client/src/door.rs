//! The way to the cluster: a client, and how to make another one when its credentials have run out.
//!
//! A long wait outlives its token. The one place that notices (401) comes here; the kubeconfig is read again, with
//! its token file or exec plugin, once for all who met the same refusal.

use std::sync::{PoisonError, RwLock};

use kube::Client;

use crate::connect::{ConnectError, Connection, Source, connect, is_loopback};

/// What a user without a kubeconfig of ours is told.
const LOGIN: &str = "log in again";

/// The way to one cluster, shared by all managers of it.
pub(crate) struct Door {
    way: RwLock<Way>,
    origin: Option<Origin>,
    /// One renewal at a time: the others wait for it and take what it brought.
    turn: tokio::sync::Mutex<()>,
}

/// A client and where it leads.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) client: Client,
    /// Counts renewals.
    number: u64,
    server: String,
}

/// Where the client came from.
struct Origin {
    source: Source,
    /// How to renew the login, in words.
    login: String,
}

impl Door {
    /// A client from elsewhere, which cannot be made again.
    pub(crate) fn of_client(client: Client) -> Self {
        let way = Way { client, number: 0, server: String::new() };
        Door { way: RwLock::new(way), origin: None, turn: tokio::sync::Mutex::default() }
    }

    /// The client of a connection.
    pub(crate) fn of_connection(connection: &Connection) -> Self {
        let way = Way { client: connection.client.clone(), number: 0, server: connection.server.clone() };
        let origin = Origin { source: connection.source.clone(), login: connection.login.clone() };
        Door { way: RwLock::new(way), origin: Some(origin), turn: tokio::sync::Mutex::default() }
    }

    /// The client of now.
    pub(crate) fn way(&self) -> Way {
        self.way.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How to renew the login, in words.
    pub(crate) fn login(&self) -> &str {
        self.origin.as_ref().map_or(LOGIN, |origin| &origin.login)
    }

    /// A newer way than this one, if there is one: the kubeconfig is read again. `is_refused` says that the
    /// credentials were refused; otherwise only a server that has moved is worth another try.
    ///
    /// A context that leads to another server now is another cluster, unless both are this machine's engine, which
    /// takes a free port.
    pub(crate) async fn renew(&self, old: &Way, is_refused: bool) -> Result<Option<Way>, ConnectError> {
        let Some(origin) = &self.origin else { return Ok(None) };
        let _turn = self.turn.lock().await;
        let now = self.way();
        if now.number != old.number {
            return Ok(Some(now));
        }
        let connection = connect(&origin.source).await?;
        let has_moved = connection.server != old.server;
        if has_moved && !(old.is_loopback() && is_loopback_address(&connection.server)) {
            let (context, server) = (connection.context, connection.server);
            return Err(ConnectError::Moved { context, before: old.server.clone(), now: server });
        }
        if !has_moved && !is_refused {
            return Ok(None);
        }
        let way = Way { client: connection.client, number: old.number + 1, server: connection.server };
        *self.way.write().unwrap_or_else(PoisonError::into_inner) = way.clone();
        Ok(Some(way))
    }
}

impl Way {
    /// Whether it leads to this machine itself.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback_address(&self.server)
    }
}

fn is_loopback_address(server: &str) -> bool {
    server.parse::<http::Uri>().is_ok_and(|address| address.host().is_some_and(is_loopback))
}
