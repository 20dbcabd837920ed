//! A word of a command as text and holes: `{}`, `{#}` and `{NAME}` of a known name.
//!
//! Everything else in braces is text, so that awk, JSON and the shell's `${NAME}` stay what they are; after a `$`
//! nothing is a hole. `{{}}`, `{{#}}` and `{{NAME}}` are the same texts in single braces, literally.

/// A piece of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// As it stands.
    Text(&'a [u8]),
    /// `{}`: the item.
    Item,
    /// `{#}`: the task's number.
    Number,
    /// `{NAME}`: the value of the name with this index.
    Named(usize),
}

/// The pieces of a word, in order.
#[derive(Clone, Debug)]
pub struct Parts<'a, F> {
    rest: &'a [u8],
    known: F,
}

/// Takes a word apart. `known` gives the index of a name.
pub fn parts<F: Fn(&[u8]) -> Option<usize>>(word: &[u8], known: F) -> Parts<'_, F> {
    Parts { rest: word, known }
}

impl<'a, F: Fn(&[u8]) -> Option<usize>> Parts<'a, F> {
    /// The hole that begins here, and its length.
    fn hole(&self, at: usize) -> Option<(Part<'a>, usize)> {
        let inner = self.rest.get(at..)?.strip_prefix(b"{")?;
        let length = inner.iter().position(|byte| matches!(byte, b'}' | b'{'))?;
        if inner[length] != b'}' {
            return None;
        }
        let part = match &inner[..length] {
            b"" => Part::Item,
            b"#" => Part::Number,
            name => Part::Named((self.known)(name)?),
        };
        Some((part, length + 2))
    }

    /// The first hole, or hole that is meant literally: its piece, where it begins, and how long it is.
    fn first(&self) -> Option<(Part<'a>, usize, usize)> {
        let mut at = 0;
        while at < self.rest.len() {
            if self.rest[at] != b'{' {
                at += 1;
                continue;
            }
            let run = self.rest[at..].iter().take_while(|byte| **byte == b'{').count();
            if at > 0 && self.rest[at - 1] == b'$' {
                at += run;
                continue;
            }
            if let Some((_, length)) = self.hole(at + 1).filter(|_| run >= 2)
                && self.rest.get(at + 1 + length) == Some(&b'}')
            {
                return Some((Part::Text(&self.rest[at + 1..at + 1 + length]), at, length + 2));
            }
            if let Some((part, length)) = self.hole(at) {
                return Some((part, at, length));
            }
            at += 1;
        }
        None
    }
}

impl<'a, F: Fn(&[u8]) -> Option<usize>> Iterator for Parts<'a, F> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (part, length) = match self.first() {
            None => (Part::Text(self.rest), self.rest.len()),
            Some((part, 0, length)) => (part, length),
            Some((_, at, _)) => (Part::Text(&self.rest[..at]), at),
        };
        self.rest = &self.rest[length..];
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    /// Holes in angle brackets.
    fn shown(word: &str) -> String {
        let known = |name: &[u8]| [&b"sample"[..], b"seed"].iter().position(|known| *known == name);
        let show = |part| match part {
            Part::Text(text) => std::str::from_utf8(text).unwrap().replace('<', "?"),
            Part::Item => "<>".into(),
            Part::Number => "<#>".into(),
            Part::Named(index) => std::format!("<{index}>"),
        };
        parts(word.as_bytes(), known).map(show).collect()
    }

    #[test]
    fn only_what_is_known_is_a_hole() {
        for (word, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{}", "<>"),
            ("in/{}.txt", "in/<>.txt"),
            ("{#}-{sample}-{seed}{}", "<#>-<0>-<1><>"),
            ("{other}", "{other}"),
            ("awk '{print $1}'", "awk '{print $1}'"),
            (r#"{"a": {"b": 1}}"#, r#"{"a": {"b": 1}}"#),
            ("{", "{"),
            ("}{", "}{"),
            ("{ }", "{ }"),
            ("{sam", "{sam"),
        ] {
            assert_eq!(shown(word), expected, "{word}");
        }
    }

    #[test]
    fn what_a_shell_expands_is_the_shells() {
        for word in ["${sample}", "${}", "${#}", "$(${seed})", "${{sample}}"] {
            assert_eq!(shown(word), word);
        }
        assert_eq!(shown("$ {sample} $1{}"), "$ <0> $1<>");
    }

    #[test]
    fn double_braces_are_literal_single_ones() {
        for (word, expected) in [
            ("{{}}", "{}"),
            ("a{{#}}b", "a{#}b"),
            ("{{sample}}", "{sample}"),
            ("{{x}}", "{{x}}"),
            ("{{}", "{<>"),
        ] {
            assert_eq!(shown(word), expected, "{word}");
        }
    }
}
