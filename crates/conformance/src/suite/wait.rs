//! Waiting: a watch of a kind's objects, looked at after every change until a state has come, can never come, or
//! patience is over.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use serde_json::Value;

use super::stage::{EVENT, JOB, Kind, POD, Stage};

/// The longest that any one state may take to come: a CronJob's second run takes two minutes, a busy machine more.
pub(super) const PATIENCE: Duration = Duration::from_secs(480);

/// What one look at the objects told.
pub(super) enum Look<T> {
    /// The state has come.
    Done(T),
    /// Not yet, and what is missing.
    NotYet(String),
    /// It will not come any more, and why.
    Never(String),
}

/// Which objects of a kind.
pub(super) enum Which<'a> {
    All,
    Name(&'a str),
    Labels(String),
    Fields(String),
}

impl Which<'_> {
    fn config(self) -> Config {
        match self {
            Which::All => Config::default(),
            Which::Name(name) => Config::default().fields(&format!("metadata.name={name}")),
            Which::Labels(labels) => Config::default().labels(&labels),
            Which::Fields(fields) => Config::default().fields(&fields),
        }
    }
}

impl Stage {
    /// Watches, and looks at all that there is after each change. Changes that a client sees one by one are looked at
    /// one by one, so that states that pass are not missed.
    pub(super) async fn until<T>(
        &self,
        kind: Kind,
        which: Which<'_>,
        mut look: impl FnMut(&[&DynamicObject]) -> Look<T>,
    ) -> Result<T> {
        let mut events = pin!(watcher(self.api(kind), which.config()).default_backoff());
        let mut held: BTreeMap<String, DynamicObject> = BTreeMap::new();
        let mut last = "no answer".to_owned();
        let waiting = async {
            while let Some(event) = events.next().await {
                let name = |object: &DynamicObject| object.metadata.name.clone().unwrap_or_default();
                match event {
                    Err(cause) => {
                        last = format!("the watch: {cause}");
                        continue;
                    }
                    Ok(Event::Init) => {
                        held.clear();
                        continue;
                    }
                    Ok(Event::InitApply(object)) => {
                        held.insert(name(&object), object);
                        continue;
                    }
                    Ok(Event::InitDone) => {}
                    Ok(Event::Apply(object)) => drop(held.insert(name(&object), object)),
                    Ok(Event::Delete(object)) => drop(held.remove(&name(&object))),
                }
                let objects: Vec<&DynamicObject> = held.values().collect();
                match look(&objects) {
                    Look::Done(found) => return Ok(found),
                    Look::NotYet(why) => last = why,
                    Look::Never(why) => bail!("{why}"),
                }
            }
            bail!("the watch ended")
        };
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(ended) => ended,
            Err(_) => bail!("after {} s still: {last}", self.patience.as_secs()),
        }
    }

    /// The same, with something to do once the watch is open: what that brings about is seen from its first moment on,
    /// however slow this process is.
    pub(super) async fn until_after<T>(
        &self,
        kind: Kind,
        which: Which<'_>,
        act: impl Future<Output = Result<()>>,
        mut look: impl FnMut(&[&DynamicObject]) -> Look<T>,
    ) -> Result<T> {
        let (open, opened) = tokio::sync::oneshot::channel();
        let mut open = Some(open);
        let watching = self.until(kind, which, |objects| {
            if let Some(open) = open.take() {
                // Nobody waits for it any more only if acting has failed, which is told.
                let _ = open.send(());
            }
            look(objects)
        });
        let acting = async {
            opened.await.context("the watch has ended")?;
            act.await
        };
        let (found, ()) = futures::try_join!(watching, acting)?;
        Ok(found)
    }

    /// The first event of a watch from a revision that is looked for.
    pub(super) async fn event_from(
        &self,
        kind: Kind,
        labels: &str,
        mut revision: String,
        is_it: impl Fn(&str, &DynamicObject) -> bool,
    ) -> Result<DynamicObject> {
        let waiting = async {
            loop {
                let params = WatchParams::default().labels(labels);
                let api = self.api(kind);
                let mut events = pin!(api.watch(&params, &revision).await.context("a watch")?);
                while let Some(event) = events.try_next().await.context("a watch")? {
                    let (what, object) = match event {
                        WatchEvent::Added(object) => ("ADDED", object),
                        WatchEvent::Modified(object) => ("MODIFIED", object),
                        WatchEvent::Deleted(object) => ("DELETED", object),
                        WatchEvent::Bookmark(_) => continue,
                        WatchEvent::Error(status) => bail!("the watch said {}", status.message),
                    };
                    if is_it(what, &object) {
                        return Ok(object);
                    }
                    revision = object.metadata.resource_version.unwrap_or(revision);
                }
            }
        };
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(ended) => ended,
            Err(_) => bail!("no such event within {} s", self.patience.as_secs()),
        }
    }

    /// One object's state.
    pub(super) async fn object_until<T>(
        &self,
        kind: Kind,
        name: &str,
        mut look: impl FnMut(&DynamicObject) -> Look<T>,
    ) -> Result<T> {
        let seen = self.until(kind, Which::Name(name), |objects| match objects.first() {
            Some(object) => look(object),
            None => Look::Never("it is gone".to_owned()),
        });
        seen.await.with_context(|| name.to_owned())
    }

    pub(super) async fn gone(&self, kind: Kind, name: &str) -> Result<()> {
        let seen = self.until(kind, Which::Name(name), |objects| {
            if objects.is_empty() { Look::Done(()) } else { Look::NotYet("it is there".to_owned()) }
        });
        seen.await.with_context(|| format!("{name} is to go"))
    }

    /// A condition that is True, with its reason; the opposite end of a Job is an error at once.
    pub(super) async fn condition(&self, job: &str, wanted: &str, reason: &str) -> Result<DynamicObject> {
        let seen = self.object_until(JOB, job, |job| match holds(job, wanted) {
            Some(found) if found["reason"] == reason => Look::Done(job.clone()),
            Some(found) => Look::Never(format!("{wanted} has the reason {}", found["reason"])),
            None => {
                let other =
                    if matches!(wanted, "Complete" | "SuccessCriteriaMet") { "Failed" } else { "Complete" };
                match holds(job, other) {
                    Some(found) => Look::Never(format!("it is {other}: {}", found["message"])),
                    None => Look::NotYet(format!("{wanted} is not True: {}", job.data["status"])),
                }
            }
        });
        seen.await.with_context(|| format!("waiting for {wanted} with reason {reason}"))
    }

    /// Complete, for a reason, with so many successes.
    pub(super) async fn complete(&self, job: &str, reason: &str, succeeded: i64) -> Result<DynamicObject> {
        let job = self.condition(job, "Complete", reason).await?;
        let count = count(&job, "succeeded");
        if count != succeeded {
            bail!("{count} pods succeeded, not {succeeded}");
        }
        Ok(job)
    }

    /// Failed, whatever the reason.
    pub(super) async fn failed(&self, job: &str) -> Result<DynamicObject> {
        let seen = self.object_until(JOB, job, |job| match (holds(job, "Failed"), holds(job, "Complete")) {
            (Some(_), _) => Look::Done(job.clone()),
            (None, Some(_)) => Look::Never("it is Complete".to_owned()),
            (None, None) => Look::NotYet(format!("it has not failed: {}", job.data["status"])),
        });
        seen.await.context("waiting for Failed")
    }

    /// So many pods of a Job, neither more nor less, in a phase.
    pub(super) async fn pods_in_phase(&self, job: &str, phase: &str, wanted: usize) -> Result<()> {
        let seen = self.until(POD, of_job(job), |pods| {
            let found = pods.iter().filter(|pod| pod.data["status"]["phase"] == phase).count();
            if found == wanted { Look::Done(()) } else { Look::NotYet(format!("{found} pods are {phase}")) }
        });
        seen.await.with_context(|| format!("waiting for {wanted} pods of {job} that are {phase}"))
    }

    pub(super) async fn pods_gone(&self, job: &str) -> Result<()> {
        let seen = self.until(POD, of_job(job), |pods| {
            if pods.is_empty() {
                Look::Done(())
            } else {
                Look::NotYet(format!("{} pods are there", pods.len()))
            }
        });
        seen.await.with_context(|| format!("the pods of {job} are to go"))
    }

    /// An event about an object, by its reason.
    pub(super) async fn event(&self, about: &str, reason: &str) -> Result<()> {
        let which = Which::Fields(format!("involvedObject.name={about}"));
        let seen = self.until(EVENT, which, |events| {
            if events.iter().any(|event| event.data["reason"] == reason) {
                return Look::Done(());
            }
            let reasons: Vec<&Value> = events.iter().map(|event| &event.data["reason"]).collect();
            Look::NotYet(format!("its events are {reasons:?}"))
        });
        seen.await.with_context(|| format!("waiting for the event {reason} about {about}"))
    }
}

/// The pods that a Job of this suite makes, by the label of its template.
pub(super) fn of_job(job: &str) -> Which<'static> {
    Which::Labels(format!("job={job}"))
}

/// A condition that is True.
pub(super) fn holds<'a>(object: &'a DynamicObject, wanted: &str) -> Option<&'a Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|one| one["type"] == wanted && one["status"] == "True")
}

/// A counter of a status; one that is not there is 0.
pub(super) fn count(object: &DynamicObject, counter: &str) -> i64 {
    object.data["status"][counter].as_i64().unwrap_or_default()
}
