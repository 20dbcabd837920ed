//! coordination.k8s.io/v1 leases: who leads, and until when. Whoever holds one renews it; nothing here ends it.
//!
//! Source of the rules: upstream pkg/apis/coordination/validation/validation.go, pkg/registry/coordination/lease.

use jiff::Timestamp;
use serde_json::Value;

use super::common::{AGE, NAME, PLAIN, column};
use super::json::{given, int, object, remove, text};
use super::rules::not_negative;
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::Kind;

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    schema: "io.k8s.api.coordination.v1.Lease",
    names_again: false,
    bare_finalizers: true,
    default: fill_defaults,
    prepare_create: drop_coordinated,
    prepare_update: |new, _| drop_coordinated(new),
    validate,
    validate_update: |new, _, _| validate(new),
    columns: &[NAME, column("Holder", "Who holds it."), AGE],
    cells,
    ..PLAIN
};

fn fill_defaults(lease: &mut Value) {
    (PLAIN.default)(lease);
    object(lease, "spec");
}

/// Fields of coordinated leader election, which is off in this release: upstream drops them unsaid.
fn drop_coordinated(lease: &mut Value) {
    if let Some(spec) = given(lease, "spec") {
        remove(spec, "strategy");
        remove(spec, "preferredHolder");
    }
}

fn validate(lease: &Value) -> Errors {
    let mut errors = Errors::new();
    let spec = &lease["spec"];
    if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|s| *s <= 0) {
        errors.push(FieldError::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
    }
    not_negative(&mut errors, spec, "spec", &["leaseTransitions"]);
    errors
}

fn cells(lease: &Value, now: Timestamp) -> Vec<Value> {
    vec![table::name(lease), text(&lease["spec"], "holderIdentity").into(), table::age(lease, now)]
}
