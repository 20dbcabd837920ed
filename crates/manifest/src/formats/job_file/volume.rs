//! `SOURCE:PATH[:ro]`, as `--volume` takes it.

use windlass_model::label;

use crate::edit::{Mount, VolumeSource};
use crate::fields::{Faults, Field};

const FORMS: &str = "write /DIR:PATH, claim/NAME:PATH, configmap/NAME:PATH, secret/NAME:PATH or empty:PATH, with :ro for \
                     reading only";

/// Reads one.
pub(super) fn read(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Mount> {
    let text = field.text(faults)?;
    match mount(&text) {
        Ok(mount) => Some(mount),
        Err(why) => {
            field.wrong(format!("{text:?} {why}; {FORMS}"), faults);
            None
        }
    }
}

fn mount(text: &str) -> Result<Mount, &'static str> {
    let (rest, read_only) = match text.strip_suffix(":ro") {
        Some(rest) => (rest, true),
        None => (text.strip_suffix(":rw").unwrap_or(text), false),
    };
    let (source, path) = rest.rsplit_once(':').ok_or("has no path to be seen at")?;
    if !path.starts_with('/') {
        return Err("is not seen at an absolute path");
    }
    let source = match source.split_once('/') {
        None if source == "empty" => VolumeSource::Empty,
        Some(("", _)) => VolumeSource::Host(source.to_owned()),
        Some(("." | "..", _)) => {
            return Err("names no absolute directory, and a file has no directory of its own");
        }
        Some((_, name)) if !label::is_subdomain(name) => return Err("names no object"),
        Some(("claim" | "pvc", name)) => VolumeSource::Claim(name.to_owned()),
        Some(("configmap" | "cm", name)) => VolumeSource::ConfigMap(name.to_owned()),
        Some(("secret", name)) => VolumeSource::Secret(name.to_owned()),
        _ => return Err("has no source that is known"),
    };
    Ok(Mount { source, path: path.to_owned(), read_only, volume: None })
}
