//! What a pod asks for altogether.
//!
//! Source: upstream component-helpers, resource/helpers.go; plugin/pkg/admission/limitranger.

use serde_json::Value;

use super::amounts::Amounts;

/// Resources that can be given for the pod as a whole.
fn is_of_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// Whether resources are given for the pod as a whole.
pub(super) fn is_whole(spec: &Value) -> bool {
    ["requests", "limits"].iter().any(|list| {
        let amounts = spec["resources"][list].as_object();
        amounts.is_some_and(|amounts| amounts.keys().any(|name| is_of_pods(name)))
    })
}

/// The sum of a pod's `requests` or `limits`: of all containers that run together, or of the init container that asks
/// for most; what is given for the pod as a whole counts instead.
pub(super) fn total(spec: &Value, list: &str) -> Amounts {
    let of = |container: &Value| Amounts::read(&container["resources"][list]);
    let containers = |list: &str| spec[list].as_array().into_iter().flatten();
    let mut sum = Amounts::default();
    containers("containers").for_each(|container| sum.add(&of(container)));
    let (mut sidecars, mut most) = (Amounts::default(), Amounts::default());
    for container in containers("initContainers") {
        let mut asked = of(container);
        if container["restartPolicy"] == "Always" {
            sum.add(&asked);
            sidecars.add(&asked);
            asked = sidecars.clone();
        } else {
            asked.add(&sidecars);
        }
        most.raise(&asked);
    }
    sum.raise(&most);
    let whole = Amounts::read(&spec["resources"][list]);
    for (name, amount) in whole.iter().filter(|(name, _)| is_of_pods(name)) {
        sum.set(name, amount);
    }
    sum
}

/// The same with the overhead of the pod's runtime class: added to all requests, and to limits that there are.
pub(super) fn with_overhead(spec: &Value, list: &str) -> Amounts {
    let mut sum = total(spec, list);
    let overhead = Amounts::read(&spec["overhead"]);
    let counts = |name: &str| list == "requests" || sum.get(name).is_some_and(|amount| !amount.is_zero());
    let overhead = overhead.only(counts);
    sum.add(&overhead);
    sum
}
