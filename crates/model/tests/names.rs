//! Names and submission ids: what is made of what people write.

use proptest::prelude::*;
use windlass_model::{JobName, Stem, SubmissionId};

#[track_caller]
fn stem(text: &str, expected: &str) {
    assert_eq!(Stem::of(text).as_str(), expected);
}

#[test]
fn a_commands_last_path_component_becomes_the_stem() {
    stem("train", "train");
    stem("/opt/bin/My_Tool.py", "my-tool-py");
    stem("./run.sh", "run-sh");
    stem("nightly-report-", "nightly-report");
    stem("dir/", "dir");
}

#[test]
fn a_word_without_a_usable_character_becomes_job() {
    stem("", "job");
    stem("/", "job");
    stem("日本", "job");
    stem("___", "job");
}

#[test]
fn the_same_submission_meets_the_same_name() {
    let id = SubmissionId::parse("nightly-2026-11-20").unwrap();
    let stem = Stem::of("report");
    assert_eq!(stem.name(&id, 0), stem.name(&id, 0));
    assert_ne!(stem.name(&id, 0), stem.name(&id, 1));
    assert_eq!(stem.name(&id, 0).as_str().len(), "report-".len() + 5);
}

#[test]
fn a_bad_name_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("Train", "'T'"),
        ("a_b", "'_'"),
        ("-a", "begin and end"),
        ("a.b", "'.'"),
        (&"a".repeat(64), "at most 63"),
    ] {
        let problem = JobName::parse(text).unwrap_err();
        assert_eq!(problem.path, "metadata.name");
        assert!(problem.message.contains(reason), "{text:?}: {problem}");
    }
}

#[test]
fn an_id_that_could_be_no_label_is_refused() {
    for text in ["", " ", "a b", "-a", "a/b", &"x".repeat(64)] {
        assert!(SubmissionId::parse(text).is_err(), "{text:?}");
    }
    assert!(SubmissionId::parse("2026-11-20_nightly.1").is_ok());
    assert_eq!(SubmissionId::from_random([7; 16]).as_str().len(), 32);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_command_its_name_is_valid(text in ".{0,120}", bytes: [u8; 16], attempt in 0u32..9) {
        let name = Stem::of(&text).name(&SubmissionId::from_random(bytes), attempt);
        prop_assert!(JobName::parse(name.as_str()).is_ok(), "{}", name);
    }

    #[test]
    fn a_random_id_is_an_id(bytes: [u8; 16]) {
        let id = SubmissionId::from_random(bytes);
        prop_assert_eq!(SubmissionId::parse(id.as_str()), Ok(id.clone()));
    }
}
