//! Strategic merge patches: lists merge by the keys of the table, directives say what merging cannot.
//!
//! The directives are `$patch` (in an object: `replace`, `delete`, `merge`; in a list's item: `delete`, `replace`),
//! `$retainKeys`, `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD`. The rules are those of upstream's
//! `strategicpatch` package. Where the table knows no field, lists are replaced and objects merged.

use serde_json::{Map, Value};

use super::PatchError;
use super::order::{Identity, arrange, check_order};
use super::table::{Field, Shape, Type, table};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// Applies a patch, see [`super::strategic_merge`].
pub(super) fn merge(shape: &'static Type, original: &Value, patch: &Value) -> Result<Value, PatchError> {
    match (original, patch) {
        (Value::Object(original), Value::Object(patch)) => {
            Ok(objects(Some(shape), original.clone(), patch.clone())?.into())
        }
        _ => Err(PatchError("invalid JSON document".to_owned())),
    }
}

/// Merges an object into another.
fn objects(
    shape: Option<&'static Type>,
    mut original: Object,
    mut patch: Object,
) -> Result<Object, PatchError> {
    match patch.remove(PATCH) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => return Ok(without_directives(patch)),
        Some(Value::String(directive)) if directive == "delete" => return Ok(Object::new()),
        Some(Value::String(directive)) if directive == "merge" => {}
        Some(other) => return Err(PatchError(format!("unknown patch type: {other}"))),
    }
    retain_keys(&mut original, &mut patch)?;
    ordered_lists(shape, &mut original, &mut patch)?;
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM) {
            delete_from(&mut original, list, &value)?;
        } else if value.is_null() {
            original.remove(&name);
        } else {
            let merged = field(shape, &name, original.remove(&name), value)?;
            original.extend(merged.map(|merged| (name, merged)));
        }
    }
    Ok(original)
}

/// Merges one field's value into what is there; none when the patch holds nothing but a directive.
fn field(
    shape: Option<&'static Type>,
    name: &str,
    original: Option<Value>,
    patch: Value,
) -> Result<Option<Value>, PatchError> {
    let known = shape.and_then(|shape| shape.field(name));
    Ok(match (original, patch) {
        (Some(Value::Object(original)), Value::Object(patch)) if !has_strategy(known, "replace") => {
            let inner = known.and_then(|field| type_of(&field.shape));
            Some(objects(inner, original, patch)?.into())
        }
        (Some(Value::Array(original)), Value::Array(patch)) if has_strategy(known, "merge") => {
            Some(lists(known, original, patch)?.into())
        }
        (_, patch) => cleaned(patch),
    })
}

/// Merges a list into another.
fn lists(
    field: Option<&'static Field>,
    original: Vec<Value>,
    patch: Vec<Value>,
) -> Result<Vec<Value>, PatchError> {
    let key = field.and_then(|field| field.merge_key);
    check_items(original.iter().chain(&patch), key)?;
    let (original, patch, replaced) = item_directives(original, patch, key)?;
    if replaced {
        return Ok(patch);
    }
    let identity = Identity::of(key);
    let order: Vec<_> = original.iter().map(|item| identity.of_item(item)).collect();
    let wanted: Vec<_> = patch.iter().map(|item| identity.of_item(item)).collect();
    let inner = field.and_then(|field| type_of(&field.shape));
    let merged = items(inner, &identity, original, patch)?;
    Ok(arrange(merged, &identity, &wanted, &order))
}

/// Merges the items of a list by their identity; new ones come last.
fn items(
    shape: Option<&'static Type>,
    identity: &Identity,
    mut original: Vec<Value>,
    patch: Vec<Value>,
) -> Result<Vec<Value>, PatchError> {
    let mut places = identity.places(&original);
    for item in patch {
        let name = identity.of_item(&item);
        match (name.as_ref().and_then(|name| places.get(name)), item) {
            (Some(place), Value::Object(item)) => {
                if let Value::Object(old) = original[*place].take() {
                    original[*place] = objects(shape, old, item)?.into();
                }
            }
            (Some(_), _) => {}
            (None, item) => {
                places.extend(name.map(|name| (name, original.len())));
                original.extend(cleaned(item));
            }
        }
    }
    Ok(original)
}

/// What the items that carry a directive do to the list, and the items that carry none.
fn item_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: Option<&'static str>,
) -> Result<(Vec<Value>, Vec<Value>, bool), PatchError> {
    let (mut plain, mut replaced) = (Vec::new(), false);
    let mut deleted = std::collections::BTreeSet::new();
    let identity = Identity::of(key);
    for item in patch {
        match item.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            None => plain.push(item),
            Some("delete") => match identity.of_item(&item) {
                Some(name) => drop(deleted.insert(name)),
                None => return Err(no_merge_key(&item, key)),
            },
            Some("replace") => replaced = true,
            Some("merge") => {
                return Err(PatchError("merging lists cannot yet be specified in the patch".to_owned()));
            }
            Some(other) => return Err(PatchError(format!("unknown patch type: {other} in map: {item}"))),
        }
    }
    if !deleted.is_empty() {
        original.retain(|item| identity.of_item(item).is_none_or(|name| !deleted.contains(&name)));
    }
    Ok((original, plain, replaced))
}

/// `$setElementOrder`: merges the lists that have one, and puts their items into its order.
fn ordered_lists(
    shape: Option<&'static Type>,
    original: &mut Object,
    patch: &mut Object,
) -> Result<(), PatchError> {
    let names: Vec<_> = patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in names {
        let malformed = || PatchError("invalid patch format of setElementOrder list".to_owned());
        let Some(Value::Array(order)) = patch.remove(&directive) else { return Err(malformed()) };
        let name = &directive[SET_ORDER.len()..];
        let known = shape.and_then(|shape| shape.field(name));
        let identity = Identity::of(known.and_then(|field| field.merge_key));
        let wanted: Vec<_> = order.iter().map(|item| identity.of_item(item)).collect();
        let before = match original.remove(name) {
            Some(Value::Array(before)) => Some(before),
            None => None,
            Some(_) => return Err(malformed()),
        };
        let server: Vec<_> = before.iter().flatten().map(|item| identity.of_item(item)).collect();
        let merged = match (before, patch.remove(name)) {
            (before, None) => before,
            (_, Some(Value::Null)) => None,
            (before, Some(Value::Array(items))) => {
                check_order(&items, &identity, &wanted)?;
                match field(shape, name, before.map(Value::Array), items.into())? {
                    Some(Value::Array(merged)) => Some(merged),
                    _ => None,
                }
            }
            (_, Some(_)) => return Err(malformed()),
        };
        if let Some(merged) = merged {
            original.insert(name.to_owned(), arrange(merged, &identity, &wanted, &server).into());
        }
    }
    Ok(())
}

/// `$retainKeys`: only the named keys stay.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(names) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || PatchError("invalid patch format of retainKeys".to_owned());
    let Value::Array(names) = names else { return Err(malformed()) };
    let kept: std::collections::BTreeSet<&str> = names.iter().filter_map(Value::as_str).collect();
    let directive = |name: &str| name.starts_with(SET_ORDER) || name.starts_with(DELETE_FROM);
    if patch.iter().any(|(name, value)| !value.is_null() && !directive(name) && !kept.contains(name.as_str()))
    {
        return Err(malformed());
    }
    original.retain(|name, _| kept.contains(name.as_str()));
    Ok(())
}

/// `$deleteFromPrimitiveList`: takes values out of a list.
fn delete_from(original: &mut Object, name: &str, values: &Value) -> Result<(), PatchError> {
    let malformed = || PatchError("invalid patch format of primitive list".to_owned());
    let values = values.as_array().ok_or_else(malformed)?;
    match original.get_mut(name) {
        None => {}
        Some(Value::Array(list)) => {
            let identity = Identity::of(None);
            let gone = identity.places(values);
            list.retain(|item| identity.of_item(item).is_none_or(|name| !gone.contains_key(&name)));
        }
        Some(_) => return Err(malformed()),
    }
    Ok(())
}

/// Refuses lists whose items cannot be merged: mixed, nested, or without the merge key.
fn check_items<'a>(
    mut items: impl Iterator<Item = &'a Value>,
    key: Option<&'static str>,
) -> Result<(), PatchError> {
    items.try_for_each(|item| match (item, key) {
        (Value::Array(_), _) => Err(PatchError("lists of lists are not supported".to_owned())),
        (Value::Object(_), None) => Err(PatchError("cannot merge lists without merge key".to_owned())),
        (Value::Object(map), Some(key))
            if !map.contains_key(key) && map.get(PATCH) != Some(&"replace".into()) =>
        {
            Err(no_merge_key(item, Some(key)))
        }
        (Value::Object(_), Some(_)) => Ok(()),
        (_, Some(_)) => Err(PatchError(format!("list element types are not identical: {item}"))),
        _ => Ok(()),
    })
}

fn no_merge_key(item: &Value, key: Option<&str>) -> PatchError {
    PatchError(format!("map: {item} does not contain declared merge key: {}", key.unwrap_or_default()))
}

fn has_strategy(field: Option<&'static Field>, wanted: &str) -> bool {
    field
        .and_then(|field| field.strategy)
        .is_some_and(|strategy| strategy.split(',').any(|word| word == wanted))
}

/// The struct that a field holds, or that its items or values are.
fn type_of(shape: &'static Shape) -> Option<&'static Type> {
    match shape {
        Shape::Ref(to) => Some(table().get(*to)),
        Shape::List(inner) | Shape::Map(inner) => type_of(inner),
        Shape::Scalar(..) => None,
    }
}

/// A value of the patch that stands for itself, without directives and nulls; none for a directive.
fn cleaned(value: Value) -> Option<Value> {
    Some(match value {
        Value::Object(map) if map.contains_key(PATCH) => return None,
        Value::Object(map) => without_directives(map).into(),
        Value::Array(items) => items.into_iter().filter_map(cleaned).collect(),
        other => other,
    })
}

fn without_directives(map: Object) -> Object {
    let directive =
        |name: &str| name == RETAIN_KEYS || name.starts_with(SET_ORDER) || name.starts_with(DELETE_FROM);
    let kept = map.into_iter().filter(|(name, value)| !value.is_null() && !directive(name));
    kept.filter_map(|(name, value)| Some((name, cleaned(value)?))).collect()
}
