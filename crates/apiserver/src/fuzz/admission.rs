//! Quotas and limit ranges against pods and claims: sums stay within what can be counted and are never less than
//! nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::halves;
use crate::admission::{Quota, charge, limit_range, usage};
use crate::kind::Kind;
use crate::{kinds, schema};

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

/// An object as it would be stored: defaulted, and nothing is wrong with it but perhaps its metadata.
fn stored(kind: &Kind, text: &[u8]) -> Option<Value> {
    let mut object = schema::parse(text, true).ok()?.object;
    if !object.is_object() {
        return None;
    }
    schema::fit(kind.schema, &mut object).ok()?;
    (kind.default)(&mut object);
    schema::dress(kind.schema, &mut object);
    (kind.validate)(&object).is_empty().then_some(object)
}

/// What quotas are about in these inputs: the first byte chooses.
fn subject(first: u8) -> &'static Kind {
    let name = ["Pod", "PersistentVolumeClaim"][usize::from(first) % 2];
    kinds::by_kind("v1", name).expect("it is served")
}

/// A quota and two versions of an object: what is charged is within what is allowed and more than before, what is
/// refused changes nothing, and what is counted and counted off again leaves what there was.
pub fn quotas(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let Some((quota, objects)) = halves(rest) else { return };
    let Some((before, after)) = halves(objects) else { return };
    let (kind, quotas) = (subject(first), kinds::by_kind("v1", "ResourceQuota").expect("it is served"));
    let Some(quota) = stored(quotas, quota) else { return };
    let (Some(before), Some(after)) = (stored(kind, before), stored(kind, after)) else { return };
    let mut quota = Quota::renewed(&quota);
    quota.counted(&Quota::renewed(&Value::Null), kinds::all());
    for object in [&before, &after] {
        counts(&quota, kind, object);
    }
    let mut all = vec![quota.clone(), quota];
    admits(&mut all, kind, None, &before);
    admits(&mut all, kind, Some(&before), &after);
}

fn counts(quota: &Quota, kind: &Kind, object: &Value) {
    assert!(amounts(&usage(kind, object, now()).to_json()).all(|(_, amount)| amount >= 0));
    let (mut one, mut other) = (quota.clone(), quota.clone());
    one.count_object(kind, object, now());
    other.apply(&quota.shift(kind, None, Some(object), now()));
    assert_eq!(one, other);
    sound(&one);
    other.apply(&quota.shift(kind, Some(object), None, now()));
    sound(&other);
    // At the end of the scale what was cut off does not come back.
    if used(&one).all(|(_, amount)| amount < MOST) {
        assert_eq!(&other, quota, "counted and counted off");
    }
}

fn admits(quotas: &mut Vec<Quota>, kind: &Kind, before: Option<&Value>, after: &Value) {
    let untouched = quotas.clone();
    let fields = before.map(|before| before as &dyn crate::kind::Fields);
    match charge(quotas, kind, fields, after, now()) {
        Err(why) => {
            assert!(!why.is_empty());
            assert_eq!(*quotas, untouched, "{why}");
        }
        Ok(changed) => {
            for (at, (new, old)) in quotas.iter().zip(&untouched).enumerate() {
                sound(new);
                assert_eq!(changed.contains(&at), new != old);
                let hard: Value = new.status()["hard"].clone();
                for ((name, new), (_, old)) in used(new).zip(used(old)) {
                    assert!(new >= old, "{name}");
                    let most = amounts(&hard).find(|(hard, _)| *hard == name).map_or(MOST, |(_, most)| most);
                    assert!(new == old || new <= most, "{name}: {new} of {most}");
                }
            }
        }
    }
}

/// The end of the scale, in billionths.
const MOST: i128 = i64::MAX as i128 * 1_000_000_000;

/// What is said of a quota can be read again, and nobody uses less than nothing.
fn sound(quota: &Quota) {
    let status = quota.status();
    assert_eq!(Quota::read(&json!({"status": status})).status(), status);
    assert!(used(quota).all(|(_, amount)| (0..=MOST).contains(&amount)), "{status}");
}

fn used(quota: &Quota) -> impl Iterator<Item = (String, i128)> {
    let used = quota.status()["used"].clone();
    amounts(&used).collect::<Vec<_>>().into_iter()
}

fn amounts(list: &Value) -> impl Iterator<Item = (String, i128)> {
    let read = |value: &Value| crate::quantity::Quantity::of(value).expect("a quantity").nanos();
    list.as_object().into_iter().flatten().map(move |(name, value)| (name.clone(), read(value)))
}

/// A limit range and a pod or a claim: what is filled in is filled in once and fits, and refusals are of bounded length.
pub fn limit_ranges(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let Some((range, object)) = halves(rest) else { return };
    let kind = subject(first);
    let Some(range) = stored(kinds::by_kind("v1", "LimitRange").expect("it is served"), range) else {
        return;
    };
    let Some(mut object) = stored(kind, object) else { return };
    if kind.kind == "Pod" {
        limit_range::fill(&range, &mut object);
        let mut again = object.clone();
        assert!(!limit_range::fill(&range, &mut again), "filled twice: {again}");
        assert_eq!(again, object);
        assert_eq!(schema::fit(kind.schema, &mut again), Ok(Vec::new()), "{object}");
    }
    if let Some(why) = limit_range::refusal(&range, kind.kind, &object) {
        // A sentence for each bound of the range and each container.
        let most = (range.to_string().len() + 64) * (object.to_string().len() + 64);
        assert!(!why.is_empty() && why.len() <= most, "{} bytes", why.len());
    }
}
