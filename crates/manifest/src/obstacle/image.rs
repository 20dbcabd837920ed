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

fn cause(full: &str, image: &str) -> Obstacle {
    let registry = registry(image);
    let message = &without_names(full, image);
    if has_word(message, &["401", "403"])
        || says(
            message,
            &["unauthorized", "access denied", "denied:", "authorization failed", "no basic auth"],
        )
    {
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
            "unavailable",
            "eof",
        ],
    ) || has_word(message, &["500", "502", "503", "504"])
    {
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
    let details = if is_bare(full) { String::new() } else { format!(": {full}") };
    Obstacle::blocked(
        format_args!("image {image:?}, which cannot be pulled{details}"),
        "check the image's name and the registry's credentials",
    )
}

/// A message without addresses and the image's name: a port or a digest may look like a registry's answer.
fn without_names(message: &str, image: &str) -> String {
    let is_name = |word: &str| {
        let word = word.trim_matches(['"', '\'', '\\', ':', ',', '(', ')']);
        word.contains("://")
            || word == image
            || word.strip_suffix(image).is_some_and(|rest| rest.ends_with('/'))
    };
    let words: Vec<&str> = message.split_whitespace().filter(|word| !is_name(word)).collect();
    words.join(" ")
}

/// Whether one of these is a word of its own.
fn has_word(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_digests_and_names_are_no_answers_of_a_registry() {
        let image = "127.0.0.1:44403/lab/timeout-503@sha256:4016f";
        let message = format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found: \
             Head \"http://127.0.0.1:44403/v2/lab/timeout-503/manifests/sha256:4016f\""
        );
        let expected = format!("blocked by image {image:?}, which 127.0.0.1:44403 does not have");
        assert_eq!(cause(&message, image).text, expected);
        let told = "unexpected status from HEAD request to http://127.0.0.1:44401/v2/lab/fit/manifests/1: ";
        assert!(cause(&format!("{told}403 Forbidden"), "fit:1").text.contains("credentials"));
        assert!(cause(&format!("{told}503 Service Unavailable"), "fit:1").text.contains("does not answer"));
    }
}
