//! CronJobs: what can be said without a cluster that serves them, and that this machine's engine does not.

use serde_json::Value;

use crate::home::{Ended, Home, finish};

#[track_caller]
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

#[test]
fn the_next_times_of_a_schedule_are_told_without_a_cluster() {
    let home = Home::new();
    let line = ["cron", "next", "--schedule", "30 2 * * *", "--timezone", "Europe/Berlin", "--count", "2"];
    let mut command = home.command(&line);
    command.env("TZ", "Asia/Kolkata");
    let ended = finish(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(lines[0].starts_with("THERE") && lines[1].contains(" 02:30 +0"), "{ended:?}");
    assert!(lines[1].contains(" +05:30"), "{ended:?}");
    let data: Value = serde_json::from_str(&home.ok(&[&line[..], &["-o", "json"]].concat())).unwrap();
    assert_eq!((&data["timeZone"], data["times"].as_array().unwrap().len()), (&"Europe/Berlin".into(), 2));
    assert!(!home.state().join("lock").exists(), "nothing was started for it");
}

#[test]
fn mistakes_are_told_all_at_once_before_anything_is_started() {
    let home = Home::new();
    let line = [
        "cron",
        "create",
        "Night",
        "--schedule",
        "0 0 2 * * *",
        "--timezone",
        "Europe/Nowhere",
        "--id",
        "x",
        "--starting-deadline",
        "soon",
        "--",
        "true",
    ];
    let parts = [
        "NAME: \"Night\"",
        "--schedule: ",
        "none for seconds",
        "--timezone: ",
        "--id: ",
        "--starting-deadline: ",
    ];
    refused(&home.windlass(&line), 2, &parts);
    refused(
        &home.windlass(&["cron", "create", "--", "true"]),
        2,
        &["NAME: is missing", "--schedule: is missing"],
    );
    refused(&home.windlass(&["cron", "next", "--schedule", "0 0 30 2 *"]), 2, &["never comes"]);
    refused(&home.windlass(&["cron", "next"]), 2, &["CRONJOB"]);
    home.write(
        "bad.yaml",
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec:\n  schedule: 60 * * * *\n",
    );
    let parts =
        ["bad.yaml:5: spec.schedule: minute: \"60\"", "bad.yaml:4: spec.jobTemplate", "nothing was created"];
    refused(&home.windlass(&["cron", "create", "-f", "bad.yaml"]), 125, &parts);
    home.write("jobs.yaml", "windlass: v1\njobs:\n- command: [a]\n- command: [b]\n");
    let line = ["cron", "create", "n", "--schedule", "@daily", "-f", "jobs.yaml"];
    refused(&home.windlass(&line), 125, &["holds 2 jobs"]);
    home.write("job.yaml", "windlass: v1\nname: n\ncommand: [a]\n");
    refused(&home.windlass(&["cron", "create", "-f", "job.yaml"]), 125, &["--schedule: is missing"]);
    assert!(!home.state().join("lock").exists(), "nothing was started for it");
}

#[test]
fn the_engine_says_that_it_has_none() {
    let home = Home::new();
    for line in [
        &["cron", "list"][..],
        &["cron", "create", "n", "--schedule", "@daily", "--", "true"],
        &["cron", "suspend", "n"],
        &["cron", "run", "n"],
        &["cron", "next", "n"],
        &["cron", "delete", "n"],
    ] {
        let parts = ["the engine of this machine does not serve CronJobs", "--context NAME"];
        refused(&home.windlass(line), 125, &parts);
    }
}
