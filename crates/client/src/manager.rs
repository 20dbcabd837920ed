//! The handle: a client, a namespace, and what its messages call the cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kube::Client;
use tokio::sync::OnceCell;

use crate::Result;
use crate::connect::Connection;
use crate::door::Door;
use crate::transport::Call;
use crate::world::World;

/// Everything that can be done with jobs in one namespace of one cluster. Cheap to clone.
///
/// Dropping a future or a stream of it stops the watching, never the job.
#[derive(Clone)]
pub struct JobManager {
    pub(crate) door: Arc<Door>,
    pub(crate) namespace: String,
    pub(crate) context: String,
    pub(crate) world: Arc<dyn World>,
    pub(crate) memo: Arc<Memo>,
    pub(crate) stuck_after: Duration,
}

/// What a caller knows of a cluster without asking it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The server's version, as major and minor.
    pub version: Option<(u32, u32)>,
    /// It serves the runtime class `windlass-host`.
    pub has_host_class: bool,
    /// It is there: a refused connection is one that starts again, and worth some patience.
    pub has_answered: bool,
}

/// What has been learnt of the cluster and will not change while somebody waits.
#[derive(Default)]
pub(crate) struct Memo {
    /// The server's version.
    pub(crate) version: OnceCell<(u32, u32)>,
    answered: AtomicBool,
    refuses_streams: AtomicBool,
    has_host_class: AtomicBool,
    /// How often a server said that it has too much to do.
    busy: AtomicU64,
}

impl Memo {
    pub(crate) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    pub(crate) fn was_busy(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refuses_streams(&self) -> bool {
        self.refuses_streams.load(Ordering::Relaxed)
    }

    pub(crate) fn set_refuses_streams(&self) {
        self.refuses_streams.store(true, Ordering::Relaxed);
    }

    /// Whether the cluster has ever answered: what is refused then is a cluster that starts again.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_host_class(&self) -> bool {
        self.has_host_class.load(Ordering::Relaxed)
    }

    pub(crate) fn set_has_host_class(&self) {
        self.has_host_class.store(true, Ordering::Relaxed);
    }
}

impl JobManager {
    /// A manager over any client. Its credentials are its own affair: a refusal of them is final.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        JobManager::through(Door::of_client(client), namespace.into())
    }

    fn through(door: Door, namespace: String) -> Self {
        JobManager {
            door: Arc::new(door),
            namespace,
            context: "the cluster".to_owned(),
            world: Arc::new(crate::world::Real),
            memo: Arc::default(),
            stuck_after: crate::limits::STUCK,
        }
    }

    /// A manager of a connection, in the connection's namespace; its errors name the context. When the credentials
    /// are refused, the kubeconfig is read again (its token file, its exec plugin) and the request sent once more.
    pub fn of(connection: &Connection) -> Self {
        JobManager::through(Door::of_connection(connection), connection.namespace.clone())
            .named(&connection.context)
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

    /// The same, with how long what never resolves itself is waited for until [`crate::FollowEvent::Stuck`] says so
    /// (30 s unless set).
    pub fn giving_up_after(&self, patience: Duration) -> Self {
        JobManager { stuck_after: patience, ..self.clone() }
    }

    /// The same, with what the caller knows of the cluster: what need not be asked costs no time. A wrong version
    /// or a host class that is not there makes jobs and logs fail later instead of at once.
    pub fn knowing(&self, known: Known) -> Self {
        let memo = Memo::default();
        if let Some(version) = known.version {
            memo.version.set(version).ok();
        }
        memo.answered.store(known.has_answered, Ordering::Relaxed);
        memo.has_host_class.store(known.has_host_class, Ordering::Relaxed);
        JobManager { memo: Arc::new(memo), ..self.clone() }
    }

    /// The server's version, as major and minor; 0 for what it does not say. Asked once.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn version(&self) -> Result<(u32, u32)> {
        let asked = self.memo.version.get_or_try_init(|| async {
            let version: serde_json::Value = self.ask(Call::get("/version")).await?.value;
            let number = |field: &str| -> u32 {
                let text = version[field].as_str().unwrap_or_default();
                text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
            };
            Ok((number("major"), number("minor")))
        });
        asked.await.copied().map_err(|fault| self.error("", fault))
    }

    /// The namespace in which it acts.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The client that it uses now: another one after its credentials were renewed.
    pub fn client(&self) -> Client {
        self.door.way().client
    }
}
