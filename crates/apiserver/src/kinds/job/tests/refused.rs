//! What new Jobs may not say.

use serde_json::{Value, json};

use super::{KIND, UID, job, named, put, shown, spec};

fn check(extra: Value, expect: &[&str]) {
    assert_eq!(shown(&(KIND.validate)(&job(extra.clone()))), expect, "{extra}");
}

#[test]
fn sound_jobs_are_accepted() {
    for extra in [
        json!({}),
        json!({"parallelism": 0, "completions": 0, "suspend": true}),
        json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1, "maxFailedIndexes": 5}),
        json!({"managedBy": "acme.io/foo"}),
        json!({"completionMode": "Indexed", "completions": 8, "successPolicy": {"rules": [
            {"succeededIndexes": "0,2-5,7", "succeededCount": 6}, {"succeededCount": 8},
        ]}}),
        json!({"podFailurePolicy": {"rules": [
            {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [1, 42]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        ]}}),
    ] {
        check(extra, &[]);
    }
}

#[test]
fn negative_numbers_are_refused_all_at_once() {
    check(
        json!({"parallelism": -1, "completions": -2, "activeDeadlineSeconds": -3, "backoffLimit": -4, "ttlSecondsAfterFinished": -5}),
        &[
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            "spec.completions: Invalid value: -2: must be greater than or equal to 0",
            "spec.activeDeadlineSeconds: Invalid value: -3: must be greater than or equal to 0",
            "spec.backoffLimit: Invalid value: -4: must be greater than or equal to 0",
            "spec.ttlSecondsAfterFinished: Invalid value: -5: must be greater than or equal to 0",
        ],
    );
}

#[test]
fn completion_modes_have_their_limits() {
    check(
        json!({"completionMode": "Odd"}),
        &["spec.completionMode: Unsupported value: \"Odd\": supported values: \"NonIndexed\", \"Indexed\""],
    );
    check(
        json!({"completionMode": "", "backoffLimitPerIndex": 1}),
        &["spec.completionMode: Unsupported value: \"\": supported values: \"NonIndexed\", \"Indexed\""],
    );
    check(
        json!({"completionMode": "Indexed", "parallelism": 100_001}),
        &[
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
            "spec.completions: Required value: when completion mode is Indexed",
        ],
    );
    check(
        json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 1}),
        &[
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        ],
    );
    check(
        json!({"completionMode": "Indexed", "completions": 3, "maxFailedIndexes": 4}),
        &[
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
        ],
    );
    check(
        json!({"completionMode": "Indexed", "completions": 100_001, "backoffLimitPerIndex": 1, "parallelism": 10_001}),
        &[
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
        ],
    );
}

#[test]
fn restart_policy_must_let_the_pods_end() {
    let check = |policy: Value, more: Value, expect: &[&str]| {
        let mut job = job(more);
        put(&mut job, "/spec/template/spec/restartPolicy", policy);
        assert_eq!(shown(&(KIND.validate)(&job)), expect);
    };
    let required = "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"";
    check(json!("Always"), json!({}), &[required]);
    check(
        json!("Sometimes"),
        json!({}),
        &[
            "spec.template.spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.template.spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"OnFailure\", \"Never\"",
        ],
    );
    check(
        json!("OnFailure"),
        json!({"podFailurePolicy": {"rules": []}}),
        &[
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
        ],
    );
}

#[test]
fn failure_policies_are_checked_rule_by_rule() {
    let rule = |rule: Value| json!({"podFailurePolicy": {"rules": [rule]}});
    let at = "spec.podFailurePolicy.rules[0]";
    let check = |given: Value, expect: &[&str]| {
        let expect: Vec<String> = expect.iter().map(|e| format!("{at}{e}")).collect();
        check(rule(given), &expect.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let condition = json!([{"type": "DisruptionTarget"}]);
    check(
        json!({}),
        &[
            ".action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            ": Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ],
    );
    check(
        json!({"action": "FailIndex", "onPodConditions": condition}),
        &[".action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set"],
    );
    check(
        json!({"action": "Panic", "onPodConditions": condition}),
        &[
            ".action: Unsupported value: \"Panic\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
        ],
    );
    check(
        json!({"action": "Count", "onPodConditions": condition, "onExitCodes": {"operator": "NotIn", "values": [1]}}),
        &[": Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"],
    );
    check(
        json!({"action": "Count", "onExitCodes": {"containerName": "x", "operator": "In", "values": [3, 0, 3]}}),
        &[
            ".onExitCodes.containerName: Invalid value: \"x\": must be one of the container or initContainer names in the pod template",
            ".onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
            ".onExitCodes.values[2]: Duplicate value: 3",
            ".onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
        ],
    );
    check(
        json!({"action": "Count", "onExitCodes": {}}),
        &[
            ".onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]",
            ".onExitCodes.values: Invalid value: []: at least one value is required",
        ],
    );
}

#[test]
fn too_many_failure_rules_are_refused() {
    let rules = vec![json!({"action": "Count", "onPodConditions": [{"type": "A"}]}); 21];
    check(
        json!({"podFailurePolicy": {"rules": rules}}),
        &["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"],
    );
}

#[test]
fn success_policies_are_checked_rule_by_rule() {
    let policy = |rules: Value| json!({"completionMode": "Indexed", "completions": 5, "successPolicy": {"rules": rules}});
    let at = "spec.successPolicy.rules";
    check(
        policy(json!([])),
        &[&format!(
            "{at}: Required value: at least one rules must be specified when the successPolicy is specified"
        )],
    );
    check(
        policy(json!([{}])),
        &[&format!(
            "{at}[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"
        )],
    );
    check(
        policy(json!([{"succeededIndexes": "0-1", "succeededCount": 6}])),
        &[
            &format!(
                "{at}[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)"
            ),
            &format!(
                "{at}[0].succeededCount: Invalid value: 6: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"
            ),
        ],
    );
    for (list, why) in [
        (
            "1-2-3",
            "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
        ),
        ("a", "cannot convert string to integer for index: \"a\""),
        ("9", "too large index: \"9\""),
        ("3,2", "non-increasing order, previous: 3, current: 2"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
    ] {
        check(
            policy(json!([{"succeededIndexes": list}])),
            &[&format!(
                "{at}[0].succeededIndexes: Invalid value: {list:?}: error parsing succeededIndexes: {why}"
            )],
        );
    }
    check(
        json!({"successPolicy": {"rules": []}}),
        &["spec.successPolicy: Invalid value: {\"rules\":[]}: requires indexed completion mode"],
    );
}

#[test]
fn replacement_and_management_are_closed_sets() {
    check(
        json!({"podReplacementPolicy": "Never"}),
        &[
            "spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ],
    );
    check(
        json!({"podFailurePolicy": {"rules": []}, "podReplacementPolicy": "TerminatingOrFailed"}),
        &[
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
        ],
    );
    check(
        json!({"managedBy": "foo"}),
        &["spec.managedBy: Invalid value: \"foo\": must be a domain-prefixed path (such as \"acme.io/foo\")"],
    );
    check(
        json!({"managedBy": format!("acme.io/{}", "x".repeat(60))}),
        &["spec.managedBy: Too long: may not be more than 63 bytes"],
    );
}

#[test]
fn own_labels_may_not_pretend_to_be_generated() {
    let mut given = spec(json!({"template": {
        "metadata": {"labels": {"job-name": "other"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    }}));
    given["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    let job = named(given);
    let labels = job["spec"]["template"]["metadata"]["labels"].to_string();
    let selector = job["spec"]["selector"].to_string();
    assert_eq!(
        shown(&(KIND.validate)(&job)),
        [
            format!("spec.template.metadata.labels[job-name]: Invalid value: {labels}: must be 'pi'"),
            format!("spec.selector: Invalid value: {selector}: `selector` not auto-generated"),
            format!(
                "spec.template.metadata.labels: Invalid value: {labels}: `selector` does not match template `labels`"
            ),
        ]
    );
}

#[test]
fn own_selector_must_be_given_and_match() {
    let manual = |selector: Value| {
        let mut job = job(json!({}));
        job["spec"]["manualSelector"] = true.into();
        job["spec"]["selector"] = selector;
        shown(&(KIND.validate)(&job))
    };
    let without = manual(Value::Null);
    assert_eq!(without[0], "spec.selector: Required value");
    assert!(without[1].ends_with(": `selector` does not match template `labels`"));
    assert_eq!(without.len(), 2);
    assert!(manual(json!({"matchLabels": {"job-name": "pi"}})).is_empty());
    assert!(
        manual(json!({"matchExpressions": [{"key": "controller-uid", "operator": "In", "values": [UID]}]}))
            .is_empty()
    );
    assert_eq!(
        manual(json!({"matchExpressions": [{"key": "a", "operator": "Like"}]})),
        [
            "spec.selector.matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator"
        ]
    );
}

#[test]
fn indexed_jobs_need_names_that_fit_host_names() {
    let mut job = job(json!({"completionMode": "Indexed", "completions": 10}));
    let long = "a".repeat(62);
    job["metadata"]["name"] = long.clone().into();
    for key in ["job-name", "batch.kubernetes.io/job-name"] {
        job["spec"]["template"]["metadata"]["labels"][key] = long.clone().into();
    }
    assert_eq!(
        shown(&(KIND.validate)(&job)),
        [format!(
            "metadata.name: Invalid value: {long:?}: will not able to create pod with invalid DNS label: {long}-9"
        )]
    );
}

#[test]
fn names_that_are_no_labels_only_warn() {
    let mut job = job(json!({}));
    assert!((KIND.warnings)(&job).is_empty());
    job["metadata"]["name"] = "a.b".into();
    assert_eq!(
        (KIND.warnings)(&job),
        [
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"
        ]
    );
}

#[test]
fn fate_belongs_to_the_template_and_is_looked_at_there() {
    let mut misplaced = job(json!({}));
    misplaced["metadata"]["annotations"] = json!({"fate.windlass.dev/pod": "exit: 1"});
    assert_eq!(
        shown(&(KIND.validate)(&misplaced)),
        [
            "metadata.annotations[fate.windlass.dev/pod]: Forbidden: it is read where the pod is described: write it under spec.template.metadata.annotations"
        ]
    );
    let mut mistaken = job(json!({}));
    mistaken["spec"]["template"]["metadata"]["annotations"] = json!({"fate.windlass.dev/pod": "run: soon"});
    assert_eq!(
        shown(&(KIND.validate)(&mistaken)),
        [
            "spec.template.metadata.annotations[fate.windlass.dev/pod]: Invalid value: \"run: soon\": run: \"soon\" is no time: write it like 500ms, 90s, 5m, 1h30m or 2d, or forever"
        ]
    );
    let indexed = json!({"fate.windlass.dev/pod": "index: {0: {exit: 1}}"});
    mistaken["spec"]["template"]["metadata"]["annotations"] = indexed.clone();
    let told = shown(&(KIND.validate)(&mistaken));
    assert!(told[0].contains("the Job's pods have no index: set completionMode: Indexed"), "{told:?}");
    let mut sound = job(json!({"completionMode": "Indexed", "completions": 2}));
    sound["spec"]["template"]["metadata"]["annotations"] = indexed;
    assert_eq!(shown(&(KIND.validate)(&sound)), [""; 0]);
}
