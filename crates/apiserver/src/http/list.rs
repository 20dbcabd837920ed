//! Lists: pages at one revision, put together from stored bytes where nobody needs the objects themselves.

use axum::body::Body;
use futures::stream;
use http::StatusCode;
use serde_json::{Value, json};
use windlass_store::Entry;

use super::dispatch::Call;
use super::pages::Pages;
use super::request::Shape;
use super::respond::{self, Answer};
use super::table;
use crate::kind::Kind;
use crate::registry::{head, object_of, show_pressure, without_type};

/// Objects of an unlimited list that are held at once.
const PAGE: usize = 500;

/// `GET` of a collection.
pub(super) fn list(call: &Call) -> Answer {
    let shape = call.shape()?;
    let settings = call.table()?;
    let mut pages = Pages::read(call)?;
    let pressure = call.app.registry.disk.pressure(call.kind);
    if shape == Shape::Object && pages.unlimited() && pressure.is_none() && call.kind.stored.is_none() {
        return whole(call.kind, pages);
    }
    let mut page = pages.next()?;
    if let Some(pressure) = &pressure {
        page.entries.iter_mut().for_each(|entry| show_pressure(pressure, entry));
    }
    let metadata = page.metadata(call)?;
    let shown = |entry: &Entry| object_of(entry).map(|object| call.kind.show(object));
    match shape {
        Shape::Object if call.kind.stored.is_some() => {
            let items = page.entries.iter().map(|entry| shown(entry).map(without_type_of));
            let list = json!({
                "kind": format!("{}List", call.kind.kind),
                "apiVersion": call.kind.api_version(),
                "metadata": metadata,
                "items": items.collect::<Result<Vec<_>, _>>()?,
            });
            Ok(respond::json(StatusCode::OK, &list))
        }
        Shape::Object => Ok(respond::bytes(
            StatusCode::OK,
            "application/json",
            as_stored(call.kind, &metadata, &page.entries),
        )),
        Shape::Table(version) => {
            let objects = page.entries.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
            let table = table::table(call.kind, version, &metadata, objects, &settings);
            Ok(respond::json(StatusCode::OK, &table))
        }
        Shape::Metadata(version) => {
            let item = |entry| shown(entry).map(|object| table::partial(&object, version));
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

/// An object as a list has it.
fn without_type_of(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    object
}

fn as_stored(kind: &'static Kind, metadata: &Value, entries: &[Entry]) -> Vec<u8> {
    let mut items = Items::new(kind);
    items.open(metadata);
    items.add(entries);
    items.close();
    items.out
}

/// A list without a limit: sent in parts, so that no more than a page of it is ever held.
fn whole(kind: &'static Kind, mut pages: Pages) -> Answer {
    pages.limit(PAGE);
    let first = pages.next()?;
    let metadata = json!({"resourceVersion": first.revision.0.to_string()});
    if first.last.is_none() {
        let body = as_stored(kind, &metadata, &first.entries);
        return Ok(respond::bytes(StatusCode::OK, "application/json", body));
    }
    let mut items = Items::new(kind);
    items.open(&metadata);
    items.add(&first.entries);
    let body = Body::from_stream(stream::unfold(Some((items, pages)), part));
    Ok(respond::bytes(StatusCode::OK, "application/json", body))
}

/// What has been written of a list, and then its next page. A page that cannot be read breaks the answer off.
async fn part(state: Option<(Items, Pages)>) -> Option<(std::io::Result<Vec<u8>>, Option<(Items, Pages)>)> {
    let (mut items, mut pages) = state?;
    match pages.next() {
        Ok(found) => {
            items.add(&found.entries);
            if found.last.is_none() {
                items.close();
                return Some((Ok(items.out), None));
            }
            Some((Ok(std::mem::take(&mut items.out)), Some((items, pages))))
        }
        Err(error) => {
            tracing::warn!(%error, "a list broke off");
            Some((Err(std::io::Error::other(error)), None))
        }
    }
}

/// Writes a list from stored bytes.
struct Items {
    kind: &'static Kind,
    /// How each stored object begins: its type, which items leave out.
    head: String,
    out: Vec<u8>,
    empty: bool,
}

impl Items {
    fn new(kind: &'static Kind) -> Items {
        Items { kind, head: head(kind), out: Vec::new(), empty: true }
    }

    fn open(&mut self, metadata: &Value) {
        let (kind, version) = (self.kind.kind, self.kind.api_version());
        let text = format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":["
        );
        self.out.extend_from_slice(text.as_bytes());
    }

    fn add(&mut self, entries: &[Entry]) {
        self.out.reserve(entries.iter().map(|e| e.value.bytes().len() + 1).sum::<usize>() + 2);
        for entry in entries {
            if !self.empty {
                self.out.push(b',');
            }
            self.empty = false;
            let (open, rest) = without_type(entry.value.bytes(), &self.head);
            self.out.extend_from_slice(open);
            self.out.extend_from_slice(rest);
        }
    }

    fn close(&mut self) {
        self.out.extend_from_slice(b"]}");
    }
}
