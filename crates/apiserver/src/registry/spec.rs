//! A spec, as a JSON tree, as text, or both: each is made of the other once somebody asks for it.
//!
//! Of most Jobs that wait, nobody asks for the tree: its text is what is stored and shown.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::schema;

/// A spec, with what is made of it once for all objects that have it. It reads as its JSON value.
#[derive(Debug, Default)]
pub struct Spec {
    /// The tree. Where there is neither tree nor text there is no spec.
    value: OnceLock<Arc<Value>>,
    /// The same as compact JSON.
    json: OnceLock<Vec<u8>>,
    weight: OnceLock<usize>,
    bound: OnceLock<(String, Arc<Spec>)>,
}

impl Spec {
    /// A spec that is written in compact JSON, which is one of ours: no key stands in it twice.
    pub(super) fn of_json(json: Vec<u8>) -> Spec {
        Spec { json: json.into(), ..Spec::default() }
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        match self.value.get() {
            Some(value) => value.is_null(),
            None => self.json.get().is_none(),
        }
    }

    /// The spec as compact JSON.
    pub(super) fn json(&self) -> &[u8] {
        // Writing a JSON value into memory cannot fail: its keys are text.
        self.json.get_or_init(|| serde_json::to_vec(&**self.value()).unwrap_or_default())
    }

    /// The spec without one of its fields, where only its text is there: reading the rest of that is far less than
    /// making the tree. Nothing where the tree is there.
    #[must_use]
    pub fn read_but(&self, field: &str) -> Option<Value> {
        let json = self.json.get().filter(|_| self.value.get().is_none())?;
        Some(schema::parse_but(json, field)?.0)
    }

    /// About as many bytes as it has as JSON.
    pub(super) fn weight(&self, weight: impl FnOnce(&Value) -> usize) -> usize {
        *self.weight.get_or_init(|| match self.json.get() {
            Some(json) => json.len(),
            None => weight(self.value()),
        })
    }

    /// The same spec with this `nodeName`. Whoever binds it to the same node shares what is made of it.
    pub(super) fn bound(&self, node: &str) -> Option<Arc<Spec>> {
        let (bound_to, bound) = self.bound.get_or_init(|| {
            let mut spec = Value::clone(self.value());
            spec["nodeName"] = node.into();
            (node.to_owned(), Arc::new(Spec::from(spec)))
        });
        (bound_to == node).then(|| Arc::clone(bound))
    }

    /// Whether something is known of it beyond its tree, which a change of that would make untrue.
    pub(super) fn is_used(&self) -> bool {
        self.json.get().is_some() || self.bound.get().is_some() || self.weight.get().is_some()
    }

    /// The tree of a spec that is not used, to be changed.
    pub(super) fn value_mut(&mut self) -> &mut Value {
        self.value();
        Arc::make_mut(self.value.get_mut().expect("the line above has set it"))
    }

    fn value(&self) -> &Arc<Value> {
        let read = |json: &Vec<u8>| match schema::read_stored(json) {
            Ok(value) => value,
            Err(cause) => {
                // What it says may be a secret.
                tracing::error!(%cause, bytes = json.len(), "the text of a spec cannot be read");
                Value::Null
            }
        };
        self.value.get_or_init(|| Arc::new(self.json.get().map(read).unwrap_or_default()))
    }
}

impl From<Value> for Spec {
    fn from(value: Value) -> Spec {
        Spec { value: Arc::new(value).into(), ..Spec::default() }
    }
}

impl Deref for Spec {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value()
    }
}

impl Clone for Spec {
    /// A copy to be changed: nothing is known of it yet but its tree.
    fn clone(&self) -> Spec {
        Spec { value: Arc::clone(self.value()).into(), ..Spec::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_that_came_as_text_reads_as_one_that_came_as_a_tree() {
        let value = json!({"suspend": true, "template": {"spec": {"containers": [{"name": "é \" \\"}]}}});
        let (tree, text) = (Spec::from(value.clone()), Spec::of_json(value.to_string().into_bytes()));
        assert_eq!((&*text, text.json()), (&*tree, tree.json()));
        assert_eq!(
            (Spec::default().is_none(), text.is_none(), &*Spec::default()),
            (true, false, &Value::Null)
        );
    }

    #[test]
    fn all_but_one_field_is_read_of_the_text_only_while_there_is_no_tree() {
        let text = Spec::of_json(br#"{"a":1,"template":{"b":2}}"#.to_vec());
        assert_eq!(text.read_but("template"), Some(json!({"a": 1})));
        assert_eq!(text["template"]["b"], 2);
        assert_eq!(text.read_but("template"), None);
    }

    #[test]
    fn a_copy_of_a_text_can_be_changed() {
        let text = Spec::of_json(br#"{"a":1}"#.to_vec());
        let mut copy = text.clone();
        copy.value_mut()["a"] = json!(2);
        assert_eq!((text.json(), copy.json()), (&br#"{"a":1}"#[..], &br#"{"a":2}"#[..]));
    }
}
