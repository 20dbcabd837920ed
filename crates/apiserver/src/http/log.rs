//! Reading a container's log: plain bytes, as they come.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures::future::{self, Either};
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::timeout;

use super::dispatch::Call;
use super::request::Query;
use super::respond::{self, Answer};
use super::serve::stopped;
use crate::error::{ApiError, Subject};
use crate::field::FieldError;
use crate::logs::{LogRequest, Stream};

/// The trailer of a followed log that is complete.
const LOG_COMPLETE: &str = "windlass-log-complete";

/// `GET` of a pod's log: plain bytes, as they come.
pub(super) async fn log(call: &Call) -> Answer {
    let request = log_request(&call.name, &call.query, call.app.registry.world.now())?;
    let pod = call.app.registry.get(call.kind, call.namespace(), &call.name)?;
    let follow = request.follow;
    let is_limited = request.limit_bytes.is_some();
    let Ok(permit) = Arc::clone(&call.app.open_logs).try_acquire_owned() else {
        let mut error = ApiError::new(429, "TooManyRequests", "too many logs are open, try again later");
        error.details = Some(json!({"retryAfterSeconds": 5}));
        return Err(error);
    };
    let bytes = call.app.logs.open(pod, request).await?;
    let mut stop = call.app.stop.clone();
    let remaining = call.remaining();
    // A followed log ends with the server or the credential; any other is read to its end.
    let until = async move {
        match (follow, remaining) {
            (false, _) => std::future::pending().await,
            (true, None) => stopped(&mut stop).await,
            (true, Some(left)) => {
                // An error means that the time is up, which is an end as well.
                let _ = timeout(left, stopped(&mut stop)).await;
            }
        }
    };
    let state = Some((bytes, Box::pin(until), permit));
    let frames = stream::unfold(state, move |state| async move {
        let (mut bytes, mut until, permit) = state?;
        let next = match future::select(&mut until, bytes.next()).await {
            Either::Left(_) => return None,
            Either::Right((chunk, _)) => chunk,
        };
        match next {
            Some(chunk) => Some((chunk.map(Frame::data), Some((bytes, until, permit)))),
            None if follow && !is_limited => Some((Ok(complete()), None)),
            None => None,
        }
    });
    Ok(respond::bytes(StatusCode::OK, "text/plain", Body::new(StreamBody::new(frames))))
}

/// Said after a followed log that has ended because its container has, and not because the connection has to: nobody
/// need ask again whether that was all. Clients that do not know it pass it over (RFC 9110, 6.5.1).
fn complete() -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert(HeaderName::from_static(LOG_COMPLETE), HeaderValue::from_static("true"));
    Frame::trailers(trailers)
}

/// Reads `PodLogOptions` (core/v1 validation: ValidatePodLogOptions).
fn log_request(name: &str, query: &Query, now: Timestamp) -> Result<LogRequest, ApiError> {
    let refused = |error: FieldError| {
        let subject = Subject { group: "", resource: "", kind: "PodLogOptions", name: name.to_owned() };
        ApiError::invalid(&subject, &vec![error])
    };
    let positive = |name: &'static str, least: i64| match query.number(name)? {
        Some(n) if n < least => {
            let detail =
                if least > 0 { "must be greater than 0" } else { "must be greater than or equal to 0" };
            Err(refused(FieldError::invalid(name, n, detail)))
        }
        number => Ok(number.and_then(|n| u64::try_from(n).ok())),
    };
    let tail_lines = positive("tailLines", 0)?;
    let limit_bytes = positive("limitBytes", 1)?;
    let seconds = positive("sinceSeconds", 1)?;
    let time = query.get("sinceTime");
    let since = match (seconds, time) {
        (Some(_), Some(_)) => {
            return Err(refused(FieldError::forbidden(
                "[]",
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            )));
        }
        (Some(seconds), None) => {
            let back = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            Some(now.checked_sub(back).unwrap_or(Timestamp::MIN))
        }
        (None, Some(text)) => Some(text.parse().map_err(|e| {
            ApiError::bad_request(format!("sinceTime: {text:?} is not an RFC 3339 time: {e}"))
        })?),
        (None, None) => None,
    };
    let stream = match query.get("stream") {
        None | Some("All") => Stream::All,
        Some("Stdout") => Stream::Stdout,
        Some("Stderr") => Stream::Stderr,
        Some(other) => {
            return Err(refused(FieldError::not_supported("stream", other, &["All", "Stderr", "Stdout"])));
        }
    };
    if tail_lines.is_some() && stream != Stream::All {
        return Err(refused(FieldError::forbidden(
            "tailLines",
            "`tailLines` and specific `stream` are mutually exclusive for now",
        )));
    }
    Ok(LogRequest {
        container: query.get("container").map(ToOwned::to_owned),
        follow: query.is("follow")?,
        previous: query.is("previous")?,
        since,
        tail_lines,
        limit_bytes,
        timestamps: query.is("timestamps")?,
        stream,
    })
}
