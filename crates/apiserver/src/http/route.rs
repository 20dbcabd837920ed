//! What a path means. Pure: a path and the table of kinds in, a route out.

use percent_encoding::percent_decode_str;

use crate::kind::Kind;
use crate::kinds;

/// What a path names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// `/`
    Root,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Resources(String, String),
    /// Objects of a kind, or one of them.
    Objects(Target),
    /// `/version`
    Version,
    /// `/healthz`, `/livez`, `/readyz`, with or without a check's name.
    Health(String),
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`
    OpenApiIndex,
    /// `/openapi/v3/PATH`
    OpenApiDocument(String),
    /// `/windlass/clock`
    Clock,
    /// Nothing that a served group has.
    UnknownResource,
    /// Nothing here.
    Unknown,
}

/// Objects of a kind, or one of them, or a part of one.
#[derive(Clone)]
pub(crate) struct Target {
    /// The kind.
    pub(crate) kind: &'static Kind,
    /// The namespace, where the path has one.
    pub(crate) namespace: Option<String>,
    /// The object, where the path names one.
    pub(crate) name: Option<String>,
    /// The part of the object, e.g. `status`.
    pub(crate) part: Option<String>,
}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        std::ptr::eq(self.kind, other.kind)
            && (&self.namespace, &self.name, &self.part) == (&other.namespace, &other.name, &other.part)
    }
}

impl Eq for Target {}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}/{:?}/{:?}", self.kind, self.namespace, self.name, self.part)
    }
}

/// Reads a path as it came, percent-encoded.
pub(crate) fn parse(path: &str) -> Route {
    // Decoded before it is split, as Go's server does: an encoded slash parts segments too.
    let Ok(decoded) = percent_decode_str(path).decode_utf8() else { return Route::Unknown };
    let inner = decoded.strip_prefix('/').unwrap_or(&decoded);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let segments: Vec<&str> = if inner.is_empty() { Vec::new() } else { inner.split('/').collect() };
    if segments.contains(&"") {
        return Route::Unknown;
    }
    match segments.as_slice() {
        [] => Route::Root,
        ["version"] => Route::Version,
        ["healthz" | "livez" | "readyz", ..] => Route::Health(segments.join("/")),
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", rest @ ..] => Route::OpenApiDocument(rest.join("/")),
        ["windlass", "clock"] => Route::Clock,
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["api", version] => Route::Resources(String::new(), (*version).to_owned()),
        ["apis", group, version] => Route::Resources((*group).to_owned(), (*version).to_owned()),
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => Route::Unknown,
    }
}

/// A group that is served answers for all below it.
fn unknown(group: &str) -> Route {
    let served = kinds::all().iter().any(|kind| kind.group == group);
    if served { Route::UnknownResource } else { Route::Unknown }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Route {
    let (namespace, rest) = match rest {
        // `/namespaces/NAME/status` is a part of the namespace, `/namespaces/NAME/pods` are objects in it.
        ["namespaces", namespace, inner, tail @ ..]
            if kinds::by_resource(group, version, inner).is_some_and(|k| k.namespaced) =>
        {
            let mut inner = vec![*inner];
            inner.extend(tail);
            (Some((*namespace).to_owned()), inner)
        }
        _ => (None, rest.to_vec()),
    };
    let (plural, name, part) = match rest.as_slice() {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(*name), None),
        [plural, name, part] => (plural, Some(*name), Some(*part)),
        _ => return unknown(group),
    };
    let Some(kind) = kinds::by_resource(group, version, plural) else { return unknown(group) };
    // An object that lives in a namespace is named only within it.
    if kind.namespaced && namespace.is_none() && name.is_some() {
        return unknown(group);
    }
    let own = |text: Option<&str>| text.map(ToOwned::to_owned);
    Route::Objects(Target { kind, namespace, name: own(name), part: own(part) })
}
