//! v1 secrets.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::{Column, Kind};
use crate::kinds::common::{AGE, NAME, PLAIN, column};
use crate::kinds::json::{entries, fill_text, object, remove, set, text};
use crate::kinds::table;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    schema: "io.k8s.api.core.v1.Secret",
    default: fill_defaults,
    fields,
    field_names: &["type"],
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "What the data is for."),
    Column { kind: "string", ..column("Data", "How many keys it holds.") },
    AGE,
];

fn fill_defaults(secret: &mut Value) {
    object(secret, "metadata");
    fill_text(secret, "type", "Opaque");
    fold_string_data(secret);
}

/// `stringData` is for writing only: it goes into `data`, over what is there.
fn fold_string_data(secret: &mut Value) {
    let Some(Value::Object(texts)) = remove(secret, "stringData") else { return };
    if let Some(data) = object(secret, "data").filter(|_| !texts.is_empty()) {
        for (key, value) in texts {
            set(data, &key, BASE64_STANDARD.encode(value.as_str().unwrap_or("")));
        }
    }
}

fn fields(secret: &Value) -> Vec<(&'static str, String)> {
    vec![("type", text(secret, "type").to_owned())]
}

fn cells(secret: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        table::name(secret),
        text(secret, "type").into(),
        entries(secret, "data").count().into(),
        table::age(secret, now),
    ]
}
