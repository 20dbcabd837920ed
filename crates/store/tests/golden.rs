//! Stores of every format that there ever was: the present program opens them, migrates them, and loses nothing.
//! Each was made by `examples/golden.rs` of its time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_store::{
    Bounds, Expect, ListRequest, Op, OpenError, Options, Revision, Store, Tags, Template, Write,
};

fn goldens() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<_> = fs::read_dir(all).unwrap().map(|folder| folder.unwrap().path()).collect();
    folders.sort();
    folders
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &to),
            false => fs::write(&to, fs::read(file.path()).unwrap()).unwrap(),
        }
    }
}

fn open(dir: &Path) -> Result<Store, OpenError> {
    let options = Options {
        bounds: Bounds::default(),
        now_ms: Arc::new(|| 1_000_000),
        first_revision: Revision(5),
        new_id: "another".into(),
        indexed: vec!["even".into()],
    };
    Store::open(dir, options)
}

fn all() -> ListRequest<'static> {
    ListRequest { prefix: "", after_key: None, limit: None, at: None, tagged: None, filter: None }
}

/// What `examples/golden.rs` wrote.
async fn assert_whole(store: &Store) {
    assert_eq!((store.revision(), &*store.id()), (Revision(1061), "golden"));
    let page = store.list(&all()).unwrap();
    assert_eq!(page.entries.len(), 31);
    for entry in &page.entries {
        let number: u32 = entry.key["/things/".len()..].parse().unwrap();
        let (what, created) = match number {
            0 => ("made again", 1061),
            n if n % 4 == 2 => ("changed", u64::from(1001 + n)),
            n => ("made", u64::from(1001 + n)),
        };
        assert_eq!(entry.created, Revision(created), "{}", entry.key);
        let text = format!("{what} at {}{}", entry.modified.0, "x".repeat(200));
        assert_eq!(std::str::from_utf8(entry.value.bytes()).unwrap(), text);
        let even = number.is_multiple_of(2).to_string();
        let tags = [("both", "1"), ("both", "2"), ("even", &*even), ("what", what)];
        assert_eq!(entry.tags.iter().collect::<Vec<_>>(), tags);
    }
    let first = store.list(&ListRequest { at: Some(Revision(1040)), ..all() }).unwrap();
    assert_eq!(first.entries.len(), 40);
    assert!(first.entries.iter().all(|entry| entry.tags.get("what") == Some("made")));
    let mut watch = store.watch("", Revision(1000), None).unwrap();
    let mut changes = Vec::new();
    while changes.len() < 61 {
        changes.extend(watch.next(100).await.unwrap());
    }
    assert!(changes.iter().map(|change| change.revision.0).eq(1001..=1061));
    let gone = changes.iter().filter(|change| change.after.is_none()).count();
    assert_eq!(gone, 10);
}

#[tokio::test]
async fn stores_of_every_format_open_whole_and_go_on() {
    for golden in goldens() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        copy(&golden, &place);
        for _ in 0..2 {
            assert_whole(&open(&place).unwrap()).await;
        }
        let store = open(&place).unwrap();
        let value = Template { bytes: b"more".to_vec(), revision_at: None };
        let op = Op::Put { value, tags: Tags::default() };
        let write = Write { key: "/things/more".into(), expect: Expect::Absent, op };
        assert_eq!(store.commit(vec![write]).await.unwrap().revision, Revision(1062));
        drop(store);
        assert_eq!(open(&place).unwrap().count(""), 32);
    }
}

#[tokio::test]
async fn migration_leaves_the_old_store_whole() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    copy(&goldens()[0], &place);
    let header = fs::read(place.join("store.json")).unwrap();
    drop(open(&place).unwrap());
    assert_eq!(fs::read(place.join("store-1.json")).unwrap(), header);
    // Who goes back puts the old header in its place; going on from there migrates again.
    let back = dir.path().join("back");
    copy(&place.join("data"), &back.join("data"));
    fs::write(back.join("store.json"), header).unwrap();
    assert_whole(&open(&back).unwrap()).await;
}

#[tokio::test]
async fn interrupted_migration_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    copy(&goldens()[0], &whole);
    let header = fs::read(whole.join("store.json")).unwrap();
    drop(open(&whole).unwrap());
    // As far as it can come without being done: everything but the new header.
    fs::write(whole.join("store.json"), &header).unwrap();
    assert_whole(&open(&whole).unwrap()).await;
    let half = dir.path().join("half");
    copy(&goldens()[0], &half);
    fs::create_dir_all(half.join("data-2/keyspaces/0")).unwrap();
    fs::write(half.join("data-2/0.jnl"), "half").unwrap();
    assert_whole(&open(&half).unwrap()).await;
}

#[test]
fn old_store_without_its_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    copy(&goldens()[0], &place);
    fs::remove_dir_all(place.join("data")).unwrap();
    let error = open(&place).err().unwrap();
    assert!(matches!(&error, OpenError::Corrupt { place, .. } if place.ends_with("data")), "{error}");
    assert!(!place.join("data-2").exists());
}
