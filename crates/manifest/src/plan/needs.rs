//! The objects that a Job names, and what one of its pods asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use windlass_model::quantity;

/// An object with keys that are needed of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The keys.
    pub keys: BTreeSet<String>,
}

/// What a Job needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// Secrets that must be there, by name.
    pub secrets: BTreeMap<String, Named>,
    /// ConfigMaps that must be there, by name.
    pub config_maps: BTreeMap<String, Named>,
    /// Claims, by name.
    pub claims: BTreeSet<String>,
    /// Secrets by which images are fetched.
    pub pull_secrets: BTreeSet<String>,
    /// The service account, if one is named.
    pub service_account: Option<String>,
    /// The priority class, if one is named.
    pub priority_class: Option<String>,
    /// The runtime class, if one is named.
    pub runtime_class: Option<String>,
    /// Kueue's queue, if one is named.
    pub queue: Option<String>,
    /// The containers' images.
    pub images: BTreeSet<String>,
    /// What one pod asks for, as the scheduler counts it: the sum of its containers, or its largest init container.
    pub requests: BTreeMap<String, f64>,
    /// What one pod may use at most; only resources that every container limits.
    pub limits: BTreeMap<String, f64>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// `spec.tolerations` of the pods.
    pub tolerations: Vec<Value>,
    /// Node affinity, which is not weighed here.
    pub has_affinity: bool,
    /// How many pods run at once.
    pub pods: u64,
}

/// What a Job needs.
pub fn needs(job: &Value) -> Needs {
    let pod = &job["spec"]["template"]["spec"];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let completions = job["spec"]["completions"].as_u64().unwrap_or(u64::MAX);
    let mut needs = Needs {
        service_account: text(&pod["serviceAccountName"]),
        priority_class: text(&pod["priorityClassName"]),
        runtime_class: text(&pod["runtimeClassName"]),
        queue: text(&job["metadata"]["labels"][crate::marks::QUEUE]),
        tolerations: pod["tolerations"].as_array().cloned().unwrap_or_default(),
        has_affinity: pod["affinity"]["nodeAffinity"].is_object(),
        pods: job["spec"]["parallelism"].as_u64().unwrap_or(1).min(completions),
        ..Needs::default()
    };
    for (label, value) in pod["nodeSelector"].as_object().into_iter().flatten() {
        needs.node_selector.insert(label.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    needs.pull_secrets.extend(list(&pod["imagePullSecrets"]).filter_map(|secret| text(&secret["name"])));
    list(&pod["volumes"]).for_each(|volume| needs.volume(volume));
    let (containers, first) = (list(&pod["containers"]), list(&pod["initContainers"]));
    for container in containers.chain(first) {
        needs.images.extend(text(&container["image"]));
        list(&container["env"]).for_each(|entry| needs.variable(entry));
        list(&container["envFrom"])
            .for_each(|entry| needs.object(&entry["secretRef"], &entry["configMapRef"], "name", &[]));
    }
    needs.requests = total(pod, "requests");
    needs.limits = total(pod, "limits");
    needs
}

impl Needs {
    fn volume(&mut self, volume: &Value) {
        self.claims.extend(volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned));
        let keys = |source: &Value| -> Vec<String> {
            list(&source["items"]).filter_map(|item| item["key"].as_str().map(str::to_owned)).collect()
        };
        self.object(&volume["secret"], &Value::Null, "secretName", &keys(&volume["secret"]));
        self.object(&Value::Null, &volume["configMap"], "name", &keys(&volume["configMap"]));
        for source in list(&volume["projected"]["sources"]) {
            self.object(&source["secret"], &Value::Null, "name", &keys(&source["secret"]));
            self.object(&Value::Null, &source["configMap"], "name", &keys(&source["configMap"]));
        }
    }

    fn variable(&mut self, entry: &Value) {
        let (secret, map) = (&entry["valueFrom"]["secretKeyRef"], &entry["valueFrom"]["configMapKeyRef"]);
        let key = |source: &Value| source["key"].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
        self.object(secret, &Value::Null, "name", &key(secret));
        self.object(&Value::Null, map, "name", &key(map));
    }

    /// Notes an object, unless the pod starts without it as well.
    fn object(&mut self, secret: &Value, map: &Value, field: &str, keys: &[String]) {
        for (source, all) in [(secret, &mut self.secrets), (map, &mut self.config_maps)] {
            if let Some(name) = source[field].as_str()
                && source["optional"] != true
            {
                all.entry(name.to_owned()).or_default().keys.extend(keys.iter().cloned());
            }
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Sums over the containers, or the largest of the init containers (those that stay count among the others; upstream
/// `pkg/api/v1/resource`, simplified: what an init container needs beside the ones that stay is left out).
fn total(pod: &Value, field: &str) -> BTreeMap<String, f64> {
    let of = |container: &Value| -> BTreeMap<String, f64> {
        let mut own = amounts(&container["resources"][field]);
        if field == "requests" {
            // A limit without a request is the request, too.
            for (resource, amount) in amounts(&container["resources"]["limits"]) {
                own.entry(resource).or_insert(amount);
            }
        }
        own
    };
    let stays = |container: &&Value| container["restartPolicy"] == "Always";
    let mut sum: BTreeMap<String, f64> = BTreeMap::new();
    for container in list(&pod["containers"]).chain(list(&pod["initContainers"]).filter(stays)) {
        for (resource, amount) in of(container) {
            *sum.entry(resource).or_default() += amount;
        }
    }
    for container in list(&pod["initContainers"]).filter(|container| !stays(container)) {
        for (resource, amount) in of(container) {
            let most = sum.entry(resource).or_default();
            *most = most.max(amount);
        }
    }
    sum
}

/// Quantities by resource; what is none is left out.
pub(super) fn amounts(value: &Value) -> BTreeMap<String, f64> {
    let amount = |value: &Value| match value {
        Value::String(text) => quantity::value(text),
        other => other.as_f64(),
    };
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(resource, value)| Some((resource.clone(), amount(value)?))).collect()
}
