//! The clients that hold their watches: kube-rs's watchers in this process, and programs that say a line of each event.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

use crate::clients::{client, prepared};
use crate::support::{Cluster, PATIENCE};

/// Events that a client has told and nobody has looked at.
const BEHIND: usize = 1000;

/// How a client tells an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// What happened, the name, the version.
    Versions,
    /// The same, but what is added and what is modified is one.
    Applied,
    /// kubectl's table: what happened, the name, the completions.
    Table,
}

impl Form {
    fn of(self, kind: &str, job: &Job) -> String {
        let name = job.metadata.name.as_deref().expect("a name");
        let version = job.metadata.resource_version.as_deref().expect("a version");
        let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
        match self {
            Form::Versions => format!("{kind} {name} {version}"),
            Form::Applied if kind == "DELETED" => format!("{kind} {name} {version}"),
            Form::Applied => format!("APPLIED {name} {version}"),
            Form::Table => format!("{kind} {name} {succeeded}/1"),
        }
    }

    /// A line of a program's, or what of it is compared.
    fn read(self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (self, words.as_slice()) {
            (Form::Table, [kind, name, _status, completions, ..]) => format!("{kind} {name} {completions}"),
            _ => words.join(" "),
        }
    }
}

/// What ends a client's watch by its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The server; the client goes on by itself.
    GoesOn,
    /// The server, and that is the client's end, too.
    Ends,
    /// The client has said for how long, and says each time that it begins another: so many times in an hour.
    Renews(usize),
    /// The client has said for how long, and nothing tells when it begins another.
    Silent,
}

/// One client and its watch.
pub(super) struct Client {
    name: String,
    form: Form,
    ending: Ending,
    lines: mpsc::Receiver<String>,
    child: Option<Child>,
    told: usize,
    begun: usize,
    bookmarks: Option<Bookmarks>,
    over: bool,
}

/// What was told of how far a client has seen.
#[derive(Default)]
struct Bookmarks {
    count: usize,
    last: u64,
}

impl Client {
    /// All that are at hand.
    pub(super) async fn all(cluster: &Cluster) -> Vec<Client> {
        let config = watcher::Config::default();
        let mut all = vec![
            Client::of_kube_rs(cluster, "kube-rs, listing", config.clone()).await,
            Client::of_kube_rs(cluster, "kube-rs, streaming", config.streaming_lists()).await,
        ];
        for version in ["1.27", "1.33"] {
            let program = format!("kubectl.{version}");
            let Some(path) = crate::kubectl::find(&program) else {
                crate::clients::skipped(&format!("{program} is not installed"));
                continue;
            };
            let watch = ["get", "jobs", "-w", "--output-watch-events"];
            all.push(Client::program(cluster, &program, &path, &watch, Form::Table, Ending::Ends));
            let versions =
                "-o=jsonpath={.type} {.object.metadata.name} {.object.metadata.resourceVersion}{\"\\n\"}";
            let watch = [&watch[..], &[versions]].concat();
            let name = format!("{program} -o jsonpath");
            all.push(Client::program(cluster, &name, &path, &watch, Form::Versions, Ending::Ends));
        }
        if let Some(python) = prepared("WINDLASS_TEST_PYTHON", "Python with the package kubernetes") {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/python/hour.py");
            let mut start = |name: &str, how: &str, ending| {
                let arguments = ["-u", "-B", script, how];
                let mut started = Client::program(cluster, name, &python, &arguments, Form::Versions, ending);
                started.bookmarks = Some(Bookmarks::default());
                all.push(started);
            };
            start("Python, without a limit", "forever", Ending::GoesOn);
            // Three hundred seconds.
            start("Python, five minutes at a time", "limited", Ending::Renews(11));
        }
        if let Some(go) = prepared("WINDLASS_TEST_GO", "program of tests/clients/go") {
            // An informer asks for five to ten minutes.
            let ending = Ending::Renews(6);
            all.push(Client::program(
                cluster,
                "client-go's informer",
                &go,
                &["hour"],
                Form::Versions,
                ending,
            ));
        }
        all
    }

    async fn of_kube_rs(cluster: &Cluster, name: &str, config: watcher::Config) -> Client {
        let jobs: Api<Job> = Api::default_namespaced(crate::kube_rs::client(cluster).await);
        let (tell, lines) = mpsc::channel(BEHIND);
        tokio::spawn(async move {
            let mut events = Box::pin(watcher(jobs, config));
            loop {
                let line = match events.try_next().await {
                    Ok(Some(Event::Apply(job) | Event::InitApply(job))) => Form::Applied.of("APPLIED", &job),
                    Ok(Some(Event::Delete(job))) => Form::Applied.of("DELETED", &job),
                    Ok(Some(Event::Init | Event::InitDone)) => continue,
                    other => format!("{other:?}"),
                };
                if tell.send(line).await.is_err() {
                    return;
                }
            }
        });
        Client::new(name, Form::Applied, Ending::Silent, lines, None)
    }

    fn program(
        cluster: &Cluster,
        name: &str,
        program: &Path,
        arguments: &[&str],
        form: Form,
        ending: Ending,
    ) -> Client {
        let mut command = client(program, cluster, arguments);
        let wrong =
            std::fs::File::create(cluster.home.path().join(format!("{name}.stderr"))).expect("a file");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(wrong);
        let mut child = command.spawn().expect("it starts");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (tell, lines) = mpsc::channel(BEHIND);
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                if tell.send(line).await.is_err() {
                    return;
                }
            }
        });
        Client::new(name, form, ending, lines, Some(child))
    }

    fn new(
        name: &str,
        form: Form,
        ending: Ending,
        lines: mpsc::Receiver<String>,
        child: Option<Child>,
    ) -> Client {
        let name = name.to_owned();
        Client { name, form, ending, lines, child, told: 0, begun: 0, bookmarks: None, over: false }
    }

    /// Whether the server says when its watch ends.
    pub(super) fn is_unlimited(&self) -> bool {
        matches!(self.ending, Ending::GoesOn | Ending::Ends)
    }

    pub(super) fn goes_on_by_itself(&self) -> bool {
        self.ending == Ending::GoesOn
    }

    /// Reads until it has told what there is to tell, in this order and nothing twice.
    pub(super) async fn tells(&mut self, truth: &[(&'static str, Job)], passed: Duration) {
        while self.told < truth.len() && !self.over {
            let Some(line) = self.next(truth).await else {
                // As upstream, kubectl does not begin another watch.
                assert!(self.ending == Ending::Ends && passed.as_secs() >= 1800, "{} ended", self.name);
                self.over = true;
                return;
            };
            self.take(&line, truth);
        }
    }

    async fn next(&mut self, truth: &[(&'static str, Job)]) -> Option<String> {
        let Ok(line) = tokio::time::timeout(PATIENCE, self.lines.recv()).await else {
            let missing = &truth[self.told];
            panic!("{} never tells {}", self.name, self.form.of(missing.0, &missing.1));
        };
        line
    }

    fn take(&mut self, line: &str, truth: &[(&'static str, Job)]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), &mut self.bookmarks) {
            (["BEGINS"], _) => self.begun += 1,
            (["BOOKMARK", version], Some(bookmarks)) => {
                let version = version.parse().expect("a version");
                assert!(version >= bookmarks.last, "{}: {version} after {}", self.name, bookmarks.last);
                *bookmarks = Bookmarks { count: bookmarks.count + 1, last: version };
            }
            (["EVENT", "NAME", ..], _) if self.form == Form::Table => {}
            _ => {
                let (kind, job) = &truth[self.told];
                let before: VecDeque<String> = truth[self.told.saturating_sub(3)..self.told]
                    .iter()
                    .map(|(k, j)| self.form.of(k, j))
                    .collect();
                assert_eq!(self.form.read(line), self.form.of(kind, job), "{} after {before:?}", self.name);
                self.told += 1;
            }
        }
    }

    /// The end of the hour: who ends with their watch has ended, the others have begun others.
    pub(super) async fn ends(mut self, passed: Duration) {
        let name = &self.name;
        assert_eq!(passed.as_secs(), 3660);
        if let Ending::Renews(least) = self.ending {
            assert!(self.begun >= least, "{name} began {} watches", self.begun);
        }
        if let Some(bookmarks) = &self.bookmarks {
            assert!(bookmarks.count >= 50, "{name} was told {} times how far it had seen", bookmarks.count);
        }
        let Some(mut child) = self.child.take() else { return };
        if self.ending == Ending::Ends {
            let rest = tokio::time::timeout(PATIENCE, self.lines.recv()).await.expect("it ends in time");
            assert_eq!(rest, None, "{name} tells more than there was");
            let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends in time");
            assert!(status.expect("a status").success(), "{name}: as upstream, it is no failure");
        } else {
            child.kill().await.expect("it was running");
        }
    }
}
