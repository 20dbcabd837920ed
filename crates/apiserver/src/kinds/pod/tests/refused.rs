//! What new pods may not say.

use serde_json::{Value, json};

use super::{KIND, pod, texts, with};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

pub(super) fn check(extra: Value, expect: &[&str]) {
    assert_eq!(texts(&(KIND.validate)(&pod(extra.clone()))), expect, "{extra}");
}

/// The same for one container; the texts are told without its path.
pub(super) fn check_container(container: Value, expect: &[&str]) {
    let expect: Vec<String> = expect.iter().map(|e| format!("spec.containers[0].{e}")).collect();
    check(with(container), &expect.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn sound_pods_are_accepted() {
    check(json!({}), &[]);
    check(
        json!({
            "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
            "initContainers": [{"name": "i", "image": "a", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["x"]}}}],
            "tolerations": [{"operator": "Exists"}], "activeDeadlineSeconds": 1, "nodeSelector": {"a": "b"},
            "securityContext": {"runAsUser": 0, "fsGroup": 5},
        }),
        &[],
    );
    check_container(
        json!({
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}}],
            "resources": {"limits": {"cpu": "1", "example.com/gpu": "2"}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        }),
        &[],
    );
}

#[test]
fn containers_need_names_and_images() {
    check(json!({"containers": []}), &["spec.containers: Required value"]);
    check(
        json!({"containers": [{}, {"name": "A", "image": " a"}, {"name": "b", "image": "a"}, {"name": "b", "image": "a"}]}),
        &[
            "spec.containers[0].name: Required value",
            "spec.containers[0].image: Required value",
            &format!("spec.containers[1].name: Invalid value: \"A\": {LABEL}"),
            "spec.containers[3].name: Duplicate value: \"b\"",
            "spec.containers[1].image: Invalid value: \" a\": must not have leading or trailing whitespace",
        ],
    );
    check(
        json!({"initContainers": [{"name": "c", "image": "a", "readinessProbe": {"exec": {"command": ["x"]}}}]}),
        &[
            "spec.initContainers[0].name: Duplicate value: \"c\"",
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ],
    );
}

#[test]
fn policies_are_closed_sets() {
    check_container(
        json!({"imagePullPolicy": "Often", "terminationMessagePolicy": "Log", "restartPolicyRules": [{"action": "Stop"}]}),
        &[
            "terminationMessagePolicy: Unsupported value: \"Log\": supported values: \"File\", \"FallbackToLogsOnError\"",
            "imagePullPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            "restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            "restartPolicyRules[0].action: Unsupported value: \"Stop\": supported values: \"Restart\", \"RestartAllContainers\"",
            "restartPolicyRules[0].exitCodes: Required value: must be specified",
        ],
    );
    check(
        json!({"restartPolicy": "X", "dnsPolicy": "Y", "preemptionPolicy": "Z"}),
        &[
            "spec.restartPolicy: Unsupported value: \"X\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.dnsPolicy: Unsupported value: \"Y\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
            "spec.preemptionPolicy: Unsupported value: \"Z\": supported values: \"PreemptLowerPriority\", \"Never\"",
        ],
    );
}

#[test]
fn variables_have_names_and_one_source() {
    check_container(
        json!({"env": [
            {"value": "1"},
            {"name": "A=B"},
            {"name": "C", "valueFrom": {}},
            {"name": "D", "value": "1", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
            {"name": "E", "valueFrom": {"secretKeyRef": {"name": "s"}, "fieldRef": {"fieldPath": "spec.bogus"}}},
            {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}},
            {"name": "G", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3"}}},
        ], "envFrom": [{}, {"prefix": "=", "secretRef": {}}]}),
        &[
            "env[0].name: Required value",
            "env[1].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            "env[2].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
            "env[3].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            "env[4].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.bogus\": error converting fieldPath: field label not supported: spec.bogus",
            "env[4].valueFrom.secretKeyRef.key: Required value",
            "env[4].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
            "env[5].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            "env[6].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
            "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
            "envFrom[1].prefix: Invalid value: \"=\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            "envFrom[1].secretRef.name: Required value",
        ],
    );
}

#[test]
fn volumes_have_names_and_one_source_and_mounts_find_them() {
    check(
        json!({
            "volumes": [
                {"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}},
                {"name": "b"}, {"name": "b"}, {},
                {"name": "h", "hostPath": {"path": "/a/../b", "type": "Pipe"}},
                {"name": "s", "secret": {"defaultMode": 512, "items": [{"key": "k", "path": "..x"}]}},
                {"name": "p", "persistentVolumeClaim": {}},
                {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "/t", "expirationSeconds": 5}}]}},
            ],
            "containers": [{"name": "c", "image": "i", "volumeMounts": [
                {"name": "b", "mountPath": "/b"}, {"name": "zz", "mountPath": "/b"}, {"name": "b"},
                {"name": "b", "mountPath": "/s", "subPath": "/x/.."},
            ]}],
        }),
        &[
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[2].name: Duplicate value: \"b\"",
            "spec.volumes[3].name: Required value",
            "spec.volumes[4].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "spec.volumes[4].hostPath.type: Unsupported value: \"Pipe\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            "spec.volumes[5].secret.secretName: Required value",
            "spec.volumes[5].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            "spec.volumes[5].secret.items[0].path: Invalid value: \"..x\": must not start with '..'",
            "spec.volumes[6].persistentVolumeClaim.claimName: Required value",
            "spec.volumes[7].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
            "spec.volumes[7].projected.path: Invalid value: \"/t\": must be a relative path",
            "spec.containers[0].volumeMounts[1].name: Not found: \"zz\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/b\": must be unique",
            "spec.containers[0].volumeMounts[2].mountPath: Required value",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/x/..\": must be a relative path",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/x/..\": must not contain '..'",
        ],
    );
}

#[test]
fn resources_are_quantities_within_their_limits() {
    check_container(
        json!({"resources": {
            "limits": {"cpu": "1", "memory": "lots", "gpu": "1"},
            "requests": {"cpu": "2", "memory": "1Gi", "example.com/gpu": "1", "ephemeral-storage": "-1"},
        }}),
        &[
            "resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
            "resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            "resources.limits[memory]: Invalid value: \"lots\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            "resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "resources.requests[ephemeral-storage]: Invalid value: \"-1\": must be greater than or equal to 0",
            "resources.limits: Required value: Limit must be set for non overcommitable resources",
            "resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
            "resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
        ],
    );
}

#[test]
fn ports_are_numbers_and_do_not_collide() {
    check_container(
        json!({"ports": [
            {}, {"containerPort": 70000, "name": "A"}, {"containerPort": 1, "hostPort": 2, "name": "a"},
            {"containerPort": 3, "hostPort": 2, "name": "a", "protocol": "TCP"}, {"containerPort": 4, "protocol": "tcp"},
        ]}),
        &[
            "ports[0].containerPort: Required value",
            "ports[1].name: Invalid value: \"A\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
            "ports[1].name: Invalid value: \"A\": must contain at least one letter (a-z)",
            "ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "ports[3].name: Duplicate value: \"a\"",
            "ports[4].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "ports[3].hostPort: Duplicate value: \"TCP//2\"",
        ],
    );
}

#[test]
fn probes_and_hooks_ask_in_one_way() {
    check_container(
        json!({
            "livenessProbe": {"successThreshold": 2, "periodSeconds": -1, "exec": {}},
            "readinessProbe": {"terminationGracePeriodSeconds": 5, "httpGet": {"port": "web--", "scheme": "ftp"}, "tcpSocket": {"port": 1}},
            "lifecycle": {"postStart": {}, "preStop": {"sleep": {"seconds": 31}}},
        }),
        &[
            "lifecycle.postStart: Required value: must specify a handler type",
            "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            "livenessProbe.exec.command: Required value",
            "livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "readinessProbe.httpGet.port: Invalid value: \"web--\": must not contain consecutive hyphens",
            "readinessProbe.httpGet.port: Invalid value: \"web--\": must not begin or end with a hyphen",
            "readinessProbe.httpGet.scheme: Unsupported value: \"ftp\": supported values: \"HTTP\", \"HTTPS\"",
            "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
        ],
    );
}

#[test]
fn rights_do_not_contradict_each_other() {
    let context = json!({"allowPrivilegeEscalation": false, "privileged": true, "runAsUser": -1, "seccompProfile": {"type": "Localhost"}});
    check_container(
        json!({"securityContext": context}),
        &[
            "securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            "securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
            &format!(
                "securityContext: Invalid value: {context}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            ),
        ],
    );
}

#[test]
fn tolerations_and_deadlines_are_checked() {
    let ours = json!([
        {"key": "a", "operator": "Equal", "value": "b", "effect": "Sometimes"},
        {"operator": "Equal"}, {"key": "a", "operator": "Exists", "value": "b"},
        {"key": "a", "tolerationSeconds": 1, "effect": "NoSchedule"}, {"key": "a", "operator": "Near"},
    ]);
    check(
        json!({"tolerations": ours, "activeDeadlineSeconds": 0, "hostname": "A.b"}),
        &[
            &format!("spec.hostname: Invalid value: \"A.b\": {LABEL}"),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            "spec.tolerations[0].effect: Unsupported value: \"Sometimes\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            "spec.tolerations[1].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            "spec.tolerations[2].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
            "spec.tolerations[3].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            "spec.tolerations[4].operator: Unsupported value: \"Near\": supported values: \"Equal\", \"Exists\"",
        ],
    );
}

#[test]
fn node_affinity_is_checked_term_by_term() {
    let required = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
    let at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    check(
        required(json!([])),
        &[&format!("{at}: Required value: must have at least one node selector term")],
    );
    check(
        required(json!([{
            "matchExpressions": [
                {"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["b"]},
                {"key": "a", "operator": "Gt"}, {"key": "a", "operator": "Like"},
            ],
            "matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["a"]}],
        }])),
        &[
            &format!(
                "{at}[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            ),
            &format!(
                "{at}[0].matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            ),
            &format!(
                "{at}[0].matchExpressions[2].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"
            ),
            &format!(
                "{at}[0].matchExpressions[3].operator: Invalid value: \"Like\": not a valid selector operator"
            ),
            &format!(
                "{at}[0].matchFields[0].key: Invalid value: \"metadata.uid\": not a valid field selector key"
            ),
        ],
    );
    let preferred = json!([{"weight": 0, "preference": {}}]);
    check(
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}),
        &[
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100",
        ],
    );
}

#[test]
fn a_variable_that_hides_another_warns() {
    let env = |second: Value| pod(with(json!({"env": [{"name": "A", "value": "1"}, second]})));
    assert_eq!(
        (KIND.warnings)(&env(json!({"name": "A", "value": "2"}))),
        [
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply"
        ]
    );
    assert!((KIND.warnings)(&env(json!({"name": "A", "value": "$(A):2"}))).is_empty());
}

#[test]
fn a_new_pod_is_not_placed_behind_closed_gates() {
    check(
        json!({"nodeName": "n", "schedulingGates": [{"name": "a/b"}], "ephemeralContainers": [{"name": "e"}]}),
        &[
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ],
    );
}

#[test]
fn fate_with_a_mistake_is_refused_by_its_annotation() {
    let with = |name: &str, value: &str| {
        let mut pod = pod(json!({}));
        pod["metadata"]["annotations"] = json!({name: value});
        texts(&(KIND.validate)(&pod))
    };
    assert_eq!(with("fate.windlass.dev/pod", "{exit: 1, run: 5s}"), [""; 0]);
    assert_eq!(
        with("fate.windlass.dev/pod", "exit: 300"),
        [
            "metadata.annotations[fate.windlass.dev/pod]: Invalid value: \"exit: 300\": exit: 300 is no end: an exit code (0 to 255), a signal (SIGKILL), OOMKilled, Evicted or NodeLost"
        ]
    );
    let told = with("fate.windlass.dev/nobody", "");
    assert!(told[0].contains("the pod has no container \"nobody\""), "{told:?}");
}
