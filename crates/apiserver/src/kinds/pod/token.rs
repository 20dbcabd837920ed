//! The volume with a service account's token that a pod is given which asks for one. Pure; it issues no token.
//!
//! Source: upstream's plugin ServiceAccount (plugin/pkg/admission/serviceaccount), but for one thing: a pod that says
//! nothing is given none.

use serde_json::{Value, json};

use crate::kinds::json::{fill, flag, items, items_mut, text};

/// Where clients in a pod look for it.
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How its volume's name begins.
const NAME: &str = "kube-api-access-";
/// How long the token lasts, seconds.
const LASTS: u64 = 3607;
/// What ends of generated names are made of.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Mounts a token into every container of a pod that says `automountServiceAccountToken: true`; one that has something
/// mounted there keeps that. `uid` is the pod's: the volume's name is drawn from it.
pub(super) fn mount(spec: &mut Value, uid: &str) {
    if !flag(spec, "automountServiceAccountToken") {
        return;
    }
    let own = items(spec, "volumes").iter().map(|volume| text(volume, "name"));
    let own = own.filter(|name| name.starts_with(NAME)).map(str::to_owned).next();
    let name = own.clone().unwrap_or_else(|| format!("{NAME}{}", ending(uid)));
    let mut is_wanted = false;
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, list) {
            if items(container, "volumeMounts").iter().any(|mount| text(mount, "mountPath") == PLACE) {
                continue;
            }
            fill(container, "volumeMounts", json!([]));
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": PLACE}));
                is_wanted = true;
            }
        }
    }
    if is_wanted && own.is_none() {
        fill(spec, "volumes", json!([]));
        if let Some(volumes) = spec["volumes"].as_array_mut() {
            volumes.push(volume(&name));
        }
    }
}

fn volume(name: &str) -> Value {
    let authority = json!({"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]});
    let namespace =
        json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": LASTS, "path": "token"}},
        {"configMap": authority},
        {"downwardAPI": {"items": [namespace]}},
    ]}})
}

/// Five characters that stand for a uid.
fn ending(uid: &str) -> String {
    // FNV-1a: any function does that spreads well and stays the same.
    let sum = uid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let count = LETTERS.len() as u64;
    let digits = std::iter::successors(Some(sum), |rest| Some(rest / count)).take(5);
    digits.map(|rest| usize::try_from(rest % count).map_or('b', |at| char::from(LETTERS[at]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "4e5d0c1e-6f8f-4e3b-9f4c-0d5a5e0a4c11";

    fn mounted(mut spec: Value) -> Value {
        mount(&mut spec, UID);
        spec
    }

    #[test]
    fn pod_that_does_not_ask_is_left_as_it_is() {
        for asks in [Value::Null, json!(false)] {
            let spec = json!({"automountServiceAccountToken": asks, "containers": [{"name": "a"}]});
            assert_eq!(mounted(spec.clone()), spec);
        }
    }

    #[test]
    fn every_container_of_one_that_asks_gets_it_once() {
        let spec = json!({"automountServiceAccountToken": true, "initContainers": [{"name": "i"}],
            "containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "x", "mountPath": PLACE}]}]});
        let once = mounted(spec);
        let name = once["volumes"][0]["name"].as_str().unwrap();
        assert!(name.starts_with(NAME) && name.len() == NAME.len() + 5, "{name}");
        for container in [&once["initContainers"][0], &once["containers"][0]] {
            assert_eq!(container["volumeMounts"][0]["name"], name);
        }
        assert_eq!(once["containers"][1]["volumeMounts"].as_array().unwrap().len(), 1);
        assert_eq!(mounted(once.clone()), once);
    }

    #[test]
    fn pod_whose_containers_all_have_their_own_gets_no_volume() {
        let own = json!([{"name": "x", "mountPath": PLACE}]);
        let spec = mounted(
            json!({"automountServiceAccountToken": true, "containers": [{"name": "a", "volumeMounts": own}]}),
        );
        assert_eq!(spec["volumes"], Value::Null);
    }
}
