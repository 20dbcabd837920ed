//! A function or notebook that magnus itself runs in the pod.

use crate::fields::Faults;

/// What magnus is to run, and the options of its command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The function or notebook.
    pub kind: TaskKind,
    /// `--log-level`
    pub log_level: String,
    /// `--data-folder`
    pub data_folder: String,
    /// `--parameters-file`: a path in the image.
    pub parameters_file: Option<String>,
    /// `--tag`
    pub tag: Option<String>,
    /// `--put-in-catalog`, each.
    pub catalog: Vec<String>,
}

/// A function or a notebook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// `MODULE.FUNCTION`.
    Function(String),
    /// A file that ends with `.ipynb`.
    Notebook(String),
}

impl Task {
    /// A task with the defaults of magnus' command line.
    pub fn new(kind: TaskKind) -> Self {
        Task {
            kind,
            log_level: "WARNING".to_owned(),
            data_folder: "data/".to_owned(),
            parameters_file: None,
            tag: None,
            catalog: Vec::new(),
        }
    }

    /// What it is called: the function or the file.
    pub fn name(&self) -> &str {
        match &self.kind {
            TaskKind::Function(name) | TaskKind::Notebook(name) => name,
        }
    }

    /// magnus' own command for it (magnus 0.4 `execute_nb_or_func`). Each part is a word of its own, whatever is in it.
    pub(super) fn command(
        &self,
        file: &str,
        run_id: Option<&str>,
        notes: &mut Vec<String>,
        faults: &mut Faults<'_>,
    ) -> Option<Vec<String>> {
        match &self.kind {
            TaskKind::Notebook(name) if !name.ends_with(".ipynb") => {
                faults.unfit(format!("the notebook {name:?} must end with .ipynb"));
            }
            TaskKind::Function(name) if !name.contains('.') => {
                faults.unfit(format!("the function {name:?} must be MODULE.FUNCTION"));
            }
            _ => {}
        }
        let Some(run_id) = run_id else {
            faults.unfit("a function or notebook is run under an id; give the run one");
            return None;
        };
        let mut words =
            vec!["magnus", "execute_nb_or_func", run_id, "--log-level", &self.log_level, self.name()];
        // What came from stdin has no path in the image: magnus takes its default file there.
        if file != "-" {
            words.extend(["--config-file", file]);
            notes.push(format!(
                "magnus reads {file} in the pod: the image must hold it, and your code, there"
            ));
        }
        for (option, value) in [("--parameters-file", &self.parameters_file), ("--tag", &self.tag)] {
            words.extend(value.iter().flat_map(|value| [option, value.as_str()]));
        }
        words.extend(["--data-folder", &self.data_folder]);
        words.extend(self.catalog.iter().flat_map(|name| ["--put-in-catalog", name.as_str()]));
        Some(words.into_iter().map(str::to_owned).collect())
    }
}
