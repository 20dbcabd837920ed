//! What is wrong with a text that is no YAML, in words for who wrote it: what stands there, and how it is written.
//!
//! The parser says it in the terms of its grammar. What it says seldom keeps its words (`RULES` is what people break).

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, UserMessageFormatter};

/// Where a text is broken, from 1 (0: nobody knows), and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
    /// What is wrong there, and what would be right.
    pub cause: String,
}

/// What the parser says, or a part of it, and what that means. The first counts.
const RULES: &[(&str, &str)] = &[
    ("mapping values are not allowed", COLON),
    ("precede any of", COLON),
    ("':' must be followed", COLON),
    ("placement of ':'", COLON),
    (
        "mapping keys are not allowed",
        "a key cannot stand here; mend the line's indentation, or put a text that begins with `?` in quotes",
    ),
    ("simple key", "this line has no `:`; write it like KEY: VALUE"),
    (
        "did not find expected key",
        "this line is not indented like those it belongs to; what stands side by side begins in one column",
    ),
    (
        "did not find expected '-'",
        "this stands beside the items of a list and has no `-`; give it one, or another indentation",
    ),
    ("only valid inside a block", DASH),
    ("block sequence entries", DASH),
    ("'-' must be followed", DASH),
    ("start with '-'", DASH),
    ("unclosed quote", "the quote that begins here is never closed"),
    ("document indicator", "a quote before this is never closed"),
    (
        "indentation in multiline quoted",
        "this line belongs to a quote that was opened before it: close that, or indent this line",
    ),
    ("indentation in flow", "what stands in [ ] or { } is indented deeper than its key"),
    ("unclosed bracket '['", "the `[` here is never closed"),
    ("unclosed bracket '{'", "the `{` here is never closed"),
    ("mismatched bracket '['", "the `[` here is closed by a `}`"),
    ("mismatched bracket '{'", "the `{` here is closed by a `]`"),
    ("misplaced bracket", "this bracket closes nothing; put a text that begins with one in quotes"),
    ("expected ',' or ']'", "a `,` or a `]` is missing before this"),
    ("expected ',' or '}'", "a `,` or a `}` is missing before this"),
    ("unexpected EOF", END),
    ("unexpected eof", END),
    ("unexpected end of", END),
    ("expected node content", "a value is missing here; put a text that begins with a sign in quotes"),
    (
        "trailing content after",
        "something comes behind the closing quote; put the whole value in one pair of quotes",
    ),
    ("surrogate", "this escape is one half of a character; write the character itself"),
    ("a tag", TAG),
    ("verbatim tag", TAG),
    ("global tag", TAG),
    ("unsupported tag", TAG),
    ("tagged enum", VALUE),
    ("enum variant", VALUE),
    ("handle wasn't declared", TAG),
    ("hexadecimal", ESCAPE),
    ("escape", ESCAPE),
    ("unknown anchor", ALIAS),
    ("unknown value", ALIAS),
    (
        "alphabetic or numeric character",
        "behind `*` or `&` comes a name; put a text that begins with one of them in quotes",
    ),
    ("ecursive reference", "this alias stands within what it stands for"),
    ("block scalar, ", "behind `|` or `>` the line ends; the text begins in the next one, indented"),
    ("block scalars must indent", "the text behind `|` or `>` begins in the next line, indented"),
    ("wrongly indented line", "this line has less indentation than the text that it belongs to"),
    ("invalid indentation", "this line is indented like nothing before it"),
    (
        "separated from other tokens",
        "before the `#` of a comment comes a space; put a text that holds `#` in quotes",
    ),
    (
        "comment intercepting",
        "a comment stands in the middle of a text of several lines; move it, or put the text in quotes",
    ),
    (
        "expected string scalar",
        "a key is a text, not a mapping or a list; put a value that begins with `{{` in quotes",
    ),
    ("merge value", "`<<` takes a mapping, or a list of mappings, mostly an alias like *base"),
    ("!!binary", "what !!binary marks is base64; this is not"),
    ("unsupported YAML", "YAML 1.2 is read here; leave the %YAML line out"),
    (
        "irective",
        "a line that begins with `%` speaks to the parser; put a text that begins with it in quotes",
    ),
    ("<document start>", "something is left over here; write `---` before another document"),
    ("document end marker", "behind `...` the line ends"),
    ("expected whitespace", "a space is missing here"),
    ("recursion limit", "this nests deeper than is read"),
    ("too large or too complex", ALIASES),
];

const COLON: &str =
    "a `:` cannot stand here; put a text that holds `: ` in quotes, or mend the line's indentation";
const DASH: &str = "an item of a list (`- `) cannot stand here; begin it in a line of its own, or put a text that begins with `-` in quotes";
const END: &str = "the text ends where more should come";
const VALUE: &str = "this is none of the values that the key takes";
const TAG: &str = "`!` begins the mark of a type, and this is none that is known; put a text that begins with `!` in quotes";
const ESCAPE: &str = "in double quotes a backslash begins an escape, and this is none; write `\\\\` for a backslash, or use single quotes";
const ALIAS: &str = "`*` and a word is an alias, and nothing is anchored under that word; put a text that begins with `*` in quotes";
const ALIASES: &str = "what its aliases stand for is more than is read at once; write it out, or split it";
const TAB: &str = "a tab indents this line; YAML is indented by spaces";

/// Says what is wrong with a text that the parser has refused.
pub fn broken(text: &str, error: &Error) -> Broken {
    let place = error.location();
    let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
    let said = said(error);
    if said.contains("tabs ") || said.ends_with(" a tab") || said.starts_with("tab ") {
        let (line, column) = tab(text, line).unwrap_or((line, column));
        return Broken { line, column, cause: TAB.to_owned() };
    }
    Broken { line, column, cause: cause(error, &said) }
}

/// The parser's words, without its picture of the place and without the place.
fn said(error: &Error) -> String {
    let text = error.without_snippet().render_with_formatter(&UserMessageFormatter);
    let end = error.location().map(|place| format!(" at line {}, column {}", place.line(), place.column()));
    end.and_then(|end| text.strip_suffix(&end)).unwrap_or(&text).to_owned()
}

fn cause(error: &Error, said: &str) -> String {
    match error.without_snippet() {
        Error::Budget { breach: BudgetBreach::Documents { documents }, .. } => {
            return format!("a file holds at most {} documents; split it", documents - 1);
        }
        Error::Budget { breach, .. } => {
            return format!("the file is beyond what is read at once ({breach:?}); split it");
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            return format!("the key {key} is there twice; keep one of the two");
        }
        Error::NonFiniteFloat { value, .. } => {
            return format!(
                "{value} is a number without end, which nothing here takes; put a text in quotes"
            );
        }
        Error::SerdeUnknownField { field, expected, .. } => {
            return format!("{field} is not known here; known are {}", expected.join(", "));
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            return format!("{variant} is not known here; known are {}", expected.join(", "));
        }
        _ => {}
    }
    if let Some(character) =
        said.split_once("unexpected character: `").and_then(|(_, rest)| rest.chars().next())
    {
        return match said.contains("\\u{") || character.is_control() {
            true => "this character cannot stand in YAML".to_owned(),
            false => format!("a text cannot begin with {character} unless it is in quotes"),
        };
    }
    match RULES.iter().find(|(theirs, _)| said.contains(theirs)) {
        Some((_, ours)) => (*ours).to_owned(),
        // Without where in its grammar the parser was.
        None if said.starts_with("while ") => said.split_once(", ").map_or(said, |(_, what)| what).to_owned(),
        None => said.to_owned(),
    }
}

/// The first line from there on that a tab indents. The parser names the line before it.
fn tab(text: &str, line: u64) -> Option<(u64, u64)> {
    let from = usize::try_from(line.saturating_sub(1)).ok()?;
    let mut lines = text.lines().enumerate().skip(from);
    lines.find_map(|(at, line)| {
        let indent = line.chars().take_while(|c| c.is_whitespace());
        let column = indent.into_iter().position(|c| c == '\t')?;
        Some((at as u64 + 1, column as u64 + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    /// How a text is broken: `LINE:COLUMN: CAUSE`.
    fn told(text: &str) -> String {
        let Broken { line, column, cause } = broken(text, &tree::parse(text).expect_err(text));
        format!("{line}:{column}: {cause}")
    }

    #[test]
    fn what_people_break_is_told_in_their_words_and_at_its_place() {
        let cases = [
            ("a: b\nc: [x, \"y]\n", "2:8: the quote that begins here is never closed"),
            ("a: b\n\tc: d\n", "2:1: a tab indents this line"),
            ("a:\n  b: c\n\td: e\n", "3:1: a tab indents this line"),
            ("a: [b, c\n", "1:4: the `[` here is never closed"),
            ("a: [b, c}\n", "1:4: the `[` here is closed by a `}`"),
            ("a: }\n", "1:4: this bracket closes nothing"),
            ("a: x: y\n", "1:5: a `:` cannot stand here"),
            ("a: b\n  c: d\n", "2:4: a `:` cannot stand here"),
            ("a: *b\n", "1:4: `*` and a word is an alias"),
            ("a: @b\n", "1:4: a text cannot begin with @ unless"),
            ("a: `ls`\n", "1:4: a text cannot begin with ` unless"),
            ("a: \u{1}\n", "1:4: this character cannot stand in YAML"),
            ("a: 1\nb: 2\na: 3\n", "3:1: the key a is there twice"),
            ("a: \"\\q\"\n", "1:4: in double quotes a backslash begins an escape"),
            ("a:\n  b: 1\n c: 2\n", "3:2: this line is not indented like those"),
            ("a: b\nc\nd: e\n", "2:1: this line has no `:`"),
            ("a: |x\n  b\n", "1:4: behind `|` or `>` the line ends"),
            ("a: \"b\" c\n", "1:8: something comes behind the closing quote"),
            ("a: {{x}}\n", "1:5: a key is a text"),
            ("<<: 3\na: b\n", "1:5: `<<` takes a mapping"),
            ("a: !!binary \"&&\"\n", "1:13: what !!binary marks is base64"),
            ("a: .nan\n", "1:4: .nan is a number without end"),
            ("a: &x\n  b: *x\n", "2:6: this alias stands within"),
            ("- a\nb: c\n", "2:1: this stands beside the items of a list"),
            ("%YAML 9.9\n---\na: b\n", "1:1: YAML 1.2 is read here"),
        ];
        let wrong = cases.into_iter().filter_map(|(text, expected)| {
            let told = told(text);
            (!told.starts_with(expected)).then_some((text, told))
        });
        assert_eq!(wrong.collect::<Vec<_>>(), []);
    }

    #[test]
    fn nothing_of_the_grammar_is_left_in_the_words() {
        let parts = [
            "a", ": ", "\n", "  ", "\"", "[", "]", "{", "}", "- ", "*", "&", "|", "!", "%", "\t", "?", "'",
            "\\", "@", ",",
        ];
        let theirs = [
            "scalar",
            "Option",
            "deserialize",
            "scanning",
            "parsing",
            "unexpected",
            "invalid",
            "mapping values",
        ];
        let (mut broken, mut left) = (0, std::collections::BTreeMap::new());
        for text in parts
            .iter()
            .flat_map(|a| parts.iter().flat_map(move |b| parts.map(|c| format!("k: {a}{b}{c}v\n"))))
        {
            let Err(error) = tree::parse(&text) else { continue };
            broken += 1;
            let Broken { cause, .. } = super::broken(&text, &error);
            if theirs.iter().any(|word| cause.contains(word)) {
                left.insert(cause, text);
            }
        }
        assert!(broken > 1000, "{broken}");
        assert!(left.is_empty(), "{left:#?}");
    }
}
