//! Programs beside a container, attachment, terminals whose windows change, and copies both ways: what kubectl does over
//! a WebSocket.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Kubectl, text};

/// kubectl speaks WebSocket from 1.30 on, 1.29 if it is asked to; an older one is told so.
pub(super) fn attaches(kubectl: &Kubectl) {
    let minor = minor(kubectl);
    let once = "stdin: true, stdinOnce: true";
    run_pod(kubectl, "reader", once, "cat; exit 3");
    let attach = |options: &str| {
        let arguments: Vec<&str> = ["attach"].into_iter().chain(options.split_whitespace()).collect();
        let mut command = kubectl.command(&arguments);
        command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true");
        command
    };
    let mut reading = attach("-i reader");
    let mut child = reading
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // An old one may be gone before it is written to.
    let written = stdin.write_all(b"over the wire\n");
    drop(stdin);
    let output = child.wait_with_output().expect("kubectl ends");
    if minor < 29 {
        assert!(text(&output.stderr).contains("use kubectl 1.30 or later"), "{}", text(&output.stderr));
        return;
    }
    written.expect("it is read");
    assert_eq!(text(&output.stdout), "over the wire\n", "{}", text(&output.stderr));
    kubectl.ok("wait --for=jsonpath={.status.phase}=Failed pod/reader --timeout=180s");
    // kubectl tells the window's size beside what is typed, in no order.
    let script = "read line; echo \"<$line>\"; until stty size | grep '31 97'; do sleep 0.05; done";
    run_pod(kubectl, "shell", "stdin: true, tty: true", script);
    let pty = nix::pty::openpty(
        Some(&nix::pty::Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 }),
        None,
    );
    let pty = pty.expect("a terminal");
    let side = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
    let mut child =
        attach("-it shell").stdin(side()).stdout(side()).stderr(side()).spawn().expect("kubectl starts");
    drop(pty.slave);
    let mut terminal = std::fs::File::from(pty.master);
    let mut seen = String::new();
    await_text(&mut terminal, &mut seen, "pressing enter");
    terminal.write_all(b"hello\r").expect("it is read");
    await_text(&mut terminal, &mut seen, "31 97");
    assert!(seen.contains("<hello>"), "{seen}");
    assert!(child.wait().expect("kubectl ends").success());
}

pub(super) fn minor(kubectl: &Kubectl) -> u32 {
    let version = kubectl.ok("version --client -o json");
    let minor = version.split("\"minor\": \"").nth(1).and_then(|rest| rest.split(['"', '+']).next());
    minor.expect("a minor version").parse().expect("a number")
}

/// Programs beside a container: their exit codes and streams, a terminal, copies both ways.
pub(super) fn executes(kubectl: &Kubectl) {
    let exec = |arguments: &[&str]| {
        let mut command = kubectl.command(&[&["exec"], arguments].concat());
        command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true");
        command
    };
    let container = |name: &str| {
        format!("{{name: {name}, image: any, command: [sleep, '600'], env: [{{name: WHO, value: {name}}}]}}")
    };
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: shed}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         containers: [{}, {}]\n",
        container("main"),
        container("side")
    );
    kubectl.ok(&format!("create -f {}", kubectl.file("shed.yaml", &pod)));
    kubectl.ok("wait --for=condition=ready pod/shed --timeout=60s");
    let said = |command: &mut Command| {
        let output = command.output().expect("kubectl starts");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, stdout, stderr) =
        said(&mut exec(&["shed", "-c", "side", "--", "sh", "-c", "echo $WHO; echo err >&2; exit 7"]));
    if minor(kubectl) < 29 {
        assert!(code == Some(1) && stderr.contains("use kubectl 1.30 or later"), "{stderr}");
        return;
    }
    assert_eq!((code, stdout.as_str()), (Some(7), "side\n"), "{stderr}");
    assert!(stderr.contains("err\n") && stderr.contains("command terminated with exit code 7"), "{stderr}");
    let (code, stdout, stderr) = said(&mut exec(&["shed", "--", "printenv", "WHO"]));
    assert_eq!((code, stdout.as_str()), (Some(0), "main\n"), "{stderr}");
    assert!(stderr.contains("Defaulted container \"main\" out of: main, side"), "{stderr}");
    let (code, _, stderr) = said(&mut exec(&["shed", "-c", "main", "--", "windlass-absent"]));
    assert_eq!(code, Some(127), "{stderr}");
    assert!(stderr.contains("\"windlass-absent\": executable file not found in $PATH"), "{stderr}");
    let (code, _, stderr) = said(&mut exec(&["nowhere", "--", "true"]));
    assert!(code == Some(1) && stderr.contains("pods \"nowhere\" not found"), "{stderr}");
    // Much of it once is enough.
    let size = if minor(kubectl) < 33 { 1_000_000_u32 } else { 20_000_000 };
    let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    let (there, back) = (kubectl.home.join("there"), kubectl.home.join("back"));
    std::fs::write(&there, &bytes).expect("a file");
    let file = |path: &Path| std::fs::File::open(path).expect("a file");
    let mut whole = exec(&["-i", "shed", "-c", "main", "--", "cat"]);
    whole.stdin(file(&there)).stdout(std::fs::File::create(&back).expect("a file"));
    let output = whole.output().expect("kubectl starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(std::fs::read(&back).expect("a file") == bytes, "what went through is the same");
    types(&mut exec(&["-it", "shed", "-c", "main", "--", "sh", "-c", SIZES]));
    copies(kubectl);
    kubectl.ok("delete pod shed --now");
}

/// Waits for a size, a line and another size.
const SIZES: &str = "until stty size | grep '31 97'; do sleep 0.05; done; read line; echo \"<$line>\"; \
                     until stty size | grep '40 120'; do echo waiting; sleep 0.05; done; read line; exit 9";

/// At a terminal whose window changes.
fn types(command: &mut Command) {
    let size = nix::pty::Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).expect("a terminal");
    let side = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
    let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("kubectl starts");
    drop(pty.slave);
    let mut terminal = std::fs::File::from(pty.master);
    let mut seen = String::new();
    await_text(&mut terminal, &mut seen, "31 97");
    terminal.write_all(b"hello\r").expect("it is read");
    await_text(&mut terminal, &mut seen, "<hello>");
    let mut stty = Command::new("stty");
    stty.args(["rows", "40", "columns", "120"]).stdin(terminal.try_clone().expect("a descriptor"));
    assert!(stty.status().expect("stty").success());
    // The terminal is not kubectl's own here, so that the system does not tell it; and kubectl may not listen yet.
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    while !seen.contains("40 120") {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGWINCH).expect("kubectl runs");
        let before = seen.len();
        await_more(&mut terminal, &mut seen);
        assert!(seen.len() > before, "no other size in {seen:?}");
    }
    terminal.write_all(b"bye\r").expect("it is read");
    assert_eq!(child.wait().expect("kubectl ends").code(), Some(9), "{seen}");
}

/// Files and directories to a container and back.
fn copies(kubectl: &Kubectl) {
    let copy = |from: &str, to: &str| {
        let mut command = kubectl.command(&["cp", from, to, "-c", "main"]);
        let output =
            command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true").output().expect("kubectl starts");
        assert!(output.status.success(), "cp {from} {to}: {}", text(&output.stderr));
    };
    let here = |name: &str| kubectl.home.join(name).display().to_string();
    let there = |name: &str| format!("shed:{}", here(name));
    std::fs::create_dir_all(here("folder/deep")).expect("a directory");
    std::fs::create_dir(here("inside")).expect("a directory");
    std::fs::write(here("folder/deep/file"), "deep\n").expect("a file");
    std::fs::write(here("folder/other"), "other\n").expect("a file");
    copy(&here("there"), &there("inside/copy"));
    copy(&there("inside/copy"), &here("again"));
    assert!(std::fs::read(here("again")).expect("a file") == std::fs::read(here("there")).expect("a file"));
    copy(&here("folder"), &there("inside"));
    copy(&there("inside/folder"), &here("returned"));
    assert_eq!(std::fs::read_to_string(here("returned/deep/file")).expect("a file"), "deep\n");
    assert_eq!(std::fs::read_to_string(here("returned/other")).expect("a file"), "other\n");
}

pub(super) fn run_pod(kubectl: &Kubectl, name: &str, fields: &str, script: &str) {
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n  \
         - {{name: main, image: any, {fields}, command: [sh, -c, {script:?}]}}\n"
    );
    let file = kubectl.file(&format!("{name}.yaml"), &pod);
    kubectl.ok(&format!("create -f {file}"));
    kubectl.ok(&format!("wait --for=condition=ready pod/{name} --timeout=180s"));
}

/// Reads a terminal until this has been seen.
fn await_text(terminal: &mut std::fs::File, seen: &mut String, text: &str) {
    while !seen.contains(text) {
        let before = seen.len();
        await_more(terminal, seen);
        assert!(seen.len() > before, "no {text:?} in {seen:?}");
    }
}

fn await_more(terminal: &mut std::fs::File, seen: &mut String) {
    let mut chunk = [0; 1024];
    let count = std::io::Read::read(terminal, &mut chunk).expect("the terminal goes on");
    seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
}
