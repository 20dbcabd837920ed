//! `windlass cron create`: a job by a schedule, or the CronJobs of a file.

use windlass::manifest::cron::{self, CronBase, CronManifest, make_cron};
use windlass::manifest::read::Places;
use windlass_model::Problems;

use super::{name, next, print};
use crate::args::cron::CreateOptions;
use crate::args::high::{Common, Source, Work};
use crate::args::low::ObjectFormat;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::plain;
use crate::verbs::{env_file, work};
use crate::{clock, out};

/// What becomes of schedules on the engine of this machine.
const KEPT: &str = "the engine of this machine stays for it; after a reboot it starts with the next command, \
                    or by itself if it is a service: windlass up --install";

/// CronJobs as they were read; nothing was sent yet.
struct Prepared {
    crons: Vec<CronManifest>,
    common: Common,
    /// Fields that only the cluster may know, each with its place.
    doubts: Vec<String>,
}

/// Creates them. All is read and checked before the first is created.
pub(super) async fn run(options: &CreateOptions, call: Call<'_>) -> Outcome {
    let prepared = prepare(options, call).await?;
    let call = Call { common: &prepared.common, ..call };
    let session = call.open().await?;
    settle(&prepared, &session, call).await?;
    let mut made = Vec::new();
    for cron in &prepared.crons {
        let created = session.manager.create_cron(cron, Some(call.who()), options.dry_run).await;
        let created = created.map_err(|error| {
            let failure = Failure::from(error);
            match made.len() {
                0 => failure,
                count => failure
                    .way_out(format!("{count} of {} were created before this fault", prepared.crons.len())),
            }
        })?;
        for warning in &created.warnings {
            session.notes.say(&format!("{}: {}", cron.name(), plain(warning)));
        }
        if options.output == ObjectFormat::Name {
            out::data(&format!("{}\n", name(&created.cron)))?;
        }
        let due = next::first(&created.cron, clock::now(), session.is_engine);
        if let Some(due) = due.filter(|_| !options.dry_run) {
            session.notes.say(&format!("{}: {due}", cron.name()));
        }
        made.push(created.cron);
    }
    if session.is_engine && !options.dry_run && made.iter().any(|cron| cron["spec"]["suspend"] != true) {
        session.notes.say(KEPT);
    }
    if options.output != ObjectFormat::Name {
        out::data(&print(&made, options.output)?)?;
    }
    Ok(Exit::OK)
}

async fn prepare(options: &CreateOptions, call: Call<'_>) -> Outcome<Prepared> {
    let Work::File(source) = &options.work else {
        let prepared =
            work::prepare(&options.work, &options.env_files, None, None, "cron create", call).await?;
        return wrapped(&prepared, options);
    };
    let text = work::text(source)?;
    let mut edits = env_file::edits(&options.env_files, call.env)?;
    edits.extend_from_slice(&source.edits);
    if cron::is(&text) {
        let source = Source { edits, ..(**source).clone() };
        return of_manifest(&source, &text, options, call);
    }
    wrapped(&work::of_text(source, text, edits, None, call)?, options)
}

/// The CronJob of the one job that was read.
fn wrapped(prepared: &work::Prepared, options: &CreateOptions) -> Outcome<Prepared> {
    let [draft] = &prepared.jobs[..] else {
        let cause = format!("the file holds {} jobs, and a CronJob makes one", prepared.jobs.len());
        return Err(Failure::new("cron create", cause).way_out("nothing was created; split the file"));
    };
    let missing = |path: &str| match path {
        "spec.schedule" => "--schedule".to_owned(),
        "metadata.name" => "NAME".to_owned(),
        path => path.to_owned(),
    };
    let cron = draft.cron(&options.cron).map_err(|problems| {
        let mut renamed = Problems::new();
        for problem in problems {
            renamed.add(missing(&problem.path), problem.message);
        }
        Failure::new("cron create", renamed).way_out("nothing was created")
    })?;
    let doubts = draft.doubts().to_vec();
    Ok(Prepared { crons: vec![cron], common: prepared.common.clone(), doubts })
}

/// The CronJobs of a file, as they are but for what the options say.
fn of_manifest(source: &Source, text: &str, options: &CreateOptions, call: Call<'_>) -> Outcome<Prepared> {
    use windlass::manifest::{ContainerEdit, Edit, Payload};
    let file = source.file.display().to_string();
    let reading = cron::read(&file, text).map_err(|errors| faults(errors.iter()))?;
    if reading.crons.len() > 1 && options.cron.name.is_some() {
        let cause = format!("holds {} CronJobs, and a name is one's", reading.crons.len());
        return Err(Failure::new(file, cause).way_out("leave NAME out, or split the file"));
    }
    let mut edits = source.edits.clone();
    if let Payload::Command(words) = &source.payload {
        edits.insert(0, Edit::FirstContainer(ContainerEdit::Command(words.clone())));
    }
    let (mut crons, mut wrong, places) = (Vec::new(), Vec::new(), Places::of(text));
    for written in reading.crons {
        match make_cron(&CronBase::Manifest(written.cron), &options.cron, &edits) {
            Ok(cron) => crons.push(cron),
            Err(found) => wrong.extend(
                found
                    .iter()
                    .map(|problem| format!("{file}:{}: {problem}", places.line(written.line, &problem.path))),
            ),
        }
    }
    if !wrong.is_empty() {
        return Err(faults(wrong.iter()));
    }
    let what = if crons.len() == 1 { "a CronJob" } else { "CronJobs" };
    call.notes().say(&format!("{file}: read as {what} of Kubernetes"));
    let doubt = |doubt: &windlass::manifest::formats::Doubt| {
        format!("{file}:{}: {}: is not known to Windlass", doubt.line, doubt.path)
    };
    Ok(Prepared { crons, common: call.common.clone(), doubts: reading.doubts.iter().map(doubt).collect() })
}

fn faults<T: ToString>(all: impl Iterator<Item = T>) -> Failure {
    let lines: Vec<String> = all.map(|fault| fault.to_string()).collect();
    Failure::bare(lines.join("\n")).way_out("nothing was created")
}

/// Has the cluster judge what only it may know, before anything is created.
async fn settle(prepared: &Prepared, session: &Session, call: Call<'_>) -> Outcome<()> {
    if prepared.doubts.is_empty() {
        return Ok(());
    }
    for cron in &prepared.crons {
        if let Err(error) = session.manager.create_cron(cron, Some(call.who()), true).await {
            return Err(Failure::new(prepared.doubts.join("\n"), error).way_out("nothing was created"));
        }
    }
    for doubt in &prepared.doubts {
        session.notes.say(&format!("{doubt}; the cluster takes it"));
    }
    Ok(())
}
