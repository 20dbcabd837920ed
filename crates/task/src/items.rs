//! The file with a line a task: `#` and the names, then each task's number and values, by tabs.
//!
//! In a value `\t`, `\n` and `\\` stand for a tab, a line feed and a backslash.

/// The name under which the file lies beside the helper, and in its ConfigMap.
pub const FILE: &str = "items";

/// The head of the first line.
pub const HEAD: &[u8] = b"#";

/// A line of the file: 0 is the first, with the names; the task of index `n` has line `n + 1`.
pub fn line(text: &[u8], number: usize) -> Option<&[u8]> {
    let mut lines = text.split(|byte| *byte == b'\n');
    // What follows the last line feed is no line.
    let found = lines.nth(number)?;
    if lines.next().is_some() { Some(found) } else { None }
}

/// The values of a line after its head, as they are written.
pub fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b'\t').skip(1)
}

/// The head of a line: `#`, or the task's number.
pub fn head(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'\t').next().unwrap_or_default()
}

/// The bytes of a value.
pub fn plain(written: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = written.iter().copied();
    core::iter::from_fn(move || match bytes.next()? {
        b'\\' => Some(match bytes.next() {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(other) => other,
            None => b'\\',
        }),
        byte => Some(byte),
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const TEXT: &[u8] = b"#\ta\tb\n5\tx y\t\n7\t1\\t2\\\\\\n\t\xc3\xa4\n";

    #[test]
    fn a_task_has_its_line() {
        assert_eq!(line(TEXT, 0), Some(&b"#\ta\tb"[..]));
        assert_eq!(line(TEXT, 1).map(head), Some(&b"5"[..]));
        assert_eq!(line(TEXT, 3), None);
        assert_eq!(line(b"", 0), None);
    }

    #[test]
    fn values_are_as_they_were() {
        let values =
            |number| values(line(TEXT, number).unwrap()).map(|value| plain(value).collect()).collect();
        let first: Vec<Vec<u8>> = values(1);
        assert_eq!(first, [b"x y".to_vec(), Vec::new()]);
        let second: Vec<Vec<u8>> = values(2);
        assert_eq!(second, [b"1\t2\\\n".to_vec(), b"\xc3\xa4".to_vec()]);
    }
}
