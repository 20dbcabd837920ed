//! The files in a pod's volumes that follow what they are made of while the pod runs: ConfigMaps, Secrets, and fields of
//! the pod itself. Pure. Tokens are not among them: they have times of their own.
//!
//! Source: upstream `pkg/kubelet/volumemanager` (volumes are set up again and again), `pkg/volume/util/atomic_writer.go`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::volumes::{Sources, used};
use super::{Host, Lookup};
use crate::volumes::{Content, File};

/// What files in a volume are made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// The ConfigMap of this name.
    ConfigMap(String),
    /// The Secret of this name.
    Secret(String),
    /// The pod's own labels, annotations and the like.
    Pod,
}

/// What the volumes that a pod's containers mount are made of; none for nearly all pods.
#[must_use]
pub fn sources(pod: &Value) -> BTreeSet<Source> {
    let mut found = BTreeSet::new();
    let volumes = pod["spec"]["volumes"].as_array().map_or(&[][..], Vec::as_slice);
    if !volumes.iter().any(is_of_files) {
        return found;
    }
    let used = used(pod);
    for volume in volumes.iter().filter(|volume| used.contains(volume["name"].as_str().unwrap_or_default())) {
        found.extend(named(volume, "secretName"));
        let parts = volume["projected"]["sources"].as_array();
        found.extend(parts.into_iter().flatten().flat_map(|part| named(part, "name")));
    }
    found
}

fn is_of_files(volume: &Value) -> bool {
    ["configMap", "secret", "downwardAPI", "projected"].iter().any(|source| volume[*source].is_object())
}

/// What one volume, or one part of a projected one, names; the name of a Secret is in a field of its own.
fn named(source: &Value, secret: &str) -> impl Iterator<Item = Source> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let map = text(&source["configMap"]["name"]).map(Source::ConfigMap);
    let secret = text(&source["secret"][secret]).map(Source::Secret);
    let pod = source["downwardAPI"].is_object().then_some(Source::Pod);
    map.into_iter().chain(secret).chain(pod)
}

/// The files of those volumes as they are to be now, by the volume's name. A volume with a source that is gone, or that
/// lacks what it needs, is left out: it stays as it is, as upstream's does.
#[must_use]
pub fn files(pod: &Value, lookup: &dyn Lookup, host: &Host) -> Vec<(String, Vec<File>)> {
    let used = used(pod);
    let made = Sources { pod, lookup, host };
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let living = volumes.filter(|volume| is_of_files(volume)).filter_map(|volume| {
        let name = volume["name"].as_str().filter(|name| used.contains(name))?;
        let mut volume = volume.clone();
        if let Some(parts) = volume["projected"]["sources"].as_array_mut() {
            parts.retain(|part| !part["serviceAccountToken"].is_object());
        }
        match made.content(&volume) {
            Ok(Content::Files(files)) => Some((name.to_owned(), files)),
            _ => None,
        }
    });
    living.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A ConfigMap `here`, and nothing else: a token that is asked for would be a mistake.
    struct Here;

    impl Lookup for Here {
        fn config_map(&self, name: &str) -> Option<Value> {
            (name == "here").then(|| json!({"data": {"key": "value"}}))
        }
        fn secret(&self, _: &str) -> Option<Value> {
            None
        }
        fn claim(&self, _: &str) -> Option<Value> {
            None
        }
        fn volume(&self, _: &str) -> Option<Value> {
            None
        }
        fn token(&self, _: Option<&str>, _: i64) -> Result<String, String> {
            panic!("nobody asked for a token")
        }
    }

    fn pod(volumes: &Value) -> Value {
        let names = volumes.as_array().into_iter().flatten().map(|volume| volume["name"].clone());
        let mounts: Vec<Value> =
            names.filter(|name| name != "idle").map(|name| json!({"name": name})).collect();
        json!({
            "metadata": {"name": "p", "labels": {"a": "b"}},
            "spec": {"volumes": volumes, "containers": [{"name": "c", "volumeMounts": mounts}]},
        })
    }

    #[test]
    fn sources_of_mounted_volumes_are_named_once_each() {
        let pod = pod(&json!([
            {"name": "map", "configMap": {"name": "m"}},
            {"name": "secret", "secret": {"secretName": "s"}},
            {"name": "idle", "configMap": {"name": "idle"}},
            {"name": "empty", "emptyDir": {}},
            {"name": "all", "projected": {"sources": [
                {"configMap": {"name": "m"}}, {"secret": {"name": "t"}}, {"downwardAPI": {"items": []}},
                {"serviceAccountToken": {"path": "token"}},
            ]}},
        ]));
        let named = |name: &str| name.to_owned();
        let wanted = [
            Source::ConfigMap(named("m")),
            Source::Secret(named("s")),
            Source::Secret(named("t")),
            Source::Pod,
        ];
        assert_eq!(sources(&pod), wanted.into());
        assert!(sources(&json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}})).is_empty());
    }

    #[test]
    fn volume_whose_source_is_gone_stays_as_it_is_unless_it_is_optional() {
        let pod = pod(&json!([
            {"name": "here", "configMap": {"name": "here"}},
            {"name": "gone", "configMap": {"name": "gone"}},
            {"name": "optional", "configMap": {"name": "gone", "optional": true}},
            {"name": "all", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token"}},
                {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            ]}},
        ]));
        let file = |path: &str, text: &str| File { path: path.into(), bytes: text.into(), mode: 0o644 };
        let wanted = [
            ("here".to_owned(), vec![file("key", "value")]),
            ("optional".to_owned(), Vec::new()),
            ("all".to_owned(), vec![file("l", "a=\"b\"")]),
        ];
        assert_eq!(files(&pod, &Here, &Host::default()), wanted);
    }
}
