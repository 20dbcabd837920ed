//! Discovery: which groups, versions and resources there are, in the plain and the aggregated form.
//!
//! Everything is derived from the table of kinds.

use std::net::SocketAddr;

use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::request::media;
use super::respond;
use crate::error::ApiError;
use crate::kind::{Kind, Served, Subresource};
use crate::kinds;

const ALL_VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Upstream deletes namespaces one by one (`pkg/registry/core/namespace/storage`: no `CollectionDeleter`).
const NAMESPACE_VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];
const REVIEW_VERBS: [&str; 1] = ["create"];
const READ_VERBS: [&str; 3] = ["get", "list", "watch"];

/// `/`
pub(super) fn root() -> Response {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, versions) in named_groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    let rest = ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
    paths.extend(rest.map(ToOwned::to_owned));
    respond::json(StatusCode::OK, &json!({"paths": paths}))
}

/// `/api`
pub(super) fn core_versions(headers: &HeaderMap, address: SocketAddr) -> Response {
    if let Some(version) = aggregated_version(headers) {
        return aggregated(version, &[(String::new(), versions_of(""))]);
    }
    let list = json!({
        "kind": "APIVersions",
        "versions": versions_of(""),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address.to_string()}],
    });
    respond::json(StatusCode::OK, &list)
}

/// `/apis`
pub(super) fn groups(headers: &HeaderMap) -> Response {
    let groups = named_groups();
    if let Some(version) = aggregated_version(headers) {
        return aggregated(version, &groups);
    }
    let groups: Vec<Value> = groups.iter().map(|(name, versions)| group_object(name, versions)).collect();
    let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
    respond::json(StatusCode::OK, &list)
}

/// `/apis/GROUP`
pub(super) fn group(name: &str) -> Response {
    let Some((name, versions)) = named_groups().into_iter().find(|(n, _)| n == name) else {
        return respond::unknown_path();
    };
    let mut object = group_object(&name, &versions);
    object["kind"] = "APIGroup".into();
    object["apiVersion"] = "v1".into();
    respond::json(StatusCode::OK, &object)
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(super) fn resources(group: &str, version: &str) -> Response {
    let mut resources = Vec::new();
    for kind in kinds::all().iter().filter(|k| k.group == group && k.version == version) {
        resources.push(plain_resource(kind));
        resources.extend(kind.subresources.iter().map(|part| plain_part(kind, *part)));
    }
    if resources.is_empty() {
        let served = kinds::all().iter().any(|kind| kind.group == group);
        let unknown = || respond::error(&ApiError::no_such_resource());
        return if served { unknown() } else { respond::unknown_path() };
    }
    resources.sort_by_cached_key(|resource| resource["name"].to_string());
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": group_version(group, version),
        "resources": resources,
    });
    // The core group's list has none upstream.
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    respond::json(StatusCode::OK, &list)
}

/// A kind's resource and parts with their verbs.
#[cfg(test)]
pub(crate) fn served_verbs(kind: &Kind) -> Vec<(String, &'static [&'static str])> {
    let part = |part: &Subresource| (format!("{}/{}", kind.plural, part_name(*part)), part_verbs(*part));
    let own = (kind.plural.to_owned(), verbs(kind));
    std::iter::once(own).chain(kind.subresources.iter().map(part)).collect()
}

/// A subresource as paths name it.
pub(super) fn part_name(part: Subresource) -> &'static str {
    match part {
        Subresource::Status => "status",
        Subresource::Log => "log",
        Subresource::Finalize => "finalize",
        Subresource::Eviction => "eviction",
        Subresource::Binding => "binding",
        Subresource::Attach => "attach",
        Subresource::Exec => "exec",
        Subresource::Token => "token",
    }
}

fn part_verbs(part: Subresource) -> &'static [&'static str] {
    match part {
        Subresource::Status => &["get", "patch", "update"],
        Subresource::Log => &["get"],
        Subresource::Finalize => &["update"],
        Subresource::Eviction | Subresource::Binding | Subresource::Token => &["create"],
        Subresource::Attach | Subresource::Exec => &["create", "get"],
    }
}

/// Group, version and kind that a subresource speaks.
fn part_type(kind: &Kind, part: Subresource) -> (&'static str, &'static str, &'static str) {
    match part {
        Subresource::Eviction => ("policy", "v1", "Eviction"),
        Subresource::Binding => ("", "v1", "Binding"),
        Subresource::Attach => ("", "v1", "PodAttachOptions"),
        Subresource::Exec => ("", "v1", "PodExecOptions"),
        Subresource::Token => ("authentication.k8s.io", "v1", "TokenRequest"),
        Subresource::Status | Subresource::Log | Subresource::Finalize => {
            (kind.group, kind.version, kind.kind)
        }
    }
}

/// Whether a kind's objects go as a collection.
pub(super) fn goes_as_collection(kind: &Kind) -> bool {
    verbs(kind).contains(&"deletecollection")
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    match kind.served {
        Served::Full if kind.kind == "Namespace" => &NAMESPACE_VERBS,
        Served::Full => &ALL_VERBS,
        Served::Empty(_) => &READ_VERBS,
        Served::Review => &REVIEW_VERBS,
    }
}

/// The order in which upstream lists groups (its priorities in kube-aggregator); unknown ones come last.
const GROUPS: [&str; 11] = [
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "batch",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
];

/// Groups other than the core one with their versions, in upstream's order.
fn named_groups() -> Vec<(String, Vec<&'static str>)> {
    let mut groups: Vec<(String, Vec<&'static str>)> = Vec::new();
    for kind in kinds::all().iter().filter(|k| !k.group.is_empty()) {
        if !groups.iter().any(|(name, _)| name == kind.group) {
            groups.push((kind.group.to_owned(), versions_of(kind.group)));
        }
    }
    groups.sort_by_key(|(name, _)| GROUPS.iter().position(|group| group == name).unwrap_or(GROUPS.len()));
    groups
}

fn versions_of(group: &str) -> Vec<&'static str> {
    let mut versions = Vec::new();
    for kind in kinds::all().iter().filter(|k| k.group == group) {
        if !versions.contains(&kind.version) {
            versions.push(kind.version);
        }
    }
    versions
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn group_object(name: &str, versions: &[&str]) -> Value {
    let version = |v: &&str| json!({"groupVersion": group_version(name, v), "version": v});
    let all: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": name, "preferredVersion": all.first(), "versions": all})
}

fn plain_resource(kind: &Kind) -> Value {
    let mut resource = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    resource
}

fn plain_part(kind: &Kind, part: Subresource) -> Value {
    let (group, version, type_name) = part_type(kind, part);
    let mut resource = json!({
        "name": format!("{}/{}", kind.plural, part_name(part)),
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": type_name,
        "verbs": part_verbs(part),
    });
    if (group, version) != (kind.group, kind.version) {
        resource["group"] = group.into();
        resource["version"] = version.into();
    }
    resource
}

/// The version of `apidiscovery.k8s.io` that the client prefers over the plain form, if any.
fn aggregated_version(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get(ACCEPT)?.to_str().ok()?;
    for clause in accept.split(',') {
        let (media, parameters) = media(clause);
        let has = |name: &str, value: &str| parameters.iter().any(|(n, v)| *n == name && *v == value);
        if media != "application/json" {
            continue;
        }
        if !has("as", "APIGroupDiscoveryList") {
            return None;
        }
        if has("g", "apidiscovery.k8s.io") && has("v", "v2") {
            return Some("v2");
        }
        if has("g", "apidiscovery.k8s.io") && has("v", "v2beta1") {
            return Some("v2beta1");
        }
    }
    None
}

fn aggregated(version: &'static str, groups: &[(String, Vec<&'static str>)]) -> Response {
    let items: Vec<Value> = groups.iter().map(|(name, versions)| aggregated_group(name, versions)).collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    });
    // Clients compare the whole header value, so it is written as they expect it.
    let content_type = if version == "v2" {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    };
    respond::bytes(StatusCode::OK, content_type, list.to_string())
}

fn aggregated_group(name: &str, versions: &[&str]) -> Value {
    let version = |version: &&str| {
        let kinds = kinds::all().iter().filter(|k| k.group == name && k.version == *version);
        let mut resources: Vec<Value> = kinds.map(aggregated_resource).collect();
        resources.sort_by_cached_key(|resource| resource["resource"].to_string());
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    let versions: Vec<Value> = versions.iter().map(version).collect();
    let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(kind: &Kind) -> Value {
    // A type of the resource's own group and version is named by its kind alone.
    let type_of = |(group, version, name): (&str, &str, &str)| match (group, version) {
        own if own == (kind.group, kind.version) => json!({"group": "", "version": "", "kind": name}),
        _ => json!({"group": group, "version": version, "kind": name}),
    };
    let part = |part: &Subresource| {
        json!({
            "subresource": part_name(*part),
            "responseKind": type_of(part_type(kind, *part)),
            "verbs": part_verbs(*part),
        })
    };
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": type_of((kind.group, kind.version, kind.kind)),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    if !kind.subresources.is_empty() {
        let mut parts: Vec<Value> = kind.subresources.iter().map(part).collect();
        parts.sort_by_cached_key(|part| part["subresource"].to_string());
        resource["subresources"] = parts.into();
    }
    resource
}
