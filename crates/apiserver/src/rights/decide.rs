//! The decision: may this role do this? Pure: a role and a request in, yes or no with the reason out.

use super::table::{PATHS, ROWS, Row};
use super::user::Role;

/// What is asked for, in Kubernetes' words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// e.g. `get`, `deletecollection`.
    pub verb: String,
    /// Of what.
    pub target: Target,
}

/// What a request is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Objects of a resource, or a part of one.
    Resource {
        /// The API group; empty for the core group.
        group: String,
        /// The plural name.
        resource: String,
        /// The part; empty for the object itself.
        part: String,
        /// The namespace; empty for all of them and for what lives in none. Roles hold everywhere: it is only told.
        namespace: String,
        /// The object; empty for a collection.
        name: String,
    },
    /// A path that is no resource.
    Path(String),
}

/// Whether it may be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Yes, because.
    Allowed(String),
    /// No, because.
    Forbidden(String),
}

impl Decision {
    /// Whether it is a yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allowed(_))
    }
    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Decision::Allowed(reason) | Decision::Forbidden(reason) => reason,
        }
    }
}

/// May this role do this? What no rule names is the administrator's.
#[must_use]
pub fn decide(role: Role, ask: &Ask) -> Decision {
    let who = match role {
        Role::Nothing => "who carries no role".to_owned(),
        role => format!("the role {:?}", role.name()),
    };
    if role == Role::Administrator {
        return Decision::Allowed(format!("{who} may do everything"));
    }
    let least = match &ask.target {
        Target::Resource { group, resource, part, .. } => least(group, resource, part, &ask.verb),
        Target::Path(path) if ask.verb == "get" && is_open(path) => Role::Nothing,
        Target::Path(_) => Role::Administrator,
    };
    if role >= least {
        return Decision::Allowed(match least {
            Role::Nothing => "everybody who is known may".to_owned(),
            _ => format!("{who} may"),
        });
    }
    Decision::Forbidden(format!("{who} may not, the role {:?} may", least.name()))
}

/// The least role that may do this.
fn least(group: &str, resource: &str, part: &str, verb: &str) -> Role {
    let Some(row) = find(group, resource, part) else { return Role::Administrator };
    let has = |verbs: &[&str]| verbs.contains(&verb);
    match () {
        () if has(row.all) => Role::Nothing,
        () if has(row.read) => Role::Read,
        () if has(row.submit) => Role::Submit,
        () => Role::Administrator,
    }
}

/// The row of a resource or part.
pub(super) fn find(group: &str, resource: &str, part: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        let (plural, of) = row.resource.split_once('/').unwrap_or((row.resource, ""));
        (row.group, plural, of) == (group, resource, part)
    })
}

/// Whether everybody who is known may read a path.
fn is_open(path: &str) -> bool {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    PATHS.iter().any(|open| match open.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == *open,
    })
}
