//! `windlass doctor`: what on this machine and on the chosen cluster may be in the way, each with the way out. It works
//! without an engine and starts none.

mod cluster;
mod machine;

use serde::Serialize;

use crate::args::low::{DataFormat, Doctor};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out;
use crate::print::plain;

/// How bad it is. Its serialised form is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// Something will not work, or not for long.
    Warning,
    /// Jobs cannot run.
    Problem,
}

/// One thing that was looked at. Its serialised form is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    what: String,
    text: String,
}

impl Finding {
    fn new(level: Level, what: &str, text: impl Into<String>) -> Finding {
        Finding { level, what: what.to_owned(), text: text.into() }
    }
}

/// Looks at everything; ends with 1 if something is a problem.
pub(crate) async fn run(options: &Doctor, call: Call<'_>) -> Outcome {
    let mut findings = machine::findings(call);
    findings.extend(cluster::findings(call).await);
    out::data(&match options.output {
        Some(DataFormat::Json) => out::json(&findings)?,
        Some(DataFormat::Yaml) => out::yaml(&findings)?,
        None => findings.iter().map(line).collect(),
    })?;
    let is_bad = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if is_bad { Exit(1) } else { Exit::OK })
}

fn line(finding: &Finding) -> String {
    let word = match finding.level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Problem => "problem",
    };
    format!("{word:<8} {}: {}\n", plain(&finding.what), plain(&finding.text))
}
