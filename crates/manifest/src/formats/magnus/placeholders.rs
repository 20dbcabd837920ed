//! `${NAME}` in a configuration: the submitter's `MAGNUS_VAR_NAME`.

use std::collections::BTreeMap;

use crate::fields::{Faults, join};
use crate::tree::{Kind, Node};

/// What magnus puts in front of the name of a placeholder.
const VARIABLE: &str = "MAGNUS_VAR_";

/// Fills the placeholders below one key of a document.
pub(super) fn fill(
    root: &mut Node,
    below: &str,
    variables: &BTreeMap<String, String>,
    faults: &mut Faults<'_>,
) {
    if let Kind::Map(entries) = &mut root.kind {
        for entry in entries.iter_mut().filter(|entry| entry.key == below) {
            node(&mut entry.value, below, variables, faults);
        }
    }
}

fn node(at: &mut Node, path: &str, variables: &BTreeMap<String, String>, faults: &mut Faults<'_>) {
    match &mut at.kind {
        Kind::Text(text) if text.contains("${") => match filled(text, variables) {
            Ok(new) => *text = new,
            Err(message) => faults.add(at.at, path, message),
        },
        Kind::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                node(item, &format!("{path}[{index}]"), variables, faults);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                let path = join(path, &entry.key);
                node(&mut entry.value, &path, variables, faults);
            }
        }
        _ => {}
    }
}

/// The text with every `${NAME}` replaced, once: a value is not looked at again. `$${` is a literal `${`.
fn filled(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let (mut written, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        if let Some(literal) = before.strip_suffix('$') {
            written.push_str(literal);
            written.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        written.push_str(before);
        let inner = &rest[start + 2..];
        let Some((name, after)) = inner.split_once('}') else {
            return Err(format!("{text:?} has a placeholder without its closing brace"));
        };
        let variable = format!("{VARIABLE}{name}");
        match variables.get(&variable) {
            Some(value) => written.push_str(value),
            None => return Err(format!("${{{name}}} has no value; set the variable {variable}")),
        }
        rest = after;
    }
    written.push_str(rest);
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_dollars_can_be_kept() {
        let variables = [("A", "1"), ("LOOP", "${A}")];
        let variables = variables.map(|(name, value)| (format!("{VARIABLE}{name}"), value.to_owned())).into();
        let fill = |text| filled(text, &variables);
        assert_eq!(fill("x-${A}-${A}."), Ok("x-1-1.".to_owned()));
        assert_eq!(fill("${LOOP}"), Ok("${A}".to_owned()));
        assert_eq!(fill("$${A} $A"), Ok("${A} $A".to_owned()));
        assert!(fill("${B}").unwrap_err().contains("MAGNUS_VAR_B"));
        assert!(fill("${A").is_err());
    }
}
