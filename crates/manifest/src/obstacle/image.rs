//! Images that cannot be had: a wrong name, no credentials, no registry.

use k8s_openapi::api::core::v1::{Event, Pod};

use super::{Obstacle, of_pod_events, time};
use crate::facts;
use crate::words::{between, quoted, says};

/// Whether a kubelet's reason is about an image.
pub(super) fn is_about(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "InvalidImageName"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
    )
}

/// What is wrong with it. `message` is the waiting state's.
pub(super) fn of(reason: &str, message: &str, image: &str, pod: &Pod, events: &[Event]) -> Obstacle {
    match reason {
        "InvalidImageName" => {
            let next = "write it as NAME:TAG or REGISTRY/NAME:TAG, in lower case, and submit again";
            return Obstacle::blocked(format_args!("the image name {image:?}, which is not valid"), next);
        }
        "ErrImageNeverPull" => {
            let what =
                format_args!("image {image:?}, which its node does not have and may not pull (policy Never)");
            return Obstacle::blocked(
                what,
                "let it be pulled: --pull missing, or imagePullPolicy: IfNotPresent",
            );
        }
        "SignatureValidationFailed" => {
            let next = "use a signed image, or ask who set the cluster's image policy";
            return Obstacle::blocked(
                format_args!("image {image:?}, whose signature is not accepted: {message}"),
                next,
            );
        }
        _ => {}
    }
    // Clusters before 1.32 say no more than that they wait: the event of the failure says why.
    let told = last_failure(pod, events);
    let message = if is_bare(message) { told.unwrap_or(message) } else { message };
    cause(message, image)
}

fn cause(message: &str, image: &str) -> Obstacle {
    let registry = registry(image);
    if says(
        message,
        &["401", "403", "unauthorized", "access denied", "denied:", "authorization failed", "no basic auth"],
    ) {
        let what = format_args!(
            "image {image:?}, which {registry} does not give: it wants credentials, or has no such image"
        );
        let next = "check the name, and give credentials with --pull-secret NAME (kubectl create secret docker-registry NAME)";
        return Obstacle::blocked(what, next);
    }
    if says(message, &["no match for platform", "no matching manifest"]) {
        let next = "use an image that was built for it, or choose other nodes with --node-selector kubernetes.io/arch=ARCH";
        return Obstacle::blocked(
            format_args!("image {image:?}, which was not built for its node's kind of machine"),
            next,
        );
    }
    if says(message, &["no such host", "x509", "certificate", "http response to https client"]) {
        let why =
            if says(message, &["no such host"]) { "has no address" } else { "is not trusted by the node" };
        let next = "check the registry's name in the image; else ask who runs the cluster";
        return Obstacle::blocked(
            format_args!("registry {registry:?} of image {image:?}, which {why}"),
            next,
        );
    }
    if says(
        message,
        &[
            "timeout",
            "timed out",
            "connection refused",
            "connection reset",
            "deadline exceeded",
            "no route",
            "unreachable",
            "toomanyrequests",
            "too many requests",
            "500 ",
            "502 ",
            "503 ",
            "504 ",
            "unavailable",
            "eof",
        ],
    ) {
        let why = if says(message, &["many requests", "manyrequests"]) {
            "takes no more requests now"
        } else {
            "does not answer"
        };
        return Obstacle::waiting(format_args!("registry {registry:?}, which {why}, for image {image:?}"));
    }
    if says(message, &["not found", "manifest unknown", "name unknown", "does not exist"]) {
        let next = "correct the name or the tag and submit again";
        return Obstacle::blocked(format_args!("image {image:?}, which {registry} does not have"), next);
    }
    let details = if is_bare(message) { String::new() } else { format!(": {message}") };
    Obstacle::blocked(
        format_args!("image {image:?}, which cannot be pulled{details}"),
        "check the image's name and the registry's credentials",
    )
}

/// Words that say no more than that it failed, or that it is tried again.
fn is_bare(message: &str) -> bool {
    message.is_empty() || message.starts_with("Back-off pulling image") && !message.contains(": ")
}

/// What the newest failed pull said.
fn last_failure<'a>(pod: &Pod, events: &'a [Event]) -> Option<&'a str> {
    let failures = of_pod_events(pod, events)
        .filter(|event| facts::said(event).is_some_and(|text| text.starts_with("Failed to pull image")));
    facts::said(failures.max_by_key(|event| time(event))?)
}

/// Where an image comes from: the first part of its name, if that looks like a host.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// The image that a message is about, where the status has not got it.
pub(super) fn named(message: &str) -> Option<&str> {
    quoted(message, "image ").or_else(|| between(message, "image \"", "\""))
}
