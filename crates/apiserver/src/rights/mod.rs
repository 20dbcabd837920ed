//! Who may what: three fixed roles, who carries them, and the tokens by which a client is known.
//!
//! The decision is one pure function over one table; the powers that a pod may ask for are another. What HTTP does with
//! the answers is `http::authorize`'s. There is no RBAC here: a role holds for the whole cluster.

mod decide;
mod powers;
mod table;
mod user;

mod accounts;
mod claims;
mod keys;
mod review;

#[cfg(test)]
mod tests;

/// What the fuzz targets ask of tokens.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    /// Whether a token is one that a certain key signed.
    pub(crate) fn verified(token: &str) -> bool {
        super::keys::Keys::of(&[7; 32]).is_some_and(|keys| keys.verify(token).is_ok())
    }
}

pub use accounts::{Accounts, Issued};
pub use decide::{Ask, Decision, Target, decide};
pub use powers::{HOST_CLASS, account, needs_administrator, pod_spec};
pub use user::{ROLE_LABEL, Role, User};

pub(crate) use accounts::{Bound, Order};
pub(crate) use claims::{AUDIENCE, LONGEST, SHORTEST};
pub(crate) use review::rules;
