//! The store against a model so simple that it cannot be wrong: a full copy of everything at every revision.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use windlass_store::{
    Bounds, Change, CommitError, Expect, ListRequest, Op, ReadError, Revision, Tags, Write,
};

use crate::kit::{Bench, FIRST, On, all, delete, expecting, line, pairs, tagged, text};

/// Key → (created, modified, value, tag).
type Copy = BTreeMap<String, (u64, u64, String, String)>;

/// One step of a random life.
#[derive(Clone, Debug)]
enum Step {
    /// Writes of distinct keys: key, expectation, and a put's tag or a delete.
    Commit(BTreeMap<u8, (u8, Option<bool>)>),
    /// Time goes by.
    Pass(u16),
    /// The store is closed and opened (on disk).
    Reopen,
}

fn a_step() -> impl Strategy<Value = Step> {
    let write = (0..5u8, proptest::option::weighted(0.7, any::<bool>()));
    prop_oneof![
        12 => proptest::collection::btree_map(0..6u8, write, 1..4).prop_map(Step::Commit),
        1 => (0..500u16).prop_map(Step::Pass),
        1 => Just(Step::Reopen),
    ]
}

fn a_life() -> impl Strategy<Value = (Vec<Step>, u64)> {
    (vec(a_step(), 1..40), prop_oneof![Just(0), Just(1500), Just(u64::MAX)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn memory_behaves_as_the_model((life, log_bytes) in a_life()) {
        live(On::Memory, &life, log_bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn disk_behaves_as_the_model((life, log_bytes) in a_life()) {
        live(On::Disk, &life, log_bytes);
    }
}

fn live(on: On, life: &[Step], log_bytes: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let bounds = Bounds { log_bytes, log_age_ms: 1000, cache_bytes: 20, ..Bounds::default() };
        let mut bench = Bench::bounded(on, bounds);
        let mut model = Model { copies: vec![Copy::new()], history: Vec::new() };
        for (number, step) in life.iter().enumerate() {
            match step {
                Step::Commit(writes) => model.commit(&bench, number, writes).await,
                Step::Pass(ms) => bench.pass_ms(u64::from(*ms)),
                Step::Reopen if on == On::Disk => bench = bench.reopen(),
                Step::Reopen => {}
            }
            model.compare_now(&bench);
        }
        model.compare_history(&bench).await;
    });
}

/// Everything at every revision since the first, and what changed.
struct Model {
    copies: Vec<Copy>,
    history: Vec<(String, bool, bool)>,
}

impl Model {
    fn now(&self) -> &Copy {
        &self.copies[self.copies.len() - 1]
    }

    fn revision(&self) -> u64 {
        FIRST.0 + self.copies.len() as u64 - 1
    }

    async fn commit(&mut self, bench: &Bench, number: usize, writes: &BTreeMap<u8, (u8, Option<bool>)>) {
        let writes: Vec<Write> = writes.iter().map(|(key, what)| self.write(number, *key, *what)).collect();
        let broken = writes.iter().position(|write| !self.holds(write));
        match (bench.store.commit(writes.clone()).await, broken) {
            (Ok(committed), None) => {
                writes.iter().for_each(|write| self.apply(write));
                assert_eq!(committed.revision.0, self.revision());
            }
            (Err(CommitError::Conflict { index, .. }), Some(broken)) => assert_eq!(index, broken),
            (answer, broken) => panic!("{answer:?}, the model says {broken:?}"),
        }
    }

    fn write(&self, number: usize, key: u8, (expect, put): (u8, Option<bool>)) -> Write {
        let key = format!("k{}/{}", key % 2, key);
        let expect = match (expect, self.now().get(&key)) {
            (0 | 1, _) => Expect::Any,
            (2, _) => Expect::Absent,
            (3, None) => Expect::Present,
            (3, Some(found)) => Expect::At(Revision(found.1)),
            _ => Expect::At(Revision(self.revision())),
        };
        let write = match put {
            Some(tag) => tagged(&key, &format!("v{number}"), &[("tag", &tag.to_string())]),
            None => delete(&key),
        };
        expecting(expect, write)
    }

    fn holds(&self, write: &Write) -> bool {
        let found = self.now().get(&*write.key);
        match write.expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Present => found.is_some(),
            Expect::At(revision) => found.is_some_and(|found| found.1 == revision.0),
        }
    }

    fn apply(&mut self, write: &Write) {
        let mut copy = self.now().clone();
        let key = write.key.to_string();
        let revision = self.revision() + 1;
        let before = copy.get(&key).cloned();
        let tagged =
            |found: Option<&(u64, u64, String, String)>| found.is_some_and(|found| found.3 == "true");
        match &write.op {
            Op::Put { value, tags } => {
                let created = before.as_ref().map_or(revision, |before| before.0);
                let text = String::from_utf8(value.bytes.clone()).unwrap();
                let text = text.trim_end_matches('@').to_owned();
                copy.insert(key.clone(), (created, revision, text, tags.get("tag").unwrap().to_owned()));
            }
            Op::Delete if before.is_some() => {
                copy.remove(&key);
            }
            _ => return,
        }
        let after = copy.get(&key);
        let line = match (&before, after) {
            (None, Some(after)) => format!("+{key}={}", after.2),
            (Some(before), Some(after)) => format!("{key}={}>{}", before.2, after.2),
            (Some(before), None) => format!("-{key}={}", before.2),
            (None, None) => unreachable!(),
        };
        self.history.push((line, tagged(before.as_ref()), tagged(after)));
        self.copies.push(copy);
    }

    fn compare_now(&self, bench: &Bench) {
        assert_eq!(bench.store.revision().0, self.revision());
        assert_eq!(bench.store.count("k1/"), self.now().keys().filter(|k| k.starts_with("k1/")).count());
        for key in (0..6).map(|n| format!("k{}/{n}", n % 2)) {
            let found = bench.store.get(&key).unwrap();
            let found =
                found.map(|e| (e.created.0, e.modified.0, text(&e), e.tags.get("tag").unwrap().to_owned()));
            assert_eq!(found.as_ref(), self.now().get(&key));
        }
    }

    /// Every revision is either listed and watched from exactly as it was, or refused; and below a refused
    /// one all are.
    async fn compare_history(&self, bench: &Bench) {
        let mut kept = false;
        for (number, copy) in self.copies.iter().enumerate() {
            let revision = Revision(FIRST.0 + number as u64);
            match bench.at(revision) {
                Ok(listed) => {
                    kept = true;
                    let copied: Vec<_> = copy.iter().map(|(k, v)| (&**k, &*v.2)).collect();
                    assert_eq!(listed, pairs(&copied), "at {revision:?}");
                    self.compare_pages(bench, revision, copy);
                    self.compare_watches(bench, revision, number).await;
                }
                Err(ReadError::Compacted { .. }) => {
                    assert!(!kept, "{revision:?} is gone, an older one was not");
                    assert!(bench.store.watch("", revision, None).is_err());
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(kept);
    }

    fn compare_pages(&self, bench: &Bench, at: Revision, copy: &Copy) {
        let wanted: Vec<_> = copy.iter().filter(|(k, v)| k.starts_with("k0/") && v.3 == "true").collect();
        let filter = |tags: &Tags| tags.get("tag") == Some("true");
        let mut after: Option<String> = None;
        for (number, (key, version)) in wanted.iter().enumerate() {
            let prefix = "k0/";
            let after_key = after.as_deref();
            let request = ListRequest {
                prefix,
                after_key,
                limit: Some(1),
                at: Some(at),
                tagged: None,
                filter: Some(&filter),
            };
            let page = bench.store.list(&request).unwrap();
            let [entry] = &page.entries[..] else { panic!("{page:?}") };
            assert_eq!((&*entry.key, entry.created.0, entry.modified.0), (&***key, version.0, version.1));
            assert_eq!(page.more, number + 1 < wanted.len());
            let by_tag = ListRequest { tagged: Some(("tag", "true")), filter: None, ..request };
            assert_eq!(bench.store.list(&by_tag).unwrap(), page);
            after = Some((*key).clone());
        }
        let rest = ListRequest { prefix: "k1/", limit: Some(1), at: Some(at), ..all() };
        let odd = copy.keys().filter(|k| k.starts_with("k1/")).count();
        assert_eq!(bench.store.list(&rest).unwrap().remaining, Some(odd.saturating_sub(1)));
    }

    async fn compare_watches(&self, bench: &Bench, from: Revision, number: usize) {
        let later: Vec<_> = self.history[number..].iter().map(|(line, ..)| line.clone()).collect();
        assert_eq!(drain(bench, from, None, later.len()).await, later);
        let tagged = self.history[number..].iter().filter(|(_, before, after)| *before || *after);
        let tagged: Vec<_> = tagged.map(|(line, ..)| line.clone()).collect();
        let filter = std::sync::Arc::new(|tags: &Tags| tags.get("tag") == Some("true"));
        assert_eq!(drain(bench, from, Some(filter), tagged.len()).await, tagged);
    }
}

/// So many changes from a revision, in pieces of three.
async fn drain(
    bench: &Bench,
    from: Revision,
    filter: Option<windlass_store::TagFilter>,
    many: usize,
) -> Vec<String> {
    let mut watch = bench.store.watch("", from, filter).unwrap();
    let mut changes: Vec<Change> = Vec::new();
    while changes.len() < many {
        changes.extend(watch.next(3).await.unwrap());
    }
    changes.iter().map(line).collect()
}
