//! Nodes whose disks are full: a cluster of such nodes alone cannot take note of a job, nor of what becomes of it.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::Obstacle;
use crate::{Outlook, facts};

/// What a job that no controller has begun with waits for, if every node says that its disk is full.
pub(crate) fn of_nodes(others: &[Value]) -> Option<Obstacle> {
    let nodes: Vec<&Value> = others.iter().filter(|object| object["kind"] == "Node").collect();
    let told = nodes.iter().map(|node| pressure(node)).collect::<Option<Vec<&str>>>()?;
    let what = match (&nodes[..], &told[..]) {
        ([node], [message]) => {
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            format!("the disk of node {name:?}, which is full: {message}")
        }
        ([], _) => return None,
        (nodes, _) => format!("the disks of all {} nodes, which are full", nodes.len()),
    };
    Some(Obstacle::blocked(what, "make room there; the job goes on by itself then"))
}

/// What a job that has begun meets, if the node of a pod that has not ended says that its disk is full.
pub(crate) fn of_pods(pods: &[Pod], others: &[Value]) -> Option<Obstacle> {
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let has_pods = |node: &Value| {
        let node = name(node);
        let is_here = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) == Some(&node);
        pods.iter().any(|pod| !facts::is_over(pod) && is_here(pod))
    };
    let mut nodes = others.iter().filter(|object| object["kind"] == "Node");
    let (node, message) = nodes.find_map(|node| Some((node, pressure(node).filter(|_| has_pods(node))?)))?;
    let text = format!(
        "the disk of node {:?} is full, and what becomes of it there may be told only when there is room: {message}",
        name(node)
    );
    Some(Obstacle { text, outlook: Outlook::ResolvesItself, next_step: Some("make room there".to_owned()) })
}

/// What a node says of its disk, if it is full (condition `DiskPressure`).
fn pressure(node: &Value) -> Option<&str> {
    let mut conditions = node["status"]["conditions"].as_array()?.iter();
    let full = conditions.find(|one| one["type"] == "DiskPressure" && one["status"] == "True")?;
    Some(full["message"].as_str().unwrap_or("it does not say more"))
}
