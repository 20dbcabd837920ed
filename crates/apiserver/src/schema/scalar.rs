//! The single values that have a text form of their own: times and base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::DecodeError;

/// The first second of the year 1.
const GO_ZERO: i64 = -62_135_596_800;

/// A time in its canonical form: UTC, whole seconds or six digits of them.
pub(super) fn time(text: &str, micro: bool) -> Result<Value, DecodeError> {
    let parsed: Option<Timestamp> = if is_rfc3339(text) { text.parse().ok() } else { None };
    let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let time = parsed.ok_or_else(|| {
        DecodeError(format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
    })?;
    if let Some(rest) = text.get(SECONDS..).filter(|_| micro).and_then(not_micro) {
        let (rest, part) = rest;
        return Err(DecodeError(format!(
            "parsing time \"{text}\" as \"{layout}\": cannot parse \"{rest}\" as \"{part}\""
        )));
    }
    Ok(format_time(time, micro))
}

/// Bytes of a time up to its fraction.
const SECONDS: usize = "2006-01-02T15:04:05".len();

/// What of a time's end Go cannot read, and as what, where six digits are wanted and neither fewer nor more.
fn not_micro(rest: &str) -> Option<(&str, &'static str)> {
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    match digits {
        6 => None,
        0..6 => Some((rest, ".000000")),
        _ => Some((&rest[7..], "Z07:00")),
    }
}

/// Whether a text has RFC 3339's form; the parser alone would also take ISO 8601's other forms and time zones by name.
fn is_rfc3339(text: &str) -> bool {
    let form = "dddd-dd-ddTdd:dd:dd";
    let Some((date, rest)) = text.split_at_checked(form.len()) else { return false };
    let matches = |text: &str, form: &str| {
        let alike = |(c, f): (char, char)| if f == 'd' { c.is_ascii_digit() } else { c == f };
        text.len() == form.len() && text.chars().zip(form.chars()).all(alike)
    };
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    matches(date, form) && (zone == "Z" || matches(zone, "+dd:dd") || matches(zone, "-dd:dd"))
}

/// The JSON of a time; nothing for Go's zero time, which is how its clients write no time.
pub(super) fn format_time(time: Timestamp, micro: bool) -> Value {
    if time.as_second() == GO_ZERO {
        return Value::Null;
    }
    let text = if micro { format!("{time:.6}") } else { format!("{time:.0}") };
    text.into()
}

/// Refuses what is not base64.
pub(super) fn check_base64(text: &str) -> Result<(), DecodeError> {
    match STANDARD.decode(text) {
        Ok(_) => Ok(()),
        Err(base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _)) => {
            Err(DecodeError(format!("illegal base64 data at input byte {at}")))
        }
        Err(_) => Err(DecodeError(format!("illegal base64 data at input byte {}", text.len() / 4 * 4))),
    }
}

/// Bytes as JSON carries them.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
