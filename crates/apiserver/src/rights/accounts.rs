//! Service accounts and their tokens: made, and known again. A token names objects by uid: it ends with them.
//!
//! Revoking is deleting: the service account (all its tokens), or the pod that a token is bound to.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::claims::{AUDIENCE, Claims, Kubernetes, LONGEST, Reference, SHORTEST};
use super::keys::Keys;
use super::user::{ROLE_LABEL, Role, User};
use crate::error::ApiError;
use crate::kind::Kind;
use crate::kinds;
use crate::registry::{Registry, meta};
use crate::world;

/// Service accounts and the key that signs their tokens: a cheap handle.
#[derive(Clone)]
pub struct Accounts {
    registry: Registry,
    /// None if the library refused the key: then no token is issued and none is known.
    keys: Arc<Option<Keys>>,
}

/// A token that was issued.
#[derive(Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// Its end.
    pub expires: Timestamp,
}

/// A token that is wanted.
pub(crate) struct Order<'a> {
    /// The service account, as stored.
    pub(crate) account: &'a Value,
    /// Whom it is for; empty: this API.
    pub(crate) audiences: Vec<String>,
    /// How long it lasts.
    pub(crate) seconds: i64,
    /// What else it ends with.
    pub(crate) bound: Option<Bound<'a>>,
}

/// An object that a token ends with.
pub(crate) struct Bound<'a> {
    /// `Pod`, `Secret` or `Node`.
    pub(crate) kind: &'a str,
    /// The object, as stored.
    pub(crate) object: &'a Value,
}

impl Accounts {
    /// The service accounts of a registry, with the key that `seed` is: 32 random bytes that are kept secret.
    #[must_use]
    pub fn new(registry: Registry, seed: &[u8; 32]) -> Accounts {
        let keys = Keys::of(seed);
        if keys.is_none() {
            tracing::error!("the key of service accounts' tokens is refused: no token will be issued");
        }
        Accounts { registry, keys: Arc::new(keys) }
    }

    /// A token for a pod, bound to it: it is refused once the pod is gone or its grace has passed.
    ///
    /// `pod` is the object as stored; `audience` is that of a projected source (none: this API); `seconds` is how long
    /// it lasts, at least ten minutes. 404 if the pod's service account is not there.
    pub fn issue_for_pod(
        &self,
        pod: &Value,
        audience: Option<&str>,
        seconds: i64,
    ) -> Result<Issued, ApiError> {
        let (namespace, name) = (meta::text(pod, "namespace"), super::account(&pod["spec"]));
        let account = self.registry.get(kind("ServiceAccount")?, Some(namespace), name)?;
        let audiences = audience.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        self.issue(&Order {
            account: &account,
            audiences: audiences.into_iter().collect(),
            seconds: seconds.clamp(SHORTEST, LONGEST),
            bound: Some(Bound { kind: "Pod", object: pod }),
        })
    }

    /// Issues a token.
    pub(crate) fn issue(&self, order: &Order<'_>) -> Result<Issued, ApiError> {
        let Some(keys) = &*self.keys else {
            return Err(ApiError::internal("there is no key to sign tokens with"));
        };
        let now = self.registry.world.now().as_second();
        let exp = now.saturating_add(order.seconds);
        let expires = Timestamp::from_second(exp).map_err(ApiError::internal)?;
        let (namespace, name) = (meta::text(order.account, "namespace"), meta::text(order.account, "name"));
        let reference = |object: &Value| Reference {
            name: meta::text(object, "name").to_owned(),
            uid: meta::text(object, "uid").to_owned(),
        };
        let bound = |kind: &str| order.bound.as_ref().filter(|b| b.kind == kind).map(|b| reference(b.object));
        let audiences = &order.audiences;
        let claims = Claims {
            aud: if audiences.is_empty() { vec![AUDIENCE.to_owned()] } else { audiences.clone() },
            exp,
            iat: now,
            iss: AUDIENCE.to_owned(),
            jti: world::uid(&*self.registry.world),
            kubernetes: Kubernetes {
                namespace: namespace.to_owned(),
                node: bound("Node"),
                pod: bound("Pod"),
                secret: bound("Secret"),
                serviceaccount: reference(order.account),
            },
            nbf: now,
            sub: format!("system:serviceaccount:{namespace}:{name}"),
        };
        let claims = serde_json::to_value(claims).map_err(ApiError::internal)?;
        Ok(Issued { token: keys.sign(&claims), expires })
    }

    /// Who shows a token, and for which of `audiences` it is good; or why it is not.
    pub(crate) fn known(&self, token: &str, audiences: &[String]) -> Result<(User, Vec<String>), String> {
        let keys = self.keys.as_ref().as_ref().ok_or("there is no key to check tokens with")?;
        let claims = keys.verify(token).map_err(|e| e.to_string())?;
        let claims: Claims =
            serde_json::from_value(claims).map_err(|_| "the token is malformed".to_owned())?;
        let now = self.registry.world.now();
        if let Some(fault) = claims.fault(audiences, now) {
            return Err(fault.to_owned());
        }
        let of = &claims.kubernetes;
        let (namespace, name) = (of.namespace.as_str(), of.serviceaccount.name.as_str());
        let account = self.there("ServiceAccount", Some(namespace), &of.serviceaccount, now)?;
        if let Some(pod) = &of.pod {
            self.there("Pod", Some(namespace), pod, now)?;
        } else if let Some(node) = &of.node {
            self.there("Node", None, node, now)?;
        }
        if let Some(secret) = &of.secret {
            self.there("Secret", Some(namespace), secret, now)?;
        }
        let mut user = User::account(namespace, name, &of.serviceaccount.uid, role_of(&account));
        user.expires = Timestamp::from_second(claims.exp).ok();
        user.extra = claims.extra().into_iter().map(|(key, value)| (key.to_owned(), vec![value])).collect();
        let good = claims.aud.into_iter().filter(|one| audiences.contains(one)).collect();
        Ok((user, good))
    }

    /// The role that a service account carries now; none if it is not there.
    #[must_use]
    pub fn role(&self, namespace: &str, name: &str) -> Role {
        let account = kind("ServiceAccount").and_then(|kind| self.registry.get(kind, Some(namespace), name));
        account.map_or(Role::Nothing, |account| role_of(&account))
    }

    /// Whether somebody who was known may still do what they might: their token has not ended, by a clock that may have
    /// been set forward, and their service account is there and carries the same role. What lasts (a watch) asks now and
    /// then.
    #[must_use]
    pub fn still(&self, user: &User) -> bool {
        if user.expires.is_some_and(|end| end <= self.registry.world.now()) {
            return false;
        }
        let Some((namespace, name)) = User::account_of(&user.name) else { return true };
        let account = kind("ServiceAccount").and_then(|kind| self.registry.get(kind, Some(namespace), name));
        account.is_ok_and(|account| {
            // Whoever acts as another has no uid.
            role_of(&account) == user.role && (user.uid.is_empty() || meta::text(&account, "uid") == user.uid)
        })
    }

    /// Somebody whose name and groups are said and not proven: for reviews and for acting as another.
    pub(crate) fn named(&self, name: &str, groups: &[String]) -> User {
        let said = User::said(name, groups.to_vec());
        let Some((namespace, account)) = User::account_of(name) else { return said };
        let own = User::account(namespace, account, "", self.role(namespace, account));
        if groups.is_empty() { own } else { User { role: own.role.max(said.role), ..said } }
    }

    /// An object that a token names, if it is still that object and not past its end.
    fn there(
        &self,
        kind_name: &str,
        namespace: Option<&str>,
        reference: &Reference,
        now: Timestamp,
    ) -> Result<Value, String> {
        let invalid = || "service account token has been invalidated".to_owned();
        let kind = kind(kind_name).map_err(|_| invalid())?;
        let object = self.registry.get(kind, namespace, &reference.name).map_err(|_| invalid())?;
        if meta::text(&object, "uid") != reference.uid {
            return Err(invalid());
        }
        let end = meta::text(&object, "deletionTimestamp").parse::<Timestamp>().ok();
        // What is going is so at once for a service account, after its grace for a pod.
        if end.is_some_and(|end| now.duration_since(end) >= SignedDuration::ZERO) {
            return Err(invalid());
        }
        Ok(object)
    }
}

fn kind(name: &str) -> Result<&'static Kind, ApiError> {
    kinds::by_kind("v1", name).ok_or_else(|| ApiError::internal(format_args!("v1 {name} is not served")))
}

fn role_of(account: &Value) -> Role {
    Role::named(account["metadata"]["labels"][ROLE_LABEL].as_str().unwrap_or_default())
}
