//! Every bound of this crate, in one place.

use std::time::Duration;

/// How long making a connection may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// How long a request may take until it is answered in full; streams until their first byte.
pub(crate) const REQUEST: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes: a page of 500 jobs is at most some 10 MB.
pub(crate) const ANSWER: usize = 256 << 20;
/// Jobs, pods or events on a page.
pub(crate) const PAGE: u32 = 500;
/// Pages of one job's pods or events.
pub(crate) const PAGES: usize = 400;
/// How many derived names are tried when each is taken by a stranger.
pub(crate) const NAMES: u32 = 5;
/// How often a change is tried again when somebody else changed the object meanwhile.
pub(crate) const CONFLICTS: u32 = 10;
/// Jobs that an ambiguous prefix names in its message.
pub(crate) const CANDIDATES: usize = 5;
/// How often a submission, or a request that only reads, is sent again when its connection was lost: about six
/// seconds, in which an engine that died is started again.
pub(crate) const RESENDS: u32 = 6;
/// Jobs whose pods are asked for by uid in one request: more would not fit into an address.
pub(crate) const UIDS: usize = 25;
/// The first pause after a lost connection; each next one is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after a lost connection.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How many times in a row a lost connection is made again: about ten minutes.
pub(crate) const RECONNECTS: u32 = 120;
/// Log events that wait for their reader.
pub(crate) const LOG_QUEUE: usize = 64;
/// Containers whose logs are read at a time; the others wait for their turn.
pub(crate) const LOG_READERS: usize = 64;
/// Gaps that a server tells between two lines; more are not told one by one.
pub(crate) const LOG_GAPS: usize = 16;
/// The longest line of a log that is kept whole, in bytes; a longer one comes in pieces.
pub(crate) const LOG_LINE: usize = 1 << 20;
/// How much of a log is handed out at once, in bytes.
pub(crate) const LOG_CHUNK: usize = 64 << 10;
/// How long a log may stay open and silent after its container has ended.
pub(crate) const LOG_DRAIN: Duration = Duration::from_secs(10);
/// How long logs may stay silent after their job's end before what is missing is given up: a pod's usual grace and
/// some more.
pub(crate) const LOG_SILENCE: Duration = Duration::from_secs(40);
