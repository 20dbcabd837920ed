//! The file of the definitions: which there are, and where their templates stand.

use std::collections::BTreeMap;

use windlass_model::label;

use super::{Definition, Source, Template};
use crate::fields::{Faults, Field, Fields, join};
use crate::read::{MAX_FILE, ReadError, syntax};
use crate::tree::{self, Node};

/// The keys of a definition.
const KEYS: [&str; 7] = [
    "name",
    "spec",
    "spec_path",
    "spec_config_map_name",
    "spec_config_map_namespace",
    "extra_arguments",
    "allow_structure",
];

/// Reads a file of definitions.
///
/// # Errors
/// All that is wrong, each with file, line and field: an unknown key, a definition without a template, a name twice.
pub fn read(file: &str, text: &str) -> Result<Vec<Definition>, Vec<ReadError>> {
    if text.len() > MAX_FILE {
        return Err(vec![ReadError::TooLong { file: file.to_owned(), limit: MAX_FILE }]);
    }
    let documents = tree::parse(text).map_err(|error| vec![syntax(file, text, &error)])?;
    let mut faults = Faults::of(file);
    let [root] = documents.as_slice() else {
        faults.unfit(match documents.len() {
            0 => "holds no definitions; expected a YAML list of name with spec, spec_path or spec_config_map_name"
                .to_owned(),
            count => format!("holds {count} documents; job definitions are one YAML list"),
        });
        return faults.or(Vec::new());
    };
    let mut definitions = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let tree::Kind::List(items) = &root.kind else {
        let message =
            format!("is {}; job definitions are a YAML list: begin each with `- name:`", root.noun());
        faults.add(root.at, "the document", message);
        return faults.or(definitions);
    };
    for (index, item) in items.iter().enumerate() {
        let Some(definition) = definition(file, text, item, index, &mut faults) else { continue };
        match lines.get(&definition.name) {
            Some(line) => {
                let message =
                    format!("{:?} is the name of the definition of line {line} already", definition.name);
                faults.add(item.at, format!("[{index}].name"), message);
            }
            None => {
                lines.insert(definition.name.clone(), definition.line);
                definitions.push(definition);
            }
        }
    }
    faults.or(definitions)
}

fn definition(
    file: &str,
    text: &str,
    item: &Node,
    index: usize,
    faults: &mut Faults<'_>,
) -> Option<Definition> {
    let path = format!("[{index}]");
    let mut fields = Fields::of(item, &path, faults)?;
    let name = fields.need("name", faults).and_then(|field| name(&field, faults));
    let source = source(file, text, &path, &mut fields, faults);
    let extra = fields.take("extra_arguments");
    let extra = extra.and_then(|field| field.choice(&[("allow", true), ("refuse", false)], faults));
    let structure = fields.take("allow_structure").map(|field| field.items(faults)).unwrap_or_default();
    let allow_structure = structure.iter().filter_map(|field| field.word(faults)).collect();
    let at = fields.at;
    fields.end(faults);
    Some(Definition {
        name: name?,
        file: file.to_owned(),
        line: at.line,
        source: source?,
        extra_arguments: extra.unwrap_or(false),
        allow_structure,
    })
}

fn name(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let name = field.word(faults)?;
    if !label::is_value(&name) {
        let rule = "1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends";
        field.wrong(format!("{name:?} is no label's value, and jobs are labelled with it: {rule}"), faults);
        return None;
    }
    Some(name)
}

/// The first of the three that is there and not empty, as in the original.
fn source(
    file: &str,
    text: &str,
    path_of: &str,
    fields: &mut Fields<'_>,
    faults: &mut Faults<'_>,
) -> Option<Source> {
    let at = fields.at;
    let spec = fields.take("spec");
    let [path, map, namespace] = ["spec_path", "spec_config_map_name", "spec_config_map_namespace"]
        .map(|key| fields.take(key).and_then(|field| field.text(faults)).filter(|text| !text.is_empty()));
    if let Some(field) = spec {
        let tree::Kind::Text(spec) = &field.node.kind else {
            let message = "must be a text: write `spec: |` and the manifest indented below it";
            field.wrong(format!("is {}; it {message}", field.node.noun()), faults);
            return None;
        };
        if !spec.trim().is_empty() {
            let first_line = first_line(text, field.node.at.line);
            let template = Template { file: file.to_owned(), first_line, text: spec.clone() };
            return Some(Source::Inline(template));
        }
    }
    match (path, map, namespace) {
        (Some(path), ..) => Some(Source::Path(path)),
        (None, Some(name), Some(namespace)) => Some(Source::ConfigMap { name, namespace }),
        (None, Some(_), None) => {
            faults.add(
                at,
                join(path_of, "spec_config_map_namespace"),
                "is missing; say where the ConfigMap is",
            );
            None
        }
        (None, None, Some(_)) => {
            faults.add(at, join(path_of, "spec_config_map_name"), "is missing; say which ConfigMap");
            None
        }
        // Whoever misspelt a key is told that alone.
        (None, None, None) if fields.has_other_than(&KEYS) => None,
        (None, None, None) => {
            let message = "has no template; give it spec, spec_path, or spec_config_map_name and \
                           spec_config_map_namespace";
            faults.add(at, path_of, message);
            None
        }
    }
}

/// The line of the file in which a text begins: of a block, the one below its `|` or `>`.
fn first_line(text: &str, line: u64) -> u64 {
    let index = usize::try_from(line.max(1) - 1).unwrap_or(usize::MAX);
    let written = text.lines().nth(index).unwrap_or_default();
    let value = written.split_once(':').map_or(written, |(_, value)| value).trim_start();
    line.max(1) + u64::from(value.starts_with(['|', '>']))
}
