//! `up --install`: the engine as a service of a systemd, played by a script.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::home::{Ended, Home, Running, finish, lives};

/// Does what systemd does with a unit of ours: `start` runs it and waits until it is ready, `stop` ends its process.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$CALLS"
test "$1" = --user || exit 9
shift
case "$*" in
show-environment | daemon-reload) ;;
"enable --now "* | "start "*)
    for unit; do :; done
    file=$XDG_CONFIG_HOME/systemd/user/$unit
    environment=$(sed -n 's/^Environment=//p' "$file")
    program=$(sed -n 's/^ExecStart=//p' "$file")
    mkfifo "$CALLS.said" "$CALLS.ready"
    sh -c "exec env $environment $program" < /dev/null > /dev/null 2> "$CALLS.said" &
    sh -c 'grep -m1 -o ready > "$CALLS.ready"; exec cat > /dev/null' < "$CALLS.said" > /dev/null 2>&1 &
    read -r word < "$CALLS.ready"
    rm "$CALLS.said" "$CALLS.ready"
    ;;
"disable --now "*) "$WINDLASS" down --leave 2> /dev/null ;;
*) echo "unknown: $*" >&2; exit 1 ;;
esac
"#;

/// `windlass` where systemd is that script.
fn command(home: &Home, args: &[&str]) -> Command {
    let bin = home.file("bin");
    std::fs::create_dir_all(&bin).unwrap();
    home.executable("bin/systemctl", SYSTEMCTL);
    let mut command = home.command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    command.env("CALLS", home.file("calls")).env("WINDLASS", env!("CARGO_BIN_EXE_windlass"));
    command.env("XDG_CONFIG_HOME", home.file("config"));
    command
}

fn windlass(home: &Home, args: &[&str]) -> Ended {
    finish(command(home, args))
}

#[test]
fn it_is_installed_started_and_removed() {
    let home = Home::new();
    let ended = windlass(&home, &["up", "--install"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("installed") && ended.stderr.contains("enable-linger"), "{ended:?}");
    let units: Vec<_> = std::fs::read_dir(home.file("config/systemd/user")).unwrap().collect();
    assert_eq!(units.len(), 1);
    let engine = home.engine().unwrap();
    assert_eq!(windlass(&home, &["run", "--", "true"]).code, Some(0));
    assert_eq!(home.engine(), Some(engine));
    let again = windlass(&home, &["up", "--install"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let ended = windlass(&home, &["up", "--uninstall"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!lives(engine));
    assert_eq!(std::fs::read_dir(home.file("config/systemd/user")).unwrap().count(), 0);
    let ended = windlass(&home, &["up", "--uninstall"]);
    assert!(ended.code == Some(0) && ended.stderr.contains("not installed"), "{ended:?}");
}

#[test]
fn an_installed_engine_that_is_down_is_started_by_its_service() {
    let home = Home::new();
    assert_eq!(windlass(&home, &["up", "--install"]).code, Some(0));
    assert_eq!(windlass(&home, &["down"]).code, Some(0));
    assert_eq!(windlass(&home, &["run", "--", "true"]).code, Some(0));
    let calls = std::fs::read_to_string(home.file("calls")).unwrap();
    assert!(calls.lines().last().unwrap().starts_with("--user start windlass-"), "{calls}");
    let state = std::fs::read_to_string(home.state().join("engine.json")).unwrap();
    assert!(state.contains("WINDLASS_SERVICE") && !state.contains("idleExitSeconds"), "{state}");
}

#[test]
fn without_a_systemd_session_the_way_out_is_a_crontab() {
    let home = Home::new();
    let mut missing = command(&home, &["up", "--install"]);
    missing.env("PATH", home.file("nothing"));
    let broken = command(&home, &["up", "--install"]);
    home.executable(
        "bin/systemctl",
        "#!/bin/sh\necho Failed to connect to bus: No medium found >&2; exit 1\n",
    );
    for (command, why) in [(missing, "systemctl"), (broken, "Failed to connect to bus")] {
        let ended = finish(command);
        assert_eq!(ended.code, Some(125), "{ended:?}");
        assert!(ended.stderr.contains(why) && ended.stderr.contains("@reboot WINDLASS_HOME="), "{ended:?}");
    }
    assert!(!home.file("config").exists(), "nothing was written");
}

#[test]
fn an_engine_that_is_no_service_is_not_replaced_unasked() {
    let home = Home::new();
    home.ok(&["up"]);
    let ended = windlass(&home, &["up", "--install"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("windlass down --leave"), "{ended:?}");
}

#[test]
fn a_supervisor_is_told_when_the_engine_is_ready() {
    let home = Home::new();
    let socket = UnixDatagram::bind(home.file("notify")).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(180))).unwrap();
    let mut command = home.command(&["up", "--foreground"]);
    command.env("NOTIFY_SOCKET", home.file("notify"));
    let engine = Running::start(command);
    let mut told = [0; 64];
    let length = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..length], b"READY=1");
    engine.signal(Signal::SIGTERM);
    assert_eq!(engine.end().code, Some(0));
}
