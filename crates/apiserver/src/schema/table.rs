//! The table of shapes, parsed once: types, fields, wire numbers, merge keys. It decides nothing; decoding, fitting,
//! merging and OpenAPI read it.
//!
//! `table.txt` is made by `cargo xtask schema`; its head says its grammar. The parser trusts it: a line that it cannot
//! read becomes a free-form field, and a test holds that there is none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub(super) use super::shape::{Scalar, Shape};

/// The text that everything is derived from.
pub(super) const TEXT: &str = include_str!("table.txt");

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT));

/// All shapes.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// All shapes, by short name (`batch.v1.Job`) and by group, version and kind.
pub(super) struct Table {
    types: Vec<Type>,
    names: BTreeMap<&'static str, usize>,
    kinds: BTreeMap<(&'static str, &'static str, &'static str), usize>,
}

/// One type.
pub(super) struct Type {
    /// Its short name, e.g. `batch.v1.JobSpec`.
    pub(super) name: &'static str,
    /// Group, version and kind, if it is a kind of its own.
    pub(super) kind: Option<(&'static str, &'static str, &'static str)>,
    /// Whether every group version has it (`DeleteOptions`).
    pub(super) everywhere: bool,
    /// What it is when it is no struct: a list that has a message of its own on the wire.
    pub(super) wrapped: Option<Shape>,
    /// `atomic` where server-side apply treats the whole as one value.
    pub(super) map_type: Option<&'static str>,
    /// Its fields, as declared.
    pub(super) fields: Vec<Field>,
    by_json: BTreeMap<&'static str, usize>,
    /// Wire numbers to fields, those of embedded messages below their number.
    pub(super) wire: Wire,
}

/// What the numbers of a message stand for.
#[derive(Default)]
pub(super) struct Wire(BTreeMap<u32, Slot>);

/// What one number stands for.
pub(super) enum Slot {
    /// A field, by its place in `Type::fields`.
    Field(usize),
    /// An embedded message whose fields appear in the outer JSON object.
    Embedded(Wire),
}

/// One field.
pub(super) struct Field {
    /// The JSON name.
    pub(super) json: &'static str,
    /// What it holds.
    pub(super) shape: Shape,
    /// The embedded struct that declares it, if not the type itself.
    pub(super) embedded: Option<&'static str>,
    /// Whether absence and zero differ.
    pub(super) pointer: bool,
    /// Whether JSON leaves the zero value out.
    pub(super) omitempty: bool,
    /// Whether JSON leaves a struct out that is zero; else a struct is always written.
    pub(super) omitzero: bool,
    /// Whether OpenAPI calls it required.
    pub(super) required: bool,
    /// `patchMergeKey`.
    pub(super) merge_key: Option<&'static str>,
    /// `patchStrategy`: `merge`, `retainKeys`, or both with a comma.
    pub(super) strategy: Option<&'static str>,
    /// `listType`: `atomic`, `set`, `map`.
    pub(super) list_type: Option<&'static str>,
    /// `listMapKey`s.
    pub(super) list_keys: Vec<&'static str>,
    /// `mapType`.
    pub(super) map_type: Option<&'static str>,
    /// `default`, where it is a text.
    pub(super) default: Option<&'static str>,
}

impl Table {
    fn read(text: &'static str) -> Self {
        let lines = || text.lines().filter(|line| !line.starts_with('#'));
        let heads = lines().filter_map(|line| line.strip_prefix('@')?.split(' ').next());
        let names: BTreeMap<_, _> = heads.enumerate().map(|(place, name)| (name, place)).collect();
        let mut types: Vec<Type> = Vec::with_capacity(names.len());
        for line in lines() {
            if let Some(head) = line.strip_prefix('@') {
                types.push(Type::read(head, &names));
            } else if let Some(last) = types.last_mut() {
                last.add(line, &names);
            }
        }
        let kinds =
            types.iter().enumerate().filter_map(|(place, shape)| Some((shape.kind?, place))).collect();
        Self { types, names, kinds }
    }

    /// The type that a shape refers to.
    pub(super) fn get(&self, place: usize) -> &Type {
        &self.types[place]
    }

    /// All types in the order of their names.
    #[cfg(test)]
    pub(super) fn types(&self) -> &[Type] {
        &self.types
    }

    /// The type of a published name (`io.k8s.api.batch.v1.Job`).
    pub(super) fn by_schema(&self, schema: &str) -> Option<&Type> {
        let short = schema
            .strip_prefix("io.k8s.api.")
            .or_else(|| schema.strip_prefix("io.k8s.apimachinery.pkg.apis."))?;
        self.names.get(short).map(|place| self.get(*place))
    }

    /// The type of an object that calls itself `api_version` and `kind`.
    pub(super) fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Type> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match self.kinds.get(&(group, version, kind)) {
            Some(place) => Some(self.get(*place)),
            None => {
                self.types.iter().find(|shape| shape.everywhere && shape.name.ends_with(&format!(".{kind}")))
            }
        }
    }
}

impl Type {
    fn read(head: &'static str, names: &BTreeMap<&'static str, usize>) -> Self {
        let mut words = head.split(' ');
        let mut shape = Self {
            name: words.next().unwrap_or_default(),
            kind: None,
            everywhere: false,
            wrapped: None,
            map_type: None,
            fields: Vec::new(),
            by_json: BTreeMap::new(),
            wire: Wire::default(),
        };
        for word in words {
            if word == "*" {
                shape.everywhere = true;
            } else if word.starts_with("[]") {
                shape.wrapped = Some(Shape::read(word, names));
            } else if let Some(kind) = word.strip_prefix("map=") {
                shape.map_type = Some(kind);
            } else {
                let mut parts = word.split('/');
                shape.kind = parts.next().zip(parts.next()).zip(parts.next()).map(|((g, v), k)| (g, v, k));
            }
        }
        shape
    }

    fn add(&mut self, line: &'static str, names: &BTreeMap<&'static str, usize>) {
        let mut words = line.split(' ');
        let (Some(json), Some(number), Some(shape)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let mut field = Field::new(json, Shape::read(shape, names));
        words.for_each(|word| field.flag(word));
        let place = self.fields.len();
        self.wire.insert(number, place);
        self.by_json.insert(json, place);
        self.fields.push(field);
    }

    /// The field of a JSON name; names are told apart by case.
    pub(super) fn field(&self, json: &str) -> Option<&Field> {
        self.by_json.get(json).map(|place| &self.fields[*place])
    }

    /// The name under which it is published.
    pub(super) fn schema(&self) -> String {
        let home = if self.name.starts_with("meta.") { "io.k8s.apimachinery.pkg.apis" } else { "io.k8s.api" };
        format!("{home}.{}", self.name)
    }

    /// Go's name of the type without its package.
    pub(super) fn go_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

impl Wire {
    fn insert(&mut self, path: &str, place: usize) {
        let (number, rest) = path.split_once('.').map_or((path, None), |(number, rest)| (number, Some(rest)));
        // `-` is no number: the field is not on the wire.
        let Ok(number) = number.parse() else { return };
        match rest {
            None => drop(self.0.insert(number, Slot::Field(place))),
            Some(rest) => {
                if let Slot::Embedded(inner) =
                    self.0.entry(number).or_insert_with(|| Slot::Embedded(Self::default()))
                {
                    inner.insert(rest, place);
                }
            }
        }
    }

    /// What a number stands for.
    pub(super) fn get(&self, number: u32) -> Option<&Slot> {
        self.0.get(&number)
    }
}

impl Field {
    fn new(json: &'static str, shape: Shape) -> Self {
        Self {
            json,
            shape,
            embedded: None,
            pointer: false,
            omitempty: false,
            omitzero: false,
            required: false,
            merge_key: None,
            strategy: None,
            list_type: None,
            list_keys: Vec::new(),
            map_type: None,
            default: None,
        }
    }

    fn flag(&mut self, word: &'static str) {
        match word.split_once('=') {
            None => match word {
                "p" => self.pointer = true,
                "o" => self.omitempty = true,
                "z" => self.omitzero = true,
                _ => self.required = true,
            },
            Some(("in", embedded)) => self.embedded = Some(embedded),
            Some(("merge", key)) => self.merge_key = Some(key),
            Some(("strategy", strategy)) => self.strategy = Some(strategy),
            Some(("map", kind)) => self.map_type = Some(kind),
            Some(("default", text)) => self.default = Some(text),
            Some((_, list)) => {
                let (kind, keys) = list.split_once(':').unwrap_or((list, ""));
                self.list_type = Some(kind);
                self.list_keys = keys.split(',').filter(|key| !key.is_empty()).collect();
            }
        }
    }
}
