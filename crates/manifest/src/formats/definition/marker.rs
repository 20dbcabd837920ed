//! Markers: numbers that stand in a text for values, and that are found again whatever stands beside them.

use windlass_model::digest;

/// Digits of a marker that are the same for all markers of a text.
const PREFIX: usize = 9;
/// Digits of a marker that count: more markers than a template has steps.
const COUNT: usize = 6;

/// The markers of one text: 15 digits each, a number that any reader of YAML knows exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Markers {
    /// A 9 and digits that are none: it cannot overlap itself, so that digits beside it do not hide it.
    prefix: String,
}

impl Markers {
    /// Markers that occur in none of the texts.
    pub(super) fn unlike(texts: impl Iterator<Item = String>) -> Self {
        let texts: Vec<String> = texts.collect();
        let seed = digest::bytes(texts.join("\n").as_bytes());
        let mut nonce = 0u64;
        loop {
            let prefix = prefix(&seed, nonce);
            // Texts of 16 MB hold at most as many of the 43 million prefixes as they have letters.
            if !texts.iter().any(|text| text.contains(&prefix)) {
                return Markers { prefix };
            }
            nonce += 1;
        }
    }

    /// The marker of a value.
    pub(super) fn of(&self, index: usize) -> String {
        format!("{}{index:0width$}", self.prefix, width = COUNT)
    }

    /// The text in front of the first marker, the marker's value, and the text behind it.
    pub(super) fn split<'a>(&self, text: &'a str) -> Option<(&'a str, usize, &'a str)> {
        let start = text.find(&self.prefix)?;
        let end = start + PREFIX + COUNT;
        let index = text.get(start + PREFIX..end)?.parse().ok()?;
        Some((&text[..start], index, &text[end..]))
    }

    /// The value whose marker is the whole text.
    pub(super) fn alone(&self, text: &str) -> Option<usize> {
        self.split(text)
            .filter(|(before, _, after)| before.is_empty() && after.is_empty())
            .map(|(_, index, _)| index)
    }

    /// Every marker of a text, and where it begins.
    pub(super) fn all(&self, text: &str) -> Vec<(usize, usize)> {
        let (mut found, mut rest) = (Vec::new(), text);
        while let Some((before, index, after)) = self.split(rest) {
            found.push((text.len() - rest.len() + before.len(), index));
            rest = after;
        }
        found
    }
}

fn prefix(seed: &[u8; 32], nonce: u64) -> String {
    let digest = digest::bytes(&[&seed[..], &nonce.to_be_bytes()].concat());
    let digits = digest.iter().take(PREFIX - 1).map(|byte| char::from(b'0' + byte % 9));
    std::iter::once('9').chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_among_digits() {
        let markers = Markers::unlike(std::iter::empty());
        let (first, second) = (markers.of(0), markers.of(12));
        let text = format!("99{first}{second}{}9", &first[..5]);
        let found: Vec<usize> = markers.all(&text).into_iter().map(|(_, index)| index).collect();
        assert_eq!(found, [0, 12]);
        assert_eq!(markers.alone(&first), Some(0));
        assert_eq!(markers.alone(&text), None);
        assert_eq!(first.len(), 15);
    }

    #[test]
    fn markers_are_unlike_what_was_there() {
        let first = Markers::unlike(["x".to_owned()].into_iter());
        let taken = format!("x{}", first.prefix);
        let second = Markers::unlike([taken.clone()].into_iter());
        assert!(!taken.contains(&second.prefix));
        assert_eq!(
            first,
            Markers::unlike(["x".to_owned()].into_iter()),
            "the same text gives the same markers"
        );
    }
}
