//! The priority of a new pod, from the class that it names or from the one for those that name none.
//!
//! Source: upstream's plugin `plugin/pkg/admission/priority`.

use serde_json::Value;

use super::{Registry, meta, object_of};
use crate::error::ApiError;
use crate::kind::Kind;
use crate::kinds::{self, priority_class};

/// Priority classes that are looked at for the default: nobody has more.
const CLASSES: usize = 1000;
/// What pods do to others if nothing is said.
const USUAL: &str = "PreemptLowerPriority";

impl Registry {
    /// Gives a pod its priority class, priority and preemption policy.
    ///
    /// # Errors
    /// There is no such class, or the pod says of itself what its class does not: 403, in upstream's words.
    pub fn give_priority(&self, kind: &'static Kind, pod: &mut Value) -> Result<(), ApiError> {
        let forbidden = |detail: String| forbidden(kind, pod, &detail);
        let classes = class_kind()?;
        let named = pod["spec"]["priorityClassName"].as_str().filter(|name| !name.is_empty());
        let class = match named {
            Some(name) => match self.entry(classes, None, name) {
                Ok(entry) => Some(object_of(&entry)?),
                Err(error) if error.reason == "NotFound" => {
                    return Err(forbidden(format!("no PriorityClass with name {name} was found")));
                }
                Err(error) => return Err(error),
            },
            None => self.default_class(classes)?,
        };
        let class = class.unwrap_or(Value::Null);
        let (priority, policy) =
            (class["value"].as_i64().unwrap_or(0), class["preemptionPolicy"].as_str().unwrap_or(USUAL));
        let computed = "must not be provided in pod spec; priority admission controller computed";
        let from = "from the given PriorityClass name";
        if let Some(given) = pod["spec"]["priority"].as_i64().filter(|given| *given != priority) {
            return Err(forbidden(format!(
                "the integer value of priority ({given}) {computed} {priority} {from}"
            )));
        }
        if let Some(given) = pod["spec"]["preemptionPolicy"].as_str().filter(|given| *given != policy) {
            return Err(forbidden(format!(
                "the string value of PreemptionPolicy ({given}) {computed} {policy} {from}"
            )));
        }
        let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
        if let Some(name) = class["metadata"]["name"].as_str() {
            spec.insert("priorityClassName".to_owned(), name.into());
        }
        spec.insert("priority".to_owned(), priority.into());
        spec.insert("preemptionPolicy".to_owned(), policy.into());
        Ok(())
    }

    /// The class of pods that name none. There should be one at most; of several the lowest counts.
    fn default_class(&self, classes: &'static Kind) -> Result<Option<Value>, ApiError> {
        let prefix = classes.prefix(None);
        // Nearly nobody has others than the system's, of which none is it.
        let system = priority_class::system_names();
        let known =
            system.filter(|name| self.store.tagged(&classes.key(None, name), NO_TAG).is_some()).count();
        if self.store.count(&prefix) <= known {
            return Ok(None);
        }
        let classes = self.first(&prefix, CLASSES)?.into_iter().map(|(_, class)| class);
        let defaults = classes.filter(priority_class::is_default);
        Ok(defaults.min_by_key(|class| class["value"].as_i64().unwrap_or(0)))
    }

    /// Refuses a second class for pods that name none.
    pub(super) fn one_default(&self, kind: &'static Kind, class: &Value) -> Result<(), ApiError> {
        if kind.kind != "PriorityClass" || !priority_class::is_default(class) {
            return Ok(());
        }
        match self.default_class(kind)? {
            Some(other) if other["metadata"]["name"] != class["metadata"]["name"] => {
                let name = meta::text(&other, "name");
                let detail =
                    format!("PriorityClass {name} is already marked as default. Only one default can exist");
                Err(forbidden(kind, class, &detail))
            }
            _ => Ok(()),
        }
    }
}

/// A tag that no object has: only whether the object is there is asked.
const NO_TAG: (&str, &str) = ("", "");

fn class_kind() -> Result<&'static Kind, ApiError> {
    kinds::by_kind("scheduling.k8s.io/v1", "PriorityClass")
        .ok_or_else(|| ApiError::internal("priority classes are not served"))
}

/// Admission's 403.
fn forbidden(kind: &'static Kind, object: &Value, why: &str) -> ApiError {
    let subject = kind.subject(meta::text(object, "name"));
    let text = format!("{} {:?} is forbidden: {why}", subject.qualified(), subject.name);
    ApiError::forbidden(&subject, text)
}
