//! Who owns which fields of an object: `metadata.managedFields`, read and written. Knows no types and compares nothing.
//!
//! Source: apimachinery, pkg/util/managedfields/internal/managedfields.go and capmanagers.go.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::Set;

/// Entries of updates that an object has at most; the oldest beyond are made one.
pub(crate) const UPDATERS: usize = 10;
/// Entries, and bytes of a step, that a writer may hand in: what the server itself keeps has far less.
const HANDED_IN: (usize, usize) = (1000, 4 << 10);
/// The manager of the entries that were made one.
const ANCIENT: &str = "ancient-changes";

/// How a manager came to own fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Operation {
    /// By applying them.
    Apply,
    /// By any other write.
    Update,
}

/// Whose an entry is. What was applied by one manager is one entry, whatever its version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Manager {
    /// Its name, of which the writer's own choice is the first.
    pub(crate) name: String,
    /// How it came to its fields.
    pub(crate) operation: Operation,
    /// The version in which it wrote; empty for what was applied.
    pub(crate) api_version: String,
    /// The subresource that it wrote through; empty for the object itself.
    pub(crate) subresource: String,
}

/// What a manager owns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    /// Its fields.
    pub(crate) set: Set,
    /// The version in which their names are meant.
    pub(crate) api_version: String,
}

/// All managers of an object, and when each last changed something.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Managed {
    /// What each owns.
    pub(crate) owned: BTreeMap<Manager, Owned>,
    /// When each last changed something, RFC 3339. It may speak of managers that own nothing any more.
    pub(crate) times: BTreeMap<Manager, String>,
}

/// An entry that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("metadata.managedFields[{entry}]: {cause}")]
pub(crate) struct ManagedError {
    entry: usize,
    cause: String,
}

impl Managed {
    /// Reads `managedFields`; nothing there is nobody.
    pub(crate) fn read(entries: &Value) -> Result<Managed, ManagedError> {
        let mut managed = Managed::default();
        for (at, entry) in entries.as_array().into_iter().flatten().enumerate() {
            let refuse = |cause: &dyn std::fmt::Display| ManagedError { entry: at, cause: cause.to_string() };
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err(refuse(&"operation must be `Apply` or `Update`")),
            };
            if text("apiVersion").is_empty() {
                return Err(refuse(&"apiVersion must not be empty"));
            }
            if text("fieldsType") != "FieldsV1" {
                return Err(refuse(&"fieldsType must be `FieldsV1`"));
            }
            let set = Set::from_json(&entry["fieldsV1"]).map_err(|cause| refuse(&cause))?;
            let api_version = text("apiVersion");
            let manager = Manager::new(text("manager"), operation, api_version, text("subresource"));
            if let Some(time) = entry["time"].as_str() {
                managed.times.insert(manager.clone(), time.to_owned());
            }
            managed.owned.insert(manager, Owned { set, api_version: api_version.to_owned() });
        }
        Ok(managed)
    }

    /// Whether a writer may hand this in: what is done with it costs more than reading it.
    pub(crate) fn is_bounded(&self) -> bool {
        let (entries, bytes) = HANDED_IN;
        self.owned.len() <= entries && self.owned.values().all(|owned| owned.set.has_steps_within(bytes))
    }

    /// `managedFields`, in upstream's order: by operation, time, manager, version and subresource; null for nobody.
    pub(crate) fn write(&self) -> Value {
        let mut entries: Vec<_> = self.owned.iter().collect();
        let time = |manager: &Manager| self.times.get(manager).map_or("", String::as_str);
        entries.sort_by_key(|(manager, owned)| {
            (manager.operation, time(manager), &manager.name, &owned.api_version, &manager.subresource)
        });
        if entries.is_empty() {
            return Value::Null;
        }
        entries.into_iter().map(|(manager, owned)| entry(manager, owned, time(manager))).collect()
    }

    /// Makes the oldest entries of updates one for each version, until there are not too many.
    pub(crate) fn cap(&mut self) {
        let updaters = self.owned.keys().filter(|manager| manager.operation == Operation::Update);
        let mut updaters: Vec<Manager> = updaters.cloned().collect();
        let mut count = updaters.len();
        updaters
            .sort_by_key(|manager| (self.times.get(manager).cloned().unwrap_or_default(), manager.clone()));
        let mut firsts: BTreeMap<String, Manager> = BTreeMap::new();
        for manager in updaters {
            if count <= UPDATERS {
                return;
            }
            let Some(owned) = self.owned.get(&manager).cloned() else { continue };
            let Some(first) = firsts.get(&owned.api_version) else {
                firsts.insert(owned.api_version, manager);
                continue;
            };
            let bucket = Manager::new(ANCIENT, Operation::Update, &owned.api_version, "");
            if !self.owned.contains_key(&bucket)
                && let Some(first) = self.owned.remove(first)
            {
                self.owned.insert(bucket.clone(), first);
            }
            self.owned.remove(&manager);
            let mut set = self.owned.remove(&bucket).map(|all| all.set).unwrap_or_default();
            set.absorb(&owned.set);
            let time = self.times.get(&manager).cloned().unwrap_or_default();
            self.times.insert(bucket.clone(), time);
            self.owned.insert(bucket, Owned { set, ..owned });
            count -= 1;
        }
    }
}

impl Manager {
    /// A manager; the nameless one is `unknown` to those who write, and nameless where it was written so.
    pub(crate) fn new(name: &str, operation: Operation, api_version: &str, subresource: &str) -> Manager {
        let api_version = if operation == Operation::Apply { "" } else { api_version };
        Manager {
            name: name.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
        }
    }
}

/// The manager as the messages of conflicts name it.
impl std::fmt::Display for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

fn entry(manager: &Manager, owned: &Owned, time: &str) -> Value {
    let operation = match manager.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    let mut entry = Map::new();
    let texts = [
        ("manager", manager.name.as_str()),
        ("operation", operation),
        ("apiVersion", &owned.api_version),
        ("time", time),
        ("fieldsType", "FieldsV1"),
        ("subresource", &manager.subresource),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        entry.insert(name.to_owned(), json!(text));
    }
    entry.insert("fieldsV1".to_owned(), owned.set.to_json());
    entry.into()
}
