//! Names, users and resources of a pod as a whole.

use serde_json::json;

use super::refused::{check, check_container};

#[test]
fn users_of_its_own_go_with_none_of_the_hosts_namespaces() {
    check(json!({"hostUsers": false}), &[]);
    check(json!({"hostUsers": true, "hostNetwork": true}), &[]);
    check(
        json!({
            "hostUsers": false, "hostNetwork": true, "hostPID": true, "hostIPC": true,
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}],
            "containers": [{"name": "c", "image": "i", "volumeDevices": [{"name": "v", "devicePath": "/dev/v"}]}],
        }),
        &[
            "spec.hostNetwork: Forbidden: when `hostUsers` is false",
            "spec.HostPID: Forbidden: when `hostUsers` is false",
            "spec.HostIPC: Forbidden: when `hostUsers` is false",
            "spec.containers[0].volumeDevices: Forbidden: when `hostUsers` is false",
        ],
    );
    check_container(
        json!({"securityContext": {"procMount": "Unmasked"}}),
        &[
            "securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
        ],
    );
}

#[test]
fn host_name_is_a_name_and_the_pods_own() {
    check(json!({"hostnameOverride": "db-0.example.com"}), &[]);
    check(
        json!({"hostnameOverride": "Bad_Name", "hostNetwork": true, "setHostnameAsFQDN": true}),
        &[
            "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
            "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
            "spec.hostnameOverride: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    );
    check(
        json!({"hostnameOverride": "a".repeat(65)}),
        &["spec.hostnameOverride: Too long: may not be more than 64 bytes"],
    );
}

#[test]
fn whole_pod_asks_for_no_less_than_its_containers() {
    let container = json!({"name": "c", "image": "i", "resources": {
        "requests": {"cpu": "2"}, "limits": {"cpu": "4", "memory": "1Gi"}}});
    check(
        json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}, "containers": [container]}),
        &[],
    );
    check(
        json!({
            "resources": {"requests": {"cpu": "1", "example.com/gpu": "1"}, "limits": {"cpu": "3", "example.com/gpu": "1"},
                "claims": [{"name": "c"}]},
            "resourceClaims": [{"name": "c", "resourceClaimName": "r"}],
            "containers": [container],
        }),
        &[
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level",
            "spec.resources.limits[example.com/gpu]: Unsupported value: \"example.com/gpu\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
            "spec.resources.requests[example.com/gpu]: Unsupported value: \"example.com/gpu\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
            "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2",
            "spec.resources.containers[0][cpu].limits: Invalid value: \"4\": must be less than or equal to pod limits of 3",
        ],
    );
}

#[test]
fn variables_out_of_files_lie_in_an_empty_directory() {
    let from = |volume: &str| json!({"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": volume, "path": "f", "key": "A"}}});
    check(
        json!({
            "volumes": [{"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/"}}],
            "containers": [{"name": "c", "image": "i", "env": [from("e"), from("h"), from("x")]}],
        }),
        &[
            "spec.containers[0].env[1].valueFrom.fileKeyRef.volumeName: Invalid value: \"h\": referenced volume must be of type emptyDir",
            "spec.containers[0].env[2].valueFrom.fileKeyRef.volumeName: Not found: \"x\"",
        ],
    );
}
