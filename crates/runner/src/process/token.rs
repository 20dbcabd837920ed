//! The service account's tokens that a pod's volumes ask for: which, and where they go. Pure: it knows no token.
//!
//! Source: upstream `pkg/volume/projected/projected.go`.

use std::path::PathBuf;

use serde_json::Value;

use super::volumes;
use crate::volumes::File;

/// How long a token lasts where nobody said, seconds (the API's default).
const LASTS: i64 = 3600;

/// A file that is to hold a token of the pod's service account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenFile {
    /// The volume that it is in.
    pub volume: String,
    /// Where, below the volume.
    pub path: PathBuf,
    /// Whom the token is for; none: the API itself.
    pub audience: Option<String>,
    /// How long it lasts, seconds.
    pub seconds: i64,
    /// The file's mode: nobody else reads it.
    pub mode: u32,
}

impl TokenFile {
    /// The file with a token.
    #[must_use]
    pub fn file(&self, token: String) -> File {
        File { path: self.path.clone(), bytes: token.into_bytes(), mode: self.mode }
    }
}

/// The tokens that a pod's containers mount. They end, and are to be renewed before they do.
#[must_use]
pub fn tokens(pod: &Value) -> Vec<TokenFile> {
    let volumes = pod["spec"]["volumes"].as_array().map_or(&[][..], Vec::as_slice);
    let projected: Vec<&Value> =
        volumes.iter().filter(|volume| !volume["projected"]["sources"].is_null()).collect();
    if projected.is_empty() {
        return Vec::new();
    }
    let used = volumes::used(pod);
    let named =
        projected.into_iter().filter_map(|volume| Some((volume["name"].as_str()?, &volume["projected"])));
    let used = named.filter(|(name, _)| used.contains(name));
    used.flat_map(|(name, projected)| {
        sources(projected).map(move |source| read(name, source, volumes::mode(projected)))
    })
    .collect()
}

/// Whether a container mounts a token for the API.
pub(super) fn is_mounted(pod: &Value, spec: &Value) -> bool {
    let mounts = spec["volumeMounts"].as_array().into_iter().flatten();
    let mut names = mounts.filter_map(|mount| mount["name"].as_str());
    names.any(|name| {
        let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let volume = volumes.find(|volume| volume["name"] == name);
        volume.is_some_and(|volume| {
            sources(&volume["projected"]).any(|source| read("", source, 0).audience.is_none())
        })
    })
}

fn sources(projected: &Value) -> impl Iterator<Item = &Value> {
    let sources = projected["sources"].as_array().into_iter().flatten();
    sources.map(|source| &source["serviceAccountToken"]).filter(|source| source.is_object())
}

/// What a source of a projected volume asks for.
pub(super) fn read(volume: &str, source: &Value, mode: u32) -> TokenFile {
    TokenFile {
        volume: volume.to_owned(),
        path: source["path"].as_str().unwrap_or_default().into(),
        audience: source["audience"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
        seconds: source["expirationSeconds"].as_i64().unwrap_or(LASTS),
        mode: mode & 0o700,
    }
}
