//! What the situations are told with: stores on both backends, a clock by hand, short forms of writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass_store::{
    Bounds, Change, Committed, Entry, Expect, ListRequest, Op, Options, Page, ReadError, Revision, Store,
    Tags, Template, Write,
};

/// Where the stores of these tests begin to count.
pub(crate) const FIRST: Revision = Revision(1000);

/// Which backend a situation runs on.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum On {
    Memory,
    Disk,
}

/// A store with its clock and its place.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) clock: Arc<AtomicU64>,
    pub(crate) dir: tempfile::TempDir,
    on: On,
    bounds: Bounds,
}

impl Bench {
    pub(crate) fn new(on: On) -> Bench {
        Bench::bounded(on, Bounds::default())
    }

    pub(crate) fn bounded(on: On, bounds: Bounds) -> Bench {
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let dir = tempfile::tempdir().unwrap();
        let store = open(on, dir.path(), &clock, &bounds);
        Bench { store, clock, dir, on, bounds }
    }

    pub(crate) fn pass_ms(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// Closes the store and opens it again with another first revision and id, which must not matter.
    pub(crate) fn reopen(self) -> Bench {
        let Bench { store, clock, dir, on, bounds } = self;
        drop(store);
        let store = open(on, dir.path(), &clock, &bounds);
        Bench { store, clock, dir, on, bounds }
    }

    pub(crate) async fn put(&self, key: &str, value: &str) -> Entry {
        let committed = self.store.commit(vec![put(key, value)]).await.unwrap();
        committed.entries.into_iter().next().flatten().unwrap()
    }

    pub(crate) async fn delete(&self, key: &str) -> Committed {
        self.store.commit(vec![delete(key)]).await.unwrap()
    }

    pub(crate) fn at(&self, revision: Revision) -> Result<Vec<(String, String)>, ReadError> {
        self.store.list(&ListRequest { at: Some(revision), ..all() }).map(|page| texts(&page))
    }

    pub(crate) fn now(&self) -> Vec<(String, String)> {
        texts(&self.store.list(&all()).unwrap())
    }
}

fn open(on: On, dir: &std::path::Path, clock: &Arc<AtomicU64>, bounds: &Bounds) -> Store {
    let options = options(clock, bounds);
    match on {
        On::Memory => Store::memory(options),
        On::Disk => Store::open(&dir.join("store"), options).unwrap(),
    }
}

pub(crate) fn options(clock: &Arc<AtomicU64>, bounds: &Bounds) -> Options {
    let clock = clock.clone();
    let now_ms = Arc::new(move || clock.load(Ordering::Relaxed));
    Options {
        bounds: bounds.clone(),
        now_ms,
        first_revision: FIRST,
        new_id: "a-store".into(),
        indexed: vec!["tag".into()],
    }
}

/// A value with a hole for the revision after its text.
pub(crate) fn template(value: &str) -> Template {
    let bytes = format!("{value}@").into_bytes();
    Template { revision_at: Some(bytes.len() as u32), bytes }
}

pub(crate) fn put(key: &str, value: &str) -> Write {
    tagged(key, value, &[])
}

pub(crate) fn tagged(key: &str, value: &str, tags: &[(&str, &str)]) -> Write {
    let tags = Tags::new(tags.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect());
    Write { key: key.into(), expect: Expect::Any, op: Op::Put { value: template(value), tags } }
}

pub(crate) fn delete(key: &str) -> Write {
    Write { key: key.into(), expect: Expect::Any, op: Op::Delete }
}

pub(crate) fn check(key: &str) -> Write {
    Write { key: key.into(), expect: Expect::Any, op: Op::Check }
}

pub(crate) fn expecting(expect: Expect, write: Write) -> Write {
    Write { expect, ..write }
}

pub(crate) fn all() -> ListRequest<'static> {
    ListRequest { prefix: "", after_key: None, limit: None, at: None, tagged: None, filter: None }
}

/// Keys and values, and a check that each value carries its own revision.
pub(crate) fn texts(page: &Page) -> Vec<(String, String)> {
    page.entries.iter().map(|entry| (entry.key.to_string(), text(entry))).collect()
}

pub(crate) fn text(entry: &Entry) -> String {
    let bytes = String::from_utf8(entry.value.bytes().to_vec()).unwrap();
    let (text, revision) = bytes.rsplit_once('@').unwrap();
    assert_eq!(revision, entry.modified.0.to_string(), "the value of {} carries its revision", entry.key);
    text.to_owned()
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// A change in one line: `+key=value`, `key=old>new`, `-key=last`.
pub(crate) fn line(change: &Change) -> String {
    match (&change.before, &change.after) {
        (None, Some(after)) => format!("+{}={}", change.key, text(after)),
        (Some(before), Some(after)) => format!("{}={}>{}", change.key, text(before), text(after)),
        (Some(before), None) => format!("-{}={}", change.key, text(before)),
        (None, None) => format!("?{}", change.key),
    }
}

pub(crate) fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(line).collect()
}

pub(crate) fn revisions(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.revision.0).collect()
}
