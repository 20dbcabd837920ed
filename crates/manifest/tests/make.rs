//! What holds for every base and every edit.

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_manifest::files::File;
use windlass_manifest::marks::Signature;
use windlass_manifest::{
    Array, Base, ContainerEdit, Edit, JobEdit, Mount, Numbers, PodEdit, VolumeSource, make,
};
use windlass_model::{JobRequest, Place, SubmissionId};

fn manifest(extra: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "generateName": "x-" }, "unknown": extra,
        "spec": { "odd": extra, "template": { "metadata": { "annotations": { "a": "b" } }, "spec": {
            "strange": extra, "containers": [{ "name": "a", "more": extra }, { "name": "b", "more": extra }] } } },
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let word = "[a-z]{1,8}";
    prop_oneof![
        (word, word).prop_map(|(key, value)| Edit::Job(JobEdit::Label(key, value))),
        (word, word).prop_map(|(key, value)| Edit::Job(JobEdit::Annotation(key, value))),
        word.prop_map(|name| Edit::Job(JobEdit::Name(name))),
        (0u32..9).prop_map(|count| Edit::Job(JobEdit::Retries(count))),
        (word, word).prop_map(|(key, value)| Edit::Pod(PodEdit::NodeSelector(key, value))),
        word.prop_map(|name| Edit::Pod(PodEdit::ServiceAccount(name))),
        (word, ".{0,20}").prop_map(|(name, value)| Edit::FirstContainer(ContainerEdit::Env(name, value))),
        word.prop_map(|image| Edit::AllContainers(ContainerEdit::Image(image))),
        (word, word, any::<bool>()).prop_map(|(name, path, read_only)| {
            let source = VolumeSource::Claim(name);
            Edit::Mount(Mount { source, path: format!("/{path}"), read_only, volume: None })
        }),
        (word, any::<bool>()).prop_map(|(path, executable)| {
            Edit::File(File { content: path.clone().into_bytes(), path: format!("/{path}"), executable })
        }),
        prop::collection::vec(".{0,9}", 1..4)
            .prop_map(|words| Edit::FirstContainer(ContainerEdit::Command(words))),
    ]
}

/// The paths of every leaf that differs between two values.
fn changed(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let next = format!("{path}/{key}");
                changed(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), &next, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                changed(a, b, &format!("{path}/{index}"), found);
            }
        }
        (a, b) if a == b => {}
        _ => found.push(path.to_owned()),
    }
}

fn target(edit: &Edit) -> &'static [&'static str] {
    match edit {
        Edit::Job(JobEdit::Name(_)) => &["/metadata/name", "/metadata/generateName"],
        Edit::Job(JobEdit::Label(..)) => &["/metadata/labels"],
        Edit::Job(JobEdit::Annotation(..)) => &["/metadata/annotations"],
        Edit::Job(_) => &["/spec/backoffLimit"],
        Edit::Pod(PodEdit::NodeSelector(..)) => &["/spec/template/spec/nodeSelector"],
        Edit::Pod(_) => &["/spec/template/spec/serviceAccountName"],
        Edit::FirstContainer(ContainerEdit::Env(..)) => &["/spec/template/spec/containers/0/env"],
        Edit::FirstContainer(_) => &["/spec/template/spec/containers/0/command"],
        Edit::Mount(_) | Edit::File(_) => {
            &["/spec/template/spec/volumes", "/spec/template/spec/containers/0/volumeMounts"]
        }
        Edit::Tasks(_) => &[
            "/metadata/annotations",
            "/spec/completion",
            "/spec/parallelism",
            "/spec/backoffLimit",
            "/spec/template/spec/nodeSelector",
            "/spec/template/spec/volumes",
            "/spec/template/spec/containers/0/",
        ],
        Edit::AllContainers(_) => {
            &["/spec/template/spec/containers/0/image", "/spec/template/spec/containers/1/image"]
        }
    }
}

/// Kubernetes' own expansion of `$(NAME)`: `$$` is one dollar, a reference that is not known stays.
fn expand(text: &str) -> String {
    let (mut written, chars) = (String::new(), text.chars().collect::<Vec<_>>());
    let mut at = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('$', Some('$')) => {
                written.push('$');
                at += 2;
            }
            ('$', Some('(')) => {
                written.push_str("EXPANDED(");
                at += 2;
            }
            (c, _) => {
                written.push(c);
                at += 1;
            }
        }
    }
    written
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn making_is_deterministic(edits in prop::collection::vec(edit(), 0..6), extra in "[a-z]{0,9}") {
        let base = Base::Manifest(manifest(&json!(extra)));
        let (once, again) = (make(&base, &edits), make(&base, &edits));
        prop_assert_eq!(&once, &again);
        let made = once.unwrap();
        prop_assert_eq!(made.content_hash(), again.unwrap().content_hash());
    }

    #[test]
    fn edits_leave_the_rest_untouched(edits in prop::collection::vec(edit(), 0..6), number: i64) {
        let before = manifest(&json!({ "deep": [number, null, { "x": [] }] }));
        let after = make(&Base::Manifest(before.clone()), &edits).unwrap();
        let mut found = Vec::new();
        changed(&before, after.job(), "", &mut found);
        for path in found {
            let is_named = edits.iter().any(|edit| target(edit).iter().any(|target| path.starts_with(target)));
            prop_assert!(is_named, "{} was touched by {:?}", path, edits);
        }
    }

    #[test]
    fn an_array_leaves_the_rest_untouched(mut edits in prop::collection::vec(edit(), 0..4), first in 0_u32..2) {
        let numbers: Numbers = (first..first + 3).collect();
        edits.push(Edit::Tasks(Array::numbered(&numbers)));
        edits.rotate_left(1);
        let before = manifest(&json!({ "deep": [{ "x": [] }] }));
        edits.push(Edit::FirstContainer(ContainerEdit::Command(vec!["fit".into(), "{}".into()])));
        let after = make(&Base::Manifest(before.clone()), &edits).unwrap();
        let mut found = Vec::new();
        changed(&before, after.job(), "", &mut found);
        for path in found {
            let is_named = edits.iter().any(|edit| target(edit).iter().any(|target| path.starts_with(target)));
            prop_assert!(is_named, "{} was touched by {:?}", path, edits);
        }
    }

    #[test]
    fn sealing_adds_name_and_marks_only(bytes: [u8; 16], attempt in 0u32..5) {
        let made = make(&Base::Manifest(manifest(&json!(1))), &[]).unwrap();
        let id = SubmissionId::from_random(bytes);
        let mut found = Vec::new();
        let sealed = made.sealed(&id, Signature::default(), attempt);
        changed(made.job(), &sealed, "", &mut found);
        found.sort();
        found.dedup();
        prop_assert_eq!(found, [
            "/metadata/annotations", "/metadata/generateName", "/metadata/labels", "/metadata/name",
            "/spec/template/metadata/labels",
        ]);
        let name = made.name_for(&id, attempt);
        prop_assert_eq!(sealed["metadata"]["name"].as_str(), Some(name.as_str()));
    }

    #[test]
    fn a_command_reaches_its_process_as_it_was_written(words in prop::collection::vec("[a$()\\\\{ ]{1,12}", 1..4)) {
        let request = JobRequest::new(words.clone(), Place::Host);
        let made = make(&Base::Request(Box::new(request)), &[]).unwrap();
        let sent = made.job().pointer("/spec/template/spec/containers/0/command").unwrap();
        let got: Vec<String> = sent.as_array().unwrap().iter().map(|word| expand(word.as_str().unwrap())).collect();
        prop_assert_eq!(got, words);
    }

    #[test]
    fn no_manifest_makes_it_panic(text in "[\\[\\]{}a-z:, \\n-]{0,60}", edits in prop::collection::vec(edit(), 0..3)) {
        if let Ok(value) = serde_saphyr::from_str::<Value>(&text) {
            let _ = make(&Base::Manifest(value), &edits);
        }
        let _ = windlass_manifest::read_documents("f", &text);
    }
}

#[test]
fn other_content_has_another_hash() {
    let base = |name: &str| Base::Request(Box::new(JobRequest::new(vec![name.into()], Place::Host)));
    let hash = |base: &Base, edits: &[Edit]| make(base, edits).unwrap().content_hash();
    assert_ne!(hash(&base("a"), &[]), hash(&base("b"), &[]));
    assert_ne!(hash(&base("a"), &[]), hash(&base("a"), &[Edit::Job(JobEdit::Retries(1))]));
}

#[test]
fn a_host_job_is_known_by_its_runtime_class_alone() {
    let host =
        make(&Base::Request(Box::new(JobRequest::new(vec!["true".into()], Place::Host))), &[]).unwrap();
    assert!(host.is_host());
    let mut manifest = manifest(&json!(1));
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = json!("host");
    assert!(!make(&Base::Manifest(manifest), &[]).unwrap().is_host());
}

#[test]
fn an_edit_under_something_that_is_no_mapping_is_a_problem() {
    let mut job = manifest(&json!(1));
    job["spec"]["template"]["spec"]["nodeSelector"] = json!("ssd");
    let edit = Edit::Pod(PodEdit::NodeSelector("disk".into(), "ssd".into()));
    let problems = make(&Base::Manifest(job), &[edit]).unwrap_err();
    assert_eq!(problems.to_string(), "spec.template.spec.nodeSelector: must be a mapping");
}

#[test]
fn files_lie_in_a_config_map_that_is_named_as_the_job_and_are_part_of_its_content() {
    let file = |content: &str| {
        Edit::File(File { content: content.into(), path: "/etc/fit.ini".into(), executable: false })
    };
    let base = Base::Manifest(manifest(&json!(1)));
    let made = make(&base, &[file("a"), file("b")]).unwrap();
    let id = SubmissionId::parse("one").unwrap();
    let (companion, job) = (made.companion(&id, 0).unwrap(), made.sealed(&id, Signature::default(), 0));
    let name = format!("{}-files", made.name_for(&id, 0));
    assert_eq!(companion["metadata"]["name"], name);
    assert_eq!(companion["binaryData"], json!({ "file-0": "Yg==" }), "the last at a place is seen there");
    assert_eq!(companion["metadata"]["labels"]["windlass.dev/submission"], "one");
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["configMap"]["name"], name);
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!((&mount["mountPath"], &mount["subPath"]), (&json!("/etc/fit.ini"), &json!("file-0")));
    assert_ne!(made.content_hash(), make(&base, &[file("a")]).unwrap().content_hash());
    let again = windlass_manifest::again(&job).unwrap_err();
    assert!(again.to_string().contains("given to this job alone"), "{again}");
}

#[test]
fn files_and_values_that_one_config_map_does_not_hold_are_refused() {
    let array = |bytes: usize| {
        let task = |number| windlass_manifest::Task { number, values: vec!["x".repeat(100 << 10)] };
        let tasks = (1..).take(bytes / (100 << 10)).map(task).collect();
        Edit::Tasks(Array { names: vec!["item".into()], tasks })
    };
    let file = |bytes: usize| {
        Edit::File(File { content: vec![b'x'; bytes], path: "/etc/fit.ini".into(), executable: false })
    };
    let request = JobRequest::new(vec!["fit".into(), "{}".into()], Place::Image("fit:1".into()));
    let base = Base::Request(Box::new(request));
    assert!(make(&base, &[array(800 << 10), file(200 << 10)]).is_ok());
    let problems = make(&base, &[array(800 << 10), file(230 << 10)]).unwrap_err().to_string();
    assert!(problems.starts_with("files: have 230 KiB") && problems.contains("1024 KiB"), "{problems}");
}
