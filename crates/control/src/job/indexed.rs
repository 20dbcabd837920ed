//! Completion indexes: sets of them as intervals, their text form, and which are free. It knows no Job status.
//!
//! Source: upstream `pkg/controller/job/indexed_job_utils.go`.

use std::collections::BTreeSet;
use std::fmt;

use super::COMPLETION_INDEX;
use crate::view::Pod;

/// A set of completion indexes, kept as ordered, disjoint, non-adjacent intervals (first, last).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Indexes(Vec<(u32, u32)>);

impl Indexes {
    /// Reads `1,3-5`. Pieces that cannot be read are left out, and what reaches `completions` is cut off.
    pub(super) fn parse(text: &str, completions: u32) -> Self {
        let intervals = text.split(',').filter_map(|piece| {
            let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
            let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
            (first < completions && first <= last).then(|| (first, last.min(completions - 1)))
        });
        Self::of(intervals.collect())
    }

    /// The set of single indexes.
    pub(super) fn singles(indexes: &BTreeSet<u32>) -> Self {
        Self::of(indexes.iter().map(|&index| (index, index)).collect())
    }

    fn of(mut intervals: Vec<(u32, u32)>) -> Self {
        if !intervals.is_sorted() {
            intervals.sort_unstable();
        }
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(intervals.len());
        for (first, last) in intervals {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Both sets together.
    pub(super) fn union(&self, other: &Self) -> Self {
        if other.0.is_empty() {
            return self.clone();
        }
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    /// How many indexes.
    pub(super) fn total(&self) -> i32 {
        let total: u64 = self.0.iter().map(|&(first, last)| u64::from(last - first) + 1).sum();
        i32::try_from(total).unwrap_or(i32::MAX)
    }

    /// Whether it has the index.
    pub(super) fn has(&self, index: u32) -> bool {
        let after = self.0.partition_point(|&(_, last)| last < index);
        self.0.get(after).is_some_and(|&(first, _)| first <= index)
    }

    /// Whether it has none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many indexes both sets have.
    pub(super) fn in_common(&self, other: &Self) -> i32 {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common: u64 = 0;
        while let (Some(&&(a_first, a_last)), Some(&&(b_first, b_last))) = (mine.peek(), theirs.peek()) {
            let (first, last) = (a_first.max(b_first), a_last.min(b_last));
            common += if first <= last { u64::from(last - first) + 1 } else { 0 };
            if a_last <= b_last {
                mine.next();
            } else {
                theirs.next();
            }
        }
        i32::try_from(common).unwrap_or(i32::MAX)
    }

    /// The lowest `count` indexes below `completions` that it does not have.
    pub(super) fn lowest_free(&self, count: usize, completions: u32) -> Vec<u32> {
        let mut free = Vec::new();
        let mut candidate = 0;
        for &(first, last) in self.0.iter().chain([&(completions, u32::MAX)]) {
            while candidate < first.min(completions) && free.len() < count {
                free.push(candidate);
                candidate += 1;
            }
            if free.len() == count {
                break;
            }
            candidate = candidate.max(last.saturating_add(1));
        }
        free
    }
}

impl fmt::Display for Indexes {
    /// Three or more neighbours are written `a-b`, two `a,b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, &(first, last)) in self.0.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// The pod's completion index, if its annotation holds one.
pub(super) fn index_of(pod: &Pod) -> Option<u32> {
    pod.metadata.annotations.get(COMPLETION_INDEX)?.parse().ok()
}
