//! Writes the declarations as lines of the table, each reachable type once.
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, bail};
use serde_json::Value;

use super::source::{Declaration, Field, Types};

/// The whole table.
pub(crate) fn write(types: &Types, swagger: &Value, roots: &[&str], version: &str) -> anyhow::Result<String> {
    let mut writer = Writer { types, swagger, todo: BTreeSet::new() };
    for root in roots {
        writer.todo.insert((*root).to_owned());
        let list = format!("{root}List");
        if types.get(&list).is_some() {
            writer.todo.insert(list);
        }
    }
    let mut done = BTreeMap::new();
    while let Some(name) = writer.todo.pop_first() {
        if let Entry::Vacant(entry) = done.entry(name) {
            let text = writer.declaration(entry.key()).with_context(|| format!("in {}", entry.key()))?;
            entry.insert(text);
        }
    }
    let head = format!(
        "# Shapes of the API types of Kubernetes {version}. Made by `cargo xtask schema`; do not edit.\n\
         # @NAME [GROUP/VERSION/KIND] [map=KIND], `*` for every group version; `@NAME []T` is a list in a message of its own.\n\
         # FIELD NUMBER TYPE [FLAG...]; NUMBER `a.b`: b inside the embedded message a, `-`: not on the wire.\n\
         # TYPE: a scalar (`string:GO` names its Go type), `=NAME`, `[]T`, `map:T`.\n\
         # FLAG: p pointer, in=STRUCT embedded, o omitted when empty, z also when a struct, r required, merge=KEY, strategy=S, list=KIND[:KEYS], map=KIND, default=TEXT.\n"
    );
    Ok(done.into_values().fold(head, |text, declaration| text + &declaration))
}

struct Writer<'a> {
    types: &'a Types,
    swagger: &'a Value,
    todo: BTreeSet<String>,
}

impl Writer<'_> {
    fn declaration(&mut self, name: &str) -> anyhow::Result<String> {
        let definition = &self.swagger["definitions"][full_name(name)];
        let mut text = format!("@{name}");
        match self.types.get(name).context("is not declared")? {
            Declaration::Named(go) => {
                let package = package(name);
                writeln!(text, " {}", self.shape(package, go)?)?;
            }
            Declaration::Struct(fields) => {
                for kind in kinds(definition) {
                    write!(text, " {kind}")?;
                }
                if let Some(kind) = definition["x-kubernetes-map-type"].as_str() {
                    write!(text, " map={kind}")?;
                }
                text.push('\n');
                let start = text.len();
                self.fields(&mut text, name, definition, fields, "")?;
                check_complete(&text[start..], definition)?;
            }
        }
        Ok(text)
    }

    /// The lines of a struct's fields; those of an embedded struct stand among them, behind its wire number.
    fn fields(
        &mut self,
        text: &mut String,
        owner: &str,
        definition: &Value,
        fields: &[Field],
        prefix: &str,
    ) -> anyhow::Result<()> {
        for field in fields {
            let package = package(owner);
            let number = field.number.map_or("-".to_owned(), |number| format!("{prefix}{number}"));
            if field.json.is_empty() {
                let inner = self.qualify(package, &field.go)?;
                let Some(Declaration::Struct(fields)) = self.types.get(&inner) else {
                    bail!("{inner} is no struct")
                };
                let prefix = if field.number.is_some() { format!("{number}.") } else { String::new() };
                self.fields(text, &inner, definition, fields, &prefix)?;
                continue;
            }
            // TypeMeta has wire numbers of its own, but its owners never carry it as a message.
            let number = if owner == "meta.v1.TypeMeta" { "-".to_owned() } else { number };
            let go = field.go.trim_start_matches('*');
            write!(text, "{} {number} {}", field.json, self.shape(package, go)?)?;
            text.push_str(&flags(field, definition));
            if !prefix.is_empty() {
                let (_, embedded) = owner.rsplit_once('.').unwrap_or_default();
                write!(text, " in={embedded}")?;
            }
            text.push('\n');
        }
        Ok(())
    }

    /// The table's word for a Go type.
    fn shape(&mut self, package: &str, go: &str) -> anyhow::Result<String> {
        if let Some(inner) = go.strip_prefix("[]") {
            return if inner == "byte" {
                Ok("bytes".to_owned())
            } else {
                Ok(format!("[]{}", self.shape(package, inner)?))
            };
        }
        if let Some(rest) = go.strip_prefix("map[") {
            let (_, value) = rest.split_once(']').context("a map without a value")?;
            return Ok(format!("map:{}", self.shape(package, value)?));
        }
        let scalar = match go {
            "string" | "bool" | "int32" | "int64" => go,
            "Time" | "metav1.Time" => "time",
            "MicroTime" | "metav1.MicroTime" => "microtime",
            "Duration" | "metav1.Duration" => "duration",
            "FieldsV1" => "fields",
            "resource.Quantity" => "quantity",
            "intstr.IntOrString" => "intorstring",
            "runtime.RawExtension" => "raw",
            "types.UID" => "string:types.UID",
            _ => return self.named(package, go),
        };
        Ok(scalar.to_owned())
    }

    fn named(&mut self, package: &str, go: &str) -> anyhow::Result<String> {
        let name = self.qualify(package, go)?;
        match self.types.get(&name).with_context(|| format!("{name} is not declared"))? {
            Declaration::Named(inner) if inner == "string" => {
                Ok(format!("string:v1.{}", name.rsplit('.').next().unwrap_or_default()))
            }
            // A named map is a map on the wire; a named list is a message of its own.
            Declaration::Named(inner) if inner.starts_with("map[") => self.shape(self::package(&name), inner),
            Declaration::Named(inner) if !inner.starts_with("[]") => self.shape(self::package(&name), inner),
            _ => {
                self.todo.insert(name.clone());
                Ok(format!("={name}"))
            }
        }
    }

    /// The short name of a Go type as a file of `package` writes it.
    fn qualify(&self, package: &str, go: &str) -> anyhow::Result<String> {
        Ok(match go.split_once('.') {
            None => format!("{package}.{go}"),
            Some(("metav1", name)) => format!("meta.v1.{name}"),
            Some(("v1" | "apiv1" | "corev1", name)) => format!("core.v1.{name}"),
            Some((other, _)) => bail!("an unknown package {other}"),
        })
    }
}

/// Fails when upstream publishes a property that the lines do not have: the source was misread.
fn check_complete(lines: &str, definition: &Value) -> anyhow::Result<()> {
    let published = definition["properties"].as_object().into_iter().flatten();
    for (property, _) in published {
        if !lines.lines().any(|line| line.split(' ').next() == Some(property)) {
            bail!("the property {property} was not found in the Go source");
        }
    }
    Ok(())
}

/// `core.v1` of `core.v1.Pod`.
fn package(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(package, _)| package)
}

/// The published name of a short name.
fn full_name(name: &str) -> String {
    let home = if name.starts_with("meta.") { "io.k8s.apimachinery.pkg.apis" } else { "io.k8s.api" };
    format!("{home}.{name}")
}

/// The group-version-kinds of a definition; one word for the types that every group version has.
fn kinds(definition: &Value) -> Vec<String> {
    let kinds = definition["x-kubernetes-group-version-kind"].as_array().map_or(&[][..], Vec::as_slice);
    if kinds.len() > 1 {
        return vec!["*".to_owned()];
    }
    let word = |kind: &Value, key| kind[key].as_str().unwrap_or_default().to_owned();
    kinds
        .iter()
        .map(|kind| format!("{}/{}/{}", word(kind, "group"), word(kind, "version"), word(kind, "kind")))
        .collect()
}

fn flags(field: &Field, definition: &Value) -> String {
    let property = &definition["properties"][&field.json];
    let required =
        definition["required"].as_array().is_some_and(|names| names.iter().any(|name| *name == field.json));
    let mut flags = String::new();
    let pointer = field.go.starts_with('*');
    for (word, set) in [(" p", pointer), (" o", field.omitempty), (" z", field.omitzero), (" r", required)] {
        flags.push_str(if set { word } else { "" });
    }
    if let Some(key) = &field.merge_key {
        flags += &format!(" merge={key}");
    }
    if let Some(strategy) = &field.strategy {
        flags += &format!(" strategy={strategy}");
    }
    if let Some(kind) = property["x-kubernetes-list-type"].as_str() {
        flags += &format!(" list={kind}");
        let keys = property["x-kubernetes-list-map-keys"].as_array().map_or(&[][..], Vec::as_slice);
        let keys: Vec<_> = keys.iter().filter_map(Value::as_str).collect();
        if !keys.is_empty() {
            flags += &format!(":{}", keys.join(","));
        }
    }
    if let Some(kind) = property["x-kubernetes-map-type"].as_str() {
        flags += &format!(" map={kind}");
    }
    if let Some(text) = &field.default {
        flags += &format!(" default={text}");
    }
    flags
}
