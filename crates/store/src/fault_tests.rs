//! What happens when the disk fails, is slow, or forgets under a reader: told with a backend that obeys the test.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::backend::{Backend, Batch, Memory};
use crate::errors::*;
use crate::state::State;
use crate::sync::lock;
use crate::tags::Tags;
use crate::types::*;
use crate::{Store, sync};

/// A gate at which the store's threads announce themselves and wait for the test.
struct Gate {
    arrived: UnboundedSender<u64>,
    pass: Mutex<mpsc::Receiver<()>>,
}

/// The test's side of a gate.
struct Keeper {
    arrived: UnboundedReceiver<u64>,
    pass: mpsc::Sender<()>,
}

fn gate() -> (Gate, Keeper) {
    let (arrived_in, arrived) = unbounded_channel();
    let (pass, pass_out) = mpsc::channel();
    (Gate { arrived: arrived_in, pass: Mutex::new(pass_out) }, Keeper { arrived, pass })
}

impl Gate {
    fn enter(&self, what: u64) {
        // The keeper gone means that everyone may pass.
        let _ = self.arrived.send(what);
        let _ = lock(&self.pass).recv();
    }
}

/// Memory behind gates, failing on demand.
#[derive(Default)]
struct Obedient {
    memory: Memory,
    writes: Option<Gate>,
    values: Option<Gate>,
    fails: Arc<AtomicBool>,
}

impl Backend for Obedient {
    fn write(&self, batch: &Batch<'_>) -> io::Result<()> {
        if let Some(gate) = &self.writes {
            gate.enter(batch.staged.len() as u64);
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.write(batch)
    }

    fn value(&self, revision: Revision) -> io::Result<Option<Value>> {
        if let Some(gate) = &self.values {
            gate.enter(revision.0);
        }
        self.memory.value(revision)
    }
}

fn store(backend: impl Backend + 'static, bounds: Bounds) -> Store {
    let options = Options {
        bounds,
        now_ms: Arc::new(|| 1),
        first_revision: Revision(0),
        new_id: "a-store".into(),
        indexed: Vec::new(),
    };
    Store::start("a-store".into(), State::default(), Box::new(backend), options)
}

fn put(key: &str, value: &str) -> Write {
    let value = Template { bytes: value.into(), revision_at: None };
    Write { key: key.into(), expect: Expect::Any, op: Op::Put { value, tags: Tags::default() } }
}

fn all() -> ListRequest<'static> {
    ListRequest { prefix: "", after_key: None, limit: None, at: None, tagged: None, filter: None }
}

fn commit(store: &Store, write: Write) -> tokio::task::JoinHandle<Result<Committed, CommitError>> {
    let store = store.clone();
    tokio::spawn(async move { store.commit(vec![write]).await })
}

/// A commit that is in the queue: the writer is held at the gate, so nothing else happens meanwhile.
async fn queue(store: &Store, write: Write) -> tokio::task::JoinHandle<Result<Committed, CommitError>> {
    let task = commit(store, write);
    tokio::task::yield_now().await;
    task
}

#[tokio::test]
async fn nothing_is_shown_before_the_disk_has_it() {
    let (writes, mut keeper) = gate();
    let store = store(Obedient { writes: Some(writes), ..Obedient::default() }, Bounds::default());
    let mut watch = store.watch("", Revision(0), None).unwrap();
    let task = commit(&store, put("a", "1"));
    assert_eq!(keeper.arrived.recv().await, Some(1));
    assert_eq!(store.get("a").unwrap(), None);
    assert_eq!(store.revision(), Revision(0));
    tokio::select! {
        biased;
        _ = watch.next(1) => panic!("a watcher saw it"),
        () = std::future::ready(()) => {}
    }
    keeper.pass.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().revision, Revision(1));
    assert_eq!(watch.next(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_waits_for_the_disk_is_written_together() {
    let (writes, mut keeper) = gate();
    let store = store(Obedient { writes: Some(writes), ..Obedient::default() }, Bounds::default());
    let first = commit(&store, put("a", "1"));
    assert_eq!(keeper.arrived.recv().await, Some(1));
    let mut tasks = vec![first];
    for n in 0..20 {
        tasks.push(queue(&store, put(&format!("k{n}"), "1")).await);
    }
    keeper.pass.send(()).unwrap();
    assert_eq!(keeper.arrived.recv().await, Some(20));
    keeper.pass.send(()).unwrap();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap().revision, Revision(number as u64 + 1));
    }
}

#[tokio::test]
async fn failed_write_rejects_its_whole_group_and_all_that_follow() {
    let (writes, mut keeper) = gate();
    let fails = Arc::new(AtomicBool::new(false));
    let backend = Obedient { writes: Some(writes), fails: fails.clone(), ..Obedient::default() };
    let store = store(backend, Bounds::default());
    let good = commit(&store, put("a", "1"));
    keeper.arrived.recv().await;
    let mut group = Vec::new();
    group.push(queue(&store, put("b", "1")).await);
    group.push(queue(&store, put("a", "2")).await);
    // It conflicts only with a write that will not be: it must not be told so.
    group.push(queue(&store, Write { expect: Expect::Absent, ..put("b", "2") }).await);
    keeper.pass.send(()).unwrap();
    good.await.unwrap().unwrap();
    keeper.arrived.recv().await;
    fails.store(true, Ordering::Relaxed);
    keeper.pass.send(()).unwrap();
    for task in group {
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(&error, CommitError::Io(e) if e.kind() == io::ErrorKind::StorageFull), "{error}");
    }
    fails.store(false, Ordering::Relaxed);
    let error = store.commit(vec![put("c", "1")]).await.unwrap_err();
    assert!(matches!(error, CommitError::Io(_)), "what the disk holds is not known: {error}");
    let page = store.list(&all()).unwrap();
    assert_eq!((page.revision, page.entries.len()), (Revision(1), 1));
    assert_eq!(&**page.entries[0].value.bytes(), b"1");
    assert_eq!(store.watch("", Revision(0), None).unwrap().next(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn queue_takes_its_bound_and_not_more() {
    let (writes, mut keeper) = gate();
    let bounds = Bounds { queue_bytes: 10_000, ..Bounds::default() };
    let store = store(Obedient { writes: Some(writes), ..Obedient::default() }, bounds);
    let value = "v".repeat(4_000);
    let first = commit(&store, put("a", &value));
    keeper.arrived.recv().await;
    let second = queue(&store, put("b", &value)).await;
    let error = store.commit(vec![put("c", &value)]).await.unwrap_err();
    assert!(matches!(error, CommitError::Busy(8_000..10_000)), "{error}");
    drop(keeper);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    store.commit(vec![put("c", &value)]).await.unwrap();
}

#[tokio::test]
async fn close_finishes_what_is_queued() {
    let (writes, mut keeper) = gate();
    let store = store(Obedient { writes: Some(writes), ..Obedient::default() }, Bounds::default());
    let first = commit(&store, put("a", "1"));
    keeper.arrived.recv().await;
    let second = queue(&store, put("b", "1")).await;
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    tokio::task::yield_now().await;
    let error = store.commit(vec![put("c", "1")]).await.unwrap_err();
    assert!(matches!(error, CommitError::Closed), "{error}");
    assert!(!closing.is_finished());
    drop(keeper);
    closing.await.unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn reader_under_way_keeps_what_it_reads() {
    let (values, mut keeper) = gate();
    // Without a cache each value is read at the gate; without a log everything old is forgotten at once.
    let bounds = Bounds { cache_bytes: 0, log_bytes: 0, ..Bounds::default() };
    let store = store(Obedient { values: Some(values), ..Obedient::default() }, bounds);
    store.commit(vec![put("a", "old"), put("b", "old")]).await.unwrap();
    let reader = tokio::task::spawn_blocking({
        let store = store.clone();
        move || store.list(&all())
    });
    assert_eq!(keeper.arrived.recv().await, Some(1));
    for _ in 0..10 {
        store.commit(vec![put("a", "new"), put("b", "new")]).await.unwrap();
    }
    drop(keeper);
    let page = reader.await.unwrap().unwrap();
    assert_eq!(page.revision, Revision(2));
    assert!(page.entries.iter().all(|entry| &**entry.value.bytes() == b"old"), "{page:?}");
    store.commit(vec![put("a", "newer")]).await.unwrap();
    assert!(sync::read(&store.shared.state).floor() > Revision(2), "the pin is gone");
}

#[tokio::test]
async fn missing_value_is_an_error_of_the_read_alone() {
    /// A disk that loses every value.
    struct Lost;
    impl Backend for Lost {
        fn write(&self, _: &Batch<'_>) -> io::Result<()> {
            Ok(())
        }
        fn value(&self, _: Revision) -> io::Result<Option<Value>> {
            Ok(None)
        }
    }
    let bounds = Bounds { cache_bytes: 0, ..Bounds::default() };
    let store = store(Lost, bounds);
    store.commit(vec![put("a", "1")]).await.unwrap();
    let error = store.get("a").unwrap_err();
    assert!(error.to_string().contains("revision 1 is missing"), "{error}");
    let delete = Write { key: "a".into(), expect: Expect::Any, op: Op::Delete };
    let error = store.commit(vec![put("b", "1"), delete]).await.unwrap_err();
    assert!(matches!(error, CommitError::Io(_)), "{error}");
    assert_eq!((store.revision(), store.count("")), (Revision(1), 1));
    store.commit(vec![put("c", "1")]).await.unwrap();
}

/// A disk that is full while the test says so. What it was given when it became full it kept, or not.
struct Full {
    disk: Arc<Mutex<Kept>>,
    full: Arc<AtomicBool>,
    keeps: bool,
}

#[derive(Default)]
struct Kept {
    state: State,
    values: std::collections::BTreeMap<Revision, Value>,
}

impl Backend for Full {
    fn write(&self, batch: &Batch<'_>) -> io::Result<()> {
        let full = self.full.load(Ordering::Relaxed);
        let mut disk = lock(&self.disk);
        for staged in batch.staged.iter().filter(|_| !full || self.keeps) {
            disk.state.apply(staged.change.clone());
            disk.values.extend(staged.value.clone().map(|value| (staged.revision, value)));
        }
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn value(&self, revision: Revision) -> io::Result<Option<Value>> {
        Ok(lock(&self.disk).values.get(&revision).cloned())
    }

    fn is_mendable(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::StorageFull
    }

    fn mend(&mut self) -> io::Result<State> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut state = State::default();
        for (_, change) in lock(&self.disk).state.changes(Revision(0)) {
            state.apply(change.clone());
        }
        Ok(state)
    }
}

#[tokio::test]
async fn store_on_a_full_disk_reads_refuses_and_goes_on_when_there_is_room() {
    for keeps in [false, true] {
        let full = Arc::new(AtomicBool::new(false));
        let store = store(Full { disk: Arc::default(), full: full.clone(), keeps }, Bounds::default());
        store.commit(vec![put("a", "1")]).await.unwrap();
        let mut watch = store.watch("", Revision(0), None).unwrap();
        full.store(true, Ordering::Relaxed);
        for _ in 0..2 {
            let error = store.commit(vec![put("a", "2"), put("b", "2")]).await.unwrap_err();
            assert!(
                matches!(&error, CommitError::Full(e) if e.kind() == io::ErrorKind::StorageFull),
                "{error}"
            );
            assert_eq!((store.revision(), store.list(&all()).unwrap().entries.len()), (Revision(1), 1));
        }
        full.store(false, Ordering::Relaxed);
        let committed = store.commit(vec![put("c", "3")]).await.unwrap();
        let newest = if keeps { 4 } else { 2 };
        assert_eq!(committed.revision, Revision(newest), "no revision is given twice");
        assert_eq!(store.list(&all()).unwrap().entries.len(), if keeps { 3 } else { 2 });
        let mut seen = Vec::new();
        while seen.len() < newest as usize {
            seen.extend(watch.next(9).await.unwrap().into_iter().map(|change| change.revision.0));
        }
        assert_eq!(seen, (1..=newest).collect::<Vec<_>>(), "each once and in order");
    }
}

#[tokio::test]
async fn watcher_that_never_reads_costs_a_cursor_and_is_cut_off() {
    const LOG: u64 = 50_000;
    let bounds = Bounds { log_bytes: LOG, ..Bounds::default() };
    let memory = Arc::new(Memory::default());
    struct Seen(Arc<Memory>);
    impl Backend for Seen {
        fn write(&self, batch: &Batch<'_>) -> io::Result<()> {
            self.0.write(batch)
        }
        fn value(&self, revision: Revision) -> io::Result<Option<Value>> {
            self.0.value(revision)
        }
    }
    let store = store(Seen(memory.clone()), bounds);
    let mut slow: Vec<_> = (0..200).map(|_| store.watch("", Revision(0), None).unwrap()).collect();
    for number in 0..1000 {
        store.commit(vec![put("a", &format!("{number} {}", "v".repeat(1000)))]).await.unwrap();
    }
    assert!(sync::read(&store.shared.state).log_bytes() <= LOG + 2_000, "the log is within its bound");
    assert!(memory.len() < 60, "{} values are kept for a log of some 50", memory.len());
    for watch in &mut slow {
        let error = watch.next(1).await.unwrap_err();
        assert!(matches!(error, WatchError::Compacted { asked: Revision(0), .. }), "{error}");
    }
}
