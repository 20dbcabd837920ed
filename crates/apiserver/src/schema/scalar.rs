//! The single values that have a text form of their own: times and base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::DecodeError;

/// A time in its canonical form: UTC, whole seconds or six digits of them.
pub(super) fn time(text: &str, micro: bool) -> Result<Value, DecodeError> {
    let parsed: Result<Timestamp, _> = text.parse();
    let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let time = parsed.map_err(|_| {
        DecodeError(format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
    })?;
    Ok(format_time(time, micro))
}

/// The JSON of a time.
pub(super) fn format_time(time: Timestamp, micro: bool) -> Value {
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
