//! Corrected texts of manifests that are broken in a way that people break them: the user's own lines, moved.
//!
//! A correction is shown and never used. What cannot be corrected for certain is not.

use crate::tree::{self, Node};

/// The longest document that is shown, in lines.
const LONGEST: usize = 80;

/// A text whose first line stands at the left and all that follow are deeper, with the others beside it; and the line
/// (from 1) and column at which that begins. None if it is broken otherwise.
pub(crate) fn beside(text: &str) -> Option<(String, u64, u64)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut content = lines.iter().enumerate().filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && line != "---"
    });
    let (first, head) = content.next()?;
    let (second, next) = content.next()?;
    let deep = indent(next);
    let is_pair = head.split_once(": ").is_some_and(|(_, value)| !value.trim().is_empty());
    if indent(head) != 0 || deep == 0 || !is_pair || content.any(|(_, line)| indent(line) < deep) {
        return None;
    }
    let moved = lines.iter().enumerate().map(|(at, line)| match at > first {
        true => line.get(deep.min(indent(line))..).unwrap_or_default(),
        false => line,
    });
    let text = moved.collect::<Vec<_>>().join("\n") + "\n";
    tree::parse(&text).ok()?;
    Some((text, second as u64 + 1, deep as u64 + 1))
}

/// The text with the field at `from` of a document moved into the mapping at `to`, after what is in there.
pub(crate) fn moved(text: &str, document: usize, from: &str, to: &str) -> Option<String> {
    let (parent, key) = from.rsplit_once('.').unwrap_or(("", from));
    let entry = find(&tree::parse(text).ok()?, document, parent)?
        .entries()
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| entry.at)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (start, deep) = (usize::try_from(entry.line).ok()? - 1, usize::try_from(entry.column).ok()? - 1);
    // In flow style, or behind the dash of a list, a field has no lines of its own.
    if indent(lines.get(start)?) != deep || lines[start].trim_start().starts_with(['-', '{']) {
        return None;
    }
    let block: Vec<String> = lines.drain(start..end(&lines, start, deep, true)).collect();
    let rest = lines.join("\n") + "\n";
    let place = find(&tree::parse(&rest).ok()?, document, to)?.at;
    let (first, new) = (usize::try_from(place.line).ok()? - 1, usize::try_from(place.column).ok()? - 1);
    let at = end(&lines, first, new, false);
    let block = block.into_iter().map(|line| match line.trim().is_empty() {
        true => String::new(),
        false => format!("{}{}", " ".repeat(new), line.get(deep..).unwrap_or(line.trim_start())),
    });
    lines.splice(at..at, block);
    Some(lines.join("\n") + "\n")
}

/// The lines of one document, if they are few enough to be shown.
pub(crate) fn shown(text: &str, line: u64) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let line = usize::try_from(line).ok()?.saturating_sub(1).min(lines.len());
    let is_end = |line: &&str| line.starts_with("---");
    let start = lines[..line].iter().rposition(is_end).map_or(0, |at| at + 1);
    let end = lines[line..].iter().position(is_end).map_or(lines.len(), |at| line + at);
    (end - start <= LONGEST).then(|| lines[start..end].join("\n"))
}

fn find<'a>(documents: &'a [Node], document: usize, path: &str) -> Option<&'a Node> {
    documents.get(document)?.find(path)
}

/// Where the block that begins in a line ends: before the next line that is not as deep. A key's list may stand as
/// deep as the key itself; a mapping's own keys do.
fn end(lines: &[String], start: usize, deep: usize, of_key: bool) -> usize {
    let is_inside = |line: &String| {
        let is_item = line.trim_start().starts_with("- ") || line.trim() == "-";
        is_silent(line) || indent(line) > deep || (indent(line) == deep && (!of_key || is_item))
    };
    let after = lines[start + 1..].iter().position(|line| !is_inside(line));
    let mut end = after.map_or(lines.len(), |count| start + 1 + count);
    // Empty lines and comments at its end belong to what follows.
    while end > start + 1 && is_silent(&lines[end - 1]) {
        end -= 1;
    }
    end
}

/// A line that says nothing to a parser.
fn is_silent(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_deep_below_a_value_is_put_beside_it() {
        let (text, line, column) = beside("a: 1\n    b:\n      c: 2\n    # why\n    d: 3\n").unwrap();
        assert_eq!(text, "a: 1\nb:\n  c: 2\n# why\nd: 3\n");
        assert_eq!((line, column), (2, 5));
        assert_eq!(beside("a: 1\n    b: 2\nc: 3\n"), None);
        assert_eq!(beside("a: [\n"), None);
        assert_eq!(beside("é: 1\n  ü: [\n"), None);
    }

    #[test]
    fn a_field_takes_its_lines_along() {
        let text = "a:\n  b:\n  - x: 1\n    y: 2\n\n  c:\n  - 1\n  # of c\n  - 2\n  d: 3\n";
        let moved = moved(text, 0, "a.c", "a.b[0]").unwrap();
        assert_eq!(moved, "a:\n  b:\n  - x: 1\n    y: 2\n    c:\n    - 1\n    # of c\n    - 2\n\n  d: 3\n");
    }

    #[test]
    fn a_field_without_lines_of_its_own_stays() {
        assert_eq!(moved("a: {b: 1}\nc: {}\n", 0, "a.b", "c"), None);
        assert_eq!(moved("- a: 1\n- b: 1\n", 0, "[0].a", "[1]"), None);
        assert_eq!(moved("a: 1\n", 0, "nothing", ""), None);
    }

    #[test]
    fn a_document_is_shown_alone_and_only_if_it_is_short() {
        assert_eq!(shown("a\n---\nb\nc\n---\nd\n", 3).as_deref(), Some("b\nc"));
        assert_eq!(shown(&"x\n".repeat(100), 1), None);
    }
}
