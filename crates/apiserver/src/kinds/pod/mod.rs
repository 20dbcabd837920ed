//! v1 pods, and the pod templates of other kinds.

mod container;
pub(crate) mod default;
pub(super) mod disabled;
pub(crate) mod fate;
mod gated;
mod image;
mod label_keys;
mod prepare;
pub(crate) mod qos;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod update;
pub(crate) mod validate;
mod volume;
pub(crate) mod warnings;

use crate::kind::{Kind, Subresource};
use crate::kinds::common::PLAIN;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        Subresource::Status,
        Subresource::Log,
        Subresource::Attach,
        Subresource::Exec,
        Subresource::Eviction,
        Subresource::Binding,
    ],
    schema: "io.k8s.api.core.v1.Pod",
    default: default::fill_pod,
    prepare_create: prepare::prepare_create,
    prepare_update: prepare::prepare_update,
    prepare_status: prepare::prepare_status,
    validate: validate::pod,
    validate_update: update::validate_update,
    warnings: warnings::of_pod,
    fields: prepare::fields,
    field_names: prepare::FIELD_NAMES,
    rest: prepare::rest,
    columns: table::COLUMNS,
    cells: table::cells,
    ..PLAIN
};

/// A new pod's containers were given resources after it was prepared.
pub(crate) fn limited(pod: &mut serde_json::Value) {
    let class = qos::class(&pod["spec"]);
    pod["status"]["qosClass"] = class.into();
}
