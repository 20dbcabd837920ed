//! OpenAPI v3: the index and a document a group version, from the rows of the kinds and the table of shapes.
//!
//! kubectl reads three things out of it: the schemas (validation, `explain`), the group-version-kinds of schemas and
//! paths, and the query parameter `fieldValidation`, by which it knows that the server validates. What is said of types
//! and fields has files of its own.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::table::{Field, Scalar, Shape, TEXT, Type, table};
use super::words::{TEXTS, Words};
use crate::kind::{Kind, Served, Subresource};
use crate::kinds;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// The index, see [`super::openapi_index`].
pub(super) fn index() -> Value {
    let groups: BTreeSet<_> = kinds::all().iter().map(path_of).collect();
    let all = hash_of_all();
    let entry = |path: &String| {
        let url = format!("/openapi/v3/{path}?hash={:016X}", hash(all, path));
        (path.clone(), json!({"serverRelativeURL": url}))
    };
    json!({"paths": groups.iter().map(entry).collect::<Map<_, _>>()})
}

/// The document of one group version, see [`super::openapi_document`].
pub(super) fn document(path: &str) -> Option<Value> {
    let rows: Vec<_> = kinds::all().iter().filter(|kind| path_of(kind) == path).collect();
    let title = rows.first()?.api_version();
    let mut paths = Map::new();
    for kind in &rows {
        add_paths(&mut paths, path, kind);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": format!("Kubernetes {title}"), "version": "v1.36.3"},
        "paths": paths,
        "components": {"schemas": schemas(&rows)},
    }))
}

/// `api/v1` or `apis/batch/v1`.
fn path_of(kind: &Kind) -> String {
    let root = if kind.group.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", kind.api_version())
}

/// A number that changes with everything that documents are made of, but for their paths.
fn hash_of_all() -> u64 {
    let names = kinds::all().iter().flat_map(|kind| [kind.group, kind.version, kind.plural, kind.schema]);
    let parts = [env!("CARGO_PKG_VERSION"), TEXT].into_iter().chain(TEXTS).chain(names);
    parts.fold(0xcbf2_9ce4_8422_2325, hash)
}

/// FNV-1a, gone on with.
fn hash(begin: u64, text: &str) -> u64 {
    text.bytes().fold(begin, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The paths of one kind: its lists, its objects, their status.
fn add_paths(paths: &mut Map<String, Value>, path: &str, kind: &Kind) {
    let scope = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    let list = format!("/{path}/{scope}{}", kind.plural);
    if kind.served == Served::Review {
        let parameters = if kind.namespaced { vec![path_parameter("namespace")] } else { Vec::new() };
        let post = operation(kind, "post", "", Some(&["*/*"]));
        paths.insert(list, json!({"parameters": parameters, "post": post}));
        return;
    }
    let item = format!("{list}/{{name}}");
    if kind.namespaced {
        let all = json!({"get": operation(kind, "list", "ForAllNamespaces", None)});
        paths.insert(format!("/{path}/{}", kind.plural), all);
    }
    let full = matches!(kind.served, Served::Full);
    let mut lists = json!({"get": operation(kind, "list", "", None)});
    let mut items = json!({"get": operation(kind, "get", "", None)});
    if full {
        lists["post"] = operation(kind, "post", "", Some(&["*/*"]));
        items["put"] = operation(kind, "put", "", Some(&["*/*"]));
        items["patch"] = operation(kind, "patch", "", Some(&PATCHES));
        items["delete"] = operation(kind, "delete", "", None);
    }
    let scope = if kind.namespaced { vec![path_parameter("namespace")] } else { Vec::new() };
    lists["parameters"] = scope.clone().into();
    items["parameters"] = scope.iter().cloned().chain([path_parameter("name")]).collect();
    if full && kind.subresources.contains(&Subresource::Status) {
        let status = json!({
            "parameters": items["parameters"],
            "get": operation(kind, "get", "Status", None),
            "put": operation(kind, "put", "Status", Some(&["*/*"])),
            "patch": operation(kind, "patch", "Status", Some(&PATCHES)),
        });
        paths.insert(format!("{item}/status"), status);
    }
    paths.insert(list, lists);
    paths.insert(item, items);
}

/// One operation; those with a body carry the parameters of writes.
fn operation(kind: &Kind, action: &str, part: &str, bodies: Option<&[&str]>) -> Value {
    let answer = if action == "list" { format!("{}List", kind.schema) } else { kind.schema.to_owned() };
    let scope = if kind.namespaced && part != "ForAllNamespaces" { "Namespaced" } else { "" };
    let mut operation = json!({
        "operationId": format!("{action}{}{scope}{}{part}", words(&kind.api_version()), kind.kind),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference(&answer)}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    if let Some(types) = bodies {
        let body = if action == "patch" { json!({"type": "object"}) } else { reference(kind.schema) };
        let content: Map<_, _> =
            types.iter().map(|kind| ((*kind).to_owned(), json!({"schema": body}))).collect();
        operation["requestBody"] = json!({"required": true, "content": content});
        let mut parameters = vec!["dryRun", "fieldManager", "fieldValidation"];
        parameters.extend((action == "patch").then_some("force"));
        let parameter = |name: &&str| {
            let kind = if *name == "force" { "boolean" } else { "string" };
            json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
        };
        operation["parameters"] = parameters.iter().map(parameter).collect();
    }
    operation
}

fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}})
}

/// `BatchV1` of `batch/v1`.
fn words(api_version: &str) -> String {
    let words = api_version.split(['/', '.']).filter(|word| *word != "k8s" && *word != "io");
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// The schemas of the kinds and their lists, and everything that they refer to.
fn schemas(rows: &[&Kind]) -> Map<String, Value> {
    let roots = rows.iter().flat_map(|kind| [kind.schema.to_owned(), format!("{}List", kind.schema)]);
    let mut open: Vec<_> = roots.chain([format!("{META}.DeleteOptions"), format!("{META}.Status")]).collect();
    let (mut schemas, words) = (Map::new(), Words::read());
    while let Some(name) = open.pop() {
        if schemas.contains_key(&name) {
            continue;
        }
        if let Some(shape) = table().by_schema(&name) {
            schemas.insert(name, schema(shape, rows, &words, &mut open));
        } else if let Some(special) = special(&name) {
            schemas.insert(name, special);
        }
    }
    schemas
}

/// The schema of a type; adds the names that it refers to.
fn schema(shape: &'static Type, rows: &[&Kind], words: &Words, open: &mut Vec<String>) -> Value {
    let mut schema = match &shape.wrapped {
        Some(wrapped) => value(wrapped, open),
        None => json!({"type": "object"}),
    };
    describe(&mut schema, words.of_type(shape.name));
    let mut property = |field: &'static Field| {
        let mut property = property(field, open);
        describe(&mut property, words.of_field(shape.name, field.json));
        (field.json.to_owned(), property)
    };
    let properties: Map<_, _> = shape.fields.iter().map(&mut property).collect();
    if !properties.is_empty() {
        schema["properties"] = properties.into();
    }
    let required: Vec<_> =
        shape.fields.iter().filter(|field| field.required).map(|field| field.json).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if let Some(kind) = shape.map_type {
        schema["x-kubernetes-map-type"] = kind.into();
    }
    let kinds = kinds_of(shape, rows);
    if !kinds.is_empty() {
        schema["x-kubernetes-group-version-kind"] = kinds.into();
    }
    schema
}

fn describe(schema: &mut Value, said: Option<&str>) {
    if let Some(said) = said {
        schema["description"] = said.into();
    }
}

/// The group-version-kinds under which a type may be written in this document.
fn kinds_of(shape: &Type, rows: &[&Kind]) -> Vec<Value> {
    let word = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    if shape.everywhere {
        let groups = rows.first().map(|row| (row.group, row.version)).into_iter().chain([("", "v1")]);
        let groups: BTreeSet<_> = groups.collect();
        return groups.into_iter().map(|(group, version)| word((group, version, shape.go_name()))).collect();
    }
    shape.kind.into_iter().map(word).collect()
}

/// A field: what it holds, and how patches treat it.
fn property(field: &'static Field, open: &mut Vec<String>) -> Value {
    let mut property = value(&field.shape, open);
    if property.get("$ref").is_some() {
        // A reference with siblings is read as the reference alone.
        property = json!({"allOf": [property]});
    }
    if matches!(field.shape, Shape::Ref(_)) && !field.pointer {
        property["default"] = json!({});
    }
    let extensions = [
        ("x-kubernetes-patch-merge-key", field.merge_key),
        ("x-kubernetes-patch-strategy", field.strategy),
        ("x-kubernetes-list-type", field.list_type),
        ("x-kubernetes-map-type", field.map_type),
    ];
    for (name, set) in extensions {
        if let Some(set) = set {
            property[name] = set.into();
        }
    }
    if !field.list_keys.is_empty() {
        property["x-kubernetes-list-map-keys"] = field.list_keys.clone().into();
    }
    property
}

/// The schema of a value.
fn value(shape: &'static Shape, open: &mut Vec<String>) -> Value {
    let mut refer = |name: String| {
        let reference = reference(&name);
        open.push(name);
        reference
    };
    match shape {
        Shape::List(inner) => json!({"type": "array", "items": value(inner, open)}),
        Shape::Map(inner) => json!({"type": "object", "additionalProperties": value(inner, open)}),
        Shape::Ref(to) => refer(table().get(*to).schema()),
        Shape::Scalar(kind, _) => match kind {
            Scalar::String => json!({"type": "string"}),
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
            Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Time => refer(format!("{META}.Time")),
            Scalar::MicroTime => refer(format!("{META}.MicroTime")),
            Scalar::Fields => refer(format!("{META}.FieldsV1")),
            Scalar::Quantity => refer("io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned()),
            Scalar::IntOrString => refer("io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned()),
            Scalar::Raw => refer("io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned()),
        },
    }
}

/// The schemas of the values that have a form of their own.
fn special(name: &str) -> Option<Value> {
    Some(match name.rsplit('.').next()? {
        "Time" | "MicroTime" => json!({"type": "string", "format": "date-time"}),
        "Quantity" => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "IntOrString" => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        "FieldsV1" | "RawExtension" => json!({"type": "object"}),
        _ => return None,
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
