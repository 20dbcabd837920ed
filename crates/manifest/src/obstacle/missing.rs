//! Things that a pod names and that are not there, as kubelet, scheduler and admission say it.

use k8s_openapi::api::core::v1::Pod;

use super::Obstacle;
use crate::facts;
use crate::words::{between, quoted};

/// How each kind is named in messages, how we name it, and what makes one.
const KINDS: [(&[&str], &str, &str); 4] = [
    (&["secret ", "secrets "], "secret", "create secret generic {name} --from-literal=KEY=VALUE"),
    (&["configmap ", "configmaps "], "configmap", "create configmap {name} --from-literal=KEY=VALUE"),
    (&["serviceaccount ", "serviceaccounts "], "service account", "create serviceaccount {name}"),
    (
        &["persistentvolumeclaim ", "persistentvolumeclaims "],
        "claim",
        "apply -f CLAIM.yaml (with the name {name}); `kubectl get pvc` shows those that are there",
    ),
];

/// The obstacle, if the message tells of something that is not there.
pub(super) fn of_message(message: &str, pod: &Pod) -> Option<Obstacle> {
    object(message, &facts::kubectl(pod.metadata.namespace.as_deref()))
        .or_else(|| key(message, pod))
        .or_else(|| volume_key(message, pod))
}

/// `secret "x" not found`.
pub(super) fn object(message: &str, kubectl: &str) -> Option<Obstacle> {
    KINDS.iter().find_map(|(words, kind, make)| {
        let name = words.iter().find_map(|word| {
            let name = quoted(message, word)?;
            let is_missing = [format!("{name}\" not found"), format!("{name}\\\" not found")]
                .iter()
                .any(|words| message.contains(words.as_str()));
            is_missing.then_some(name)
        })?;
        let next = format!("{kubectl} {}", make.replace("{name}", name));
        Some(Obstacle::blocked(format_args!("{kind} {name:?}, which is not there"), &next))
    })
}

/// `couldn't find key x in Secret lab/y`.
fn key(message: &str, pod: &Pod) -> Option<Obstacle> {
    let rest = &message[message.find("couldn't find key ")? + "couldn't find key ".len()..];
    let (key, rest) = rest.split_once(" in ")?;
    let (kind, rest) = rest.split_once(' ')?;
    let name = rest.split([' ', ',', ':']).next()?.rsplit('/').next()?;
    Some(no_key(&kind.to_ascii_lowercase(), name, key, pod))
}

/// A volume that shows a key of an object: only the pod knows which object that is.
fn volume_key(message: &str, pod: &Pod) -> Option<Obstacle> {
    let upstream = ["non-existent secret key: ", "non-existent config key: "];
    if let Some(before) = upstream.iter().find(|words| message.contains(**words)) {
        let key = message.split(before).nth(1)?.split([' ', ',']).next()?;
        let volume = quoted(message, "volume ")?;
        let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
        let volume = volumes.iter().find(|one| one.name == volume)?;
        let secret = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_deref());
        let (kind, name) = match secret {
            Some(name) => ("secret", name),
            None => ("configmap", volume.config_map.as_ref()?.name.as_str()),
        };
        return Some(no_key(kind, name, key, pod));
    }
    // The embedded engine's words.
    let name = between(message, " : secret ", " has no key ").map(|name| ("secret", name));
    let (kind, name) =
        name.or_else(|| Some(("configmap", between(message, " : configmap ", " has no key ")?)))?;
    Some(no_key(kind, name, message.rsplit(' ').next()?, pod))
}

fn no_key(kind: &str, name: &str, key: &str, pod: &Pod) -> Obstacle {
    let kubectl = facts::kubectl(pod.metadata.namespace.as_deref());
    let next = format!("add the key, or name one that is there: {kubectl} describe {kind} {name}");
    Obstacle::blocked(format_args!("{kind} {name:?}, which has no key {key:?}"), &next)
}
