//! The table: one row per kind that this API serves.
//!
//! Every function behind a row is pure. What a kind does not do itself is taken from `common::PLAIN`.

pub(crate) mod cron_job;
pub(crate) mod job;
pub(crate) mod pod;
pub mod priority_class;

mod config_map;
mod empty;
mod event;
mod event_v1;
mod lease;
mod limit_range;
mod namespace;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod resource_quota;
mod review;
mod runtime_class;
mod secret;
pub mod service;
mod service_account;
pub(crate) mod storage_class;

mod common;
mod data;
mod json;
mod rules;
mod selector;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod volume;

use crate::kind::Kind;

static ALL: [Kind; 31] = [
    namespace::KIND,
    pod::KIND,
    event::KIND,
    secret::KIND,
    config_map::KIND,
    service_account::KIND,
    node::KIND,
    persistent_volume::KIND,
    persistent_volume_claim::KIND,
    limit_range::KIND,
    resource_quota::KIND,
    service::KIND,
    job::KIND,
    cron_job::KIND,
    empty::REPLICA_SETS,
    empty::DISRUPTION_BUDGETS,
    empty::ROLES,
    empty::ROLE_BINDINGS,
    empty::CLUSTER_ROLES,
    empty::CLUSTER_ROLE_BINDINGS,
    storage_class::KIND,
    priority_class::KIND,
    runtime_class::KIND,
    lease::KIND,
    event_v1::KIND,
    review::SELF_SUBJECT,
    review::TOKEN,
    review::SELF_ACCESS,
    review::SELF_RULES,
    review::ACCESS,
    review::LOCAL_ACCESS,
];

/// What a service account's `/token` takes and gives; no row, because it is no resource of its own.
pub(crate) static TOKEN_REQUEST: Kind = review::TOKEN_REQUEST;

/// What a pod's `/eviction` takes; no row either.
pub(crate) static EVICTION: Kind = review::EVICTION;

/// What a pod's `/binding` takes; no row either.
pub(crate) static BINDING: Kind = review::BINDING;

/// All rows.
#[must_use]
pub fn all() -> &'static [Kind] {
    &ALL
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

/// What the fuzz targets ask of kinds.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::job::indexes::overlap as overlap_of_indexes;

    /// How many indexes a well-formed list names.
    pub(crate) fn count_of_indexes(list: &str, completions: i64) -> Option<i64> {
        super::job::indexes::count(list, completions).ok()
    }
}
