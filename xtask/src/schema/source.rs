//! Reads the struct declarations of a `types.go`. It knows as much of Go as those files use.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

/// The declarations of all packages read, by short name (`core.v1.Pod`).
#[derive(Default)]
pub(crate) struct Types {
    all: BTreeMap<String, Declaration>,
}

/// A declared type.
pub(crate) enum Declaration {
    /// `type X struct {...}`.
    Struct(Vec<Field>),
    /// `type X other`, as written.
    Named(String),
}

/// A field of a struct that has a JSON tag.
pub(crate) struct Field {
    /// The JSON name; empty for an embedded struct whose fields appear in the outer object.
    pub(crate) json: String,
    /// Whether JSON leaves the zero value out.
    pub(crate) omitempty: bool,
    /// Whether JSON leaves a struct out that is zero.
    pub(crate) omitzero: bool,
    /// The number on the wire; none for what protobuf does not carry.
    pub(crate) number: Option<u32>,
    /// The Go type as written.
    pub(crate) go: String,
    /// `patchMergeKey`.
    pub(crate) merge_key: Option<String>,
    /// `patchStrategy`.
    pub(crate) strategy: Option<String>,
    /// The marker `+default=`, where it is a text.
    pub(crate) default: Option<String>,
}

impl Types {
    /// Adds the declarations of one file.
    pub(crate) fn read(&mut self, package: &str, path: &Path) -> anyhow::Result<()> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix("type ") else { continue };
            let (name, rest) = rest.split_once(' ').context("a type without a body")?;
            let declaration = match rest.trim() {
                "struct {" => {
                    let body = lines.by_ref().take_while(|line| *line != "}");
                    let fields = fields(body).with_context(|| format!("in {package}.{name}"))?;
                    Declaration::Struct(fields)
                }
                // An interface or an empty struct carries no data.
                body if body.ends_with('{') || body.ends_with("{}") => continue,
                body => Declaration::Named(body.trim_start_matches("= ").to_owned()),
            };
            self.all.insert(format!("{package}.{name}"), declaration);
        }
        Ok(())
    }

    /// The declaration of a short name.
    pub(crate) fn get(&self, name: &str) -> Option<&Declaration> {
        self.all.get(name)
    }
}

/// The fields of a struct. A marker belongs to the field that follows it.
fn fields<'a>(body: impl Iterator<Item = &'a str>) -> anyhow::Result<Vec<Field>> {
    let (mut fields, mut default) = (Vec::new(), None);
    for line in body.map(str::trim) {
        if let Some(text) = line.strip_prefix("// +default=\"") {
            default = text.strip_suffix('"').map(str::to_owned);
        } else if let Some(field) = field(line)? {
            fields.push(Field { default: default.take(), ..field });
        }
    }
    Ok(fields)
}

/// A field from its line, if the line holds one.
fn field(line: &str) -> anyhow::Result<Option<Field>> {
    if line.starts_with("//") {
        return Ok(None);
    }
    let Some((head, tags)) = line.split_once('`') else { return Ok(None) };
    let Some(json) = tag(tags, "json") else { return Ok(None) };
    let mut json = json.split(',');
    let omitzero = json.clone().any(|option| option == "omitzero");
    let name = json.next().unwrap_or_default().to_owned();
    if name == "-" {
        return Ok(None);
    }
    let wire = tag(tags, "protobuf").filter(|wire| *wire != "-");
    let number = wire.map(|wire| wire.split(',').nth(1).unwrap_or_default().parse()).transpose();
    let Some(go) = head.split_whitespace().last() else { bail!("a tag without a type: {line}") };
    Ok(Some(Field {
        json: name,
        omitempty: json.any(|option| option == "omitempty"),
        omitzero,
        number: number.with_context(|| format!("no wire number: {line}"))?,
        go: go.to_owned(),
        merge_key: tag(tags, "patchMergeKey").map(str::to_owned),
        strategy: tag(tags, "patchStrategy").map(str::to_owned),
        default: None,
    }))
}

/// The value of one key of a struct tag.
fn tag<'a>(tags: &'a str, key: &str) -> Option<&'a str> {
    let start = tags.find(&format!("{key}:\""))? + key.len() + 2;
    tags[start..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Field {
        field(line).expect("is understood").expect("holds a field")
    }

    #[test]
    fn a_field_tells_its_names_numbers_and_merge_key() {
        let line = r#"Ports []Port `json:"ports,omitempty" patchStrategy:"merge" patchMergeKey:"port" protobuf:"bytes,6,rep,name=ports"`"#;
        let field = read(line);
        assert_eq!((field.json.as_str(), field.go.as_str(), field.number), ("ports", "[]Port", Some(6)));
        assert_eq!((field.merge_key.as_deref(), field.strategy.as_deref()), (Some("port"), Some("merge")));
        assert!(field.omitempty);
    }

    #[test]
    fn an_embedded_struct_has_no_name() {
        let field = read(r#"metav1.TypeMeta `json:",inline"`"#);
        assert_eq!((field.json.as_str(), field.go.as_str(), field.number), ("", "metav1.TypeMeta", None));
    }

    #[test]
    fn a_default_is_of_the_field_below_it() {
        let body = "// +default=\"TCP\"\n// What it is.\nP string `json:\"p,omitempty\"`\n// +default=1\nQ int32 `json:\"q\"`";
        let fields = fields(body.lines()).expect("is understood");
        let defaults: Vec<_> = fields.iter().map(|field| field.default.as_deref()).collect();
        assert_eq!(defaults, [Some("TCP"), None]);
    }

    #[test]
    fn lines_without_a_json_name_are_no_fields() {
        for line in ["// Name `json:\"name\"`", "time.Time", "", "Cache string `json:\"-\"`"] {
            assert!(field(line).expect("is understood").is_none(), "{line}");
        }
    }
}
