//! What must hold of every fate that somebody may write: the body of the fuzz target in `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the language.

#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fate, LONGEST, PREFIX, Part, Role, after, check, span};

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[("fates", fates)];

/// The values of two annotations with a line of `---` between them, of the pod and of a container: what is wrong is told
/// in bounded words, and what is right is a course whose times come in their order and that is the same when it is read
/// from a file.
pub fn fates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(span) = span(&json!(text)) {
        assert!(span <= LONGEST);
        assert_eq!(super::span(&json!(format!("{}ms", span.as_millis()))), Ok(span));
    }
    let (pod, main) = text.split_once("\n---\n").unwrap_or((text, "{}"));
    let annotations = json!({
        (format!("{PREFIX}pod")): pod, (format!("{PREFIX}main")): main,
        "batch.kubernetes.io/job-completion-index": "3",
    });
    let metadata = json!({ "annotations": annotations });
    let spec = json!({"initContainers": [{"name": "side", "restartPolicy": "Always"}],
        "containers": [{"name": "main"}, {"name": "other"}]});
    let faults = check(&metadata, &spec);
    assert!(!faults.iter().any(|fault| fault.cause.is_empty()));
    let words: usize = faults.iter().map(|fault| fault.cause.len()).sum();
    assert!(words <= MOST_WORDS, "{words} bytes of words about {}", text.len());
    let Ok(fate) = Fate::read(&metadata, &spec) else {
        assert!(!faults.is_empty(), "refused without a word");
        return;
    };
    assert!(faults.is_empty(), "{faults:?}");
    for (name, role) in [("side", Role::Sidecar), ("main", Role::App), ("other", Role::App)] {
        plays(&fate.part("uid", name, role));
        if let Some(stuck) = fate.script(name, role).stuck() {
            waits(stuck);
        }
    }
    if let Some((Some(until), _)) = fate.unschedulable(now()) {
        assert!(until >= now() && until <= after(now(), LONGEST));
    }
}

/// The most bytes that are said of what is wrong with a pod.
const MOST_WORDS: usize = 256 << 10;

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

fn plays(part: &Part) {
    let course = &part.course;
    let (mut place, mut last) = (0, Duration::ZERO);
    while let Some(line) = course.line(place) {
        assert!(line.after >= last && course.lasts.is_none_or(|lasts| line.after <= lasts));
        assert!(!line.text.contains('\n'));
        (place, last) = (place + 1, line.after);
    }
    let lines = course.stdout.lines().count() + course.stderr.lines().count();
    assert!(place <= lines, "{place} of {lines} lines");
    assert!(course.lasts.is_some() || course.every.is_zero() || place == lines);
    let written: Value = serde_json::to_value(part).expect("it is JSON");
    assert_eq!(serde_json::from_value::<Part>(written).expect("it is read"), *part);
}

/// What is shown of a container that does not come to be changes at the time that is told, and not for ever.
fn waits(stuck: &super::Stuck) {
    let mut at = now();
    for _ in 0..64 {
        let Some((reason, message, next)) = stuck.shown("image", now(), at) else { return };
        assert!(!reason.is_empty() && message.len() <= 64 << 10);
        let Some(next) = next else { return };
        assert!(next > at, "{next} is not after {at}");
        at = next;
    }
}
