//! What volumes of storage systems, of images and of the pod's own claims must say.

use serde_json::{Value, json};

use super::refused::check;
use super::{KIND, pod, texts};

/// The problems of one volume with this source; the texts are told without its path.
fn check_source(source: Value, expect: &[&str]) {
    let mut volume = json!({"name": "v"});
    for (key, value) in source.as_object().into_iter().flatten() {
        volume[key] = value.clone();
    }
    let expect: Vec<String> = expect.iter().map(|text| format!("spec.volumes[0].{text}")).collect();
    check(json!({"volumes": [volume]}), &expect.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn empty_sources_lack_what_they_must_say() {
    for (kind, lacks) in [
        ("gitRepo", &["repository"][..]),
        ("awsElasticBlockStore", &["volumeID"]),
        ("iscsi", &["targetPortal", "iqn"]),
        ("glusterfs", &["endpoints", "path"]),
        ("rbd", &["monitors", "image"]),
        ("cinder", &["volumeID"]),
        ("cephfs", &["monitors"]),
        ("flexVolume", &["driver"]),
        ("azureFile", &["secretName", "shareName"]),
        ("vsphereVolume", &["volumePath"]),
        ("photonPersistentDisk", &["pdID"]),
        ("portworxVolume", &["volumeID"]),
        ("scaleIO", &["gateway", "system", "volumeName"]),
        ("storageos", &["volumeName"]),
        ("csi", &["driver"]),
        ("image", &["reference"]),
        ("ephemeral", &["volumeClaimTemplate"]),
        ("persistentVolumeClaim", &["claimName"]),
        ("hostPath", &["path"]),
    ] {
        let expect: Vec<String> = lacks.iter().map(|key| format!("{kind}.{key}: Required value")).collect();
        check_source(json!({kind: {}}), &expect.iter().map(String::as_str).collect::<Vec<_>>());
    }
    check_source(json!({"gcePersistentDisk": {}}), &["persistentDisk.pdName: Required value"]);
    check_source(
        json!({"nfs": {}}),
        &[
            "nfs.server: Required value",
            "nfs.path: Required value",
            "nfs.path: Invalid value: \"\": must be an absolute path",
        ],
    );
    check_source(
        json!({"quobyte": {}}),
        &[
            "quobyte.registry: Required value: must be a host:port pair or multiple pairs separated by commas",
            "quobyte.volume: Required value",
        ],
    );
    check_source(
        json!({"fc": {}}),
        &["fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"],
    );
    check_source(
        json!({"flocker": {}}),
        &["flocker: Required value: one of datasetName and datasetUUID is required"],
    );
    check_source(
        json!({"azureDisk": {}}),
        &[
            "azureDisk.diskName: Required value",
            "azureDisk.diskURI: Required value",
            "azureDisk.diskURI: Unsupported value: \"\": supported values: \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\"",
        ],
    );
}

#[test]
fn sound_sources_are_accepted() {
    let iqn = "iqn.2001-04.com.example:storage.disk1.sys1.xyz";
    for source in [
        json!({"nfs": {"server": "s", "path": "/exports"}}),
        json!({"iscsi": {"targetPortal": "10.0.2.15:3260", "iqn": iqn, "lun": 0, "initiatorName": "eui.0123456789abcdef"}}),
        json!({"fc": {"targetWWNs": ["50060e801049cfd1"], "lun": 0}}),
        json!({"flocker": {"datasetName": "d"}}),
        json!({"quobyte": {"registry": "r:7861,s:7861", "volume": "v"}}),
        json!({"rbd": {"monitors": ["m:6789"], "image": "i"}}),
        json!({"azureDisk": {"diskName": "d", "diskURI": "/subscriptions/s", "kind": "Managed"}}),
        json!({"csi": {"driver": "hostpath.csi.k8s.io", "nodePublishSecretRef": {"name": "s"}}}),
        json!({"image": {"reference": "quay.io/x:y"}}),
        json!({"ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}),
    ] {
        check_source(source, &[]);
    }
}

#[test]
fn sources_say_nothing_that_cannot_be() {
    check_source(
        json!({"iscsi": {"targetPortal": "p", "iqn": "iqn.yesterday:disk", "lun": 256, "chapAuthSession": true, "initiatorName": "me"}}),
        &[
            "iscsi.iqn: Invalid value: \"iqn.yesterday:disk\": must be valid format",
            "iscsi.initiatorname: Invalid value: \"me\": must be valid format starting with iqn, eui, or naa",
            "iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
            "iscsi.secretRef: Required value",
        ],
    );
    check_source(
        json!({"csi": {"driver": "a_b", "nodePublishSecretRef": {}}}),
        &[
            "csi.driver: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "csi.nodePublishSecretRef.name: Required value",
        ],
    );
    check_source(
        json!({"flexVolume": {"driver": "d", "options": {"a.K8s.io/b": "c", "d": "e"}}}),
        &[
            "flexVolume.options[a.K8s.io/b]: Invalid value: \"a.K8s.io/b\": kubernetes.io and k8s.io namespaces are reserved",
        ],
    );
    check_source(
        json!({"awsElasticBlockStore": {"volumeID": "v", "partition": 256}}),
        &["awsElasticBlockStore.partition: Invalid value: 256: must be between 1 and 255, inclusive"],
    );
    check_source(
        json!({"image": {"reference": "r", "pullPolicy": "Often"}}),
        &[
            "image.pullPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ],
    );
}

#[test]
fn claims_that_are_made_for_the_pod_are_checked_as_claims() {
    let template = json!({"metadata": {"name": "n"}, "spec": {"accessModes": ["Often"]}});
    check(
        json!({"volumes": [
            {"name": "v", "ephemeral": {"volumeClaimTemplate": template}},
            {"name": "w", "ephemeral": {"volumeClaimTemplate": {"spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}},
            {"name": "x", "persistentVolumeClaim": {"claimName": "p-w"}},
        ]}),
        &[
            "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Unsupported value: \"Often\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
            "spec.volumes[2].persistentVolumeClaim.claimName: Invalid value: \"p-w\": must not reference a PVC that gets created for an ephemeral volume",
        ],
    );
}

#[test]
fn what_upstream_has_not_turned_on_is_forgotten() {
    let sources = json!([{"clusterTrustBundle": {}}, {"podCertificate": {"keyType": "X"}}, {"configMap": {"name": "m"}}]);
    let spec = json!({"volumes": [{"name": "v", "projected": {"sources": sources}}], "schedulingGroup": {"podGroupName": "g"}});
    let made = pod(spec);
    assert_eq!(texts(&(KIND.validate)(&made)), [""; 0]);
    assert_eq!(
        made["spec"]["volumes"][0]["projected"]["sources"],
        json!([{}, {}, {"configMap": {"name": "m"}}])
    );
    assert_eq!(made["spec"].get("schedulingGroup"), None);
}

#[test]
fn storage_systems_have_upstreams_defaults() {
    let filled = |source: Value| pod(json!({"volumes": [source]}))["spec"]["volumes"][0].clone();
    assert_eq!(
        filled(json!({"name": "v", "azureDisk": {"diskName": "d"}}))["azureDisk"],
        json!({"diskName": "d", "cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": false})
    );
    let template = json!({"spec": {"resources": {"requests": {"storage": "0.5Ki"}}}});
    assert_eq!(
        filled(json!({"name": "v", "ephemeral": {"volumeClaimTemplate": template}}))["ephemeral"]["volumeClaimTemplate"]
            ["spec"],
        json!({"resources": {"requests": {"storage": "512"}}, "volumeMode": "Filesystem"})
    );
}
