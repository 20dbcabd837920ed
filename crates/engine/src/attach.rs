//! Answers the API server when somebody attaches to a container: its stdin and terminal come from the runtime, its
//! output from its log as it grows, so that a client that reads slowly never holds the container up. Programs beside a
//! container are `exec`'s.

use std::io;
use std::sync::{Arc, Weak};

use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::Value;
use windlass_apiserver::attach::{
    AttachRequest, AttachSource, Attached, ExecRequest, Fate, Input, Output, Terminal,
};
use windlass_apiserver::error::ApiError;
use windlass_runner::log::{self, ReadOptions};
use windlass_runner::runtime::{self, InputError, Key as RunKey, Runtime};

use crate::home::Home;
use crate::logs::{Hub, run_of};

/// The containers of an engine.
pub(crate) struct Attacher {
    pub(crate) home: Home,
    pub(crate) hub: Hub,
    /// The controllers' own: a client that outlives the engine must not keep its hold on the shim.
    pub(crate) runtime: Weak<dyn Runtime>,
}

impl AttachSource for Attacher {
    fn attach(&self, pod: Value, request: AttachRequest) -> BoxFuture<'_, Result<Attached, ApiError>> {
        Box::pin(async move { self.open(&pod, &request).await })
    }

    fn exec(&self, pod: Value, request: ExecRequest) -> BoxFuture<'_, Result<Attached, ApiError>> {
        Box::pin(async move { self.run(&pod, request).await })
    }
}

impl Attacher {
    async fn open(&self, pod: &Value, request: &AttachRequest) -> Result<Attached, ApiError> {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let run = running(pod, &request.container).map_err(|how| {
            let container = &request.container;
            let text = format!("cannot attach to container {container} of pod {name}: it {how}");
            ApiError::bad_request(text)
        })?;
        let spec = container(pod, &request.container);
        let (has_stdin, has_terminal) = (spec["stdin"] == true, spec["tty"] == true);
        let stdin = if request.stdin && has_stdin { self.input(&run).await? } else { None };
        // A terminal's size can be told also where nothing is written to it.
        let terminal = if has_terminal { self.input(&run).await? } else { None };
        let output = |wanted: bool, output| wanted.then(|| self.output(&run, output));
        let mut over = self.hub.watch(&run);
        Ok(Attached {
            input: stdin.map(|stdin| Box::new(Stdin(stdin)) as Box<dyn Input>),
            terminal: terminal.map(|terminal| Box::new(Size(terminal)) as Box<dyn Terminal>),
            stdout: output(request.stdout, log::Output::Stdout).transpose().map_err(ApiError::internal)?,
            stderr: output(request.stderr, log::Output::Stderr).transpose().map_err(ApiError::internal)?,
            ended: Box::pin(async move {
                // An error means that nobody can say more of it: it is over.
                let _ = over.wait_for(|over| *over).await;
                Fate::Ended
            }),
        })
    }

    /// The way into a run. `None`: its stdin was for one client, who had it.
    async fn input(&self, run: &RunKey) -> Result<Option<runtime::Input>, ApiError> {
        let runtime = self.runtime()?;
        match runtime.input(run).await {
            Ok(input) => Ok(Some(input)),
            Err(InputError::Ended) => Ok(None),
            Err(error @ InputError::TooMany) => Err(ApiError::new(429, "TooManyRequests", error.to_string())),
            Err(InputError::NotRunning) => {
                Err(ApiError::bad_request(format!("container {} has just ended", run.container)))
            }
            // Its pod's stdin was asked for after it had started, or its shim is older than this.
            Err(error) => Err(ApiError::internal(error)),
        }
    }

    pub(crate) fn runtime(&self) -> Result<Arc<dyn Runtime>, ApiError> {
        let stopping = || ApiError::new(503, "ServiceUnavailable", "the engine is stopping");
        self.runtime.upgrade().ok_or_else(stopping)
    }

    fn output(&self, run: &RunKey, output: log::Output) -> io::Result<Output> {
        let path = self.home.container_log(&run.pod, &run.container, run.attempt);
        let after = Some(log::end(&path)?);
        let options = ReadOptions { output: Some(output), after, follow: true, ..ReadOptions::default() };
        Ok(log::read(path, options, self.hub.watch(run)).boxed())
    }
}

/// The run of a container that runs; else what it does instead.
pub(crate) fn running(pod: &Value, container: &str) -> Result<RunKey, &'static str> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().filter_map(|list| pod["status"][*list].as_array()).flatten();
    let status = statuses.find(|status| status["name"] == container);
    let Some(status) = status else { return Err("is waiting to start") };
    let state = &status["state"];
    let run = run_of(&status["containerID"]).filter(|_| state["running"].is_object());
    match (run, state["terminated"].is_object()) {
        (Some(attempt), _) => {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
            Ok(RunKey { pod: uid.to_owned(), container: container.to_owned(), attempt })
        }
        (None, true) => Err("has ended"),
        (None, false) => Err("is waiting to start"),
    }
}

fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = ["containers", "initContainers"].into_iter();
    let mut all = lists.filter_map(|list| pod["spec"][list].as_array()).flatten();
    all.find(|container| container["name"] == name).unwrap_or(&Value::Null)
}

/// A stdin or terminal that is written to.
pub(crate) struct Stdin(pub(crate) runtime::Input);

impl Input for Stdin {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(self.0.write(bytes))
    }
}

/// A terminal that is told its size.
pub(crate) struct Size(pub(crate) runtime::Input);

impl Terminal for Size {
    fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        self.0.resize(columns, rows)
    }
}
