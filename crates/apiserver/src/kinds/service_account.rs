//! v1 service accounts.

use serde_json::{Value, json};

use crate::kind::{Kind, Subresource};
use crate::kinds::common::PLAIN;
use crate::kinds::json::items_mut;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Subresource::Token],
    schema: "io.k8s.api.core.v1.ServiceAccount",
    prepare_create: name_secrets,
    prepare_update: |new, _| name_secrets(new),
    ..PLAIN
};

/// Of the secrets only the names are kept (upstream's cleanSecretReferences).
fn name_secrets(account: &mut Value) {
    for secret in items_mut(account, "secrets") {
        let name = secret["name"].clone();
        *secret = if name.is_null() { json!({}) } else { json!({"name": name}) };
    }
}
