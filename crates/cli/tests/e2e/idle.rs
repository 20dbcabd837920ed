//! An engine that nobody needs leaves, and is there again for whoever comes next.

use crate::home::{Home, Running, gone, until};

fn state(home: &Home) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(home.state().join("engine.json")).unwrap()).unwrap()
}

#[test]
fn an_idle_engine_leaves_and_the_next_command_starts_it_as_it_was() {
    let home = Home::new();
    home.ok(&["up", "--idle-exit", "1s", "--images=host"]);
    home.ok(&["submit", "-q", "--name", "one", "--image", "i", "--wait", "--", "true"]);
    gone(home.engine().unwrap());
    assert_eq!(state(&home)["resting"], true);
    let ended = home.windlass(&["run", "--image", "i", "--", "echo", "again"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "again\n"), "{ended:?}");
    assert!(!ended.stderr.contains("died"), "{ended:?}");
    assert_eq!(
        home.ok(&["list", "-q", "-o", "name", "-l", "windlass.dev/managed-by=windlass"]).lines().count(),
        2
    );
    gone(home.engine().unwrap());
}

#[test]
fn a_job_that_runs_keeps_its_engine() {
    let home = Home::new();
    home.ok(&["up", "--idle-exit", "1s"]);
    // The job looks itself: once it has ended its engine may be gone before anybody else looks.
    let script = format!(
        r#"engine() {{ grep -o '"pid": [0-9]*' {}/engine.json | grep -o '[0-9]*'; }}
        before=$(engine); echo up; sleep 3; test "$(engine)" = "$before" && kill -0 "$before" && echo same"#,
        home.state().display()
    );
    let mut run = Running::start(home.command(&["run", "--", "sh", "-c", &script]));
    run.stdout_has("up");
    drop(run);
    home.ok(&["wait", "last"]);
    assert_eq!(home.ok(&["logs", "last"]), "up\nsame\n");
    gone(home.engine().unwrap());
}

#[test]
fn an_engine_that_started_by_itself_leaves_unless_it_is_asked_to_stay() {
    let home = Home::new();
    home.ok(&["run", "--", "true"]);
    assert_eq!(state(&home)["idleExitSeconds"], 1800);
    let engine = home.engine();
    home.ok(&["up"]);
    assert_eq!(home.engine(), engine);
    until(&home.state(), || state(&home).get("idleExitSeconds").is_none());
    home.ok(&["down"]);
    home.ok(&["up"]);
    assert!(state(&home).get("idleExitSeconds").is_none());
}

#[test]
fn many_commands_at_the_moment_of_leaving_all_find_an_engine() {
    let home = Home::new();
    home.ok(&["up", "--idle-exit", "1s"]);
    for round in 0..3 {
        gone(home.engine().unwrap());
        let all: Vec<_> =
            (0..4).map(|_| Running::start(home.command(&["run", "-q", "--", "true"]))).collect();
        for running in all {
            let ended = running.end();
            assert_eq!(ended.code, Some(0), "round {round}: {ended:?}");
        }
    }
    gone(home.engine().unwrap());
}
