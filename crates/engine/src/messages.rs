//! Termination messages: the files that containers write them to, and what is read of them (or of the log) when a
//! container has ended.
//!
//! Source: upstream `getTerminationMessage` in pkg/kubelet/kuberuntime/kuberuntime_container.go.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;
use windlass_runner::kubelet::message_limit;
use windlass_runner::log;
use windlass_runner::mounts::Mount;
use windlass_runner::runtime::{Event, Key as RunKey};
use windlass_store::Key;

use crate::tick::Tick;
use crate::volumes::Volumes;

/// What of the end of a log stands for a message that was not written: lines, and bytes.
const LOG_LINES: u64 = 80;
const LOG_BYTES: usize = 2 << 10;

impl Volumes {
    /// The file of a run's message. No volume has a name like the directory's.
    pub(crate) fn message(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.disk(uid).join(".messages").join(format!("{container}.{attempt}"))
    }

    pub(crate) fn message_mount(&self, uid: &str, container: &str, attempt: u32, target: &Path) -> Mount {
        let source = self.message(uid, container, attempt);
        Mount { source, target: target.to_owned(), is_file: true, is_read_only: false, is_own: true }
    }
}

/// Makes the file of a run's message, empty and for everybody to write.
pub(crate) fn make(path: &Path) -> Result<(), String> {
    let made = || {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o666))
    };
    made().map_err(|cause: io::Error| format!("{}: {cause}", path.display()))
}

impl Tick {
    /// What a run that ended has left to say. Costs a look at two tables for a run that succeeds and has no such file.
    pub(crate) fn last_words(&self, key: &Key, event: &Event) -> String {
        let Event::Exited { key: run, ended, .. } = event else { return String::new() };
        if let Some(told) = self.fates.message(run).filter(|told| !told.is_empty()) {
            let containers = self.cache.held(key).map_or(1, |held| container(held.object.spec(), "").1);
            return bounded(told.as_bytes(), message_limit(containers));
        }
        let failed = ended.exit_code() != 0;
        let has_directory = self.volumes.has(&run.pod);
        if !failed && !has_directory {
            return String::new();
        }
        let Some(pod) = self.cache.held(key).map(|held| &held.object) else { return String::new() };
        let (container, containers) = container(pod.spec(), &run.container);
        let limit = message_limit(containers);
        let written = if has_directory { self.written(run, container) } else { Vec::new() };
        let falls_back = failed && container["terminationMessagePolicy"] == "FallbackToLogsOnError";
        let text = if written.is_empty() && falls_back { self.end_of_log(run) } else { written };
        bounded(&text, limit)
    }

    fn written(&self, run: &RunKey, container: &Value) -> Vec<u8> {
        let file = self.volumes.message(&run.pod, &run.container, run.attempt);
        match end_of(&file, message_limit(1)) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound => Vec::new(),
            Err(cause) => {
                let path = container["terminationMessagePath"].as_str().unwrap_or_default();
                format!("Error on reading termination log {path}: {cause}").into_bytes()
            }
        }
    }

    fn end_of_log(&self, run: &RunKey) -> Vec<u8> {
        let path = self.home.container_log(&run.pod, &run.container, run.attempt);
        log::last(&path, LOG_LINES, LOG_BYTES).unwrap_or_else(|cause| {
            format!("Error on reading termination message from logs: {cause}").into_bytes()
        })
    }
}

/// A container of a pod, and how many there are.
fn container<'a>(spec: &'a Value, name: &str) -> (&'a Value, usize) {
    let lists = ["containers", "initContainers"].into_iter();
    let all = || lists.clone().filter_map(|list| spec[list].as_array()).flatten();
    let found = all().find(|container| container["name"] == name);
    (found.unwrap_or(&Value::Null), all().count())
}

/// The last bytes of a file.
fn end_of(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let most = most as u64;
    let begin = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(begin))?;
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text)?;
    Ok(text)
}

/// Text of at most so many bytes; bytes that are none are shown as such.
fn bounded(bytes: &[u8], limit: usize) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_file_is_what_is_read_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/file");
        make(&file).unwrap();
        assert_eq!(end_of(&file, 4).unwrap(), b"");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o666);
        fs::write(&file, "0123456789").unwrap();
        assert_eq!(end_of(&file, 4).unwrap(), b"6789");
        make(&file).unwrap();
        assert_eq!(end_of(&file, 4).unwrap(), b"", "a run begins with an empty one");
    }

    #[test]
    fn message_is_cut_at_a_character() {
        assert_eq!(bounded("aéé".as_bytes(), 4), "aé");
        assert_eq!(bounded(b"a\xff", 10), "a\u{fffd}");
        assert_eq!(bounded(b"abc", 2), "ab");
        assert_eq!(bounded(b"", 2), "");
    }
}
