//! The table: one row per kind that this API serves.

use crate::kind::Kind;

/// All rows.
#[must_use]
pub fn all() -> &'static [Kind] {
    todo!()
}

/// The row of a resource, by group, version and plural name.
#[must_use]
pub fn by_resource(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    all().iter().find(|k| k.group == group && k.version == version && k.plural == plural)
}

/// The row of a kind, by apiVersion and kind.
#[must_use]
pub fn by_kind(api_version: &str, kind: &str) -> Option<&'static Kind> {
    all().iter().find(|k| k.kind == kind && k.api_version() == api_version)
}
