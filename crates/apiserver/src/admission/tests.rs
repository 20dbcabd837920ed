//! Quotas and limit ranges in situations; upstream's words are held to what is recorded of it in the conformance script.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Counting, Quota, charge, fades, limit_range, usage};
use crate::kind::Kind;
use crate::kinds;

fn kind(name: &str) -> &'static Kind {
    kinds::all().iter().find(|kind| kind.kind == name).unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn pod(containers: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {}, "status": {"phase": "Pending"}});
    pod["spec"]["containers"] = containers;
    pod
}

fn quota(hard: Value, used: Value) -> Quota {
    let mut quota = json!({"metadata": {"name": "q"}, "spec": {}, "status": {}});
    quota["spec"]["hard"] = hard.clone();
    quota["status"]["hard"] = hard;
    quota["status"]["used"] = used;
    Quota::read(&quota)
}

fn asks(name: &str, requests: Value, limits: Value) -> Value {
    let mut container = json!({"name": name, "resources": {}});
    container["resources"]["requests"] = requests;
    container["resources"]["limits"] = limits;
    container
}

#[test]
fn one_pod_too_many_is_told_what_it_asks_for_and_what_is_used() {
    let mut quotas = [quota(json!({"pods": "1"}), json!({"pods": "1"}))];
    let before = quotas.clone();
    let why = charge(&mut quotas, kind("Pod"), None, &pod(json!([])), now()).unwrap_err();
    assert_eq!(why, "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1");
    assert_eq!(quotas, before);
}

#[test]
fn refusal_names_only_what_there_is_too_little_of() {
    let hard = json!({"pods": "5", "requests.cpu": "1", "limits.memory": "1Gi"});
    let mut quotas = [quota(hard, json!({"pods": "1", "requests.cpu": "500m", "limits.memory": "0"}))];
    let new = pod(json!([asks("a", json!({"cpu": "600m"}), json!({"memory": "2Gi"}))]));
    let why = charge(&mut quotas, kind("Pod"), None, &new, now()).unwrap_err();
    assert_eq!(
        why,
        "exceeded quota: q, requested: limits.memory=2Gi,requests.cpu=600m, used: limits.memory=0,requests.cpu=500m, limited: limits.memory=1Gi,requests.cpu=1"
    );
}

#[test]
fn containers_must_ask_for_what_is_limited() {
    let hard = json!({"requests.cpu": "1", "limits.memory": "1Gi", "pods": "1"});
    let mut quotas = [quota(hard, json!({"requests.cpu": "0", "limits.memory": "0", "pods": "0"}))];
    let new = pod(json!([{"name": "b"}, asks("a", json!({"cpu": "1"}), json!({}))]));
    let why = charge(&mut quotas, kind("Pod"), None, &new, now()).unwrap_err();
    assert_eq!(why, "failed quota: q: must specify limits.memory for: a,b; requests.cpu for: b");
}

#[test]
fn quota_that_is_not_counted_yet_lets_nobody_in_and_one_without_status_everybody() {
    let mut quotas = [quota(json!({"pods": "1"}), json!({}))];
    let why = charge(&mut quotas, kind("Pod"), None, &pod(json!([])), now()).unwrap_err();
    assert_eq!(why, "status unknown for quota: q, resources: pods");
    let mut quotas = [Quota::read(&json!({"spec": {"hard": {"pods": "0"}}}))];
    assert_eq!(charge(&mut quotas, kind("Pod"), None, &pod(json!([])), now()), Ok(vec![]));
}

#[test]
fn jobs_are_counted_by_their_group_and_pods_do_not_matter_to_that() {
    let mut quotas = [quota(json!({"count/jobs.batch": "2"}), json!({"count/jobs.batch": "1"}))];
    let job = json!({"metadata": {"name": "j"}});
    assert_eq!(charge(&mut quotas, kind("Pod"), None, &pod(json!([])), now()), Ok(vec![]));
    assert_eq!(charge(&mut quotas, kind("Job"), None, &job, now()), Ok(vec![0]));
    assert_eq!(quotas[0].status()["used"], json!({"count/jobs.batch": "2"}));
    assert!(charge(&mut quotas, kind("Job"), None, &job, now()).is_err());
}

#[test]
fn second_quota_that_refuses_leaves_the_first_as_it_was() {
    let mut quotas = [
        quota(json!({"pods": "9"}), json!({"pods": "0"})),
        quota(json!({"count/pods": "0"}), json!({"count/pods": "0"})),
    ];
    assert!(charge(&mut quotas, kind("Pod"), None, &pod(json!([])), now()).is_err());
    assert_eq!(quotas[0].status()["used"], json!({"pods": "0"}));
}

#[test]
fn scopes_choose_pods() {
    let scoped = |scopes: Value| {
        Quota::read(&json!({"metadata": {"name": "q"}, "spec": {"scopes": scopes},
            "status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}))
    };
    let mut ends = pod(json!([]));
    ends["spec"]["activeDeadlineSeconds"] = json!(5);
    let asking = pod(json!([asks("a", json!({"cpu": "1"}), json!({}))]));
    for (scopes, pod, refused) in [
        (json!(["Terminating"]), &ends, true),
        (json!(["NotTerminating"]), &ends, false),
        (json!(["BestEffort"]), &ends, true),
        (json!(["BestEffort"]), &asking, false),
        (json!(["NotBestEffort"]), &asking, true),
        (json!(["NotBestEffort", "Terminating"]), &asking, false),
        (json!(["PriorityClass"]), &asking, false),
    ] {
        let mut quotas = [scoped(scopes.clone())];
        let got = charge(&mut quotas, kind("Pod"), None, pod, now()).is_err();
        assert_eq!(got, refused, "{scopes}");
    }
}

#[test]
fn pod_gives_back_what_it_used_when_it_ends_but_is_still_there() {
    let hard = json!({"pods": "3", "count/pods": "3", "requests.cpu": "2"});
    let mut quota = quota(hard, json!({"pods": "1", "count/pods": "1", "requests.cpu": "500m"}));
    let before = pod(json!([asks("a", json!({"cpu": "500m"}), json!({}))]));
    let mut after = before.clone();
    after["status"]["phase"] = json!("Succeeded");
    let was = quota.clone();
    let shift = quota.shift(kind("Pod"), Some(&before), Some(&after), now());
    quota.apply(&shift);
    assert_eq!(quota.status()["used"], json!({"pods": "0", "count/pods": "1", "requests.cpu": "0"}));
    assert!(quota.gives_more_than(&was) && !was.gives_more_than(&quota));
    let shift = quota.shift(kind("Pod"), Some(&after), None, now());
    quota.apply(&shift);
    assert_eq!(quota.status()["used"], json!({"pods": "0", "count/pods": "0", "requests.cpu": "0"}));
}

#[test]
fn count_starts_at_nothing_and_keeps_what_nobody_here_counts() {
    let object = json!({"metadata": {"name": "q"},
        "spec": {"hard": {"pods": "2", "count/jobs.batch": "5", "services.nodeports": "1", "requests.cpu": "4"}},
        "status": {"hard": {"pods": "1"}, "used": {"pods": "9", "services.nodeports": "1"}}});
    let mut counted = Quota::renewed(&object);
    assert_eq!(counted.counting(kind("Pod")), Counting::Alive);
    assert_eq!(counted.counting(kind("Job")), Counting::Number);
    assert_eq!(counted.counting(kind("Secret")), Counting::No);
    counted.count(kind("Job"), 3);
    for cpu in ["1500m", "500m"] {
        counted.count_object(kind("Pod"), &pod(json!([asks("a", json!({"cpu": cpu}), json!({}))])), now());
    }
    counted.counted(&Quota::read(&object), kinds::all());
    assert_eq!(
        counted.status()["used"],
        json!({"pods": "2", "count/jobs.batch": "3", "services.nodeports": "1", "requests.cpu": "2"})
    );
}

/// What happens to the pods of a namespace.
#[derive(Clone, Debug)]
enum Happening {
    /// One comes that asks for so many thousandths of a CPU.
    Comes(u32),
    /// One of those that are there ends.
    Ends(usize),
    /// One of those that are there goes.
    Goes(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0u32..900).prop_map(Happening::Comes),
        1 => (0usize..8).prop_map(Happening::Ends),
        1 => (0usize..8).prop_map(Happening::Goes),
    ]
}

proptest! {
    #[test]
    fn what_is_charged_and_given_back_is_what_a_count_finds(history in prop::collection::vec(happening(), 0..40)) {
        let hard = json!({"pods": "4", "count/pods": "6", "requests.cpu": "1500m"});
        let nothing = json!({"pods": "0", "count/pods": "0", "requests.cpu": "0"});
        let mut quotas = [quota(hard, nothing)];
        let mut pods: Vec<Value> = Vec::new();
        let of_pods = kind("Pod");
        for happening in history {
            match happening {
                Happening::Comes(cpu) => {
                    let new = pod(json!([asks("a", json!({"cpu": format!("{cpu}m")}), json!({}))]));
                    if charge(&mut quotas, of_pods, None, &new, now()).is_ok() {
                        pods.push(new);
                    }
                }
                Happening::Ends(at) if at < pods.len() => {
                    let before = pods[at].clone();
                    pods[at]["status"]["phase"] = json!("Succeeded");
                    let shift = quotas[0].shift(of_pods, Some(&before), Some(&pods[at]), now());
                    quotas[0].apply(&shift);
                }
                Happening::Goes(at) if at < pods.len() => {
                    let before = pods.remove(at);
                    let shift = quotas[0].shift(of_pods, Some(&before), None, now());
                    quotas[0].apply(&shift);
                }
                Happening::Ends(_) | Happening::Goes(_) => {}
            }
            let status = quotas[0].status();
            let object = json!({"metadata": {"name": "q"}, "spec": {"hard": status["hard"]}, "status": status});
            let mut counted = Quota::renewed(&object);
            pods.iter().for_each(|pod| counted.count_object(of_pods, pod, now()));
            counted.counted(&quotas[0], kinds::all());
            prop_assert_eq!(&counted.status(), &status);
            let living = pods.iter().filter(|pod| pod["status"]["phase"] == "Pending").count();
            prop_assert!(living <= 4 && pods.len() <= 6, "{} of {}", living, pods.len());
        }
    }
}

#[test]
fn claims_use_storage_by_class_too() {
    let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
    let used = usage(kind("PersistentVolumeClaim"), &claim, now());
    assert_eq!(
        used.to_string(),
        "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi"
    );
    let mut quotas = [quota(json!({"requests.storage": "2Gi"}), json!({"requests.storage": "1Gi"}))];
    let mut larger = claim.clone();
    larger["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
    let claims = kind("PersistentVolumeClaim");
    assert_eq!(charge(&mut quotas, claims, Some(&claim), &larger, now()), Ok(vec![0]));
    assert_eq!(quotas[0].status()["used"], json!({"requests.storage": "2Gi"}));
}

#[test]
fn events_are_never_limited() {
    let mut quotas = [quota(json!({"count/events": "0"}), json!({"count/events": "0"}))];
    assert_eq!(charge(&mut quotas, kind("Event"), None, &json!({}), now()), Ok(vec![]));
}

#[test]
fn pod_that_should_be_gone_is_not_held_against_its_namespace() {
    let mut stuck = pod(json!([]));
    stuck["metadata"]["deletionTimestamp"] = json!("2026-11-21T11:00:00Z");
    stuck["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    assert_eq!(usage(kind("Pod"), &stuck, now()).to_string(), "count/pods=1");
    assert!(!fades(kind("Pod"), &stuck, now()), "nothing more is given back");
    stuck["metadata"]["deletionTimestamp"] = json!("2026-11-21T11:59:45Z");
    assert_eq!(usage(kind("Pod"), &stuck, now()).to_string(), "count/pods=1,pods=1");
    assert!(fades(kind("Pod"), &stuck, now()));
}

#[test]
fn limit_range_gives_what_is_not_said_and_tells_it() {
    let range = json!({"spec": {"limits": [
        {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}]}});
    let mut new = pod(json!([{"name": "a"}, asks("b", json!({"cpu": "2"}), json!({"cpu": "3"}))]));
    assert!(limit_range::fill(&range, &mut new));
    assert_eq!(
        new["spec"]["containers"],
        json!([
            asks("a", json!({"cpu": "100m"}), json!({"cpu": "1", "memory": "1Gi"})),
            asks("b", json!({"cpu": "2"}), json!({"cpu": "3", "memory": "1Gi"})),
        ])
    );
    assert_eq!(
        new["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container a; cpu, memory limit for container a; memory limit for container b"
    );
    let before = new.clone();
    assert!(!limit_range::fill(&range, &mut new));
    assert_eq!(new, before);
}

#[test]
fn limit_range_refuses_in_upstreams_words() {
    let check = |limit: Value, containers: Value, expected: Option<&str>| {
        let range = json!({"spec": {"limits": [limit]}});
        assert_eq!(limit_range::refusal(&range, "Pod", &pod(containers)).as_deref(), expected);
    };
    let cpu = |request: &str, limit: &str| json!([asks("a", json!({"cpu": request}), json!({"cpu": limit}))]);
    let of = |list: &str, value: &str| json!({"type": "Container", list: {"cpu": value}});
    check(of("min", "1"), cpu("1", "1"), None);
    check(
        of("min", "1"),
        cpu("500m", "1"),
        Some("minimum cpu usage per Container is 1, but request is 500m"),
    );
    check(
        of("min", "1"),
        json!([{"name": "a"}]),
        Some("minimum cpu usage per Container is 1.  No request is specified"),
    );
    check(of("max", "1"), cpu("1", "2"), Some("maximum cpu usage per Container is 1, but limit is 2"));
    check(
        of("max", "1"),
        json!([{"name": "a"}]),
        Some("maximum cpu usage per Container is 1.  No limit is specified"),
    );
    check(
        of("maxLimitRequestRatio", "2"),
        cpu("1", "3"),
        Some("cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
    );
    let pods = json!({"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}});
    let two = json!([
        asks("a", json!({}), json!({"cpu": "1", "memory": "1Gi"})),
        asks("b", json!({}), json!({"cpu": "1", "memory": "1Gi"}))
    ]);
    check(
        pods,
        two,
        Some(
            "[maximum cpu usage per Pod is 1, but limit is 2, maximum memory usage per Pod is 1Gi, but limit is 2Gi]",
        ),
    );
}
