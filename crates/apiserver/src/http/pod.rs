//! The doors that only pods have: log, eviction, binding.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures::future::{self, Either};
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::dispatch::Call;
use super::request::Query;
use super::respond::{self, Answer};
use super::serve::stopped;
use super::{body, delete};
use crate::error::{ApiError, Subject};
use crate::field::FieldError;
use crate::logs::{LogRequest, Stream};
use crate::registry::{ChangeFn, Door, check_preconditions, meta};

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

/// `POST` of an Eviction: marks the pod as disrupted and deletes it. There are no disruption budgets here.
///
/// The delete's preconditions are asked before the mark, which moves the version that they may name.
/// Source: upstream `registry/core/pod/storage/eviction.go` (`addConditionAndDeletePod`).
pub(super) async fn evict(mut call: Call) -> Answer {
    let bytes = call.body().await?;
    let (eviction, _) = body::decode(&call.headers, &bytes)?;
    check_name(&call, &eviction, "Eviction")?;
    let sent = match &eviction["deleteOptions"] {
        Value::Null => json!({}),
        options => options.clone(),
    };
    let mut options = delete::read_options(&sent)?;
    options.dry_run |= call.query.dry_run("CreateOptions")?;
    let registry = &call.app.registry;
    if !options.dry_run {
        let now = meta::time(registry.world.now());
        let (kind, name, wanted) = (call.kind, call.name.clone(), options.clone());
        let mark: ChangeFn = Arc::new(move |old| {
            check_preconditions(kind, &name, &wanted, old)?;
            Ok(with_condition(
                old,
                json!({
                    "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                    "message": "Eviction API: evicting", "lastTransitionTime": now,
                }),
            ))
        });
        let marked =
            registry.update(call.kind, call.namespace(), &call.name, Door::Engine, false, mark).await?;
        if options.resource_version.is_some() {
            options.resource_version = Some(meta::text(&marked, "resourceVersion").to_owned());
        }
    }
    registry.delete(call.kind, call.namespace(), &call.name, &options).await?;
    Ok(respond::success(StatusCode::CREATED, None))
}

/// `POST` of a Binding: puts the pod on a node, once.
pub(super) async fn bind(mut call: Call) -> Answer {
    let dry_run = call.query.dry_run("CreateOptions")?;
    let bytes = call.body().await?;
    let (binding, _) = body::decode(&call.headers, &bytes)?;
    check_name(&call, &binding, "Binding")?;
    let node = binding["target"]["name"].as_str().unwrap_or_default().to_owned();
    if node.is_empty() {
        let subject = Subject { group: "", resource: "bindings", kind: "Binding", name: call.name.clone() };
        return Err(ApiError::invalid(&subject, &vec![FieldError::required("target.name", "")]));
    }
    let subject = Subject { resource: "pods/binding", ..call.kind.subject(&call.name) };
    let now = meta::time(call.app.registry.world.now());
    let change: ChangeFn = Arc::new(move |old| {
        if meta::deleting(old) {
            let detail = "pod is being deleted, cannot be assigned to a host";
            return Err(ApiError::conflict(&subject, detail));
        }
        if let Some(present) = old["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()) {
            let name = &subject.name;
            let detail = format!("pod {name} is already assigned to node {present:?}");
            return Err(ApiError::conflict(&subject, detail));
        }
        if old["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            let detail = format!("pod {} has non-empty .spec.schedulingGates", subject.name);
            return Err(ApiError::conflict(&subject, detail));
        }
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now});
        let mut new = with_condition(old, scheduled);
        new["spec"]["nodeName"] = node.as_str().into();
        Ok(new)
    });
    let registry = &call.app.registry;
    registry.update(call.kind, call.namespace(), &call.name, Door::Engine, dry_run, change).await?;
    Ok(respond::success(StatusCode::CREATED, None))
}

/// The body is of the kind the door takes, and names the pod of the path or none.
fn check_name(call: &Call, object: &Value, kind: &str) -> Result<(), ApiError> {
    let given = object["kind"].as_str().unwrap_or(kind);
    if !object.is_object() || given != kind {
        return Err(ApiError::bad_request(format!(
            "the kind in the data ({given}) does not match the expected kind ({kind})"
        )));
    }
    let name = meta::text(object, "name");
    if name.is_empty() || name == call.name {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("name in URL does not match name in {kind} object")))
}

/// The object with a status condition set, in place of one of its type.
fn with_condition(object: &Value, condition: Value) -> Value {
    let mut new = object.clone();
    if !new["status"]["conditions"].is_array() {
        new["status"]["conditions"] = json!([]);
    }
    if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
        match conditions.iter_mut().find(|c| c["type"] == condition["type"]) {
            Some(present) => *present = condition,
            None => conditions.push(condition),
        }
    }
    new
}
