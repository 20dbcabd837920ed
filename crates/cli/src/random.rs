//! Randomness: the one place where this program takes it.

use windlass_model::SubmissionId;

/// The id of a submission whose user gave none, where it must be known before the library makes one.
#[expect(clippy::disallowed_methods, reason = "the one place that takes randomness")]
pub(crate) fn id() -> SubmissionId {
    let mut bytes = [0; 16];
    // Linux gives randomness since 3.17; what has none cannot speak TLS either. The id would be one that others have,
    // and a submission with other content under it is refused as a conflict.
    _ = getrandom::fill(&mut bytes);
    SubmissionId::from_random(bytes)
}
