//! Names of jobs: what Kubernetes accepts, and how one is made from a command's first word.

use std::fmt;

use crate::{Problem, SubmissionId, digest};

/// The longest name of a Job whose pods get a usable host name (RFC 1123 label; upstream
/// `pkg/apis/batch/validation`, which asks for it of every Job's name).
pub const MAX_LEN: usize = 63;

/// Kubernetes' alphabet of generated names: no vowels, so that no words come about.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

const SUFFIX_LEN: usize = 5;

/// A valid name for a job: a DNS label of at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// Takes a name that somebody wrote.
    ///
    /// # Errors
    /// A [`Problem`] at `metadata.name` that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |message: String| Err(Problem::new("metadata.name", message));
        if text.is_empty() {
            return wrong("is empty".to_owned());
        }
        if text.len() > MAX_LEN {
            return wrong(format!(
                "{text:?} has {} characters; a job's name has at most {MAX_LEN}",
                text.len()
            ));
        }
        let valid = JobName::near(text).map(|near| format!(", like {near}")).unwrap_or_default();
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
        {
            return wrong(format!("{text:?} holds {bad:?}; a job's name is made of a-z, 0-9 and '-'{valid}"));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return wrong(format!("{text:?} must begin and end with a letter or digit{valid}"));
        }
        Ok(JobName(text.to_owned()))
    }

    /// The valid name that is nearest to a text: `My_Run` gives `my-run`. None if no letter or digit is in it.
    pub fn near(text: &str) -> Option<Self> {
        let name = readable(text, MAX_LEN);
        (!name.is_empty()).then_some(JobName(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The readable part of a generated name: `train` of `train-x7k2p`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stem(String);

impl Stem {
    /// Makes a valid stem of any text: a command's first word (its last path component), a definition's name.
    /// `/opt/My_Tool.py` gives `my-tool-py`; what has no usable character gives `job`.
    pub fn of(text: &str) -> Self {
        let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let stem = readable(last, MAX_LEN - SUFFIX_LEN - 1);
        Stem(if stem.is_empty() { "job".to_owned() } else { stem })
    }

    /// `stem-xxxxx`: the name of this submission's job. `attempt` counts from 0 and gives other characters
    /// each time, for the case that the name is taken by a stranger.
    pub fn name(&self, id: &SubmissionId, attempt: u32) -> JobName {
        JobName(format!("{}-{}", self.0, suffix(id, attempt)))
    }

    /// The stem as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What of a text can stand in a job's name, at most `most` characters: letters in lower case and digits, a `-` for
/// each run of anything else between them. May be empty.
pub fn readable(text: &str, most: usize) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(most);
    name.truncate(name.trim_end_matches('-').len());
    name
}

/// Five characters that depend on the submission alone, so that who sends it again meets the same name.
fn suffix(id: &SubmissionId, attempt: u32) -> String {
    let digest = digest::bytes(format!("{id}/{attempt}").as_bytes());
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    digest.iter().take(SUFFIX_LEN).map(letter).collect()
}
