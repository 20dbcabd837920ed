//! The place of a value inside a body, kept on the stack while walking down and printed only when something is wrong.

use std::fmt;

/// A place; `Display` writes it as strict decoding does: `spec.containers[0].image`.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The whole body.
    Root,
    /// Under a field of a struct.
    Field(&'a Path<'a>, &'a str),
    /// Under a key of a map.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The place of a field.
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }
    /// The place of a map's value.
    pub(super) fn key(&'a self, name: &'a str) -> Self {
        Self::Key(self, name)
    }
    /// The place of a list's item.
    pub(super) fn index(&'a self, at: usize) -> Self {
        Self::Index(self, at)
    }
    /// The names of the fields alone, as type errors name them: `spec.containers.image`.
    pub(super) fn fields(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(above, _) | Self::Index(above, _) => above.fields(),
            Self::Field(above, name) => {
                let above = above.fields();
                if above.is_empty() { (*name).to_owned() } else { format!("{above}.{name}") }
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) | Self::Key(Self::Root, name) => f.write_str(name),
            Self::Field(above, name) | Self::Key(above, name) => write!(f, "{above}.{name}"),
            Self::Index(above, at) => write!(f, "{above}[{at}]"),
        }
    }
}
