//! What survives a restart, and what an open refuses.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use windlass_store::{Bounds, OpenError, Revision, Store, WatchError};

use crate::kit::{Bench, FIRST, On, delete, lines, options, pairs, put, tagged};

/// Opens a directory with an id and a first revision of another store.
fn open(dir: &Path) -> Result<Store, OpenError> {
    let mut options = options(&Arc::default(), &Bounds::default());
    options.first_revision = Revision(5);
    options.new_id = "another".into();
    Store::open(dir, options)
}

fn refused(dir: &Path) -> OpenError {
    open(dir).err().expect("it must not open")
}

/// A directory with a store that was closed well.
async fn left_behind() -> tempfile::TempDir {
    let bench = Bench::new(On::Disk);
    bench.put("a", "1").await;
    let Bench { store, dir, .. } = bench;
    drop(store);
    dir
}

#[tokio::test]
async fn reopened_store_has_everything() {
    let bench = Bench::new(On::Disk);
    bench.store.commit(vec![tagged("a", "1", &[("n", "v"), ("n", "w")]), put("b", "1")]).await.unwrap();
    bench.put("a", "2").await;
    bench.delete("b").await;
    let (before, id) = (bench.store.get("a").unwrap(), bench.store.id());
    let bench = bench.reopen();
    assert_eq!(bench.store.get("a").unwrap(), before);
    assert_eq!((bench.store.id(), bench.store.revision()), (id, Revision(1004)));
    assert_eq!(bench.now(), pairs(&[("a", "2")]));
    assert_eq!(bench.at(Revision(1002)).unwrap(), pairs(&[("a", "1"), ("b", "1")]));
}

#[tokio::test]
async fn watch_goes_on_across_a_restart() {
    let bench = Bench::new(On::Disk);
    bench.put("a", "1").await;
    bench.put("a", "2").await;
    bench.delete("a").await;
    let bench = bench.reopen();
    let mut watch = bench.store.watch("", Revision(1001), None).unwrap();
    bench.put("a", "3").await;
    assert_eq!(lines(&watch.next(9).await.unwrap()), ["a=1>2", "-a=2", "+a=3"]);
}

#[tokio::test]
async fn revisions_are_never_issued_twice() {
    let mut bench = Bench::bounded(On::Disk, Bounds { log_bytes: 0, log_age_ms: 0, ..Bounds::default() });
    let mut last = FIRST;
    for round in 0..3 {
        for _ in 0..4 {
            let revision = bench.put("a", "1").await.modified;
            assert_eq!(revision.0, last.0 + 1, "round {round}");
            last = revision;
        }
        last = bench.delete("a").await.revision;
        bench.pass_ms(10);
        bench = bench.reopen();
        assert_eq!((bench.store.revision(), bench.store.count("")), (last, 0));
    }
}

#[tokio::test]
async fn what_was_forgotten_stays_forgotten() {
    let bench = Bench::bounded(On::Disk, Bounds { log_bytes: 1000, ..Bounds::default() });
    for n in 0..50 {
        bench.put("a", &n.to_string()).await;
    }
    let floor = |bench: &Bench| match bench.store.watch("", FIRST, None) {
        Err(WatchError::Compacted { oldest, .. }) => oldest,
        _ => panic!("the log was not cut"),
    };
    let oldest = floor(&bench);
    let bench = bench.reopen();
    assert_eq!(floor(&bench), oldest);
    assert_eq!(bench.at(oldest).unwrap().len(), 1);
}

#[tokio::test]
async fn reopened_empty_store_is_as_it_was_made() {
    let bench = Bench::new(On::Disk);
    let Bench { store, dir, .. } = bench;
    drop(store);
    let store = open(&dir.path().join("store")).unwrap();
    assert_eq!((store.revision(), &*store.id()), (FIRST, "a-store"));
}

#[tokio::test]
async fn directory_is_private_and_in_use() {
    let bench = Bench::new(On::Disk);
    let dir = bench.dir.path().join("store");
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let error = refused(&dir);
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    bench.put("a", "the first is not disturbed").await;
    bench.store.close().await;
    drop(bench.store);
    open(&dir).unwrap();
}

#[tokio::test]
async fn released_directory_is_free_while_handles_live() {
    let bench = Bench::new(On::Disk);
    let dir = bench.dir.path().join("store");
    bench.put("a", "1").await;
    bench.store.release().await;
    let again = open(&dir).unwrap();
    assert!(again.get("a").unwrap().is_some());
}

#[tokio::test]
async fn newer_format_is_refused() {
    let left = left_behind().await;
    let dir = left.path().join("store");
    fs::write(dir.join("store.json"), r#"{"format":3,"all":"else differs"}"#).unwrap();
    let error = refused(&dir);
    assert!(matches!(error, OpenError::Newer { found: 3, known: 2, .. }), "{error}");
}

#[tokio::test]
async fn broken_header_is_refused() {
    for text in ["", "{", "[]", r#"{"format":0}"#, r#"{"format":-1}"#, r#"{"format":1}"#] {
        let left = left_behind().await;
        let dir = left.path().join("store");
        fs::write(dir.join("store.json"), text).unwrap();
        let error = refused(&dir);
        assert!(matches!(error, OpenError::Corrupt { .. }), "{text}: {error}");
        assert!(error.to_string().contains("store.json"), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
    }
}

#[tokio::test]
async fn lost_part_is_refused_and_nothing_is_made_in_its_place() {
    for part in ["store.json", "data-2"] {
        let left = left_behind().await;
        let dir = left.path().join("store");
        fs::rename(dir.join(part), left.path().join(part)).unwrap();
        for _ in 0..2 {
            let error = refused(&dir);
            assert!(matches!(&error, OpenError::Corrupt { place, .. } if place.ends_with(part)), "{error}");
        }
        fs::rename(left.path().join(part), dir.join(part)).unwrap();
        assert_eq!(open(&dir).unwrap().count(""), 1);
    }
}

#[tokio::test]
async fn interrupted_making_begins_again() {
    for (format, data) in [(1, "data"), (2, "data-2")] {
        let left = tempfile::tempdir().unwrap();
        let dir = left.path().join("store");
        fs::create_dir_all(dir.join(data)).unwrap();
        fs::write(dir.join(data).join("0.jnl"), "half").unwrap();
        let header = r#""store":"x","first_revision":9,"reached":9,"complete":false}"#;
        fs::write(dir.join("store.json"), format!("{{\"format\":{format},{header}")).unwrap();
        let store = open(&dir).unwrap();
        assert_eq!((store.revision(), &*store.id()), (Revision(5), "another"));
        store.commit(vec![put("a", "1"), delete("b")]).await.unwrap();
    }
}

#[test]
fn directory_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "dear").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = refused(dir.path());
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn place_that_is_a_file_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(&file);
    assert!(matches!(error, OpenError::Io { .. }) && error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn damaged_store_is_refused_or_whole() {
    let left = left_behind().await;
    let dir = left.path().join("store");
    let journal = dir.join("data-2/0.jnl");
    let good = start_of(&journal);
    for at in [0, 1, 7, 13, 30, 60, 100] {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        overwrite(&journal, &bad);
        match open(&dir) {
            Ok(store) => assert_eq!((store.revision(), store.count("")), (Revision(1001), 1), "byte {at}"),
            Err(OpenError::Corrupt { .. }) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    overwrite(&journal, &good);
    assert_eq!(open(&dir).unwrap().revision(), Revision(1001));
}

/// What these tests write of a journal; the rest of it is zeros.
fn start_of(journal: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs::File::open(journal).unwrap().take(16 << 10).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Replaces the start, and keeps the rest as sparse as it is.
fn overwrite(journal: &Path, start: &[u8]) {
    fs::File::options().write(true).open(journal).unwrap().write_all_at(start, 0).unwrap();
}

/// What a power loss leaves: a store's files as they are while it is open, copied.
fn pull_the_plug(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => pull_the_plug(&file.path(), &to),
            false if file.metadata().unwrap().len() > 1 << 20 => {
                fs::write(&to, start_of(&file.path())).unwrap();
                let copy = fs::File::options().write(true).open(&to).unwrap();
                copy.set_len(file.metadata().unwrap().len()).unwrap();
            }
            false => drop(fs::copy(file.path(), to).unwrap()),
        }
    }
}

/// Loses the page of a journal that holds a text; its neighbours are there.
fn lose_page(dir: &Path, text: &str) {
    let journal = dir.join("data-2/0.jnl");
    let mut bytes = start_of(&journal);
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[at..at + text.len()].fill(0);
    overwrite(&journal, &bytes);
}

#[tokio::test]
async fn group_torn_by_a_power_loss_is_dropped_and_the_rest_is_there() {
    let bench = Bench::new(On::Disk);
    bench.put("a", "acknowledged").await;
    bench.store.commit(vec![put("b", "torn to pieces"), put("c", "1")]).await.unwrap();
    let dir = bench.dir.path().join("after");
    pull_the_plug(&bench.dir.path().join("store"), &dir);
    lose_page(&dir, "torn to pieces");
    let store = open(&dir).unwrap();
    assert_eq!((store.revision(), store.count("")), (Revision(1001), 1));
    store.commit(vec![put("b", "again")]).await.unwrap();
    drop(store);
    assert_eq!(open(&dir).unwrap().revision(), Revision(1002));
}

#[tokio::test]
async fn damage_before_the_last_group_is_refused_and_nothing_is_touched() {
    let bench = Bench::new(On::Disk);
    bench.put("a", "rotten").await;
    bench.put("b", "sound").await;
    let dir = bench.dir.path().join("after");
    pull_the_plug(&bench.dir.path().join("store"), &dir);
    lose_page(&dir, "rotten");
    let damaged = start_of(&dir.join("data-2/0.jnl"));
    let error = refused(&dir);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(start_of(&dir.join("data-2/0.jnl")) == damaged, "the journal was changed");
}
