//! What a process of the host can stand in for, and what of a pod it cannot provide.
//!
//! It decides from the spec alone. How a process is made is the runner's.

use serde_json::Value;

use super::{Event, HOST_CLASS, Images};

/// What to do with a pod that needs a container.
const WAY_OUT: &str = "this node runs host processes: set runtimeClassName: windlass-host, \
                       or start the engine with `windlass up --images=host`";

/// Why the node cannot run the pod; all reasons.
pub(super) fn refusals(spec: &Value, images: Images) -> Vec<String> {
    match (class(spec), images) {
        (HOST_CLASS, _) => {
            let mut refusals = without_command(spec);
            refusals.extend(unprovided(spec, "a host process"));
            refusals
        }
        ("", Images::Wait) => vec![format!("this pod needs a container, and {WAY_OUT}")],
        ("", Images::Host) => {
            let mut refusals = without_words(spec);
            refusals.extend(unprovided(spec, "an image's command on the host"));
            refusals.extend(identity(spec));
            refusals
        }
        (class, _) => vec![format!("there is no runtime class {class}, and {WAY_OUT}")],
    }
}

/// An image's command that runs without its image is worth a word, and so is an entrypoint that nobody knows.
pub(super) fn warning(spec: &Value) -> Option<Event> {
    let images: Vec<&str> = containers(spec).filter_map(|container| container["image"].as_str()).collect();
    let bare = containers(spec).filter(|container| !filled(container, "command"));
    let bare: Vec<&str> = bare.filter_map(|container| container["name"].as_str()).collect();
    let taken = match bare.as_slice() {
        [] => String::new(),
        names => format!(
            "; without an image there is no entrypoint: the args of container {} are the command",
            names.join(", ")
        ),
    };
    (class(spec) != HOST_CLASS).then(|| Event {
        warning: true,
        reason: "ImageRunOnHost",
        message: format!(
            "The engine was started with --images=host: the commands run as processes of this host, without isolation \
             and without the files of {}{taken}",
            images.join(", ")
        ),
    })
}

fn class(spec: &Value) -> &str {
    spec["runtimeClassName"].as_str().unwrap_or_default()
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten())
}

/// Containers of host processes without a command.
fn without_command(spec: &Value) -> Vec<String> {
    let bare = containers(spec).filter(|container| !filled(container, "command"));
    bare.map(|container| {
        let name = container["name"].as_str().unwrap_or_default();
        format!("container {name} has no command, and a host process has no image to take one from")
    })
    .collect()
}

/// Containers of images with neither command nor args. Args alone are run as they are: most images of jobs have no
/// entrypoint, or one that runs its arguments.
fn without_words(spec: &Value) -> Vec<String> {
    let bare =
        containers(spec).filter(|container| !filled(container, "command") && !filled(container, "args"));
    bare.map(|container| {
        let name = container["name"].as_str().unwrap_or_default();
        format!(
            "container {name} has no command and no args, and with --images=host the image is not there to take one from"
        )
    })
    .collect()
}

/// What no process of the host has, whatever its class: devices, claims of them, and names of its own.
fn unprovided(spec: &Value, what: &str) -> Vec<String> {
    let mut refusals = Vec::new();
    for container in containers(spec) {
        let name = container["name"].as_str().unwrap_or_default();
        for device in container["volumeDevices"].as_array().into_iter().flatten() {
            let path = device["devicePath"].as_str().unwrap_or_default();
            refusals.push(format!("container {name} has a device at {path}, and {what} has the host's only"));
        }
    }
    refusals.extend(names(spec, what));
    if filled(spec, "resourceClaims") {
        refusals.push(format!(
            "spec.resourceClaims is set, and {what} is given devices by resources.limits only"
        ));
    }
    refusals
}

/// Names that a process of the host does not find, or does not have. Options of the resolver alone change no name.
fn names(spec: &Value, what: &str) -> Vec<String> {
    let dns = &spec["dnsConfig"];
    let qualified =
        spec["setHostnameAsFQDN"] == true && spec["subdomain"].as_str().is_some_and(|s| !s.is_empty());
    [
        (filled(spec, "hostAliases"), "spec.hostAliases is set"),
        (spec["dnsPolicy"] == "None", "spec.dnsPolicy is None"),
        (filled(dns, "nameservers"), "spec.dnsConfig.nameservers is set"),
        (filled(dns, "searches"), "spec.dnsConfig.searches is set"),
        (qualified, "spec.setHostnameAsFQDN is set"),
    ]
    .into_iter()
    .filter(|(is_asked, _)| *is_asked)
    .map(|(_, said)| format!("{said}, and {what} has the host's names only"))
    .collect()
}

fn filled(parent: &Value, list: &str) -> bool {
    parent[list].as_array().is_some_and(|list| !list.is_empty())
}

/// Other groups or more rights than the engine's own. The user is left to the runner, which knows which one it is, and
/// so is what else it refuses in its own words. Restrictions (dropped capabilities) are not refused: the warning says
/// that there is no isolation.
fn identity(spec: &Value) -> Vec<String> {
    let mut refusals = Vec::new();
    let mut check = |place: &str, context: &Value| {
        for field in ["runAsGroup", "fsGroup", "supplementalGroups"] {
            if !context[field].is_null() {
                refusals.push(format!("{place}.{field} is set, and processes run as the engine's user"));
            }
        }
        if context["privileged"] == true {
            refusals.push(format!(
                "{place}.privileged is set, and processes have the rights of the engine's user"
            ));
        }
        if filled(&context["capabilities"], "add") {
            refusals.push(format!(
                "{place}.capabilities.add is set, and processes have the rights of the engine's user"
            ));
        }
    };
    check("spec.securityContext", &spec["securityContext"]);
    for container in containers(spec) {
        let name = container["name"].as_str().unwrap_or_default();
        check(&format!("securityContext of container {name}"), &container["securityContext"]);
    }
    refusals
}
