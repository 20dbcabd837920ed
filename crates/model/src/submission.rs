//! The identity of a submission: the same id with the same content is one job.

use std::fmt;

use crate::{Problem, digest, label};

/// Who submits twice with one id means one job. A valid label value of 1 to 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(String);

impl SubmissionId {
    /// Makes an id of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        SubmissionId(digest::hex(&bytes))
    }

    /// The id that always comes of these words, and of no others.
    pub fn derived(words: &[&str]) -> Self {
        let lengths: Vec<String> = words.iter().map(|word| format!("{}:{word}", word.len())).collect();
        SubmissionId(digest::short(lengths.concat().as_bytes()))
    }

    /// The id of the `number`th of several jobs that are submitted under this one, from 1. The first has this one
    /// itself, so that a file of one job may get more.
    ///
    /// # Errors
    /// A [`Problem`] when it is too long for that.
    pub fn numbered(&self, number: usize) -> Result<Self, Problem> {
        if number == 1 { Ok(self.clone()) } else { SubmissionId::parse(&format!("{self}-{number}")) }
    }

    /// Takes an id that the submitter chose.
    ///
    /// # Errors
    /// A [`Problem`] when it could not be a label's value.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() || !label::is_value(text) {
            return Err(Problem::new(
                "id",
                format!(
                    "submission id {text:?} must be 1 to 63 letters, digits, '-', '_' or '.', and begin and end \
                     with a letter or digit"
                ),
            ));
        }
        Ok(SubmissionId(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
