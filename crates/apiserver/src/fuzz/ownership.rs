//! Who owns which fields: what writers hand in as `managedFields`, and two managers of one object.

use serde_json::Value;

use super::{halves, kind};
use crate::apply::fuzz::{Managed, UPDATERS};
use crate::apply::{Writer, apply, is_tracked, track};
use crate::kind::Kind;
use crate::schema;

/// A writer that is nobody else.
fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, subresource: "", now: "2026-01-01T00:00:00Z" }
}

/// An object of a kind as it is sent.
fn object(kind: &Kind, text: &[u8]) -> Option<Value> {
    let object = schema::parse(text, false).ok()?.object;
    fitted(kind, object).filter(Value::is_object)
}

fn fitted(kind: &Kind, mut object: Value) -> Option<Value> {
    schema::fit(kind.schema, &mut object).ok().map(|_| object)
}

/// What is read of `managedFields` is written and read again the same; there are never more entries of updates than may
/// be. A write that hands them in leaves some that can be read, and once more the same.
pub fn managers(data: &[u8]) {
    let Some((kind, rest)) = kind(data) else { return };
    let Some((old, new)) = halves(rest) else { return };
    let (Some(old), Some(new)) = (object(kind, old), object(kind, new)) else { return };
    for object in [&old, &new] {
        let Ok(mut managed) = Managed::read(&object["metadata"]["managedFields"]) else { continue };
        let written = managed.write();
        let again = Managed::read(&written).expect("what was written is read");
        assert_eq!(again.owned, managed.owned, "{written}");
        assert_eq!(again.write(), written);
        managed.cap();
        let capped = managed.clone();
        managed.cap();
        assert_eq!(managed, capped, "capped twice");
        assert!(updaters(&capped.write()) <= UPDATERS + versions(&written), "{written}");
    }
    if Managed::read(&old["metadata"]["managedFields"]).is_err() {
        return;
    }
    let (old, mut told) = (stored(kind, old), new);
    track(kind, &old, &mut told, writer("fuzz"));
    let Some(told) = fitted(kind, told) else { panic!("what is told does not fit") };
    let told = stored(kind, told);
    if is_tracked(&told) {
        assert!(Managed::read(&told["metadata"]["managedFields"]).is_ok(), "{told}");
        let mut again = told.clone();
        track(kind, &told, &mut again, writer("fuzz"));
        let again = fitted(kind, again).expect("it was fitted before");
        assert_eq!(owners(&again), owners(&told), "a write that changes nothing");
    }
}

/// As it is stored: with its defaults.
fn stored(kind: &Kind, mut object: Value) -> Value {
    (kind.default)(&mut object);
    schema::dress(kind.schema, &mut object);
    object
}

fn owners(object: &Value) -> Option<Managed> {
    Managed::read(&object["metadata"]["managedFields"]).ok()
}

fn entries(written: &Value) -> impl Iterator<Item = &Value> {
    written.as_array().into_iter().flatten().filter(|entry| entry["operation"] == "Update")
}

fn updaters(written: &Value) -> usize {
    entries(written).count()
}

fn versions(written: &Value) -> usize {
    let mut versions: Vec<_> = entries(written).map(|entry| entry["apiVersion"].as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    versions.len()
}

/// Two managers apply to one object: the second takes by force what it is refused otherwise, and has it then; what the
/// first applies next meets that, or nothing.
pub fn contests(data: &[u8]) {
    let Some((kind, rest)) = kind(data) else { return };
    let Some((one, other)) = halves(rest) else { return };
    let (Some(one), Some(other)) = (applicable(kind, one), applicable(kind, other)) else { return };
    let Ok(live) = apply(kind, None, &one, false, writer("one")) else { return };
    let Some(live) = fitted(kind, live) else { return };
    let taken = match apply(kind, Some(&live), &other, false, writer("other")) {
        Ok(new) => new,
        Err(refusal) if refusal.code == 409 => {
            apply(kind, Some(&live), &other, true, writer("other")).expect("force ends a conflict")
        }
        Err(refusal) => {
            assert!((400..500).contains(&refusal.code), "{refusal:?}");
            return;
        }
    };
    let taken = fitted(kind, taken).expect("both fitted");
    if !is_tracked(&taken) {
        return;
    }
    let again = apply(kind, Some(&taken), &other, false, writer("other")).expect("it is its own now");
    assert_eq!(fitted(kind, again).expect("it fitted"), taken, "applied twice");
    if let Err(refusal) = apply(kind, Some(&taken), &one, false, writer("one")) {
        assert_eq!(refusal.code, 409, "{refusal:?}");
    }
}

/// A body that may be applied: nobody says in it whose the fields are.
fn applicable(kind: &Kind, text: &[u8]) -> Option<Value> {
    object(kind, text).filter(|object| !is_tracked(object))
}
