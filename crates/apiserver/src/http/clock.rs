//! `/windlass/clock`: reads the server's clock, and sets it forward where it can be. It decides nothing of what is due.

use axum::body::Body;
use axum::response::Response;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Value, json};

use super::respond::{self, Answer};
use super::{App, body};
use crate::error::ApiError;
use crate::registry::meta;
use crate::rights::User;

/// Bytes of a request's body.
const BODY: usize = 4 << 10;
/// What a body looks like.
const FORM: &str = "send {\"advance\": \"1h30m\"} or {\"to\": \"2030-01-01T00:00:00Z\"}";

/// Answers, whatever is asked.
pub(super) async fn clock(app: &App, user: &User, method: &Method, body: Body) -> Answer {
    match *method {
        Method::GET => Ok(told(app)),
        Method::POST => {
            let Some(clock) = &app.clock else {
                let text = "the clock of this server is the machine's own and cannot be moved; an engine that lives for \
                            one command has one that can: `windlass up --ephemeral -- COMMAND`";
                return Err(ApiError::new(405, "MethodNotAllowed", text));
            };
            let (bytes, _room) = body::read(body, BODY, user, app).await?;
            let to = target(&bytes, app.registry.world.now()).map_err(ApiError::bad_request)?;
            clock.advance(to).await?;
            Ok(told(app))
        }
        _ => Err(super::dispatch::method_not_allowed()),
    }
}

fn told(app: &App) -> Response {
    let ahead = app.clock.as_ref().map_or(SignedDuration::ZERO, |clock| clock.ahead());
    let told = json!({
        "now": meta::time(app.registry.world.now()),
        "aheadSeconds": seconds(ahead),
        "canMove": app.clock.is_some(),
    });
    respond::json(StatusCode::OK, &told)
}

/// Whole seconds, the nearest: a clock that was set forward by an hour is ahead by that less the moment it took.
fn seconds(span: SignedDuration) -> i64 {
    span.round(Unit::Second).map_or(span.as_secs(), |span| span.as_secs())
}

/// The time that a body names.
pub(crate) fn target(body: &[u8], now: Timestamp) -> Result<Timestamp, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("{error}: {FORM}"))?;
    let map = value.as_object().filter(|map| map.len() == 1).ok_or(FORM)?;
    if let Some(span) = map.get("advance") {
        let span = windlass_fate::span(span).map_err(|fault| format!("advance: {fault}"))?;
        return Ok(windlass_fate::after(now, span));
    }
    let Some(to) = map.get("to") else { return Err(FORM.to_owned()) };
    let at: Option<Timestamp> = to.as_str().and_then(|text| text.parse().ok());
    let at = at.ok_or_else(|| format!("to: {to} is no time like 2030-01-01T00:00:00Z"))?;
    if at < now {
        return Err(format!("to: {to} is past (it is {}), and the clock only goes forward", meta::time(now)));
    }
    if at > windlass_fate::after(now, windlass_fate::LONGEST) {
        return Err(format!("to: {to} is more than ten years away"));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_names_a_span_or_a_time() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let read = |body: &str| target(body.as_bytes(), now).map(|at| at.to_string());
        assert_eq!(read(r#"{"advance": "1h30m"}"#).unwrap(), "2026-01-01T01:30:00Z");
        assert_eq!(read(r#"{"advance": 90}"#).unwrap(), "2026-01-01T00:01:30Z");
        assert_eq!(read(r#"{"to": "2026-01-02T00:00:00Z"}"#).unwrap(), "2026-01-02T00:00:00Z");
        for (body, expected) in [
            ("", "send {"),
            ("[]", "send {"),
            ("{}", "send {"),
            (r#"{"by": "1h"}"#, "send {"),
            (r#"{"advance": "1h", "to": "2026-01-02T00:00:00Z"}"#, "send {"),
            (r#"{"advance": "-1h"}"#, "is no time: write it like"),
            (r#"{"advance": "4000d"}"#, "longer than ten years"),
            (r#"{"to": "soon"}"#, "is no time like"),
            (r#"{"to": "2025-01-01T00:00:00Z"}"#, "only goes forward"),
            (r#"{"to": "2045-01-01T00:00:00Z"}"#, "more than ten years"),
        ] {
            let told = read(body).unwrap_err();
            assert!(told.contains(expected), "{body}: {told}");
        }
    }
}
