//! Runs a template so that what it is given can only fill values.
//!
//! Each `{{ ... }}` writes a marker of digits in place of its value, and the value is kept beside the text. What the
//! template itself writes, from macros and `{% set %}` blocks too, is text; a value never is. [`super::fill`] puts the
//! values in where the markers stand, once the text has been read as YAML. It knows no YAML and no Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, Value as Any, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use serde_json::Value;

use super::marker::Markers;

/// The longest template, in bytes: what a ConfigMap holds.
pub(super) const MAX_TEMPLATE: usize = 1 << 20;
/// How many steps a template may take: a loop over 100,000 items has five each.
const FUEL: u64 = 500_000;
/// How deep macros may call each other.
const DEPTH: usize = 100;
/// How much a template may write, and how much the values in it may be, in bytes each.
pub(super) const MAX_TEXT: usize = 16 << 20;

/// Arguments by name.
pub type Arguments = BTreeMap<String, Value>;

/// What a value of the template is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filled {
    /// A text; also a number or a truth value as a text.
    Text(String),
    /// `none`.
    Null,
    /// A list or a mapping.
    Structure(Value),
    /// What went through `tojson`: this value and no other, whatever it looks like.
    Exact(Value),
}

impl Filled {
    /// As it stands inside of a text.
    pub(super) fn text(&self) -> String {
        match self {
            Filled::Text(text) => text.clone(),
            Filled::Null => "none".to_owned(),
            Filled::Structure(value) | Filled::Exact(value) => value.to_string(),
        }
    }
}

/// What a template made: a text with markers in it, and their values.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) markers: Markers,
    pub(super) values: Vec<Filled>,
}

/// A template and its arguments.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) text: &'a str,
    pub(super) arguments: &'a Arguments,
}

/// What goes through `tojson`.
#[derive(Debug)]
struct Json(Value);

impl Object for Json {
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Run<'_> {
    /// Runs it to its end.
    pub(super) fn render(self) -> Result<Rendered, Error> {
        let texts = self.arguments.iter().map(|(name, value)| format!("{name}={value}"));
        let markers = Markers::unlike([self.text.to_owned()].into_iter().chain(texts));
        let (text, values) = self.run(&markers, None)?;
        Ok(Rendered { text, markers, values })
    }

    /// The line and the words of the expression that gave a value: the run is repeated up to there.
    pub(super) fn expression(self, markers: &Markers, index: usize) -> Option<(usize, String)> {
        let error = self.run(markers, Some(index)).err()?;
        Some((error.line()?, braces(self.text, error.range()?)?))
    }

    fn run(self, markers: &Markers, stop_at: Option<usize>) -> Result<(String, Vec<Filled>), Error> {
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let (keeper, markers) = (kept.clone(), markers.clone());
        let mut environment = environment();
        environment.set_formatter(move |out, state, value| {
            if is_own_text(state, value) {
                return Ok(out.write_str(value.as_str().unwrap_or_default())?);
            }
            let mut kept = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            let index = kept.values.len();
            if stop_at == Some(index) {
                return Err(Error::new(ErrorKind::InvalidOperation, "here"));
            }
            kept.keep(filled(value)?)?;
            write_marker(out, &markers, index)
        });
        let mut sink = Sink(Vec::new());
        environment.template_from_str(self.text)?.render_captured_to(self.arguments, &mut sink)?;
        drop(environment);
        let values = std::mem::take(&mut kept.lock().unwrap_or_else(PoisonError::into_inner).values);
        Ok((String::from_utf8_lossy(&sink.0).into_owned(), values))
    }
}

fn write_marker(out: &mut Output<'_>, markers: &Markers, index: usize) -> Result<(), Error> {
    Ok(out.write_str(&markers.of(index))?)
}

/// What stands between the braces around a place. Of an expression that holds braces it is a part that means
/// nothing.
pub(super) fn braces(text: &str, place: Range<usize>) -> Option<String> {
    let (before, behind) = (text.get(..place.start)?, text.get(place.end..)?);
    let start = before.rfind("{{").filter(|start| !before[*start..].contains("}}"))? + 2;
    let end = place.end + behind.find("}}")?;
    let words = text.get(start..end)?.trim_matches(['-', '+']);
    Some(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The names that a template takes from outside.
pub(super) fn variables(text: &str) -> Result<BTreeSet<String>, Error> {
    let environment = environment();
    let template = environment.template_from_str(text)?;
    let globals: BTreeSet<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    Ok(template.undeclared_variables(false).into_iter().filter(|name| !globals.contains(name)).collect())
}

/// What all templates have in common. What a macro or a block writes is marked as the template's own text (by an
/// escaping mode that escapes nothing); no filter may give that mark to anything else.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_debug(false);
    environment.set_keep_trailing_newline(true);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("markers"));
    for name in ["safe", "escape", "e"] {
        environment.add_filter(name, |value: Any| value);
    }
    environment.add_filter("tojson", |value: Any| json(&value).map(|value| Any::from_object(Json(value))));
    environment
}

/// Whether it is what the template itself wrote, markers included.
fn is_own_text(state: &State<'_, '_>, value: &Any) -> bool {
    value.is_safe() && matches!(state.auto_escape(), AutoEscape::Custom(_))
}

fn filled(value: &Any) -> Result<Filled, Error> {
    if let Some(Json(value)) = value.downcast_object_ref::<Json>() {
        return Ok(Filled::Exact(value.clone()));
    }
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(ErrorKind::UndefinedError.into()),
        ValueKind::None => Filled::Null,
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => Filled::Structure(json(value)?),
        _ => Filled::Text(value.to_string()),
    })
}

fn json(value: &Any) -> Result<Value, Error> {
    if let Some(Json(value)) = value.downcast_object_ref::<Json>() {
        return Ok(value.clone());
    }
    serde_json::to_value(value).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, format!("cannot be written as JSON: {error}"))
    })
}

/// The values so far.
#[derive(Default)]
struct Kept {
    values: Vec<Filled>,
    bytes: usize,
}

impl Kept {
    fn keep(&mut self, value: Filled) -> Result<(), Error> {
        self.bytes += match &value {
            Filled::Text(text) => text.len(),
            Filled::Null => 0,
            Filled::Structure(value) | Filled::Exact(value) => value.to_string().len(),
        };
        if self.bytes > MAX_TEXT {
            return Err(ErrorKind::WriteFailure.into());
        }
        self.values.push(value);
        Ok(())
    }
}

/// So much text and no more.
struct Sink(Vec<u8>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
