//! Security contexts of containers: what of them a host process gets, and what it cannot have, which is refused.
//! [docs/limits.md](../../../../docs/limits.md) has the table.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ConfigError, Host};
use crate::kubelet::{PodView, User};
use crate::rights::{Rights, capabilities, capability};

/// What a container's process may do less than the user that it runs as. None: nothing less.
pub(super) fn of(pod: &Value, spec: &Value, host: &Host) -> Result<Option<Box<Rights>>, ConfigError> {
    let (own, whole) = (&spec["securityContext"], &pod["spec"]["securityContext"]);
    if pod["spec"]["hostUsers"] == false {
        return Err(cannot("a user namespace of its own (hostUsers: false)"));
    }
    // As nearly always: the API gives every pod an empty one.
    if [own, whole].iter().all(|context| context.as_object().is_none_or(serde_json::Map::is_empty)) {
        return Ok(None);
    }
    let of = |field: &str| [&own[field], &whole[field]].into_iter().find(|value| !value.is_null());
    if let Some(profile) = of("appArmorProfile").filter(|profile| profile["type"] != "Unconfined") {
        let name = profile["localhostProfile"].as_str().or(profile["type"].as_str()).unwrap_or_default();
        return Err(cannot(&format!(
            "the AppArmor profile {name}: none is loaded for it; leave it out, or say Unconfined"
        )));
    }
    for (field, what) in [("seLinuxOptions", "an SELinux label"), ("windowsOptions", "options of Windows")] {
        if of(field).and_then(Value::as_object).is_some_and(|options| !options.is_empty()) {
            return Err(cannot(&format!("{what} of its own ({field})")));
        }
    }
    let without = without(own, host)?;
    let rights = Rights {
        // An ordinary user has no capabilities, and could only come by them by executing something.
        is_fixed: own["allowPrivilegeEscalation"] == false || (host.uid != 0 && !without.is_empty()),
        without: if host.uid == 0 { without } else { Vec::new() },
        groups: groups(whole, host)?,
        is_filtered: own["privileged"] != true && filtered(of("seccompProfile"))?,
    };
    Ok((rights != Rights::default()).then(|| Box::new(rights)))
}

/// Who a pod's processes run as, if it or a container of it asks for a user or groups, and can have them.
#[must_use]
pub fn user(pod: PodView<'_>, host: &Host) -> Option<User> {
    const ASKING: [&str; 5] =
        ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "supplementalGroupsPolicy"];
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| pod.spec[list].as_array());
    let mut contexts =
        lists.flatten().map(|spec| &spec["securityContext"]).chain([&pod.spec["securityContext"]]);
    let asks = |context: &Value| ASKING.iter().any(|field| context.get(field).is_some_and(|v| !v.is_null()));
    if !contexts.any(asks) {
        return None;
    }
    let groups = groups(&pod.spec["securityContext"], host).ok()?;
    let groups = groups.unwrap_or_else(|| host.groups.clone());
    Some(User { uid: host.uid, gid: host.gid, groups })
}

fn cannot(what: &str) -> ConfigError {
    ConfigError::NotOnHost(what.to_owned())
}

/// The capabilities that it is to be without: those that are dropped and not added.
fn without(own: &Value, host: &Host) -> Result<Vec<u8>, ConfigError> {
    let list = |name: &str| -> Result<BTreeSet<u8>, ConfigError> {
        let names = own["capabilities"][name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let known = names.map(|name| match name {
            "ALL" | "CAP_ALL" => Ok(capabilities().collect::<Vec<_>>()),
            name => match capability(name) {
                Some(number) => Ok(vec![number]),
                None => Err(cannot(&format!("the capability {name}: there is none of that name"))),
            },
        });
        let known: Result<Vec<Vec<u8>>, ConfigError> = known.collect();
        Ok(known?.concat().into_iter().collect())
    };
    // Nobody can be given what the user has not; that is refused before (`refuse.rs`).
    let added = if host.uid == 0 { list("add")? } else { BTreeSet::new() };
    Ok(list("drop")?.difference(&added).copied().collect())
}

/// The supplementary groups, if they are not simply the engine's. Root can be in any; another user cannot change them.
fn groups(whole: &Value, host: &Host) -> Result<Option<Vec<u32>>, ConfigError> {
    let listed = whole["supplementalGroups"].as_array().into_iter().flatten().chain([&whole["fsGroup"]]);
    let wanted: BTreeSet<u32> =
        listed.filter_map(Value::as_u64).filter_map(|group| u32::try_from(group).ok()).collect();
    let is_strict = whole["supplementalGroupsPolicy"] == "Strict";
    let has: BTreeSet<u32> = host.groups.iter().copied().collect();
    let groups: BTreeSet<u32> =
        if is_strict { wanted.clone() } else { wanted.union(&has).copied().collect() };
    if groups == has {
        return Ok(None);
    }
    if host.uid == 0 {
        return Ok(Some(groups.into_iter().collect()));
    }
    if let Some(group) = wanted.iter().find(|group| !has.contains(group) && **group != host.gid) {
        return Err(cannot(&format!("the group {group}: the user {} is not in it", host.uid)));
    }
    match is_strict && has.iter().any(|group| !wanted.contains(group) && *group != host.gid) {
        true => Err(cannot(&format!(
            "fewer groups than the user {} (supplementalGroupsPolicy: Strict)",
            host.uid
        ))),
        false => Ok(None),
    }
}

/// Whether the profile is this runtime's own.
fn filtered(profile: Option<&Value>) -> Result<bool, ConfigError> {
    match profile.and_then(|profile| profile["type"].as_str()) {
        None | Some("Unconfined") => Ok(false),
        Some("RuntimeDefault") if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) => Ok(true),
        Some(kind) => {
            let name = profile.and_then(|profile| profile["localhostProfile"].as_str()).unwrap_or(kind);
            Err(cannot(&format!("the seccomp profile {name}; say RuntimeDefault, or leave it out")))
        }
    }
}
