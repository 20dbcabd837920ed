//! v1 service accounts.

use crate::kind::{Kind, Subresource};
use crate::kinds::common::PLAIN;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Subresource::Token],
    schema: "io.k8s.api.core.v1.ServiceAccount",
    ..PLAIN
};
