//! The helper's memory: one piece from the system, given out from its beginning to its end and never back.

use crate::system::{self, Strings};

/// More than the system takes of arguments and variables together.
const SIZE: usize = 16 << 20;

/// The memory, and how much of it is used.
pub(crate) struct Arena {
    memory: &'static mut [u8],
    used: usize,
}

/// There is no more.
pub(crate) struct Full;

/// Pointers to strings, a null after the last.
#[derive(Clone, Copy)]
pub(crate) struct List(*const *const u8);

impl List {
    pub(crate) fn pointer(self) -> *const *const u8 {
        self.0
    }

    pub(crate) fn strings(self) -> Strings {
        // SAFETY: `Arena::list` has written a null after the last.
        unsafe { Strings::new(self.0) }
    }

    pub(crate) fn first(self) -> Option<&'static [u8]> {
        self.strings().next()
    }
}

impl Arena {
    pub(crate) fn new() -> Option<Arena> {
        Some(Arena { memory: system::memory(SIZE)?, used: 0 })
    }

    /// Where the next string begins.
    pub(crate) fn begin(&self) -> usize {
        self.used
    }

    /// More of the string.
    pub(crate) fn bytes(&mut self, bytes: impl Iterator<Item = u8>) -> Result<(), Full> {
        for byte in bytes {
            *self.memory.get_mut(self.used).ok_or(Full)? = byte;
            self.used += 1;
        }
        Ok(())
    }

    /// The string that began there.
    pub(crate) fn end(&mut self, at: usize) -> Result<*const u8, Full> {
        self.bytes([0].into_iter())?;
        Ok(self.memory.get(at).ok_or(Full)?)
    }

    /// A string of these bytes.
    pub(crate) fn string(&mut self, bytes: impl Iterator<Item = u8>) -> Result<*const u8, Full> {
        let at = self.begin();
        self.bytes(bytes)?;
        self.end(at)
    }

    /// At most so many strings, as long as there is a next one; it is told how many there are.
    pub(crate) fn list(
        &mut self,
        most: usize,
        mut next: impl FnMut(&mut Arena, usize) -> Result<Option<*const u8>, Full>,
    ) -> Result<List, Full> {
        const WIDTH: usize = size_of::<*const u8>();
        let at = self.used.next_multiple_of(WIDTH);
        self.used =
            most.checked_add(1).and_then(|count| count.checked_mul(WIDTH)?.checked_add(at)).ok_or(Full)?;
        if self.used > self.memory.len() {
            return Err(Full);
        }
        let list: *mut *const u8 = self.memory[at..].as_mut_ptr().cast();
        let mut count = 0;
        while count < most
            && let Some(string) = next(self, count)?
        {
            // SAFETY: there is room for `most + 1`, aligned: the memory begins with a page.
            unsafe { list.add(count).write(string) };
            count += 1;
        }
        // SAFETY: as above.
        unsafe { list.add(count).write(core::ptr::null()) };
        Ok(List(list))
    }
}
