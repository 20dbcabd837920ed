//! Keeps the logs within bounds, one at a time and slowly, beside the tick, which never waits for it: removes those of
//! pods and attempts that are gone, and sheds the oldest ended ones when all together take too much.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use windlass_runner::log;
use windlass_runner::runtime::Key as RunKey;

use crate::home::Home;
use crate::remove;
use crate::world;

/// Errands that may wait. Of those that do not fit, logs of pods that have gone and directories are found by the next
/// engine; the logs of old attempts go with their pod.
const WAITING: usize = 100_000;
/// Errands that are done together: each folder is read once for all of them.
const TOGETHER: usize = 1000;
/// After so many removals there is a rest: a file system that has just removed thousands of files is slow to make new
/// ones for minutes.
const AT_ONCE: usize = 64;
const REST: Duration = Duration::from_millis(20);
/// A log that takes no more gives nothing back when it is shed: a block of the file system.
const BLOCK: u64 = 4 << 10;
/// Directories that could not be removed and are tried again: a process that was killed may write its last.
const STUBBORN: usize = 1000;
/// When they are tried again, and how often.
const AGAIN: Duration = Duration::from_secs(5);
const TRIES: u32 = 5;

enum Errand {
    /// The pod left the store.
    Pod(String),
    /// A later attempt makes this one's log the last but one.
    Attempt(RunKey),
    /// What is there is to be counted, but for these pods.
    Survey(HashSet<String>),
    /// A log of this pod, of so many bytes, is complete.
    Complete(Arc<str>, u64),
    /// A directory with volumes of a pod that has ended.
    Directory(PathBuf),
}

pub(crate) struct Sweeper {
    home: Home,
    queue: Sender<Errand>,
    /// How many errands wait: a queue that had room for all of them from the start would take seven megabytes.
    waiting: Arc<AtomicUsize>,
}

/// The errands that wait, as the thread takes them.
struct Errands {
    queue: Receiver<Errand>,
    waiting: Arc<AtomicUsize>,
}

impl Errands {
    fn taken(&self, errand: Errand) -> Errand {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        errand
    }

    /// The next one; none when nobody sends any more.
    fn next(&self) -> Option<Errand> {
        self.queue.recv().ok().map(|errand| self.taken(errand))
    }

    fn next_in(&self, time: Duration) -> Result<Errand, RecvTimeoutError> {
        self.queue.recv_timeout(time).map(|errand| self.taken(errand))
    }

    /// One that is there.
    fn ready(&self) -> Option<Errand> {
        self.queue.try_recv().ok().map(|errand| self.taken(errand))
    }
}

impl Sweeper {
    /// Begins the thread. The complete logs take no more than `total` bytes together, before they are packed.
    pub(crate) fn start(home: Home, total: u64) -> Sweeper {
        let (queue, errands) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let errands = Errands { queue: errands, waiting: Arc::clone(&waiting) };
        let logs = home.clone();
        let work = move || Work::new(logs, total).run(&errands);
        if let Err(cause) = std::thread::Builder::new().name("sweeper".to_owned()).spawn(work) {
            tracing::error!(%cause, "no thread to remove old logs; the next engine will");
        }
        Sweeper { home, queue, waiting }
    }

    /// The pod left the store.
    pub(crate) fn remove(&self, uid: &str) {
        self.send(Errand::Pod(uid.to_owned()));
    }

    /// An attempt is so old that its log is no longer asked for.
    pub(crate) fn remove_attempt(&self, run: RunKey) {
        self.send(Errand::Attempt(run));
    }

    /// The volumes of a pod are not needed any more.
    pub(crate) fn remove_directory(&self, folder: PathBuf) {
        self.send(Errand::Directory(folder));
    }

    /// A run of the pod has ended, and this is what its log takes.
    pub(crate) fn complete(&self, uid: &str, bytes: u64) {
        if bytes > BLOCK {
            self.send(Errand::Complete(uid.into(), bytes));
        }
    }

    fn send(&self, errand: Errand) {
        let is_full = self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING;
        if is_full || self.queue.send(errand).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            tracing::debug!("too many logs to remove; the next engine will");
        }
    }

    /// Looks at all logs: has those removed of pods that left while no engine ran, and learns what the others take.
    /// Those of the pods in `writing` may still grow: their ends are told.
    pub(crate) fn sweep(&self, is_there: impl Fn(&str) -> bool, writing: HashSet<String>) {
        let mut gone = BTreeSet::new();
        for folder in entries(&self.home.logs()) {
            for file in entries(&folder) {
                if let Some(uid) = Home::pod_of_log(&file)
                    && !is_there(uid)
                {
                    gone.insert(uid.to_owned());
                }
            }
        }
        gone.into_iter().for_each(|uid| self.send(Errand::Pod(uid)));
        self.send(Errand::Survey(writing));
    }
}

/// The thread's state.
struct Work {
    home: Home,
    total: u64,
    /// The pods with complete logs by when the last of them ended, and by uid; and what the logs take together.
    order: BTreeMap<u64, Arc<str>>,
    complete: HashMap<Arc<str>, (u64, u64)>,
    turn: u64,
    bytes: u64,
    removed: usize,
    /// Directories that could not be removed, and how often that was tried.
    stubborn: Vec<(PathBuf, u32)>,
}

impl Work {
    fn new(home: Home, total: u64) -> Work {
        Work {
            home,
            total,
            order: BTreeMap::new(),
            complete: HashMap::new(),
            turn: 0,
            bytes: 0,
            removed: 0,
            stubborn: Vec::new(),
        }
    }

    fn run(mut self, errands: &Errands) {
        while let Some(first) = self.next(errands) {
            let mut pods: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
            let more = std::iter::from_fn(|| errands.ready());
            for errand in std::iter::once(first).chain(more).take(TOGETHER) {
                match errand {
                    Errand::Pod(uid) => {
                        self.drop_out(&uid);
                        pods.entry(self.home.pod_logs(&uid)).or_default().insert(uid);
                    }
                    Errand::Attempt(run) => self.remove(&self.base(&run)),
                    Errand::Survey(writing) => self.survey(&writing),
                    Errand::Complete(uid, bytes) => self.add(uid, bytes),
                    Errand::Directory(folder) => self.try_directory(&folder, 1),
                }
            }
            for (folder, uids) in pods {
                let of_them = |file: &PathBuf| Home::pod_of_log(file).is_some_and(|uid| uids.contains(uid));
                for file in entries(&folder).filter(of_them) {
                    self.unlink(&file);
                }
            }
            self.shed();
        }
    }

    /// The next errand; none when nobody sends any more. What could not be removed is tried again when nothing else is
    /// to be done.
    fn next(&mut self, errands: &Errands) -> Option<Errand> {
        while !self.stubborn.is_empty() {
            match errands.next_in(AGAIN) {
                Ok(errand) => return Some(errand),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.try_again(),
            }
        }
        errands.next()
    }

    fn try_again(&mut self) {
        for (folder, tries) in std::mem::take(&mut self.stubborn) {
            self.try_directory(&folder, tries + 1);
        }
    }

    /// Counts the complete logs that are there from before, the oldest first.
    fn survey(&mut self, writing: &HashSet<String>) {
        let mut found = Vec::new();
        for file in entries(&self.home.logs()).flat_map(|folder| entries(&folder)) {
            let Some(uid) = Home::pod_of_log(&file).filter(|uid| !writing.contains(*uid)) else { continue };
            let Ok(meta) = file.metadata() else { continue };
            if meta.len() > BLOCK && !self.complete.contains_key(uid) {
                found.push((meta.modified().ok(), Arc::from(uid), meta.len()));
            }
        }
        found.sort();
        for (_, uid, bytes) in found {
            self.add(uid, bytes);
        }
    }

    fn base(&self, run: &RunKey) -> PathBuf {
        self.home.container_log(&run.pod, &run.container, run.attempt)
    }

    fn add(&mut self, uid: Arc<str>, bytes: u64) {
        let before = self.drop_out(&uid);
        self.turn += 1;
        self.order.insert(self.turn, Arc::clone(&uid));
        self.complete.insert(uid, (self.turn, before + bytes));
        self.bytes += before + bytes;
    }

    /// The pod's logs count no more. Answers what they took.
    fn drop_out(&mut self, uid: &str) -> u64 {
        let Some((turn, bytes)) = self.complete.remove(uid) else { return 0 };
        self.order.remove(&turn);
        self.bytes -= bytes;
        bytes
    }

    fn remove(&mut self, base: &Path) {
        for file in log::files(base).unwrap_or_default() {
            self.unlink(&file);
        }
    }

    fn unlink(&mut self, file: &Path) {
        match std::fs::remove_file(file) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %file.display(), %cause, "a log stays behind");
            }
            _ => {}
        }
        self.count();
    }

    fn try_directory(&mut self, folder: &Path, tries: u32) {
        let Err(cause) = remove::directory(folder, || self.count()) else { return };
        if tries < TRIES && self.stubborn.len() < STUBBORN {
            self.stubborn.push((folder.to_owned(), tries));
        } else {
            tracing::warn!(folder = %folder.display(), %cause, "volumes stay behind; the next engine tries again");
        }
    }

    fn count(&mut self) {
        self.removed += 1;
        if self.removed.is_multiple_of(AT_ONCE) {
            world::rest(REST);
        }
    }

    /// The oldest give way until the rest is within the bound. A log whose pod is gone is no loss.
    fn shed(&mut self) {
        while self.bytes > self.total
            && let Some((_, uid)) = self.order.pop_first()
        {
            self.drop_out(&uid);
            let of_it = |file: &PathBuf| Home::pod_of_log(file) == Some(&*uid);
            let bases: BTreeSet<PathBuf> =
                entries(&self.home.pod_logs(&uid)).filter(of_it).map(|file| log::base(&file)).collect();
            for base in bases {
                if let Err(cause) = log::shed(&base) {
                    tracing::warn!(log = %base.display(), %cause, "an old log cannot be shed");
                }
            }
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests;
