//! Quotas: what they allow, and what is used of them after a change.
//!
//! Source: upstream apiserver, pkg/admission/plugin/resourcequota/controller.go (`CheckRequest`), and
//! pkg/controller/resourcequota.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::amounts::Amounts;
use super::pods;
use super::scopes::{self, Scope};
use super::usage::{Counting, compute, counting, is_about, is_limited, number, usage};
use crate::kind::{Fields, Kind};

/// Resources that each container must ask for where a quota limits them.
const ASKED_FOR: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// What is used more, and less.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shift {
    more: Amounts,
    less: Amounts,
}

impl Shift {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.more == self.less
    }

    /// This one, and then another.
    pub fn add(&mut self, other: &Shift) {
        self.more.add(&other.more);
        self.less.add(&other.less);
    }
}

/// A quota, read.
#[derive(Clone, PartialEq, Debug)]
pub struct Quota {
    /// Its name.
    pub name: String,
    /// What its status says is limited.
    hard: Amounts,
    /// What its status says is used.
    used: Amounts,
    scopes: Vec<Scope>,
}

impl Quota {
    /// Reads a quota as it is enforced: by its status.
    #[must_use]
    pub fn read(quota: &dyn Fields) -> Quota {
        let status = &quota["status"];
        Quota {
            name: quota["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            hard: Amounts::read(&status["hard"]),
            used: Amounts::read(&status["used"]),
            scopes: scopes::read(&quota["spec"]),
        }
    }

    /// The same as it is to be counted: by its spec, with nothing used.
    #[must_use]
    pub fn renewed(quota: &dyn Fields) -> Quota {
        let hard = Amounts::read(&quota["spec"]["hard"]);
        Quota { hard, used: Amounts::default(), ..Quota::read(quota) }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Value {
        json!({"hard": self.hard.to_json(), "used": self.used.to_json()})
    }

    /// What has to be known of a kind to count what is used.
    #[must_use]
    pub fn counting(&self, kind: &Kind) -> Counting {
        counting(kind, &self.hard, !self.scopes.is_empty())
    }

    /// Counts: so many objects of a kind, of which nothing else has to be known.
    pub fn count(&mut self, kind: &Kind, objects: usize) {
        let amounts = number(kind, objects);
        self.take(kind, &amounts);
    }

    /// Counts one object.
    pub fn count_object(&mut self, kind: &Kind, object: &dyn Fields, now: Timestamp) {
        if self.matches(kind, object) {
            self.take(kind, &usage(kind, object, now));
        }
    }

    /// Ends a count: what nobody uses is used not at all, and what is not known here is used as it was before.
    pub fn counted(&mut self, before: &Quota, kinds: &[Kind]) {
        let names: Vec<String> = self.hard.names().map(str::to_owned).collect();
        for name in names {
            if self.used.has(&name) {
                continue;
            }
            if kinds.iter().any(|kind| is_about(kind, &name)) {
                self.used.set(name, crate::quantity::Quantity::whole(0));
            } else if let Some(amount) = before.used.get(&name) {
                self.used.set(name, amount);
            }
        }
    }

    /// Whether what is used is less than it was, or more is allowed: somebody who was refused may try again.
    #[must_use]
    pub fn gives_more_than(&self, before: &Quota) -> bool {
        let left = |quota: &Quota, name: &str| {
            let (hard, used) = (quota.hard.get(name), quota.used.get(name));
            hard.zip(used).map(|(hard, used)| hard.nanos() - used.nanos())
        };
        let more = |name: &str| match (left(self, name), left(before, name)) {
            (Some(now), Some(then)) => now > then,
            (now, then) => now.is_some() != then.is_some(),
        };
        before.hard.names().any(more) || self.hard.names().any(more)
    }

    /// What an object that changed uses more, and less, than before, of what this quota is about.
    ///
    /// `counted` is the time by which pods counted that are being deleted when all was counted last: what of them is in
    /// the quota is so whatever the time is now.
    #[must_use]
    pub fn shift(
        &self,
        kind: &Kind,
        before: Option<&dyn Fields>,
        after: Option<&dyn Fields>,
        counted: Timestamp,
    ) -> Shift {
        let of = |object: Option<&dyn Fields>| {
            let object = object.filter(|object| self.matches(kind, *object));
            let used = object.map(|object| usage(kind, object, counted)).unwrap_or_default();
            used.only(|name| self.hard.has(name) && is_about(kind, name))
        };
        Shift { less: of(before), more: of(after) }
    }

    /// Takes and gives back. Nothing is refused.
    pub fn apply(&mut self, shift: &Shift) {
        if !shift.is_nothing() {
            self.used.add(&shift.more);
            self.used.subtract(&shift.less);
        }
    }

    /// Whether it is about particular objects only.
    #[must_use]
    pub fn has_scopes(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// Whether it limits how many objects of a kind there are, whatever they are.
    #[must_use]
    pub fn limits_number(&self, kind: &Kind) -> bool {
        !self.has_scopes() && is_limited(kind) && number(kind, 0).names().any(|name| self.hard.has(name))
    }

    /// So many objects of a kind there are.
    pub fn set_number(&mut self, kind: &Kind, objects: usize) {
        for (name, amount) in number(kind, objects).iter() {
            if self.hard.has(name) {
                self.used.set(name, amount);
            }
        }
    }

    fn take(&mut self, kind: &Kind, amounts: &Amounts) {
        let amounts = amounts.only(|name| self.hard.has(name) && is_about(kind, name));
        self.used.add(&amounts);
    }

    /// Whether it limits anything of a kind, and is about this object.
    fn matches(&self, kind: &Kind, object: &dyn Fields) -> bool {
        self.hard.names().any(|name| is_about(kind, name))
            && self.scopes.iter().all(|scope| scope.has(kind, object))
    }

    /// What keeps an object out whatever is used.
    fn constraint(&self, kind: &Kind, object: &dyn Fields) -> Option<String> {
        let about = |name: &&str| is_about(kind, name);
        if kind.group.is_empty() && kind.kind == "Pod" && !pods::is_whole(&object["spec"]) {
            let asked_for: Vec<&str> = self.hard.names().filter(|name| ASKED_FOR.contains(name)).collect();
            if let Some(missing) = missing(&object["spec"], &asked_for) {
                return Some(format!("failed quota: {}: must specify {missing}", self.name));
            }
        }
        if self.hard.names().filter(about).all(|name| self.used.has(name)) {
            return None;
        }
        let names: Vec<&str> = self.hard.names().filter(about).collect();
        Some(format!("status unknown for quota: {}, resources: {}", self.name, names.join(",")))
    }

    /// Takes what an object uses more, if there is so much left.
    fn charge(&mut self, kind: &Kind, more: &Amounts) -> Result<bool, String> {
        let asked = more.only(|name| self.hard.has(name));
        let mut after = self.used.clone();
        after.add(&asked);
        let over = |name: &str| {
            asked.has(name)
                && after.get(name).zip(self.hard.get(name)).is_some_and(|(used, hard)| used > hard)
        };
        if asked.names().any(over) {
            return Err(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                self.name,
                asked.only(over),
                self.used.only(over),
                self.hard.only(over)
            ));
        }
        let changed = after != self.used;
        self.used = after;
        debug_assert!(asked.names().all(|name| is_about(kind, name)));
        Ok(changed)
    }
}

/// What containers do not ask for although they must: `limits.cpu for: a,b; memory for: a`.
fn missing(spec: &Value, asked_for: &[&str]) -> Option<String> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let of = |list: &str| Amounts::read(&container["resources"][list]);
            let used = compute(&of("requests"), &of("limits"));
            for name in asked_for.iter().filter(|name| !used.has(name)) {
                missing.entry(name).or_default().push(container["name"].as_str().unwrap_or_default());
            }
        }
    }
    let texts = missing.into_iter().map(|(name, mut containers)| {
        containers.sort_unstable();
        containers.dedup();
        format!("{name} for: {}", containers.join(","))
    });
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Takes what a new object (or, with `before`, a change of one) uses from all quotas of its namespace, and answers which
/// of them that changed; or says why it may not be, and changes nothing.
pub fn charge(
    quotas: &mut [Quota],
    kind: &Kind,
    before: Option<&dyn Fields>,
    after: &dyn Fields,
    now: Timestamp,
) -> Result<Vec<usize>, String> {
    let concerned: Vec<usize> = (0..quotas.len()).filter(|&i| quotas[i].matches(kind, after)).collect();
    for &index in &concerned {
        if let Some(why) = quotas[index].constraint(kind, after) {
            return Err(why);
        }
    }
    if concerned.is_empty() {
        return Ok(Vec::new());
    }
    let asked = usage(kind, after, now);
    let known = before.map(|before| usage(kind, before, now));
    let mut charged = quotas.to_vec();
    let mut changed = Vec::new();
    for index in concerned {
        let mut more = asked.clone();
        if let (Some(known), Some(before)) = (&known, before)
            && charged[index].matches(kind, before)
        {
            more.subtract(known);
        }
        let more = more.only(|name| is_about(kind, name));
        if !more.is_nothing() && charged[index].charge(kind, &more)? {
            changed.push(index);
        }
    }
    quotas.clone_from_slice(&charged);
    Ok(changed)
}
