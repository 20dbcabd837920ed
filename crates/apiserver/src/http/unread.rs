//! What nobody has read of a request's body when its answer stands, over HTTP/1.1. Go's rule (net/http server.go,
//! `cw.writeHeader`): it is read and thrown away before the answer, if it is not much; otherwise the connection ends
//! with the answer, and says so. hyper alone breaks a connection whose body has not arrived when it is dropped.
//!
//! Knows neither paths nor credentials. HTTP/2 needs none of it: a stream ends by itself.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;

use super::linger::Farewell;

/// Bytes that are thrown away so that the connection can be used again (Go's `maxPostHandlerReadBytes`).
const WORTH: usize = 256 << 10;

/// Answers a request of an HTTP/1.1 connection. If that is not used again because of what is left of the body, the
/// client is left time to read the answer. The rest is waited for as long as the patience lasts, from the request on; who
/// has less time as a newcomer has no more here.
pub(super) async fn answer(
    service: Router,
    request: Request<Incoming>,
    farewell: Farewell,
    patience: Duration,
) -> Result<Response, std::convert::Infallible> {
    if request.body().is_end_stream() {
        return service.oneshot(request).await;
    }
    let deadline = Instant::now() + patience;
    let expects = request.headers().contains_key(EXPECT);
    let (back, mut left) = oneshot::channel();
    let lent = request.map(|body| Body::new(Lent { body: Some(body), begun: false, back: Some(back) }));
    let mut response = service.oneshot(lent).await?;
    // Nothing is left, or it is still being read.
    let Ok(Left { body, begun }) = left.try_recv() else { return Ok(response) };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    // Who waits to be told to go on may send the body or not.
    let is_over = (begun || !expects) && finish(body, deadline).await;
    if !is_over {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        farewell.is_wanted();
    }
    Ok(response)
}

/// Reads the rest and throws it away: whether it came to its end.
async fn finish(mut body: Incoming, deadline: Instant) -> bool {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|least| least > WORTH) {
        return false;
    }
    let reading = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > WORTH {
                return false;
            }
        }
        true
    };
    timeout_at(deadline, reading).await.unwrap_or(false)
}

/// A body that comes back if it is dropped before its end.
struct Lent {
    body: Option<Incoming>,
    /// Whether anyone has asked for any of it.
    begun: bool,
    back: Option<oneshot::Sender<Left>>,
}

/// What is left of a body.
struct Left {
    body: Incoming,
    begun: bool,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it once the answer has begun.
            let _ = back.send(Left { body, begun: self.begun });
        }
    }
}
