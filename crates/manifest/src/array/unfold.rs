//! How an array becomes the Job again that it was made of.

use serde_json::{Map, Value};

use super::fold::{INDEX, VOLUME, each_word, helper};
use super::{Array, TaskMap, shell};
use crate::marks;

/// What the server writes for `backoffLimit` beside a limit per index (upstream `pkg/apis/batch/v1/defaults.go`).
const NO_LIMIT: u64 = i32::MAX as u64;

/// The plain Job that an array was made of, and its tasks: folded again, with all of them or some, it is the array.
/// `items` is the text of the ConfigMap that its [`TaskMap`] names; `None` if the Job is no array of ours, or its items
/// are needed and are none.
pub fn unfold(job: &Value, items: Option<&str>) -> Option<(Value, Array)> {
    let mut job = job.clone();
    let annotations = job.pointer_mut("/metadata/annotations")?.as_object_mut()?;
    let map = TaskMap::read(annotations.remove(marks::TASKS)?.as_str()?)?;
    if annotations.is_empty() {
        job["metadata"].as_object_mut()?.remove("annotations");
    }
    let array = match &map.config_map {
        Some(_) => Array::of_items(items?)?,
        None => Array::numbered(&map.numbers),
    };
    let spec = job.pointer_mut("/spec")?.as_object_mut()?;
    spec.retain(|field, value| match field.as_str() {
        "completions" | "completionMode" => false,
        "parallelism" => value.as_u64() != Some(u64::from(map.numbers.len())),
        "backoffLimit" => value.as_u64() != Some(NO_LIMIT),
        _ => true,
    });
    plain(&mut job, &map.names);
    Some((job, array))
}

/// Gives the first container of an array with these names the command that its author wrote, with its holes.
pub fn plain(job: &mut Value, names: &[String]) {
    let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
    let words: Vec<&str> = command.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.first() == Some(&helper().as_str()) {
        unhelp(job);
    } else if let Some(words) = shell::words(&words, names) {
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["command"] = words.into();
        if let Some(container) = container.as_object_mut() {
            without(container, "env", |variable| variable["name"] == shell::ITEMS);
        }
    } else {
        contract(job);
    }
}

/// Removes the helper.
fn unhelp(job: &mut Value) {
    let Some(Value::Object(pod)) = job.pointer_mut("/spec/template/spec") else { return };
    without(pod, "volumes", |volume| volume["name"] == VOLUME);
    let Some(Value::Object(container)) = pod.get_mut("containers").and_then(|all| all.get_mut(0)) else {
        return;
    };
    without(container, "volumeMounts", |mount| mount["name"] == VOLUME);
    if let Some(Value::Array(command)) = container.get_mut("command")
        && command.first().is_some_and(|first| *first == helper())
    {
        command.remove(0);
    }
}

/// Takes back what Kubernetes expands.
fn contract(job: &mut Value) {
    each_word(job, |_, word| {
        let Some(text) = word.as_str() else { return };
        *word = contracted(text).into();
    });
    if let Some(Value::Object(container)) = job.pointer_mut("/spec/template/spec/containers/0") {
        without(container, "env", |variable| variable["name"] == "WINDLASS_TASK");
    }
}

/// A word whose holes Kubernetes expands, with the holes. Where the index stands in the way of one, it stays.
pub(super) fn contracted(text: &str) -> String {
    let (mut word, mut from, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find(INDEX) {
        let begin = at + found;
        at = begin + INDEX.len();
        if can_be_hole(&text[from..begin], &text[at..]) {
            word.push_str(&escaped(&text[from..begin], &[]));
            word.push_str("{#}");
            from = at;
        }
    }
    word + &escaped(&text[from..], &[])
}

/// Whether a hole is one between these texts: behind a `$` nothing is (and the index is not expanded behind one), and in
/// two pairs of braces it would be literal.
fn can_be_hole(before: &str, after: &str) -> bool {
    let is_literal = before.ends_with('{') && after.starts_with('}');
    !is_literal && !before.trim_end_matches('{').ends_with('$')
}

/// A text that has no holes, as it must be written to have none: what would be one gets a second pair of braces.
pub(super) fn escaped(text: &str, names: &[String]) -> String {
    let is_hole = |inner: &str| matches!(inner, "" | "#") || names.iter().any(|name| name == inner);
    let (mut written, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('{') {
        let is_shells = rest[..at].ends_with('$');
        let run = rest[at..].bytes().take_while(|byte| *byte == b'{').count();
        written.push_str(&rest[..at + run]);
        rest = &rest[at + run..];
        let end = rest.find(['{', '}']).filter(|end| rest[*end..].starts_with('}'));
        if let Some(end) = end.filter(|end| !is_shells && is_hole(&rest[..*end])) {
            written.push_str(&format!("{{{}}}}}", &rest[..end]));
            rest = &rest[end + 1..];
        }
    }
    written + rest
}

/// Removes what is meant from the list under a key, and a list that had nothing else.
fn without(map: &mut Map<String, Value>, key: &str, is_meant: impl Fn(&Value) -> bool) {
    let Some(Value::Array(list)) = map.get_mut(key) else { return };
    list.retain(|entry| !is_meant(entry));
    if list.is_empty() {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fold::expanded;
    use super::*;
    use crate::generate::literal;

    #[test]
    fn what_is_no_hole_is_none_again() {
        for word in ["{{{}}}", "{{}}", "{{{}}", "{{}x", "${}", "${{}}", "$({}", "{a}{{#}}{#}}", "{{#}{}}"] {
            let made = expanded(word);
            assert_eq!(expanded(&contracted(&made)), made, "{word}: {}", contracted(&made));
        }
        assert_eq!(contracted(&expanded("in/{#}.txt")), "in/{#}.txt");
        assert_eq!(contracted("{{}}"), "{{{}}}");
        // Kubernetes expands neither of these: one was the user's own text.
        for word in [literal(INDEX), format!("$${INDEX}")] {
            assert_eq!(contracted(&word), word);
        }
        assert_eq!(contracted(&format!("{{{INDEX}}}")), format!("{{{INDEX}}}"));
    }

    proptest! {
        #[test]
        fn a_word_goes_to_the_cluster_and_back(
            parts in prop::collection::vec(prop::sample::select(&["{", "}", "#", "$", "(", "a", "{}", "{#}", "é", INDEX][..]), 0..12),
            is_literal in any::<bool>(),
        ) {
            let word = parts.concat();
            let word = if is_literal { literal(&word) } else { word };
            let made = expanded(&word);
            prop_assert_eq!(expanded(&contracted(&made)), made.clone(), "{} {}", made, contracted(&made));
        }

        #[test]
        fn a_text_without_holes_has_none_however_it_is_written(
            parts in prop::collection::vec(prop::sample::select(&["{", "}", "#", "$", "a", "b"][..]), 0..12),
        ) {
            let text = parts.concat();
            let names = ["a".to_owned()];
            let known = |name: &[u8]| (name == b"a").then_some(0);
            let written = escaped(&text, &names);
            let read = windlass_task::words::parts(written.as_bytes(), known).map(|part| match part {
                windlass_task::words::Part::Text(text) => std::str::from_utf8(text).unwrap(),
                _ => "HOLE",
            });
            prop_assert_eq!(read.collect::<String>(), text, "{}", written);
        }
    }
}
