//! What a service account's token says, in upstream's claims (kubernetes pkg/serviceaccount/claims.go). Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Who issues tokens, and whom they are for unless they say otherwise: this API.
pub(crate) const AUDIENCE: &str = "https://kubernetes.default.svc";
/// Seconds that a token lasts at least.
pub(crate) const SHORTEST: i64 = 600;
/// Seconds that a token lasts at most.
pub(crate) const LONGEST: i64 = 1 << 32;
/// How far clocks may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// What a token says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) aud: Vec<String>,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) iss: String,
    pub(super) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) kubernetes: Kubernetes,
    pub(super) nbf: i64,
    pub(super) sub: String,
}

/// Whose it is and what it is bound to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    pub(super) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    pub(super) serviceaccount: Reference,
}

/// One object, and no other of its name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) uid: String,
}

impl Claims {
    /// What is wrong with it now, apart from what it names.
    pub(super) fn fault(&self, audiences: &[String], now: Timestamp) -> Option<&'static str> {
        let at = now.as_second();
        if self.iss != AUDIENCE {
            return Some("the token is another issuer's");
        }
        if at >= self.exp {
            return Some("service account token has expired");
        }
        if at.saturating_add(LEEWAY.as_secs()) < self.nbf {
            return Some("service account token is not valid yet");
        }
        if !self.aud.iter().any(|one| audiences.contains(one)) {
            return Some("token audiences are not valid for this request");
        }
        None
    }

    /// The pod or node that it is bound to as upstream tells it of a user.
    pub(super) fn extra(&self) -> Vec<(&'static str, String)> {
        let mut extra = vec![("authentication.kubernetes.io/credential-id", format!("JTI={}", self.jti))];
        let kubernetes = &self.kubernetes;
        for (bound, name, uid) in [
            (
                &kubernetes.pod,
                "authentication.kubernetes.io/pod-name",
                "authentication.kubernetes.io/pod-uid",
            ),
            (
                &kubernetes.node,
                "authentication.kubernetes.io/node-name",
                "authentication.kubernetes.io/node-uid",
            ),
        ] {
            if let Some(bound) = bound {
                extra.push((name, bound.name.clone()));
                extra.push((uid, bound.uid.clone()));
            }
        }
        extra
    }
}
