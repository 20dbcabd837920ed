//! The OpenAPI documents, as kubectl reads them.

use std::collections::BTreeSet;

use super::super::*;

#[test]
fn every_group_version_of_the_index_has_a_document() {
    let index = openapi_index();
    let paths = index["paths"].as_object().expect("has paths");
    assert!(paths.contains_key("api/v1") && paths.contains_key("apis/batch/v1"));
    for (path, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().expect("has an address");
        assert!(url.starts_with(&format!("/openapi/v3/{path}?hash=")), "{url}");
        assert!(openapi_document(path).is_some(), "{path}");
    }
    assert_eq!(openapi_document("apis/none/v1"), None);
    assert_eq!(index, openapi_index());
}

#[test]
fn references_lead_to_schemas() {
    for path in ["api/v1", "apis/batch/v1"] {
        let document = openapi_document(path).expect("is there");
        let mut wanted = BTreeSet::new();
        references(&document, &mut wanted);
        assert!(wanted.len() > 100, "{path}");
        for reference in wanted {
            let name = reference.trim_start_matches("#/components/schemas/");
            assert!(document["components"]["schemas"].get(name).is_some(), "{path}: {name}");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn writes_of_jobs_say_that_the_server_validates() {
    let document = openapi_document("apis/batch/v1").expect("is there");
    let item = &document["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"];
    let list = &document["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs"]["post"];
    for operation in [item, list] {
        assert_eq!(operation["x-kubernetes-group-version-kind"]["kind"], "Job");
        let parameters = operation["parameters"].as_array().expect("has parameters");
        assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    }
    let job = &document["components"]["schemas"]["io.k8s.api.batch.v1.Job"];
    assert_eq!(job["x-kubernetes-group-version-kind"][0]["kind"], "Job");
}

#[test]
fn merge_keys_are_told() {
    let document = openapi_document("api/v1").expect("is there");
    let spec = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"];
    assert_eq!(spec["required"], serde_json::json!(["containers"]));
    let volumes = &spec["properties"]["volumes"];
    assert_eq!(volumes["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(volumes["x-kubernetes-patch-strategy"], "merge,retainKeys");
    assert_eq!(volumes["x-kubernetes-list-map-keys"][0], "name");
}

#[test]
fn every_kind_and_its_list_has_a_shape() {
    for kind in crate::kinds::all() {
        let shape = table::table().by_schema(kind.schema).expect("is in the table");
        assert_eq!(shape.kind, Some((kind.group, kind.version, kind.kind)));
        // What is answered and not stored is never listed.
        let listed = kind.served != crate::kind::Served::Review;
        assert!(
            !listed || table::table().by_schema(&format!("{}List", kind.schema)).is_some(),
            "{}",
            kind.schema
        );
        assert!(table::table().by_kind(&kind.api_version(), kind.kind).is_some());
    }
}

#[test]
fn every_type_and_field_is_described_and_nothing_else() {
    let words = words::Words::read();
    let described: BTreeSet<_> = words.all().map(|(place, _)| *place).collect();
    let mut known = BTreeSet::new();
    for shape in table::table().types() {
        known.insert((shape.name, ""));
        known.extend(shape.fields.iter().map(|field| (shape.name, field.json)));
        assert!(words.of_type(shape.name).is_some(), "{}", shape.name);
        for field in &shape.fields {
            assert!(words.of_field(shape.name, field.json).is_some(), "{} {}", shape.name, field.json);
        }
    }
    let strange: Vec<_> = described.difference(&known).collect();
    assert!(strange.is_empty(), "{strange:?}");
    for (place, said) in words.all() {
        assert!(said.ends_with('.') && said.len() <= 500 && !said.contains("  "), "{place:?}: {said}");
    }
    let lines: usize = words::TEXTS.iter().map(|text| text.lines().count()).sum();
    assert_eq!(lines, described.len(), "something is described twice");
}

#[test]
fn kubectl_explain_finds_words() {
    let document = openapi_document("apis/batch/v1").expect("is there");
    let spec = &document["components"]["schemas"]["io.k8s.api.batch.v1.JobSpec"];
    for schema in [spec, &spec["properties"]["template"], &spec["properties"]["backoffLimit"]] {
        assert!(schema["description"].is_string(), "{schema}");
    }
}
