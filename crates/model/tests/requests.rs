//! A request tells everything that is wrong with it at once.

use std::time::Duration;

use windlass_model::{CompletionMode, JobRequest, Place};

fn request() -> JobRequest {
    JobRequest::new(vec!["true".into()], Place::Host)
}

fn paths(request: &JobRequest) -> Vec<String> {
    request.check().err().into_iter().flatten().map(|problem| problem.path).collect()
}

#[test]
fn a_plain_command_is_fine_and_not_retried() {
    assert_eq!(request().check(), Ok(()));
    assert_eq!(request().retries, 0);
}

#[test]
fn every_problem_is_told_with_its_path() {
    let mut bad = request();
    bad.command = vec![String::new(), "a\0b".into()];
    bad.name = Some("No".into());
    bad.working_dir = Some("relative".into());
    bad.env.insert("A=B".into(), "x".into());
    bad.env.insert("C".into(), "\0".into());
    bad.labels.insert("k".into(), "no value".into());
    bad.completion_mode = Some(CompletionMode::Indexed);
    bad.parallelism = Some(100_001);
    bad.deadline = Some(Duration::ZERO);
    bad.ttl = Some(Duration::from_secs(1 << 40));
    bad.cpu = Some("much".into());
    let expected = [
        "command",
        "command[1]",
        "env[A=B]",
        "env[C]",
        "workingDir",
        "metadata.name",
        "labels[k]",
        "completions",
        "parallelism",
        "deadline",
        "ttl",
        "cpu",
    ];
    assert_eq!(paths(&bad), expected);
}

#[test]
fn an_image_without_a_name_is_refused() {
    let bad = JobRequest::new(vec!["true".into()], Place::Image(String::new()));
    assert_eq!(paths(&bad), ["image"]);
}

#[test]
fn counts_beyond_what_kubernetes_counts_are_refused() {
    let mut bad = request();
    bad.retries = u32::MAX;
    bad.completions = Some(u32::MAX);
    assert_eq!(paths(&bad), ["retries", "completions"]);
}
