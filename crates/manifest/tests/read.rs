//! Files of manifests: what is read, and what a refusal says.

use windlass_manifest::{ReadError, read_documents};

const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n";

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let errors = read_documents("jobs.yaml", text).unwrap_err();
    let actual: Vec<String> = errors.iter().map(ReadError::to_string).collect();
    assert_eq!(actual.len(), expected.len(), "{actual:?}");
    for (actual, expected) in actual.iter().zip(expected) {
        assert!(actual.starts_with(expected), "{actual:?} should begin with {expected:?}");
    }
}

#[test]
fn several_documents_are_several_jobs_with_their_lines() {
    let text = format!("# first\n{JOB}---\n---\n{JOB}");
    let jobs = read_documents("jobs.yaml", &text).unwrap();
    assert_eq!(jobs.iter().map(|job| job.line).collect::<Vec<_>>(), [2, 7]);
    assert_eq!(jobs[0].job, jobs[1].job);
}

#[test]
fn json_is_read_as_well() {
    let jobs = read_documents("-", r#"{"apiVersion": "batch/v1", "kind": "Job", "spec": {"suspend": true}}"#)
        .unwrap();
    assert_eq!(jobs[0].job["spec"]["suspend"], true);
}

#[test]
fn a_list_is_opened() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: batch/v1, kind: Job}\n- {apiVersion: v1, kind: Pod}\n";
    refused(
        text,
        &["jobs.yaml:5: items[1].kind: \"Pod\" is not accepted here; accepted is a Kubernetes Job"],
    );
    let text = text.replace("- {apiVersion: v1, kind: Pod}\n", "");
    assert_eq!(read_documents("jobs.yaml", &text).unwrap().len(), 1);
}

#[test]
fn every_document_that_is_no_job_is_told() {
    let text =
        format!("just text\n---\n{JOB}---\nkind: Job\n---\n[1]\n---\napiVersion: batch/v1\nkind: [Job]\n");
    refused(
        &text,
        &[
            "jobs.yaml:1: is a text, not a mapping; accepted is",
            "jobs.yaml:7: apiVersion: is missing; accepted is",
            "jobs.yaml:9: is a list, not a mapping",
            "jobs.yaml:12: kind: is a list, not a text",
        ],
    );
}

#[test]
fn a_removed_version_says_what_to_write() {
    let text = "apiVersion: batch/v1beta1\nkind: Job\n";
    refused(
        text,
        &[
            "jobs.yaml:1: apiVersion: \"batch/v1beta1\" was removed from Kubernetes; write batch/v1",
            "jobs.yaml: corrected it reads\napiVersion: batch/v1\nkind: Job",
        ],
    );
    refused(
        "apiVersion: v1\nkind: Job\n",
        &["jobs.yaml:1: apiVersion: \"v1\" has no kind Job; write batch/v1"],
    );
}

#[test]
fn bad_yaml_names_line_and_column() {
    refused("apiVersion: batch/v1\nkind: Job\n  bad: [\n", &["jobs.yaml:3:"]);
    refused("a: 1\na: 2\n", &["jobs.yaml:2:1:"]);
}

#[test]
fn nothing_is_not_a_job() {
    refused("", &["jobs.yaml: holds no document"]);
    refused("# only words\n---\n", &["jobs.yaml: holds no document"]);
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    refused(&" ".repeat((16 << 20) + 1), &["jobs.yaml: is longer than 16777216 bytes"]);
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = level - 1;
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
    }
    let errors = read_documents("bomb.yaml", &text).unwrap_err();
    let [error @ ReadError::Syntax { .. }] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.to_string().contains("is more than is read at once"), "{error}");
}

#[test]
fn more_documents_than_are_read_at_once_say_how_many() {
    let text = "---\nkind: Job\n".repeat(2_000);
    let errors = read_documents("many.yaml", &text).unwrap_err();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.to_string().contains("at most 1024 documents; split it"), "{error}");
}
