//! Values in memory: gone with the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::RwLock;

use super::{Backend, Batch};
use crate::sync::{read, write};
use crate::types::{Revision, Value};

/// Values by revision.
#[derive(Default)]
pub(crate) struct Memory(RwLock<BTreeMap<Revision, Value>>);

#[cfg(test)]
impl Memory {
    /// How many values it keeps.
    pub(crate) fn len(&self) -> usize {
        read(&self.0).len()
    }
}

impl Backend for Memory {
    fn write(&self, batch: &Batch<'_>) -> io::Result<()> {
        let mut values = write(&self.0);
        for staged in batch.staged {
            if let Some(value) = &staged.value {
                values.insert(staged.revision, value.clone());
            }
        }
        for revision in batch.forgotten.iter().filter_map(|f| f.value) {
            values.remove(&revision);
        }
        Ok(())
    }

    fn value(&self, revision: Revision) -> io::Result<Option<Value>> {
        Ok(read(&self.0).get(&revision).cloned())
    }
}
