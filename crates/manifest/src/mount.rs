//! A volume and where the first container sees it: the one edit that changes a pod in two places.

use serde_json::{Map, Value, json};
use windlass_model::Problems;

use crate::edit::{Mount, VolumeSource};

const POD: &str = "spec.template.spec";

/// Adds the volume, unless the pod has the same already, and mounts it. What was mounted at that path before is replaced.
pub(crate) fn mount(job: &mut Value, mount: &Mount, problems: &mut Problems) {
    let wrong = problems.iter().count();
    check(mount, problems);
    let Some(pod) = job.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut) else {
        return problems.add(POD, "is missing; there is no pod to give a volume");
    };
    if problems.iter().count() > wrong {
        return;
    }
    let Some(volumes) = list(pod, "volumes", POD, problems) else { return };
    let Some(name) = volume(volumes, source(&mount.source), mount.volume.as_deref()) else {
        let name = mount.volume.as_deref().unwrap_or_default();
        return problems.add(format!("{POD}.volumes"), format!("{name:?} is another volume already"));
    };
    let path = format!("{POD}.containers[0]");
    let Some(Value::Object(container)) = pod.get_mut("containers").and_then(|all| all.get_mut(0)) else {
        return problems.add(path, "is missing; there is no container to mount a volume in");
    };
    let Some(mounts) = list(container, "volumeMounts", &path, problems) else { return };
    let mut entry = json!({ "name": name, "mountPath": mount.path });
    if mount.read_only {
        entry["readOnly"] = true.into();
    }
    match mounts.iter_mut().find(|known| known["mountPath"] == mount.path.as_str()) {
        Some(known) => *known = entry,
        None => mounts.push(entry),
    }
}

fn check(mount: &Mount, problems: &mut Problems) {
    let path = &mount.path;
    if !path.starts_with('/') || path.contains([':', '\0']) {
        problems.add(
            format!("{POD}.containers[0].volumeMounts"),
            format!("{path:?} is no absolute path without a colon, which a mount needs"),
        );
    }
    match &mount.source {
        VolumeSource::Host(path) if !path.starts_with('/') => {
            problems.add(format!("{POD}.volumes"), format!("{path:?} is no absolute path of the host"));
        }
        VolumeSource::Claim(name) | VolumeSource::ConfigMap(name) | VolumeSource::Secret(name)
            if !windlass_model::label::is_subdomain(name) =>
        {
            problems.add(format!("{POD}.volumes"), format!("{name:?} is no name of an object"));
        }
        _ => {}
    }
}

/// What a volume is made of, as its one field.
fn source(source: &VolumeSource) -> (&'static str, Value) {
    match source {
        VolumeSource::Host(path) => ("hostPath", json!({ "path": path })),
        VolumeSource::Claim(name) => ("persistentVolumeClaim", json!({ "claimName": name })),
        VolumeSource::ConfigMap(name) => ("configMap", json!({ "name": name })),
        VolumeSource::Secret(name) => ("secret", json!({ "secretName": name })),
        VolumeSource::Empty => ("emptyDir", json!({})),
    }
}

/// The name of the volume with this source. An empty directory is never shared; one of a given name is made, unless
/// another has that name.
fn volume(
    volumes: &mut Vec<Value>,
    (kind, source): (&'static str, Value),
    given: Option<&str>,
) -> Option<String> {
    let named = |name: &str| volumes.iter().find(|known| known["name"] == name);
    let same = |known: &&Value| kind != "emptyDir" && known.get(kind) == Some(&source);
    let name = match given {
        Some(name) => match named(name) {
            Some(known) => return same(&known).then(|| name.to_owned()),
            None => name.to_owned(),
        },
        None => match volumes.iter().find(same).and_then(|known| known["name"].as_str()) {
            Some(name) => return Some(name.to_owned()),
            None => (1..).map(|number| format!("volume-{number}")).find(|name| named(name).is_none())?,
        },
    };
    volumes.push(json!({ "name": name, kind: source }));
    Some(name)
}

/// The list under a key; a missing one, or one that is `null`, is made.
fn list<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<&'a mut Vec<Value>> {
    let value = map.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!([]);
    }
    let list = value.as_array_mut();
    if list.is_none() {
        problems.add(format!("{path}.{key}"), "must be a list");
    }
    list
}
