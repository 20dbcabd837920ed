//! What a container's status says of what its process has: resources, and the user with its groups. Of a container that
//! asks for neither it says nothing, where upstream says `resources: {}` and the user: a pod costs what it did.
//!
//! Source: upstream pkg/kubelet/kubelet_pods.go (`convertToAPIContainerStatuses`), for containers that were made.

use serde_json::{Map, Value, json};

use super::view::{ContainerView, PodView};
use super::{Facts, limits};

/// Who processes run as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Adds it to the status of the container that has this id.
pub(super) fn note(
    status: &mut Value,
    view: PodView<'_>,
    facts: &Facts,
    container: &ContainerView<'_>,
    id: &Value,
) {
    if let Some(asked) = filled(&container.spec["resources"]) {
        if let Some(requests) = asked.get("requests").and_then(filled) {
            status["allocatedResources"] = requests.clone().into();
        }
        status["resources"] = resources(asked, limits::are_open(view, facts)).into();
    }
    // Of a process that is told of already: as it began, whoever the engine is by now.
    let told =
        Some(&container.told["user"]).filter(|user| user.is_object() && container.told["containerID"] == *id);
    let user = told.cloned().or_else(|| {
        let User { uid, gid, groups } = facts.user.as_ref()?;
        Some(json!({"linux": {"uid": uid, "gid": gid, "supplementalGroups": groups}}))
    });
    if let Some(user) = user {
        status["user"] = user;
    }
}

/// What the container asks for, without limits that hold nobody.
fn resources(asked: &Map<String, Value>, is_open: bool) -> Map<String, Value> {
    let mut resources = asked.clone();
    if is_open && let Some(limits) = resources.get_mut("limits").and_then(Value::as_object_mut) {
        limits.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
    }
    resources.retain(|_, part| part.as_object().is_none_or(|part| !part.is_empty()));
    resources
}

fn filled(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object().filter(|map| !map.is_empty())
}
