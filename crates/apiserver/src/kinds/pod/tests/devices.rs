//! Devices, claims of them, and how resources change in place.

use serde_json::json;

use super::refused::{check, check_container};

#[test]
fn devices_are_volumes_that_can_be_devices() {
    let claim = |name: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
    check(
        json!({
            "volumes": [claim("a"), claim("b"), {"name": "e", "emptyDir": {}}],
            "containers": [{"name": "c", "image": "i",
                "volumeMounts": [{"name": "b", "mountPath": "/b"}],
                "volumeDevices": [
                    {}, {"name": "e", "devicePath": "/dev/e"}, {"name": "a", "devicePath": "/dev/../a"},
                    {"name": "a", "devicePath": "/dev/e"}, {"name": "b", "devicePath": "/b"},
                ]}],
        }),
        &[
            "spec.containers[0].volumeMounts[0].name: Invalid value: \"b\": must not already exist in volumeDevices",
            "spec.containers[0].volumeMounts[0].mountPath: Invalid value: \"/b\": must not already exist as a path in volumeDevices",
            "spec.containers[0].volumeDevices[0].name: Required value",
            "spec.containers[0].volumeDevices[0].name: Not found: \"\"",
            "spec.containers[0].volumeDevices[0].devicePath: Required value",
            "spec.containers[0].volumeDevices[1].name: Invalid value: \"e\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            "spec.containers[0].volumeDevices[2].devicePath: Invalid value: \"/dev/../a\": can not contain backsteps ('..')",
            "spec.containers[0].volumeDevices[3].name: Invalid value: \"a\": must be unique",
            "spec.containers[0].volumeDevices[3].devicePath: Invalid value: \"/dev/e\": must be unique",
            "spec.containers[0].volumeDevices[4].name: Invalid value: \"b\": must not already exist in volumeMounts",
            "spec.containers[0].volumeDevices[4].devicePath: Invalid value: \"/b\": must not already exist as a path in volumeMounts",
        ],
    );
    check(
        json!({"volumes": [claim("a")],
            "containers": [{"name": "c", "image": "i", "volumeDevices": [{"name": "a", "devicePath": "/dev/a"}]}]}),
        &[],
    );
}

#[test]
fn resource_claims_have_names_and_one_source() {
    check(
        json!({"resourceClaims": [
            {"name": "a", "resourceClaimName": "r"}, {"name": "a", "resourceClaimTemplateName": "t"},
            {"resourceClaimName": "R!"}, {"name": "none"},
            {"name": "both", "resourceClaimName": "r", "resourceClaimTemplateName": "t"},
        ]}),
        &[
            "spec.resourceClaims[1].name: Duplicate value: \"a\"",
            "spec.resourceClaims[2].name: Required value",
            "spec.resourceClaims[2].resourceClaimName: Invalid value: \"R!\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.resourceClaims[3]: Invalid value: {\"Name\":\"none\",\"ResourceClaimName\":null,\"ResourceClaimTemplateName\":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            "spec.resourceClaims[4]: Invalid value: {\"Name\":\"both\",\"ResourceClaimName\":\"r\",\"ResourceClaimTemplateName\":\"t\"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        ],
    );
}

#[test]
fn containers_use_the_pods_resource_claims() {
    check_container(
        json!({"resources": {"claims": [{"name": "gpu"}, {}]}}),
        &[
            "resources.claims[0]: Not found: \"gpu\": must be one of the names in pod.spec.resourceClaims which is empty",
            "resources.claims[1]: Required value",
        ],
    );
    let with_claims = |used: serde_json::Value| {
        json!({
            "resourceClaims": [{"name": "a", "resourceClaimName": "r"}, {"name": "b", "resourceClaimName": "s"}],
            "containers": [{"name": "c", "image": "i", "resources": {"claims": used}}],
        })
    };
    let at = "spec.containers[0].resources.claims";
    check(
        with_claims(json!([{"name": "a", "request": "one"}, {"name": "a", "request": "two"}, {"name": "b"}])),
        &[],
    );
    check(
        with_claims(
            json!([{"name": "a", "request": "x"}, {"name": "a", "request": "x"}, {"name": "a"}, {"name": "c"}]),
        ),
        &[
            &format!("{at}[1]: Duplicate value: \"a/x\""),
            &format!("{at}[2]: Duplicate value: \"a\""),
            &format!("{at}[3]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims: a, b"),
        ],
    );
}

#[test]
fn resources_change_in_place_or_with_a_restart() {
    check_container(
        json!({"resizePolicy": [
            {"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu", "restartPolicy": "Often"},
            {"resourceName": "gpu", "restartPolicy": "RestartContainer"}, {},
        ]}),
        &[
            "resizePolicy[1]: Duplicate value: \"cpu\"",
            "resizePolicy: Unsupported value: \"Often\": supported values: \"NotRequired\", \"RestartContainer\"",
            "resizePolicy: Unsupported value: \"gpu\": supported values: \"cpu\", \"memory\"",
            "resizePolicy: Required value",
            "resizePolicy: Required value",
        ],
    );
    let restarts = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    check(
        json!({
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "i", "resizePolicy": restarts}],
        }),
        &[
            "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod `restartPolicy` is 'Never'",
        ],
    );
    check(
        json!({"initContainers": [
            {"name": "i", "image": "i", "resizePolicy": restarts},
            {"name": "s", "image": "i", "restartPolicy": "Always", "resizePolicy": restarts},
        ]}),
        &[
            "spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: \"RestartContainer\": must not be set to 'RestartContainer' for non-sidecar initContainers",
        ],
    );
}

#[test]
fn read_only_mounts_below_need_a_read_only_mount() {
    let mounts = |mount: serde_json::Value| {
        let mut mount = mount;
        (mount["name"], mount["mountPath"]) = ("v".into(), "/v".into());
        json!({"volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "c", "image": "i", "volumeMounts": [mount]}]})
    };
    let at = "spec.containers[0].volumeMounts.recursiveReadOnly";
    check(mounts(json!({"readOnly": true, "recursiveReadOnly": "Enabled"})), &[]);
    check(mounts(json!({"recursiveReadOnly": "Disabled"})), &[]);
    check(
        mounts(json!({"recursiveReadOnly": "Bogus"})),
        &[&format!(
            "{at}: Unsupported value: \"Bogus\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\""
        )],
    );
    check(
        mounts(json!({"recursiveReadOnly": "IfPossible", "mountPropagation": "HostToContainer"})),
        &[
            &format!("{at}: Forbidden: may only be specified when readOnly is true"),
            &format!("{at}: Forbidden: may only be specified when mountPropagation is None or not specified"),
        ],
    );
}
