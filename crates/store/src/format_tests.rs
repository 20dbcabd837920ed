//! Records come back as they were written; what is none is refused, whatever its bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::types::Template;

fn tags() -> impl Strategy<Value = Tags> {
    let pair = (".{0,4}", ".{0,4}").prop_map(|(n, v)| (n.into(), v.into()));
    vec(pair, 0..3).prop_map(Tags::new)
}

fn a_version() -> impl Strategy<Value = Version> {
    (any::<u64>(), any::<u64>(), any::<u32>(), tags()).prop_map(|(a, b, size, tags)| {
        let (created, modified) = (Revision(a.min(b)), Revision(a.max(b)));
        Version { created, modified, size, tags }
    })
}

fn a_change() -> impl Strategy<Value = Logged> {
    let versions = (proptest::option::of(a_version()), proptest::option::of(a_version()), any::<bool>());
    (any::<u64>(), ".{0,20}", versions)
        .prop_filter("something happens", |(.., (b, a, _))| b.is_some() || a.is_some())
        .prop_map(|(at_ms, key, (before, mut after, same))| {
            if let (true, Some(before), Some(after)) = (same, &before, &mut after) {
                after.tags = before.tags.clone();
            }
            Logged { at_ms, key: key.into(), before, after }
        })
}

/// What of a change its record tells.
fn past(change: &Logged, keys: u64) -> Past<'_> {
    let Logged { at_ms, ref key, ref before, ref after } = *change;
    let same_tags = matches!((before, after), (Some(b), Some(a)) if b.tags == a.tags);
    let mut before = before.clone();
    if let (true, Some(before)) = (same_tags, &mut before) {
        before.tags = Tags::default();
    }
    Past { at_ms, keys, key, before, same_tags, put: after.is_some() }
}

fn a_value() -> impl Strategy<Value = Value> {
    (vec(any::<u8>(), 0..40), any::<prop::sample::Index>(), any::<bool>(), any::<u64>()).prop_map(
        |(bytes, at, hole, revision)| {
            let revision_at = hole.then(|| at.index(bytes.len() + 1) as u32);
            Value::fill(&Template { bytes, revision_at }, Revision(revision))
        },
    )
}

proptest! {
    #[test]
    fn records_come_back(a in a_version(), c in a_change(), v in a_value(), r in any::<u64>(), k in any::<u64>()) {
        prop_assert_eq!(read_version(&version(&a)), Ok(a));
        let written = change(&c, k);
        prop_assert_eq!(read_change(&written), Ok(past(&c, k)));
        prop_assert_eq!(read_value(&value(&v)), Ok(v));
        prop_assert_eq!(read_revision(&revision(Revision(r))), Ok(Revision(r)));
    }

    #[test]
    fn cut_or_lengthened_records_are_refused(c in a_change(), cut in any::<prop::sample::Index>()) {
        let mut bytes = change(&c, 7);
        let whole = bytes.len();
        bytes.push(0);
        prop_assert_eq!(read_change(&bytes), Err(Malformed::Long));
        bytes.truncate(cut.index(whole));
        prop_assert!(read_change(&bytes).is_err());
    }

    #[test]
    fn noise_is_no_danger(bytes in vec(any::<u8>(), 0..60)) {
        let _ = read_version(&bytes);
        let _ = read_change(&bytes);
        if let Ok(value) = read_value(&bytes) {
            let _ = value.at_revision(Revision(1));
        }
    }
}

#[test]
fn change_of_the_first_format_in_which_nothing_happens_is_refused() {
    // Flags, a time, and an empty key.
    assert_eq!(crate::format_1::read_change(&[0, 1, 0]), Err(Malformed::Number));
}
