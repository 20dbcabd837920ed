//! Runs cases on a cluster: each in a namespace of its own, several at once, answers as values.
//!
//! A step that could not be done ends its case; the record says why, which is a difference like any other.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use futures::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::normal;
use crate::script::{Case, Script, Step, Topic};
use crate::variables::Variables;
use crate::wire::{Ask, Watch, send};

/// Cases that run at once.
const AT_ONCE: usize = 8;
/// Events of one watch that are kept.
const EVENTS: usize = 200;

/// The answers to a topic's cases: case to its steps' normalised records, in order.
pub type Answers = BTreeMap<String, Vec<Value>>;

/// The kubectl whose output is compared.
pub const KUBECTL_PROGRAM: &str = crate::kubectl::PROGRAM;

/// Whether it is installed.
#[must_use]
pub fn has_kubectl() -> bool {
    crate::kubectl::find().is_some()
}

/// The version that a cluster says it is.
pub async fn version(cluster: &Cluster) -> Result<String> {
    let answer = send(&cluster.client, Ask::get("/version")).await?;
    Ok(answer["body"]["gitVersion"].as_str().unwrap_or_default().to_owned())
}

/// Runs a topic's cases on a cluster.
pub async fn topic(cluster: &Cluster, script: &Script, topic: &Topic) -> Result<Answers> {
    let cases = topic.cases.iter().map(|case| async move {
        let records = run_case(cluster, script, case).await;
        let records = records.with_context(|| format!("{}, {}", topic.name, case.name))?;
        Ok((case.name.clone(), records))
    });
    let done: Vec<Result<(String, Vec<Value>)>> =
        futures::stream::iter(cases).buffered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

async fn run_case(cluster: &Cluster, script: &Script, case: &Case) -> Result<Vec<Value>> {
    let namespace = open(cluster).await?;
    let mut run = Run {
        cluster,
        script,
        variables: Variables::of_namespace(&namespace),
        seen: Vec::new(),
        kubectl: Kubectl::new(cluster, &namespace)?,
    };
    let mut records = Vec::new();
    if let Err(cause) = run.steps(&case.steps, &mut records).await {
        records.push(json!({"fault": format!("{cause:#}")}));
    }
    // Names that only kubectl or events spoke of.
    for collection in ["jobs", "pods"] {
        let path = run.variables.get(collection).unwrap_or_default().to_owned();
        run.seen.push(send(&cluster.client, Ask::get(path)).await?);
    }
    let names = normal::Names::learn(&namespace, &run.seen);
    let records = records.into_iter().map(|record| normal::record(record, &names)).collect();
    let gone = Ask { method: Method::DELETE, ..Ask::get(format!("/api/v1/namespaces/{namespace}")) };
    send(&cluster.client, gone).await?;
    Ok(records)
}

/// Makes a namespace; it is ready when it has its service account.
async fn open(cluster: &Cluster) -> Result<String> {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "conformance-"}});
    let ask =
        Ask { method: Method::POST, body: Some(body.to_string().into()), ..Ask::get("/api/v1/namespaces") };
    let made = send(&cluster.client, ask).await?;
    let name = made["body"]["metadata"]["name"].as_str();
    let name = name.with_context(|| format!("a namespace could not be made: {made}"))?.to_owned();
    let state = BTreeMap::from([("/metadata/name".to_owned(), json!("default"))]);
    let account = format!("/api/v1/namespaces/{name}/serviceaccounts");
    wait(cluster, &account, &state, 1).await.context("the namespace's service account")?;
    Ok(name)
}

/// One run of a case.
struct Run<'a> {
    cluster: &'a Cluster,
    script: &'a Script,
    variables: Variables,
    /// Every answer as it came: what names are learnt from.
    seen: Vec<Value>,
    kubectl: Kubectl,
}

impl Run<'_> {
    fn steps<'s>(&'s mut self, steps: &'s [Step], records: &'s mut Vec<Value>) -> BoxFuture<'s, Result<()>> {
        Box::pin(async move {
            for step in steps {
                let mut record = self.step(step).await.with_context(|| step.title())?;
                record["step"] = step.title().into();
                records.push(record);
            }
            Ok(())
        })
    }

    async fn step(&mut self, step: &Step) -> Result<Value> {
        let mut record = if let Some(path) = &step.watch {
            self.watch(step, path).await?
        } else if let Some(path) = &step.wait {
            let path = self.variables.expand(path)?;
            let state = self.expanded(&step.state)?;
            wait(self.cluster, &path, &state, step.count.unwrap_or(1)).await?
        } else if let Some(line) = &step.kubectl {
            self.kubectl.run(&self.variables.expand(line)?, self.body(step)?).await?
        } else {
            let ask = self.ask(step)?;
            send(&self.cluster.client, ask).await?
        };
        self.seen.push(record.clone());
        for (name, pointer) in &step.capture {
            let value = record["body"].pointer(pointer).and_then(Value::as_str);
            let value = value.with_context(|| format!("nothing to capture at {pointer}: {record}"))?;
            self.variables.set(name, value.to_owned());
        }
        if !step.pick.is_empty() && record.get("body").is_some() {
            record["body"] = picked(&record["body"], &step.pick);
        }
        Ok(record)
    }

    fn ask(&self, step: &Step) -> Result<Ask> {
        let line = self.variables.expand(step.send.as_deref().unwrap_or_default())?;
        let (verb, path) = line.split_once(' ').context("`VERB PATH`")?;
        let mut headers = Vec::new();
        for (name, value) in &step.headers {
            headers.push((name.clone(), self.variables.expand(value)?));
        }
        Ok(Ask {
            method: verb.parse()?,
            path: path.trim().to_owned(),
            headers,
            body: self.body(step)?.map(Into::into),
        })
    }

    fn body(&self, step: &Step) -> Result<Option<String>> {
        if let Some(text) = &step.text {
            return Ok(Some(self.variables.expand(text)?));
        }
        let base = step.like.as_ref().and_then(|name| self.script.templates.get(name)).cloned();
        let body = match (base, &step.body) {
            (None, None) => return Ok(None),
            (None, Some(body)) => body.clone(),
            (Some(base), None) => base,
            (Some(mut base), Some(patch)) => {
                json_patch::merge(&mut base, patch);
                base
            }
        };
        Ok(Some(self.variables.expand_all(&body)?.to_string()))
    }

    fn expanded(&self, state: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>> {
        state.iter().map(|(at, value)| Ok((at.clone(), self.variables.expand_all(value)?))).collect()
    }

    async fn watch(&mut self, step: &Step, path: &str) -> Result<Value> {
        let mut ask = Ask::get(self.variables.expand(path)?);
        ask.headers.extend(step.headers.iter().map(|(n, v)| (n.clone(), v.clone())));
        let mut watch = Watch::open(&self.cluster.client, ask).await?;
        let mut record = watch.head.clone();
        let mut meanwhile = Vec::new();
        self.steps(&step.meanwhile, &mut meanwhile).await?;
        if !meanwhile.is_empty() {
            record["while"] = meanwhile.into();
        }
        if record["code"] != 200 {
            return Ok(record);
        }
        let (mut events, wanted) = (Vec::new(), step.events.unwrap_or(EVENTS));
        let mut ended = false;
        while events.len() < wanted && !ended {
            match watch.next().await? {
                Some(event) => {
                    self.seen.push(event.clone());
                    events.push(if step.pick.is_empty() { event } else { picked(&event, &step.pick) });
                }
                None => ended = true,
            }
        }
        ensure!(step.events.is_some() || ended, "the watch did not end after {EVENTS} events");
        record["events"] = events.into();
        record["ended"] = if ended { "by the server" } else { "by the reader" }.into();
        Ok(record)
    }
}

/// The parts of a value that pointers name; what is not there is left out.
fn picked(value: &Value, pointers: &[String]) -> Value {
    let parts = pointers.iter().filter_map(|at| Some((at.clone(), value.pointer(at)?.clone())));
    Value::Object(parts.collect())
}

/// Waits, by a list and a watch from it, until so many objects of a collection are in a state.
async fn wait(cluster: &Cluster, path: &str, state: &BTreeMap<String, Value>, count: usize) -> Result<Value> {
    let list = send(&cluster.client, Ask::get(path)).await?;
    let mut objects: BTreeMap<String, Value> = BTreeMap::new();
    for item in list["body"]["items"].as_array().into_iter().flatten() {
        objects.insert(name(item), item.clone());
    }
    let Some(from) = list["body"]["metadata"]["resourceVersion"].as_str() else {
        bail!("no list to wait for: {list}")
    };
    let mark = if path.contains('?') { '&' } else { '?' };
    let ask = Ask::get(format!("{path}{mark}watch=true&resourceVersion={from}"));
    let mut watch = Watch::open(&cluster.client, ask).await?;
    loop {
        let reached = objects.values().filter(|object| is_so(object, state)).count();
        if reached == count {
            return Ok(json!({"await": "reached"}));
        }
        let event = watch.next().await.with_context(|| format!("it never came so far: {objects:?}"))?;
        let Some(event) = event else { bail!("the watch ended before it came so far: {objects:?}") };
        let object = &event["object"];
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => {
                objects.insert(name(object), object.clone());
            }
            Some("DELETED") => {
                objects.remove(&name(object));
            }
            _ => bail!("the watch ended with {event}"),
        }
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn is_so(object: &Value, state: &BTreeMap<String, Value>) -> bool {
    state.iter().all(|(at, wanted)| match object.pointer(at) {
        None => wanted.is_null(),
        Some(found) => wanted == "*" || found == wanted,
    })
}
