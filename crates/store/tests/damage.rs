//! Every file of a store that was closed well, damaged in every way that chance has: bits that flip, ends that are
//! missing, files that are gone. The store then says so, naming the place and the way out, or everything is there;
//! it never panics and is never silently less.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_store::{Bounds, Expect, Op, OpenError, Options, Revision, Store, Tags, Template, Write};

fn open(dir: &Path) -> Result<Store, OpenError> {
    let options = Options {
        // So small that every kind of file comes to be.
        bounds: Bounds { memtable_bytes: 4_000, log_bytes: 30_000, cache_bytes: 0, ..Bounds::default() },
        now_ms: Arc::new(|| 1),
        first_revision: Revision(100),
        new_id: "a-store".into(),
        indexed: Vec::new(),
    };
    Store::open(dir, options)
}

fn put(number: usize, round: usize) -> Write {
    let text = format!("{number} {round} {}", "v".repeat(100));
    let value = Template { bytes: text.into_bytes(), revision_at: None };
    let tags = Tags::new(vec![("round".into(), round.to_string().into())]);
    Write { key: format!("/{number:03}").into(), expect: Expect::Any, op: Op::Put { value, tags } }
}

/// Every key with its value; a value that cannot be read is an error of the read.
type Whole = BTreeMap<String, Vec<u8>>;

async fn make(dir: &Path) -> (Revision, Whole) {
    let store = open(dir).unwrap();
    for round in 0..3 {
        for number in 0..40 {
            store.commit(vec![put(number, round)]).await.unwrap();
        }
    }
    for number in 0..10 {
        let delete = Write { key: format!("/{number:03}").into(), expect: Expect::Any, op: Op::Delete };
        store.commit(vec![delete]).await.unwrap();
    }
    store.release().await;
    let whole = (10..40).map(|number| {
        let Op::Put { value, .. } = put(number, 2).op else { unreachable!() };
        (format!("/{number:03}"), value.bytes)
    });
    (store.revision(), whole.collect())
}

/// The files below a directory with their bytes; of a journal without the zeros at its end.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = file.path();
        if file.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            let mut bytes = fs::read(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "jnl") {
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
            }
            found.insert(path, bytes);
        }
    }
    found
}

/// Puts files in a directory as they were below another.
fn lay(files: &BTreeMap<PathBuf, Vec<u8>>, from: &Path, to: &Path) {
    for (path, bytes) in files {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Opens a damaged store: whether it said that it is damaged.
fn refuses(dir: &Path, revision: Revision, whole: &Whole, what: &str) -> bool {
    let opened = catch_unwind(AssertUnwindSafe(|| open(dir))).unwrap_or_else(|_| panic!("{what}: a panic"));
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&dir.display().to_string()), "{what}: it does not say where: {text}");
            let way_out = matches!(error, OpenError::Io { .. })
                || text.contains("move it away")
                || text.contains("newer");
            assert!(way_out, "{what}: it does not say what to do: {text}");
            return true;
        }
    };
    assert_eq!(store.revision(), revision, "{what}: another revision");
    let mut keys = Vec::new();
    store.scan("", &mut |key, _, _, tags| {
        assert_eq!(tags.get("round"), Some("2"), "{what}: other tags");
        keys.push(key.to_string());
    });
    assert!(keys.iter().eq(whole.keys()), "{what}: other keys: {keys:?}");
    let mut told = false;
    for (key, value) in whole {
        let read =
            catch_unwind(AssertUnwindSafe(|| store.get(key))).unwrap_or_else(|_| panic!("{what}: a panic"));
        match read {
            Ok(entry) => assert!(entry.unwrap().value.bytes() == value, "{what}: another value of {key}"),
            Err(_) => told = true,
        }
    }
    told
}

#[tokio::test]
async fn damaged_file_is_told_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("store");
    let (revision, whole) = make(&from).await;
    let good = files(&from);
    assert!(good.len() > 15, "every kind of file is there: {:?}", good.keys());
    let (mut number, mut told) = (0, 0);
    let mut seed = 0x5eed_u64;
    let mut chance = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for (path, bytes) in &good {
        let short = path.strip_prefix(&from).unwrap().display().to_string();
        let mut damages: Vec<(String, Option<Vec<u8>>)> = vec![(format!("{short} is gone"), None)];
        if !bytes.is_empty() {
            for _ in 0..3 {
                let (at, bit) = (chance(bytes.len()), chance(8));
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                damages.push((format!("{short}: bit {bit} of byte {at} flipped"), Some(bad)));
            }
            let at = chance(bytes.len());
            damages.push((format!("{short}: cut at {at}"), Some(bytes[..at].to_vec())));
        }
        for (what, bad) in damages {
            number += 1;
            let to = dir.path().join(format!("damaged-{number}"));
            lay(&good, &from, &to);
            let place = to.join(path.strip_prefix(&from).unwrap());
            match bad {
                Some(bad) => fs::write(place, bad).unwrap(),
                None => fs::remove_file(place).unwrap(),
            }
            told += usize::from(refuses(&to, revision, &whole, &what));
            fs::remove_dir_all(&to).unwrap();
        }
    }
    assert!(told > number / 3, "of {number} damages {told} were told");
}

#[tokio::test]
async fn damage_in_the_middle_of_a_journal_is_refused_and_nothing_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("store");
    let options = Options {
        bounds: Bounds::default(),
        now_ms: Arc::new(|| 1),
        first_revision: Revision(100),
        new_id: "a-store".into(),
        indexed: Vec::new(),
    };
    let store = Store::open(&from, options).unwrap();
    for number in 0..20 {
        store.commit(vec![put(number, 0)]).await.unwrap();
    }
    // As a crash leaves it: the header knows only where it was opened.
    let good = files(&from);
    let (journal, bytes) =
        good.iter().find(|(path, _)| path.extension().is_some_and(|e| e == "jnl")).unwrap();
    let ends: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, w)| *w == b"FJL\x03").map(|(at, _)| at).collect();
    // The beginning and the end of a batch: what the embedded store takes for a torn end.
    for at in [ends[10] + 4, ends[10] + 6, ends[11], ends[11] - 9] {
        let to = dir.path().join(format!("damaged-{at}"));
        let mut damaged = good.clone();
        damaged.get_mut(journal).unwrap()[at] ^= 0x40;
        lay(&damaged, &from, &to);
        let error = open(&to).err().unwrap_or_else(|| panic!("byte {at}: acknowledged writes would be lost"));
        assert!(error.to_string().contains("0.jnl"), "{error}");
        assert!(
            files(&to)[&to.join(journal.strip_prefix(&from).unwrap())] == damaged[journal],
            "it was touched"
        );
    }
}
