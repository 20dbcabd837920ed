//! Starting and stopping an engine.

use std::fs::File;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use windlass_apiserver::clock::ClockSource;
use windlass_apiserver::error::ApiError;
use windlass_apiserver::http::{self, Limits, Server};
use windlass_apiserver::registry::{Registry, indexed_tags};
use windlass_apiserver::rights::Accounts;
use windlass_control::schedule;
use windlass_runner::fate::{Fates, WithFates};
use windlass_runner::process::Host;
use windlass_runner::runtime::{Event, Runtime};
use windlass_runner::shim::{ConnectError, OPEN_FILES, ShimRuntime};
use windlass_store::{Bounds, OpenError, Options, Revision, Store};

use crate::attach::Attacher;
use crate::bootstrap::{self, Machine};
use crate::cache::Cache;
use crate::checks::Checks;
use crate::claims::Claims;
use crate::clock::{self, Movable};
use crate::config::{Config, Images, StoreKind};
use crate::descriptors;
use crate::events::Recorder;
use crate::facts::Runs;
use crate::home::{Home, HomeError, Running};
use crate::identity::{Identity, IdentityError};
use crate::idle::Idle;
use crate::logs::{Hub, Logs};
use crate::pace::Pace;
use crate::shifted::Shifted;
use crate::sizes::Sizes;
use crate::sweeper::Sweeper;
use crate::tick::Tick;
use crate::timers::Timers;
use crate::tokens::Tokens;
use crate::volumes::Volumes;
use crate::world::{self, hex, millis, rfc3339};

/// The largest object: a request's body (3 MiB) and what defaults and controllers add to it.
const VALUE_BYTES: usize = 4 << 20;

/// What a stopping engine does with running pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopPods {
    /// They go on; the next engine on this home adopts them.
    Leave,
    /// They are ended and recorded as such before the engine stops.
    End,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The credentials.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address is no loopback address.
    #[error("{0}: the engine listens on loopback only (127.0.0.1 or [::1])")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("{address}: {cause}{}", way_out(.cause))]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Reading and following what the store holds.
    #[error("{0}")]
    Load(String),
    /// The shim.
    #[error(transparent)]
    Shim(#[from] ConnectError),
    /// The objects every engine has.
    #[error("making the engine's own objects: {0}")]
    Bootstrap(#[from] ApiError),
    /// The server.
    #[error("serving: {0}")]
    Serve(std::io::Error),
}

fn way_out(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another program listens there: choose another port, or none for a free one"
        }
        _ => "",
    }
}

/// A running Kubernetes.
pub struct Engine {
    server: Server,
    stop: watch::Sender<Option<StopPods>>,
    ended: watch::Receiver<Option<String>>,
    store: Store,
    home: Home,
    state: Running,
    idle: Idle,
    idle_exit: watch::Sender<Option<Duration>>,
    _lock: File,
}

/// How often, and how far apart, a lock is asked for again that nobody says is theirs.
const LOCK_AGAIN: (u32, Duration) = (500, Duration::from_millis(20));

/// Takes the home's lock. A child that a program with several engines is just starting holds a copy of each of its
/// descriptors until it executes: such a lock is free in a moment.
async fn lock(home: &Home) -> Result<File, HomeError> {
    for _ in 0..LOCK_AGAIN.0 {
        match home.lock() {
            Err(HomeError::Locked { pid: None, .. }) => world::pause(LOCK_AGAIN.1).await,
            taken => return taken,
        }
    }
    home.lock()
}

impl Engine {
    /// Starts an engine; it serves when this returns.
    pub async fn start(config: Config) -> Result<Engine, StartError> {
        config.home.make()?;
        let lock = lock(&config.home).await?;
        // Before the shim, which inherits it; what the shim starts finds what the user had.
        descriptors::raise();
        let mut shim = config.shim.clone();
        let usual = descriptors::before().map(|count| [OPEN_FILES.into(), count.to_string().into()]);
        shim.extend(usual.into_iter().flatten());
        let runtime = ShimRuntime::connect(config.home.shim(), shim).await?;
        let known = runtime.known().to_vec();
        Engine::assemble(config, lock, Arc::new(runtime), known).await
    }

    /// Starts an engine on a runtime of the caller's: a scripted one, in tests.
    pub async fn start_on(config: Config, runtime: Arc<dyn Runtime>) -> Result<Engine, StartError> {
        config.home.make()?;
        let lock = lock(&config.home).await?;
        Engine::assemble(config, lock, runtime, Vec::new()).await
    }

    async fn assemble(
        mut config: Config,
        lock: File,
        runtime: Arc<dyn Runtime>,
        known: Vec<Event>,
    ) -> Result<Engine, StartError> {
        let mut identity = Identity::load_or_make(&config.home, &*config.world)?;
        let store = open(&config).await?;
        // Certificates and the age of what the store remembers go by the machine's clock: a leap ends neither.
        let clock = config.movable_clock.then(|| Arc::new(Movable::of(&config.home, config.world.clone())));
        if let Some(clock) = &clock {
            config.world = clock.clone();
        }
        let (hand, turning) = clock.as_ref().map(clock::hands).unzip();
        let (runtime, known) = in_time_of(clock, runtime, known);
        // After the store: an engine that was killed lets go of its port before that.
        let listener = listen(config.listen, identity.port)?;
        let address = listener.local_addr().map_err(StartError::Serve)?;
        let registry = Registry::new(store.clone(), config.world.clone());
        let accounts = Accounts::new(registry.clone(), &identity.seed(&config.home)?);
        let machine = Machine::read(config.home.root(), &config.devices, &config.allotted);
        bootstrap::ensure(&registry, &config.node, &machine).await?;
        bootstrap::ensure_service(&registry, address).await?;

        let hub = Hub::default();
        let (runtime, fates) = with_fates(runtime, &config);
        let known = known.into_iter().chain(fates.known()).collect();
        let attachable = Arc::downgrade(&runtime);
        let mut tick = tick(
            &config,
            &registry,
            (runtime, fates),
            &hub,
            &machine,
            identity.authority(),
            accounts.clone(),
        );
        tick.host.api = Some(address);
        tick.turning = turning;
        let busy = Arc::clone(&tick.busy);
        let changes = tick.resync().map_err(|cause| StartError::Load(cause.to_string()))?;
        tick.adopt(known);
        busy.store(tick.cache.busy(), Ordering::Release);
        let server = http::start(
            registry,
            http::Config {
                listener,
                tls: identity.tls(&config.home)?,
                admin_token: identity.token.clone(),
                accounts,
                images_on_host: config.images == Images::Host,
                clock: hand.map(|hand| Arc::new(hand) as Arc<dyn ClockSource>),
                attacher: Arc::new(Attacher {
                    home: config.home.clone(),
                    hub: hub.clone(),
                    runtime: attachable,
                }),
                logs: Arc::new(Logs { home: config.home.clone(), hub }),
                git_version: concat!("v1.36.0+windlass-", env!("CARGO_PKG_VERSION")).to_owned(),
                limits: Limits::within(descriptors::raise()),
            },
        )
        .map_err(StartError::Serve)?;

        let (stop, stopping) = watch::channel(None);
        let (tell_ended, ended) = watch::channel(None);
        controllers(move || async move {
            let cause = match tick.run(changes, stopping).await {
                Ok(()) => "it was told to stop".to_owned(),
                Err(cause) => cause.to_string(),
            };
            tell_ended.send_replace(Some(cause));
        })
        .map_err(StartError::Serve)?;
        identity.port = Some(address.port());
        let state = publish(&config, &identity, address)?;
        let (idle_exit, after) = watch::channel(config.idle_exit);
        let idle = Idle { activity: server.activity(), busy, world: config.world, after };
        Ok(Engine { server, stop, ended, store, home: config.home, state, idle, idle_exit, _lock: lock })
    }

    /// A client with all rights, without a network between.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.server.service(), "default")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Resolves when it has been idle for as long as its configuration allows.
    pub fn idle(&self) -> impl Future<Output = ()> + Send + 'static {
        self.idle.clone().elapsed()
    }

    /// Whether at this moment no request is answered, no job or pod is unfinished, and no CronJob will be due.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.idle.is_quiet()
    }

    /// From now on it stays, however idle it is.
    ///
    /// # Errors
    /// The state file cannot be written; it stays all the same.
    pub fn stay(&mut self) -> Result<(), HomeError> {
        self.idle_exit.send_replace(None);
        self.state.idle_exit_s = None;
        self.home.write_state(&self.state)
    }

    /// Stops it; returns when everything is on disk and the lock is free.
    pub async fn stop(self, pods: StopPods) {
        self.halt(pods).await;
        if let Err(cause) = std::fs::remove_file(self.home.state()) {
            tracing::warn!(%cause, "the engine's state file stays behind");
        }
    }

    /// Stops it as one that is not needed now: its state file says how the next one is to be started.
    pub async fn rest(self) {
        self.halt(StopPods::Leave).await;
        if let Err(cause) = self.home.write_state(&Running { resting: true, ..self.state.clone() }) {
            tracing::warn!(%cause, "the engine's state file cannot be written");
        }
    }

    /// Stops it as one that could not go on: its state file stays, as that of one that was killed.
    pub async fn abandon(self) {
        self.halt(StopPods::Leave).await;
    }

    /// The lock of the home goes last, with `self`: whoever has it finds the store free.
    async fn halt(&self, pods: StopPods) {
        self.stop.send_replace(Some(pods));
        self.stopped().await;
        self.server.stop().await;
        self.store.release().await;
    }

    /// Resolves if the engine ends by itself, with the cause.
    pub fn stopped(&self) -> impl Future<Output = String> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(cause) => cause.clone().unwrap_or_default(),
                Err(_) => "its controllers ended".to_owned(),
            }
        }
    }
}

/// Runs the controllers on a thread of their own: requests never wait for them, and its name tells what they cost.
fn controllers<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new().name("controllers".to_owned());
    thread.spawn(move || runtime.block_on(work()))?;
    Ok(())
}

/// How long a killed engine's process may take to let go of its store, in pauses of [`PASSING_PAUSE`].
const PASSING_PAUSES: u32 = 200;
const PASSING_PAUSE: Duration = Duration::from_millis(25);

/// Opens the store. The home is this engine's already: who has the store still is a process that is passing away.
async fn open(config: &Config) -> Result<Store, StartError> {
    for _ in 0..PASSING_PAUSES {
        match try_open(config) {
            Err(OpenError::InUse(_)) => world::pause(PASSING_PAUSE).await,
            opened => return Ok(opened?),
        }
    }
    Ok(try_open(config)?)
}

/// Opens the store once.
pub(crate) fn try_open(config: &Config) -> Result<Store, OpenError> {
    let world = config.world.clone();
    let now = world.now();
    let options = Options {
        bounds: Bounds { value_bytes: VALUE_BYTES, ..Bounds::default() },
        // Microseconds since the epoch: no earlier store in this place can have come so far.
        first_revision: Revision(u64::try_from(now.as_microsecond()).unwrap_or(1)),
        new_id: hex(&*world, 8),
        indexed: indexed_tags(),
        now_ms: Arc::new(move || millis(world.now())),
    };
    match config.store {
        StoreKind::Durable => Store::open(&config.home.store(), options),
        StoreKind::Memory => Ok(Store::memory(options)),
    }
}

fn listen(asked: Option<SocketAddr>, last: Option<u16>) -> Result<TcpListener, StartError> {
    if let Some(address) = asked {
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        return TcpListener::bind(address).map_err(|cause| StartError::Listen { address, cause });
    }
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    if let Some(listener) = last.and_then(|port| TcpListener::bind(at(port)).ok()) {
        return Ok(listener);
    }
    TcpListener::bind(at(0)).map_err(|cause| StartError::Listen { address: at(0), cause })
}

/// A runtime and what it knows, told by the clock, if it is not the machine's.
fn in_time_of(
    clock: Option<Arc<Movable>>,
    runtime: Arc<dyn Runtime>,
    known: Vec<Event>,
) -> (Arc<dyn Runtime>, Vec<Event>) {
    let Some(clock) = clock else { return (runtime, known) };
    let shifted = Shifted::new(runtime, clock);
    let known = shifted.shifted(known);
    (Arc::new(shifted), known)
}

/// A runtime that also plays what has a fate, by the engine's clock.
pub(crate) fn with_fates(runtime: Arc<dyn Runtime>, config: &Config) -> (Arc<dyn Runtime>, Arc<Fates>) {
    let world = config.world.clone();
    let fates = Arc::new(Fates::open(config.home.fates(), move || world.now()));
    (Arc::new(WithFates::new(runtime, Arc::clone(&fates))), fates)
}

/// The controllers of an engine, which know nothing yet.
pub(crate) fn tick(
    config: &Config,
    registry: &Registry,
    (runtime, fates): (Arc<dyn Runtime>, Arc<Fates>),
    hub: &Hub,
    machine: &Machine,
    authority: String,
    accounts: Accounts,
) -> Tick {
    let checks = Checks::new(Arc::downgrade(&runtime));
    Tick {
        registry: registry.clone(),
        runtime,
        fates,
        world: config.world.clone(),
        turning: None,
        home: config.home.clone(),
        log_limit: config.logs.attempt_bytes,
        hub: hub.clone(),
        sweeper: Sweeper::start(config.home.clone(), config.logs.total_bytes),
        node: schedule::Node {
            name: config.node.clone(),
            labels: bootstrap::labels(&config.node),
            unschedulable: false,
            taints: Vec::new(),
            images: match config.images {
                Images::Refuse => schedule::Images::Wait,
                Images::Host => schedule::Images::Host,
            },
        },
        room: schedule::Room::default(),
        newcomers: Vec::new(),
        neighbours: Default::default(),
        gpus: machine.gpus.clone(),
        confined: machine.confined.clone(),
        bereft: Default::default(),
        leaving: Default::default(),
        authority,
        host: Host {
            env: config
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect(),
            allocatable: machine.allocatable(),
            pids: config.pids,
            uid: nix::unistd::getuid().as_raw(),
            gid: nix::unistd::getgid().as_raw(),
            groups: nix::unistd::getgroups()
                .unwrap_or_default()
                .into_iter()
                .map(nix::unistd::Gid::as_raw)
                .collect(),
            api: None,
        },
        volumes: Volumes::new(config.home.clone(), config.shim.clone()),
        tokens: Tokens::new(accounts),
        living: crate::living::Living::default(),
        sizes: Sizes::default(),
        claims: Claims::default(),
        checks,
        cache: Cache::new(),
        runs: Runs::default(),
        strays: Default::default(),
        recorder: Recorder::new(&*config.world),
        timers: Timers::default(),
        foreign: 0,
        pace: Pace::new(world::instant()),
        alike: Default::default(),
        patterns: Default::default(),
        pasts: Default::default(),
        quotas: Default::default(),
        turns: Vec::new(),
        refusals: Default::default(),
        dirty: Default::default(),
        woken: Vec::new(),
        garbage: Default::default(),
        blocked: Default::default(),
        careful: 0,
        full: false,
        busy: Arc::default(),
        drain_since: None,
        drain_until: None,
    }
}

/// Tells clients where the engine is: the kubeconfig, and the state file that says it is ready.
fn publish(config: &Config, identity: &Identity, address: SocketAddr) -> Result<Running, HomeError> {
    let home = &config.home;
    identity.save(home)?;
    home.write_private(&home.kubeconfig(), identity.kubeconfig(address).as_bytes())?;
    let state = Running {
        pid: std::process::id().cast_signed(),
        address,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        images: config.images,
        started: rfc3339(config.world.now()),
        idle_exit_s: config.idle_exit.map(|after| after.as_secs()),
        resting: false,
        notes: config.notes.clone(),
    };
    home.write_state(&state)?;
    Ok(state)
}
