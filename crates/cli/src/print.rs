//! Tables in kubectl's shape: capital headings, columns padded to their widest cell, three spaces between.
//!
//! Knows nothing of jobs. Cells are data from elsewhere: control characters in them are shown, never sent to a terminal.

use std::fmt;

/// Rows under headings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: &[&str]) -> Table {
        Table { headings: headings.iter().map(|heading| plain(heading)).collect(), rows: Vec::new() }
    }

    /// Adds a row; an empty cell prints as nothing.
    pub(crate) fn row(&mut self, cells: &[String]) {
        debug_assert_eq!(cells.len(), self.headings.len(), "one cell a heading");
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// The columns' widths in characters.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|h| h.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        line(f, &widths, self.headings.iter().map(String::as_str))?;
        self.rows.iter().try_for_each(|row| line(f, &widths, row.iter().map(String::as_str)))
    }
}

/// One line, without spaces at its end.
fn line<'a>(
    f: &mut fmt::Formatter<'_>,
    widths: &[usize],
    cells: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    let padded: Vec<String> = cells.zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    writeln!(f, "{}", padded.join("   ").trim_end())
}

/// Text that cannot move a cursor: line ends become spaces, other control characters their escapes.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let mut table = Table::new(&["NAME", "STATUS", "REASON"]);
        table.row(&["make-x2k4f".into(), "Running".into(), String::new()]);
        table.row(&["é".into(), "Failed".into(), "exit code 7".into()]);
        assert_eq!(
            table.to_string(),
            "NAME         STATUS    REASON\n\
             make-x2k4f   Running\n\
             é            Failed    exit code 7\n"
        );
    }

    #[test]
    fn a_cell_cannot_send_commands_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\td\n"), "a\\u{1b}[2Jb c d");
    }
}
