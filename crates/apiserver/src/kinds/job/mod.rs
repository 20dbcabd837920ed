//! batch/v1 Jobs.

pub(super) mod default;
pub(super) mod indexes;
mod policy;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod update;
pub(super) mod validate;

use crate::kind::{Kind, Propagation, Subresource};
use crate::kinds::common::PLAIN;

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    categories: &["all"],
    subresources: &[Subresource::Status],
    schema: "io.k8s.api.batch.v1.Job",
    default_propagation: Propagation::Orphan,
    default: default::fill_defaults,
    prepare_create: default::prepare_create,
    prepare_update: default::prepare_update,
    prepare_status: default::prepare_status,
    validate: validate::validate,
    validate_update: update::validate_update,
    warnings: validate::warnings,
    fields: default::fields,
    field_names: &["status.successful"],
    rest: default::rest,
    columns: table::COLUMNS,
    cells: table::cells,
    ..PLAIN
};
