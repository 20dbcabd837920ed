//! A situation as its document has it, and the objects that its short forms stand for.

use serde::Deserialize;
use serde_json::{Value, json};

/// One document of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Situation {
    /// What the matter is, in a few words.
    pub(crate) situation: String,
    /// An engine of its own: `{}` for one as the others have.
    pub(crate) engine: Option<Needs>,
    /// Left out where the machine lacks it: `limits` (control groups that this user may divide).
    pub(crate) needs: Option<String>,
    /// Objects that are there before.
    #[serde(default)]
    pub(crate) there: Vec<Value>,
    /// The Job `job`: fields of its spec, and `main` (its container), `pod` (its pod's spec), `fate` (how it is played).
    pub(crate) job: Option<Value>,
    /// The CronJob `nightly`: fields of its spec, and `job` as above.
    pub(crate) cron: Option<Value>,
    /// What happens then, one after the other.
    #[serde(default)]
    pub(crate) then: Vec<Act>,
    /// Who asks: a role (`read`, `submit`) or `nobody`, a service account without one. Else the owner.
    #[serde(rename = "as")]
    pub(crate) role: Option<String>,
    /// What is asked about, if not the one that was created.
    pub(crate) why: Option<String>,
    /// What is said; the word POD stands for a pod's name, CPUS and MEMORY for what the node has, TIME for a time.
    #[serde(default)]
    pub(crate) said: String,
}

/// What an engine of a situation's own has that others have not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Needs {
    /// Images' commands run on the host.
    pub(crate) images: bool,
    /// Its clock can be set forward.
    pub(crate) clock: bool,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Act {
    /// It goes on when this is said.
    When(String),
    /// It goes on when the first pod of the Job is in this phase.
    Pod(String),
    /// An object is made.
    Create(Value),
    /// A path of the API is patched (merge).
    Patch {
        /// Below the namespace, unless it begins with `/`.
        path: String,
        /// The patch.
        with: Value,
    },
    /// A path of the API is deleted; POD in it stands for the first pod's name.
    Delete(String),
    /// It goes on when an event with this reason is there.
    Event(String),
    /// The engine's clock goes forward so far, and it goes on when another Job is there instead of those before.
    Replaced(String),
    /// The first pod of the Job is evicted through the API.
    Evict,
    /// The engine's clock goes forward, by a span, or to the next `noon` (UTC): far from when days and hours end.
    Advance(String),
    /// The job is cancelled, by `ada`, for this reason.
    Cancel(String),
}

impl Situation {
    pub(crate) fn read(document: &str, place: &str) -> Situation {
        let value: Value =
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{place}: {error}"));
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    /// What the machine lacks to bring it about.
    pub(crate) fn lacks(&self) -> Option<String> {
        match self.needs.as_deref() {
            Some("limits") => windlass_engine::limits_not_enforced(),
            Some(other) => panic!("{other} is nothing that a situation may need"),
            None => None,
        }
    }

    pub(crate) fn wants_its_own(&self) -> bool {
        self.engine.is_some()
    }

    /// What is asked about: the Job, or the CronJob if that is all there is.
    pub(crate) fn subject(&self) -> &str {
        let usual = if self.job.is_none() && self.cron.is_some() { "cronjob/nightly" } else { "job" };
        self.why.as_deref().unwrap_or(usual)
    }

    /// The Job, if there is one.
    pub(crate) fn job(&self) -> Option<Value> {
        let mut job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "job" } });
        job["spec"] = spec(self.job.as_ref()?);
        Some(job)
    }

    /// The CronJob, if there is one.
    pub(crate) fn cron(&self) -> Option<Value> {
        let mut spec_of_cron = self.cron.clone()?;
        let job = spec_of_cron.as_object_mut().unwrap().remove("job").unwrap_or_else(|| json!({}));
        spec_of_cron["jobTemplate"] = json!({ "spec": spec(&job) });
        let metadata = json!({ "name": "nightly" });
        Some(
            json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec_of_cron }),
        )
    }
}

/// The spec of a Job that a short form stands for: a host process that sleeps, but for what is said.
fn spec(short: &Value) -> Value {
    let mut spec = short.clone();
    let fields = spec.as_object_mut().unwrap();
    let mut take = |name: &str| fields.remove(name).unwrap_or(Value::Null);
    let (main, pod, fate) = (take("main"), take("pod"), take("fate"));
    let mut container = json!({ "name": "main", "image": "host", "command": ["sleep", "600"] });
    merge(&mut container, &main);
    let mut template = json!({ "spec": {
        "runtimeClassName": "windlass-host", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0 } });
    merge(&mut template["spec"], &pod);
    if template["spec"]["containers"].is_null() {
        template["spec"]["containers"] = json!([container]);
    }
    match fate {
        Value::Null => {}
        Value::String(fate) => {
            template["metadata"] = json!({ "annotations": { "fate.windlass.dev/pod": fate } });
        }
        fates => template["metadata"] = json!({ "annotations": fates }),
    }
    let mut whole = json!({ "backoffLimit": 0, "template": template });
    merge(&mut whole, &spec);
    whole
}

/// As a merge patch: null takes away.
fn merge(into: &mut Value, from: &Value) {
    let Value::Object(fields) = from else { return };
    for (name, value) in fields {
        match value {
            Value::Null => {
                into.as_object_mut().unwrap().remove(name);
            }
            Value::Object(_) if into[name].is_object() => merge(&mut into[name], value),
            _ => into[name] = value.clone(),
        }
    }
}
