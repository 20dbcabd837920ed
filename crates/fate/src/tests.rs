//! Annotations and what they mean, as tables.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn spec() -> Value {
    json!({
        "initContainers": [{"name": "init"}, {"name": "side", "restartPolicy": "Always"}],
        "containers": [{"name": "main"}, {"name": "other"}],
    })
}

fn metadata(annotations: &[(&str, &str)]) -> Value {
    let all = annotations.iter().map(|(name, value)| (format!("{PREFIX}{name}"), json!(value)));
    json!({"annotations": all.collect::<serde_json::Map<_, _>>()})
}

fn fate(annotations: &[(&str, &str)]) -> Fate {
    Fate::read(&metadata(annotations), &spec()).expect("a fate")
}

fn faults(annotations: &[(&str, &str)]) -> Vec<String> {
    check(&metadata(annotations), &spec())
        .into_iter()
        .map(|f| format!("{}: {}", f.annotation, f.cause))
        .collect()
}

fn course(text: &str) -> Course {
    fate(&[("pod", text)]).script("main", Role::App).course(0)
}

const S: Duration = Duration::from_secs(1);

#[test]
fn pod_without_fates_is_none_of_ours() {
    assert!(!is_scripted(&json!({"annotations": {"other.windlass.dev/pod": "x"}})));
    assert!(!is_scripted(&json!({"annotations": null})));
    assert!(!is_scripted(&Value::Null));
    assert!(check(&Value::Null, &spec()).is_empty());
}

#[test]
fn empty_fate_is_an_end_at_once_and_well() {
    for text in ["", "{}", "  ", "# nothing\n"] {
        let course = course(text);
        assert_eq!((course.lasts, course.exit), (Some(Duration::ZERO), Exit::Code(0)), "{text:?}");
    }
}

#[test]
fn keys_say_what_a_run_does() {
    let text = "{delay: 2s, run: 1m30s, exit: 3, ready: 5, message: gone, term: ignore}";
    let course = course(text);
    assert_eq!((course.delay, course.lasts, course.exit), (2 * S, Some(90 * S), Exit::Code(3)));
    assert_eq!((course.ready, course.message.as_str(), course.term), (5 * S, "gone", Term::Ignored));
    assert_eq!(self::course("run: forever").lasts, None);
}

#[test]
fn ends_are_codes_signals_and_what_nodes_do() {
    for (text, exit) in [
        ("0", Exit::Code(0)),
        ("255", Exit::Code(255)),
        ("\"7\"", Exit::Code(7)),
        ("SIGKILL", Exit::Signal(9)),
        ("SIGSEGV", Exit::Signal(11)),
        ("OOMKilled", Exit::OutOfMemory),
        ("Evicted", Exit::Evicted),
        ("NodeLost", Exit::NodeLost),
    ] {
        assert_eq!(course(&format!("exit: {text}")).exit, exit, "{text}");
    }
}

#[test]
fn tries_end_one_after_the_other_and_the_last_counts_on() {
    let script = fate(&[("pod", "exit: [1, OOMKilled, 0]")]).script("main", Role::App);
    let part = fate(&[("pod", "exit: [1, OOMKilled, 0]")]).part("uid", "main", Role::App);
    assert_eq!((part.exits.len(), part.owner.as_str(), part.work.as_str()), (3, "uid", "main"));
    assert_eq!(fate(&[("pod", "exit: [1]")]).part("uid", "main", Role::App).exits, []);
    let exits: Vec<Exit> = (0..5).map(|tried| script.course(tried).exit).collect();
    assert_eq!(exits, [Exit::Code(1), Exit::OutOfMemory, Exit::Code(0), Exit::Code(0), Exit::Code(0)]);
}

#[test]
fn lines_come_at_once_or_one_by_one_and_not_after_the_end() {
    let lines = |text: &str| -> Vec<(u64, bool, String)> {
        let course = course(text);
        let all = (0..).map_while(|place| course.line(place));
        all.map(|l| (l.after.as_secs(), l.is_stderr, l.text.to_owned())).collect()
    };
    let both = "stdout: |\n  one\n  two\nstderr: oops\n";
    let expected = [(0, false, "one".into()), (0, false, "two".into()), (0, true, "oops".into())];
    assert_eq!(lines(both), expected);
    let slow = "stdout: \"1\\n2\\n3\\n4\"\nstderr: x\nevery: 10s\nrun: 20s";
    let expected =
        [(0, false, "1".into()), (0, true, "x".into()), (10, false, "2".into()), (20, false, "3".into())];
    assert_eq!(lines(slow), expected);
}

#[test]
fn being_asked_to_end_is_obeyed_unless_said_otherwise() {
    for (text, term) in [
        ("{}", Term::Ends { after: Duration::ZERO, code: None }),
        ("term: 5s", Term::Ends { after: 5 * S, code: None }),
        ("term: {after: 5s, exit: 0}", Term::Ends { after: 5 * S, code: Some(0) }),
        ("term: {exit: 4}", Term::Ends { after: Duration::ZERO, code: Some(4) }),
        ("term: ignore", Term::Ignored),
    ] {
        assert_eq!(course(text).term, term, "{text}");
    }
}

#[test]
fn container_that_is_named_has_its_own_fate_and_the_others_the_pods() {
    let fate = fate(&[("pod", "exit: 1"), ("other", "exit: 2")]);
    let exit = |name, role| fate.script(name, role).course(0).exit;
    assert_eq!(exit("main", Role::App), Exit::Code(1));
    assert_eq!(exit("other", Role::App), Exit::Code(2));
    assert_eq!(exit("init", Role::Init), Exit::Code(0), "the pod's end is not its init containers'");
    let side = fate.script("side", Role::Sidecar).course(0);
    assert_eq!(side.lasts, None, "a sidecar runs until it is ended");
    let fate = self::fate(&[("init", "exit: 9"), ("side", "exit: 8")]);
    assert_eq!(fate.script("init", Role::Init).course(0).exit, Exit::Code(9));
    assert_eq!(fate.script("side", Role::Sidecar).course(0).lasts, Some(Duration::ZERO));
    assert_eq!(fate.script("main", Role::App).course(0).exit, Exit::Code(0), "all of the pod is played");
}

#[test]
fn indexes_have_what_is_said_of_them_and_the_rest_of_the_others() {
    let text = "{run: 5s, exit: 0, index: {3: {exit: 1}, \"5-6,9\": {exit: 2, run: 1s}}}";
    let mut metadata = metadata(&[("pod", text)]);
    for (index, exit, run) in
        [(None, 0, 5), (Some(0), 0, 5), (Some(3), 1, 5), (Some(6), 2, 1), (Some(9), 2, 1)]
    {
        metadata["annotations"][INDEX] = index.map_or(Value::Null, |i: u32| i.to_string().into());
        let course = Fate::read(&metadata, &spec()).unwrap().script("main", Role::App).course(0);
        assert_eq!((course.exit, course.lasts), (Exit::Code(exit), Some(run * S)), "{index:?}");
    }
}

#[test]
fn lines_of_an_index_are_spread_as_the_pod_says_and_its_own_as_the_index_says() {
    let lines = |text: &str, index: u32| -> Vec<(u64, String)> {
        let mut metadata = metadata(&[("pod", text)]);
        metadata["annotations"][INDEX] = index.to_string().into();
        let course = Fate::read(&metadata, &spec()).unwrap().script("main", Role::App).course(0);
        (0..).map_while(|place| course.line(place).map(|l| (l.after.as_secs(), l.text.to_owned()))).collect()
    };
    let expected = [(0, "a".to_owned()), (2, "b".to_owned())];
    let of_one = "{run: 1m, every: 2s, index: {1: {stdout: \"a\\nb\"}}}";
    assert_eq!(lines(of_one, 1), expected);
    assert_eq!(lines(of_one, 0), []);
    assert_eq!(lines("{run: 1m, stdout: \"a\\nb\", index: {1: {every: 2s}}}", 1), expected);
}

#[test]
fn pod_waits_for_a_node_for_ever_or_for_a_time() {
    let at = Timestamp::from_second(100).unwrap();
    let wait = |text| fate(&[("pod", text)]).unschedulable(at);
    assert_eq!(wait("exit: 0"), None);
    assert_eq!(wait("unschedulable: false"), None);
    assert_eq!(wait("unschedulable: true"), Some((None, None)));
    assert_eq!(wait("unschedulable: no room"), Some((None, Some("no room".into()))));
    let until = Timestamp::from_second(160).unwrap();
    assert_eq!(wait("unschedulable: {for: 1m}"), Some((Some(until), None)));
}

#[test]
fn what_is_wrong_is_told_with_the_annotation_the_key_and_the_way_out() {
    for (annotation, text, expected) in [
        (
            "mian",
            "exit: 1",
            "fate.windlass.dev/mian: the pod has no container \"mian\"; what may be named here is \"pod\" (all of it) or one of: init, side, main, other",
        ),
        (
            "pod",
            "exitcode: 1",
            "fate.windlass.dev/pod: exitcode: no fate has this; there is delay, run, exit, message, stdout, stderr, every, ready, term, stuck, index; unschedulable (in fate.windlass.dev/pod)",
        ),
        (
            "pod",
            "exit: 256",
            "fate.windlass.dev/pod: exit: 256 is no end: an exit code (0 to 255), a signal (SIGKILL), OOMKilled, Evicted or NodeLost",
        ),
        (
            "pod",
            "exit: KILL",
            "fate.windlass.dev/pod: exit: \"KILL\" is no end: an exit code (0 to 255), a signal (SIGKILL), OOMKilled, Evicted or NodeLost",
        ),
        ("pod", "exit: []", "fate.windlass.dev/pod: exit: the list is empty: name the end of the first try"),
        (
            "pod",
            "run: soon",
            "fate.windlass.dev/pod: run: \"soon\" is no time: write it like 500ms, 90s, 5m, 1h30m or 2d, or forever",
        ),
        ("pod", "1", "fate.windlass.dev/pod: 1 is no fate: write it like {exit: 1, run: 5s}"),
        ("pod", "exit 1", "fate.windlass.dev/pod: \"exit 1\" is no fate: write it like {exit: 1, run: 5s}"),
        (
            "pod",
            "every: 1s",
            "fate.windlass.dev/pod: every: there are no lines to be spread: give stdout or stderr, here or under index",
        ),
        (
            "pod",
            "{index: {1: {every: 1s}, 2: {exit: 1}}}",
            "fate.windlass.dev/pod: every: there are no lines to be spread: give stdout or stderr, here or under index",
        ),
        (
            "pod",
            "stuck: Asleep",
            "fate.windlass.dev/pod: stuck: \"Asleep\" is no reason: one of ErrImagePull, ImagePullBackOff, InvalidImageName, ErrImageNeverPull, CreateContainerConfigError, CreateContainerError",
        ),
        (
            "pod",
            "stuck: {for: 1s}",
            "fate.windlass.dev/pod: stuck: no reason: write the reason (ImagePullBackOff), or {reason: ImagePullBackOff, message: no such tag, for: 40s}",
        ),
        (
            "pod",
            "term: {code: 1}",
            "fate.windlass.dev/pod: term: \"code\" is not known here; there is after, exit",
        ),
        (
            "main",
            "unschedulable: true",
            "fate.windlass.dev/main: unschedulable: a container is not scheduled, its pod is: write it in fate.windlass.dev/pod",
        ),
        (
            "pod",
            "index: {x: {exit: 1}}",
            "fate.windlass.dev/pod: index: \"x\" is no list of indexes: write {3: {exit: 1}, \"4-6\": {exit: 2}}",
        ),
        (
            "pod",
            "index: {3: {exit: x}}",
            "fate.windlass.dev/pod: index.3.exit: \"x\" is no end: an exit code (0 to 255), a signal (SIGKILL), OOMKilled, Evicted or NodeLost",
        ),
        ("pod", "index: {3: {index: {}}}", "fate.windlass.dev/pod: index.3.index: an index has no indexes"),
    ] {
        assert_eq!(faults(&[(annotation, text)]), [expected], "{text}");
    }
    for (text, expected) in [
        (format!("stdout: {}", "x".repeat(9000)), "stdout: it has 9000 bytes, and may have 8192"),
        (format!("stdout: \"{}\"", "\\n".repeat(600)), "stdout: it has 600 lines, and may have 500"),
        (format!("# {}", "x".repeat(33_000)), "it has 33002 bytes, and may have 32768"),
    ] {
        assert_eq!(faults(&[("pod", &text)]), [format!("fate.windlass.dev/pod: {expected}")]);
    }
    assert_eq!(faults(&[("pod", "{exit: x, run: y}"), ("no", "")]).len(), 3, "all of it is told");
    for text in ["{exit: 1", "exit: 1\nexit: 2", "a: b: c", "[", "&a [*a]"] {
        let told = faults(&[("pod", text)]);
        assert_eq!(told.len(), 1, "{text:?}: {told:?}");
        assert!(told[0].contains("no YAML") || told[0].contains("no fate"), "{text:?}: {told:?}");
    }
}

#[test]
fn image_that_is_not_there_is_pulled_again_and_again_with_longer_waits() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let stuck = Stuck { reason: Reason::Pull, message: Some("no".into()), lasts: Some(400 * S) };
    let shown = |now| {
        stuck.shown("app:1", at(0), at(now)).map(|(reason, _, next)| (reason, next.unwrap().as_second()))
    };
    for (now, expected) in [
        (0, Some(("ErrImagePull", 2))),
        (2, Some(("ImagePullBackOff", 10))),
        (10, Some(("ErrImagePull", 12))),
        (12, Some(("ImagePullBackOff", 30))),
        (150, Some(("ErrImagePull", 152))),
        (311, Some(("ErrImagePull", 312))),
        (399, Some(("ImagePullBackOff", 400))),
        (400, None),
    ] {
        assert_eq!(shown(now), expected, "{now}");
    }
    let words = |now| stuck.shown("app:1", at(0), at(now)).unwrap().1;
    assert_eq!(words(0), "no");
    assert_eq!(words(5), "Back-off pulling image \"app:1\": ErrImagePull: no");
    let for_ever = Stuck { lasts: None, ..stuck };
    let late = at(0) + SignedDuration::from_hours(100_000);
    let (_, _, next) = for_ever.shown("app:1", at(0), late).unwrap();
    assert!(next.unwrap() > late);
}

#[test]
fn container_that_cannot_be_made_says_why_and_asks_for_no_other_look() {
    for (reason, word) in [
        (Reason::Config, "CreateContainerConfigError"),
        (Reason::Create, "CreateContainerError"),
        (Reason::NeverPull, "ErrImageNeverPull"),
        (Reason::ImageName, "InvalidImageName"),
    ] {
        let stuck = Stuck { reason, message: None, lasts: None };
        let (shown, message, next) = stuck.shown("app", Timestamp::UNIX_EPOCH, Timestamp::MAX).unwrap();
        assert_eq!((shown, next), (word, None));
        assert!(!message.is_empty());
    }
}

proptest! {
    #[test]
    fn no_text_is_too_much_for_the_reader(text in ".{0,80}") {
        let _ = check(&metadata(&[("pod", &text)]), &spec());
    }

    #[test]
    fn looks_at_a_stuck_container_go_forward(lasts in proptest::option::of(0_u64..2000), now in 0_i64..5000) {
        let stuck = Stuck { reason: Reason::Pull, message: None, lasts: lasts.map(Duration::from_secs) };
        let at = |second| Timestamp::from_second(second).unwrap();
        match stuck.shown("i", at(0), at(now)) {
            Some((_, _, next)) => prop_assert!(next.unwrap() > at(now)),
            None => prop_assert!(lasts.is_some_and(|lasts| lasts.cast_signed() <= now)),
        }
    }
}
