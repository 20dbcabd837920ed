//! A disk that is full, for real: a small file system in memory. It takes root to mount one; without, this is said
//! and the same is told by the fault tests alone.
#![expect(clippy::print_stderr, reason = "what is not tested is said")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use windlass_store::{
    Bounds, CommitError, Expect, ListRequest, Op, Options, Revision, Store, Tags, Template, Write,
};

/// A file system of a few megabytes.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "windlass-test"])
            .arg(dir.path())
            .output()
            .ok()?;
        mount.status.success().then(|| Small(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn open(dir: &Path) -> Store {
    let options = Options {
        // Small, so that files are written and merged too while the disk is full.
        bounds: Bounds { memtable_bytes: 1 << 20, ..Bounds::default() },
        now_ms: Arc::new(|| 1),
        first_revision: Revision(0),
        new_id: "a-store".into(),
        indexed: Vec::new(),
    };
    Store::open(dir, options).unwrap()
}

/// A kilobyte and more that no compression makes smaller.
fn put(number: usize) -> Write {
    let mut state = number as u64 + 1;
    let bytes = (0..1500).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let value = Template { bytes: bytes.collect(), revision_at: None };
    Write { key: key(number), expect: Expect::Any, op: Op::Put { value, tags: Tags::default() } }
}

fn key(number: usize) -> Arc<str> {
    format!("/{number:06}").into()
}

fn assert_holds(store: &Store, numbers: &[usize]) {
    for number in numbers {
        let entry = store.get(&key(*number)).unwrap().unwrap_or_else(|| panic!("{number} is lost"));
        let Op::Put { value, .. } = put(*number).op else { unreachable!() };
        assert!(entry.value.bytes() == &value.bytes, "{number} is another");
    }
}

#[tokio::test]
async fn full_disk_loses_nothing_and_the_store_goes_on_when_there_is_room() {
    let Some(small) = Small::mount() else {
        eprintln!(
            "SKIPPED: no file system could be mounted (that takes root), so a real full disk was not tried"
        );
        return;
    };
    // What is removed to make room again.
    let ballast: Vec<PathBuf> = (0..2).map(|n| small.path().join(format!("ballast-{n}"))).collect();
    for file in &ballast {
        fs::write(file, vec![0x55; 1 << 20]).unwrap();
    }
    let place = small.path().join("store");
    let store = open(&place);
    let (mut acknowledged, mut number) = (Vec::new(), 0);
    for file in &ballast {
        let error = loop {
            match store.commit(vec![put(number)]).await {
                Ok(_) => acknowledged.push(number),
                Err(error) => break error,
            }
            number += 1;
            assert!(number < 20_000, "the disk does not become full");
        };
        assert!(matches!(error, CommitError::Full(_)), "{error}");
        assert_holds(&store, &acknowledged);
        assert!(store.commit(vec![put(number)]).await.is_err(), "it is full still");
        assert_holds(&store, &acknowledged);
        fs::remove_file(file).unwrap();
        number += 1;
        store.commit(vec![put(number)]).await.unwrap();
        acknowledged.push(number);
        number += 1;
    }
    assert_holds(&store, &acknowledged);
    let (revision, count) = (store.revision(), store.count(""));
    let request =
        ListRequest { prefix: "", after_key: None, limit: None, at: None, tagged: None, filter: None };
    assert_eq!(store.list(&request).unwrap().entries.len(), count);
    drop(store);
    let store = open(&place);
    assert_eq!((store.revision(), store.count("")), (revision, count));
    assert_holds(&store, &acknowledged);
}
