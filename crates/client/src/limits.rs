//! Every bound of this crate, in one place; and how patient it is with a cluster that has a bad day.
//!
//! | what fails | how often it is tried again |
//! |---|---|
//! | a cluster that has never answered does not answer | not at all: the user has named the wrong one, or it is down |
//! | no answer, connection lost, 408, 429, 502, 503, 504 | for [`REQUEST_BUDGET`] |
//! | 500 (often for good: a webhook, a bug) | [`INTERNAL_ERRORS`] times within that |
//! | 401 | once, with the credentials read anew (token file, exec plugin, kubeconfig) |
//! | 409 to a change that was computed from what was read | [`CONFLICTS`] times, computed anew |
//! | a watch or a log that breaks off, whatever of the above did it | for [`STREAM_BUDGET`] without a sign of life |
//! | 410 to a watch, a silent watch | it begins again with a list; 410 to the next page of a list: from page one |
//! | anything else | not at all |
//!
//! Only what may be repeated is sent again: what reads; the creation of a job, whose name is the same each time; a
//! deletion that names the uid. Pauses grow from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`], each shortened at random by up
//! to a quarter so that many clients do not come back at once; a server's `Retry-After` is waited for if it is
//! longer, and the fault is handed out at once if it asks for more than what is left of the budget.
//! All of it is measured with the monotonic clock.

use std::time::Duration;

/// How long making a connection may take, with its TLS handshake.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// How long a request may take until its answer begins, and how long the answer may take then.
pub(crate) const REQUEST: Duration = Duration::from_secs(20);
/// How long credentials may take to be read anew: an exec plugin may ask somewhere else.
pub(crate) const RENEWAL: Duration = Duration::from_secs(60);
/// For how long a request that may be repeated is sent again, from its first failure: an API server or an engine
/// starts again in less.
pub(crate) const REQUEST_BUDGET: Duration = Duration::from_secs(30);
/// How often 500 is answered with the same request again.
pub(crate) const INTERNAL_ERRORS: u32 = 4;
/// For how long a watch or a log that was lost is made again without any answer.
pub(crate) const STREAM_BUDGET: Duration = Duration::from_secs(600);
/// The first pause after a failure; each next one is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after a failure.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a watch is asked to last; real servers end one after five to ten minutes if they are not told.
pub(crate) const WATCH: Duration = Duration::from_secs(290);
/// A watch that brought nothing for so long, not even a bookmark (servers send one a minute), begins again with a
/// list.
pub(crate) const WATCH_SILENCE: Duration = Duration::from_secs(150);
/// A watch that lasted for so long was a good one, even if nothing changed.
pub(crate) const WATCH_LIVED: Duration = Duration::from_secs(20);
/// The longest event of a watch, in bytes: an object is at most some 3 MB.
pub(crate) const EVENT: usize = 32 << 20;
/// A connection that answers no ping is given up: the pause before one, and how long its answer may take.
pub(crate) const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Requests that share one connection; the next ones get another. Servers take 100 or more.
pub(crate) const LANE: usize = 80;
/// How many bytes of one answer may be on their way to a reader that does not read.
pub(crate) const WINDOW: u32 = 1 << 20;
/// An answer's announced length is believed up to so many bytes: for a longer one memory is taken as it comes.
pub(crate) const ANNOUNCED: u64 = 1 << 20;
/// The longest answer that is read, in bytes: a page of 500 jobs is at most some 10 MB.
pub(crate) const ANSWER: usize = 256 << 20;
/// The longest refusal that is read, in bytes.
pub(crate) const REFUSAL: usize = 1 << 20;
/// Jobs, pods or events on a page.
pub(crate) const PAGE: u32 = 500;
/// Jobs on a page of a server on this machine: an answer is held whole while it is read.
pub(crate) const NEAR_PAGE: u32 = 100;
/// Pages of one list: 1,000,000 objects.
pub(crate) const PAGES: usize = 2_000;
/// How often a list begins again because its pages expired while they were read.
pub(crate) const RELISTS: u32 = 3;
/// How many derived names are tried when each is taken by a stranger.
pub(crate) const NAMES: u32 = 5;
/// How often a change is tried again when somebody else changed the object meanwhile.
pub(crate) const CONFLICTS: u32 = 10;
/// How long is waited for what else may say why a job waits.
pub(crate) const EVIDENCE: Duration = Duration::from_secs(5);
/// How much is read of the end of a log for a verdict: lines, and bytes.
pub(crate) const LAST_LINES: &str = "10";
pub(crate) const LAST_BYTES: &str = "16384";
/// Up to so many pods a job is looked at again with every change.
pub(crate) const FEW_PODS: u32 = 128;
/// With more, changes are gathered for so long a pod before the next look, which takes some microseconds a pod itself.
pub(crate) const LOOK_PER_POD: Duration = Duration::from_micros(50);
/// The longest that changes are gathered.
pub(crate) const LONGEST_LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Failed tasks of one job whose last lines are read for a verdict.
pub(crate) const FAILED_LOGS: usize = 256;
/// The most tasks of one job that are told one by one.
pub(crate) const TASKS: u32 = 1_000_000;
/// A job that waits for so long is looked at closer: its events, the nodes, its queue.
pub(crate) const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How long after a look the next one comes, as long as it waits.
pub(crate) const NEXT_LOOK: Duration = Duration::from_secs(10);
/// How often a job that runs is looked at closer: what keeps its cluster from telling more is told by no watch.
pub(crate) const RUNNING_LOOK: Duration = Duration::from_secs(60);
/// For how long what never resolves itself is waited for.
pub(crate) const STUCK: Duration = Duration::from_secs(30);
/// For how long a pod's other containers may outlive its payload: most end by themselves.
pub(crate) const OUTLIVED: Duration = Duration::from_secs(10);
/// Jobs that an ambiguous prefix names in its message.
pub(crate) const CANDIDATES: usize = 5;
/// Jobs of a CronJob that are looked at, besides the last one.
pub(crate) const JOBS_OF_CRON: usize = 3;
/// Jobs whose pods are asked for by uid in one request: more would not fit into an address that every proxy takes.
pub(crate) const UIDS: usize = 100;
/// Lists of pods that are read at the same time for a page of jobs.
pub(crate) const POD_LISTS: usize = 4;
/// Up to so many jobs are waited for with a watch each, more with one watch of the namespace.
pub(crate) const WATCHES: usize = 8;
/// Jobs that ended whose pods are read at the same time for their exit codes.
pub(crate) const ENDS: usize = 16;
/// Log events that wait for their reader.
pub(crate) const LOG_QUEUE: usize = 64;
/// Log events that are handed out before the job itself is looked at again.
pub(crate) const LOGS_IN_A_ROW: usize = 256;
/// Containers whose logs are read at a time; the others wait for their turn.
pub(crate) const LOG_READERS: usize = 64;
/// How long a container that writes waits for its turn before that is said.
pub(crate) const LOG_CROWD: Duration = Duration::from_secs(10);
/// How long the log of a pod waits for that of the pod before it, of the same index, which has not ended: a pod's usual
/// grace, and some more.
pub(crate) const LOG_BEFORE: Duration = Duration::from_secs(45);
/// Gaps that a server tells between two lines; more are not told one by one.
pub(crate) const LOG_GAPS: usize = 16;
/// The longest line of a log that is kept whole, in bytes; a longer one comes in pieces.
pub(crate) const LOG_LINE: usize = 1 << 20;
/// How much of a log is handed out at once, in bytes.
pub(crate) const LOG_CHUNK: usize = 64 << 10;
/// A log of up to so many bytes is read from its beginning again after a lost connection, a longer one from the
/// second that was reached.
pub(crate) const LOG_AGAIN: u64 = 256 << 10;
/// How often in a row it is tried to attach to a container that may just be starting or ending.
pub(crate) const RESENDS: u32 = 6;
/// How long a log may stay open and silent after its container has ended.
pub(crate) const LOG_DRAIN: Duration = Duration::from_secs(10);
/// How long logs may stay silent after their job's end before what is missing is given up: a pod's usual grace, and
/// the time in which a server that is away comes back.
pub(crate) const LOG_SILENCE: Duration = Duration::from_secs(45);
/// Jobs of a bulk submission, or of a batch, that are sent at the same time: fewer while the server says that it has too
/// much to do. Measured on an engine of two cores: one at a time 860 jobs a second, four 1,800, sixteen 2,400,
/// sixty-four 2,900.
pub(crate) const SENDING: usize = 16;
