//! The place of a value inside a body, kept on the stack while walking down and printed only when something is wrong.

use std::fmt;

/// A place; `Display` writes it as strict decoding does: `spec.containers[0].image`.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The whole body.
    Root,
    /// Under a field of a struct; the struct embedded in it that declares the field.
    Field(&'a Path<'a>, &'a str, Option<&'static str>),
    /// Under a key of a map.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The place of a field.
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name, None)
    }
    /// The place of a field that may come from an embedded struct.
    pub(super) fn declared(&'a self, name: &'a str, embedded: Option<&'static str>) -> Self {
        Self::Field(self, name, embedded)
    }
    /// The place of a map's value.
    pub(super) fn key(&'a self, name: &'a str) -> Self {
        Self::Key(self, name)
    }
    /// The place of a list's item.
    pub(super) fn index(&'a self, at: usize) -> Self {
        Self::Index(self, at)
    }
    /// The names of the fields alone, as type errors name them, embedded structs among them:
    /// `spec.volumes.VolumeSource.emptyDir`.
    pub(super) fn fields(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(above, _) | Self::Index(above, _) => above.fields(),
            Self::Field(above, name, embedded) => {
                let words = [Some(above.fields()), embedded.map(str::to_owned), Some((*name).to_owned())];
                let words = words.into_iter().flatten().filter(|word| !word.is_empty());
                words.collect::<Vec<_>>().join(".")
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name, _) | Self::Key(Self::Root, name) => f.write_str(name),
            Self::Field(above, name, _) | Self::Key(above, name) => write!(f, "{above}.{name}"),
            Self::Index(above, at) => write!(f, "{above}[{at}]"),
        }
    }
}
