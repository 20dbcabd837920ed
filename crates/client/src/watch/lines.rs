//! Cuts a watch into its events: one JSON object a line, each with its kind.
//!
//! Pure: bytes in, events out. A line that was cut off by the end of the connection is none.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits;
use crate::transport::Fault;

/// One event of a watch.
#[derive(Debug)]
pub(super) enum Event<T> {
    /// Added or changed.
    Is(T),
    /// Deleted; the object as it was last.
    Gone(T),
    /// How far everything has been told.
    Bookmark(String),
    /// The server's refusal to go on.
    Refused(Fault),
}

/// What has come of the next line.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    /// Takes bytes; gives the events that are whole now.
    ///
    /// # Errors
    /// What is not an event, or too long to be one. What came before it is in `out`.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        bytes: &[u8],
        out: &mut VecDeque<Event<T>>,
    ) -> Result<(), Fault> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.buffer.is_empty() {
                out.extend(parse(line)?);
            } else {
                self.buffer.extend_from_slice(line);
                out.extend(parse(&self.buffer)?);
                self.buffer.clear();
            }
            rest = after;
        }
        self.buffer.extend_from_slice(rest);
        if self.buffer.len() > limits::EVENT {
            return Err(Fault::silent(format!("an event of more than {} MB", limits::EVENT >> 20)));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// The event of a line; none if it is empty, or of a kind that is not known yet.
fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<Option<Event<T>>, Fault> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let bad = |error: serde_json::Error| Fault::silent(format!("an event that cannot be read: {error}"));
    let line: Line<'_> = serde_json::from_slice(line).map_err(bad)?;
    let object = || serde_json::from_str::<T>(line.object.get()).map_err(bad);
    Ok(match line.kind.as_ref() {
        "ADDED" | "MODIFIED" => Some(Event::Is(object()?)),
        "DELETED" => Some(Event::Gone(object()?)),
        "BOOKMARK" => {
            let object: Value = serde_json::from_str(line.object.get()).map_err(bad)?;
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            (!version.is_empty()).then(|| Event::Bookmark(version.to_owned()))
        }
        "ERROR" => {
            let status: Value = serde_json::from_str(line.object.get()).map_err(bad)?;
            Some(Event::Refused(Fault::of_status(0, &status)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parts: &[&str]) -> (Vec<String>, Result<(), Fault>) {
        let (mut lines, mut out) = (Lines::default(), VecDeque::<Event<u32>>::new());
        let mut result = Ok(());
        for part in parts {
            result = result.and_then(|()| lines.take(part.as_bytes(), &mut out));
        }
        (out.iter().map(|event| format!("{event:?}")).collect(), result)
    }

    #[test]
    fn lines_may_come_in_pieces_and_the_last_one_may_never_end() {
        let text =
            "{\"type\":\"ADDED\",\"object\":1}\n\n{\"type\":\"DELETED\",\"object\":2}\n{\"type\":\"MODI";
        let pieces: Vec<&str> = (0..text.len()).map(|at| &text[at..=at]).collect();
        assert_eq!(events(&pieces).0, ["Is(1)", "Gone(2)"]);
        assert_eq!(events(&[text]).0, ["Is(1)", "Gone(2)"]);
    }

    #[test]
    fn bookmarks_and_refusals_are_told_and_new_kinds_passed_over() {
        let (events, result) = events(&[
            "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}\n",
            "{\"type\":\"NEWS\",\"object\":{}}\n",
            "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}}\n",
        ]);
        assert!(result.is_ok());
        assert_eq!(events[0], "Bookmark(\"7\")");
        assert!(events[1].starts_with("Refused(Fault { code: 410, reason: \"Expired\""), "{}", events[1]);
    }

    #[test]
    fn what_is_no_event_is_a_fault_after_what_was() {
        let (events, result) = events(&["{\"type\":\"ADDED\",\"object\":1}\n<html>\n"]);
        assert_eq!(events, ["Is(1)"]);
        assert!(result.unwrap_err().message.starts_with("an event that cannot be read"));
    }
}
