//! `windlass up --resource NAME=N`: devices that the engine does not find by itself, and what there is of all of them.
//!
//! It says what anybody could with kubectl: amounts in the status of the engine's one node, which the engine keeps.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::json;
use windlass::Source;
use windlass_engine::Home;

use crate::cluster::Call;
use crate::fail::{Failure, Outcome};

/// Where the engine says which devices a pod has.
const ASSIGNED: &str = "devices.windlass.dev/assigned";

/// What there is of a resource. Its serialised form is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Devices {
    /// How many pods can have.
    offered: String,
    /// How many running pods have.
    given: usize,
}

/// Makes the node offer so many of each.
pub(super) async fn ensure(resources: &BTreeMap<String, u32>, home: &Home, call: Call<'_>) -> Outcome<()> {
    if resources.is_empty() {
        return Ok(());
    }
    let client = client(home).await?;
    let nodes: Api<Node> = Api::all(client.clone());
    let name = node(&client).await?.metadata.name.unwrap_or_default();
    let amounts: BTreeMap<&str, String> =
        resources.iter().map(|(name, count)| (name.as_str(), count.to_string())).collect();
    let patch = json!({"status": {"capacity": amounts, "allocatable": amounts}});
    let patched = nodes.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map_err(|cause| Failure::new("--resource", cause))?;
    for (name, count) in resources {
        call.notes().say(&match count {
            0 => format!("resource {name}: pods get none"),
            count => format!("resource {name}: {count}, for pods that request some"),
        });
    }
    Ok(())
}

/// The devices that the node offers, by resource.
pub(super) async fn devices(home: &Home) -> Outcome<BTreeMap<String, Devices>> {
    let client = client(home).await?;
    let status = node(&client).await?.status.unwrap_or_default();
    let mut offered = status.capacity.unwrap_or_default();
    offered.extend(status.allocatable.unwrap_or_default());
    offered.retain(|name, amount| name.contains('/') && amount.0 != "0");
    if offered.is_empty() {
        return Ok(BTreeMap::new());
    }
    let running = ListParams::default().fields("status.phase=Running");
    let pods = Api::<Pod>::all(client).list_metadata(&running).await.map_err(fault)?;
    let given = |resource: &str| -> usize {
        let of = |text: &String| given(text, resource);
        pods.items.iter().filter_map(|pod| pod.metadata.annotations.as_ref()?.get(ASSIGNED)).map(of).sum()
    };
    let entry = |(name, amount): (String, k8s_openapi::apimachinery::pkg::api::resource::Quantity)| {
        let given = given(&name);
        (name, Devices { offered: amount.0, given })
    };
    Ok(offered.into_iter().map(entry).collect())
}

/// How many devices of a resource a pod's annotation names: `nvidia.com/gpu=0,1;amd.com/gpu=0`.
fn given(text: &str, resource: &str) -> usize {
    let entries = text.split(';').filter_map(|entry| entry.split_once('='));
    entries.filter(|(name, _)| *name == resource).map(|(_, ids)| ids.split(',').count()).sum()
}

/// One line for a person; none if there are none.
pub(super) fn words(devices: &BTreeMap<String, Devices>) -> Option<String> {
    let one = |(name, of): (&String, &Devices)| format!("{} {name} ({} in use)", of.offered, of.given);
    let all: Vec<String> = devices.iter().map(one).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

async fn client(home: &Home) -> Outcome<Client> {
    let source = Source::Files { paths: vec![home.kubeconfig()], context: None };
    let connection = windlass::connect(&source).await.map_err(|cause| Failure::new("the engine", cause))?;
    Ok(connection.client)
}

/// The engine's one node.
async fn node(client: &Client) -> Outcome<Node> {
    let nodes =
        Api::<Node>::all(client.clone()).list(&ListParams::default().limit(1)).await.map_err(fault)?;
    nodes.items.into_iter().next().ok_or_else(|| Failure::new("the engine", "it has no node"))
}

fn fault(cause: kube::Error) -> Failure {
    Failure::new("the engine", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_in_use_are_counted_from_what_pods_were_given() {
        let text = "amd.com/gpu=renderD128;nvidia.com/gpu=0000:3b:00.0,1";
        assert_eq!(
            (given(text, "nvidia.com/gpu"), given(text, "amd.com/gpu"), given(text, "gpu")),
            (2, 1, 0)
        );
        let devices = [("nvidia.com/gpu".to_owned(), Devices { offered: "2".to_owned(), given: 1 })].into();
        assert_eq!(words(&devices).as_deref(), Some("2 nvidia.com/gpu (1 in use)"));
        assert_eq!(words(&BTreeMap::new()), None);
    }
}
