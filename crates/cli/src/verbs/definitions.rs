//! `windlass definitions`: which there are, what their templates need, and the Jobs that they make.

use std::path::PathBuf;

use serde_json::{Value, json};
use windlass::definitions::{Definitions, JOB_DEFINITIONS_CONFIG_PATH, JOB_NAMESPACE, JOB_SIGNATURE};
use windlass::manifest::formats::definition::{self, Arguments, Definition, Source, Template};
use windlass::manifest::{Base, ContainerEdit, Edit, Manifest, Payload, make};
use windlass_model::Problems;

use crate::args::definition::{Definitions as Options, DefinitionsVerb, FromDefinition, given};
use crate::args::high::Common;
use crate::args::low::DataFormat;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::Table;
use crate::{out, saved};

/// Does it.
pub(crate) async fn run(options: &Options, call: Call<'_>) -> Outcome {
    let text = match &options.verb {
        DefinitionsVerb::List { file, output } => list(&of_file(file.definitions.as_ref(), call)?, *output)?,
        DefinitionsVerb::Show { name, file } => template(name, file.definitions.as_ref(), call).await?.1.text,
        DefinitionsVerb::Vars { name, file } => {
            let (_, template) = template(name, file.definitions.as_ref(), call).await?;
            let names =
                template.variables().map_err(|errors| Failure::from(windlass::Error::Template(errors)))?;
            names.iter().map(|name| format!("{name}\n")).collect()
        }
        DefinitionsVerb::Render { name, file, given: args, output } => {
            let mut problems = Problems::new();
            let arguments = given(args, &mut problems);
            problems.or(()).map_err(|problems| Failure::new("definitions render", problems))?;
            let (definition, template) = template(name, file.definitions.as_ref(), call).await?;
            let manifest = manifest(&definition, &template, &arguments, call)?;
            match output {
                DataFormat::Json => out::json(manifest.job())?,
                DataFormat::Yaml => out::yaml(manifest.job())?,
            }
        }
    };
    out::data(&text)?;
    Ok(Exit::OK)
}

/// A definition's job, as its template makes it: base and edits, and the options that hold for it.
pub(super) async fn draft(work: &FromDefinition, call: Call<'_>) -> Outcome<(Base, Vec<Edit>, Common)> {
    let (definition, template) = template(&work.name, work.file.as_ref(), call).await?;
    let (base, mut edits) = made(&definition, &template, &work.arguments, call)?;
    match &work.payload {
        Payload::Own => {}
        Payload::Command(words) => edits.push(Edit::FirstContainer(ContainerEdit::Command(words.clone()))),
        Payload::Magnus(_) => {
            return Err(Failure::new("--definition", "is no magnus configuration").way_out("add -- COMMAND"));
        }
    }
    Ok((base, edits, common(call)))
}

/// The options that all verbs share; the namespace that k8s-jobs' variable names, unless one was typed.
fn common(call: Call<'_>) -> Common {
    let named = call.env.get(JOB_NAMESPACE).map(str::to_owned);
    Common { namespace: call.common.namespace.clone().or(named), ..call.common.clone() }
}

fn manifest(
    definition: &Definition,
    template: &Template,
    arguments: &Arguments,
    call: Call<'_>,
) -> Outcome<Manifest> {
    let (base, edits) = made(definition, template, arguments, call)?;
    make(&base, &edits).map_err(|problems| Failure::new(&template.file, problems))
}

/// Renders it; its name becomes the beginning of the job's.
fn made(
    definition: &Definition,
    template: &Template,
    arguments: &Arguments,
    call: Call<'_>,
) -> Outcome<(Base, Vec<Edit>)> {
    let written = definition.render(template, arguments).map_err(|errors| {
        Failure::bare(windlass::Error::Template(errors)).way_out("nothing was submitted")
    })?;
    let Base::Manifest(mut job) = written.base else {
        return Err(Failure::new(&template.file, "makes no manifest"));
    };
    definition::derive_name(&mut job, &definition.name)
        .map_err(|problem| Failure::new(format!("{}:{}", written.file, written.line), problem))?;
    Ok((Base::Manifest(job), definition.marks(call.env.get(JOB_SIGNATURE))))
}

/// A definition and its template. Only one in a ConfigMap needs the cluster.
async fn template(name: &str, file: Option<&PathBuf>, call: Call<'_>) -> Outcome<(Definition, Template)> {
    let definitions = of_file(file, call)?;
    let definition = definitions.get(name)?;
    if let Some(template) = definitions.template(&definition)? {
        return Ok((definition, template));
    }
    let session = call.open().await?;
    let template = session.manager.template(&definitions, &definition).await?;
    Ok((definition, template))
}

/// The definitions of the file that was named: by the option, the variable of k8s-jobs, or the config file.
fn of_file(named: Option<&PathBuf>, call: Call<'_>) -> Outcome<Definitions> {
    let variable = || call.env.get(JOB_DEFINITIONS_CONFIG_PATH).map(PathBuf::from);
    let path = match named.cloned().or_else(variable) {
        Some(path) => Some(path),
        None => {
            let settings = call.settings()?;
            saved::read(&settings)?.definitions.map(|path| settings.join(path))
        }
    };
    let Some(path) = path else {
        return Err(Failure::new("definitions", "no file of job definitions is named")
            .way_out(format!("add --definitions FILE, or set {JOB_DEFINITIONS_CONFIG_PATH}")));
    };
    Ok(Definitions::of_file(path))
}

fn list(definitions: &Definitions, output: Option<DataFormat>) -> Outcome<String> {
    let all = definitions.all()?;
    if let Some(format) = output {
        let all: Vec<Value> = all.iter().map(|definition| data(definition, definitions)).collect();
        let all = json!({ "definitions": all });
        return match format {
            DataFormat::Json => out::json(&all),
            DataFormat::Yaml => out::yaml(&all),
        };
    }
    let mut table = Table::new(&["NAME", "TEMPLATE", "VARIABLES"]);
    for definition in &all {
        let variables = match variables(definition, definitions) {
            Ok(Some(names)) => names.join(","),
            Ok(None) => String::new(),
            Err(error) => error.to_string(),
        };
        table.row(&[definition.name.clone(), place(definition), variables]);
    }
    Ok(table.to_string())
}

fn data(definition: &Definition, definitions: &Definitions) -> Value {
    let mut data = json!({ "name": definition.name, "template": place(definition) });
    match variables(definition, definitions) {
        Ok(Some(names)) => data["variables"] = names.into(),
        Ok(None) => {}
        Err(error) => data["error"] = error.to_string().into(),
    }
    data
}

/// The variables of a template that is at hand; one in a ConfigMap is not asked for.
fn variables(definition: &Definition, definitions: &Definitions) -> windlass::Result<Option<Vec<String>>> {
    let Some(template) = definitions.template(definition)? else { return Ok(None) };
    let names = template.variables().map_err(windlass::Error::Template)?;
    Ok(Some(names.into_iter().collect()))
}

fn place(definition: &Definition) -> String {
    match &definition.source {
        Source::Inline(template) => format!("{}:{}", template.file, template.first_line),
        Source::Path(path) => path.clone(),
        Source::ConfigMap { name, namespace } => format!("ConfigMap {namespace}/{name}"),
    }
}
