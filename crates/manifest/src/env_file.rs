//! Files of variables, as Docker reads them: `NAME=VALUE` a line, the value as it stands; `NAME` alone is the caller's,
//! if set; `#` begins a comment line. It opens no file and knows no environment.
//!
//! Source: docker/cli, `pkg/kvfile`. A name alone may have blanks behind it here.

/// A line that sets no variable. What stands in it is not told: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sets no variable")]
pub struct NoVariable {
    /// The line, from 1.
    pub line: usize,
    /// Whether it is one of a shell, with `export` in front.
    pub is_export: bool,
}

/// The variables of a file in their order; `own` are the caller's.
///
/// # Errors
/// The first line that sets none and is no comment.
pub fn read(text: &str, own: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, NoVariable> {
    let mut variables = Vec::new();
    // Some editors write this mark before all else; it is part of no name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some((name, value)) if is_name(name) => variables.push((name.to_owned(), value.to_owned())),
            None if is_name(line.trim_end()) => {
                let name = line.trim_end();
                variables.extend(own(name).map(|value| (name.to_owned(), value)));
            }
            _ => return Err(NoVariable { line: number, is_export: line.starts_with("export ") }),
        }
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(text: &str) -> Result<Vec<(String, String)>, NoVariable> {
        read(text, |name| (name == "HERE").then(|| "yes".to_owned()))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_are_taken_as_they_stand_and_names_alone_are_the_callers() {
        let text = "# a comment\n\nA=1\n  B=two words # no comment\nC=\"quoted\"\nHERE\nNOT_SET\nE=\n";
        let expected =
            [("A", "1"), ("B", "two words # no comment"), ("C", "\"quoted\""), ("HERE", "yes"), ("E", "")];
        assert_eq!(read_with(text), Ok(pairs(&expected)));
    }

    #[test]
    fn mark_of_an_editor_and_ends_of_lines_of_windows_are_no_part_of_variables() {
        assert_eq!(read_with("\u{feff}A=1\r\nB=\u{feff}\r\n"), Ok(pairs(&[("A", "1"), ("B", "\u{feff}")])));
        assert_eq!(read_with("\u{feff}# a comment\n"), Ok(Vec::new()));
    }

    #[test]
    fn a_bad_line_is_told_by_its_number() {
        assert_eq!(read_with("A=1\nexport B=s3cret\n"), Err(NoVariable { line: 2, is_export: true }));
        assert_eq!(read_with("=1\n"), Err(NoVariable { line: 1, is_export: false }));
    }
}
