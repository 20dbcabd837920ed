//! kubectl, unmodified, in every version at hand: the commands a user of Jobs types.
//!
//! A version that is not installed is skipped aloud.

mod calls;
mod commands;
mod nodes;
mod shapes;
mod streams;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::support::Cluster;

/// One kubectl, pointed at one engine, with a home of its own for its caches.
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    /// What it was asked to do, a command a line.
    asked: Mutex<Vec<String>>,
}

impl Kubectl {
    fn new(program: PathBuf, cluster: &Cluster, home: &Path) -> Kubectl {
        let kubeconfig = cluster.home.path().join("home/kubeconfig");
        Kubectl { program, kubeconfig, home: home.to_owned(), asked: Mutex::default() }
    }

    /// A command; it counts as one that was tried.
    fn command(&self, arguments: &[&str]) -> Command {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(arguments.join(" "));
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
    let kubectl = Kubectl::new(program, cluster, home.path());
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
    let home = tempfile::tempdir().expect("a temporary directory");
    let kubectl = Kubectl::new(program, &cluster, home.path());
    tokio::task::spawn_blocking(move || {
        looks(&kubectl);
        creates(&kubectl);
        changes(&kubectl);
        applies(&kubectl);
        follows(&kubectl);
        streams::attaches(&kubectl);
        streams::executes(&kubectl);
        refusals(&kubectl);
        commands::all(&kubectl);
        shapes::all(&kubectl);
        limits(&kubectl);
        deletes(&kubectl);
        nodes::all(&kubectl);
        calls::all_were_tried(&kubectl);
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
