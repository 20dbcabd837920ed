//! Nodes whose disks are full: a cluster of such nodes alone cannot take note of a job.

use serde_json::Value;

use super::Obstacle;

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

/// What a node says of its disk, if it is full (condition `DiskPressure`).
fn pressure(node: &Value) -> Option<&str> {
    let mut conditions = node["status"]["conditions"].as_array()?.iter();
    let full = conditions.find(|one| one["type"] == "DiskPressure" && one["status"] == "True")?;
    Some(full["message"].as_str().unwrap_or("it does not say more"))
}
