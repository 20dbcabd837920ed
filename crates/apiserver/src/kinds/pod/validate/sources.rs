//! Volumes of clouds and storage systems, of images, and claims that are made for a pod: what each must say.
//!
//! Nothing on one machine mounts them, but a manifest that says too little is refused here as anywhere.

use serde_json::Value;

use super::mounts::descending;
use crate::field::{Errors, FieldError};
use crate::kinds::json::{entries, flag, int, is_set, items, text};
use crate::kinds::persistent_volume_claim;
use crate::kinds::rules::{at, choice, entry, optional_choice, required, wrong};
use crate::names;

/// What a source must have: a text, or a list that is not empty.
const REQUIRED: &[(&str, &[&str])] = &[
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("storageos", &["volumeName"]),
    ("csi", &["driver"]),
];

/// The longest name of a CSI driver.
const DRIVER_MAX: usize = 63;

/// Every problem of a volume whose source is of this kind; `pod` is the name of its pod.
pub(super) fn check(errors: &mut Errors, kind: &str, volume: &Value, at_volume: &str, pod: Option<&str>) {
    let of = &volume[kind];
    // Upstream has another name for this one, here alone.
    let path = at(at_volume, if kind == "gcePersistentDisk" { "persistentDisk" } else { kind });
    let must = REQUIRED.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, keys)| *keys);
    for key in must.iter().filter(|key| text(of, key).is_empty() && items(of, key).is_empty()) {
        errors.push(FieldError::required(at(&path, key), ""));
    }
    match kind {
        "gitRepo" => descending(errors, text(of, "directory"), &at(&path, "directory")),
        "gcePersistentDisk" | "awsElasticBlockStore" => partition(errors, of, &path),
        "nfs" if !text(of, "path").starts_with('/') => {
            errors.push(FieldError::invalid(at(&path, "path"), text(of, "path"), "must be an absolute path"));
        }
        "iscsi" => iscsi(errors, of, &path),
        "fc" => fibre_channel(errors, of, &path),
        "flocker" => flocker(errors, of, &path),
        "quobyte" => quobyte(errors, of, &path),
        "flexVolume" => options(errors, of, &path),
        "azureDisk" => azure_disk(errors, of, &path),
        "cinder" => secret(errors, of, "secretRef", &path),
        "storageos" => storageos(errors, of, &path),
        "csi" => csi(errors, of, &path),
        "image" => image(errors, of, &path, pod.is_some()),
        "ephemeral" => ephemeral(errors, volume, at_volume, &path, pod),
        _ => {}
    }
}

fn partition(errors: &mut Errors, of: &Value, path: &str) {
    if let Some(number) = int(of, "partition").filter(|number| !(0..=255).contains(number)) {
        let detail = "must be between 1 and 255, inclusive";
        errors.push(FieldError::invalid(at(path, "partition"), number, detail));
    }
}

fn lun(errors: &mut Errors, of: &Value, path: &str) {
    if let Some(number) = int(of, "lun") {
        wrong(errors, &at(path, "lun"), number, names::in_range(number, 0, 255));
    }
}

/// A secret that is named, if one is referred to.
fn secret(errors: &mut Errors, of: &Value, key: &str, path: &str) {
    if is_set(of, key) {
        required(errors, &of[key], &at(path, key), "name");
    }
}

fn iscsi(errors: &mut Errors, of: &Value, path: &str) {
    let mut name = |key: &str, shown: &str| {
        let name = text(of, key);
        let detail = match name.get(..3) {
            Some("iqn" | "eui" | "naa") if is_iscsi_name(name) => return,
            Some("iqn" | "eui" | "naa") => "must be valid format",
            _ => "must be valid format starting with iqn, eui, or naa",
        };
        errors.push(FieldError::invalid(at(path, shown), name, detail));
    };
    if !text(of, "iqn").is_empty() {
        name("iqn", "iqn");
    }
    if is_set(of, "initiatorName") {
        name("initiatorName", "initiatorname");
    }
    lun(errors, of, path);
    if (flag(of, "chapAuthDiscovery") || flag(of, "chapAuthSession")) && !is_set(of, "secretRef") {
        errors.push(FieldError::required(at(path, "secretRef"), ""));
    }
}

/// A qualified name (`iqn.2001-04.com.example:disk`), or so many letters and digits (`eui.`, `naa.`).
fn is_iscsi_name(name: &str) -> bool {
    let (kind, rest) = name.split_at_checked(4).unwrap_or((name, ""));
    let alphanumeric =
        |count: usize| rest.len() == count && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match kind.get(..3) {
        Some("eui") => alphanumeric(16),
        Some("naa") => alphanumeric(32),
        _ => kind == "iqn." && is_qualified(rest),
    }
}

fn is_qualified(rest: &str) -> bool {
    let Some((authority, disk)) = rest.split_once(':') else { return false };
    let Some((date, domain)) = authority.split_at_checked(8) else { return false };
    let pattern = |(i, byte): (usize, u8)| match i {
        4 => byte == b'-',
        7 => byte == b'.',
        _ => byte.is_ascii_digit(),
    };
    date.bytes().enumerate().all(pattern)
        && !domain.is_empty()
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !disk.is_empty()
        && !disk.contains(|c: char| matches!(c, ',' | ';' | '*' | '&' | '$' | '|') || c.is_ascii_whitespace())
}

fn fibre_channel(errors: &mut Errors, of: &Value, path: &str) {
    let (targets, at_targets) = (items(of, "targetWWNs"), at(path, "targetWWNs"));
    match (targets.is_empty(), items(of, "wwids").is_empty()) {
        (true, true) => {
            let detail = "must specify either targetWWNs or wwids, but not both";
            errors.push(FieldError::required(at_targets, detail));
        }
        (false, false) => {
            let detail = "targetWWNs and wwids can not be specified simultaneously";
            errors.push(FieldError::invalid(at_targets, of["targetWWNs"].clone(), detail));
        }
        _ => {}
    }
    if targets.is_empty() {
        return;
    }
    if !is_set(of, "lun") {
        let detail = "lun is required if targetWWNs is specified";
        errors.push(FieldError::required(at(path, "lun"), detail));
    }
    lun(errors, of, path);
}

fn flocker(errors: &mut Errors, of: &Value, path: &str) {
    let (name, id) = (text(of, "datasetName"), text(of, "datasetUUID"));
    if name.is_empty() && id.is_empty() {
        errors.push(FieldError::required(path, "one of datasetName and datasetUUID is required"));
    }
    if !name.is_empty() && !id.is_empty() {
        let detail = "datasetName and datasetUUID can not be specified simultaneously";
        errors.push(FieldError::invalid(path, "resource", detail));
    }
    if name.contains('/') {
        errors.push(FieldError::invalid(at(path, "datasetName"), name, "must not contain '/'"));
    }
}

fn quobyte(errors: &mut Errors, of: &Value, path: &str) {
    let detail = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(of, "registry");
    if registry.is_empty() {
        errors.push(FieldError::required(at(path, "registry"), detail));
    } else if text(of, "tenant").len() > 64 {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(FieldError::required(at(path, "tenant"), detail));
    } else {
        for _ in registry.split(',').filter(|pair| !pair.contains(':')) {
            errors.push(FieldError::invalid(at(path, "registry"), registry, detail));
        }
    }
    required(errors, of, path, "volume");
}

fn options(errors: &mut Errors, of: &Value, path: &str) {
    for (key, _) in entries(of, "options") {
        let namespace = key.split_once('/').map_or(key.as_str(), |(namespace, _)| namespace);
        let normal = format!(".{}", namespace.to_lowercase());
        if normal.ends_with(".kubernetes.io") || normal.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(FieldError::invalid(entry(&at(path, "options"), key), key.as_str(), detail));
        }
    }
}

fn azure_disk(errors: &mut Errors, of: &Value, path: &str) {
    optional_choice(errors, of, path, "cachingMode", &["None", "ReadOnly", "ReadWrite"]);
    optional_choice(errors, of, path, "kind", &["Dedicated", "Managed", "Shared"]);
    let uri = text(of, "diskURI");
    let (start, supported) = match text(of, "kind") {
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
    };
    if is_set(of, "kind") && !uri.starts_with(start) {
        errors.push(FieldError::not_supported(at(path, "diskURI"), uri, &[supported]));
    }
}

fn storageos(errors: &mut Errors, of: &Value, path: &str) {
    for key in ["volumeName", "volumeNamespace"] {
        let name = text(of, key);
        if !name.is_empty() {
            wrong(errors, &at(path, key), name, names::dns_label(name));
        }
    }
    secret(errors, of, "secretRef", path);
}

fn csi(errors: &mut Errors, of: &Value, path: &str) {
    let driver = text(of, "driver");
    if !driver.is_empty() {
        if driver.len() > DRIVER_MAX {
            errors.push(FieldError::too_long(at(path, "driver"), DRIVER_MAX));
        }
        wrong(errors, &at(path, "driver"), driver, names::dns_subdomain(&driver.to_lowercase()));
    }
    secret(errors, of, "nodePublishSecretRef", path);
    let name = text(&of["nodePublishSecretRef"], "name");
    if !name.is_empty() {
        wrong(errors, &at(path, "name"), name, names::dns_subdomain(name));
    }
}

/// A template may leave the image to whoever makes pods from it.
fn image(errors: &mut Errors, of: &Value, path: &str, of_pod: bool) {
    if of_pod {
        required(errors, of, path, "reference");
    }
    choice(errors, of, path, "pullPolicy", &["Always", "IfNotPresent", "Never"]);
}

fn ephemeral(errors: &mut Errors, volume: &Value, at_volume: &str, path: &str, pod: Option<&str>) {
    let (template, path) = (&volume["ephemeral"]["volumeClaimTemplate"], at(path, "volumeClaimTemplate"));
    if template.is_null() {
        errors.push(FieldError::required(path, ""));
    } else {
        let (metadata, at_metadata) = (&template["metadata"], at(&path, "metadata"));
        errors.extend(names::annotations(&metadata["annotations"], &at(&at_metadata, "annotations")));
        errors.extend(names::labels(&metadata["labels"], &at(&at_metadata, "labels")));
        for (key, _) in entries(template, "metadata").filter(|(_, value)| !value.is_null()) {
            if !matches!(key.as_str(), "annotations" | "labels") {
                errors.push(FieldError::forbidden(at(&at_metadata, key), "cannot be set"));
            }
        }
        persistent_volume_claim::of_spec(errors, &template["spec"], &at(&path, "spec"));
    }
    let name = text(volume, "name");
    if let Some(pod) = pod.filter(|pod| !pod.is_empty() && !name.is_empty()) {
        let claim = format!("{pod}-{name}");
        for detail in names::dns_subdomain(&claim) {
            let detail = format!("PVC name {claim:?}: {detail}");
            errors.push(FieldError::invalid(at(at_volume, "name"), name, detail));
        }
    }
}
