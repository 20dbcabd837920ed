//! Records of versions, changes and values, of the present format and of the one before.

use crate::format::{self, Past};
use crate::format_1;
use crate::state::{Logged, Version};
use crate::tags::Tags;
use crate::types::Revision;

/// What is read can be written, and is read again the same; tags say the same however they are asked; what an older
/// format has can be brought to this one.
pub fn records(data: &[u8]) {
    if let Ok(version) = format::read_version(data) {
        kept(&version);
    }
    if let Ok(past) = format::read_change(data) {
        let change = logged(&past);
        assert_eq!(format::read_change(&format::change(&change, past.keys)), Ok(past));
    }
    if let Ok(value) = format::read_value(data) {
        assert_eq!(format::read_value(&format::value(&value)).as_ref(), Ok(&value));
        let (at, digits) = value.hole();
        let shown = value.at_revision(Revision(7));
        let hole = at.map_or(0, |_| usize::from(digits));
        assert_eq!(shown.len(), value.bytes().len() - hole + usize::from(at.is_some()));
    }
    if let Ok(revision) = format::read_revision(data) {
        assert_eq!(format::revision(revision), data);
    }
    if let Ok(version) = format_1::read_version(data) {
        kept(&version);
    }
    if let Ok(change) = format_1::read_change(data) {
        let written = format::change(&change, 7);
        let past = format::read_change(&written).expect("what was read can be brought to this format");
        assert_eq!((past.at_ms, past.key, past.put), (change.at_ms, &*change.key, change.after.is_some()));
        assert_eq!(past.before.is_some(), change.before.is_some());
        if let (false, Some(before)) = (past.same_tags, past.before) {
            assert_eq!(Some(before), change.before);
        }
    }
}

fn kept(version: &Version) {
    assert!(version.created <= version.modified);
    assert_eq!(format::read_version(&format::version(version)).as_ref(), Ok(version));
    let tags = &version.tags;
    let mut last = None;
    for (place, (name, value)) in tags.iter().enumerate().take(100) {
        assert!(last.is_none_or(|last| last <= name), "{tags:?}");
        assert_eq!(tags.all(name).next(), tags.get(name));
        assert!(tags.all(name).any(|one| one == value), "{name} of {tags:?}");
        let (head, rest) = name.split_at(name.floor_char_boundary(place));
        assert_eq!(tags.get_in(head, rest), tags.get(name));
        last = Some(name);
    }
    let pairs: Vec<_> = tags.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let anew = Tags::new(pairs);
    // Made anew, values of one name are in order, and each is written in the shortest form.
    assert_eq!(anew.iter().count(), tags.iter().count());
    assert!(anew.iter().all(|(name, value)| tags.all(name).any(|one| one == value)));
}

/// A change that such a record tells of.
fn logged(past: &Past<'_>) -> Logged {
    let tags = |past: &Past<'_>| match &past.before {
        Some(before) if past.same_tags => before.tags.clone(),
        Some(before) if before.tags == Tags::default() => Tags::new(vec![("a".into(), "b".into())]),
        _ => Tags::default(),
    };
    let after = || Version { created: Revision(1), modified: Revision(2), size: 3, tags: tags(past) };
    let Past { at_ms, key, ref before, put, .. } = *past;
    Logged { at_ms, key: key.into(), before: before.clone(), after: put.then(after) }
}
