//! Specs of Jobs that were sent before: of many Jobs that are made of one template all is the same but for what their
//! names and uids put in, so that what was made of the first such text is taken again for the next.
//!
//! It is right for every text, because what becomes of a spec depends on nothing but the text, the name and the uid, and
//! of these only in the five places that are generated. Where it might not be so (a selector or labels of the user's
//! own, an Indexed Job, whose pods' host names are checked with its name, anything that was warned of) nothing is kept.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use super::create::{Created, agree_on_namespace};
use super::spec::Spec;
use super::{Object, Registry, meta};
use crate::error::ApiError;
use crate::kind::Kind;
use crate::{names, schema};

/// Specs that are kept.
const KEPT: usize = 32;
/// Bytes of the longest text that is kept.
const BYTES: usize = 8 << 10;
/// Texts of which is remembered that they came once: only what comes again is kept.
const SEEN: usize = 256;

/// Labels of the pod template that are generated: whether they hold the uid, else the name.
const LABELS: [(&str, bool); 4] = [
    ("batch.kubernetes.io/controller-uid", true),
    ("batch.kubernetes.io/job-name", false),
    ("controller-uid", true),
    ("job-name", false),
];
/// The label of the selector, which holds the uid.
const SELECTED: &str = "batch.kubernetes.io/controller-uid";
/// Words of a text that is not kept: it has a selector or such labels of its own, or is written so that it may have.
const OWN: [&str; 5] = ["\\", "selector", "Selector", "controller-uid", "job-name"];
/// What stands for the name and for the uid while the places are looked for. JSON escapes neither.
const MARKS: [&str; 2] = ["<name \u{e000}>", "<uid \u{e000}>"];

/// What was made of a spec.
pub(crate) struct Known {
    text: Box<str>,
    /// The labels of its pods, which the Job gets that has none.
    labels: Value,
    /// As JSON: what comes before each of the places, and whether the uid belongs there, else the name.
    heads: Vec<(Vec<u8>, bool)>,
    /// What comes after the last of them.
    tail: Vec<u8>,
}

/// Specs by their text.
#[derive(Default)]
pub(super) struct Specs(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    known: VecDeque<Arc<Known>>,
    seen: VecDeque<u64>,
}

impl Specs {
    /// What was made of this text for an object of this kind.
    pub(super) fn find(&self, kind: &Kind, text: &str) -> Option<Arc<Known>> {
        if !is_job(kind) {
            return None;
        }
        self.lock().known.iter().find(|known| *known.text == *text).cloned()
    }

    /// An object was made of a text without a complaint or warning.
    pub(super) fn remember(&self, kind: &Kind, text: &str, object: &Object) {
        if !is_job(kind) || text.len() > BYTES || OWN.iter().any(|word| text.contains(word)) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        let mut kept = self.lock();
        if !kept.seen.contains(&hash) {
            if kept.seen.len() >= SEEN {
                kept.seen.pop_front();
            }
            kept.seen.push_back(hash);
            return;
        }
        if kept.known.iter().any(|known| *known.text == *text) {
            return;
        }
        if let Some(known) = Known::of(text, object) {
            if kept.known.len() >= KEPT {
                kept.known.pop_front();
            }
            kept.known.push_back(Arc::new(known));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Each change of it is whole: a panic of another leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What can be taken again of what was made of a text, if anything can.
    fn of(text: &str, object: &Object) -> Option<Known> {
        let spec = object.spec();
        let generated = spec["manualSelector"] == false && spec["completionMode"] == "NonIndexed";
        if !generated
            || !takes(object.text("name"))
            || OWN.iter().any(|word| object.text("name").contains(word))
        {
            return None;
        }
        let mut value = spec.clone();
        fill(&mut value, MARKS[0], MARKS[1])?;
        let json = serde_json::to_string(&value).ok()?;
        let (mut heads, mut rest) = (Vec::new(), &*json);
        while let Some((at, is_uid)) = next(rest) {
            heads.push((rest.as_bytes()[..at].to_vec(), is_uid));
            rest = &rest[at + MARKS[usize::from(is_uid)].len()..];
        }
        // A text that has the marks itself would have more places.
        (heads.len() == LABELS.len() + 1).then(|| Known {
            text: text.into(),
            labels: value["template"]["metadata"]["labels"].take(),
            heads,
            tail: rest.as_bytes().to_vec(),
        })
    }

    /// The spec of a Job of this name and uid as JSON; none if the name is one that has to be looked at.
    pub(super) fn spec(&self, name: &str, uid: &str) -> Option<Vec<u8>> {
        if !takes(name) {
            return None;
        }
        let size: usize = self.heads.iter().map(|(head, _)| head.len() + uid.len().max(name.len())).sum();
        let mut json = Vec::with_capacity(size + self.tail.len());
        for (head, is_uid) in &self.heads {
            json.extend_from_slice(head);
            json.extend_from_slice(if *is_uid { uid } else { name }.as_bytes());
        }
        json.extend_from_slice(&self.tail);
        Some(json)
    }

    /// The labels of the pods of such a Job.
    fn labels(&self, name: &str, uid: &str) -> Option<Value> {
        let mut labels = self.labels.clone();
        fill_labels(&mut labels, name, uid)?;
        Some(labels)
    }
}

impl Registry {
    /// Whether specs of this kind are kept.
    pub(crate) fn keeps_specs(&self, kind: &Kind) -> bool {
        is_job(kind)
    }

    /// What was made of a spec's text before.
    pub(crate) fn known_spec(&self, kind: &Kind, text: &str) -> Option<Arc<Known>> {
        self.specs.find(kind, text)
    }

    /// An object was made of a spec's text without a complaint or warning.
    pub(crate) fn remember_spec(&self, kind: &Kind, text: &str, object: &Object) {
        self.specs.remember(kind, text, object);
    }

    /// What the server makes of a new object whose spec is known and is not in it, as creating it whole would; none if
    /// anything is wrong with it or to be warned of: then it is to be created whole, to be told so.
    pub(crate) fn born_known(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        mut object: Value,
        known: &Known,
    ) -> Option<Object> {
        agree_on_namespace(kind, namespace, &mut object).ok()?;
        // A name of the server's own choosing may have to be drawn again.
        if meta::text(&object, "name").is_empty()
            || !meta::text(&object, "resourceVersion").is_empty()
            || !self.identify(kind, &mut object)
        {
            return None;
        }
        let (name, uid) = (meta::text(&object, "name"), meta::text(&object, "uid"));
        let spec = known.spec(name, uid)?;
        let has_labels = object["metadata"]["labels"].as_object().is_some_and(|labels| !labels.is_empty());
        if !has_labels {
            let labels = known.labels(name, uid)?;
            meta::set(&mut object, "labels", labels);
        }
        // Where the spec belongs there is nothing to dress.
        object["spec"] = Value::Null;
        object["status"] = Value::Object(Map::new());
        if !names::metadata(&object, kind).is_empty() {
            return None;
        }
        schema::dress(kind.schema, &mut object);
        Some(Object::from(object).with_spec(Spec::of_json(spec)))
    }

    /// Stores what [`Registry::born_known`] made.
    pub(crate) async fn store_known(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        object: Object,
        dry_run: bool,
    ) -> Result<Created, ApiError> {
        let (object, entry) = self.store_new(kind, namespace, object, dry_run).await?;
        Ok(Created { object, entry })
    }
}

fn is_job(kind: &Kind) -> bool {
    (kind.group, kind.kind) == ("batch", "Job")
}

/// Whether nothing can be wrong with a spec for a name's sake, and nothing has to be warned of. Such a name is the same
/// in JSON.
fn takes(name: &str) -> bool {
    names::dns_label(name).is_empty()
}

/// Writes a name and a uid to the places where they are generated; none if one is not there.
fn fill(spec: &mut Value, name: &str, uid: &str) -> Option<()> {
    *spec.get_mut("selector")?.get_mut("matchLabels")?.get_mut(SELECTED)? = uid.into();
    fill_labels(spec.get_mut("template")?.get_mut("metadata")?.get_mut("labels")?, name, uid)
}

fn fill_labels(labels: &mut Value, name: &str, uid: &str) -> Option<()> {
    for (label, is_uid) in LABELS {
        *labels.get_mut(label)? = if is_uid { uid } else { name }.into();
    }
    Some(())
}

/// Where the next mark is, and whether it is the uid's.
fn next(text: &str) -> Option<(usize, bool)> {
    let [name, uid] = MARKS.map(|mark| text.find(mark));
    match (name, uid) {
        (Some(name), Some(uid)) => Some((name.min(uid), uid < name)),
        (name, uid) => name.map(|at| (at, false)).or(uid.map(|at| (at, true))),
    }
}

/// What the fuzz target asks.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzz {
    use serde_json::{Value, json};

    use super::Specs;
    use crate::kinds;

    /// A Job as the API makes it.
    pub(crate) fn made(name: &str, uid: &str, spec: &Value) -> Value {
        let kind = kinds::by_kind("batch/v1", "Job").expect("it is served");
        let mut job = json!({"metadata": {"name": name, "uid": uid}, "spec": spec});
        (kind.default)(&mut job);
        (kind.prepare_create)(&mut job);
        job
    }

    /// The spec of a Job of this name and uid as it is taken again of what was made of the same text twice, if it is.
    pub(crate) fn taken_again(text: &str, first: Value, name: &str, uid: &str) -> Option<Vec<u8>> {
        let kind = kinds::by_kind("batch/v1", "Job")?;
        let (specs, object) = (Specs::default(), first.into());
        specs.remember(kind, text, &object);
        specs.remember(kind, text, &object);
        specs.find(kind, text)?.spec(name, uid)
    }
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
