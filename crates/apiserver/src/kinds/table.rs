//! Cells of Tables: ages and durations in the words of kubectl.
//!
//! Source: apimachinery, pkg/util/duration; upstream, pkg/printers/internalversion/printers.go.

use jiff::Timestamp;
use serde_json::Value;

use super::json::{entries, items, text};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A length of time in seconds with two to three significant figures; `<invalid>` if it is negative by more than a
/// second's tolerance.
pub(crate) fn human_duration(seconds: i64) -> String {
    let pair = |large: i64, unit: &str, small: i64, rest: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{rest}") }
    };
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => pair(s / MINUTE, "m", s % MINUTE, "s"),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => pair(s / HOUR, "h", s % HOUR / MINUTE, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => pair(s / DAY, "d", s % DAY / HOUR, "h"),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => pair(s / YEAR, "y", s % YEAR / DAY, "d"),
        s => format!("{}y", s / YEAR),
    }
}

/// How long ago a time was; `<unknown>` if there is none.
pub(super) fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map_or_else(|| "<unknown>".to_owned(), |t| human_duration(seconds_between(t, now)))
}

/// Whole seconds from one time to another, cut towards zero.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

/// A time of an object, if it is given and readable.
pub(super) fn time(parent: &Value, key: &str) -> Option<Timestamp> {
    parent[key].as_str().and_then(|t| t.parse().ok())
}

/// The cell of the name.
pub(super) fn name(object: &Value) -> Value {
    Value::from(text(&object["metadata"], "name"))
}

/// The cell of the age.
pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    Value::from(since(time(&object["metadata"], "creationTimestamp"), now))
}

/// A text, or what stands for its absence.
pub(super) fn or<'a>(text: &'a str, absent: &'a str) -> &'a str {
    if text.is_empty() { absent } else { text }
}

/// The names and images of containers, each joined by commas.
pub(super) fn containers(pod_spec: &Value) -> [String; 2] {
    ["name", "image"]
        .map(|key| items(pod_spec, "containers").iter().map(|c| text(c, key)).collect::<Vec<_>>().join(","))
}

/// A label selector as people write it: `a=b,c in (d,e),!f`; `<none>` if there is none or it is empty.
pub(super) fn selector(selector: &Value) -> String {
    let mut parts: Vec<(String, String)> = entries(selector, "matchLabels")
        .map(|(k, v)| (k.clone(), format!("{k}={}", v.as_str().unwrap_or(""))))
        .collect();
    for expression in items(selector, "matchExpressions") {
        let key = text(expression, "key");
        let mut values: Vec<&str> = items(expression, "values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let part = match text(expression, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return "<error>".to_owned(),
        };
        parts.push((key.to_owned(), part));
    }
    parts.sort();
    let joined = parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(",");
    or(&joined, "<none>").to_owned()
}
