//! Lists: prefixes, pages, filters and older revisions.

use windlass_store::{Bounds, ListRequest, ReadError, Revision, Tags};

use crate::kit::{Bench, On, all, delete, pairs, put, tagged, texts};

crate::on_both!(
    prefix_bounds_a_list,
    pages_cover_a_list_once,
    pages_stay_at_their_revision_while_writers_write,
    filter_sees_tags_and_counts_nothing,
    older_revisions_are_listed_as_they_were,
    revision_ahead_is_refused,
    forgotten_revision_is_refused,
    old_changes_are_forgotten_by_age,
    old_changes_are_forgotten_though_nobody_writes,
    scan_shows_keys_and_tags_of_one_revision,
    scan_shows_one_revision_while_its_visitor_waits_for_writers,
);

async fn prefix_bounds_a_list(on: On) {
    let bench = Bench::new(on);
    let keys = ["a", "b/", "b/1", "b/2", "b0", "c"];
    bench.store.commit(keys.map(|k| put(k, k)).to_vec()).await.unwrap();
    let list = |prefix, after_key| {
        let page = bench.store.list(&ListRequest { prefix, after_key, ..all() }).unwrap();
        assert_eq!((page.more, page.remaining), (false, Some(0)));
        texts(&page).into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(list("b/", None), ["b/", "b/1", "b/2"]);
    assert_eq!(list("b/", Some("b/1")), ["b/2"]);
    assert_eq!(list("b/", Some("a")), ["b/", "b/1", "b/2"]);
    assert_eq!(list("b/", Some("c")), [""; 0]);
    assert_eq!(list("", None), keys);
    assert_eq!(bench.store.count("b/"), 3);
    assert_eq!(bench.store.count("z"), 0);
    assert_eq!(bench.store.count(""), 6);
    bench.store.commit(vec![put("é/1", "1"), put("é/2", "1"), put("éé", "1"), put("ê", "1")]).await.unwrap();
    assert_eq!((bench.store.count("é"), bench.store.count("é/"), bench.store.count("é/1")), (3, 2, 1));
}

async fn pages_cover_a_list_once(on: On) {
    let bench = Bench::new(on);
    bench.store.commit((0..10).map(|n| put(&format!("k{n}"), "1")).collect()).await.unwrap();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let request = ListRequest { after_key: after.as_deref(), limit: Some(4), ..all() };
        let page = bench.store.list(&request).unwrap();
        seen.extend(texts(&page).into_iter().map(|(key, _)| key));
        assert_eq!(page.remaining, Some(10 - seen.len()));
        assert_eq!(page.more, seen.len() < 10);
        after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, (0..10).map(|n| format!("k{n}")).collect::<Vec<_>>());
    let none = bench.store.list(&ListRequest { limit: Some(0), ..all() }).unwrap();
    assert_eq!((none.entries.len(), none.more, none.remaining), (0, true, Some(10)));
}

async fn pages_stay_at_their_revision_while_writers_write(on: On) {
    let bench = Bench::new(on);
    bench.store.commit((0..6).map(|n| put(&format!("k{n}"), "old")).collect()).await.unwrap();
    let first = bench.store.list(&ListRequest { limit: Some(2), ..all() }).unwrap();
    bench
        .store
        .commit(vec![put("k0", "new"), put("k3", "new"), delete("k4"), put("k25", "new")])
        .await
        .unwrap();
    let rest = ListRequest { after_key: Some("k1"), at: Some(first.revision), ..all() };
    let rest = bench.store.list(&rest).unwrap();
    assert_eq!(rest.revision, first.revision);
    assert_eq!(texts(&rest), pairs(&[("k2", "old"), ("k3", "old"), ("k4", "old"), ("k5", "old")]));
    let now =
        pairs(&[("k0", "new"), ("k1", "old"), ("k2", "old"), ("k25", "new"), ("k3", "new"), ("k5", "old")]);
    assert_eq!(bench.now(), now);
}

async fn filter_sees_tags_and_counts_nothing(on: On) {
    let bench = Bench::new(on);
    let writes = (0..6).map(|n| tagged(&format!("k{n}"), "1", &[("even", &(n % 2 == 0).to_string())]));
    bench.store.commit(writes.collect()).await.unwrap();
    let even = |tags: &Tags| tags.get("even") == Some("true");
    let page = |limit| {
        let request = ListRequest { limit, filter: Some(&even), ..all() };
        let page = bench.store.list(&request).unwrap();
        assert_eq!(page.remaining, None);
        let by_tag = ListRequest { tagged: Some(("even", "true")), filter: None, ..request };
        assert_eq!(bench.store.list(&by_tag).unwrap(), page, "without an index too");
        (texts(&page).into_iter().map(|(key, _)| key).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(page(None), (vec!["k0".into(), "k2".into(), "k4".into()], false));
    assert_eq!(page(Some(2)), (vec!["k0".into(), "k2".into()], true));
    assert_eq!(page(Some(3)), (vec!["k0".into(), "k2".into(), "k4".into()], false), "k5 does not pass");
}

async fn older_revisions_are_listed_as_they_were(on: On) {
    let bench = Bench::new(on);
    bench.put("a", "1").await; // 1001
    bench.put("b", "1").await; // 1002
    bench.put("a", "2").await; // 1003
    bench.delete("b").await; // 1004
    bench.put("b", "2").await; // 1005
    let rows: [(u64, &[(&str, &str)]); 6] = [
        (1000, &[]),
        (1001, &[("a", "1")]),
        (1002, &[("a", "1"), ("b", "1")]),
        (1003, &[("a", "2"), ("b", "1")]),
        (1004, &[("a", "2")]),
        (1005, &[("a", "2"), ("b", "2")]),
    ];
    for (revision, expected) in rows {
        assert_eq!(bench.at(Revision(revision)).unwrap(), pairs(expected), "at {revision}");
    }
}

async fn revision_ahead_is_refused(on: On) {
    let bench = Bench::new(on);
    let error = bench.at(Revision(1001)).unwrap_err();
    assert!(matches!(error, ReadError::Ahead { asked: Revision(1001), newest: Revision(1000) }), "{error}");
}

async fn forgotten_revision_is_refused(on: On) {
    let bench = Bench::bounded(on, Bounds { log_bytes: 0, ..Bounds::default() });
    for n in 0..10 {
        bench.put("a", &n.to_string()).await;
    }
    let error = bench.at(Revision(1003)).unwrap_err();
    let ReadError::Compacted { asked: Revision(1003), oldest } = error else { panic!("{error}") };
    assert_eq!(bench.at(oldest).unwrap().len(), 1, "the oldest kept revision is readable");
    assert!(bench.at(Revision(oldest.0 - 1)).is_err());
    assert_eq!(bench.now(), pairs(&[("a", "9")]));
}

async fn old_changes_are_forgotten_by_age(on: On) {
    let bench = Bench::bounded(on, Bounds { log_age_ms: 1000, ..Bounds::default() });
    for n in 0..4 {
        bench.put("a", &n.to_string()).await;
    }
    bench.pass_ms(900);
    bench.put("a", "young").await;
    assert_eq!(bench.at(Revision(1000)).unwrap(), pairs(&[]));
    bench.pass_ms(200);
    bench.put("a", "now").await;
    assert!(bench.at(Revision(1003)).is_err());
    assert_eq!(bench.at(Revision(1005)).unwrap(), pairs(&[("a", "young")]));
}

async fn old_changes_are_forgotten_though_nobody_writes(on: On) {
    let bench = Bench::bounded(on, Bounds { log_age_ms: 1000, ..Bounds::default() });
    for n in 0..4 {
        bench.put("a", &n.to_string()).await;
    }
    bench.pass_ms(900);
    bench.put("a", "young").await;
    bench.pass_ms(200);
    bench.store.trim().await;
    assert!(bench.at(Revision(1003)).is_err());
    assert_eq!(bench.at(Revision(1004)).unwrap(), pairs(&[("a", "3")]));
    bench.pass_ms(10_000);
    bench.store.trim().await;
    assert!(bench.at(Revision(1003)).is_err(), "the last change stays, it tells the revision");
    assert_eq!(bench.at(Revision(1004)).unwrap(), pairs(&[("a", "3")]));
    assert_eq!(bench.now(), pairs(&[("a", "young")]));
    bench.put("b", "1").await;
    bench.store.close().await;
    bench.store.trim().await;
}

async fn scan_shows_keys_and_tags_of_one_revision(on: On) {
    let bench = Bench::new(on);
    bench
        .store
        .commit(vec![tagged("b/1", "1", &[("n", "v")]), put("a", "1"), put("b/2", "1")])
        .await
        .unwrap();
    bench.put("b/2", "2").await;
    bench.delete("a").await;
    let mut seen = Vec::new();
    let revision = bench.store.scan("b/", &mut |key, created, modified, tags| {
        seen.push((key.to_string(), created.0, modified.0, tags.get("n").map(str::to_owned)));
    });
    assert_eq!(revision, Revision(1005));
    assert_eq!(seen, [("b/1".into(), 1001, 1001, Some("v".into())), ("b/2".into(), 1003, 1004, None)]);
    let mut none = 0;
    assert_eq!(bench.store.scan("c", &mut |_, _, _, _| none += 1), revision);
    assert_eq!(none, 0);
}

async fn scan_shows_one_revision_while_its_visitor_waits_for_writers(on: On) {
    // Without a log everything old would be forgotten at once, were it not for the scan.
    let bench = Bench::bounded(on, Bounds { log_bytes: 0, ..Bounds::default() });
    let names: Vec<String> = (0..3000).map(|n| format!("k{n:04}")).collect();
    for part in names.chunks(500) {
        bench.store.commit(part.iter().map(|key| put(key, "old")).collect()).await.unwrap();
    }
    let (ask, mut asked) = tokio::sync::mpsc::channel(1);
    let (answer, mut answered) = tokio::sync::mpsc::channel::<()>(1);
    let scan = tokio::task::spawn_blocking({
        let store = bench.store.clone();
        move || {
            let mut seen = Vec::new();
            let revision = store.scan("", &mut |key, _, modified, _| {
                if seen.len().is_multiple_of(1000) {
                    ask.blocking_send(()).unwrap();
                    answered.blocking_recv().unwrap();
                }
                assert!(modified.0 <= 4000, "{key} was written after the scan began");
                seen.push(key.to_string());
            });
            (seen, revision)
        }
    });
    while asked.recv().await.is_some() {
        let changes = vec![put("k0001", "new"), delete("k1500"), put("k2500", "new"), put("k29995", "new")];
        bench.store.commit(changes).await.unwrap();
        answer.send(()).await.unwrap();
    }
    let (seen, revision) = scan.await.unwrap();
    assert_eq!(revision, Revision(4000));
    assert_eq!(seen, names);
}
