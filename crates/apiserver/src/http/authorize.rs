//! Whether a request may be made: the bridge between HTTP's words and `rights`. Decides nothing itself.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::App;
use super::dispatch::Call;
use super::request::Query;
use super::route::Route;
use crate::error::ApiError;
use crate::kind::Kind;
use crate::registry::meta;
use crate::rights::{Ask, Role, Target, User, account, decide, needs_administrator, pod_spec};

/// Parts of a pod through which one talks to its processes.
const TALKS: [&str; 3] = ["attach", "exec", "portforward"];

/// 403 unless the user may ask this.
pub(super) fn check(
    user: &User,
    method: &Method,
    route: &Route,
    path: &str,
    query: &Query,
) -> Result<(), ApiError> {
    // Nothing is forbidden to the administrator: no words are made for it.
    if user.role == Role::Administrator {
        return Ok(());
    }
    let ask = ask(method, route, path, query);
    let decision = decide(user.role, &ask);
    if decision.is_allowed() { Ok(()) } else { Err(forbidden(user, &ask, decision.reason())) }
}

/// What a request asks in Kubernetes' words (upstream's RequestInfo).
fn ask(method: &Method, route: &Route, path: &str, query: &Query) -> Ask {
    let Route::Objects(of) = route else {
        return Ask { verb: method.as_str().to_lowercase(), target: Target::Path(path.to_owned()) };
    };
    let named = of.name.is_some();
    let watches = query.is("watch").unwrap_or_default();
    let verb = match *method {
        Method::GET if watches => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => method.as_str(),
    };
    let name = of.name.clone().unwrap_or_default();
    // A namespace counts as being in itself.
    let own = of.kind.group.is_empty() && of.kind.kind == "Namespace";
    let namespace = if own { name.clone() } else { of.namespace.clone().unwrap_or_default() };
    let target = Target::Resource {
        group: of.kind.group.to_owned(),
        resource: of.kind.plural.to_owned(),
        part: of.part.clone().unwrap_or_default(),
        namespace,
        name,
    };
    Ask { verb: verb.to_owned(), target }
}

/// 403 unless the user may also do with what a request names what another method stands for.
pub(super) fn check_verb(call: &Call, method: &Method) -> Result<(), ApiError> {
    let target = super::route::Target {
        kind: call.kind,
        namespace: call.namespace.clone(),
        name: Some(call.name.clone()),
        part: None,
    };
    check(&call.user, method, &Route::Objects(target), "", &Query::default())
}

/// 403 in upstream's words (apiserver responsewriters.ForbiddenStatusError).
pub(super) fn forbidden(user: &User, ask: &Ask, reason: &str) -> ApiError {
    let (who, verb) = (&user.name, &ask.verb);
    let (group, resource, name, text) = match &ask.target {
        Target::Path(path) => ("", "", "", format!("User {who:?} cannot {verb} path {path:?}")),
        Target::Resource { group, resource, part, namespace, name } => {
            let whole = if part.is_empty() { resource.clone() } else { format!("{resource}/{part}") };
            let place = match namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            let text =
                format!("User {who:?} cannot {verb} resource {whole:?} in API group {group:?} {place}");
            (group.as_str(), resource.as_str(), name.as_str(), text)
        }
    };
    let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    refusal(group, resource, name, &format!("{safe}: {reason}"))
}

/// 403 about an object (apimachinery's NewForbidden).
fn refusal(group: &str, resource: &str, name: &str, text: &str) -> ApiError {
    let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let subject = match (resource, name) {
        ("", _) => String::new(),
        (_, "") => format!("{qualified} is "),
        (_, name) => format!("{qualified} {name:?} is "),
    };
    let mut error = ApiError::new(403, "Forbidden", format!("{subject}forbidden: {text}"));
    let mut details = json!({"name": name, "group": group, "kind": resource});
    if let Some(map) = details.as_object_mut() {
        map.retain(|_, value| value != "");
    }
    error.details = Some(details);
    error
}

/// What an object's writer may put into it: held wherever the object comes from a request.
#[derive(Clone)]
pub(super) struct Guard {
    app: Arc<App>,
    user: Arc<User>,
    kind: &'static Kind,
    namespace: String,
}

impl Guard {
    /// The guard of a request's writes.
    pub(super) fn of(call: &Call) -> Guard {
        Guard {
            app: Arc::clone(&call.app),
            user: Arc::clone(&call.user),
            kind: call.kind,
            namespace: call.namespace().unwrap_or_default().to_owned(),
        }
    }

    /// 403 if the object has what its writer may not use, with every place.
    pub(super) fn check(&self, object: &Value) -> Result<(), ApiError> {
        if self.user.role == Role::Administrator {
            return Ok(());
        }
        let Some((path, spec)) = pod_spec(self.kind, object) else { return Ok(()) };
        let mut found = needs_administrator(self.kind, object);
        if self.app.images_on_host {
            found.push(
                "processes of the host (this server runs the commands of images on the host)".to_owned(),
            );
        }
        let name = account(spec);
        let carried = self.app.gate.accounts.role(&self.namespace, name);
        if carried > self.user.role {
            let role = carried.name();
            found.push(format!("more rights ({path}.serviceAccountName: {name} carries the role {role:?})"));
        }
        if found.is_empty() {
            return Ok(());
        }
        let text = format!(
            "User {:?} has the role {:?}, and only {:?} may use: {}",
            self.user.name,
            self.user.role.name(),
            Role::Administrator.name(),
            found.join(", ")
        );
        let name = [meta::text(object, "name"), meta::text(object, "generateName")];
        let name = name.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        Err(refusal(self.kind.group, self.kind.plural, name, &text))
    }

    /// The same before and after a change: who may not make an object may not change it either.
    pub(super) fn check_change(&self, old: &Value, new: &Value) -> Result<(), ApiError> {
        self.check(old).and_then(|()| self.check(new))
    }
}

/// 403 if the user talks to the processes of a pod that they could not have made: it would be as good as making it.
pub(super) fn check_talk(call: &Call, part: &str) -> Result<(), ApiError> {
    if call.user.role == Role::Administrator || !TALKS.contains(&part) {
        return Ok(());
    }
    let pod = call.app.registry.get(call.kind, call.namespace(), &call.name)?;
    Guard::of(call).check(&pod)
}
