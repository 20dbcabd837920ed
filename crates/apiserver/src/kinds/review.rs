//! Reviews and token requests: kinds that are asked and answered, and never stored.

use crate::kind::{Kind, Served};
use crate::kinds::common::PLAIN;

const fn authentication(kind: Kind) -> Kind {
    Kind { group: "authentication.k8s.io", namespaced: false, served: Served::Review, ..kind }
}

const fn authorization(kind: Kind) -> Kind {
    Kind { group: "authorization.k8s.io", namespaced: false, served: Served::Review, ..kind }
}

/// authentication.k8s.io/v1: who am I.
pub(super) const SELF_SUBJECT: Kind = authentication(Kind {
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    schema: "io.k8s.api.authentication.v1.SelfSubjectReview",
    ..PLAIN
});

/// authentication.k8s.io/v1: whom does this token mean.
pub(super) const TOKEN: Kind = authentication(Kind {
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    schema: "io.k8s.api.authentication.v1.TokenReview",
    ..PLAIN
});

/// What `serviceaccounts/token` takes and gives; no resource of its own.
pub(super) const TOKEN_REQUEST: Kind = authentication(Kind {
    kind: "TokenRequest",
    schema: "io.k8s.api.authentication.v1.TokenRequest",
    ..PLAIN
});

/// authorization.k8s.io/v1: may I.
pub(super) const SELF_ACCESS: Kind = authorization(Kind {
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    schema: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    ..PLAIN
});

/// authorization.k8s.io/v1: what may I.
pub(super) const SELF_RULES: Kind = authorization(Kind {
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    schema: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    ..PLAIN
});

/// authorization.k8s.io/v1: may they.
pub(super) const ACCESS: Kind = authorization(Kind {
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    schema: "io.k8s.api.authorization.v1.SubjectAccessReview",
    ..PLAIN
});

/// authorization.k8s.io/v1: may they, in this namespace.
pub(super) const LOCAL_ACCESS: Kind = Kind {
    namespaced: true,
    ..authorization(Kind {
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        schema: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
        ..PLAIN
    })
};
