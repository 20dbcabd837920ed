//! `windlass config show`: every setting that holds here, and where it comes from.

use std::path::Path;

use serde::Serialize;
use windlass::definitions::JOB_DEFINITIONS_CONFIG_PATH;

use crate::args::low::{Config, ConfigVerb, DataFormat};
use crate::cluster::Call;
use crate::cluster::choose::{Because, Cluster};
use crate::daemon::limits;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::print::Table;
use crate::{out, saved};

/// One setting. Its serialised form is frozen.
#[derive(Serialize)]
struct Setting {
    name: &'static str,
    value: String,
    origin: String,
}

/// Prints them.
pub(crate) async fn run(options: &Config, call: Call<'_>) -> Outcome {
    let ConfigVerb::Show { output } = &options.verb;
    let settings = settings(call)?;
    out::data(&match output {
        Some(DataFormat::Json) => out::json(&settings)?,
        Some(DataFormat::Yaml) => out::yaml(&settings)?,
        None => table(&settings),
    })?;
    Ok(Exit::OK)
}

fn settings(call: Call<'_>) -> Outcome<Vec<Setting>> {
    let home = call.home()?;
    let asked = call.settings()?;
    let choice = call.choice(&home)?;
    let origin = |variable: &str| match call.env.get(variable) {
        Some(_) => format!("{variable} in the environment"),
        None => "default".to_owned(),
    };
    let cluster = match &choice.cluster {
        Cluster::Local => "the engine of this machine".to_owned(),
        Cluster::Context { name: Some(name), .. } => format!("context {name}"),
        Cluster::Context { name: None, kubeconfig } => {
            let files: Vec<_> = kubeconfig.iter().map(|file| file.display().to_string()).collect();
            format!("the current context of {}", files.join(":"))
        }
    };
    let chosen = match choice.because {
        Because::Flag(name) => format!("the option {name}"),
        Because::Variable(name) => format!("{name} in the environment"),
        Because::Saved => saved::place(&asked).display().to_string(),
        Because::Default => "default".to_owned(),
    };
    let namespace = call.common.namespace.clone();
    let state =
        if home.root() == asked { origin("WINDLASS_HOME") } else { "the home is on a network".to_owned() };
    Ok(vec![
        Setting { name: "home", value: asked.display().to_string(), origin: origin("WINDLASS_HOME") },
        Setting { name: "engine state", value: home.root().display().to_string(), origin: state },
        Setting { name: "cluster", value: cluster, origin: chosen },
        Setting {
            name: "namespace",
            origin: if namespace.is_some() { "the option -n" } else { "default" }.to_owned(),
            value: namespace.unwrap_or_else(|| "the context's, or default".to_owned()),
        },
        definitions(call, &asked)?,
        Setting {
            name: "log level of an engine that is started",
            value: call.env.get("WINDLASS_LOG").unwrap_or("info").to_owned(),
            origin: origin("WINDLASS_LOG"),
        },
        Setting {
            name: "log kept of an attempt, by an engine that is started",
            value: call.env.get(limits::OF_AN_ATTEMPT).unwrap_or("64Mi").to_owned(),
            origin: origin(limits::OF_AN_ATTEMPT),
        },
        Setting {
            name: "logs kept of all that has ended, by an engine that is started",
            value: call.env.get(limits::OF_ALL).unwrap_or("4Gi").to_owned(),
            origin: origin(limits::OF_ALL),
        },
        Setting {
            name: "processes a container may have, in an engine that is started",
            value: call.env.get(limits::PIDS).unwrap_or("no limit").to_owned(),
            origin: origin(limits::PIDS),
        },
        Setting {
            name: "time zone of `cron next`",
            value: call.env.get("TZ").unwrap_or("the machine's").to_owned(),
            origin: origin("TZ"),
        },
        Setting {
            name: "colour",
            value: if call.env.colour() { "yes" } else { "no" }.to_owned(),
            origin: if call.env.get("NO_COLOR").is_some() {
                "NO_COLOR in the environment"
            } else {
                "the terminal"
            }
            .to_owned(),
        },
    ])
}

/// The file of job definitions.
fn definitions(call: Call<'_>, home: &Path) -> Outcome<Setting> {
    let named = call.env.get(JOB_DEFINITIONS_CONFIG_PATH);
    let saved = saved::read(home)?.definitions.map(|path| home.join(path).display().to_string());
    let (value, origin) = match (named, saved) {
        (Some(path), _) => (path.to_owned(), format!("{JOB_DEFINITIONS_CONFIG_PATH} in the environment")),
        (None, Some(path)) => (path, saved::place(home).display().to_string()),
        (None, None) => ("none".to_owned(), "default".to_owned()),
    };
    Ok(Setting { name: "job definitions", value, origin })
}

fn table(settings: &[Setting]) -> String {
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for setting in settings {
        table.row(&[setting.name.to_owned(), setting.value.clone(), setting.origin.clone()]);
    }
    table.to_string()
}
