//! Label and field selectors: what they mean for an object's tags and key.
//!
//! Reading them from text is in `parse`; knows nothing of HTTP. Grammar and texts follow apimachinery (labels, fields).

mod parse;
#[cfg(test)]
mod tests;

/// What the fuzz targets ask of selectors.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::parse::{fields as read_fields, labels as read_labels};
}

use std::sync::Arc;

use windlass_store::{TagFilter, Tags};

use crate::error::ApiError;
use crate::kind::Kind;
use crate::registry::{INDEXED, LABEL};

/// One demand on a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelTerm {
    /// The label.
    pub key: String,
    /// What is demanded of it.
    pub test: LabelTest,
}

/// What is demanded of a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LabelTest {
    /// It is there with one of these values.
    In(Vec<String>),
    /// It is absent or has none of these values.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is absent.
    Absent,
    /// It is a number above this.
    Above(i64),
    /// It is a number below this.
    Below(i64),
}

/// One demand on a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldTerm {
    /// The field, e.g. `status.phase`.
    pub field: String,
    /// The value.
    pub value: String,
    /// Whether it must be that value, or must not.
    pub equal: bool,
}

/// Which objects of a kind are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    labels: Vec<LabelTerm>,
    /// On tags `f/<field>`.
    fields: Vec<FieldTerm>,
    /// On `metadata.name` and `metadata.namespace`, which only the key tells.
    identity: Vec<FieldTerm>,
}

impl Selector {
    /// Reads the two query parameters. Errors are upstream's 400 answers.
    pub fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Selector, ApiError> {
        let labels = parse::labels(labels).map_err(ApiError::bad_request)?;
        let mut selector = Selector { labels, ..Selector::default() };
        for term in parse::fields(fields).map_err(ApiError::bad_request)? {
            match term.field.as_str() {
                "metadata.name" | "metadata.namespace" => selector.identity.push(term),
                field if kind.field_names.contains(&field) => selector.fields.push(match kind.stored {
                    Some(stored) => FieldTerm { field: (stored.field)(field), ..term },
                    None => term,
                }),
                field => return Err(ApiError::bad_request(unknown_field(kind, field))),
            }
        }
        Ok(selector)
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.identity.is_empty()
    }

    /// The value a field must have: `metadata.name` or `metadata.namespace`.
    #[must_use]
    pub fn exactly(&self, field: &str) -> Option<&str> {
        self.identity.iter().find(|t| t.equal && t.field == field).map(|t| t.value.as_str())
    }

    /// An indexed tag that every selected object has, by name and value.
    #[must_use]
    pub fn tag(&self) -> Option<(&'static str, &str)> {
        self.labels.iter().find_map(|term| {
            let name = INDEXED.into_iter().find(|name| name.strip_prefix(LABEL) == Some(&*term.key))?;
            match &term.test {
                LabelTest::In(values) if values.len() == 1 => Some((name, values.first()?.as_str())),
                _ => None,
            }
        })
    }

    /// Whether an object's tags pass.
    #[must_use]
    pub fn passes_tags(&self, tags: &Tags) -> bool {
        self.labels.iter().all(|term| term.passes(tags))
            && self.fields.iter().all(|term| {
                let value = tags.get(&format!("f/{}", term.field)).unwrap_or_default();
                (value == term.value) == term.equal
            })
    }

    /// Whether an object's key passes: `/jobs.batch/NAMESPACE/NAME`, or `/namespaces/NAME`.
    #[must_use]
    pub fn passes_key(&self, namespaced: bool, key: &str) -> bool {
        let mut parts = key.rsplitn(3, '/');
        let name = parts.next().unwrap_or_default();
        let namespace = if namespaced { parts.next().unwrap_or_default() } else { "" };
        self.identity.iter().all(|term| {
            let value = if term.field == "metadata.name" { name } else { namespace };
            (value == term.value) == term.equal
        })
    }

    /// The tags' part as a filter for the store; none if every tag passes.
    #[must_use]
    pub fn filter(self: &Arc<Self>) -> Option<TagFilter> {
        if self.labels.is_empty() && self.fields.is_empty() {
            return None;
        }
        let selector = Arc::clone(self);
        Some(Arc::new(move |tags| selector.passes_tags(tags)))
    }
}

impl LabelTerm {
    fn passes(&self, tags: &Tags) -> bool {
        let value = tags.get_in(LABEL, &self.key);
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.test {
            LabelTest::In(wanted) => value.is_some_and(|v| wanted.iter().any(|w| w == v)),
            LabelTest::NotIn(unwanted) => !value.is_some_and(|v| unwanted.iter().any(|w| w == v)),
            LabelTest::Exists => value.is_some(),
            LabelTest::Absent => value.is_none(),
            LabelTest::Above(limit) => number().is_some_and(|n| n > *limit),
            LabelTest::Below(limit) => number().is_some_and(|n| n < *limit),
        }
    }
}

fn unknown_field(kind: &Kind, field: &str) -> String {
    if kind.field_names.is_empty() {
        format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else if kind.group == "batch" {
        format!("field label {field:?} not supported for {}", kind.kind)
    } else {
        format!("field label not supported: {field}")
    }
}
