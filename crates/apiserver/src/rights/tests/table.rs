//! Every served kind and verb has a rule, the roles are ordered, and the documentation says what the table says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kind::{Kind, Served};
use crate::kinds;
use crate::rights::decide::find;
use crate::rights::table::ROWS;
use crate::rights::{Ask, Role, Target, decide, pod_spec, rules};
use crate::schema;

const ROLES: [Role; 4] = [Role::Nothing, Role::Read, Role::Submit, Role::Administrator];

fn ask(group: &str, resource: &str, verb: &str) -> Ask {
    let (plural, part) = resource.split_once('/').unwrap_or((resource, ""));
    let own = |text: &str| text.to_owned();
    let target = Target::Resource {
        group: own(group),
        resource: own(plural),
        part: own(part),
        namespace: own("default"),
        name: own("some"),
    };
    Ask { verb: own(verb), target }
}

fn may(role: Role, group: &str, resource: &str, verb: &str) -> bool {
    decide(role, &ask(group, resource, verb)).is_allowed()
}

/// Every resource and part that is served, with its verbs, as discovery tells them.
fn served() -> Vec<(&'static str, String, Vec<String>)> {
    let mut all = Vec::new();
    for kind in kinds::all() {
        for (resource, verbs) in crate::http::served_verbs(kind) {
            all.push((kind.group, resource, verbs.iter().map(|verb| (*verb).to_owned()).collect()));
        }
    }
    all
}

#[test]
fn every_served_resource_and_part_has_a_row() {
    for (group, resource, _) in served() {
        let (plural, part) = resource.split_once('/').unwrap_or((&resource, ""));
        assert!(
            find(group, plural, part).is_some(),
            "{group}/{resource} is served and has no row in rights/table.rs: what may submit and read do with it?"
        );
    }
}

#[test]
fn no_row_stands_twice_and_no_verb_is_unknown() {
    const VERBS: [&str; 8] =
        ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let mut seen = BTreeSet::new();
    for row in ROWS {
        assert!(seen.insert((row.group, row.resource)), "{} stands twice", row.resource);
        for verb in row.all.iter().chain(row.read).chain(row.submit) {
            assert!(VERBS.contains(verb), "{verb}");
        }
    }
}

#[test]
fn more_power_is_never_less() {
    for (group, resource, verbs) in served() {
        for verb in verbs {
            let allowed: Vec<bool> = ROLES.iter().map(|role| may(*role, group, &resource, &verb)).collect();
            assert!(allowed.is_sorted(), "{verb} {group}/{resource}: {allowed:?}");
            assert!(allowed[3], "the administrator may do everything");
        }
    }
}

#[test]
fn what_is_not_in_the_table_is_the_administrators() {
    for (group, resource, verb) in [
        ("", "pods/proxy", "get"),
        ("rbac.authorization.k8s.io", "clusterroles", "list"),
        ("batch", "pods", "get"),
        ("", "pods", "impersonate"),
        ("", "pods", "*"),
        ("*", "*", "*"),
        ("", "", ""),
        ("", "secrets", "get"),
        ("", "secrets", "list"),
        ("", "secrets", "watch"),
        ("", "serviceaccounts/token", "create"),
        ("", "serviceaccounts", "patch"),
        ("", "pods/binding", "create"),
        ("", "namespaces", "delete"),
        ("", "users", "impersonate"),
    ] {
        for role in ROLES {
            assert_eq!(
                may(role, group, resource, verb),
                role == Role::Administrator,
                "{role:?} {verb} {resource}"
            );
        }
    }
}

#[test]
fn a_reader_cannot_talk_to_processes_and_nobody_without_a_role_can_read() {
    for part in ["attach", "exec", "portforward"] {
        for verb in ["get", "create"] {
            let resource = format!("pods/{part}");
            assert!(!may(Role::Read, "", &resource, verb) && may(Role::Submit, "", &resource, verb));
        }
    }
    for (group, resource, verbs) in served() {
        for verb in verbs {
            let own = resource.starts_with("selfsubject");
            assert_eq!(may(Role::Nothing, group, &resource, &verb), own, "{verb} {resource}");
        }
    }
}

#[test]
fn paths_that_are_no_resources_are_read_by_everybody_who_is_known() {
    let may = |role, verb: &str, path: &str| {
        decide(role, &Ask { verb: verb.to_owned(), target: Target::Path(path.to_owned()) }).is_allowed()
    };
    for path in ["/", "/api", "/api/", "/api/v1", "/apis/batch/v1", "/openapi/v3", "/version", "/readyz/ping"]
    {
        assert!(may(Role::Nothing, "get", path), "{path}");
        assert!(!may(Role::Submit, "post", path), "{path}");
    }
    for path in ["/metrics", "/logs", "/apiary", "/debug/pprof", ""] {
        assert!(!may(Role::Submit, "get", path) && may(Role::Administrator, "get", path), "{path}");
    }
}

#[test]
fn the_rules_that_are_told_are_those_that_hold() {
    for role in [Role::Nothing, Role::Read, Role::Submit] {
        let told = rules(role);
        for (group, resource, verbs) in served() {
            for verb in verbs {
                let names = |rule: &Value, key: &str, value: &str| {
                    rule[key].as_array().unwrap().iter().any(|one| one == value)
                };
                let said = told["resourceRules"].as_array().unwrap().iter().any(|rule| {
                    names(rule, "apiGroups", group)
                        && names(rule, "resources", &resource)
                        && names(rule, "verbs", &verb)
                });
                assert_eq!(said, may(role, group, &resource, &verb), "{role:?} {verb} {group}/{resource}");
            }
        }
    }
}

/// Whether a kind's schema holds a pod's spec anywhere.
fn holds_a_pod(kind: &Kind) -> bool {
    let root = if kind.group.is_empty() { "api" } else { "apis" };
    let document = schema::openapi_document(&format!("{root}/{}", kind.api_version())).unwrap();
    let (mut open, mut seen) = (vec![kind.schema.to_owned()], BTreeSet::new());
    while let Some(name) = open.pop() {
        if name == "io.k8s.api.core.v1.PodSpec" {
            return true;
        }
        if seen.insert(name.clone()) {
            let text = document["components"]["schemas"][&name].to_string();
            let parts = text.split("#/components/schemas/").skip(1);
            open.extend(parts.filter_map(|part| part.split('"').next()).map(ToOwned::to_owned));
        }
    }
    false
}

#[test]
fn every_kind_that_holds_a_pod_is_looked_into() {
    for kind in kinds::all().iter().filter(|kind| kind.served == Served::Full) {
        assert_eq!(pod_spec(kind, &Value::Null).is_some(), holds_a_pod(kind), "{kind:?}: rights/powers.rs");
    }
}

#[test]
fn the_documentation_has_the_table() {
    let words = |verbs: &[&str]| match verbs {
        [] => "–".to_owned(),
        ["get", "list", "watch"] => "look".to_owned(),
        ["create", "update", "patch", "delete", "deletecollection"] => "write".to_owned(),
        verbs => verbs.join(", "),
    };
    let mut table = String::from("| resource | everybody | read | submit, besides |\n|---|---|---|---|\n");
    for row in ROWS {
        let group = if row.group.is_empty() { String::new() } else { format!("{} ", row.group) };
        let cells = [row.all, row.read, row.submit].map(words).join(" | ");
        table += &format!("| {group}{} | {cells} |\n", row.resource);
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rights.md")).unwrap();
    assert!(page.contains(&table), "docs/rights.md must hold this table:\n{table}");
}
