//! What a request is in Kubernetes' words: group, version, resource, part and verb. Pure.

/// A kind of request, e.g. `batch/v1 jobs/status patch`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Address {
    /// `v1` or `batch/v1`.
    pub(crate) group_version: String,
    /// `jobs` or `jobs/status`.
    pub(crate) resource: String,
    /// `get`, `list`, `deletecollection`, ...
    pub(crate) verb: String,
}

/// The address of a request; none if it is about no resource (discovery, health).
pub(crate) fn of(method: &str, path: &str) -> Option<Address> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let (group_version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ((*version).to_owned(), rest),
        ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
        _ => return None,
    };
    let rest = match rest {
        ["namespaces", _, inner @ ..] if !matches!(inner, [] | ["status" | "finalize"]) => inner,
        other => other,
    };
    let (resource, named) = match rest {
        [plural] => ((*plural).to_owned(), false),
        [plural, _] => ((*plural).to_owned(), true),
        [plural, _, part] => (format!("{plural}/{part}"), true),
        _ => return None,
    };
    let watch = query.split('&').any(|p| p == "watch=true" || p == "watch=1");
    let verb = match (method, named) {
        ("GET", _) if watch => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return None,
    };
    Some(Address { group_version, resource, verb: verb.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(method: &str, path: &str) -> String {
        of(method, path)
            .map_or_else(String::new, |a| format!("{} {} {}", a.group_version, a.resource, a.verb))
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(said("GET", "/apis/batch/v1/namespaces/n/jobs"), "batch/v1 jobs list");
        assert_eq!(said("GET", "/apis/batch/v1/jobs?watch=true"), "batch/v1 jobs watch");
        assert_eq!(said("PATCH", "/apis/batch/v1/namespaces/n/jobs/a/status"), "batch/v1 jobs/status patch");
        assert_eq!(said("DELETE", "/api/v1/namespaces/n/pods?labelSelector=a"), "v1 pods deletecollection");
        assert_eq!(said("DELETE", "/api/v1/namespaces/n"), "v1 namespaces delete");
        assert_eq!(said("PUT", "/api/v1/namespaces/n/finalize"), "v1 namespaces/finalize update");
        assert_eq!(said("POST", "/api/v1/namespaces/n/pods/p/eviction"), "v1 pods/eviction create");
        assert_eq!(said("GET", "/version"), "");
    }
}
