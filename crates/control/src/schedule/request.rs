//! What a pod asks of the node, as the scheduler counts it. It knows no node and no other pod.
//!
//! Source: upstream `component-helpers/resource/helpers.go` (`PodRequests`), `scheduler/framework/types.go` (`Resource`).

use std::collections::BTreeMap;

use serde_json::Value;

/// Amounts of resources: thousandths of `cpu`, bytes of `memory` and `ephemeral-storage`, pieces of everything else.
/// What is zero is not listed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Amounts(BTreeMap<String, i64>);

impl Amounts {
    /// A resource list (`requests`, `allocatable`). What is no quantity counts as nothing.
    #[must_use]
    pub fn read(list: &Value) -> Amounts {
        let entries = list.as_object().into_iter().flatten();
        let amounts = entries.map(|(name, quantity)| (name.clone(), amount(name, quantity)));
        Amounts(amounts.filter(|(_, amount)| *amount != 0).collect())
    }

    /// What a pod asks for, given its spec: the sum of its containers and sidecars, at least what its init containers
    /// need one after the other; requests of the pod itself stand for both; overhead comes on top.
    #[must_use]
    pub fn requested(spec: &Value) -> Amounts {
        let requests = |container: &Value| Amounts::read(&container["resources"]["requests"]);
        let list = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut sum = Amounts::default();
        for container in list("containers") {
            sum.add(&requests(container));
        }
        let (mut sidecars, mut most) = (Amounts::default(), Amounts::default());
        for container in list("initContainers") {
            let mut needs = requests(container);
            if container["restartPolicy"] == "Always" {
                sum.add(&needs);
                sidecars.add(&needs);
                most.raise(&sidecars);
            } else {
                needs.add(&sidecars);
                most.raise(&needs);
            }
        }
        sum.raise(&most);
        for (name, quantity) in spec["resources"]["requests"].as_object().into_iter().flatten() {
            if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
                sum.set(name, amount(name, quantity));
            }
        }
        sum.add(&Amounts::read(&spec["overhead"]));
        sum
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// The amount of a resource.
    #[must_use]
    pub fn of(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Resources and their amounts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds to each.
    pub fn add(&mut self, other: &Amounts) {
        for (name, amount) in other.iter() {
            self.set(name, self.of(name).saturating_add(amount));
        }
    }

    /// Takes from each.
    pub fn subtract(&mut self, other: &Amounts) {
        for (name, amount) in other.iter() {
            self.set(name, self.of(name).saturating_sub(amount));
        }
    }

    fn raise(&mut self, other: &Amounts) {
        for (name, amount) in other.iter() {
            self.set(name, self.of(name).max(amount));
        }
    }

    fn set(&mut self, name: &str, amount: i64) {
        match (self.0.get_mut(name), amount) {
            (Some(_), 0) => drop(self.0.remove(name)),
            (Some(known), _) => *known = amount,
            (None, 0) => {}
            (None, _) => drop(self.0.insert(name.to_owned(), amount)),
        }
    }
}

/// In the resource's unit, rounded up, as upstream's `MilliValue` and `Value` do.
fn amount(name: &str, quantity: &Value) -> i64 {
    let nanos = match quantity {
        Value::String(text) => nanos(text),
        Value::Number(number) => nanos(&number.to_string()),
        _ => None,
    };
    let unit = if name == "cpu" { 1_000_000 } else { 1_000_000_000 };
    let nanos = nanos.unwrap_or(0);
    let units = nanos.div_euclid(unit) + i128::from(nanos.rem_euclid(unit) > 0);
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// A quantity in billionths. Objects in the store have passed validation, so that what cannot be read here is none.
fn nanos(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, over) = scale(suffix)?;
    let over = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(over)?;
    Some(digits.checked_mul(times)?.checked_mul(1_000_000_000)?.div_euclid(over))
}

/// A suffix as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    const SMALL: [&str; 3] = ["m", "u", "n"];
    let power = |place: usize| u32::try_from(place + 1).ok();
    if suffix.is_empty() {
        return Some((1, 1));
    }
    if let Some(binary) = suffix.strip_suffix('i') {
        let place = ["K", "M", "G", "T", "P", "E"].iter().position(|known| *known == binary)?;
        return Some((1_i128 << (10 * power(place)?), 1));
    }
    if let Some(place) = DECIMAL.iter().position(|known| *known == suffix) {
        return Some((1000_i128.pow(power(place)?), 1));
    }
    if let Some(place) = SMALL.iter().position(|known| *known == suffix) {
        return Some((1, 1000_i128.pow(power(place)?)));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, factor) } else { (factor, 1) })
}
