//! kubectl, unmodified, in every version at hand: the commands a user of Jobs types.
//!
//! A version that is not installed is skipped aloud.

mod commands;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::support::Cluster;

/// One kubectl, pointed at one engine, with a home of its own for its caches.
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", &self.home).env("KUBECONFIG", &self.kubeconfig);
        command.env("PATH", "/usr/bin:/bin").current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
        command.stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("kubectl starts")
    }

    /// Runs a command that must succeed; returns its stdout.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        self.ok_args(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[track_caller]
    fn ok_args(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}: {}\n{stdout}\n{stderr}", output.status);
        stdout
    }

    /// Runs a command that must fail; returns its stderr.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.output(&line.split_whitespace().collect::<Vec<_>>());
        assert!(!output.status.success(), "kubectl {line} succeeded: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// Starts a command that goes on.
    fn start(&self, line: &str) -> Child {
        let mut command = self.command(&line.split_whitespace().collect::<Vec<_>>());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("kubectl starts")
    }

    /// Puts a manifest into a file of the test's.
    fn file(&self, name: &str, manifest: &str) -> String {
        let path = self.home.join(name);
        std::fs::write(&path, manifest).expect("a file");
        path.display().to_string()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs these commands on a cluster by the kubectl at hand, if there is one.
pub(crate) async fn by_kubectl(cluster: &Cluster, commands: impl FnOnce(&Kubectl) + Send + 'static) {
    let Some(program) = find("kubectl") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: kubectl is not installed");
        return;
    };
    let home = tempfile::tempdir().expect("a temporary directory");
    let kubeconfig = cluster.home.path().join("home/kubeconfig");
    let kubectl = Kubectl { program, kubeconfig, home: home.path().to_owned() };
    let done = tokio::task::spawn_blocking(move || commands(&kubectl));
    done.await.expect("every command did what it should");
}

/// Finds a kubectl by name in the search path and where its distributions put it.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = test_environment("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/lib/google-cloud-sdk/bin".into());
    folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[expect(clippy::disallowed_methods, reason = "a test's one look at its environment")]
fn test_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

async fn drive(name: &str) {
    let Some(program) = find(name) else {
        // Not captured by the test runner: what is skipped is said.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is not installed");
        return;
    };
    let cluster = Cluster::images_on_host().await;
    let kubeconfig = cluster.home.path().join("home/kubeconfig");
    let home = tempfile::tempdir().expect("a temporary directory");
    let kubectl = Kubectl { program, kubeconfig, home: home.path().to_owned() };
    tokio::task::spawn_blocking(move || {
        looks(&kubectl);
        creates(&kubectl);
        changes(&kubectl);
        applies(&kubectl);
        follows(&kubectl);
        attaches(&kubectl);
        executes(&kubectl);
        refusals(&kubectl);
        commands::all(&kubectl);
        limits(&kubectl);
        deletes(&kubectl);
        drop(home);
    })
    .await
    .expect("every command did what it should");
    cluster.stop().await;
}

fn looks(kubectl: &Kubectl) {
    assert!(kubectl.ok("version").contains("1.36"));
    assert!(kubectl.ok("api-resources").contains("batch/v1"));
    kubectl.ok("create -f examples/book/oneshot.yaml");
    kubectl.ok("wait --for=condition=complete job/oneshot --timeout=180s");
    let plain = kubectl.ok("get jobs,pods");
    assert!(plain.contains("job.batch/oneshot") && plain.contains("Complete"), "{plain}");
    let wide = kubectl.ok("get jobs -o wide");
    assert!(wide.contains("CONTAINERS") && wide.contains("SELECTOR"), "{wide}");
    assert!(kubectl.ok("get job oneshot -o yaml").contains("succeeded: 1"));
    let labelled = kubectl.ok("get jobs,pods -l chapter=jobs");
    assert!(labelled.contains("oneshot"), "{labelled}");
    // kubectl itself sorts one kind at a time: given two, it looks for the field in the Tables themselves.
    assert!(kubectl.ok("get jobs --sort-by=.metadata.name").contains("oneshot"));
    assert!(kubectl.ok("get pods --sort-by=.status.startTime").contains("oneshot"));
    assert!(!kubectl.ok("get jobs -l chapter=none").contains("oneshot"));
    let job = kubectl.ok("describe job oneshot");
    assert!(job.contains("SuccessfulCreate") && job.contains("1 Succeeded"), "{job}");
    let pod = kubectl.ok("describe pod -l job-name=oneshot");
    assert!(pod.contains("Scheduled") && pod.contains("Exit Code:    0"), "{pod}");
    assert_eq!(kubectl.ok("logs job/oneshot").lines().count(), 3);
    assert!(kubectl.ok("explain job.spec").contains("parallelism"));
}

fn creates(kubectl: &Kubectl) {
    kubectl.ok_args(&["create", "job", "date", "--image=any", "--", "date"]);
    kubectl.ok("wait --for=condition=complete job/date --timeout=180s");
    kubectl.ok("create secret generic one --from-literal=key=value");
    assert!(kubectl.ok("get secret one -o jsonpath={.data.key}").contains("dmFsdWU="));
    kubectl.ok("create configmap two --from-literal=key=value");
    assert!(kubectl.ok("get configmap two -o jsonpath={.data.key}").contains("value"));
    kubectl.ok("create namespace three");
    kubectl.ok("get serviceaccount default -n default");
}

fn changes(kubectl: &Kubectl) {
    assert!(kubectl.ok("apply -f examples/book/parallel.yaml").contains("created"));
    assert!(kubectl.ok("apply -f examples/book/parallel.yaml").contains("unchanged"));
    kubectl.ok("label job parallel colour=red");
    assert!(kubectl.ok("get job -l colour=red -o name").contains("job.batch/parallel"));
    kubectl.ok_args(&["patch", "job", "parallel", "-p", r#"{"metadata":{"annotations":{"note":"here"}}}"#]);
    kubectl.ok_args(&["patch", "job", "parallel", "--type=merge", "-p", r#"{"spec":{"parallelism":4}}"#]);
    let replace = r#"[{"op":"replace","path":"/spec/parallelism","value":5}]"#;
    kubectl.ok_args(&["patch", "job", "parallel", "--type=json", "-p", replace]);
    kubectl.ok("annotate job parallel more=yes");
    let job = kubectl.ok("get job parallel -o yaml");
    assert!(
        job.contains("note: here") && job.contains("more: \"yes\"") && job.contains("parallelism: 5"),
        "{job}"
    );
    kubectl.ok("wait --for=condition=complete job/parallel --timeout=180s");
    assert!(kubectl.ok("get job parallel").contains("10/10"));
}

/// Two managers, a conflict, who takes over, and what is left out.
fn applies(kubectl: &Kubectl) {
    let file = |name: &str, data: &str| {
        let head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n";
        kubectl.file(name, &format!("{head}{data}"))
    };
    let (one, two) = (file("one.yaml", "  a: '1'\n  b: '1'\n"), file("two.yaml", "  a: '2'\n  c: '2'\n"));
    let said = kubectl.ok(&format!("apply --server-side -f {one}"));
    assert!(said.contains("configmap/applied serverside-applied"), "{said}");
    let other = format!("apply --server-side --field-manager=other -f {two}");
    let refused = kubectl.fails(&other);
    assert!(
        refused.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .data.a"),
        "{refused}"
    );
    kubectl.ok(&format!("{other} --force-conflicts"));
    let rest = file("rest.yaml", "  d: '1'\n");
    kubectl.ok(&format!("apply --server-side -f {rest}"));
    assert_eq!(kubectl.ok("get configmap applied -o jsonpath={.data}"), r#"{"a":"2","c":"2","d":"1"}"#);
    assert!(kubectl.ok("get configmap applied -o yaml --show-managed-fields").contains("manager: other"));
    assert!(!kubectl.ok("get configmap applied -o yaml").contains("managedFields"));
    // What was applied by the client before is taken over.
    let client = file("client.yaml", "  e: '1'\n");
    kubectl.ok("delete configmap applied");
    kubectl.ok(&format!("apply -f {client}"));
    kubectl.ok(&format!("apply --server-side -f {one}"));
    assert_eq!(kubectl.ok("get configmap applied -o jsonpath={.data}"), r#"{"a":"1","b":"1"}"#);
}

/// A pod that waits to be told, so that what follows is surely running while it is followed.
fn follows(kubectl: &Kubectl) {
    let gate = kubectl.home.join("gate");
    let script = format!("echo first; until test -e {}; do sleep 0.05; done; echo last", gate.display());
    kubectl.ok_args(&["create", "job", "speaker", "--image=any", "--", "sh", "-c", &script]);
    // Of a label that no pod has yet kubectl does not wait for pods.
    kubectl.ok("wait --for=jsonpath={.status.ready}=1 job/speaker --timeout=180s");
    let mut watch = kubectl.start("get jobs -w");
    let mut logs = kubectl.start("logs -f job/speaker");
    let mut lines = BufReader::new(logs.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "first");
    std::fs::write(&gate, "").expect("the gate opens");
    assert_eq!(lines.next().expect("a line").expect("text"), "last");
    assert!(lines.next().is_none(), "the log ends with the container");
    assert!(logs.wait().expect("kubectl ends").success());
    let seen = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let done = |line: &String| line.starts_with("speaker") && line.contains("1/1");
    assert!(seen.map_while(Result::ok).any(|line| done(&line)), "the watch shows the end");
    watch.kill().expect("the watch was running");
    watch.wait().expect("it is gone");
}

/// kubectl speaks WebSocket from 1.30 on, 1.29 if it is asked to; an older one is told so.
fn attaches(kubectl: &Kubectl) {
    let minor = minor(kubectl);
    let once = "stdin: true, stdinOnce: true";
    run_pod(kubectl, "reader", once, "cat; exit 3");
    let attach = |options: &str| {
        let mut command = kubectl.command(&["attach"]);
        command.args(options.split_whitespace()).env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true");
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

fn minor(kubectl: &Kubectl) -> u32 {
    let version = kubectl.ok("version --client -o json");
    let minor = version.split("\"minor\": \"").nth(1).and_then(|rest| rest.split(['"', '+']).next());
    minor.expect("a minor version").parse().expect("a number")
}

/// Programs beside a container: their exit codes and streams, a terminal, copies both ways.
fn executes(kubectl: &Kubectl) {
    let exec = |arguments: &[&str]| {
        let mut command = kubectl.command(&["exec"]);
        command.args(arguments).env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true");
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

fn run_pod(kubectl: &Kubectl, name: &str, fields: &str, script: &str) {
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

fn refusals(kubectl: &Kubectl) {
    let job =
        |spec: &str| format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: wrong}}\nspec: {spec}\n");
    let pod = "containers: [{name: c, image: i, command: ['true']}]";
    let unknown = kubectl.file(
        "unknown.yaml",
        &job(&format!("{{bogus: 1, template: {{spec: {{restartPolicy: Never, {pod}}}}}}}")),
    );
    let said = kubectl.fails(&format!("create -f {unknown}"));
    assert!(said.contains("unknown field \"spec.bogus\""), "{said}");
    let missing = kubectl.file("missing.yaml", &job(&format!("{{template: {{spec: {{{pod}}}}}}}")));
    let said = kubectl.fails(&format!("create -f {missing}"));
    assert!(said.contains("spec.template.spec.restartPolicy: Required value"), "{said}");
    let said = kubectl.fails("create configmap Not_A_Name");
    assert!(said.contains("RFC 1123"), "{said}");
    assert!(kubectl.fails("get job nowhere").contains("jobs.batch \"nowhere\" not found"));
    assert!(kubectl.fails("create namespace three").contains("already exists"));
}

fn limits(kubectl: &Kubectl) {
    kubectl.ok("create namespace limited");
    kubectl.ok("create quota few -n limited --hard=count/jobs.batch=0,pods=3");
    kubectl.ok("wait -n limited quota/few --for=jsonpath={.status.used.pods}=0 --timeout=180s");
    let shown = kubectl.ok("get quota few -n limited");
    assert!(shown.contains("count/jobs.batch: 0/0, pods: 0/3"), "{shown}");
    let told = kubectl.ok("describe quota few -n limited");
    assert!(told.contains("count/jobs.batch") && told.contains("Hard"), "{told}");
    let refused = kubectl.fails("create job more -n limited --image=busybox -- true");
    assert!(refused.contains("exceeded quota: few, requested: count/jobs.batch=1"), "{refused}");
    let range = kubectl.file(
        "range.yaml",
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: limits}\nspec: {limits: [{type: Container, max: {cpu: '2'}}]}\n",
    );
    kubectl.ok(&format!("apply -n limited -f {range}"));
    let told = kubectl.ok("describe limits limits -n limited");
    assert!(told.contains("Container") && told.contains("cpu"), "{told}");
    let lease = kubectl.file(
        "lease.yaml",
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: leader}\nspec: {holderIdentity: me}\n",
    );
    kubectl.ok(&format!("apply -n limited -f {lease}"));
    assert!(kubectl.ok("get lease leader -n limited").contains("me"));
    let newer = kubectl.ok("get events.v1.events.k8s.io");
    assert!(newer.contains("Completed") && newer.contains("job/"), "{newer}");
    kubectl.ok("delete namespace limited --timeout=180s");
}

fn deletes(kubectl: &Kubectl) {
    assert!(kubectl.ok("delete job date").contains("deleted"));
    let said = kubectl.ok("delete rs,svc,job -l chapter=jobs");
    assert!(said.contains("\"oneshot\" deleted") && said.contains("\"parallel\" deleted"), "{said}");
    kubectl.ok("delete namespace three --timeout=180s");
    for job in ["date", "oneshot", "parallel"] {
        kubectl.ok(&format!("wait --for=delete pod -l job-name={job} --timeout=180s"));
    }
    let left = kubectl.ok("get jobs,pods");
    assert!(!left.contains("oneshot") && !left.contains("parallel") && !left.contains("date"), "{left}");
}

macro_rules! versions {
    ($($test:ident $name:literal)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            drive($name).await;
        }
    )*};
}

versions! {
    kubectl_of_the_search_path "kubectl"
    kubectl_1_27 "kubectl.1.27"
    kubectl_1_28 "kubectl.1.28"
    kubectl_1_29 "kubectl.1.29"
    kubectl_1_30 "kubectl.1.30"
    kubectl_1_31 "kubectl.1.31"
    kubectl_1_32 "kubectl.1.32"
    kubectl_1_33 "kubectl.1.33"
}
