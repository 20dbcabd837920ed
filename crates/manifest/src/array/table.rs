//! Comma-separated values as RFC 4180 has them, with the line of each row. It does not know what a row is for.
//!
//! Stricter than readers that take everything: a quote that is never closed, or closed in the middle of a value, would
//! swallow rows without a word.

/// A table's rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    /// Lines between rows, and behind them, that have nothing in them but spaces.
    pub(super) empty: usize,
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line that it begins in, from 1.
    pub(super) line: usize,
    pub(super) values: Vec<String>,
}

/// What is wrong with a table, and the line where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: &'static str,
}

const UNCLOSED: &str =
    "begins a quote here that is never closed; a quote within a quoted value is written twice";
const BEHIND: &str = "has something behind a closing quote; a quote within a quoted value is written twice";

/// Reads all of it.
///
/// # Errors
/// A quote that is never closed, or that ends before its value does.
pub(super) fn read(text: &str) -> Result<Table, Fault> {
    let mut table = Table::default();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (values, after) = row(rest, line)?;
        match &values[..] {
            [only] if only.trim().is_empty() && !rest.starts_with('"') => table.empty += 1,
            _ => table.rows.push(Row { line, values }),
        }
        line += lines(&rest[..rest.len() - after.len()]);
        rest = after;
    }
    Ok(table)
}

/// The values of the row at the beginning, and what comes after it.
fn row(text: &str, line: usize) -> Result<(Vec<String>, &str), Fault> {
    let (mut values, mut rest) = (Vec::new(), text);
    loop {
        let at = line + lines(&text[..text.len() - rest.len()]);
        let (value, after) = value(rest).map_err(|message| Fault { line: at, message })?;
        values.push(value);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                return Ok((
                    values,
                    ["\r\n", "\n", "\r"].iter().find_map(|end| after.strip_prefix(end)).unwrap_or(""),
                ));
            }
        }
    }
}

/// The value at the beginning, and what comes after it: a comma, a line's end, or nothing.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let (value, after) = text.split_at(text.find([',', '\r', '\n']).unwrap_or(text.len()));
        return Ok((value.to_owned(), after));
    };
    let mut value = String::new();
    loop {
        let (inside, after) = rest.split_once('"').ok_or(UNCLOSED)?;
        value.push_str(inside);
        rest = match after.strip_prefix('"') {
            Some(more) => more,
            None if after.is_empty() || after.starts_with([',', '\r', '\n']) => return Ok((value, after)),
            None => return Err(BEHIND),
        };
        value.push('"');
    }
}

/// How many lines end in a text.
fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quote_that_is_never_closed_is_refused_with_its_line() {
        let fault = |text: &str| read(text).unwrap_err();
        assert_eq!(fault("a,b\n1,2\n\"x\ny\",\"z\n3,4\n5,6\n"), Fault { line: 4, message: UNCLOSED });
        assert_eq!(fault("a\n\""), Fault { line: 2, message: UNCLOSED });
        // Two inches: the second row's quote would have closed the first's.
        assert_eq!(fault("a,b\n\"5 inch,1\n\"6 inch,2\n"), Fault { line: 2, message: BEHIND });
        assert_eq!(read("a\n5\" x\n").unwrap().rows[1].values, ["5\" x"]);
    }

    #[test]
    fn empty_lines_are_counted_and_rows_know_theirs() {
        let table = read("a\r\n\r\n1\n \t\n\"x\ny\"\n\" \"\n\n3").unwrap();
        let rows: Vec<(usize, &str)> =
            table.rows.iter().map(|row| (row.line, row.values[0].as_str())).collect();
        assert_eq!((rows, table.empty), (vec![(1, "a"), (3, "1"), (5, "x\ny"), (7, " "), (9, "3")], 3));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_others_read(text in "[a\",\r\n]{0,24}") {
            if let Ok(table) = read(&text) {
                let mut reader =
                    csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
                let theirs: Vec<Vec<String>> = reader
                    .records()
                    .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                    .collect();
                let ours: Vec<Vec<String>> = table.rows.into_iter().map(|row| row.values).collect();
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
