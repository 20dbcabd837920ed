//! What a terminal has shown before somebody attached to it, joined to what it shows from there on. A container's
//! first words are in its log only, its next ones in both: where the two meet is found by comparing them.

use std::time::Duration;

use super::{AttachEvent, Attachment};
use crate::transport::{Call, segment};

/// So many lines of the log are read: more than any terminal shows.
const LINES: &str = "1000";
/// How long is waited for what is in the log and still on its way here.
const SETTLE: Duration = Duration::from_millis(100);
/// So much is waited for at most, in bytes.
const MOST: usize = 64 << 10;

impl Attachment {
    /// What the terminal has shown until now: the log's end and what has come since. To be called once, before
    /// anything is written or read. The event is one that ended it meanwhile. A log that cannot be read costs the
    /// first words only.
    pub async fn begin(&mut self) -> (Vec<u8>, Option<AttachEvent>) {
        let mut shown = self.log().await;
        let (mut seen, mut end) = (Vec::new(), None);
        let settled = self.manager.world.sleep(SETTLE);
        let mut settled = std::pin::pin!(settled);
        while seen.len() < MOST {
            tokio::select! {
                () = &mut settled => break,
                event = self.output.next() => match event {
                    AttachEvent::Output(bytes) => seen.extend_from_slice(&bytes),
                    AttachEvent::Quiet | AttachEvent::Delivered => {}
                    event => {
                        end = Some(event);
                        break;
                    }
                },
            }
        }
        shown.extend_from_slice(&seen[overlap(&shown, &seen)..]);
        (shown, end)
    }

    async fn log(&self) -> Vec<u8> {
        let call = Call::get(format!("{}/{}/log", self.manager.core_path("pods"), segment(&self.target.pod)))
            .query("container", &self.target.container)
            .query("tailLines", LINES);
        match self.manager.ask_bytes(&call).await {
            Ok((_, bytes)) => bytes.to_vec(),
            Err(fault) => {
                tracing::debug!(message = fault.message, "the terminal's first words cannot be read");
                Vec::new()
            }
        }
    }
}

/// How many of the first bytes of `later` are the last ones of `earlier`.
fn overlap(earlier: &[u8], later: &[u8]) -> usize {
    (0..=later.len().min(earlier.len())).rev().find(|&count| earlier.ends_with(&later[..count])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_both_is_shown_once() {
        assert_eq!(overlap(b"$ hello", b"hello, you"), 5);
        assert_eq!(overlap(b"$ ", b""), 0);
        assert_eq!(overlap(b"", b"$ "), 0);
        assert_eq!(overlap(b"prompt> ", b"other"), 0);
        assert_eq!(overlap(b"all", b"all"), 3);
        assert_eq!(overlap(b"ab", b"abab"), 2);
    }
}
