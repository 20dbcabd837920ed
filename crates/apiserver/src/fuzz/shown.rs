//! What is shown of any object that may be stored: a row of its Table, its other name's form, the specs that are taken
//! again, and the clock.

use jiff::Timestamp;
use serde_json::Value;

use super::text;
use crate::http::fuzz::moved;
use crate::kind::{Kind, Served};
use crate::registry::fuzz::{made, taken_again};
use crate::{kinds, schema};

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

/// An object of a kind, defaulted and dressed, whatever is wrong with it.
fn stored(kind: &Kind, body: &[u8]) -> Option<Value> {
    let mut object = schema::parse(body, true).ok()?.object;
    schema::fit(kind.schema, &mut object).ok().filter(|_| object.is_object())?;
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.into();
    (kind.default)(&mut object);
    schema::dress(kind.schema, &mut object);
    Some(object)
}

/// A row has a cell for each column, in its type and of no more bytes than its object explains; what can be selected by
/// is what is said to be.
pub fn cells(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let all = kinds::all();
    let kind = &all[usize::from(*first) % all.len()];
    // Of the others there are no objects.
    if kind.served != Served::Full {
        return;
    }
    let Some(object) = stored(kind, body) else { return };
    let cells = (kind.cells)(&object, now());
    assert_eq!(cells.len(), kind.columns.len(), "{kind:?}");
    let size = object.to_string().len();
    for (column, cell) in kind.columns.iter().zip(&cells) {
        let is_right = match column.kind {
            "integer" => cell.is_i64() || cell.is_u64(),
            // Upstream's own events have a number in a column of texts.
            _ => !cell.is_object() && !cell.is_array(),
        };
        assert!(is_right, "{kind:?} {}: {cell}", column.name);
        assert!(cell.to_string().len() <= 256 + 8 * size, "{kind:?} {}", column.name);
    }
    for (name, _) in (kind.fields)(&object) {
        assert!(kind.field_names.contains(&name), "{kind:?} {name}");
    }
    (kind.rest)(&object);
}

/// An event is the same in both groups: what one form says, the other says, and back again.
pub fn events(data: &[u8]) {
    let [core, newer] = ["v1", "events.k8s.io/v1"].map(|version| kinds::by_kind(version, "Event"));
    let (core, newer) = (core.expect("it is served"), newer.expect("it is served"));
    let forms = newer.stored.expect("it is stored as the core group's");
    if let Some(event) = stored(newer, data) {
        let there = (forms.write)(event);
        let here = (forms.read)(there.clone());
        assert_eq!((forms.write)(here.clone()), there, "stored again");
        assert_eq!((forms.read)(there), here, "shown again");
    }
    if let Some(event) = stored(core, data) {
        let here = (forms.read)(event.clone());
        assert_eq!((forms.write)(here.clone()), event, "shown and stored again: {here}");
        assert!((newer.validate)(&here).len() <= 100);
    }
}

/// A Job's spec that is taken again is what would have been made of it.
pub fn known_specs(data: &[u8]) {
    let job = kinds::by_kind("batch/v1", "Job").expect("it is served");
    let Some(spec) = text(data) else { return };
    let Ok(decoded) = schema::parse(spec.as_bytes(), false) else { return };
    if !decoded.complaints.is_empty() || !decoded.object.is_object() {
        return;
    }
    let mut body = serde_json::json!({"apiVersion": "batch/v1", "kind": "Job", "spec": decoded.object});
    if schema::fit(job.schema, &mut body) != Ok(Vec::new()) {
        return;
    }
    let first = made("first", "11111111-0000-4000-8000-000000000000", &body["spec"]);
    if !(job.validate)(&first).is_empty() || !(job.warnings)(&first).is_empty() {
        return;
    }
    for name in ["second", "a"] {
        let uid = "22222222-0000-4000-8000-000000000000";
        let Some(again) = taken_again(spec, first.clone(), name, uid) else { return };
        let expected = made(name, uid, &body["spec"]);
        let again: Value = serde_json::from_slice(&again).expect("it is JSON");
        assert_eq!(again, expected["spec"]);
        assert!((job.validate)(&expected).is_empty(), "another name makes no difference: {expected}");
    }
}

/// The clock is never set back, nor further ahead than ten years; a time that is named is the time that it shows.
pub fn clocks(data: &[u8]) {
    let Ok(to) = moved(data, now()) else { return };
    assert!(to >= now() && to <= windlass_fate::after(now(), windlass_fate::LONGEST), "{to}");
    let again = serde_json::json!({"to": to.to_string()});
    assert_eq!(moved(again.to_string().as_bytes(), now()), Ok(to));
}
