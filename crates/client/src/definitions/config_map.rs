//! The template of a definition, wherever it is: a ConfigMap is asked for each time.

use serde_json::Value;
use windlass_manifest::formats::definition::{Definition, Source, Template};
use windlass_model::Problem;

use super::Definitions;
use crate::transport::{Call, segment};
use crate::{Error, JobManager, Result};

impl JobManager {
    /// The template of a definition of any register; from a ConfigMap each time anew.
    ///
    /// # Errors
    /// `File`, `Template`, and what every call may answer.
    pub async fn template(&self, definitions: &Definitions, definition: &Definition) -> Result<Template> {
        if let Some(template) = definitions.template(definition)? {
            return Ok(template);
        }
        let Source::ConfigMap { name, namespace } = &definition.source else {
            return Err(Problem::new("", "has no template").into());
        };
        let place = format!("ConfigMap {namespace}/{name}");
        let path = format!("/api/v1/namespaces/{}/configmaps/{}", segment(namespace), segment(name));
        let map: Value = match self.ask(Call::get(path)).await {
            Ok(answer) => answer.value,
            Err(fault) if fault.is_not_found() => {
                let message =
                    format!("is not there; definition {:?} has its template in it", definition.name);
                return Err(Error::File { path: place, message });
            }
            Err(fault) => return Err(self.error("", fault)),
        };
        match map["data"][name].as_str() {
            Some(text) => Ok(Template::new(place, text)),
            None => {
                let keys = map["data"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
                let keys: Vec<String> = keys.collect();
                let message = format!("has no key {name:?}, its own name; it has: {}", keys.join(", "));
                Err(Error::File { path: place, message })
            }
        }
    }
}
