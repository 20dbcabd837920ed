//! Credentials: one bearer token, compared in constant time. Knows nothing of what is asked for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use super::respond;
use crate::error::ApiError;

/// The administrator's token. It has no `Debug`: it is never printed.
struct Token(String);

/// Lets only requests with the token through, but for those that anyone may ask.
pub(super) fn protect(router: Router, token: String) -> Router {
    router.layer(from_fn_with_state(Arc::new(Token(token)), check))
}

async fn check(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    if open(request.uri().path()) || token.is_in(&request) {
        return next.run(request).await;
    }
    tracing::debug!(path = request.uri().path(), "refused: no valid credentials");
    respond::error(&ApiError::new(401, "Unauthorized", "Unauthorized"))
}

/// What upstream tells anyone: health and version.
fn open(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path == "/version" || ["/healthz", "/livez", "/readyz"].contains(&path)
}

impl Token {
    fn is_in(&self, request: &Request) -> bool {
        let Some(header) = request.headers().get(AUTHORIZATION) else { return false };
        let Some((scheme, given)) = split_scheme(header.as_bytes()) else { return false };
        // An empty token would let in whoever sends none.
        !self.0.is_empty()
            && scheme.eq_ignore_ascii_case(b"bearer")
            && bool::from(given.ct_eq(self.0.as_bytes()))
    }
}

fn split_scheme(header: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = header.iter().position(|b| *b == b' ')?;
    Some((&header[..at], header[at..].trim_ascii()))
}
