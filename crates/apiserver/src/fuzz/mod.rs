//! What must hold of every input that comes over the network: the bodies of the fuzz targets in `fuzz/`.
//!
//! Each takes any bytes, panics if a property does not hold, and is fed the stored corpus by the normal tests. Built for
//! those and with the feature `fuzzing`; no part of the server.

mod admission;
mod attach;
mod objects;
mod ownership;
mod patches;
mod requests;
mod shown;
#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;
mod values;

pub use admission::{limit_ranges, quotas};
pub use attach::channels;
pub use objects::{bodies, protobuf};
pub use ownership::{contests, managers};
pub use patches::{applies, json_patches, merge_patches, strategic_patches};
pub use requests::{accepts, paths, queries, tokens};
pub use shown::{cells, clocks, events, known_specs};
pub use values::{fields, indexes, labels, quantities};

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All of them by the names of their targets.
pub const TARGETS: &[(&str, Target)] = &[
    ("accepts", accepts),
    ("applies", applies),
    ("bodies", bodies),
    ("cells", cells),
    ("channels", channels),
    ("clocks", clocks),
    ("contests", contests),
    ("events", events),
    ("fields", fields),
    ("indexes", indexes),
    ("json_patches", json_patches),
    ("known_specs", known_specs),
    ("labels", labels),
    ("limit_ranges", limit_ranges),
    ("managers", managers),
    ("merge_patches", merge_patches),
    ("paths", paths),
    ("protobuf", protobuf),
    ("quantities", quantities),
    ("queries", queries),
    ("quotas", quotas),
    ("strategic_patches", strategic_patches),
    ("tokens", tokens),
];

/// The input as text; what is no UTF-8 is of no interest where a header or a line is read.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// The kinds that objects are read as: those with the deepest schemas, and one that is nearly empty.
const KINDS: [&str; 8] = ["Job", "CronJob", "Pod", "Secret", "Event", "ResourceQuota", "LimitRange", "Lease"];

/// The kind that the first byte chooses, and the rest.
fn kind(data: &[u8]) -> Option<(&'static crate::kind::Kind, &[u8])> {
    let (first, rest) = data.split_first()?;
    let name = KINDS[usize::from(*first) % KINDS.len()];
    Some((crate::kinds::all().iter().find(|kind| kind.kind == name)?, rest))
}

/// Two inputs with a line of `---` between them.
fn halves(data: &[u8]) -> Option<(&[u8], &[u8])> {
    const MARK: &[u8] = b"\n---\n";
    let at = data.windows(MARK.len()).position(|window| window == MARK)?;
    Some((&data[..at], &data[at + MARK.len()..]))
}
