//! Small languages: selectors, quantities, lists of indexes.

use super::text;
use crate::field::FieldError;
use crate::kinds::fuzz::{count_of_indexes, overlap_of_indexes};
use crate::quantity::{Quantity, canonical};
use crate::selectors::fuzz::{read_fields, read_labels};
use crate::selectors::{FieldTerm, LabelTerm, LabelTest};

/// A selector that is read can be written, and means the same then.
pub fn labels(data: &[u8]) {
    let Some(selector) = text(data) else { return };
    let Ok(terms) = read_labels(selector) else { return };
    let written = terms.iter().map(write_label).collect::<Vec<_>>().join(",");
    assert_eq!(read_labels(&written).as_ref(), Ok(&terms), "{written:?}");
}

fn write_label(term: &LabelTerm) -> String {
    let key = &term.key;
    match &term.test {
        LabelTest::In(values) => format!("{key} in ({})", values.join(",")),
        LabelTest::NotIn(values) => format!("{key} notin ({})", values.join(",")),
        LabelTest::Exists => key.clone(),
        LabelTest::Absent => format!("!{key}"),
        LabelTest::Above(limit) => format!("{key}>{limit}"),
        LabelTest::Below(limit) => format!("{key}<{limit}"),
    }
}

/// The same of selectors of fields.
pub fn fields(data: &[u8]) {
    let Some(selector) = text(data) else { return };
    let Ok(terms) = read_fields(selector) else { return };
    let written = terms.iter().map(write_field).collect::<Vec<_>>().join(",");
    assert_eq!(read_fields(&written).as_ref(), Ok(&terms), "{written:?}");
}

fn write_field(term: &FieldTerm) -> String {
    let value: String = term
        .value
        .chars()
        .flat_map(|c| ['\\'].into_iter().filter(move |_| matches!(c, '\\' | ',' | '=')).chain([c]))
        .collect();
    format!("{}{}{value}", term.field, if term.equal { "=" } else { "!=" })
}

/// The canonical spelling of a quantity is the same quantity, and its own canonical spelling; one of few digits is what
/// plain arithmetic makes of it.
pub fn quantities(data: &[u8]) {
    let Some(written) = text(data).map(str::trim) else { return };
    let Ok(spelling) = canonical(written) else { return };
    assert_eq!(canonical(&spelling).as_ref(), Ok(&spelling));
    let read = |text: &str| Quantity::parse(text).expect("what is spelled can be read");
    let quantity = read(written);
    if let Some(nanos) = plain_nanos(written) {
        assert_eq!(quantity.nanos(), nanos, "{written:?}");
    }
    assert_eq!(read(&spelling), quantity, "{written:?} became {spelling:?}");
    assert_eq!(read(&quantity.to_string()), quantity, "{quantity}");
    // Beyond what can be counted it stays at the end of the scale.
    if quantity.nanos().abs() < i128::from(i64::MAX) * 1_000_000_000 {
        assert_eq!(quantity.to_string(), spelling, "{written:?}");
    }
}

/// A quantity of at most ten digits with a suffix, by plain arithmetic.
fn plain_nanos(written: &str) -> Option<i128> {
    const MOST: i128 = i64::MAX as i128 * 1_000_000_000;
    let (sign, number) = written.strip_prefix('-').map_or((1, written), |number| (-1, number));
    let (number, suffix) =
        number.split_at(number.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(number.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    if digits.len() > 10 {
        return None;
    }
    let place =
        |units: &[&str]| units.iter().position(|unit| *unit == suffix).and_then(|at| u32::try_from(at).ok());
    let factor = match place(&["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]) {
        Some(place) => 1000_i128.pow(place),
        None => 1_000_000_000 * 1024_i128.pow(place(&["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])?),
    };
    let (amount, over) = (digits.parse::<i128>().ok()? * factor, 10_i128.pow(fraction.len() as u32));
    Some(sign * ((amount + over - 1) / over).min(MOST))
}

/// Two lists with a line between them: counted as one by one, and they overlap where both have an index.
pub fn indexes(data: &[u8]) {
    const COMPLETIONS: i64 = 64;
    let Some((one, other)) = text(data).and_then(|text| text.split_once('\n')) else { return };
    let (Some(left), Some(right)) = (each(one, COMPLETIONS), each(other, COMPLETIONS)) else { return };
    assert_eq!(count_of_indexes(one, COMPLETIONS), Some(left.len() as i64), "{one:?}");
    let both = left.iter().find(|index| right.contains(index)).copied();
    assert_eq!(overlap_of_indexes(one, other, COMPLETIONS), both, "{one:?} {other:?}");
}

/// The indexes of a list that is well-formed; what is not must not be counted either.
fn each(list: &str, completions: i64) -> Option<Vec<i64>> {
    count_of_indexes(list, completions)?;
    let mut all = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<i64>().ok()?..=last.parse::<i64>().ok()?);
    }
    assert!(all.is_sorted() && all.iter().all(|index| (0..completions).contains(index)), "{list:?}: {all:?}");
    Some(all)
}

/// Problems are told, each by its path, and not without bound.
pub(super) fn told(errors: &[FieldError]) {
    assert!(errors.iter().all(|error| error.to_string().contains(':')), "{errors:?}");
}
