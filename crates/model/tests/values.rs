//! Durations, quantities, labels and exit codes.

use std::time::Duration;

use proptest::prelude::*;
use windlass_model::{ExitCode, Problems, duration, label, quantity};

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, seconds) in
        [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("0", 0)]
    {
        assert_eq!(duration::parse(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in
        ["", "m", "5x", "30m1h", "1m1m", "-5", "1.5h", "5 m", "99999999999999999999", "99999999999999999d"]
    {
        assert!(duration::parse(text).is_err(), "{text}");
    }
}

#[test]
fn quantities_are_kubernetes() {
    for text in ["1", "500m", "0.5", "2Gi", "1e3", "1E3", "1E", "100k", ".5", "5."] {
        assert!(quantity::check(text).is_ok(), "{text}");
    }
    for text in ["", "Gi", "1gb", "1 Gi", "-1", "1.2.3", "1ee3", "1e", "½"] {
        assert!(quantity::check(text).is_err(), "{text}");
    }
}

#[test]
fn labels_are_kubernetes() {
    let wrong = |key: &str, value: &str| {
        let mut problems = Problems::new();
        label::check("labels", key, value, &mut problems);
        problems.into_iter().count()
    };
    assert_eq!(wrong("team", "a.b_c-d"), 0);
    assert_eq!(wrong("example.com/team", ""), 0);
    assert_eq!(wrong("Example.com/team", "x"), 1);
    assert_eq!(wrong("-team", "a b"), 2);
    assert_eq!(wrong("", "x"), 1);
    assert_eq!(wrong("a/b/c", "x"), 1);
}

#[test]
fn the_table_of_exit_codes_is_frozen() {
    let table = [
        (ExitCode::Success, 0),
        (ExitCode::Job(3), 3),
        (ExitCode::Signal(9), 137),
        (ExitCode::Signal(15), 143),
        (ExitCode::Signal(200), 255),
        (ExitCode::TimedOut, 124),
        (ExitCode::Windlass, 125),
        (ExitCode::CannotExecute, 126),
        (ExitCode::NotFound, 127),
        (ExitCode::Cancelled, 130),
    ];
    for (exit, code) in table {
        assert_eq!(exit.code(), code, "{exit:?}");
    }
}

#[test]
fn a_containers_code_passes_through_and_none_becomes_success() {
    assert_eq!(ExitCode::of_container(0), ExitCode::Success);
    assert_eq!(ExitCode::of_container(255), ExitCode::Job(255));
    assert_eq!(ExitCode::of_container(-1), ExitCode::Job(255));
    assert_eq!(ExitCode::of_container(256), ExitCode::Job(255));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_duration_reads_back(seconds in 0u64..10_000_000) {
        let time = Duration::from_secs(seconds);
        prop_assert_eq!(duration::parse(&duration::format(time)), Ok(time));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
        let _ = (duration::parse(&text), quantity::check(&text));
    }
}
