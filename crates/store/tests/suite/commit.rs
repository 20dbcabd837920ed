//! Transactions: what they demand, what they take and what they answer.

use windlass_store::{Bounds, CommitError, Expect, Op, Revision, Tags, Template, Write};

use crate::kit::{Bench, FIRST, On, check, delete, expecting, pairs, put, text};

crate::on_both!(
    new_store_is_empty_at_its_first_revision,
    put_get_replace_delete,
    each_write_takes_the_next_revision,
    deleting_nothing_takes_no_revision,
    deletion_answers_the_last_version,
    key_made_again_has_a_new_creation,
    expectations_decide,
    one_broken_expectation_undoes_the_whole_transaction,
    checks_alone_commit_nothing,
    swaps_by_many_writers_lose_nothing,
    value_at_the_limit_passes_and_over_it_fails,
    key_twice_in_a_transaction_is_refused,
    hole_outside_the_value_is_refused,
    overlong_or_empty_key_is_refused,
    value_without_a_hole_is_kept_as_it_is,
    closed_store_refuses_writes_and_serves_reads,
    queue_over_its_bound_refuses,
);

async fn new_store_is_empty_at_its_first_revision(on: On) {
    let bench = Bench::new(on);
    assert_eq!(bench.store.revision(), FIRST);
    assert_eq!(bench.store.id(), "a-store");
    assert_eq!(bench.store.count(""), 0);
    assert_eq!(bench.store.get("a").unwrap(), None);
    assert_eq!(bench.at(FIRST).unwrap(), pairs(&[]));
}

async fn put_get_replace_delete(on: On) {
    let bench = Bench::new(on);
    let made = bench.put("a", "1").await;
    assert_eq!((made.created.0, made.modified.0), (1001, 1001));
    assert_eq!(bench.store.get("a").unwrap(), Some(made));
    let replaced = bench.put("a", "2").await;
    assert_eq!((replaced.created.0, replaced.modified.0, &*text(&replaced)), (1001, 1002, "2"));
    assert_eq!(bench.store.get("a").unwrap(), Some(replaced));
    bench.delete("a").await;
    assert_eq!(bench.store.get("a").unwrap(), None);
    assert_eq!(bench.store.revision(), Revision(1003));
}

async fn each_write_takes_the_next_revision(on: On) {
    let bench = Bench::new(on);
    let committed = bench.store.commit(vec![put("b", "1"), check("x"), put("a", "1")]).await.unwrap();
    assert_eq!(committed.revision, Revision(1002));
    let revisions: Vec<_> = committed.entries.iter().map(|e| e.as_ref().map(|e| e.modified.0)).collect();
    assert_eq!(revisions, [Some(1001), None, Some(1002)]);
}

async fn deleting_nothing_takes_no_revision(on: On) {
    let bench = Bench::new(on);
    let committed = bench.delete("a").await;
    assert_eq!((committed.revision, committed.entries), (FIRST, vec![None]));
}

async fn deletion_answers_the_last_version(on: On) {
    let bench = Bench::new(on);
    let made = bench.put("a", "1").await;
    let gone = bench.delete("a").await;
    assert_eq!(gone.revision, Revision(1002));
    assert_eq!(gone.entries, [Some(made)]);
}

async fn key_made_again_has_a_new_creation(on: On) {
    let bench = Bench::new(on);
    bench.put("a", "1").await;
    bench.delete("a").await;
    assert_eq!(bench.put("a", "2").await.created, Revision(1003));
}

async fn expectations_decide(on: On) {
    let bench = Bench::new(on);
    let there = bench.put("there", "1").await.modified;
    let rows = [
        ("there", Expect::Any, true),
        ("there", Expect::Absent, false),
        ("there", Expect::Present, true),
        ("there", Expect::At(there), true),
        ("there", Expect::At(Revision(there.0 - 1)), false),
        ("gone", Expect::Any, true),
        ("gone", Expect::Absent, true),
        ("gone", Expect::Present, false),
        ("gone", Expect::At(there), false),
    ];
    for (key, expect, holds) in rows {
        let answer = bench.store.commit(vec![expecting(expect, check(key))]).await;
        match answer {
            Ok(_) => assert!(holds, "{key} {expect:?}"),
            Err(CommitError::Conflict { index: 0, key: found_key, expected, found }) => {
                assert!(!holds, "{key} {expect:?}");
                assert_eq!((&*found_key, expected), (key, expect));
                assert_eq!(found, (key == "there").then_some(there));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(bench.store.revision(), there, "nothing was written");
}

async fn one_broken_expectation_undoes_the_whole_transaction(on: On) {
    let bench = Bench::new(on);
    bench.put("a", "1").await;
    let writes = vec![put("b", "1"), delete("a"), expecting(Expect::Absent, put("c", "1")), check("d")];
    bench.store.commit(writes.clone()).await.unwrap();
    let error = bench.store.commit(writes).await.unwrap_err();
    assert!(matches!(error, CommitError::Conflict { index: 2, .. }), "{error}");
    assert_eq!(bench.now(), pairs(&[("b", "1"), ("c", "1")]));
    assert_eq!(bench.store.revision(), Revision(1004));
}

async fn checks_alone_commit_nothing(on: On) {
    let bench = Bench::new(on);
    let committed = bench.store.commit(vec![check("a"), check("b")]).await.unwrap();
    assert_eq!((committed.revision, committed.entries), (FIRST, vec![None, None]));
    assert_eq!(bench.store.commit(vec![]).await.unwrap().revision, FIRST);
}

async fn swaps_by_many_writers_lose_nothing(on: On) {
    let bench = Bench::new(on);
    bench.put("n", "0").await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                let mut won = 0;
                while won < 10 {
                    let old = store.get("n").unwrap().unwrap();
                    let next = (text(&old).parse::<u32>().unwrap() + 1).to_string();
                    let write = expecting(Expect::At(old.modified), put("n", &next));
                    won += u32::from(store.commit(vec![write]).await.is_ok());
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(bench.now(), pairs(&[("n", "80")]));
    assert_eq!(bench.store.revision(), Revision(1081));
}

async fn value_at_the_limit_passes_and_over_it_fails(on: On) {
    let bench = Bench::bounded(on, Bounds { value_bytes: 10, ..Bounds::default() });
    bench.put("a", "123456789").await;
    let error = bench.store.commit(vec![put("b", "1"), put("a", "1234567890")]).await.unwrap_err();
    assert!(matches!(error, CommitError::TooLarge { bytes: 11, limit: 10, .. }), "{error}");
    assert_eq!(bench.now(), pairs(&[("a", "123456789")]));
}

async fn key_twice_in_a_transaction_is_refused(on: On) {
    let bench = Bench::new(on);
    let error = bench.store.commit(vec![put("a", "1"), delete("a")]).await.unwrap_err();
    assert!(matches!(&error, CommitError::Twice(key) if &**key == "a"), "{error}");
    assert_eq!(bench.store.revision(), FIRST);
}

async fn hole_outside_the_value_is_refused(on: On) {
    let bench = Bench::new(on);
    let value = Template { bytes: b"abc".to_vec(), revision_at: Some(4) };
    let op = Op::Put { value, tags: Tags::default() };
    let error =
        bench.store.commit(vec![Write { key: "a".into(), expect: Expect::Any, op }]).await.unwrap_err();
    assert!(matches!(error, CommitError::Hole { at: 4, bytes: 3, .. }), "{error}");
    bench.put("a", "still alive").await;
}

async fn overlong_or_empty_key_is_refused(on: On) {
    let bench = Bench::new(on);
    let error = bench.store.commit(vec![put(&"k".repeat(70_000), "1")]).await.unwrap_err();
    assert!(matches!(error, CommitError::TooLarge { bytes: 70_000, .. }), "{error}");
    let error = bench.store.commit(vec![put("a", "1"), put("", "1")]).await.unwrap_err();
    assert!(matches!(error, CommitError::NoKey { index: 1 }), "{error}");
    assert_eq!(bench.store.revision(), FIRST);
}

async fn value_without_a_hole_is_kept_as_it_is(on: On) {
    let bench = Bench::new(on);
    let value = Template { bytes: b"\0\xff".to_vec(), revision_at: None };
    let op = Op::Put { value, tags: Tags::default() };
    bench.store.commit(vec![Write { key: "a".into(), expect: Expect::Any, op }]).await.unwrap();
    let entry = bench.store.get("a").unwrap().unwrap();
    assert_eq!(&**entry.value.bytes(), b"\0\xff");
    assert_eq!(&*entry.value.at_revision(Revision(7)), b"\0\xff");
}

async fn closed_store_refuses_writes_and_serves_reads(on: On) {
    let bench = Bench::new(on);
    bench.put("a", "1").await;
    bench.store.close().await;
    bench.store.close().await;
    let error = bench.store.commit(vec![put("b", "1")]).await.unwrap_err();
    assert!(matches!(error, CommitError::Closed), "{error}");
    assert_eq!(bench.now(), pairs(&[("a", "1")]));
}

async fn queue_over_its_bound_refuses(on: On) {
    let bench = Bench::bounded(on, Bounds { queue_bytes: 1, ..Bounds::default() });
    let commits: Vec<_> = (0..50)
        .map(|n| {
            let store = bench.store.clone();
            tokio::spawn(async move { store.commit(vec![put(&format!("k{n:02}"), "1")]).await })
        })
        .collect();
    let mut kept = 0;
    for commit in commits {
        match commit.await.unwrap() {
            Ok(_) => kept += 1,
            Err(CommitError::Busy(bytes)) => assert!(bytes > 0),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(kept >= 1, "a single transaction may be larger than the bound");
    assert_eq!(bench.store.count(""), kept);
}
