//! Who asks: names and groups as upstream tells them, and the one role that counts here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The label of a service account that carries a role: `admin`, `submit` or `read`. Service accounts are written by
/// the administrator alone, so nobody else can give a role.
pub const ROLE_LABEL: &str = "windlass.dev/role";

/// Upstream's group of those who may do everything.
const MASTERS: &str = "system:masters";
/// Upstream's group of everybody who is known.
const AUTHENTICATED: &str = "system:authenticated";
/// How the names of service accounts begin.
const ACCOUNT: &str = "system:serviceaccount:";

/// What somebody may do. The order is that of power: each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Ask who one is and what one may do; read what every cluster tells of itself.
    Nothing,
    /// Look at everything but secrets.
    Read,
    /// Besides: submit and end work that the host is safe from.
    Submit,
    /// Everything.
    Administrator,
}

impl Role {
    /// The role that a label's value names.
    #[must_use]
    pub fn named(text: &str) -> Role {
        match text {
            "admin" => Role::Administrator,
            "submit" => Role::Submit,
            "read" => Role::Read,
            _ => Role::Nothing,
        }
    }
    /// Its name in the label and in sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Nothing => "none",
            Role::Read => "read",
            Role::Submit => "submit",
            Role::Administrator => "admin",
        }
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Debug)]
pub struct User {
    /// e.g. `system:serviceaccount:default:builder`.
    pub name: String,
    /// The uid of the service account; empty for the owner.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known: the credential's id, the pod that it is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
    /// What they may do.
    pub role: Role,
    /// When the credential ends; the owner's does not.
    pub expires: Option<Timestamp>,
}

impl User {
    /// The owner of the engine.
    #[must_use]
    pub fn owner() -> User {
        User::plain("windlass-admin", Role::Administrator, vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()])
    }

    /// A service account whose uid and role are known.
    #[must_use]
    pub fn account(namespace: &str, name: &str, uid: &str, role: Role) -> User {
        let groups =
            ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), AUTHENTICATED]
                .map(ToOwned::to_owned);
        let plain = User::plain(&format!("{ACCOUNT}{namespace}:{name}"), role, groups.into());
        User { uid: uid.to_owned(), ..plain }
    }

    /// Somebody of whom only a name and groups are said.
    #[must_use]
    pub fn said(name: &str, mut groups: Vec<String>) -> User {
        let role = if groups.iter().any(|g| g == MASTERS) { Role::Administrator } else { Role::Nothing };
        if !groups.iter().any(|g| g == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        User::plain(name, role, groups)
    }

    fn plain(name: &str, role: Role, groups: Vec<String>) -> User {
        User {
            name: name.to_owned(),
            uid: String::new(),
            groups,
            extra: BTreeMap::new(),
            role,
            expires: None,
        }
    }

    /// Namespace and name of the service account that a user's name means.
    #[must_use]
    pub fn account_of(name: &str) -> Option<(&str, &str)> {
        name.strip_prefix(ACCOUNT)?.split_once(':').filter(|(n, a)| !n.is_empty() && !a.is_empty())
    }

    /// As `UserInfo` of authentication.k8s.io/v1.
    #[must_use]
    pub fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}
