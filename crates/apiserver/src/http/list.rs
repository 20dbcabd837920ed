//! Lists: pages at one revision, put together from stored bytes where nobody needs the objects themselves.

use http::StatusCode;
use serde_json::{Value, json};
use windlass_store::Entry;

use super::dispatch::Call;
use super::pages::Pages;
use super::request::Shape;
use super::respond::{self, Answer};
use super::table;
use crate::kind::Kind;
use crate::registry::{head, object_of, without_type};

/// `GET` of a collection.
pub(super) fn list(call: &Call) -> Answer {
    let shape = call.shape()?;
    let settings = call.table()?;
    let page = Pages::read(call)?.next()?;
    let metadata = page.metadata(call)?;
    match shape {
        Shape::Object => Ok(respond::bytes(
            StatusCode::OK,
            "application/json",
            as_stored(call.kind, &metadata, &page.entries),
        )),
        Shape::Table(version) => {
            let objects = page.entries.iter().map(object_of).collect::<Result<Vec<_>, _>>()?;
            let table = table::table(call.kind, version, &metadata, objects, &settings);
            Ok(respond::json(StatusCode::OK, &table))
        }
        Shape::Metadata(version) => {
            let item = |entry| object_of(entry).map(|object| table::partial(&object, version));
            let items = page.entries.iter().map(item).collect::<Result<Vec<_>, _>>()?;
            let list = json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": metadata,
                "items": items,
            });
            Ok(respond::json(StatusCode::OK, &list))
        }
    }
}

fn as_stored(kind: &Kind, metadata: &Value, entries: &[Entry]) -> Vec<u8> {
    let head = head(kind);
    let size: usize = entries.iter().map(|e| e.value.bytes().len() + 1).sum();
    let mut out = Vec::with_capacity(size + 256);
    out.extend_from_slice(
        format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            kind.kind,
            kind.api_version()
        )
        .as_bytes(),
    );
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let (open, rest) = without_type(entry.value.bytes(), &head);
        out.extend_from_slice(open);
        out.extend_from_slice(rest);
    }
    out.extend_from_slice(b"]}");
    out
}
