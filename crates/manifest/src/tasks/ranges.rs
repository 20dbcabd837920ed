//! Sets of indexes as Kubernetes writes them (`1,3-5,7`), and numbers as people read them.

/// Indexes in Kubernetes' form, for asking of one at a time: 100,000 of them are as many comparisons as there are
/// gaps, halved each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Indexes(Vec<(u32, u32)>);

impl Indexes {
    /// Reads `1,3-5,7`; what is no number is passed over.
    pub(crate) fn parse(text: &str) -> Indexes {
        let mut ranges: Vec<(u32, u32)> = text
            .split(',')
            .filter_map(|part| {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                (first <= last).then_some((first, last))
            })
            .collect();
        ranges.sort_unstable();
        // Each index once, whoever wrote them.
        ranges.dedup_by(|(first, last), (_, before)| {
            let is_in = *first <= *before;
            *before = if is_in { (*last).max(*before) } else { *before };
            is_in
        });
        Indexes(ranges)
    }

    /// Whether an index is one of them.
    pub(crate) fn contains(&self, index: u32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= index);
        after.checked_sub(1).is_some_and(|at| self.0[at].1 >= index)
    }

    /// All of them, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }
}

/// Numbers in ascending order as ranges: `5, 7-9`. Three in a row are a range, two are not; what would be longer than
/// `most` ranges ends with how many numbers are left out.
pub fn ranges(numbers: &[u32], most: usize) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let (mut parts, mut told) = (Vec::new(), 0);
    for (first, last) in runs {
        if parts.len() >= most {
            parts.push(format!("and {} more", numbers.len() - told));
            break;
        }
        told += usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
        match last - first {
            0 => parts.push(first.to_string()),
            1 => parts.extend([first.to_string(), last.to_string()]),
            _ => parts.push(format!("{first}-{last}")),
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_found_in_kubernetes_ranges() {
        let indexes = Indexes::parse("1,3-5,9");
        let found: Vec<u32> = (0..12).filter(|index| indexes.contains(*index)).collect();
        assert_eq!((found.as_slice(), indexes.count()), (&[1, 3, 4, 5, 9][..], 5));
        assert!(!Indexes::parse("").contains(0) && Indexes::parse("x,7-3,-").count() == 0);
        // As nobody writes them, each still counts once.
        let indexes = Indexes::parse("1,0-5,7,3-6");
        assert!((0..=7).all(|index| indexes.contains(index)) && indexes.count() == 8);
    }

    #[test]
    fn numbers_in_a_row_are_a_range_and_many_are_cut() {
        assert_eq!(ranges(&[5, 7, 8, 10, 11, 12], 9), "5, 7, 8, 10-12");
        assert_eq!(ranges(&[1, 3, 5, 7], 2), "1, 3, and 2 more");
        assert_eq!(ranges(&[], 2), "");
        assert_eq!(ranges(&[u32::MAX], 2), u32::MAX.to_string());
    }
}
