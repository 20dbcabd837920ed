//! Pods of the cases, how they are run to their end, and what is read from them. No cases of its own.

use anyhow::{Context, Result, bail};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::stage::{POD, Stage};
use super::wait::Look;

/// A pod of one container with restartPolicy Never, which runs a script.
pub(super) fn pod(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container("c", script)]},
    })
}

/// A container that runs a script.
pub(super) fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["/bin/sh", "-c", script]})
}

/// Puts an empty directory at `/data` of all containers of a pod.
pub(super) fn with_empty_dir(mut pod: Value) -> Value {
    pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            container["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        }
    }
    pod
}

/// The phase of a pod.
pub(super) fn phase(pod: &DynamicObject) -> &str {
    pod.data["status"]["phase"].as_str().unwrap_or_default()
}

/// The status of a pod's first container.
pub(super) fn first(pod: &DynamicObject) -> &Value {
    &pod.data["status"]["containerStatuses"][0]
}

/// A condition of a pod, whatever it is.
pub(super) fn condition<'a>(pod: &'a DynamicObject, kind: &str) -> &'a Value {
    let conditions = pod.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|one| one["type"] == kind).unwrap_or(&Value::Null)
}

impl Stage {
    /// A pod's state that is waited for.
    pub(super) async fn pod_until(
        &self,
        name: &str,
        what: &str,
        is_it: impl Fn(&DynamicObject) -> bool,
    ) -> Result<DynamicObject> {
        let seen = self.object_until(POD, name, |pod| {
            if is_it(pod) {
                return Look::Done(pod.clone());
            }
            Look::NotYet(format!("its status is {}", pod.data["status"]))
        });
        seen.await.with_context(|| format!("waiting until {what}"))
    }

    /// A pod that ends in a phase; the other end is an error at once.
    pub(super) async fn ends(&self, name: &str, wanted: &str) -> Result<DynamicObject> {
        let seen = self.object_until(POD, name, |pod| match phase(pod) {
            found if found == wanted => Look::Done(pod.clone()),
            found @ ("Succeeded" | "Failed") => Look::Never(format!("it is {found}: {}", pod.data["status"])),
            _ => Look::NotYet(format!("its status is {}", pod.data["status"])),
        });
        seen.await.with_context(|| format!("waiting until the pod is {wanted}"))
    }

    /// Runs a pod until it has succeeded; what its first container said.
    pub(super) async fn output(&self, pod: Value) -> Result<String> {
        let made = self.create(pod).await?;
        let name = made.metadata.name.context("a pod without a name")?;
        let ended = self.ends(&name, "Succeeded").await?;
        let container = ended.data["spec"]["containers"][0]["name"].as_str().unwrap_or_default();
        self.log(&name, container).await
    }

    /// Runs a pod and expects lines in what it says.
    pub(super) async fn says(&self, pod: Value, lines: &[&str]) -> Result<()> {
        let output = self.output(pod).await?;
        for wanted in lines {
            if !output.lines().any(|line| line == *wanted) {
                bail!("the line {wanted:?} is missing in {output:?}");
            }
        }
        Ok(())
    }
}
