//! The room of the node: who holds how much of it, and who waits for some. It knows pods by uid and key only.
//!
//! Whoever waits is kept by what it asks for, and within that by priority and age, so that the next pod to place costs
//! one comparison a different request, however many wait. What changes for a draft can be taken back with it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::devices::{Devices, Grant};
use super::request::Amounts;

/// What the node has, what is held of it, and what is waited for.
#[derive(Debug, Default)]
pub struct Room {
    total: Amounts,
    slots: i64,
    held: Amounts,
    holders: HashMap<String, (Amounts, i64)>,
    /// How many pods of each priority hold how much.
    levels: BTreeMap<i64, (i64, Amounts)>,
    /// The devices that pods can be given, and those that were, by the pod's uid.
    devices: Devices,
    granted: BTreeMap<String, Grant>,
    /// Those that wait, by what they ask for.
    waiting: BTreeMap<Amounts, BTreeSet<Place>>,
    places: HashMap<Arc<str>, (Amounts, Rank)>,
    turns: u64,
    /// Something changed that may let somebody in.
    stirred: bool,
    undo: Vec<Undo>,
}

/// Who comes first: the higher priority, then the earlier made, then the earlier seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank(Reverse<i64>, String, u64);

/// A pod in its row.
type Place = (Rank, Arc<str>);

/// What a draft changed.
#[derive(Debug)]
enum Undo {
    Held(String, Option<Held>),
    Waits(Arc<str>, Option<(Amounts, Rank)>),
}

/// What a pod holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// What it asks for.
    pub request: Amounts,
    /// Its priority.
    pub priority: i64,
    /// The devices that it was given.
    pub grant: Grant,
}

/// A resource of which there is not enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lack {
    /// `cpu`, or `pods` for too many pods.
    pub resource: String,
    /// Whether even the empty node has too little.
    pub is_hopeless: bool,
}

/// Why a node sends away a pod that nobody has asked whether it fits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// `cpu`, or `pods` for too many pods.
    pub resource: String,
    requested: i64,
    used: i64,
    capacity: i64,
}

impl Shortage {
    /// The reason of the pod's end.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("OutOf{}", self.resource)
    }

    /// What there is too little of, in a kubelet's words.
    #[must_use]
    pub fn message(&self) -> String {
        let Shortage { resource, requested, used, capacity } = self;
        format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        )
    }
}

impl Room {
    /// What the node offers (`status.allocatable`).
    pub fn offer(&mut self, mut total: Amounts) {
        let slots = total.of("pods");
        total.subtract(&Amounts::read(&serde_json::json!({"pods": slots})));
        self.stirred |= self.total != total || self.slots != slots;
        (self.total, self.slots) = (total, slots);
    }

    /// What of a request there is not, in the order of upstream's messages; empty if it fits now.
    #[must_use]
    pub fn lacks(&self, request: &Amounts) -> Vec<Lack> {
        let mut lacks = Vec::new();
        let mut add = |resource: &str, is_hopeless| {
            lacks.push(Lack { resource: resource.to_owned(), is_hopeless });
        };
        for (name, amount) in request.iter() {
            let total = self.total.of(name);
            if amount > total.saturating_sub(self.held.of(name)) {
                add(name, amount > total);
            }
        }
        if self.is_full() {
            add("pods", false);
        }
        lacks
    }

    /// What a pod that named the node itself finds too little of; none if it fits. Of extended resources that the node
    /// has never heard of nobody here knows whether there are enough.
    ///
    /// Source: upstream `kubelet/lifecycle/predicate.go` (`Admit`), which tells the first of its predicates that fails.
    #[must_use]
    pub fn shortage(&self, request: &Amounts) -> Option<Shortage> {
        let used = i64::try_from(self.holders.len()).unwrap_or(i64::MAX);
        if self.is_full() {
            return Some(Shortage { resource: "pods".to_owned(), requested: 1, used, capacity: self.slots });
        }
        let first = ["cpu", "memory", "ephemeral-storage"];
        let others = request.iter().map(|(name, _)| name).filter(|name| !first.contains(name));
        first.into_iter().chain(others).find_map(|name| {
            let (requested, used, capacity) = (request.of(name), self.held.of(name), self.total.of(name));
            let is_unknown = name.contains('/') && capacity == 0;
            let is_short = requested > 0 && requested > capacity.saturating_sub(used);
            (is_short && !is_unknown).then(|| Shortage {
                resource: name.to_owned(),
                requested,
                used,
                capacity,
            })
        })
    }

    fn fits(&self, request: &Amounts) -> bool {
        let short =
            |(name, amount): (&str, i64)| amount > self.total.of(name).saturating_sub(self.held.of(name));
        !self.is_full() && !request.iter().any(short)
    }

    /// Whether the node has as many pods as it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        i64::try_from(self.holders.len()).unwrap_or(i64::MAX) >= self.slots
    }

    /// The devices that pods can be given of what the node offers; whether they are others than before.
    pub fn equip(&mut self, devices: Devices) -> bool {
        let is_news = self.devices != devices;
        self.devices = devices;
        is_news
    }

    /// A pod of this priority holds its request from now on, and the devices that it is given here.
    pub fn take(&mut self, uid: &str, request: Amounts, priority: i64) {
        self.note_holder(uid);
        self.hold(uid, None);
        let grant = self.devices.grant(&request, self.granted.values());
        self.hold(uid, Some(Held { request, priority, grant }));
    }

    /// A pod has ended: it holds nothing any more.
    pub fn free(&mut self, uid: &str) {
        if self.holders.contains_key(uid) {
            self.note_holder(uid);
            self.hold(uid, None);
        }
    }

    /// What the store says of a pod, which no draft takes back.
    pub fn observe(&mut self, uid: &str, holds: Option<impl FnOnce() -> Held>) {
        match holds {
            // A pod's requests do not change while it holds them.
            Some(held) if !self.holders.contains_key(uid) => self.hold(uid, Some(held())),
            Some(_) => {}
            None => self.hold(uid, None),
        }
    }

    /// The devices that a pod has.
    #[must_use]
    pub fn granted(&self, uid: &str) -> Option<&Grant> {
        self.granted.get(uid)
    }

    /// Whether any pod has a device.
    #[must_use]
    pub fn has_granted(&self) -> bool {
        !self.granted.is_empty()
    }

    /// The devices of a resource that no pod has.
    pub fn unpromised<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a str> {
        let taken: BTreeSet<&str> =
            self.granted.values().flat_map(|grant| grant.of(resource)).map(String::as_str).collect();
        self.devices.of(resource).iter().map(String::as_str).filter(move |id| !taken.contains(id))
    }

    /// The devices of a resource, in the node's order.
    #[must_use]
    pub fn devices(&self, resource: &str) -> &[String] {
        self.devices.of(resource)
    }

    fn note_holder(&mut self, uid: &str) {
        let held = self.holders.get(uid).cloned().map(|(request, priority)| Held {
            request,
            priority,
            grant: self.granted.get(uid).cloned().unwrap_or_default(),
        });
        self.undo.push(Undo::Held(uid.to_owned(), held));
    }

    fn hold(&mut self, uid: &str, held: Option<Held>) {
        if let Some((old, priority)) = self.holders.remove(uid) {
            self.level(priority, -1, |level| level.subtract(&old));
            self.granted.remove(uid);
            self.held.subtract(&old);
            self.stirred |= !self.places.is_empty();
        }
        if let Some(Held { request, priority, grant }) = held {
            self.held.add(&request);
            self.level(priority, 1, |level| level.add(&request));
            self.holders.insert(uid.to_owned(), (request, priority));
            if !grant.is_nothing() {
                self.granted.insert(uid.to_owned(), grant);
            }
        }
    }

    fn level(&mut self, priority: i64, more: i64, change: impl FnOnce(&mut Amounts)) {
        let (pods, amounts) = self.levels.entry(priority).or_default();
        *pods += more;
        change(amounts);
        if *pods == 0 {
            self.levels.remove(&priority);
        }
    }

    /// Whether a pod of this priority would fit if those of lower priority were not there: where upstream would end some
    /// of them for its sake.
    #[must_use]
    pub fn would_fit_alone(&self, request: &Amounts, priority: i64) -> bool {
        let (mut pods, mut left) = (0, self.held.clone());
        for (_, (count, amounts)) in self.levels.range(..priority) {
            pods += count;
            left.subtract(amounts);
        }
        let held = i64::try_from(self.holders.len()).unwrap_or(i64::MAX) - pods;
        let fits = |(name, amount): (&str, i64)| amount <= self.total.of(name).saturating_sub(left.of(name));
        pods > 0 && held < self.slots && request.iter().all(fits)
    }

    /// A pod waits for room; one that does already keeps its place, unless it asks for something else now.
    pub fn wait(&mut self, key: &Arc<str>, request: Amounts, priority: i64, created: &str) {
        if self.places.get(key).is_some_and(|(known, rank)| *known == request && rank.0 == Reverse(priority))
        {
            return;
        }
        self.turns += 1;
        let rank = Rank(Reverse(priority), created.to_owned(), self.turns);
        self.note_place(key);
        self.stand(key, Some((request, rank)));
    }

    /// A pod does not wait for room: it has some, or something else keeps it.
    pub fn leave(&mut self, key: &str) {
        if let Some((key, _)) = self.places.get_key_value(key) {
            let key = key.clone();
            self.note_place(&key);
            self.stand(&key, None);
        }
    }

    /// What a pod waits for, if it waits.
    #[must_use]
    pub fn waits_for(&self, key: &str) -> Option<&Amounts> {
        self.places.get(key).map(|(request, _)| request)
    }

    /// Whether a pod that comes now and asks for nothing may be placed at once: there is room, and nobody is before it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_full() && !self.waiting.contains_key(&Amounts::default())
    }

    fn note_place(&mut self, key: &Arc<str>) {
        self.undo.push(Undo::Waits(key.clone(), self.places.get(key).cloned()));
    }

    fn stand(&mut self, key: &Arc<str>, place: Option<(Amounts, Rank)>) {
        if let Some((request, rank)) = self.places.remove(key)
            && let Some(row) = self.waiting.get_mut(&request)
        {
            row.remove(&(rank, key.clone()));
            if row.is_empty() {
                self.waiting.remove(&request);
            }
        }
        if let Some((request, rank)) = place {
            self.waiting.entry(request.clone()).or_default().insert((rank.clone(), key.clone()));
            self.places.insert(key.clone(), (request, rank));
            self.stirred = true;
        }
    }

    /// The pod to place next: the first of those that fit. One that does not fit is passed by, as upstream does.
    #[must_use]
    pub fn next_fit(&mut self) -> Option<(Arc<str>, Amounts)> {
        if !self.stirred {
            return None;
        }
        let fitting = self.waiting.iter().filter(|(request, _)| self.fits(request));
        let firsts = fitting.filter_map(|(request, row)| Some((row.first()?, request)));
        let next = firsts.min().map(|((_, key), request)| (key.clone(), request.clone()));
        self.stirred = next.is_some();
        next
    }

    /// Whether somebody who waits may have become lucky.
    #[must_use]
    pub fn is_stirred(&self) -> bool {
        self.stirred && !self.places.is_empty()
    }

    /// The draft was committed.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// The draft was thrown away: everything is as it was before it.
    pub fn take_back(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Held(uid, held) => self.hold(&uid, held),
                Undo::Waits(key, place) => self.stand(&key, place),
            }
        }
        self.stirred = true;
    }
}

#[cfg(test)]
mod tests;
