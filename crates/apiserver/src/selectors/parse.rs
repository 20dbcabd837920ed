//! Reading selectors from text. Pure; errors are upstream's sentences.

use super::{FieldTerm, LabelTerm, LabelTest};
use crate::names;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(&self) -> &'a str {
        match self {
            Token::Word(text) | Token::Sign(text) => text,
            Token::End => "",
        }
    }
}

/// Reads a label selector; the empty text selects everything.
pub(crate) fn labels(text: &str) -> Result<Vec<LabelTerm>, String> {
    let mut reader = Reader { tokens: tokens(text), at: 0 };
    let mut terms = Vec::new();
    loop {
        match reader.peek() {
            Token::End => return Ok(terms),
            Token::Word(_) | Token::Sign("!") => {}
            Token::Sign(other) => {
                return Err(format!("found '{other}', expected: !, identifier, or 'end of string'"));
            }
        }
        terms.push(reader.term().map_err(|e| format!("unable to parse requirement: {e}"))?);
        match reader.next() {
            Token::End => return Ok(terms),
            Token::Sign(",") => match reader.peek() {
                Token::Word(_) | Token::Sign("!") => {}
                other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
            },
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let sign = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<');
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if sign(first) {
            if rest.starts_with("==") || rest.starts_with("!=") { 2 } else { 1 }
        } else {
            rest.find(|c: char| sign(c) || c.is_whitespace()).unwrap_or(rest.len())
        };
        let (token, tail) = rest.split_at(length);
        tokens.push(if sign(first) { Token::Sign(token) } else { Token::Word(token) });
        rest = tail.trim_start();
    }
    tokens
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn term(&mut self) -> Result<LabelTerm, String> {
        let negated = self.peek() == Token::Sign("!");
        if negated {
            self.at += 1;
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        check_key(key)?;
        let test = if negated {
            LabelTest::Absent
        } else if matches!(self.peek(), Token::End | Token::Sign(",")) {
            LabelTest::Exists
        } else {
            self.test(key)?
        };
        Ok(LabelTerm { key: key.to_owned(), test })
    }

    fn test(&mut self, key: &str) -> Result<LabelTest, String> {
        match self.next() {
            Token::Sign("=" | "==") => Ok(LabelTest::In(vec![self.value(key)?])),
            Token::Sign("!=") => Ok(LabelTest::NotIn(vec![self.value(key)?])),
            Token::Sign(">") => Ok(LabelTest::Above(self.number()?)),
            Token::Sign("<") => Ok(LabelTest::Below(self.number()?)),
            Token::Word("in") => Ok(LabelTest::In(self.values(key)?)),
            Token::Word("notin") => Ok(LabelTest::NotIn(self.values(key)?)),
            other => Err(format!("found '{}', expected: {OPERATORS}", other.text())),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Word(value) => {
                self.at += 1;
                check_value(key, value)
            }
            Token::Sign(other) => Err(format!("found '{other}', expected: identifier")),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let text = self.next().text();
        text.parse().map_err(|_| {
            format!(
                "values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        })
    }

    fn values(&mut self, key: &str) -> Result<Vec<String>, String> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                Token::Word(value) => {
                    self.at += 1;
                    values.push(check_value(key, value)?);
                }
                // As upstream reads it: nothing between commas is the empty value.
                Token::Sign("," | ")") => values.push(String::new()),
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
            match self.next() {
                Token::Sign(",") => {}
                Token::Sign(")") => return Ok(values),
                other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let wrong = names::qualified_name(key);
    if wrong.is_empty() { Ok(()) } else { Err(format!("key: Invalid value: {key:?}: {}", wrong.join("; "))) }
}

fn check_value(key: &str, value: &str) -> Result<String, String> {
    let wrong = names::label_value(value);
    if wrong.is_empty() {
        Ok(value.to_owned())
    } else {
        Err(format!("values[0][{key}]: Invalid value: {value:?}: {}", wrong.join("; ")))
    }
}

/// Reads a field selector; the empty text selects everything.
pub(crate) fn fields(text: &str) -> Result<Vec<FieldTerm>, String> {
    split(text, ',').into_iter().filter(|part| !part.is_empty()).map(|part| field(text, part)).collect()
}

fn field(all: &str, part: &str) -> Result<FieldTerm, String> {
    let fault = || format!("invalid selector: '{all}'; can't understand '{part}'");
    let at = part.find(['=', '!']).ok_or_else(fault)?;
    let (name, rest) = part.split_at(at);
    let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        (true, value)
    } else {
        return Err(fault());
    };
    Ok(FieldTerm { field: name.to_owned(), value: unescape(value)?, equal })
}

/// Splits at a separator that no backslash escapes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(format!("invalid field selector: invalid escape sequence: \\{c}")),
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            c => out.push(c),
        }
    }
    Ok(out)
}
