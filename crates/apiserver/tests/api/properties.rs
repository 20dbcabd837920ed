//! What holds for any history: pages add up, watches replay to the list, deletions only come closer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_apiserver::registry::{DeleteOptions, Mark, mark};

use crate::support::{Api, CONFIG_MAPS, config_map, kind};

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// One thing a writer does to a config map.
#[derive(Clone, Debug)]
enum Act {
    Make(u8, bool),
    Label(u8, bool),
    Write(u8, u8),
    Delete(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let name = 0..4u8;
    prop_oneof![
        (name.clone(), any::<bool>()).prop_map(|(n, x)| Act::Make(n, x)),
        (name.clone(), any::<bool>()).prop_map(|(n, x)| Act::Label(n, x)),
        (name.clone(), any::<u8>()).prop_map(|(n, v)| Act::Write(n, v)),
        name.prop_map(Act::Delete),
    ]
}

async fn perform(api: &Api, act: &Act) {
    let app = |x: bool| if x { "x" } else { "y" };
    // What cannot be done now (a name that is taken or not there) is refused, and changes nothing.
    match act {
        Act::Make(n, x) => api.post(CONFIG_MAPS, config_map(&format!("m{n}"), json!({"app": app(*x)}))).await,
        Act::Label(n, x) => {
            let body = json!({"metadata": {"labels": {"app": app(*x)}}});
            api.merge(&format!("{CONFIG_MAPS}/m{n}"), body).await
        }
        Act::Write(n, v) => {
            let body = json!({"data": {"a": v.to_string()}});
            api.merge(&format!("{CONFIG_MAPS}/m{n}"), body).await
        }
        Act::Delete(n) => api.delete(&format!("{CONFIG_MAPS}/m{n}")).await,
    };
}

fn by_name(list: &Value) -> BTreeMap<String, Value> {
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(|item| (name(item), item.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_watch_replayed_is_the_list(acts in prop::collection::vec(act(), 0..30)) {
        run(async {
            let api = Api::new().await;
            let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true&labelSelector=app%3Dx")).await;
            for act in &acts {
                perform(&api, act).await;
            }
            api.make(CONFIG_MAPS, config_map("the-end", json!({"app": "x"}))).await;
            let mut seen: BTreeMap<String, Value> = BTreeMap::new();
            let mut last = 0;
            while !seen.contains_key("the-end") {
                let mut event = lines.next().await.unwrap();
                let mut object = event["object"].take();
                let revision: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                assert!(revision > last, "revisions grow");
                last = revision;
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                for field in ["kind", "apiVersion"] {
                    object.as_object_mut().unwrap().remove(field);
                }
                match event["type"].as_str().unwrap() {
                    "ADDED" => assert!(seen.insert(name, object).is_none(), "added once"),
                    "MODIFIED" => assert!(seen.insert(name, object).is_some(), "modified when there"),
                    "DELETED" => assert!(seen.remove(&name).is_some(), "deleted when there"),
                    other => panic!("{other}"),
                }
            }
            let list = api.get(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx")).await.json();
            assert_eq!(seen, by_name(&list));
        });
    }

    #[test]
    fn pages_of_any_size_add_up_to_the_list(names in prop::collection::btree_set("[a-z]{1,4}", 0..12), limit in 1..6usize) {
        run(async {
            let api = Api::new().await;
            for name in &names {
                api.make(CONFIG_MAPS, config_map(name, json!({}))).await;
            }
            let mut found = BTreeSet::new();
            let mut token = String::new();
            loop {
                let page = api.get(&format!("{CONFIG_MAPS}?limit={limit}&continue={token}")).await.json();
                let items = by_name(&page);
                assert!(items.len() <= limit);
                for name in items.into_keys() {
                    assert!(found.insert(name), "each once");
                }
                match page["metadata"]["continue"].as_str() {
                    Some(next) => token = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(found, names);
        });
    }

    #[test]
    fn a_pods_deletion_only_comes_closer(
        scheduled in any::<bool>(),
        held in any::<bool>(),
        own in prop::option::of(0..100i64),
        deletes in prop::collection::vec((prop::option::of(-2..100i64), 0..20i64), 1..6),
    ) {
        let pods = kind("v1", "Pod");
        let mut pod = json!({"metadata": {"name": "p", "namespace": "default", "generation": 1}, "spec": {}});
        if scheduled { pod["spec"]["nodeName"] = json!("here"); }
        if held { pod["metadata"]["finalizers"] = json!(["example.com/held"]); }
        if let Some(own) = own { pod["spec"]["terminationGracePeriodSeconds"] = json!(own); }
        let mut now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut end: Option<(String, i64)> = None;
        for (grace, wait) in deletes {
            let options = DeleteOptions { grace_period_seconds: grace, ..DeleteOptions::default() };
            let Mark::Stays(stays) = mark(pods, &pod, &options, now) else {
                prop_assert!(!held, "a finalizer holds it");
                break;
            };
            let again = mark(pods, &stays, &options, now);
            prop_assert_eq!(&again, &Mark::Stays(stays.clone()), "twice is once");
            let at = stays["metadata"]["deletionTimestamp"].as_str().unwrap().to_owned();
            let grace = stays["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap();
            if let Some((before, graced)) = &end {
                prop_assert!(at <= *before && grace <= *graced);
            }
            prop_assert_eq!(stays["metadata"]["generation"].clone(), json!(2));
            end = Some((at, grace));
            pod = *stays;
            now = now.checked_add(SignedDuration::from_secs(wait)).unwrap();
        }
    }
}
