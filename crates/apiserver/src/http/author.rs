//! Who writes, as `managedFields` name them. Knows which headers say so; what ownership means is `apply`'s.

use http::HeaderValue;
use http::header::USER_AGENT;
use serde_json::Value;

use super::dispatch::Call;
use crate::apply::{self, Writer};
use crate::kind::Kind;
use crate::registry::{Door, meta};
use crate::world::SharedWorld;

/// The longest name of a manager, in bytes.
const NAME: usize = 128;

/// The writer of a request. Cheap to make: its name is read only where somebody owns fields.
#[derive(Clone)]
pub(super) struct Author {
    pub(super) kind: &'static Kind,
    /// What the request calls itself; empty if it does not.
    manager: String,
    agent: Option<HeaderValue>,
    subresource: &'static str,
    world: SharedWorld,
}

impl Author {
    /// Who makes a request through a door.
    pub(super) fn of(call: &Call, door: Door) -> Author {
        Author {
            kind: call.kind,
            manager: call.query.text("fieldManager").to_owned(),
            agent: call.headers.get(USER_AGENT).cloned(),
            subresource: if door == Door::Status { "status" } else { "" },
            world: call.app.registry.world.clone(),
        }
    }

    /// Tells in `new` whose its fields are, if anybody asks that of this object.
    pub(super) fn track(&self, old: &Value, new: &mut Value) {
        if apply::is_tracked(old) || apply::is_tracked(new) {
            let (name, now) = (self.name(), meta::time(self.world.now()));
            apply::track(self.kind, old, new, self.writer(&name, &now));
        }
    }

    /// The same as [`apply::apply`] has it; the name has been asked for.
    pub(super) fn writer<'a>(&self, manager: &'a str, now: &'a str) -> Writer<'a> {
        Writer { manager, subresource: self.subresource, now }
    }

    /// The name that the request gives, else what its client calls itself, up to the first slash.
    fn name(&self) -> String {
        if !self.manager.is_empty() {
            return self.manager.clone();
        }
        let agent = self.agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let first = agent.split('/').next().unwrap_or_default();
        let printable: String = first.chars().filter(|c| !c.is_control()).collect();
        printable[..printable.floor_char_boundary(NAME)].to_owned()
    }
}
