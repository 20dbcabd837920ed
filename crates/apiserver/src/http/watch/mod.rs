//! Watches: what is, what changes, and how far it has been seen, one JSON object a line, or a message of a WebSocket.
//!
//! A watch costs a cursor in the store's change log and no queue: who reads too slowly is told 410.

mod feed;
mod socket;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use http::StatusCode;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use windlass_store::Revision;

use self::feed::Feed;
use self::view::View;
use super::dispatch::Call;
use super::options;
use super::pages::{Pages, check_numbers, revision};
use super::request::Query;
use super::respond::{self, Answer};
use super::websocket;
use crate::error::ApiError;
use crate::field::{Errors, FieldError};
use crate::registry::too_large_revision;

/// Seconds that a watch lasts if the client does not say: this, up to twice this.
const LASTS: u64 = 1800;
/// Seconds that a watch may be asked to last.
const LONGEST: u64 = 7 * 24 * 3600;
/// Objects in one page of what is there at the start.
const PAGE: usize = 500;

/// `GET` of a collection or an object with `watch=true`.
pub(super) fn watch(mut call: Call) -> Answer {
    check_numbers(&call.query)?;
    let initial = check_options(&call.query)?;
    let permit = permit(&call)?;
    let asked = revision(&call.query)?;
    let newest = call.app.registry.store.revision();
    if asked > newest {
        return Err(too_large_revision(asked.0, newest.0));
    }
    let mut pages = Pages::all(&call)?;
    pages.limit(PAGE);
    let bookmarks = call.query.is("allowWatchBookmarks")?;
    // A credential that has ended shows nothing more.
    let lasts = lasts(&call)?.min(call.remaining().unwrap_or(Duration::MAX));
    let mut feed = Feed::new(&call, View::read(&call, &pages)?, lasts, bookmarks, permit);
    if initial.unwrap_or(asked == Revision(0)) {
        // The first page is read now, so that what cannot be read is an answer and not a broken stream.
        let first = pages.next()?;
        feed.announce(initial == Some(true));
        feed.take_page(&first, pages);
    } else {
        feed.follow(if asked == Revision(0) { newest } else { asked });
    }
    // What else there is to be said against it is said before, as upstream's `serveWatchHandler` comes last.
    if websocket::is_asked(&call.headers) {
        let (upgrade, stop) = (call.upgrade(), call.app.stop.clone());
        return socket::answer(&call.headers, upgrade, feed, stop);
    }
    let body = Body::from_stream(stream::unfold(feed, Feed::step));
    Ok(respond::bytes(StatusCode::OK, "application/json", body))
}

/// A place among the watches that may be open at once.
fn permit(call: &Call) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(&call.app.watches).try_acquire_owned().map_err(|_| {
        let mut error = ApiError::new(429, "TooManyRequests", "too many watches are open, try again later");
        error.details = Some(json!({"retryAfterSeconds": 5}));
        error
    })
}

/// How long the watch lasts.
fn lasts(call: &Call) -> Result<Duration, ApiError> {
    if let Some(seconds) = call.query.number("timeoutSeconds")?.filter(|s| *s > 0) {
        return Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(LASTS).min(LONGEST)));
    }
    let mut random = [0u8; 2];
    call.app.registry.world.random(&mut random);
    Ok(Duration::from_secs(LASTS + u64::from(u16::from_le_bytes(random)) % LASTS))
}

/// `sendInitialEvents`, or why the combination is refused (apimachinery, meta/internalversion/validation). Where the
/// query says nothing of versions, upstream takes it as asking for the initial events (`SetListOptionsDefaults`).
fn check_options(query: &Query) -> Result<Option<bool>, ApiError> {
    let (path, newest) = ("resourceVersionMatch", "NotOlderThan");
    let (initial, matching) = (query.flag("sendInitialEvents")?, query.get(path));
    let mut errors = Errors::new();
    if initial.is_some() && matching != Some(newest) {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden(path, detail));
    }
    if let Some(matching) = matching {
        if initial.is_none() {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(path, detail));
        }
        if matching != newest {
            errors.push(FieldError::not_supported(path, matching, &[newest]));
        }
    }
    let legacy = matches!(query.text("resourceVersion"), "" | "0") && initial.is_none();
    if query.get("continue").is_some() && (matching.is_some() || legacy) {
        let detail = "resourceVersionMatch is forbidden when continue is provided";
        errors.push(FieldError::forbidden(path, detail));
    }
    options::checked("ListOptions", &errors)?;
    Ok(initial)
}
