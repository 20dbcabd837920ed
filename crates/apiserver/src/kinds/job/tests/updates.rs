//! What may change on a Job, and when.

use serde_json::{Value, json};

use super::{KIND, job, put, shown};

/// The texts after an update that sets the pointers to the values.
fn update(old: &Value, changes: &[(&str, Value)]) -> Vec<String> {
    let mut new = old.clone();
    for (pointer, value) in changes {
        put(&mut new, pointer, value.clone());
    }
    (KIND.prepare_update)(&mut new, old);
    shown(&(KIND.validate_update)(&new, old, false))
}

const NODES: &str = "/spec/template/spec/nodeSelector";
const RESOURCES: &str = "/spec/template/spec/containers/0/resources";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[test]
fn scale_deadline_and_suspension_may_change() {
    let old = job(json!({"completions": 3}));
    for (pointer, value) in [
        ("/spec/parallelism", json!(7)),
        ("/spec/activeDeadlineSeconds", json!(7)),
        ("/spec/backoffLimit", json!(7)),
        ("/spec/ttlSecondsAfterFinished", json!(7)),
        ("/spec/suspend", json!(true)),
        ("/metadata/labels/a", json!("b")),
    ] {
        assert!(update(&old, &[(pointer, value)]).is_empty(), "{pointer}");
    }
}

#[test]
fn what_a_job_is_may_not_change() {
    let old = job(json!({"completions": 3}));
    let check = |pointer: &str, value: Value, expect: &str| {
        assert_eq!(update(&old, &[(pointer, value)]), [expect]);
    };
    check("/spec/completions", json!(4), "spec.completions: Invalid value: 4: field is immutable");
    check("/spec/managedBy", json!("a.b/c"), "spec.managedBy: Invalid value: \"a.b/c\": field is immutable");
    let refused = update(&old, &[(IMAGE, json!("other"))]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].starts_with("spec.template: Invalid value: {"), "{refused:?}");
    assert!(refused[0].ends_with(": field is immutable"), "{refused:?}");
}

#[test]
fn indexed_jobs_change_completions_only_with_parallelism() {
    let old = job(json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3}));
    assert_eq!(
        update(&old, &[("/spec/completions", json!(4))]),
        ["spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"]
    );
    assert!(update(&old, &[("/spec/completions", json!(4)), ("/spec/parallelism", json!(4))]).is_empty());
}

#[test]
fn suspended_jobs_at_rest_may_move_and_resize_but_not_become_other_jobs() {
    let mut old = job(json!({"suspend": true}));
    let selector = (NODES, json!({"kubernetes.io/hostname": "a"}));
    let affinity = ("/spec/template/spec/affinity", json!({"nodeAffinity": {"x": []}}));
    let size = (RESOURCES, json!({"limits": {"cpu": "1"}}));
    for changes in [vec![selector.clone()], vec![affinity], vec![size.clone()], vec![selector.clone(), size]]
    {
        assert_eq!(update(&old, &changes), Vec::<String>::new());
    }
    assert_eq!(update(&old, &[(IMAGE, json!("other"))]).len(), 1);
    let pods = ("/spec/template/spec/affinity", json!({"podAffinity": {}}));
    assert_eq!(update(&old, &[pods]).len(), 1);

    old["status"] = json!({"startTime": "2026-01-01T00:00:00Z"});
    assert_eq!(
        update(&old, std::slice::from_ref(&selector)).len(),
        1,
        "it started and is not yet known to be suspended"
    );
    old["status"]["conditions"] = json!([{"type": "Suspended", "status": "True"}]);
    assert!(update(&old, std::slice::from_ref(&selector)).is_empty());
    old["status"]["active"] = 1.into();
    assert_eq!(update(&old, &[selector]).len(), 1, "a pod still runs");
}

#[test]
fn updates_keep_the_status_and_count_changes_of_the_spec() {
    let mut old = job(json!({}));
    old["status"] = json!({"active": 1});
    let mut same = old.clone();
    same["status"] = json!({"active": 5});
    same["metadata"]["labels"]["a"] = "b".into();
    (KIND.prepare_update)(&mut same, &old);
    assert_eq!((&same["metadata"]["generation"], &same["status"]), (&json!(1), &json!({"active": 1})));
    let mut other = old.clone();
    other["spec"]["parallelism"] = 2.into();
    (KIND.prepare_update)(&mut other, &old);
    assert_eq!(other["metadata"]["generation"], 2);
}

#[test]
fn the_status_door_leaves_the_spec_alone() {
    let old = job(json!({}));
    let mut new = old.clone();
    new["spec"]["parallelism"] = 9.into();
    new["status"] = json!({"active": 1});
    new["metadata"]["annotations"] = json!({"patched": "yes"});
    (KIND.prepare_status)(&mut new, &old);
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"], json!({"active": 1}));
    assert_eq!(new["metadata"]["annotations"], json!({"patched": "yes"}));
    assert_eq!(new["metadata"]["generation"], 1);
}
