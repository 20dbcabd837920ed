//! The quality-of-service class of a pod. Source: upstream pkg/apis/core/helper/qos/qos.go.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kinds::json::{entries, is_set, items};
use crate::quantity::Quantity;

/// `Guaranteed` if every container limits cpu and memory and requests as much, `BestEffort` if none asks for either,
/// `Burstable` otherwise. Resources of the whole pod, where given, decide alone, even if they say nothing.
pub(crate) fn class(spec: &Value) -> &'static str {
    let whole = &spec["resources"];
    if is_set(spec, "resources") {
        return class_of(&[whole]);
    }
    let all: Vec<&Value> = items(spec, "containers")
        .iter()
        .chain(items(spec, "initContainers"))
        .map(|container| &container["resources"])
        .collect();
    class_of(&all)
}

fn class_of(all: &[&Value]) -> &'static str {
    let mut guaranteed = true;
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
    for resources in all {
        add(&mut requests, resources, "requests");
        let own = add(&mut limits, resources, "limits");
        guaranteed &= own == 2;
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Adds what a list gives of cpu and memory, and says of how many of the two it gives more than nothing.
fn add(sums: &mut BTreeMap<String, i128>, resources: &Value, list: &str) -> usize {
    let mut found = 0;
    for (name, value) in entries(resources, list).filter(|(n, _)| matches!(n.as_str(), "cpu" | "memory")) {
        let amount = Quantity::of(value).map_or(0, |q| q.nanos());
        if amount > 0 {
            found += 1;
            let sum = sums.entry(name.clone()).or_insert(0);
            *sum = sum.saturating_add(amount);
        }
    }
    found
}
