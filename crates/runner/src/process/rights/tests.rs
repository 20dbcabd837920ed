//! What security contexts make of a process, as root and as an ordinary user.

#![expect(clippy::needless_pass_by_value, reason = "made by json! where they are used")]

use serde_json::{Value, json};

use super::{Host, of};
use crate::kubelet::{PodView, User};
use crate::rights::{Rights, capability};

fn root() -> Host {
    Host { groups: vec![0], ..Host::default() }
}

fn user() -> Host {
    Host { uid: 1000, gid: 1000, groups: vec![27, 1000], ..Host::default() }
}

/// The rights, or the refusal.
fn asked(own: Value, whole: Value, host: &Host) -> Result<Rights, String> {
    let pod = json!({"spec": {"securityContext": whole}});
    let spec = json!({"name": "main", "securityContext": own});
    of(&pod, &spec, host)
        .map(|rights| rights.map(|rights| *rights).unwrap_or_default())
        .map_err(|cause| cause.to_string())
}

#[test]
fn context_that_asks_for_nothing_less_costs_nothing() {
    for host in [root(), user()] {
        for own in [
            json!({}),
            json!({"privileged": false, "allowPrivilegeEscalation": true, "procMount": "Unmasked"}),
            json!({"seccompProfile": {"type": "Unconfined"}, "appArmorProfile": {"type": "Unconfined"}}),
            json!({"seLinuxOptions": {}, "windowsOptions": {}, "capabilities": {"drop": []}}),
        ] {
            let pod = json!({"spec": {"securityContext": {"supplementalGroups": host.groups}}});
            assert_eq!(of(&pod, &json!({"securityContext": own}), &host).unwrap(), None, "{own}");
        }
        assert_eq!(of(&json!({"spec": {}}), &json!({}), &host).unwrap(), None);
    }
}

#[test]
fn what_the_restricted_standard_asks_for_is_held_for_everybody() {
    let own = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let of_root = asked(own.clone(), json!({}), &root()).unwrap();
    assert_eq!(of_root.without, (0..41).collect::<Vec<u8>>());
    assert!(of_root.is_fixed && of_root.is_filtered);
    let of_user = asked(own, json!({}), &user()).unwrap();
    assert_eq!(of_user, Rights { is_fixed: true, is_filtered: true, ..Rights::default() });
}

#[test]
fn capabilities_that_are_dropped_and_not_added_are_taken() {
    let number = |name| capability(name).unwrap();
    let without = |capabilities: Value| {
        asked(json!({"capabilities": capabilities}), json!({}), &root()).map(|rights| rights.without)
    };
    assert_eq!(
        without(json!({"drop": ["NET_RAW", "CAP_CHOWN"]})),
        Ok(vec![number("CHOWN"), number("NET_RAW")])
    );
    let but_one = without(json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})).unwrap();
    assert_eq!((but_one.len(), but_one.contains(&10)), (40, false));
    assert_eq!(without(json!({"add": ["SYS_ADMIN"]})), Ok(Vec::new()));
    let refusal = without(json!({"drop": ["FLY"]})).unwrap_err();
    assert_eq!(refusal, "a host process cannot have the capability FLY: there is none of that name");
    // Whoever has none must not come by one by executing something.
    let of_user = asked(json!({"capabilities": {"drop": ["KILL"]}}), json!({}), &user()).unwrap();
    assert_eq!(of_user, Rights { is_fixed: true, ..Rights::default() });
}

#[test]
fn groups_are_roots_to_choose_and_the_users_to_have() {
    let groups = |whole: Value, host: &Host| asked(json!({}), whole, host).map(|rights| rights.groups);
    assert_eq!(
        groups(json!({"supplementalGroups": [7, 5], "fsGroup": 9}), &root()),
        Ok(Some(vec![0, 5, 7, 9]))
    );
    let strict = json!({"supplementalGroups": [5], "supplementalGroupsPolicy": "Strict"});
    assert_eq!(groups(strict.clone(), &root()), Ok(Some(vec![5])));
    assert_eq!(groups(json!({"supplementalGroups": [27], "fsGroup": 1000}), &user()), Ok(None));
    let refusal = groups(json!({"fsGroup": 5}), &user()).unwrap_err();
    assert_eq!(refusal, "a host process cannot have the group 5: the user 1000 is not in it");
    let refusal =
        groups(json!({"supplementalGroups": [1000], "supplementalGroupsPolicy": "Strict"}), &user())
            .unwrap_err();
    assert_eq!(
        refusal,
        "a host process cannot have fewer groups than the user 1000 (supplementalGroupsPolicy: Strict)"
    );
    assert!(groups(strict, &user()).is_err());
}

#[test]
fn what_a_host_process_cannot_have_is_refused_and_named() {
    for (own, part) in [
        (
            json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}),
            "the seccomp profile a/b.json",
        ),
        (json!({"appArmorProfile": {"type": "RuntimeDefault"}}), "the AppArmor profile RuntimeDefault"),
        (
            json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"}}),
            "the AppArmor profile mine",
        ),
        (json!({"seLinuxOptions": {"level": "s0"}}), "an SELinux label of its own (seLinuxOptions)"),
        (json!({"windowsOptions": {"hostProcess": true}}), "options of Windows of its own (windowsOptions)"),
    ] {
        for (own, whole) in [(own.clone(), json!({})), (json!({}), own)] {
            let refusal = asked(own, whole, &root()).unwrap_err();
            assert!(
                refusal.starts_with("a host process cannot have ") && refusal.contains(part),
                "{refusal}"
            );
        }
    }
    let pod = json!({"spec": {"hostUsers": false}});
    let refusal = of(&pod, &json!({}), &root()).unwrap_err().to_string();
    assert_eq!(refusal, "a host process cannot have a user namespace of its own (hostUsers: false)");
}

#[test]
fn container_says_more_than_its_pod_and_privileges_are_not_filtered() {
    let filtered = |own, whole| asked(own, whole, &root()).unwrap().is_filtered;
    let profile = |kind: &str| json!({"seccompProfile": {"type": kind}});
    assert!(filtered(json!({}), profile("RuntimeDefault")));
    assert!(!filtered(profile("Unconfined"), profile("RuntimeDefault")));
    assert!(!filtered(json!({"privileged": true}), profile("RuntimeDefault")));
}

#[test]
fn user_is_known_of_pods_that_ask_for_one_and_can_have_it() {
    let known = |spec: Value, host: &Host| {
        let pod = json!({"spec": spec});
        super::user(PodView::from(&pod), host)
    };
    let context = |context: Value| json!({"securityContext": context, "containers": [{"name": "main"}]});
    assert_eq!(known(context(json!({})), &root()), None);
    assert_eq!(known(context(json!({"runAsNonRoot": true})), &user()), None);
    let own = json!({"containers": [{"name": "main", "securityContext": {"runAsUser": 1000}}]});
    let as_they_are = User { uid: 1000, gid: 1000, groups: vec![27, 1000] };
    assert_eq!(known(own, &user()), Some(as_they_are.clone()));
    assert_eq!(known(context(json!({"fsGroup": 27})), &user()), Some(as_they_are));
    let more = User { uid: 0, gid: 0, groups: vec![0, 4000] };
    assert_eq!(known(context(json!({"supplementalGroups": [4000]})), &root()), Some(more));
    let strict = User { uid: 0, gid: 0, groups: vec![4000] };
    let asked = json!({"supplementalGroups": [4000], "supplementalGroupsPolicy": "Strict"});
    assert_eq!(known(context(asked), &root()), Some(strict));
    assert_eq!(known(context(json!({"supplementalGroups": [4000]})), &user()), None, "it cannot have it");
}
