//! up, down, status, kubeconfig: the life of the embedded engine.

use std::net::TcpListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, Running, lives};

#[test]
fn status_tells_whether_it_runs_without_starting_it() {
    let home = Home::new();
    let status = || serde_json::from_str::<serde_json::Value>(&home.ok(&["status", "-o", "json"])).unwrap();
    assert_eq!(status()["running"], false);
    assert!(!home.state().join("lock").exists());
    home.ok(&["up"]);
    home.ok(&["run", "--", "true"]);
    let report = status();
    assert_eq!((&report["running"], &report["jobs"]), (&true.into(), &1.into()));
    assert_eq!(report["pid"], home.engine().unwrap());
    home.ok(&["down"]);
    assert_eq!(status()["running"], false);
}

#[test]
fn up_twice_is_one_engine_and_other_options_are_refused() {
    let home = Home::new();
    home.ok(&["up"]);
    let first = home.engine();
    home.ok(&["up"]);
    assert_eq!(home.engine(), first);
    let ended = home.windlass(&["up", "--images=host"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("windlass down"), "{}", ended.stderr);
}

#[test]
fn a_second_engine_on_the_same_home_is_refused() {
    let home = Home::new();
    home.ok(&["up"]);
    let pid = home.engine().unwrap().to_string();
    let ended = home.windlass(&["up", "--foreground"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains(&pid), "{}", ended.stderr);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = home.windlass(&["up", "--listen", &address]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
    assert!(home.engine().is_none_or(|pid| !lives(pid)));
}

#[test]
fn a_home_that_cannot_be_made_is_named() {
    let home = Home::new();
    home.write("state", "a file");
    let ended = home.windlass(&["run", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains(home.state().to_str().unwrap()), "{}", ended.stderr);
}

#[test]
fn images_run_on_the_host_only_when_asked_for() {
    let home = Home::new();
    home.ok(&["up", "--images=host"]);
    assert_eq!(home.ok(&["run", "-q", "--image", "busybox", "--", "echo", "hi"]), "hi\n");
}

#[test]
fn down_says_what_becomes_of_running_pods() {
    let home = Home::new();
    let script = "echo up; while ! test -e go; do sleep 0.05; done; echo done";
    home.ok(&["submit", "--name", "long", "--", "sh", "-c", script]);
    let mut follow = Running::start(home.command(&["logs", "-f", "long"]));
    follow.stdout_has("up");
    let ended = home.windlass(&["down"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("default/long-") && ended.stderr.contains("--leave"), "{}", ended.stderr);
    home.ok(&["down", "--leave"]);
    home.write("go", "");
    home.ok(&["wait", "long"]);
    assert_eq!(home.ok(&["logs", "long"]), "up\ndone\n");
    drop(follow);
}

#[test]
fn down_by_force_ends_the_pods() {
    let home = Home::new();
    let mut running = Running::start(home.command(&["run", "--", "sh", "-c", "echo $$; exec sleep 600"]));
    running.stderr_has("windlass: job ");
    let pid: i32 = running.stdout_has("").trim().parse().unwrap();
    assert!(lives(pid));
    home.ok(&["down", "--force"]);
    assert!(!lives(pid));
    assert_eq!(home.windlass(&["down"]).code, Some(0));
    drop(running);
}

#[test]
fn jobs_survive_the_engine() {
    let home = Home::new();
    assert_eq!(home.windlass(&["run", "--name", "old", "--", "sh", "-c", "echo kept; exit 5"]).code, Some(5));
    home.ok(&["down"]);
    assert_eq!(home.ok(&["logs", "old"]), "kept\n");
    assert_eq!(home.windlass(&["wait", "old"]).code, Some(5));
}

#[test]
fn the_kubeconfig_is_for_any_client() {
    let home = Home::new();
    let path = home.ok(&["kubeconfig", "--path"]);
    let text = home.ok(&["kubeconfig"]);
    assert_eq!(std::fs::read_to_string(path.trim()).unwrap(), text);
    let mut command = home.command(&["list"]);
    command.env("KUBECONFIG", path.trim());
    assert_eq!(crate::home::finish(command).code, Some(0));
}

#[test]
fn a_foreground_engine_serves_until_it_is_interrupted() {
    let home = Home::new();
    let mut engine = Running::start(home.command(&["up", "--foreground"]));
    engine.stderr_has("ready");
    home.ok(&["run", "--", "true"]);
    engine.signal(Signal::SIGINT);
    assert_eq!(engine.end().code, Some(0));
}

#[test]
fn a_followed_job_survives_the_death_of_the_engine_without_a_lost_byte() {
    let home = Home::new();
    let script = "echo up; while ! test -e go; do sleep 0.05; done; echo done; exit 6";
    let mut running = Running::start(home.command(&["run", "--", "sh", "-c", script]));
    running.stdout_has("up");
    let engine = home.engine().expect("an engine runs");
    kill(Pid::from_raw(engine), Signal::SIGKILL).unwrap();
    home.ok(&["up"]);
    assert_ne!(home.engine(), Some(engine));
    home.write("go", "");
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(6), "up\ndone\n"), "{ended:?}");
}

#[test]
fn a_home_with_a_long_path_works() {
    let home = Home::new();
    let mut command = home.command(&["run", "-q", "--", "echo", "hi"]);
    let long = home.file(&"x".repeat(150));
    command.env("WINDLASS_HOME", &long);
    let ended = crate::home::finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hi\n"), "{ended:?}");
    let mut down = home.command(&["down"]);
    down.env("WINDLASS_HOME", &long);
    assert_eq!(crate::home::finish(down).code, Some(0));
}

#[test]
fn up_and_down_at_once_never_meet_half_an_engine() {
    let home = Home::new();
    home.ok(&["up"]);
    let commands = [&["down", "--leave"][..], &["up"], &["status"], &["up"], &["down", "--leave"], &["up"]];
    let running: Vec<_> = commands.iter().map(|line| Running::start(home.command(line))).collect();
    for (line, running) in commands.iter().zip(running) {
        let ended = running.end();
        // `status` may ask an engine that has just gone; it then says so.
        assert!(ended.code == Some(0) || line[0] == "status", "{line:?}: {ended:?}");
    }
}
