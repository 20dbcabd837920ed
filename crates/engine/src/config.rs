//! How an engine is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_apiserver::world::World;

use crate::home::Home;
use crate::world::System;

/// What becomes of pods that name an image and not the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Images {
    /// They wait, with the reason.
    #[default]
    Refuse,
    /// Their commands run on the host, with a warning event: for tests and development.
    Host,
}

/// Where the objects are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StoreKind {
    /// On disk, in the home: an acknowledged write survives the machine.
    #[default]
    Durable,
    /// In memory: for tests.
    Memory,
}

/// How much of what containers write is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLimits {
    /// Of one attempt of a container, times included and before it is packed, bytes. Past it the oldest output goes.
    pub attempt_bytes: u64,
    /// Of all containers that have ended together, bytes. Past it the logs that ended first go.
    pub total_bytes: u64,
}

impl Default for LogLimits {
    /// 64 MiB of an attempt, 4 GiB of all.
    fn default() -> LogLimits {
        LogLimits { attempt_bytes: windlass_runner::runtime::LOG_LIMIT, total_bytes: 4 << 30 }
    }
}

/// How an engine is started.
#[derive(Clone)]
pub struct Config {
    /// Where its state is.
    pub home: Home,
    /// Where it listens: a loopback address. `None`: where it listened last, or any free port.
    pub listen: Option<SocketAddr>,
    /// What becomes of pods that name an image.
    pub images: Images,
    /// Where the objects are kept.
    pub store: StoreKind,
    /// The command that is the shim, up to its own arguments.
    pub shim: Vec<OsString>,
    /// Time and randomness.
    pub world: Arc<dyn World>,
    /// Whether its clock can be set forward by who administers it (`/windlass/clock`): for tests, on homes that nobody
    /// needs afterwards.
    pub movable_clock: bool,
    /// What host processes see of the engine's environment: PATH, HOME, USER, LANG, TMPDIR.
    pub environment: Vec<(String, String)>,
    /// How much of what containers write is kept.
    pub logs: LogLimits,
    /// How many processes and threads a container may have; `None`: as many as the machine has room for.
    pub pids: Option<u64>,
    /// Where `/proc`, `/sys` and `/dev` are that tell of GPUs: `/`, but in tests.
    pub devices: PathBuf,
    /// What whoever starts the engine was told of the devices that are its own ([`crate::allotting`]); of what it was not
    /// told all are.
    pub allotted: BTreeMap<String, String>,
    /// The node's name.
    pub node: String,
    /// After how long without a request, a watch, an unfinished job and a CronJob that is not suspended it is idle; `None`: never.
    pub idle_exit: Option<Duration>,
    /// What its starter wants to find again in the state file. The engine does not read it.
    pub notes: BTreeMap<String, String>,
}

impl Config {
    /// The usual engine of a home: durable, on the last or any free port, refusing images.
    #[must_use]
    pub fn new(home: Home, shim: Vec<OsString>) -> Config {
        Config {
            home,
            listen: None,
            images: Images::Refuse,
            store: StoreKind::Durable,
            shim,
            world: Arc::new(System),
            movable_clock: false,
            environment: Vec::new(),
            logs: LogLimits::default(),
            pids: None,
            devices: PathBuf::from("/"),
            allotted: BTreeMap::new(),
            node: "windlass".to_owned(),
            idle_exit: None,
            notes: BTreeMap::new(),
        }
    }
}
