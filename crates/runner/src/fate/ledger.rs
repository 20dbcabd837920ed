//! What was asked for, in a file that outlives the engine: one JSON value a line. It is not synced to the disk: a power
//! failure may take played runs, as it takes real ones; they are lost then, and said to be.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use windlass_fate::Course;

use super::play::Play;
use crate::runtime::Key;

/// The format's number. Files from before it was written down are of format 1, too.
const FORMAT: u32 = 1;
/// So many lines more than are kept are not worth a rewrite.
const TIDY_FROM: usize = 4096;

/// One line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The first line: what follows is of this format.
    Format(u32),
    /// A run is to be played.
    Asked {
        key: Key,
        course: Box<Course>,
        log: PathBuf,
        at: Timestamp,
        /// The owner and the work of which it is one more run, if those are counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted: Option<(String, String)>,
    },
    /// It was sent a signal.
    Signalled { key: Key, signal: i32, at: Timestamp },
    /// So many runs of a work of an owner were started, in all.
    Counted { owner: String, work: String, runs: usize },
    /// The owner is no more.
    Disowned(String),
    /// Their ends are recorded elsewhere.
    Forgotten(Vec<Key>),
}

/// The file.
pub(super) struct Ledger {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
    /// How many there were after the last rewrite.
    kept: usize,
    /// The last line may have no end.
    is_torn: bool,
    /// How many runs were started, by owner and work; only of those whose runs differ.
    counts: Counts,
}

type Counts = BTreeMap<String, BTreeMap<String, usize>>;

impl Ledger {
    /// Opens it, and reads what it says of runs that are not forgotten, in the order in which they were asked for. What
    /// cannot be read is left out, and told in the engine's log.
    pub(super) fn open(path: PathBuf) -> (Ledger, Vec<Play>) {
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %path.display(), "played runs are lost");
                }
                Vec::new()
            }
        };
        let (counts, plays) = match format(&text) {
            FORMAT => understand(&text),
            other => {
                let beside = path.with_extension(format!("format-{other}"));
                tracing::warn!(path = %beside.display(), "played runs are lost: their ledger has format {other}, this program reads {FORMAT}");
                if let Err(error) = std::fs::rename(&path, &beside) {
                    tracing::warn!(%error, "it cannot be moved there");
                }
                return (
                    Ledger { path, file: None, lines: 0, kept: 0, is_torn: false, counts: Counts::new() },
                    Vec::new(),
                );
            }
        };
        let mut ledger = Ledger { path, file: None, lines: 0, kept: 0, is_torn: false, counts };
        if !text.is_empty() {
            ledger.rewrite(&plays.iter().flat_map(Play::entries).collect::<Vec<_>>());
        }
        (ledger, plays)
    }

    /// Adds a line. One that cannot be written is told in the engine's log: its run is lost with the engine.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.lines += 1;
        if let Err(error) = self.append(entry) {
            tracing::warn!(%error, "a played run is not recorded: it ends with the engine");
            (self.file, self.is_torn) = (None, true);
        }
    }

    /// One more run of this work is started, as the line about it says; answers how many there were before.
    pub(super) fn count(&mut self, owner: &str, work: &str) -> usize {
        let runs = self.counts.entry(owner.to_owned()).or_default().entry(work.to_owned()).or_default();
        *runs += 1;
        *runs - 1
    }

    /// Forgets an owner's counts.
    pub(super) fn disown(&mut self, owner: &str) {
        if self.counts.remove(owner).is_some() {
            self.add(&Entry::Disowned(owner.to_owned()));
        }
    }

    /// Rewrites a file that has become much longer than what is kept of it.
    pub(super) fn tidy(&mut self, left: impl FnOnce() -> Vec<Entry>) {
        if self.lines > 2 * self.kept + TIDY_FROM {
            self.rewrite(&left());
        }
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut is_new = false;
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                is_new = opened.metadata()?.len() == 0;
                self.file.insert(opened)
            }
        };
        let mut text = if is_new { line(&Entry::Format(FORMAT))? } else { Vec::new() };
        text.extend(line(entry)?);
        if self.is_torn {
            text.insert(0, b'\n');
        }
        file.write_all(&text)?;
        self.is_torn = false;
        Ok(())
    }

    fn rewrite(&mut self, entries: &[Entry]) {
        self.file = None;
        let draft = self.path.with_extension("new");
        let written = || {
            let text = text(&self.counts, entries)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?.write_all(&text)?;
            std::fs::rename(&draft, &self.path)?;
            io::Result::Ok(text.iter().filter(|&&byte| byte == b'\n').count())
        };
        match written() {
            Ok(lines) => (self.lines, self.is_torn) = (lines, false),
            Err(error) => tracing::warn!(%error, "the ledger of played runs stays as long as it is"),
        }
        self.kept = self.lines;
    }
}

/// A ledger anew, with nothing in it that is forgotten.
pub(super) fn text(counts: &Counts, entries: &[Entry]) -> io::Result<Vec<u8>> {
    let counts = counts.iter().flat_map(|(owner, works)| {
        works.iter().map(|(work, &runs)| Entry::Counted { owner: owner.clone(), work: work.clone(), runs })
    });
    let mut text = line(&Entry::Format(FORMAT))?;
    for entry in counts.chain(entries.iter().cloned()) {
        text.extend(line(&entry)?);
    }
    Ok(text)
}

/// The format that a ledger's first line names.
fn format(bytes: &[u8]) -> u32 {
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(first) {
        Ok(Entry::Format(format)) => format,
        _ => FORMAT,
    }
}

/// What a ledger's bytes say.
pub(super) fn understand(bytes: &[u8]) -> (Counts, Vec<Play>) {
    let mut plays: Vec<Play> = Vec::new();
    let mut counts = Counts::new();
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(asked @ Entry::Asked { .. }) => {
                if let Entry::Asked { counted: Some((owner, work)), .. } = &asked {
                    *counts.entry(owner.clone()).or_default().entry(work.clone()).or_default() += 1;
                }
                plays.extend(Play::of(asked));
            }
            Ok(Entry::Signalled { key, signal, at }) => {
                if let Some(play) = plays.iter_mut().find(|play| *play.key() == key) {
                    play.signal(signal, at);
                }
            }
            Ok(Entry::Counted { owner, work, runs }) => {
                counts.entry(owner).or_default().insert(work, runs);
            }
            Ok(Entry::Disowned(owner)) => {
                counts.remove(&owner);
            }
            Ok(Entry::Format(_)) => {}
            Ok(Entry::Forgotten(keys)) => plays.retain(|play| !keys.contains(play.key())),
            // The last line of an engine that was killed may end in its middle, and in that of a letter.
            Err(error) => tracing::warn!(%error, "a line of the ledger of played runs is left out"),
        }
    }
    (counts, plays)
}

fn line(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}
