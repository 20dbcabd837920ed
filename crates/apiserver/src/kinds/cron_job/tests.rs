//! Situations of CronJobs: what they become, what is refused and in which words, how they are shown.
#![expect(clippy::needless_pass_by_value, reason = "rows read best as literals")]

use serde_json::{Value, json};

use super::KIND;

/// A CronJob with one container and, in its spec, what the row adds.
fn cron(extra: Value) -> Value {
    let mut cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "uid": "u"},
        "spec": {"schedule": "30 2 * * *", "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}],
        }}}}},
    });
    for (key, value) in extra.as_object().into_iter().flatten() {
        cron["spec"][key] = value.clone();
    }
    (KIND.default)(&mut cron);
    cron
}

/// The same with something else in its job's spec.
fn of_job(extra: Value) -> Value {
    let mut cron = cron(json!({}));
    for (key, value) in extra.as_object().into_iter().flatten() {
        cron["spec"]["jobTemplate"]["spec"][key] = value.clone();
    }
    cron
}

fn shown(errors: crate::field::Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn it_is_filled_as_upstream_fills_it_and_its_job_is_not() {
    let mut new = cron(json!({}));
    new["status"] = json!({"lastScheduleTime": "2026-01-01T00:00:00Z"});
    (KIND.prepare_create)(&mut new);
    let spec = &new["spec"];
    assert_eq!(spec["concurrencyPolicy"], "Allow");
    assert_eq!(spec["suspend"], false);
    assert_eq!(
        (&spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]),
        (&3.into(), &1.into())
    );
    let job = &spec["jobTemplate"]["spec"];
    assert_eq!(job.as_object().unwrap().keys().collect::<Vec<_>>(), ["template"]);
    assert_eq!(job["template"]["spec"]["dnsPolicy"], "ClusterFirst");
    assert_eq!((&new["status"], &new["metadata"]["generation"]), (&json!({}), &1.into()));
    assert_eq!(shown((KIND.validate)(&new)), [""; 0]);
}

#[test]
fn what_upstream_refuses_is_refused_in_its_words() {
    for (object, expect) in [
        (cron(json!({"schedule": ""})), &["spec.schedule: Required value"][..]),
        (
            cron(json!({"schedule": "* * * *"})),
            &["spec.schedule: Invalid value: \"* * * *\": expected exactly 5 fields, found 4: [* * * *]"],
        ),
        (
            cron(json!({"schedule": "* * * * 7"})),
            &["spec.schedule: Invalid value: \"* * * * 7\": end of range (7) above maximum (6): 7"],
        ),
        (
            cron(json!({"schedule": "TZ=UTC 0 * * * *"})),
            &[
                "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ],
        ),
        (
            cron(json!({"schedule": "TZ=Nowhere 0 * * * *"})),
            &[
                "spec.schedule: Invalid value: \"TZ=Nowhere 0 * * * *\": provided bad location Nowhere: unknown time zone Nowhere",
                "spec.schedule: Invalid value: \"TZ=Nowhere 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ],
        ),
        (
            cron(json!({"schedule": "TZ=0"})),
            &[
                "spec.schedule: Invalid value: \"TZ=0\": invalid schedule format: runtime error: slice bounds out of range [:-1]",
                "spec.schedule: Invalid value: \"TZ=0\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ],
        ),
        (
            cron(json!({"timeZone": ""})),
            &["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"],
        ),
        (
            cron(json!({"timeZone": "../etc"})),
            &["spec.timeZone: Invalid value: \"../etc\": unknown time zone ../etc"],
        ),
        (
            cron(json!({"timeZone": "Local"})),
            &[
                "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ],
        ),
        (
            cron(json!({"timeZone": "europe/berlin"})),
            &["spec.timeZone: Invalid value: \"europe/berlin\": unknown time zone europe/berlin"],
        ),
        (
            cron(json!({"concurrencyPolicy": "Never"})),
            &[
                "spec.concurrencyPolicy: Unsupported value: \"Never\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            ],
        ),
        (
            cron(
                json!({"startingDeadlineSeconds": -1, "successfulJobsHistoryLimit": -1, "failedJobsHistoryLimit": -1}),
            ),
            &[
                "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            of_job(json!({"selector": {"matchLabels": {"a": "b"}}})),
            &[
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
            ],
        ),
        (
            of_job(json!({"manualSelector": true})),
            &[
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ],
        ),
        (
            of_job(json!({"backoffLimitPerIndex": 1})),
            &[
                "spec.jobTemplate.spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            ],
        ),
        (
            of_job(json!({"parallelism": -1})),
            &["spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0"],
        ),
    ] {
        assert_eq!(shown((KIND.validate)(&object)), expect, "{object}");
    }
}

#[test]
fn name_has_room_for_what_its_jobs_names_add() {
    let mut long = cron(json!({}));
    long["metadata"]["name"] = "a".repeat(53).into();
    let expect =
        format!("metadata.name: Invalid value: \"{}\": must be no more than 52 characters", "a".repeat(53));
    assert_eq!(shown((KIND.validate)(&long)), [expect]);
    assert_eq!(shown((KIND.validate_update)(&long, &long, false)), [""; 0], "one that is there is kept");
    long["metadata"]["name"] = "a".repeat(52).into();
    assert_eq!(shown((KIND.validate)(&long)), [""; 0]);
}

#[test]
fn what_an_old_one_has_stays_and_what_is_new_is_checked() {
    let zoned = cron(json!({"schedule": "TZ=UTC 0 * * * *"}));
    assert_eq!(shown((KIND.validate_update)(&zoned, &zoned, false)), [""; 0]);
    let both = cron(json!({"schedule": "TZ=UTC 0 * * * *", "timeZone": "UTC"}));
    assert_eq!(
        shown((KIND.validate_update)(&both, &zoned, false)),
        [
            "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use both timeZone field and TZ or CRON_TZ in schedule"
        ]
    );
    let unknown = cron(json!({"timeZone": "Old/Zone"}));
    assert_eq!(shown((KIND.validate_update)(&unknown, &unknown, false)), [""; 0]);
    assert_eq!(
        shown((KIND.validate_update)(&unknown, &cron(json!({})), false)),
        ["spec.timeZone: Invalid value: \"Old/Zone\": unknown time zone Old/Zone"]
    );
    let negative = cron(json!({"startingDeadlineSeconds": -1}));
    assert_eq!(
        shown((KIND.validate_update)(&negative, &negative, true)),
        [""; 0],
        "the status has its own door"
    );
}

#[test]
fn an_update_keeps_the_status_and_counts_changes_of_the_spec() {
    let mut old = cron(json!({}));
    old["metadata"]["generation"] = 4.into();
    old["status"] = json!({"lastScheduleTime": "2026-01-01T00:00:00Z"});
    let mut new = cron(json!({"suspend": true}));
    (KIND.prepare_update)(&mut new, &old);
    assert_eq!((&new["status"], &new["metadata"]["generation"]), (&old["status"], &5.into()));
    let mut status = cron(json!({"suspend": true}));
    status["status"] = json!({"active": []});
    (KIND.prepare_status)(&mut status, &old);
    assert_eq!((&status["spec"]["suspend"], &status["status"]), (&false.into(), &json!({"active": []})));
}

#[test]
fn writer_is_warned_as_upstream_warns() {
    assert_eq!((KIND.warnings)(&cron(json!({}))), [""; 0]);
    let mut dotted = cron(json!({"schedule": "TZ=UTC 0 * * * *"}));
    dotted["metadata"]["name"] = "a.b".into();
    let warnings = (KIND.warnings)(&dotted);
    assert!(warnings[0].starts_with("metadata.name: this is used in Pod names"), "{warnings:?}");
    assert!(warnings[1].starts_with("cannot use TZ or CRON_TZ in spec.spec.schedule"), "{warnings:?}");
}

#[test]
fn row_shows_when_it_was_due_and_what_runs() {
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    let cells = (KIND.cells)(&cron(json!({})), now);
    assert_eq!(
        cells[..6],
        ["nightly".into(), "30 2 * * *".into(), "<none>".into(), "False".into(), 0.into(), "<none>".into()]
            as [Value; 6]
    );
    let mut running = cron(json!({"timeZone": "Europe/Berlin", "suspend": true}));
    running["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    running["status"] =
        json!({"active": [{"name": "nightly-1"}], "lastScheduleTime": "2026-01-01T00:30:00Z"});
    let cells = (KIND.cells)(&running, now);
    let expect: [Value; 9] = [
        "nightly".into(),
        "30 2 * * *".into(),
        "Europe/Berlin".into(),
        "True".into(),
        1.into(),
        "30m".into(),
        "60m".into(),
        "c".into(),
        "busybox".into(),
    ];
    assert_eq!(cells[..9], expect);
    assert_eq!(cells[9], "<none>");
}

#[test]
fn fate_belongs_to_the_pods_template_alone() {
    let fate = json!({"fate.windlass.dev/pod": "exit: 1"});
    for place in ["/metadata", "/spec/jobTemplate/metadata"] {
        let mut cron = cron(json!({}));
        cron.pointer_mut(place).unwrap()["annotations"] = fate.clone();
        let told = shown((KIND.validate)(&cron));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].ends_with("write it under spec.jobTemplate.spec.template.metadata.annotations"),
            "{told:?}"
        );
        assert_eq!(shown((KIND.validate_update)(&cron, &cron, false)), told);
    }
}
