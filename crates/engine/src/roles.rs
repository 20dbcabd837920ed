//! The service accounts by which an engine gives its fixed roles away. What a role may do is `apiserver::rights`'.

use windlass_apiserver::rights;

/// A role that a credential can be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// May submit and end work that the host is safe from, and look at everything but secrets.
    Submit,
    /// May look at everything but secrets.
    Read,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 2] = [Role::Submit, Role::Read];

    /// Where the service accounts of roles are.
    pub const NAMESPACE: &str = "kube-system";

    /// The label by which a service account carries a role.
    pub const LABEL: &str = rights::ROLE_LABEL;

    /// Its name: the value of the label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Submit => rights::Role::Submit.name(),
            Role::Read => rights::Role::Read.name(),
        }
    }

    /// The name of its service account.
    #[must_use]
    pub fn account(self) -> String {
        format!("windlass-{}", self.name())
    }
}
