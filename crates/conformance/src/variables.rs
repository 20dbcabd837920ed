//! Placeholders of the script and their values in one run of a case. Pure.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::Value;

/// What placeholders stand for.
#[derive(Clone, Debug)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// Collections in the case's namespace that have a short placeholder.
const COLLECTIONS: [(&str, &str); 13] = [
    ("jobs", "/apis/batch/v1"),
    ("cronjobs", "/apis/batch/v1"),
    ("pods", "/api/v1"),
    ("configmaps", "/api/v1"),
    ("secrets", "/api/v1"),
    ("serviceaccounts", "/api/v1"),
    ("events", "/api/v1"),
    ("services", "/api/v1"),
    ("replicasets", "/apis/apps/v1"),
    ("persistentvolumeclaims", "/api/v1"),
    ("resourcequotas", "/api/v1"),
    ("limitranges", "/api/v1"),
    ("leases", "/apis/coordination.k8s.io/v1"),
];

impl Variables {
    /// Those that every case has.
    pub(crate) fn of_namespace(namespace: &str) -> Variables {
        let mut values = BTreeMap::from([("ns".to_owned(), namespace.to_owned())]);
        for (plural, group) in COLLECTIONS {
            values.insert(plural.to_owned(), format!("{group}/namespaces/{namespace}/{plural}"));
        }
        // The newer group's events have the name of the older one's.
        values.insert("news".to_owned(), format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"));
        Variables(values)
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Puts the values in; a name without one is an error.
    pub(crate) fn expand(&self, text: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let Some(end) = rest[at..].find('}') else { break };
            let name = &rest[at + 2..at + end];
            let Some(value) = self.get(name) else { bail!("nothing has captured ${{{name}}}") };
            out.push_str(&rest[..at]);
            out.push_str(value);
            rest = &rest[at + end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The same in every text of a value.
    pub(crate) fn expand_all(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => Value::String(self.expand(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.expand_all(item)).collect::<Result<_>>()?)
            }
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, value)| Ok((self.expand(key)?, self.expand_all(value)?)))
                    .collect::<Result<_>>()?,
            ),
            other => other.clone(),
        })
    }
}

/// The names of the placeholders in a text.
pub(crate) fn names_in(text: &str) -> Vec<String> {
    text.split("${")
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .collect()
}
