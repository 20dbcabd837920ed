//! Reads an annotation's value: a map in YAML (JSON is YAML), of which every key is known. Everything that is wrong is
//! told, not the first alone.

use serde_json::{Map, Value};

use crate::course::Term;
use crate::script::{OfIndexes, Run, Script, Wait};
use crate::stuck::{Reason, Stuck};
use crate::{exit, time};

/// The keys, as they are told to who writes another.
const KEYS: &str = "delay, run, exit, message, stdout, stderr, every, ready, term, stuck, index";
const POD_KEYS: &str = "unschedulable (in fate.windlass.dev/pod)";
/// The most entries of `index`.
const MOST_INDEXES: usize = 1000;
/// The longest value. Every run of a pod keeps a part of it.
const MOST_BYTES: usize = 32 << 10;
/// What one stream of a run may write, and its message.
const MOST_TEXT: usize = 8 << 10;
const MOST_LINES: usize = 500;

/// Reads a script.
pub(crate) fn script(text: &str, of_pod: bool) -> Result<Script, Vec<String>> {
    if text.len() > MOST_BYTES {
        return Err(vec![format!("it has {} bytes, and may have {MOST_BYTES}", text.len())]);
    }
    let value: Value = match text.trim() {
        "" => Value::Object(Map::new()),
        text => serde_saphyr::from_str(text).map_err(|error| {
            vec![format!("it is no YAML{}; write it like {{exit: 1, run: 5s}}", place(&error))]
        })?,
    };
    let mut faults = Vec::new();
    let script = from_map(&value, "", of_pod, &mut faults);
    if faults.is_empty() { Ok(script) } else { Err(faults) }
}

/// Where a text is broken: the parser's own words are of its grammar.
fn place(error: &serde_saphyr::Error) -> String {
    let twice = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!(": the key {key} is there twice")
        }
        _ => String::new(),
    };
    match error.location() {
        Some(at) => format!(" at line {}, column {}{twice}", at.line(), at.column()),
        None => twice,
    }
}

fn from_map(value: &Value, place: &str, of_pod: bool, faults: &mut Vec<String>) -> Script {
    let mut script = Script::default();
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return script,
        other => {
            let at =
                if place.is_empty() { String::new() } else { format!("{}: ", place.trim_end_matches('.')) };
            faults.push(format!("{at}{other} is no fate: write it like {{exit: 1, run: 5s}}"));
            return script;
        }
    };
    for (key, value) in map {
        if let Err(fault) = entry(&mut script, key, value, (place, of_pod), faults) {
            faults.push(format!("{place}{key}: {fault}"));
        }
    }
    if place.is_empty() {
        faults.extend(unlined(&script));
    }
    script
}

/// `every`, where neither the pod nor any index has lines that it could spread.
fn unlined(script: &Script) -> Option<String> {
    let has_lines = |script: &Script| script.stdout.is_some() || script.stderr.is_some();
    let mut all = std::iter::once(script).chain(script.indexes.iter().map(|(_, script)| script));
    let spreads = all.clone().any(|script| script.every.is_some());
    (spreads && !all.any(has_lines)).then(|| {
        "every: there are no lines to be spread: give stdout or stderr, here or under index".to_owned()
    })
}

fn entry(
    script: &mut Script,
    key: &str,
    value: &Value,
    (place, of_pod): (&str, bool),
    faults: &mut Vec<String>,
) -> Result<(), String> {
    match key {
        "delay" => script.delay = Some(time::read(value)?),
        "run" => {
            script.run = Some(match value.as_str() {
                Some("forever") => Run::Forever,
                _ => Run::For(time::read(value).map_err(|fault| format!("{fault}, or forever"))?),
            });
        }
        "exit" => script.exit = Some(exit::read(value)?),
        "message" => script.message = Some(text(value)?),
        "stdout" => script.stdout = Some(text(value)?),
        "stderr" => script.stderr = Some(text(value)?),
        "every" => script.every = Some(time::read(value)?),
        "ready" => script.ready = Some(time::read(value)?),
        "term" => script.term = Some(term(value)?),
        "stuck" => script.stuck = Some(stuck(value)?),
        "unschedulable" if of_pod => script.unschedulable = unschedulable(value)?,
        "unschedulable" => {
            return Err(
                "a container is not scheduled, its pod is: write it in fate.windlass.dev/pod".to_owned()
            );
        }
        "index" if place.is_empty() => {
            script.indexes = indexes(value, of_pod, faults)?;
        }
        "index" => return Err("an index has no indexes".to_owned()),
        _ => return Err(format!("no fate has this; there is {KEYS}; {POD_KEYS}")),
    }
    Ok(())
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.len() > MOST_TEXT => {
            Err(format!("it has {} bytes, and may have {MOST_TEXT}", text.len()))
        }
        Value::String(text) if text.lines().count() > MOST_LINES => {
            Err(format!("it has {} lines, and may have {MOST_LINES}", text.lines().count()))
        }
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(is) => Ok(is.to_string()),
        other => Err(format!("{other} is no text")),
    }
}

/// `ignore`, a time, or `{after: 5s, exit: 0}`.
fn term(value: &Value) -> Result<Term, String> {
    if value == "ignore" {
        return Ok(Term::Ignored);
    }
    let Value::Object(map) = value else {
        let after =
            time::read(value).map_err(|fault| format!("{fault}, or ignore, or {{after: 5s, exit: 0}}"))?;
        return Ok(Term::Ends { after, code: None });
    };
    only(map, &["after", "exit"])?;
    let after = map.get("after").map(time::read).transpose()?.unwrap_or_default();
    let code = match map.get("exit") {
        None => None,
        Some(value) => Some(
            value
                .as_u64()
                .and_then(|code| u8::try_from(code).ok())
                .ok_or_else(|| format!("exit: {value} is no exit code: 0 to 255"))?,
        ),
    };
    Ok(Term::Ends { after, code })
}

/// A reason, or `{reason: ErrImagePull, message: ..., for: 40s}`.
fn stuck(value: &Value) -> Result<Stuck, String> {
    if let Some(reason) = value.as_str() {
        return Ok(Stuck { reason: Reason::read(reason)?, message: None, lasts: None });
    }
    let form =
        "write the reason (ImagePullBackOff), or {reason: ImagePullBackOff, message: no such tag, for: 40s}";
    let Value::Object(map) = value else { return Err(format!("{value}: {form}")) };
    only(map, &["reason", "message", "for"])?;
    let reason = map.get("reason").and_then(Value::as_str).ok_or_else(|| format!("no reason: {form}"))?;
    Ok(Stuck {
        reason: Reason::read(reason)?,
        message: map.get("message").map(text).transpose()?,
        lasts: map.get("for").map(time::read).transpose()?,
    })
}

/// `true`, the scheduler's words, or `{message: ..., for: 1m}`.
fn unschedulable(value: &Value) -> Result<Option<Wait>, String> {
    match value {
        Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(Wait { message: None, lasts: None })),
        Value::String(text) => Ok(Some(Wait { message: Some(text.clone()), lasts: None })),
        Value::Object(map) => {
            only(map, &["message", "for"])?;
            let message = map.get("message").map(text).transpose()?;
            Ok(Some(Wait { message, lasts: map.get("for").map(time::read).transpose()? }))
        }
        other => Err(format!("{other}: write true, the scheduler's words, or {{message: no room, for: 1m}}")),
    }
}

/// `{3: {exit: 1}, "4-6,9": {exit: 2}}`.
fn indexes(value: &Value, of_pod: bool, faults: &mut Vec<String>) -> Result<Vec<OfIndexes>, String> {
    let form = "write {3: {exit: 1}, \"4-6\": {exit: 2}}";
    let Value::Object(map) = value else { return Err(format!("{value}: {form}")) };
    if map.len() > MOST_INDEXES {
        return Err(format!("more than {MOST_INDEXES} entries"));
    }
    let mut all = Vec::new();
    for (key, value) in map {
        let ranges = ranges(key).ok_or_else(|| format!("{key:?} is no list of indexes: {form}"))?;
        all.push((ranges, from_map(value, &format!("index.{key}."), of_pod, faults)));
    }
    Ok(all)
}

/// `1,3-5`
fn ranges(text: &str) -> Option<Vec<(u32, u32)>> {
    let one = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u32>().ok();
        Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
    };
    text.split(',').map(one).collect()
}

/// Nothing but these keys.
fn only(map: &Map<String, Value>, keys: &[&str]) -> Result<(), String> {
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("{key:?} is not known here; there is {}", keys.join(", "))),
        None => Ok(()),
    }
}
