//! The register of the definitions: a file that is read again when it changes, or a fixed list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_manifest::formats::definition::{self, Definition, Source, Template};

use super::kept::{Kept, Look};
use crate::{Error, Result};

type Observer = Box<dyn Fn(&Error) + Send + Sync>;

/// The definitions that there are.
///
/// Those of a file are looked at each time they are asked for, and read again when the file has another time, size or
/// inode; so are the templates that are files. When the newest version cannot be read, the last good one stays in use,
/// and [`on_fault`](Definitions::on_fault) is told once.
pub struct Definitions {
    origin: Origin,
    observer: Option<Observer>,
}

enum Origin {
    Fixed(Vec<Definition>),
    File { path: PathBuf, files: Mutex<Files> },
}

/// What was read.
#[derive(Default)]
struct Files {
    list: Kept<Vec<Definition>>,
    templates: BTreeMap<PathBuf, Kept<Template>>,
}

impl Definitions {
    /// Those of a file. It is read when they are asked for the first time.
    pub fn of_file(path: impl Into<PathBuf>) -> Self {
        Definitions { origin: Origin::File { path: path.into(), files: Mutex::default() }, observer: None }
    }

    /// These, whatever happens. Their inline templates and ConfigMaps are used; a template in a file is read anew each
    /// time.
    pub fn fixed(definitions: Vec<Definition>) -> Self {
        Definitions { origin: Origin::Fixed(definitions), observer: None }
    }

    /// The same, telling this of every version that cannot be used, once each.
    #[must_use]
    pub fn on_fault(self, observer: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        Definitions { observer: Some(Box::new(observer)), ..self }
    }

    /// All of them, in the file's order.
    ///
    /// # Errors
    /// `File`, `Template`: the file cannot be read, and never could.
    pub fn all(&self) -> Result<Vec<Definition>> {
        let (path, files) = match &self.origin {
            Origin::Fixed(definitions) => return Ok(definitions.clone()),
            Origin::File { path, files } => (path, files),
        };
        let name = path.display().to_string();
        let look = lock(files).list.look(path, |text| definition::read(&name, text));
        self.told(look).map(|list| list.to_vec())
    }

    /// The definition of a name.
    ///
    /// # Errors
    /// `NoDefinition`, and what [`Definitions::all`] may answer.
    pub fn get(&self, name: &str) -> Result<Definition> {
        let all = self.all()?;
        let known = || all.iter().map(|definition| definition.name.clone()).collect();
        let found = all.iter().find(|definition| definition.name == name).cloned();
        found.ok_or_else(|| Error::NoDefinition {
            name: name.to_owned(),
            place: self.place(),
            known: known(),
        })
    }

    /// The template of a definition that is not in a ConfigMap. A path is taken from the folder of the definitions'
    /// file; where nothing is there, from the working directory, as k8s-jobs does.
    ///
    /// # Errors
    /// `File`, `Template`: it cannot be read, and never could.
    pub fn template(&self, definition: &Definition) -> Result<Option<Template>> {
        let written = match &definition.source {
            Source::Inline(template) => return Ok(Some(template.clone())),
            Source::ConfigMap { .. } => return Ok(None),
            Source::Path(path) => Path::new(path),
        };
        let path = self.beside(written);
        let parse = |text: &str| {
            let template = Template::new(path.display().to_string(), text);
            template.variables().map(|_| template)
        };
        let look = match &self.origin {
            Origin::Fixed(_) => Kept::default().look(&path, parse),
            Origin::File { files, .. } => {
                lock(files).templates.entry(path.clone()).or_default().look(&path, parse)
            }
        };
        self.told(look).map(|template| Some(Template::clone(&template)))
    }

    /// What is wrong with the newest version of the definitions' file, while an older one is in use.
    pub fn fault(&self) -> Option<String> {
        match &self.origin {
            Origin::Fixed(_) => None,
            Origin::File { files, .. } => lock(files).list.fault().map(str::to_owned),
        }
    }

    /// Where they come from, for messages.
    fn place(&self) -> String {
        match &self.origin {
            Origin::Fixed(_) => "the definitions".to_owned(),
            Origin::File { path, .. } => path.display().to_string(),
        }
    }

    fn beside(&self, written: &Path) -> PathBuf {
        let Origin::File { path, .. } = &self.origin else { return written.to_owned() };
        let beside = path.parent().unwrap_or(Path::new("")).join(written);
        if !beside.exists() && written.exists() { written.to_owned() } else { beside }
    }

    fn told<T>(&self, look: Look<T>) -> Result<std::sync::Arc<T>> {
        if let Some(error) = &look.news {
            tracing::warn!(%error, "the last good version stays in use");
            if let Some(observer) = &self.observer {
                observer(error);
            }
        }
        look.good
    }
}

/// A panic while it was held has left nothing half done: each part is set at once.
fn lock(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}
