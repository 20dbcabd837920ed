//! CronJobs: what can be said without a cluster, and what this machine's engine makes of them.

use serde_json::Value;

use crate::home::{Ended, Home, finish, gone, until};

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

/// A directory in which each run leaves a file, and the command that does.
fn runs(home: &Home) -> (std::path::PathBuf, [String; 3]) {
    let runs = home.file("runs");
    std::fs::create_dir(&runs).unwrap();
    let command = ["mktemp".to_owned(), "-p".to_owned(), runs.display().to_string()];
    (runs, command)
}

fn count(runs: &std::path::Path) -> usize {
    std::fs::read_dir(runs).unwrap().count()
}

fn create(home: &Home, name: &str, schedule: &str, options: &[&str], command: &[String]) -> Ended {
    let mut line = vec!["cron", "create", name, "--schedule", schedule];
    line.extend(options);
    line.push("--");
    line.extend(command.iter().map(String::as_str));
    home.windlass(&line)
}

#[test]
fn the_engine_makes_jobs_by_a_schedule() {
    let home = Home::new();
    let (runs, command) = runs(&home);
    let ended = create(&home, "tick", "@every 1s", &[], &command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "tick\n"), "{ended:?}");
    assert!(ended.stderr.contains("tick: first due ") && ended.stderr.contains("up --install"), "{ended:?}");
    until(&runs, || count(&runs) > 0);
    let tick: Value = serde_json::from_str(&home.ok(&["cron", "list", "-o", "json"])).unwrap();
    assert!(tick["status"]["lastScheduleTime"].is_string(), "{tick}");
    assert!(home.ok(&["list", "-o", "name"]).lines().any(|name| name.starts_with("tick-")));

    home.ok(&["cron", "suspend", "tick"]);
    let shown = home.ok(&["cron", "list"]);
    assert!(
        shown.lines().nth(1).is_some_and(|line| line.contains("@every 1s") && line.contains(" yes ")),
        "{shown}"
    );
    let before = count(&runs);
    let job = home.ok(&["cron", "run", "tick", "--wait"]);
    assert!(job.starts_with("tick-") && count(&runs) > before, "{job}");
    home.ok(&["cron", "resume", "tick"]);
    let next = home.windlass(&["cron", "next", "tick"]);
    assert!(next.code == Some(0) && next.stdout.starts_with("THERE"), "{next:?}");
    assert!(next.stderr.contains("the engine goes by UTC"), "{next:?}");
    home.ok(&["cron", "delete", "tick"]);
    assert_eq!(home.ok(&["cron", "list"]), "");
}

#[test]
fn a_schedule_keeps_its_engine_until_it_is_suspended_or_deleted() {
    let home = Home::new();
    let (runs, command) = runs(&home);
    home.ok(&["up", "--idle-exit", "1s"]);
    assert_eq!(create(&home, "tick", "@every 4s", &[], &command).code, Some(0));
    let engine = home.engine().unwrap();
    // Nobody asks the engine for longer than it may be idle.
    until(&runs, || count(&runs) > 0);
    assert_eq!(home.engine(), Some(engine));
    home.ok(&["cron", "suspend", "tick"]);
    gone(engine);
}

#[test]
fn why_tells_of_a_cron_job_too() {
    let home = Home::new();
    let (_, command) = runs(&home);
    assert_eq!(create(&home, "nightly", "0 0 1 1 *", &[], &command).code, Some(0));
    let told = home.ok(&["why", "cronjob/nightly"]);
    assert!(told.starts_with("nightly (CronJob): its next job is due at 20"), "{told}");
    home.ok(&["cron", "suspend", "nightly"]);
    let told = "nightly (CronJob): suspended: it makes no jobs until it is resumed\n  next: windlass cron resume nightly\n";
    assert_eq!(home.ok(&["why", "cj/nightly"]), told);
    // No job is called so. However many of its jobs are there, whose names begin with its own, it is the one that is meant.
    assert_eq!(home.ok(&["why", "nightly"]), told);
    for job in ["nightly-1", "nightly-2"] {
        home.ok(&["run", "-q", "--name", job, "--", "true"]);
        assert_eq!(home.ok(&["why", "nightly"]), told, "{job}");
    }
    assert!(home.ok(&["why", "nightly-2"]).starts_with("nightly-2 (Succeeded)"));
    refused(&home.windlass(&["why", "cronjob/weekly"]), 125, &["there is no CronJob \"weekly\""]);
    refused(&home.windlass(&["why", "weekly"]), 125, &["there is no job \"weekly\""]);
    // A job goes before a CronJob of its name.
    home.ok(&["run", "-q", "--name", "nightly", "--", "true"]);
    assert!(home.ok(&["why", "nightly"]).starts_with("nightly (Succeeded): succeeded"));
}

#[test]
fn what_the_engine_does_not_have_is_told() {
    let home = Home::new();
    for line in [
        &["cron", "suspend", "n"][..],
        &["cron", "resume", "n"],
        &["cron", "run", "n"],
        &["cron", "next", "n"],
        &["cron", "delete", "n"],
    ] {
        refused(&home.windlass(line), 125, &["there is no CronJob \"n\" in namespace \"default\""]);
    }
    let (_, command) = runs(&home);
    let held = create(&home, "n", "0 0 1 1 *", &["--suspended", "-o", "json"], &command);
    assert_eq!(held.code, Some(0), "{held:?}");
    assert!(!held.stderr.contains("up --install"), "nothing of it needs an engine: {held:?}");
    let again = create(&home, "n", "0 0 1 1 *", &[], &command);
    refused(&again, 125, &["CronJob \"n\" exists already"]);
    assert_eq!(create(&home, "due", "0 0 1 1 *", &[], &command).code, Some(0));
    let down = home.windlass(&["down"]);
    assert_eq!(down.code, Some(0), "{down:?}");
    assert!(down.stderr.contains("1 CronJob makes no jobs until the engine runs again"), "{down:?}");
}
