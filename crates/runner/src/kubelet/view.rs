//! Reading a pod: the few fields that the kubelet's decisions look at. It decides nothing but restart policies,
//! which are fields with a meaning of their own.

use jiff::Timestamp;
use serde_json::Value;

/// What kind of container it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Runs to its end before the next begins.
    Init,
    /// An init container with restartPolicy Always: runs beside the others.
    Sidecar,
    /// What the pod is for.
    App,
}

/// When an ended container is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Policy {
    Always,
    OnFailure,
    Never,
}

/// A pod, in the parts that the kubelet reads.
#[derive(Clone, Copy, Debug)]
pub struct PodView<'a> {
    /// Its `metadata`.
    pub metadata: &'a Value,
    /// Its `spec`.
    pub spec: &'a Value,
    /// Its `status`; null if it has none.
    pub status: &'a Value,
}

impl<'a> From<&'a Value> for PodView<'a> {
    fn from(pod: &'a Value) -> Self {
        PodView { metadata: &pod["metadata"], spec: &pod["spec"], status: &pod["status"] }
    }
}

/// A container of it, with what the pod's status said of it last.
#[derive(Clone, Copy)]
pub(super) struct ContainerView<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) spec: &'a Value,
    /// Its entry in the pod's status, or null.
    pub(super) told: &'a Value,
    pod_policy: Policy,
}

impl<'a> PodView<'a> {
    /// What stands at `/metadata/uid` and the like: keys of objects, without escapes.
    pub(crate) fn at(&self, pointer: &str) -> Option<&'a Value> {
        let mut names = pointer.split('/').skip(1);
        let part = match names.next()? {
            "metadata" => self.metadata,
            "spec" => self.spec,
            "status" => self.status,
            _ => return None,
        };
        names.try_fold(part, |value, name| value.get(name))
    }

    pub(crate) fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).and_then(Value::as_str).unwrap_or("")
    }

    pub(super) fn uid(&self) -> &'a str {
        self.text("/metadata/uid")
    }

    /// `NAME_NAMESPACE(UID)`, as the kubelet's messages name a pod.
    pub(crate) fn full_name(&self) -> String {
        format!("{}_{}({})", self.text("/metadata/name"), self.text("/metadata/namespace"), self.uid())
    }

    pub(super) fn phase(&self) -> &'a str {
        self.text("/status/phase")
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    pub(super) fn is_scheduled(&self) -> bool {
        !self.text("/spec/nodeName").is_empty()
    }

    pub(super) fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer).parse().ok()
    }

    pub(super) fn seconds(&self, pointer: &str) -> Option<i64> {
        self.at(pointer)?.as_i64()
    }

    pub(super) fn has_finalizers(&self) -> bool {
        self.at("/metadata/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    }

    /// Init containers and sidecars in order, then the others.
    pub(super) fn containers(&self) -> Vec<ContainerView<'a>> {
        let pod_policy = policy(self.text("/spec/restartPolicy")).unwrap_or(Policy::Always);
        let list = |of: &str, told: &str, is_init: bool| -> Vec<ContainerView<'a>> {
            let specs = self.at(of).and_then(Value::as_array);
            let told = self.at(told).and_then(Value::as_array);
            specs
                .into_iter()
                .flatten()
                .map(|spec| {
                    let name = spec["name"].as_str().unwrap_or("");
                    let told = told.and_then(|told| told.iter().find(|entry| entry["name"] == name));
                    let kind = match (is_init, policy(spec["restartPolicy"].as_str().unwrap_or(""))) {
                        (true, Some(Policy::Always)) => Kind::Sidecar,
                        (true, _) => Kind::Init,
                        (false, _) => Kind::App,
                    };
                    ContainerView { name, kind, spec, told: told.unwrap_or(&Value::Null), pod_policy }
                })
                .collect()
        };
        let mut all = list("/spec/initContainers", "/status/initContainerStatuses", true);
        all.extend(list("/spec/containers", "/status/containerStatuses", false));
        all
    }
}

impl ContainerView<'_> {
    /// Whether the policy wants it started again after this exit code: the container's rules (KEP-5307), then its
    /// own policy, then the pod's. An init container that the pod's policy starts `Always` ends with success.
    pub(super) fn restarts_after(&self, exit_code: i32) -> bool {
        if self.kind == Kind::Sidecar {
            return true;
        }
        let rules = self.spec["restartPolicyRules"].as_array();
        if rules.into_iter().flatten().any(|rule| applies(rule, exit_code)) {
            return true;
        }
        match policy(self.spec["restartPolicy"].as_str().unwrap_or("")).unwrap_or(self.pod_policy) {
            Policy::Always => self.kind == Kind::App || exit_code != 0,
            Policy::OnFailure => exit_code != 0,
            Policy::Never => false,
        }
    }
}

impl ContainerView<'_> {
    /// Whether it is started again after it was ended for its probe's sake, whatever its exit code.
    pub(super) fn restarts_when_ended(&self) -> bool {
        let own = policy(self.spec["restartPolicy"].as_str().unwrap_or(""));
        own.unwrap_or(self.pod_policy) != Policy::Never
    }
}

fn applies(rule: &Value, exit_code: i32) -> bool {
    let codes = &rule["exitCodes"];
    let is_listed = codes["values"].as_array().is_some_and(|values| values.iter().any(|v| *v == exit_code));
    match codes["operator"].as_str() {
        Some("In") => is_listed,
        Some("NotIn") => !is_listed,
        _ => false,
    }
}

fn policy(text: &str) -> Option<Policy> {
    match text {
        "Always" => Some(Policy::Always),
        "OnFailure" => Some(Policy::OnFailure),
        "Never" => Some(Policy::Never),
        _ => None,
    }
}
