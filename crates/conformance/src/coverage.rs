//! Which kinds and verbs the script asks for, against what a cluster serves by its own discovery.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use crate::address::{self, Address};
use crate::cluster::Cluster;
use crate::script::{Script, Step};
use crate::variables::Variables;
use crate::wire::{Ask, send};

/// `batch/v1 jobs` to its verbs.
pub type Verbs = BTreeMap<String, BTreeSet<String>>;

/// What the script asks for.
#[must_use]
pub fn asked(script: &Script) -> Verbs {
    let mut verbs = Verbs::new();
    let cases = script.topics.iter().flat_map(|topic| &topic.cases);
    cases.for_each(|case| case.steps.iter().for_each(|step| add(step, &mut verbs)));
    verbs
}

fn add(step: &Step, verbs: &mut Verbs) {
    let variables = Variables::of_namespace("ns");
    // A captured value is never what tells a resource from another.
    let plain = |text: &str| {
        let mut text = text.to_owned();
        for name in crate::variables::names_in(&text.clone()) {
            let value = variables.get(&name).unwrap_or("value").to_owned();
            text = text.replace(&format!("${{{name}}}"), &value);
        }
        text
    };
    let address = match (&step.send, &step.watch) {
        (Some(line), _) => line.split_once(' ').and_then(|(verb, path)| address::of(verb, &plain(path))),
        (_, Some(path)) => address::of("GET", &plain(path)),
        _ => None,
    };
    if let Some(Address { group_version, resource, verb }) = address {
        verbs.entry(format!("{group_version} {resource}")).or_default().insert(verb);
    }
    step.meanwhile.iter().for_each(|step| add(step, verbs));
}

/// What a cluster serves.
pub async fn served(cluster: &Cluster) -> Result<Verbs> {
    let groups = send(&cluster.client, Ask::get("/apis")).await?;
    let mut versions = vec!["v1".to_owned()];
    for group in groups["body"]["groups"].as_array().into_iter().flatten() {
        for version in group["versions"].as_array().into_iter().flatten() {
            versions.extend(version["groupVersion"].as_str().map(str::to_owned));
        }
    }
    let mut verbs = Verbs::new();
    for version in versions {
        let path = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let list = send(&cluster.client, Ask::get(path)).await?;
        for resource in list["body"]["resources"].as_array().into_iter().flatten() {
            let name = format!("{version} {}", resource["name"].as_str().unwrap_or_default());
            let served = resource["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str);
            verbs.entry(name).or_default().extend(served.map(str::to_owned));
        }
    }
    Ok(verbs)
}

/// What is served and never asked for.
#[must_use]
pub fn missing(served: &Verbs, asked: &Verbs) -> Vec<String> {
    let none = BTreeSet::new();
    let lacks = |(resource, verbs): (&String, &BTreeSet<String>)| -> Vec<String> {
        let asked = asked.get(resource).unwrap_or(&none);
        verbs.difference(asked).map(|verb| format!("{verb} {resource}")).collect()
    };
    served.iter().flat_map(lacks).collect()
}
