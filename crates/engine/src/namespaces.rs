//! Carries out the life of a namespace: gives it what every namespace has, and empties it when it is deleted.

use jiff::SignedDuration;
use serde_json::Value;
use windlass_apiserver::kind::{Kind, Propagation};
use windlass_apiserver::kinds;
use windlass_apiserver::registry::Object;
use windlass_control::namespace::{self, Remaining};
use windlass_store::{Key, ListRequest};

use crate::draft::Draft;
use crate::intake::read;
use crate::pods::is_deleting;
use crate::tick::Tick;

/// Objects of a terminating namespace that one transaction deletes.
const EMPTIED_AT_ONCE: usize = 200;
/// When to look again at a namespace that is not yet empty: its pods may need their grace. Each look reads all that is
/// left, so that one that takes long is looked at the more seldom the longer it takes.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_millis(250);
const LOOK_AT_LEAST: SignedDuration = SignedDuration::from_secs(5);
/// The wait is so small a part of the time that it has taken.
const PART: i32 = 16;

/// What pods trust is the authority of today, whoever wrote something else.
///
/// Source: upstream `syncNamespace` in `pkg/controller/certificates/rootcacertpublisher/publisher.go`.
fn restore(draft: &mut Draft, kind: &'static Kind, key: &Key, there: Object, data: &Value) {
    if !data.is_null() && there["data"] != *data && !is_deleting(&there) {
        let mut after = there.clone();
        after["data"] = data.clone();
        draft.replace(kind, key, there, after);
    }
}

/// What is left of a kind in a namespace, and a batch of the objects themselves.
type Left = (Remaining, &'static Kind, Vec<(Key, Object)>);

impl Tick {
    /// One look at a namespace.
    pub(crate) fn namespace(&mut self, draft: &mut Draft, key: &Key) {
        let Some(namespace) = draft.current(&self.cache, key) else { return };
        let name = namespace.text("name").to_owned();
        if is_deleting(namespace) {
            self.empty(draft, key, &name);
        } else {
            self.furnish(draft, &name);
        }
    }

    fn furnish(&mut self, draft: &mut Draft, name: &str) {
        for object in namespace::given(name, &self.authority) {
            self.ensure(draft, object);
        }
    }

    fn ensure(&mut self, draft: &mut Draft, object: Value) {
        let named = kinds::by_kind("v1", object["kind"].as_str().unwrap_or_default());
        let Some(kind) = named else { return };
        let meta = &object["metadata"];
        let key = kind.key(meta["namespace"].as_str(), meta["name"].as_str().unwrap_or_default());
        if draft.touches(&key) {
            return;
        }
        if let Some(there) = self.stored(&key) {
            return restore(draft, kind, &key.into(), there, &object["data"]);
        }
        match self.registry.prepare(kind, object) {
            Ok(object) => {
                draft.insert(kind, object.into());
            }
            Err(cause) => tracing::error!(%cause, %key, "a namespace's own object cannot be made"),
        }
    }

    /// Deletes what is in the namespace; when nothing is left, lets it go.
    fn empty(&mut self, draft: &mut Draft, key: &Key, name: &str) {
        let Some(held) = self.cache.held(key).cloned() else { return };
        let own = kinds::all().iter().filter(|kind| kind.namespaced && kind.stored.is_none());
        let left: Vec<Left> = own.map(|kind| self.remaining(kind, name)).collect();
        let remaining: Vec<Remaining> = left.iter().map(|(remaining, _, _)| remaining.clone()).collect();
        let plan = namespace::plan(held.view.meta(), &held.object.whole(), &remaining, self.world.now());
        for (remaining, kind, objects) in left {
            if !plan.delete.contains(&(remaining.resource.clone(), remaining.group.clone())) {
                continue;
            }
            for (object_key, object) in objects {
                if !draft.touches(&object_key) && !is_deleting(&object) {
                    self.delete_object(draft, kind, &object_key, object, Propagation::Background);
                }
            }
        }
        if let Some(status) = plan.status {
            draft.edit(&self.cache, key, |namespace| namespace.set_status(status));
        }
        if plan.finalize {
            draft.edit(&self.cache, key, drop_finalizer);
        } else {
            let now = self.world.now();
            let since = held.view.meta().deletion_timestamp.unwrap_or(now);
            self.timers.set(key, now.checked_add(pause(now.duration_since(since))).ok());
        }
    }

    /// What is left of a kind in a namespace; of the objects themselves a batch.
    fn remaining(&self, kind: &'static Kind, name: &str) -> Left {
        let prefix = kind.prefix(Some(name));
        let objects = self.batch(&prefix);
        let mut remaining = Remaining {
            resource: kind.plural.to_owned(),
            group: kind.group.to_owned(),
            objects: self.registry.store.count(&prefix),
            untouched: objects.iter().filter(|(_, object)| !is_deleting(object)).count(),
            ..Remaining::default()
        };
        for (_, object) in &objects {
            for finalizer in object["metadata"]["finalizers"].as_array().into_iter().flatten() {
                *remaining
                    .finalizers
                    .entry(finalizer.as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
        }
        (remaining, kind, objects)
    }
}

impl Tick {
    /// Objects below a prefix: those that go already, and as many of the others as one transaction deletes.
    fn batch(&self, prefix: &str) -> Vec<(Key, Object)> {
        let mut objects: Vec<(Key, Object)> = Vec::new();
        let mut untouched = 0;
        loop {
            let after_key = objects.last().map(|(key, _)| &**key);
            let request = ListRequest {
                prefix,
                after_key,
                limit: Some(EMPTIED_AT_ONCE),
                at: None,
                tagged: None,
                filter: None,
            };
            let Ok(page) = self.registry.store.list(&request) else { return objects };
            for entry in page.entries {
                if let Some(object) = read(&entry) {
                    untouched += usize::from(!is_deleting(&object));
                    objects.push((entry.key, object));
                }
            }
            if !page.more || untouched >= EMPTIED_AT_ONCE {
                return objects;
            }
        }
    }
}

/// How long to wait for a namespace that has been going for so long.
fn pause(going: SignedDuration) -> SignedDuration {
    (going / PART).clamp(LOOK_AGAIN, LOOK_AT_LEAST)
}

/// Takes `kubernetes` off `spec.finalizers`: the namespace is empty.
fn drop_finalizer(namespace: &mut Object) {
    if let Some(Value::Array(finalizers)) =
        namespace["spec"].as_object_mut().and_then(|s| s.get_mut("finalizers"))
    {
        finalizers.retain(|finalizer| finalizer != namespace::FINALIZER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_that_takes_long_is_looked_at_seldom() {
        for (going_ms, pause_ms) in [(-1000, 250), (0, 250), (4000, 250), (16_000, 1000), (3_600_000, 5000)] {
            let going = SignedDuration::from_millis(going_ms);
            assert_eq!(pause(going), SignedDuration::from_millis(pause_ms), "{going_ms}");
        }
    }
}
