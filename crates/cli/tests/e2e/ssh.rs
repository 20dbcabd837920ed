//! `ssh HOST windlass run ...`: the session ends with the job, although an engine that it started goes on.
//!
//! The server speaks over the client's pipes (`sshd -i`): it has keys and a configuration of its own, and no port.

use std::io::Write;
use std::path::PathBuf;

use crate::home::{Ended, Home, finish, lives};

/// What is missing for a session over ssh to this machine; none: nothing.
fn missing(home: &Home) -> Option<String> {
    if !PathBuf::from("/usr/sbin/sshd").exists() {
        return Some("no /usr/sbin/sshd (package openssh-server)".to_owned());
    }
    for name in ["host", "user"] {
        let mut keygen = home.program("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(home.file(name));
        assert_eq!(finish(keygen).code, Some(0));
    }
    let file = |name: &str| home.file(name).display().to_string();
    let server = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n",
        file("host"),
        file("user.pub"),
    );
    home.write("sshd_config", &server);
    let mut test = home.program("/usr/sbin/sshd");
    test.args(["-t", "-f"]).arg(home.file("sshd_config"));
    let tested = finish(test);
    (tested.code != Some(0)).then_some(tested.stderr)
}

/// Runs a command through a session of its own.
fn ssh(home: &Home, command: &str) -> Ended {
    let mut ssh = home.program("ssh");
    let server = format!("ProxyCommand=/usr/sbin/sshd -i -f {}", home.file("sshd_config").display());
    ssh.args([
        "-F",
        "none",
        "-o",
        &server,
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    ssh.args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-i"]).arg(home.file("user"));
    let user =
        nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().expect("whoever runs this has a name");
    ssh.args(["-l", &user.name, "here", command]);
    finish(ssh)
}

#[test]
fn session_ends_with_the_job_and_the_engine_goes_on() {
    let home = Home::new();
    if let Some(why) = missing(&home) {
        // Past the test runner, which captures what tests print.
        _ = writeln!(std::io::stderr(), "SKIPPED: a session over ssh: {}", why.trim());
        return;
    }
    let run = |command: &str| {
        let windlass = env!("CARGO_BIN_EXE_windlass");
        let state = home.state();
        ssh(&home, &format!("WINDLASS_HOME={} {windlass} run -q -- sh -c '{command}'", state.display()))
    };
    let first = run("echo out; echo err >&2; exit 7");
    assert_eq!((first.code, first.stdout.as_str()), (Some(7), "out\n"), "{first:?}");
    assert!(first.stderr.contains("err"), "{first:?}");
    let engine = home.engine().expect("the session started an engine");
    assert!(lives(engine), "it outlives the session");
    let second = run("exit 0");
    assert_eq!((second.code, home.engine()), (Some(0), Some(engine)), "{second:?}");
}
