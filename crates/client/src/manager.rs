//! The handle: a client, a namespace, and what its messages call the cluster.

use std::sync::Arc;

use kube::Client;

use crate::connect::Connection;
use crate::world::World;

/// Everything that can be done with jobs in one namespace of one cluster. Cheap to clone.
///
/// Dropping a future or a stream of it stops the watching, never the job.
#[derive(Clone)]
pub struct JobManager {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) context: String,
    pub(crate) world: Arc<dyn World>,
}

impl JobManager {
    /// A manager over any client.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        JobManager {
            client,
            namespace: namespace.into(),
            context: "the cluster".to_owned(),
            world: Arc::new(crate::world::Real),
        }
    }

    /// A manager of a connection, in the connection's namespace; its errors name the context.
    pub fn of(connection: &Connection) -> Self {
        JobManager::new(connection.client.clone(), connection.namespace.clone()).named(&connection.context)
    }

    /// The same, in another namespace.
    pub fn in_namespace(&self, namespace: impl Into<String>) -> Self {
        JobManager { namespace: namespace.into(), ..self.clone() }
    }

    /// The same, with the words by which errors name the cluster.
    pub fn named(&self, context: impl Into<String>) -> Self {
        JobManager { context: context.into(), ..self.clone() }
    }

    /// The same, with another clock, sleep and source of randomness.
    pub fn in_world(&self, world: Arc<dyn World>) -> Self {
        JobManager { world, ..self.clone() }
    }

    /// The namespace in which it acts.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The client that it uses.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
