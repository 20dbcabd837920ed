//! Defaults of one volume. Source: upstream pkg/apis/core/v1/defaults.go.

use serde_json::{Value, json};

use crate::kinds::json::{fill as fill_field, fill_text, given, is_set, items_mut, object, set, text};

/// The sources of a volume that this API knows, in upstream's order (k8s.io/api, core/v1, VolumeSource).
pub(super) const SOURCES: &[&str] = &[
    "hostPath",
    "emptyDir",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "azureFile",
    "configMap",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "projected",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "csi",
    "ephemeral",
    "image",
];

/// 0644: what files of configuration may be read with.
const FILE_MODE: i32 = 0o644;

/// Fills absent fields of a volume.
pub(super) fn fill(volume: &mut Value) {
    if SOURCES.iter().all(|source| !is_set(volume, source)) {
        set(volume, "emptyDir", json!({}));
    }
    if let Some(directory) = given(volume, "emptyDir") {
        super::default::respell(directory, "sizeLimit");
    }
    if let Some(path) = given(volume, "hostPath") {
        fill_field(path, "type", "");
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = given(volume, source) {
            fill_field(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(downward) = given(volume, "downwardAPI") {
        fill_downward(downward);
    }
    if let Some(projected) = given(volume, "projected") {
        for source in items_mut(projected, "sources") {
            if let Some(downward) = given(source, "downwardAPI") {
                fill_downward(downward);
            }
            if let Some(token) = given(source, "serviceAccountToken") {
                fill_field(token, "expirationSeconds", 3600);
            }
        }
    }
    fill_storage(volume);
    if let Some(image) = given(volume, "image") {
        let latest = super::image::is_latest(text(image, "reference"));
        fill_text(image, "pullPolicy", if latest { "Always" } else { "IfNotPresent" });
    }
}

/// What the volumes of storage systems say where they say nothing (zz_generated.defaults.go), and the claims that are made
/// for pods.
fn fill_storage(volume: &mut Value) {
    if let Some(iscsi) = given(volume, "iscsi") {
        fill_text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = given(volume, "rbd") {
        for (key, value) in [("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")] {
            fill_text(rbd, key, value);
        }
    }
    if let Some(disk) = given(volume, "azureDisk") {
        for (key, value) in [("cachingMode", "ReadWrite"), ("fsType", "ext4"), ("kind", "Shared")] {
            fill_field(disk, key, value);
        }
        fill_field(disk, "readOnly", false);
    }
    if let Some(scale) = given(volume, "scaleIO") {
        fill_text(scale, "storageMode", "ThinProvisioned");
        fill_text(scale, "fsType", "xfs");
    }
    let template = given(volume, "ephemeral").and_then(|of| given(of, "volumeClaimTemplate"));
    if let Some(spec) = template.and_then(|template| object(template, "spec")) {
        fill_field(spec, "volumeMode", "Filesystem");
        if let Some(resources) = given(spec, "resources") {
            super::default::round_resources(resources);
        }
    }
}

fn fill_downward(downward: &mut Value) {
    for item in items_mut(downward, "items") {
        if let Some(field) = given(item, "fieldRef") {
            fill_text(field, "apiVersion", "v1");
        }
        if let Some(resource) = given(item, "resourceFieldRef") {
            fill_field(resource, "divisor", "0");
            super::default::respell(resource, "divisor");
        }
    }
}
