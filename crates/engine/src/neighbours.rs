//! Who is on the node, for those who ask for others beside them or for none; and who waits for some to come or go.
//!
//! What is here is what the store says, and what the present draft binds. Those who wait are asked again in their order, a
//! few in a round, after something changed: however many wait, a round stays short.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use serde_json::Value;
use windlass_apiserver::registry::Object;
use windlass_control::schedule::{self, Beside, Fields, Quarrel};
use windlass_store::Key;

use crate::draft::Draft;
use crate::pods::is_ended;
use crate::tick::Tick;

/// How many of those who wait are asked in one round.
const AT_ONCE: usize = 16;

/// Who is here, and who waits for a change of that.
#[derive(Default)]
pub(crate) struct Neighbours {
    here: Crowd,
    /// Whom the present draft binds.
    fresh: Crowd,
    waiting: BTreeSet<Place>,
    ranks: HashMap<Key, Rank>,
    /// Something changed since all who wait were asked.
    stirred: bool,
    /// They are being asked: after this one.
    asked: Option<Option<Place>>,
}

/// The higher priority first, then who was made earlier.
type Rank = (Reverse<i64>, String);
type Place = (Rank, Key);

/// Pods on the node.
#[derive(Default)]
struct Crowd {
    all: BTreeSet<Key>,
    /// Those of them with host ports.
    ports: BTreeSet<Key>,
    /// Those of them that insist on others not being near.
    repelling: BTreeSet<Key>,
}

impl Crowd {
    fn insert(&mut self, key: &Key, spec: &Value) {
        self.all.insert(key.clone());
        if schedule::has_ports(spec) {
            self.ports.insert(key.clone());
        }
        if schedule::repels(spec) {
            self.repelling.insert(key.clone());
        }
    }

    fn remove(&mut self, key: &Key) -> bool {
        self.ports.remove(key);
        self.repelling.remove(key);
        self.all.remove(key)
    }
}

impl Neighbours {
    /// What the store says of a pod now: whether it is on the node, and whether what others ask about has changed.
    fn observe(&mut self, key: &Key, spec: &Value, is_here: bool, is_another: bool) {
        let was_here = self.here.all.contains(key);
        match is_here {
            true if !was_here => self.here.insert(key, spec),
            false if was_here => drop(self.here.remove(key)),
            _ => {}
        }
        self.stirred |= is_here != was_here || is_another;
    }

    /// A pod is no more.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.leave(key);
        self.stirred |= self.here.remove(key);
    }

    /// The draft binds a pod.
    pub(crate) fn bind(&mut self, key: &Key, spec: &Value) {
        self.fresh.insert(key, spec);
    }

    /// The draft is committed, or thrown away.
    pub(crate) fn settle(&mut self) {
        if !self.fresh.all.is_empty() {
            self.fresh = Crowd::default();
        }
    }

    /// Something else changed that those who wait may ask about.
    pub(crate) fn stir(&mut self) {
        self.stirred = true;
    }

    fn wait(&mut self, key: &Key, rank: Rank) {
        self.leave(key);
        self.waiting.insert((rank.clone(), key.clone()));
        self.ranks.insert(key.clone(), rank);
    }

    /// A pod does not wait for others; whether it did.
    pub(crate) fn leave(&mut self, key: &Key) -> bool {
        let Some(rank) = self.ranks.remove(key) else { return false };
        self.waiting.remove(&(rank, key.clone()))
    }

    /// Whether somebody who waits may have become lucky.
    pub(crate) fn is_stirred(&self) -> bool {
        (self.stirred || self.asked.is_some()) && !self.waiting.is_empty()
    }

    /// The next of those who wait that are to be asked: in their order, and all of them before anyone again.
    fn next(&mut self) -> Vec<Key> {
        let Some(after) = self.asked.take().or_else(|| std::mem::take(&mut self.stirred).then_some(None))
        else {
            return Vec::new();
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<Place> = self.waiting.range((from, Bound::Unbounded)).take(AT_ONCE).cloned().collect();
        if next.len() == AT_ONCE {
            self.asked = next.last().cloned().map(Some);
        }
        next.into_iter().map(|(_, key)| key).collect()
    }
}

/// Those on the node but one, as a draft has them.
struct Others<'a> {
    tick: &'a Tick,
    draft: &'a Draft,
    but: &'a Key,
}

impl<'a> Others<'a> {
    fn known(
        &'a self,
        keys: impl Iterator<Item = &'a Key> + 'a,
    ) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        let node = self.tick.node.name.as_str();
        let objects =
            keys.filter(|key| *key != self.but).filter_map(|key| self.draft.current(&self.tick.cache, key));
        let here = objects.filter(move |pod| pod["spec"]["nodeName"] == node && !is_ended(pod));
        Box::new(here.map(|pod| pod as &dyn Fields))
    }
}

impl Beside for Others<'_> {
    fn pods<'a>(&'a self, namespace: Option<&'a str>) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        let prefix = namespace.map_or("/pods/".to_owned(), |namespace| format!("/pods/{namespace}/"));
        let crowds = [&self.tick.neighbours.here, &self.tick.neighbours.fresh];
        let keys = crowds.into_iter().flat_map(move |crowd| {
            let prefix = prefix.clone();
            let from = (Bound::Included(Key::from(prefix.as_str())), Bound::Unbounded);
            crowd.all.range(from).take_while(move |key| key.starts_with(&prefix))
        });
        self.known(keys)
    }

    fn with_ports<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        self.known(self.tick.neighbours.here.ports.iter().chain(&self.tick.neighbours.fresh.ports))
    }

    fn repelling<'a>(&'a self) -> Box<dyn Iterator<Item = &'a dyn Fields> + 'a> {
        self.known(self.tick.neighbours.here.repelling.iter().chain(&self.tick.neighbours.fresh.repelling))
    }

    fn labels_of(&self, namespace: &str) -> &Value {
        let held = self.tick.cache.held(&format!("/namespaces/{namespace}"));
        held.map_or(&Value::Null, |held| &held.object.metadata()["labels"])
    }
}

impl Tick {
    /// Why a pod cannot be beside those that are here, if it cannot.
    pub(crate) fn quarrel(&self, draft: &Draft, key: &Key) -> Option<Quarrel> {
        let pod = draft.current(&self.cache, key)?;
        schedule::quarrel(pod, &self.node, &Others { tick: self, draft, but: key })
    }

    /// Whether a pod that was bound by somebody else asks for a host port that another has.
    pub(crate) fn clashes(&self, draft: &Draft, key: &Key) -> bool {
        let Some(pod) = draft.current(&self.cache, key) else { return false };
        schedule::clashes(pod, &self.node, &Others { tick: self, draft, but: key })
    }

    /// A pod waits for others to come or go, and is told so.
    pub(crate) fn keep_apart(&mut self, draft: &mut Draft, key: &Key, quarrel: Quarrel) {
        let Some(pod) = draft.current(&self.cache, key) else { return };
        let created = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        self.neighbours.wait(key, (Reverse(crate::room::priority(pod)), created));
        if let Some(plan) = schedule::apart(pod, quarrel, self.world.now()) {
            self.scheduled(draft, key, plan);
        }
    }

    /// What the store says of a pod: whether it is on the node.
    pub(crate) fn pod_is_here(&mut self, key: &Key, pod: &Object, is_here: bool) {
        let is_another = !self.neighbours.waiting.is_empty()
            && self.cache.held(key).is_some_and(|held| held.object.metadata() != pod.metadata());
        self.neighbours.observe(key, pod.spec(), is_here, is_another);
    }

    /// Before a decision: some of those who wait for others are asked whether they still have to.
    pub(crate) fn ask_those_apart(&mut self) {
        if self.draining() || !self.neighbours.is_stirred() {
            return;
        }
        let draft = Draft::default();
        for key in self.neighbours.next() {
            if self.quarrel(&draft, &key).is_none() {
                self.dirty.insert(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(number: usize) -> Key {
        format!("/pods/n/p{number:03}").into()
    }

    #[test]
    fn all_who_wait_are_asked_in_their_order_before_anyone_again() {
        let mut neighbours = Neighbours::default();
        neighbours.stir();
        assert!(!neighbours.is_stirred(), "nobody waits");
        for number in 0..40 {
            neighbours.wait(&key(number), (Reverse(i64::from(number == 39)), format!("{:03}", 100 - number)));
        }
        let mut asked = Vec::new();
        while neighbours.is_stirred() {
            let next = neighbours.next();
            assert!(next.len() <= AT_ONCE);
            // Whoever is asked comes back to wait; what changes meanwhile has all asked once more.
            if asked.is_empty() {
                neighbours.stir();
            }
            asked.extend(next);
        }
        let once: Vec<Key> = std::iter::once(39).chain((0..39).rev()).map(key).collect();
        assert_eq!(asked, [once.clone(), once].concat());
        neighbours.forget(&key(39));
        neighbours.leave(&key(0));
        assert!(neighbours.next().is_empty(), "one that was not here changes nothing");
        neighbours.stir();
        assert_eq!(neighbours.next().first(), Some(&key(38)));
    }

    #[test]
    fn who_comes_goes_or_changes_stirs_and_who_stays_does_not() {
        let mut neighbours = Neighbours::default();
        neighbours.wait(&key(1), (Reverse(0), String::new()));
        let spec = json!({"containers": [{"ports": [{"hostPort": 1}]}]});
        for (is_here, is_another, stirs) in [
            (true, false, true),
            (true, false, false),
            (true, true, true),
            (false, false, true),
            (false, false, false),
        ] {
            neighbours.observe(&key(2), &spec, is_here, is_another);
            assert_eq!(neighbours.is_stirred(), stirs);
            assert_eq!(neighbours.here.ports.len(), usize::from(is_here));
            neighbours.next();
        }
    }
}
