//! Reviews, token requests, evictions and bindings: kinds that are asked and answered, and never stored.

use crate::kind::{Kind, Served};
use crate::kinds::common::PLAIN;

const AUTHENTICATION: Kind =
    Kind { group: "authentication.k8s.io", namespaced: false, served: Served::Review, ..PLAIN };

const AUTHORIZATION: Kind =
    Kind { group: "authorization.k8s.io", namespaced: false, served: Served::Review, ..PLAIN };

/// authentication.k8s.io/v1: who am I.
pub(super) const SELF_SUBJECT: Kind = Kind {
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    schema: "io.k8s.api.authentication.v1.SelfSubjectReview",
    ..AUTHENTICATION
};

/// authentication.k8s.io/v1: whom does this token mean.
pub(super) const TOKEN: Kind = Kind {
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    schema: "io.k8s.api.authentication.v1.TokenReview",
    ..AUTHENTICATION
};

/// What `serviceaccounts/token` takes and gives; no resource of its own.
pub(super) const TOKEN_REQUEST: Kind =
    Kind { kind: "TokenRequest", schema: "io.k8s.api.authentication.v1.TokenRequest", ..AUTHENTICATION };

/// What a pod's `/eviction` takes; no resource of its own.
pub(super) const EVICTION: Kind = Kind {
    group: "policy",
    kind: "Eviction",
    schema: "io.k8s.api.policy.v1.Eviction",
    served: Served::Review,
    ..PLAIN
};

/// What a pod's `/binding` takes; no resource of its own.
pub(super) const BINDING: Kind =
    Kind { kind: "Binding", schema: "io.k8s.api.core.v1.Binding", served: Served::Review, ..PLAIN };

/// authorization.k8s.io/v1: may I.
pub(super) const SELF_ACCESS: Kind = Kind {
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    schema: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    ..AUTHORIZATION
};

/// authorization.k8s.io/v1: what may I.
pub(super) const SELF_RULES: Kind = Kind {
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    schema: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    ..AUTHORIZATION
};

/// authorization.k8s.io/v1: may they.
pub(super) const ACCESS: Kind = Kind {
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    schema: "io.k8s.api.authorization.v1.SubjectAccessReview",
    ..AUTHORIZATION
};

/// authorization.k8s.io/v1: may they, in this namespace.
pub(super) const LOCAL_ACCESS: Kind = Kind {
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    namespaced: true,
    schema: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    ..AUTHORIZATION
};
