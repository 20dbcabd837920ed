//! Amounts of resources by name: what is limited, what is used, what is asked for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::quantity::Quantity;

/// Amounts by the resource's name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Amounts(BTreeMap<String, Quantity>);

impl Amounts {
    /// Reads a resource list; what is no quantity was refused before.
    pub(super) fn read(list: &Value) -> Amounts {
        let entries = list.as_object().into_iter().flatten();
        Amounts(entries.filter_map(|(name, value)| Some((name.clone(), Quantity::of(value).ok()?))).collect())
    }

    /// The resource list as the API writes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(name, amount)| (name.clone(), amount.to_string().into()));
        Value::Object(entries.collect::<Map<String, Value>>())
    }

    pub(super) fn get(&self, name: &str) -> Option<Quantity> {
        self.0.get(name).copied()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn set(&mut self, name: impl Into<String>, amount: Quantity) {
        self.0.insert(name.into(), amount);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds all of another's amounts.
    pub fn add(&mut self, other: &Amounts) {
        for (name, amount) in other.iter() {
            let sum = self.get(name).map_or(amount, |own| own.plus(amount));
            self.set(name, sum);
        }
    }

    /// Takes all of another's amounts away, as far as there is anything.
    pub(super) fn subtract(&mut self, other: &Amounts) {
        for (name, amount) in other.iter() {
            if let Some(own) = self.0.get_mut(name) {
                *own = own.minus(amount);
            }
        }
    }

    /// Raises each amount to another's, where that is more.
    pub(super) fn raise(&mut self, other: &Amounts) {
        for (name, amount) in other.iter() {
            if self.get(name).is_none_or(|own| amount > own) {
                self.set(name, amount);
            }
        }
    }

    /// Only these resources.
    #[must_use]
    pub(super) fn only(&self, wanted: impl Fn(&str) -> bool) -> Amounts {
        Amounts(self.0.iter().filter(|(name, _)| wanted(name)).map(|(n, a)| (n.clone(), *a)).collect())
    }

    /// Whether there is nothing of anything.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.values().all(Quantity::is_zero)
    }
}

/// As upstream prints them in a refusal: `pods=1,requests.cpu=500m`.
impl std::fmt::Display for Amounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, amount)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}={amount}")?;
        }
        Ok(())
    }
}
