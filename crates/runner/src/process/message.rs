//! Where a container writes its termination message, if it may write one. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::text::Text;

/// Where upstream's default is. Nearly every container has it and nearly none uses it.
const DEFAULT: &str = "/dev/termination-log";

/// The file that a container is to find at its `terminationMessagePath`. A path of the container's own choice always;
/// the default only where its arguments or its variables name it, because a file there takes a file system of the
/// container's own, which would cost every other container as much.
pub(super) fn path(spec: &Value, argv: &[String], variables: &BTreeMap<String, Text>) -> Option<PathBuf> {
    match spec["terminationMessagePath"].as_str().unwrap_or_default() {
        "" => None,
        DEFAULT => {
            let mut words = argv.iter().map(String::as_bytes).chain(variables.values().map(Text::as_bytes));
            words
                .any(|word| word.windows(DEFAULT.len()).any(|part| part == DEFAULT.as_bytes()))
                .then(|| PathBuf::from(DEFAULT))
        }
        path if path.starts_with('/') => Some(PathBuf::from(path)),
        // As upstream (MakeAbsolutePath in pkg/volume/util).
        path => Some(PathBuf::from(format!("/{path}"))),
    }
}
