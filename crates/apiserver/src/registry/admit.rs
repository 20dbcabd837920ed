//! What a cluster's admission asks of a new pod beyond the pod itself: that what it names is there.
//!
//! Source: upstream's plugins ServiceAccount, RuntimeClass and Priority. Pods that the engine makes for Jobs do not come
//! this way: they wait, and say why.

use serde_json::Value;

use super::{Registry, meta};
use crate::error::ApiError;
use crate::kind::Kind;
use crate::kinds;

/// The priority classes that every cluster has.
const PRIORITIES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

impl Registry {
    /// Refuses a pod whose service account, runtime class or priority class is not there; fills in its priority.
    pub(super) fn admit(&self, kind: &'static Kind, pod: &mut Value) -> Result<(), ApiError> {
        if kind.kind != "Pod" || !kind.group.is_empty() {
            return Ok(());
        }
        let (namespace, name) = (meta::text(pod, "namespace").to_owned(), meta::text(pod, "name").to_owned());
        let forbidden = |detail: String| {
            let text = format!("pods {name:?} is forbidden: {detail}");
            Err(ApiError::forbidden(&kind.subject(&name), text))
        };
        let there = |api_version: &str, kind: &str, namespace: Option<&str>, name: &str| {
            kinds::by_kind(api_version, kind).is_none_or(|kind| self.entry(kind, namespace, name).is_ok())
        };
        let named = |key: &str| pod["spec"][key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        // The default account of a new namespace may still be on its way.
        if let Some(account) = named("serviceAccountName").filter(|account| account != "default")
            && !there("v1", "ServiceAccount", Some(&namespace), &account)
        {
            return forbidden(format!(
                "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
            ));
        }
        if let Some(class) = named("runtimeClassName")
            && !there("node.k8s.io/v1", "RuntimeClass", None, &class)
        {
            return forbidden(format!("pod rejected: RuntimeClass {class:?} not found"));
        }
        let mut priority = 0;
        if let Some(class) = named("priorityClassName") {
            let Some((_, value)) = PRIORITIES.iter().find(|(name, _)| *name == class) else {
                return forbidden(format!("no PriorityClass with name {class} was found"));
            };
            priority = *value;
        }
        let computed = "must not be provided in pod spec; priority admission controller computed";
        // What was not given is 0 by now.
        let given = pod["spec"]["priority"].as_i64().unwrap_or(priority);
        if given != 0 && given != priority {
            return forbidden(format!(
                "the integer value of priority ({given}) {computed} {priority} from the given PriorityClass name"
            ));
        }
        pod["spec"]["priority"] = priority.into();
        let (policy, usual) = (pod["spec"]["preemptionPolicy"].as_str(), "PreemptLowerPriority");
        if let Some(policy) = policy.filter(|policy| *policy != usual) {
            return forbidden(format!(
                "the string value of PreemptionPolicy ({policy}) {computed} {usual} from the given PriorityClass name"
            ));
        }
        Ok(())
    }
}
