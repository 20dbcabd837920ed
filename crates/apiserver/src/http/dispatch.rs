//! From a request to its handler: one router, one table of methods.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::FutureExt;
use http::{HeaderMap, Method, StatusCode};
use tracing::Instrument;

use super::attach::Talk;
use super::request::{Query, Shape, accepted, check_timeout, wants_yaml};
use super::respond::{self, Answer};
use super::room::Room;
use super::route::{self, Route, Target};
use super::websocket::Upgrade;
use super::{
    App, attach, authorize, body, clock, delete, discovery, get, info, list, log, patch, pod, review, table,
    token, watch, write,
};
use crate::error::ApiError;
use crate::kind::{Kind, Served, Subresource};
use crate::registry::Door;
use crate::rights::User;

/// The whole API as one router, without credentials.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new().fallback(handle).with_state(app)
}

/// A request on objects of a kind.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    /// Who asks. They may: it has been decided.
    pub(super) user: Arc<User>,
    pub(super) kind: &'static Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Behind a lock only so that a call can be shared between threads while it is read.
    body: Mutex<Body>,
    /// Its part of the room that bodies have, kept until it is answered.
    room: Option<Room>,
    /// The connection, if it can be handed over.
    upgrade: Option<Upgrade>,
}

impl Call {
    /// The namespace of the path.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
    /// The body, read within the bound. A second reading is empty.
    pub(super) async fn body(&mut self) -> Result<bytes::Bytes, ApiError> {
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        let limits = &self.app.limits;
        let limit = match self.kind.served {
            Served::Review => limits.review_bytes.min(limits.body_bytes),
            _ => limits.body_bytes,
        };
        let (bytes, room) = body::read(body, limit, &self.user, &self.app).await?;
        self.room = Some(room);
        Ok(bytes)
    }
    /// How long a stream of this call may last: as long as the credential does.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let left = self.user.expires?.duration_since(self.app.registry.world.now());
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
    /// The connection, if it can be handed over, once.
    pub(super) fn upgrade(&mut self) -> Option<Upgrade> {
        self.upgrade.take()
    }
    /// The shape that the answer is wanted in.
    pub(super) fn shape(&self) -> Result<Shape, ApiError> {
        accepted(&self.headers)
    }
    /// What Tables in the answer depend on.
    pub(super) fn table(&self) -> Result<table::Settings, ApiError> {
        table::Settings::read(&self.query, self.app.registry.world.now())
    }
    /// An object as the answer.
    pub(super) fn answer(&self, code: StatusCode, object: serde_json::Value) -> Answer {
        Ok(respond::object(code, self.kind, self.shape()?, object, &self.table()?))
    }
}

async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    // Whoever comes past no gate is nobody: a way in that forgets to ask must not become an open one.
    let Some(user) = parts.extensions.remove::<Arc<User>>() else {
        return respond::error(&ApiError::new(401, "Unauthorized", "Unauthorized"));
    };
    let upgrade = Upgrade::of(&mut parts.extensions);
    let method = parts.method;
    let span = tracing::debug_span!("request", %method, path = parts.uri.path());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let route = route::parse(parts.uri.path());
    let yaml = wants_yaml(&parts.headers) && !query.is("watch").unwrap_or_default();
    async move {
        let head = method == Method::HEAD && !matches!(route, Route::Objects(_));
        let method = if head { Method::GET } else { method };
        let answer = match authorize::check(&user, &method, &route, parts.uri.path(), &query) {
            Ok(()) => {
                dispatch(app, user, method, route, query, parts.headers, Rest { body, upgrade }).left_future()
            }
            Err(forbidden) => std::future::ready(Err(forbidden)).right_future(),
        };
        // A fault of ours is this request's alone. It cannot leave state half changed: only the store has any.
        let answer = AssertUnwindSafe(answer).catch_unwind().await;
        let answer =
            answer.unwrap_or_else(|_| Err(ApiError::internal("a fault in the server; its log says where")));
        let mut response = answer.unwrap_or_else(|e| respond::error(&e));
        if yaml {
            response = respond::as_yaml(response).await;
        }
        tracing::debug!(code = response.status().as_u16(), "answered");
        if head {
            *response.body_mut() = Body::empty();
        }
        response
    }
    .instrument(span)
    .await
}

/// What of a request is not read yet.
struct Rest {
    body: Body,
    upgrade: Option<Upgrade>,
}

async fn dispatch(
    app: Arc<App>,
    user: Arc<User>,
    method: Method,
    route: Route,
    query: Query,
    headers: HeaderMap,
    rest: Rest,
) -> Answer {
    if !lasts(&method, &route, &query) {
        check_timeout(&query)?;
    }
    if let Route::Objects(target) = route {
        let Target { kind, namespace, name, part } = target;
        let named = name.is_some();
        let name = name.unwrap_or_default();
        let Rest { body, upgrade } = rest;
        let body = Mutex::new(body);
        let call = Call { app, user, kind, namespace, name, query, headers, body, room: None, upgrade };
        let mut warnings = Vec::new();
        let answer = match part {
            Some(part) => on_part(&method, call, &part, &mut warnings).await,
            None if named => on_object(&method, call, &mut warnings).await,
            None => on_collection(&method, call, &mut warnings).await,
        };
        return respond::warned(answer, &warnings);
    }
    if route == Route::Clock {
        return clock::clock(&app, &user, &method, rest.body).await;
    }
    // What there is not is not there for any method.
    if !matches!(route, Route::Unknown | Route::UnknownResource) && method != Method::GET {
        return Err(method_not_allowed());
    }
    match route {
        Route::Root => Ok(discovery::root()),
        Route::CoreVersions => Ok(discovery::core_versions(&headers, app.address)),
        Route::Groups => Ok(discovery::groups(&headers)),
        Route::Group(group) => Ok(discovery::group(&group)),
        Route::Resources(group, version) => Ok(discovery::resources(&group, &version)),
        Route::Version => Ok(info::version(&app.git_version)),
        Route::Health(path) => Ok(info::health(&path, &query, *app.stop.borrow())),
        Route::OpenApiV2 => Ok(info::openapi_v2(&headers)),
        Route::OpenApiIndex => Ok(app.openapi.index()),
        Route::OpenApiDocument(path) => Ok(app.openapi.document(&path, &query)),
        Route::UnknownResource => Err(ApiError::no_such_resource()),
        Route::Objects(_) | Route::Clock | Route::Unknown => Ok(respond::unknown_path()),
    }
}

/// Whether a request may go on for long, so that no deadline is read of it (upstream's `longRunningFunc`).
fn lasts(method: &Method, route: &Route, query: &Query) -> bool {
    let Route::Objects(target) = route else { return false };
    match target.part.as_deref() {
        Some(part) => matches!(part, "log" | "attach" | "exec"),
        None => method == Method::GET && target.name.is_none() && query.is("watch").unwrap_or_default(),
    }
}

async fn on_collection(method: &Method, call: Call, warnings: &mut Vec<String>) -> Answer {
    if call.kind.served == Served::Review && call.kind.namespaced && call.namespace.is_none() {
        return Err(ApiError::no_such_resource());
    }
    match *method {
        Method::POST if call.kind.served == Served::Review => review::create(call, warnings).await,
        _ if call.kind.served == Served::Review => Err(method_not_allowed()),
        Method::GET if call.query.is("watch")? => watch::watch(call),
        Method::GET => list::list(&call),
        _ if call.kind.namespaced && call.namespace.is_none() => Err(method_not_allowed()),
        Method::POST => write::create(readable(writable(call)?)?, warnings).await,
        Method::DELETE if call.kind.served == Served::Full && !discovery::goes_as_collection(call.kind) => {
            Err(method_not_allowed())
        }
        Method::DELETE => delete::delete_collection(writable(call)?).await,
        _ => Err(method_not_allowed()),
    }
}

async fn on_object(method: &Method, call: Call, warnings: &mut Vec<String>) -> Answer {
    if call.kind.served == Served::Review {
        return Err(ApiError::no_such_resource());
    }
    match *method {
        // `watch` is a list's: of one object it is not asked.
        Method::GET => get::get(&call),
        Method::PUT => write::replace(writable(call)?, Door::Main, warnings).await,
        Method::PATCH => patch::patch(writable(call)?, Door::Main, warnings).await,
        Method::DELETE => delete::delete(writable(call)?).await,
        _ => Err(method_not_allowed()),
    }
}

async fn on_part(method: &Method, call: Call, part: &str, warnings: &mut Vec<String>) -> Answer {
    let Some(part) = call.kind.subresources.iter().copied().find(|s| discovery::part_name(*s) == part) else {
        return Err(left_out(call.kind, part).unwrap_or_else(ApiError::no_such_resource));
    };
    authorize::check_talk(&call, discovery::part_name(part))?;
    match (part, method) {
        (Subresource::Status, &Method::GET) => get::get(&call),
        (Subresource::Status, &Method::PUT) => write::replace(writable(call)?, Door::Status, warnings).await,
        (Subresource::Status, &Method::PATCH) => patch::patch(writable(call)?, Door::Status, warnings).await,
        (Subresource::Log, &Method::GET) => log::log(&call).await,
        (Subresource::Finalize, &Method::PUT) => write::finalize(writable(call)?, warnings).await,
        (Subresource::Eviction, &Method::POST) => pod::evict(readable(writable(call)?)?, warnings).await,
        (Subresource::Attach, &Method::GET | &Method::POST) => attach::attach(call, Talk::Attach).await,
        (Subresource::Exec, &Method::GET | &Method::POST) => attach::attach(call, Talk::Exec).await,
        (Subresource::Binding, &Method::POST) => pod::bind(readable(writable(call)?)?, warnings).await,
        (Subresource::Token, &Method::POST) => token::create(call, warnings).await,
        _ => Err(method_not_allowed()),
    }
}

/// Why a part that upstream has is not served here.
fn left_out(kind: &Kind, part: &str) -> Option<ApiError> {
    if !kind.group.is_empty() || kind.kind != "Pod" {
        return None;
    }
    let sentence = match part {
        "portforward" => {
            "port-forward is not served: pods here are processes of this machine and listen on its own ports; \
             connect to 127.0.0.1 and the port"
        }
        "ephemeralcontainers" => {
            "ephemeral containers are not served: pods here are processes of this machine; `kubectl exec` runs a program \
             beside them, and this machine's own ps, strace and gdb see them"
        }
        "resize" => {
            "resize is not served: a pod here keeps the resources that it was made with; make another with those it needs"
        }
        _ => return None,
    };
    Some(ApiError::new(405, "MethodNotAllowed", sentence))
}

/// Kinds that are only listed answer writes with their sentence. An answer that cannot be given is refused
/// before anything is written.
fn writable(call: Call) -> Result<Call, ApiError> {
    match call.kind.served {
        Served::Full => {
            call.shape()?;
            call.table()?;
            Ok(call)
        }
        Served::Review => Err(method_not_allowed()),
        Served::Empty(sentence) => Err(ApiError::new(405, "MethodNotAllowed", sentence)),
    }
}

/// What is posted is refused for its media type before anything else is looked at, as upstream's create handler does
/// (`endpoints/handlers/create.go`).
fn readable(call: Call) -> Result<Call, ApiError> {
    body::check_media(&call.headers)?;
    Ok(call)
}

pub(super) fn method_not_allowed() -> ApiError {
    let mut error = ApiError::new(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
    error.details = Some(serde_json::json!({}));
    error
}
