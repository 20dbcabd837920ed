//! The order of merged lists: the patch's where it speaks, the server's for the rest. It knows no shapes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::PatchError;

/// What tells the items of a list apart: a key, or the whole value.
pub(super) struct Identity(Option<&'static str>);

/// An item's name inside its list; none for an object without the key.
pub(super) type Name = Option<String>;

impl Identity {
    /// By a key; without one, by the value.
    pub(super) fn of(key: Option<&'static str>) -> Self {
        Self(key)
    }

    /// The name of an item.
    pub(super) fn of_item(&self, item: &Value) -> Name {
        match self.0 {
            Some(key) => item.get(key).map(Value::to_string),
            None => Some(item.to_string()),
        }
    }

    /// The first place of each name.
    pub(super) fn places(&self, items: &[Value]) -> BTreeMap<String, usize> {
        places(&items.iter().map(|item| self.of_item(item)).collect::<Vec<_>>())
    }
}

fn places(names: &[Name]) -> BTreeMap<String, usize> {
    let named = names.iter().enumerate().rev();
    named.filter_map(|(place, name)| Some((name.clone()?, place))).collect()
}

/// Puts merged items into order: those in `wanted` in its order, the others as they were in `server`; where one of each
/// could be next, the server's order decides, and the wanted one comes first if the server did not have both.
pub(super) fn arrange(
    merged: Vec<Value>,
    identity: &Identity,
    wanted: &[Name],
    server: &[Name],
) -> Vec<Value> {
    let (wanted, server) = (places(wanted), places(server));
    let at = |places: &BTreeMap<String, usize>, name: &Name| {
        name.as_ref().and_then(|name| places.get(name)).copied()
    };
    let named = merged.into_iter().map(|item| (identity.of_item(&item), item));
    let (mut first, mut rest): (Vec<_>, Vec<_>) = named.partition(|(name, _)| at(&wanted, name).is_some());
    first.sort_by_key(|(name, _)| at(&wanted, name));
    rest.sort_by_key(|(name, _)| at(&server, name).unwrap_or(usize::MAX));
    let (mut first, mut rest) = (first.into_iter().peekable(), rest.into_iter().peekable());
    let mut all = Vec::new();
    loop {
        let rest_is_next = match (first.peek(), rest.peek()) {
            (None, None) => return all,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some((first, _)), Some((rest, _))) => {
                at(&server, rest).zip(at(&server, first)).is_some_and(|(rest, first)| rest < first)
            }
        };
        let next = if rest_is_next { rest.next() } else { first.next() };
        all.extend(next.map(|(_, item)| item));
    }
}

/// Refuses a patch whose items stand in another order than it asks for.
pub(super) fn check_order(items: &[Value], identity: &Identity, wanted: &[Name]) -> Result<(), PatchError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut order = wanted.iter();
    let plain = items.iter().filter(|item| item.get("$patch").is_none());
    for item in plain {
        let name = identity.of_item(item);
        if !order.any(|wanted| *wanted == name) {
            return Err(PatchError(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::from(items),
                wanted.iter().flatten().cloned().collect::<Vec<_>>().join(" ")
            )));
        }
    }
    Ok(())
}
