//! Watches: order, edges of filters, slow readers and the end.

use std::sync::Arc;
use std::time::Duration;

use windlass_store::{Bounds, Revision, Tags, Watch, WatchError};

use crate::kit::{Bench, FIRST, On, delete, line, lines, put, revisions, tagged};

crate::on_both!(
    every_change_comes_once_in_order,
    watch_begins_strictly_after_its_revision,
    watch_ahead_is_refused,
    waiting_watch_is_woken,
    prefix_bounds_a_watch_and_the_rest_counts_as_seen,
    filter_is_asked_before_and_after,
    deletion_can_be_shown_at_its_revision,
    slow_watcher_is_cut_off,
    dropped_wait_loses_nothing,
    large_values_come_a_few_at_a_time_and_all,
    close_ends_a_watch_after_what_is_left,
    many_writers_one_order,
    two_hundred_watchers_get_every_event_once_and_in_order,
);

/// What comes now or soon; a watch that hangs fails the test.
async fn next(watch: &mut Watch, max: usize) -> Result<Vec<windlass_store::Change>, WatchError> {
    tokio::time::timeout(Duration::from_secs(180), watch.next(max)).await.expect("the watch hangs")
}

async fn every_change_comes_once_in_order(on: On) {
    let bench = Bench::new(on);
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    bench.put("a", "1").await;
    bench.store.commit(vec![put("b", "1"), put("a", "2")]).await.unwrap();
    bench.delete("a").await;
    let first = next(&mut watch, 3).await.unwrap();
    assert_eq!(lines(&first), ["+a=1", "+b=1", "a=1>2"]);
    assert_eq!(watch.seen(), Revision(1003));
    let rest = next(&mut watch, 3).await.unwrap();
    assert_eq!(lines(&rest), ["-a=2"]);
    assert_eq!((revisions(&first), revisions(&rest)), (vec![1001, 1002, 1003], vec![1004]));
}

async fn watch_begins_strictly_after_its_revision(on: On) {
    let bench = Bench::new(on);
    bench.put("a", "1").await;
    bench.put("a", "2").await;
    let mut watch = bench.store.watch("", Revision(1001), None).unwrap();
    assert_eq!(lines(&next(&mut watch, 9).await.unwrap()), ["a=1>2"]);
}

async fn large_values_come_a_few_at_a_time_and_all(on: On) {
    let bench = Bench::bounded(on, Bounds { watch_bytes: 3_500, ..Bounds::default() });
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        bench.put(name, &"v".repeat(1000)).await;
    }
    // Both sides of a change count; one alone may be larger than the bound.
    bench.put("a", &"w".repeat(9000)).await;
    bench.put("b", "w").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let changes = next(&mut watch, 100).await.unwrap();
        assert_eq!(changes.last().unwrap().revision, watch.seen());
        seen.push(revisions(&changes));
    }
    assert_eq!(seen, [vec![1001, 1002, 1003], vec![1004, 1005], vec![1006], vec![1007]]);
}

async fn watch_ahead_is_refused(on: On) {
    let bench = Bench::new(on);
    let error = bench.store.watch("", Revision(1001), None).err().unwrap();
    assert!(matches!(error, WatchError::Ahead { asked: Revision(1001), newest: FIRST }), "{error}");
}

async fn waiting_watch_is_woken(on: On) {
    let bench = Bench::new(on);
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    let (changes, _) = tokio::join!(next(&mut watch, 9), bench.put("a", "1"));
    assert_eq!(lines(&changes.unwrap()), ["+a=1"]);
}

async fn prefix_bounds_a_watch_and_the_rest_counts_as_seen(on: On) {
    let bench = Bench::new(on);
    let mut watch = bench.store.watch("b/", FIRST, None).unwrap();
    bench.store.commit(vec![put("a", "1"), put("b/1", "1"), put("b0", "1")]).await.unwrap();
    assert_eq!(lines(&next(&mut watch, 9).await.unwrap()), ["+b/1=1"]);
    assert_eq!(watch.seen(), Revision(1003), "what was held back was seen too");
}

async fn filter_is_asked_before_and_after(on: On) {
    let bench = Bench::new(on);
    let red = Arc::new(|tags: &Tags| tags.get("colour") == Some("red"));
    let mut watch = bench.store.watch("", FIRST, Some(red)).unwrap();
    let colour = |value, colour| vec![tagged("a", value, &[("colour", colour)])];
    bench.store.commit(colour("1", "blue")).await.unwrap();
    bench.store.commit(colour("2", "red")).await.unwrap();
    bench.store.commit(colour("3", "red")).await.unwrap();
    bench.store.commit(colour("4", "blue")).await.unwrap();
    bench.store.commit(colour("5", "blue")).await.unwrap();
    bench.store.commit(colour("6", "red")).await.unwrap();
    bench.delete("a").await;
    let changes = next(&mut watch, 9).await.unwrap();
    assert_eq!(lines(&changes), ["a=1>2", "a=2>3", "a=3>4", "a=5>6", "-a=6"]);
    let left = changes[2].after.as_ref().unwrap();
    assert_eq!(left.tags.get("colour"), Some("blue"), "the watcher can tell that it left");
}

async fn deletion_can_be_shown_at_its_revision(on: On) {
    let bench = Bench::new(on);
    bench.put("a", "1").await;
    bench.delete("a").await;
    let mut watch = bench.store.watch("", Revision(1001), None).unwrap();
    let changes = next(&mut watch, 9).await.unwrap();
    let last = changes[0].before.as_ref().unwrap();
    assert_eq!(&*last.value.at_revision(changes[0].revision), b"1@1002");
}

async fn slow_watcher_is_cut_off(on: On) {
    let bench = Bench::bounded(on, Bounds { log_bytes: 2000, ..Bounds::default() });
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    bench.put("a", "0").await;
    assert_eq!(next(&mut watch, 1).await.unwrap().len(), 1);
    for n in 0..100 {
        bench.put("a", &n.to_string()).await;
    }
    let error = next(&mut watch, 1).await.unwrap_err();
    let WatchError::Compacted { asked: Revision(1001), oldest } = error else { panic!("{error}") };
    assert!(oldest > Revision(1001) && oldest < bench.store.revision());
    let mut again = bench.store.watch("", oldest, None).unwrap();
    assert_eq!(next(&mut again, 1).await.unwrap()[0].revision, Revision(oldest.0 + 1));
    assert!(bench.store.watch("", Revision(oldest.0 - 1), None).is_err());
}

async fn dropped_wait_loses_nothing(on: On) {
    let bench = Bench::new(on);
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    tokio::select! {
        biased;
        _ = watch.next(9) => panic!("nothing was written"),
        () = std::future::ready(()) => {}
    }
    bench.put("a", "1").await;
    assert_eq!(lines(&next(&mut watch, 9).await.unwrap()), ["+a=1"]);
}

async fn close_ends_a_watch_after_what_is_left(on: On) {
    let bench = Bench::new(on);
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    bench.store.commit(vec![put("a", "1"), delete("b")]).await.unwrap();
    bench.store.close().await;
    assert_eq!(lines(&next(&mut watch, 9).await.unwrap()), ["+a=1"]);
    let error = next(&mut watch, 9).await.unwrap_err();
    assert!(matches!(error, WatchError::Closed), "{error}");
}

async fn many_writers_one_order(on: On) {
    let bench = Bench::new(on);
    let mut watch = bench.store.watch("", FIRST, None).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|w| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    let pair =
                        vec![put(&format!("{w}"), &n.to_string()), put(&format!("{w}'"), &n.to_string())];
                    store.commit(pair).await.unwrap();
                }
            })
        })
        .collect();
    let mut changes = Vec::new();
    while changes.len() < 320 {
        changes.extend(next(&mut watch, 50).await.unwrap());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(revisions(&changes), (1001..=1320).collect::<Vec<_>>());
    for pair in changes.chunks(2) {
        let halves = [line(&pair[0]), line(&pair[1]).replace('\'', "")];
        assert_eq!(halves[0], halves[1], "a transaction's writes stay together");
    }
}

async fn two_hundred_watchers_get_every_event_once_and_in_order(on: On) {
    const WRITES: u64 = 300;
    let bench = Bench::new(on);
    let watchers: Vec<_> = (0..200)
        .map(|number| {
            let mut watch = bench.store.watch("", FIRST, None).unwrap();
            // Some take what comes one by one, some in pieces.
            let max = 1 + number % 7;
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while seen.len() < WRITES as usize {
                    let changes = next(&mut watch, max).await.unwrap();
                    assert!((1..=max).contains(&changes.len()));
                    seen.extend(changes.iter().map(|change| (change.revision.0, line(change))));
                }
                (seen, watch.seen())
            })
        })
        .collect();
    for number in (1..=WRITES).step_by(3) {
        let three = (number..number + 3).map(|n| put(&format!("k{n:03}"), &n.to_string())).collect();
        bench.store.commit(three).await.unwrap();
    }
    let wanted: Vec<_> = (1..=WRITES).map(|n| (FIRST.0 + n, format!("+k{n:03}={n}"))).collect();
    for watcher in watchers {
        let (seen, reached) = watcher.await.unwrap();
        assert!(seen == wanted, "{seen:?}");
        assert_eq!(reached, Revision(FIRST.0 + WRITES));
    }
}
