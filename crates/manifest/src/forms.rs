//! How small things are written in one word: a toleration, a key of an object, an object whose keys become variables.
//! The same on the command line and in job files.

use windlass_model::label;

use crate::edit::{EnvObject, EnvSource, Toleration};

/// How a toleration is written, for a message.
pub const TOLERATION_FORMS: &str = "write KEY=VALUE:EFFECT, KEY:EFFECT for any value, or KEY; effects are NoSchedule, PreferNoSchedule and NoExecute";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

impl Toleration {
    /// `KEY=VALUE:EFFECT`, `KEY:EFFECT`, `KEY`, as kubectl writes taints; `*` is every key.
    ///
    /// # Errors
    /// What is wrong with the text, as the rest of a sentence about it.
    pub fn parse(text: &str) -> Result<Toleration, &'static str> {
        let (rest, effect) = match text.rsplit_once(':') {
            Some((rest, effect)) if EFFECTS.contains(&effect) => (rest, Some(effect.to_owned())),
            Some(_) => return Err("has no effect that Kubernetes knows"),
            None => (text, None),
        };
        let (key, value) = match rest.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (rest, None),
        };
        let mut found = windlass_model::Problems::new();
        if key != "*" {
            label::check_key("", key, &mut found);
        }
        if !found.is_empty() || value.is_some_and(|value| !label::is_value(value)) {
            return Err("names no taint");
        }
        if key == "*" && value.is_some() {
            return Err("has a value for every key");
        }
        Ok(Toleration {
            key: (key != "*").then(|| key.to_owned()),
            operator: value.is_none().then(|| "Exists".to_owned()),
            value: value.map(str::to_owned),
            effect,
        })
    }
}

/// A key of an object, `OBJECT:KEY`.
///
/// # Errors
/// What is wrong with the text, as the rest of a sentence about it.
pub fn key_of(text: &str) -> Result<(String, String), &'static str> {
    let (name, key) = text.split_once(':').ok_or("has no key; write OBJECT:KEY")?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !label::is_subdomain(name) {
        return Err("names no object; write OBJECT:KEY");
    }
    if key.is_empty() || !key.chars().all(is_key) {
        return Err("names no key; one has letters, digits, '-', '_' and '.'");
    }
    Ok((name.to_owned(), key.to_owned()))
}

impl EnvSource {
    /// A secret's key, `SECRET:KEY`.
    ///
    /// # Errors
    /// See [`key_of`].
    pub fn secret(text: &str) -> Result<EnvSource, &'static str> {
        key_of(text).map(|(name, key)| EnvSource::Secret { name, key })
    }

    /// A ConfigMap's key, `CONFIGMAP:KEY`.
    ///
    /// # Errors
    /// See [`key_of`].
    pub fn config_map(text: &str) -> Result<EnvSource, &'static str> {
        key_of(text).map(|(name, key)| EnvSource::ConfigMap { name, key })
    }
}

impl EnvObject {
    /// `secret/NAME` or `configmap/NAME`.
    ///
    /// # Errors
    /// What is wrong with the text, as the rest of a sentence about it.
    pub fn parse(text: &str) -> Result<EnvObject, &'static str> {
        match text.split_once('/') {
            Some((_, name)) if !label::is_subdomain(name) => Err("names no object"),
            Some(("secret", name)) => Ok(EnvObject::Secret(name.to_owned())),
            Some(("configmap" | "cm", name)) => Ok(EnvObject::ConfigMap(name.to_owned())),
            _ => Err("is neither secret/NAME nor configmap/NAME"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_are_written_as_taints() {
        let of = |text: &str| {
            Toleration::parse(text).map(|one| {
                [one.key, one.operator, one.value, one.effect].map(Option::unwrap_or_default).join("|")
            })
        };
        assert_eq!(of("gpu=yes:NoSchedule").unwrap(), "gpu||yes|NoSchedule");
        assert_eq!(of("nvidia.com/gpu:NoExecute").unwrap(), "nvidia.com/gpu|Exists||NoExecute");
        assert_eq!(of("gpu").unwrap(), "gpu|Exists||");
        assert_eq!(of("gpu=").unwrap(), "gpu|||");
        assert_eq!(of("*").unwrap(), "|Exists||");
        for bad in ["", "gpu:Never", "a b", "gpu=a b", "*=x", ":NoSchedule", "gpu=a:b:NoSchedule"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_and_objects_are_named_whole() {
        assert_eq!(key_of("db:password").unwrap(), ("db".into(), "password".into()));
        for bad in ["db", "db:", ":key", "Db:key", "db:a b"] {
            assert!(key_of(bad).is_err(), "{bad}");
        }
        assert_eq!(EnvObject::parse("secret/db").unwrap(), EnvObject::Secret("db".into()));
        assert_eq!(EnvObject::parse("cm/db").unwrap(), EnvObject::ConfigMap("db".into()));
        for bad in ["db", "secret/", "pod/db", "secret/a/b"] {
            assert!(EnvObject::parse(bad).is_err(), "{bad}");
        }
    }
}
