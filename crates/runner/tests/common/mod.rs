//! What the tests with real processes share.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_core::Stream;
use windlass_runner::log::ReadOptions;
use windlass_runner::runtime::{self, Ended, Event, Key, LOG_LIMIT, Runtime, Start};
use windlass_runner::shim::ShimRuntime;
use windlass_runner::testing::shim_argv;

/// What a test waits for takes far less; a machine under load may take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A shim of its own in a directory of its own; both go with it.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn shim(&self) -> PathBuf {
        self.folder.path().join("shim")
    }

    /// A name of its own: a shim that comes after a killed one ends whatever has the mark of one of its runs, wherever on
    /// the machine it is.
    pub(crate) fn pod(&self) -> String {
        self.folder.path().file_name().unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) async fn connect(&self) -> ShimRuntime {
        ShimRuntime::connect(self.shim(), shim_argv()).await.unwrap()
    }

    pub(crate) fn start(&self, container: &str, argv: &[&str]) -> Start {
        let key = Key { pod: self.pod(), container: container.to_owned(), attempt: 0 };
        let env = vec![("PATH".to_owned(), "/usr/bin:/bin".into())];
        let log = self.log(container);
        Start {
            key,
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            env,
            cwd: None,
            space: None,
            log,
            log_limit: LOG_LIMIT,
            stdio: runtime::Stdio::default(),
            rights: None,
            fate: None,
            limits: None,
        }
    }

    pub(crate) fn sh(&self, container: &str, script: &str) -> Start {
        self.start(container, &["sh", "-c", script])
    }

    pub(crate) fn log(&self, container: &str) -> PathBuf {
        self.folder.path().join("logs").join(container).join("0.log")
    }

    /// A file that can be executed. Another process writes it: what this one has open for writing is, for a moment,
    /// also open in whatever another test starts meanwhile, and cannot be executed as long (`Text file busy`).
    pub(crate) fn executable(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        executable(&path, content);
        path
    }

    /// A fifo, for a script to wait at or to speak through.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    }
}

/// Has another process write a file that can be executed.
pub(crate) fn executable(path: &Path, content: &[u8]) {
    let mut install = Command::new("install");
    let install = install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = install.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), content).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Collects events until each of `count` runs is over.
pub(crate) async fn ends(runtime: &impl Runtime, count: usize) -> BTreeMap<String, Event> {
    let mut over = BTreeMap::new();
    let collect = async {
        while over.len() < count {
            for event in runtime.events().await.unwrap() {
                if !matches!(event, Event::Started { .. }) {
                    let before = over.insert(event.key().container.clone(), event);
                    assert_eq!(before, None, "a run ended twice");
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, collect).await.expect("the runs end in time");
    over
}

/// Waits until `count` runs have started.
pub(crate) async fn starts(runtime: &impl Runtime, count: usize) {
    let mut started = 0;
    let collect = async {
        while started < count {
            let events = runtime.events().await.unwrap();
            started += events.iter().filter(|event| matches!(event, Event::Started { .. })).count();
        }
    };
    tokio::time::timeout(PATIENCE, collect).await.expect("the runs start in time");
}

/// Waits for the first event of a kind.
pub(crate) async fn next(runtime: &impl Runtime, wanted: impl Fn(&Event) -> bool) -> Event {
    let find = async {
        loop {
            if let Some(event) = runtime.events().await.unwrap().into_iter().find(&wanted) {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, find).await.expect("the event comes in time")
}

/// Reads a fifo to its end, on a thread that a failing test does not wait for.
pub(crate) async fn read_fifo(path: &Path) -> String {
    let (path, (tell, told)) = (path.to_owned(), tokio::sync::oneshot::channel());
    std::thread::spawn(move || tell.send(std::fs::read_to_string(path).unwrap()));
    tokio::time::timeout(PATIENCE, told).await.expect("the fifo ends in time").unwrap()
}

/// Writes a line to a fifo, whether somebody reads already or not yet: it must be held open by the reader later.
pub(crate) fn write_fifo(path: &Path) -> std::fs::File {
    let mut fifo = std::fs::File::options().read(true).write(true).open(path).unwrap();
    std::io::Write::write_all(&mut fifo, b"go\n").unwrap();
    fifo
}

/// The entries of a log: stream, tag, content.
pub(crate) fn entries(log: &Path) -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .map(|line| {
            let mut parts = line.splitn(4, ' ').skip(1).map(str::to_owned);
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
        })
        .collect()
}

/// The whole log of a run that is over, as the program wrote it.
pub(crate) async fn whole(log: &Path, options: ReadOptions) -> Vec<u8> {
    let (_ended, ended) = tokio::sync::watch::channel(true);
    let mut stream = windlass_runner::log::read(log.to_owned(), options, ended);
    let mut all = Vec::new();
    while let Some(chunk) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut stream).poll_next(context)).await
    {
        all.extend_from_slice(&chunk.unwrap());
    }
    all
}

/// How a run ended that did.
pub(crate) fn ended(event: &Event) -> Ended {
    match event {
        Event::Exited { ended, .. } => *ended,
        other => panic!("it did not exit: {other:?}"),
    }
}

/// Whether a process runs.
pub(crate) fn is_alive(pid: i32) -> bool {
    // A zombie whose new parent has not reaped it yet is as dead as can be.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
