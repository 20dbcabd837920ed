//! What clients are doing: how many requests are being answered, and how many have come so far.
//!
//! Watches and followed logs count as long as their answer lasts, connections that are handed over until their end.
//! Knows no clock and decides nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::UPGRADE;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// A count that all connections share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    seen: AtomicU64,
}

impl Activity {
    /// Requests whose answers are not yet sent in full, watches among them.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Requests that have ever come.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Acquire)
    }

    fn begin(&self) -> Open {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        self.0.seen.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(&self.0))
    }
}

/// One request that is being answered.
pub(super) struct Open(Arc<Counts>);

impl Open {
    fn once_more(&self) -> Open {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(&self.0))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts what comes over the network.
pub(super) fn counted(router: Router, activity: Activity) -> Router {
    router.layer(from_fn_with_state(activity, count))
}

async fn count(State(activity): State<Activity>, mut request: Request, next: Next) -> Response {
    let open = activity.begin();
    if request.headers().contains_key(UPGRADE) {
        // The answer that hands a connection over is sent at once: who takes it counts as long as it lasts.
        request.extensions_mut().insert(Arc::new(open.once_more()));
    }
    next.run(request).await.map(|body| Body::new(Counted { body, _open: open }))
}

/// A body that counts until its end.
struct Counted {
    body: Body,
    _open: Open,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use futures::FutureExt;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_request_counts_until_its_answer_has_been_read() {
        let activity = Activity::default();
        let router = counted(Router::new().route("/", get(|| async { "hi" })), activity.clone());
        assert_eq!((activity.open(), activity.seen()), (0, 0));
        let response = router.oneshot(Request::new(Body::empty())).now_or_never();
        let response = response.expect("nothing is waited for").expect("an answer");
        assert_eq!((activity.open(), activity.seen()), (1, 1));
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!((&body[..], activity.open(), activity.seen()), (&b"hi"[..], 0, 1));
    }
}
