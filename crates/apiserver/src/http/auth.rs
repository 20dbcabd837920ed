//! Credentials: the owner's token, compared in constant time, and the tokens of service accounts; and acting as another.
//!
//! Knows nothing of what is asked for: it says who asks, or 401.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use super::serve::Newcomer;
use super::{authorize, respond};
use crate::error::ApiError;
use crate::rights::{AUDIENCE, Accounts, Ask, Role, Target, User, decide};

/// Who is let in. It has no `Debug`: it holds the owner's token.
pub(super) struct Gate {
    /// The owner's token.
    token: String,
    pub(super) accounts: Accounts,
}

/// Lets only requests of somebody who is known through, but for those that anyone may ask.
pub(super) fn protect(router: Router, gate: Arc<Gate>) -> Router {
    router.layer(from_fn_with_state(gate, check))
}

/// Lets everything through as the owner's: for what is not reachable from outside.
pub(super) fn trust(router: Router) -> Router {
    router.layer(axum::Extension(Arc::new(User::owner())))
}

async fn check(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let user = match gate.user(request.headers()) {
        Ok(user) => user,
        // Somebody who is not known, but asks what anyone may.
        Err(error) if error.code == 401 && open(request.uri().path()) => {
            User::said("system:anonymous", vec![])
        }
        Err(error) => {
            tracing::debug!(path = request.uri().path(), %error, "refused");
            return respond::error(&error);
        }
    };
    if user.role > Role::Nothing || !user.uid.is_empty() {
        // Whoever is known may keep the connection.
        if let Some(newcomer) = request.extensions().get::<Newcomer>() {
            newcomer.is_known();
        }
    }
    request.extensions_mut().insert(Arc::new(user));
    next.run(request).await
}

/// What upstream tells anyone: health and version.
fn open(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path == "/version" || ["/healthz", "/livez", "/readyz"].contains(&path)
}

impl Gate {
    pub(super) fn new(token: String, accounts: Accounts) -> Gate {
        Gate { token, accounts }
    }

    /// Who a request comes from: 401 if nobody known, 403 if somebody acts as another who may not.
    fn user(&self, headers: &HeaderMap) -> Result<User, ApiError> {
        let unknown = |cause: String| {
            tracing::debug!(cause, "no valid credentials");
            ApiError::new(401, "Unauthorized", "Unauthorized")
        };
        let token = bearer(headers).ok_or_else(|| unknown("no bearer token".to_owned()))?;
        let (user, _) = self.known(token, &[AUDIENCE.to_owned()]).map_err(unknown)?;
        self.acting(user, headers)
    }

    /// Who shows a token, and for which of `audiences` it is good; or why it is not.
    pub(super) fn known(&self, token: &str, audiences: &[String]) -> Result<(User, Vec<String>), String> {
        // An empty token would let in whoever sends none.
        if !self.token.is_empty() && bool::from(token.as_bytes().ct_eq(self.token.as_bytes())) {
            // The owner's token is for this API alone.
            let good: Vec<String> = audiences.iter().filter(|a| *a == AUDIENCE).cloned().collect();
            let wrong = || "token audiences are not valid for this request".to_owned();
            return if good.is_empty() { Err(wrong()) } else { Ok((User::owner(), good)) };
        }
        self.accounts.known(token, audiences)
    }

    /// The user that a request is made as (`kubectl --as`): what the one who asks may do does not count any more.
    fn acting(&self, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
        let Some(name) = text(headers, "impersonate-user") else {
            let stray = headers.keys().find(|name| name.as_str().starts_with("impersonate-"));
            return match stray {
                Some(_) => Err(ApiError::bad_request("requested impersonation without impersonating a user")),
                None => Ok(user),
            };
        };
        let (namespace, resource, named) = match User::account_of(name) {
            Some((namespace, account)) => (namespace, "serviceaccounts", account),
            None => ("", "users", name),
        };
        let target = Target::Resource {
            group: String::new(),
            resource: resource.to_owned(),
            part: String::new(),
            namespace: namespace.to_owned(),
            name: named.to_owned(),
        };
        let ask = Ask { verb: "impersonate".to_owned(), target };
        let decision = decide(user.role, &ask);
        if !decision.is_allowed() {
            return Err(authorize::forbidden(&user, &ask, decision.reason()));
        }
        let groups = headers.get_all("impersonate-group").iter().filter_map(|v| v.to_str().ok());
        let groups: Vec<String> = groups.map(ToOwned::to_owned).collect();
        Ok(self.accounts.named(name, &groups))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty())
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
