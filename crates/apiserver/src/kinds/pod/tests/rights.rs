//! Security contexts, and what the pod as a whole asks for.

use serde_json::{Value, json};

use super::refused::{check, check_container};
use super::{KIND, pod, texts, with};

#[test]
fn profiles_of_app_armor_have_a_known_type_and_a_name_where_they_are_local() {
    let long = "x".repeat(4096);
    for (profile, expect) in [
        (json!({"type": "RuntimeDefault"}), vec![]),
        (json!({"type": "Localhost", "localhostProfile": "mine"}), vec![]),
        (json!({}), vec!["type: Required value: type is required when appArmorProfile is set"]),
        (
            json!({"type": "x"}),
            vec![
                "type: Unsupported value: \"x\": supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"",
            ],
        ),
        (
            json!({"type": "Localhost"}),
            vec!["localhostProfile: Required value: must be set when AppArmor type is Localhost"],
        ),
        (
            json!({"type": "Localhost", "localhostProfile": ""}),
            vec!["localhostProfile: Required value: must be set when AppArmor type is Localhost"],
        ),
        (
            json!({"type": "Localhost", "localhostProfile": " a"}),
            vec!["localhostProfile: Invalid value: \" a\": must not be padded with whitespace"],
        ),
        (
            json!({"type": "Localhost", "localhostProfile": long}),
            vec!["localhostProfile: Too long: may not be more than 4095 bytes"],
        ),
        (
            json!({"type": "Unconfined", "localhostProfile": "a"}),
            vec!["localhostProfile: Invalid value: \"a\": can only be set when AppArmor type is Localhost"],
        ),
    ] {
        let context = json!({"securityContext": {"appArmorProfile": profile}});
        let under = |path: &str| -> Vec<String> {
            expect.iter().map(|e| format!("{path}securityContext.appArmorProfile.{e}")).collect()
        };
        let of = |lines: &[String], check: fn(Value, &[&str])| {
            check(context.clone(), &lines.iter().map(String::as_str).collect::<Vec<_>>());
        };
        of(&under("spec."), check);
        of(&under(""), check_container);
    }
}

#[test]
fn labels_of_volumes_change_file_by_file() {
    let change = |policy: &str| json!({"securityContext": {"seLinuxChangePolicy": policy}});
    check(change("Recursive"), &[]);
    for other in ["", "MountOption"] {
        let expect = format!(
            "spec.securityContext.seLinuxChangePolicy: Unsupported value: {other:?}: supported values: \"Recursive\""
        );
        check(change(other), &[&expect]);
    }
}

#[test]
fn settings_of_a_namespace_are_not_for_pods_that_share_the_hosts() {
    for (name, flag, refused) in [
        ("kernel.shm_rmid_forced", "hostIPC", true),
        ("kernel/shm_rmid_forced", "hostIPC", true),
        ("fs.mqueue.msg_max", "hostIPC", true),
        ("net.ipv4.tcp_syncookies", "hostNetwork", true),
        ("net.ipv4.tcp_syncookies", "hostIPC", false),
        ("kernel.shm_other", "hostIPC", false),
    ] {
        let told = format!(
            "spec.securityContext.sysctls[0].name: Invalid value: {name:?}: may not be specified when '{flag}' is true"
        );
        let expect = if refused { vec![told.as_str()] } else { vec![] };
        let sysctls = json!([{"name": name, "value": "1"}]);
        check(json!({flag: true, "securityContext": {"sysctls": sysctls}}), &expect);
    }
}

#[test]
fn a_whole_pod_names_no_claims_and_those_that_it_names_are_looked_at() {
    check(
        json!({"resources": {"claims": [{"name": "a", "request": "B"}, {}]}}),
        &[
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level",
            "spec.resources.claims[0].request: Invalid value: \"B\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.resources.claims[0]: Not found: \"a\": must be one of the names in pod.spec.resourceClaims which is empty",
            "spec.resources.claims[1]: Required value",
        ],
    );
}

#[test]
fn resources_of_a_whole_pod_that_say_nothing_are_not_the_same_as_none() {
    let mut spec = with(json!({"resources": {"requests": {"cpu": "1"}}}));
    assert_eq!(pod(spec.clone())["status"]["qosClass"], "Burstable");
    spec["resources"] = json!({});
    assert_eq!(pod(spec)["status"]["qosClass"], "BestEffort");
    let old = pod(json!({}));
    let mut new = old.clone();
    new["spec"]["resources"] = json!({});
    let refused = texts(&(KIND.validate_update)(&new, &old, false));
    assert!(refused[0].ends_with("\n- resources: null\n+ resources: {}"), "{refused:?}");
}

#[test]
fn rules_of_an_init_container_without_a_policy_are_looked_at_no_further() {
    let init = |policy: Value| {
        let rules = json!([{"action": "x"}]);
        json!({"initContainers": [{"name": "i", "image": "i", "restartPolicy": policy, "restartPolicyRules": rules}]})
    };
    let path = "spec.initContainers[0]";
    let required = format!(
        "{path}.restartPolicy: Required value: must specify restartPolicy when restart rules are used"
    );
    check(init(Value::Null), &[&required]);
    check(
        init(json!("Never")),
        &[
            &format!(
                "{path}.restartPolicyRules[0].action: Unsupported value: \"x\": supported values: \"Restart\", \"RestartAllContainers\""
            ),
            &format!("{path}.restartPolicyRules[0].exitCodes: Required value: must be specified"),
        ],
    );
}

#[test]
fn images_that_are_no_names_are_taken_as_pinned() {
    let (digest, id) = (format!("sha256:{}", "a".repeat(64)), "0".repeat(64));
    let pull = |image: &str| {
        let pod = pod(with(json!({"image": image})));
        pod["spec"]["containers"][0]["imagePullPolicy"].as_str().map(str::to_owned).unwrap()
    };
    for image in
        ["a", "a:latest", "r:5000/a", "R/a", "[::1]:5000/a/b", "localhost/a", "a-b/c__d.e--f", "a/b:latest"]
    {
        assert_eq!(pull(image), "Always", "{image}");
        assert_eq!(pull(&format!("{}:latest@{digest}", image.trim_end_matches(":latest"))), "Always");
    }
    let pinned = [
        "-",
        "/",
        "../x",
        "",
        "A",
        "a:1",
        "a/",
        "a//b",
        "a___b",
        "a..b",
        "a:-",
        "-.x/a",
        "r:/a",
        "a@sha256:1",
        &id,
        &format!("a@{digest}"),
        &format!("a:latest@{}", &digest[..70]),
        &format!("r.x/{}", "a".repeat(256)),
    ];
    for image in pinned {
        assert_eq!(pull(image), "IfNotPresent", "{image}");
    }
}

#[test]
fn a_name_that_is_no_host_name_is_warned_of() {
    let mut dotted = pod(json!({}));
    assert_eq!((KIND.warnings)(&dotted), [""; 0]);
    dotted["metadata"]["name"] = "1.2.3.4".into();
    let words = "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
    assert_eq!((KIND.warnings)(&dotted), [words]);
}
