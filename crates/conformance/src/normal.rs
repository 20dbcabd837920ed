//! What differs from run to run gets a stable name: times, uids, revisions, generated names, tokens, ages. Pure.
//!
//! The same uid or name gets the same placeholder everywhere in a case, so that references stay comparable.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// Names that are stable within one run of a case only, and what stands for them.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// Learns from the answers of a case.
    #[must_use]
    pub fn learn(namespace: &str, answers: &[Value]) -> Names {
        let mut generated = BTreeMap::from([(namespace.to_owned(), "${ns}".to_owned())]);
        answers.iter().for_each(|answer| learn_generated(answer, &mut generated));
        let names = sorted(generated);
        let mut uids = BTreeMap::new();
        answers.iter().for_each(|answer| learn_uids(answer, &names, &mut uids));
        let mut all = names.0;
        all.extend(uids);
        Names(sorted(all.into_iter().collect()).0)
    }

    fn replace(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, placeholder) in &self.0 {
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), placeholder);
            }
        }
        text
    }
}

/// Longest first, so that no name is cut by a shorter one.
fn sorted(names: BTreeMap<String, String>) -> Names {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
    Names(names)
}

fn learn_generated(value: &Value, names: &mut BTreeMap<String, String>) {
    if let (Some(base), Some(name)) =
        (value["metadata"]["generateName"].as_str(), value["metadata"]["name"].as_str())
        && !names.contains_key(name)
        && name.len() > base.len()
        && name.starts_with(base)
    {
        names.insert(name.to_owned(), format!("{base}<suffix>"));
    }
    // A pod that was gone before it was seen is known by the event about it.
    let told = value["message"].as_str().and_then(|text| text.strip_prefix("Created pod: "));
    if let Some((base, name)) = told.and_then(|name| Some((name.rsplit_once('-')?.0, name))) {
        names.entry(name.to_owned()).or_insert_with(|| format!("{base}-<suffix>"));
    }
    // One that was refused is known by nothing else.
    let refused = value["message"].as_str().and_then(|text| text.strip_prefix("Error creating: pods \""));
    let refused = refused.and_then(|rest| rest.split('"').next());
    if let Some((base, name)) = refused.and_then(|name| Some((name.rsplit_once('-')?.0, name))) {
        names.entry(name.to_owned()).or_insert_with(|| format!("{base}-<suffix>"));
    }
    children(value, |child| learn_generated(child, names));
}

fn learn_uids(value: &Value, names: &Names, uids: &mut BTreeMap<String, String>) {
    if let (Some(uid), Some(name)) = (value["metadata"]["uid"].as_str(), value["metadata"]["name"].as_str())
        && UID.is_match(uid)
    {
        let name = names.replace(name);
        uids.insert(uid.to_owned(), format!("<uid of {}>", EVENT_NAME.replace(&name, ".<time>")));
    }
    children(value, |child| learn_uids(child, names, uids));
}

fn children(value: &Value, mut each: impl FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(&mut each),
        Value::Object(map) => map.values().for_each(&mut each),
        _ => {}
    }
}

/// A record with stable values.
#[must_use]
pub fn record(record: Value, names: &Names) -> Value {
    let mut record = value(record, names, "");
    if let Some(map) = record.as_object_mut() {
        sort_generated(map);
    }
    record
}

fn value(of: Value, names: &Names, key: &str) -> Value {
    match of {
        Value::String(string) => Value::String(text(&string, names, key)),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| value(item, names, key)).collect();
            Value::Array(items)
        }
        Value::Object(map) => Value::Object(object(map, names)),
        other => other,
    }
}

fn object(map: Map<String, Value>, names: &Names) -> Map<String, Value> {
    let event = map.contains_key("involvedObject");
    let column = map.contains_key("priority") && map.contains_key("format");
    let mut out = Map::new();
    for (key, of) in map {
        // What a column means is told in words of one's own.
        if column && key == "description" {
            continue;
        }
        if key == "managedFields" {
            out.extend(managers(&of, names).map(|managers| (key, managers)));
            continue;
        }
        // A picked part is kept under its JSON pointer.
        let mut of = value(of, names, key.rsplit('/').next().unwrap_or(&key));
        if event
            && key == "metadata"
            && let Some(name) = of["name"].as_str()
        {
            of["name"] = EVENT_NAME.replace(name, ".<time>").into_owned().into();
        }
        out.insert(names.replace(&key), of);
    }
    sort_generated(&mut out);
    out
}

/// Who owns which field, by manager: the order of the entries follows their times. It is compared of objects that were
/// applied; of others upstream keeps a record that the engine does not keep.
fn managers(entries: &Value, names: &Names) -> Option<Value> {
    let entries = entries.as_array()?;
    if !entries.iter().any(|entry| entry["operation"] == "Apply") {
        return None;
    }
    let mut managers = Map::new();
    for entry in entries {
        let part = |key: &str| entry[key].as_str().unwrap_or_default();
        let name = format!("{} {} {}", part("operation"), part("manager"), part("subresource"));
        managers.insert(names.replace(name.trim_end()), value(entry.clone(), names, ""));
    }
    Some(managers.into())
}

/// Items whose names were generated, as those of events are, come in no comparable order: they are put into that of
/// their content.
fn sort_generated(map: &mut Map<String, Value>) {
    for list in ["items", "rows"] {
        if let Some(Value::Array(items)) = map.get_mut(list)
            && items.iter().any(|item| !item["reason"].is_null() || item.to_string().contains("<suffix>"))
        {
            items.sort_by_cached_key(Value::to_string);
        }
    }
}

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("a constant pattern"));
    };
}

pattern!(UID, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
pattern!(TIME, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)");
pattern!(TIME_OF_KUBECTL, r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}");
pattern!(
    REVISION,
    r#"(?i)(resource ?version(?: in (?:the )?(?:precondition|record|object meta))?[^0-9A-Za-z]{1,4})(\d+)"#
);
pattern!(REVISION_AFTER, r"(<revision>, current: |<revision> \()(\d+)");
pattern!(AGE, r"^(\d+[smhdy]){1,2}$");
pattern!(AGO, r"\((\d+[smhdy]){1,2} ago\)");
pattern!(EVENT_NAME, r"\.[0-9a-f]{13,16}$");
pattern!(TOKEN_VOLUME, r"kube-api-access-[a-z0-9]{5}");
pattern!(JWT, r"eyJ[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+");
pattern!(MINUTES, r"-[23]\d{7}\b");
pattern!(HASH, r"hash=[0-9A-Fa-f]+");

/// A text with stable parts; `key` is the field it is in.
fn text(of: &str, names: &Names, key: &str) -> String {
    match key {
        "resourceVersion" if !matches!(of, "" | "0") => return "<revision>".to_owned(),
        "continue" if !of.is_empty() => return "<token>".to_owned(),
        "cells" | "stdout" if AGE.is_match(of) => return "<age>".to_owned(),
        "podIP" | "hostIP" | "serverAddress" if !of.is_empty() => return "<address>".to_owned(),
        _ => {}
    }
    let text = JWT.replace_all(of, "<jwt>");
    let text = names.replace(&text);
    let text = UID.replace_all(&text, "<uid>");
    let text = TIME.replace_all(&text, |found: &Captures<'_>| {
        // The precision is part of the format.
        if found.get(1).is_some() { "<time with microseconds>" } else { "<time>" }
    });
    let text = TIME_OF_KUBECTL.replace_all(&text, "<time>");
    let text = REVISION.replace_all(&text, "${1}<revision>");
    let text = REVISION_AFTER.replace_all(&text, "${1}<revision>");
    let text = TOKEN_VOLUME.replace_all(&text, "kube-api-access-<suffix>");
    // A CronJob names its Jobs after the minute that they are for.
    let text = MINUTES.replace_all(&text, "-<minutes>");
    let text = HASH.replace_all(&text, "hash=<hash>");
    if key == "cells" { AGO.replace_all(&text, "(<age> ago)").into_owned() } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, uid: &str) -> Value {
        json!({"metadata": {"name": name, "generateName": "work-", "uid": uid, "resourceVersion": "17"}})
    }

    const ONE: &str = "11111111-1111-4111-8111-111111111111";
    const TWO: &str = "22222222-2222-4222-8222-222222222222";

    #[test]
    fn a_generated_name_and_its_uid_are_named_alike_everywhere() {
        let seen = [json!({"body": pod("work-abcde", ONE)})];
        let names = Names::learn("space-xyz", &seen);
        let event = json!({"message": format!("Created pod: work-abcde ({ONE}) in space-xyz")});
        assert_eq!(
            record(event, &names)["message"],
            "Created pod: work-<suffix> (<uid of work-<suffix>>) in ${ns}"
        );
    }

    #[test]
    fn what_is_volatile_does_not_tell_two_runs_apart() {
        let answer = |name: &str, uid: &str, time: &str, rv: &str| {
            let mut pod = pod(name, uid);
            pod["metadata"]["creationTimestamp"] = time.into();
            pod["metadata"]["resourceVersion"] = rv.into();
            let body = json!({"body": pod});
            record(body.clone(), &Names::learn("ns", &[body]))
        };
        let one = answer("work-aaaaa", ONE, "2026-01-01T00:00:00Z", "5");
        assert_eq!(one, answer("work-zzzzz", TWO, "2027-01-01T00:00:00Z", "6"));
        assert_eq!(one["body"]["metadata"]["creationTimestamp"], "<time>");
    }

    #[test]
    fn lists_of_generated_names_have_one_order() {
        let list = |first: &str, second: &str| {
            let items = [
                json!({"metadata": {"name": first, "generateName": "w-", "labels": {"i": "0"}}}),
                json!({"metadata": {"name": second, "generateName": "w-", "labels": {"i": "1"}}}),
            ];
            let mut items = items.to_vec();
            items.sort_by_key(|item| item["metadata"]["name"].to_string());
            let body = json!({"items": items});
            record(body.clone(), &Names::learn("ns", &[body]))
        };
        assert_eq!(list("w-aaaaa", "w-bbbbb"), list("w-zzzzz", "w-bbbbb"));
    }

    #[test]
    fn texts_keep_what_is_no_accident() {
        let names = Names::default();
        assert_eq!(text("5m3s", &names, "cells"), "<age>");
        assert_eq!(text("5m3s", &names, "message"), "5m3s");
        assert_eq!(text("2 (324d ago)", &names, "cells"), "2 (<age> ago)");
        assert_eq!(text("0", &names, "resourceVersion"), "0");
        assert_eq!(
            text("too old resource version: 5 (10)", &names, "message"),
            "too old resource version: <revision> (<revision>)"
        );
        assert_eq!(
            text("Too large resource version: 900, current: 12", &names, "message"),
            "Too large resource version: <revision>, current: <revision>"
        );
    }
}
