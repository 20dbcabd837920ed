//! `windlass cron list`: one line a CronJob.

use jiff::Timestamp;
use serde_json::Value;

use super::next::Due;
use super::{name, print};
use crate::args::cron::List;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::print::Table;
use crate::{age, clock, out};

/// Prints them, in the server's order.
pub(super) async fn run(options: &List, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let crons = session.manager.crons(options.selector.as_deref(), options.all_namespaces).await?;
    match options.output {
        Some(format) if !crons.is_empty() => out::data(&print(&crons, format)?)?,
        None if !crons.is_empty() => {
            out::data(&table(&crons, options.all_namespaces, clock::now()).to_string())?;
        }
        _ => {
            let place = match options.all_namespaces {
                true => "on this cluster".to_owned(),
                false => format!("in namespace {:?}", session.manager.namespace()),
            };
            session.notes.say(&format!("no CronJobs {place}"));
            if let Some(format) = options.output {
                out::data(&print(&[], format)?)?;
            }
        }
    }
    Ok(Exit::OK)
}

fn table(crons: &[Value], all_namespaces: bool, now: Timestamp) -> Table {
    let mut headings = vec!["NAME", "SCHEDULE", "ZONE", "SUSPENDED", "RUNNING", "LAST", "NEXT", "AGE"];
    if all_namespaces {
        headings.insert(0, "NAMESPACE");
    }
    let mut table = Table::new(&headings);
    for cron in crons {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ago = |value: &Value| match value.as_str().and_then(|text| text.parse().ok()) {
            Some(then) => format!("{} ago", age::since(then, now)),
            None => String::new(),
        };
        let suspended = cron["spec"]["suspend"] == true;
        let (zone, next) = match Due::of(cron) {
            Ok(due) => (due.zone.clone().unwrap_or_default(), due.times(now, 1).first().copied()),
            Err(_) => (text(&cron["spec"]["timeZone"]), None),
        };
        let next =
            next.filter(|_| !suspended).map(|time| format!("in {}", age::human(time - now.as_second())));
        let running = cron["status"]["active"].as_array().map_or(0, Vec::len);
        let mut cells = vec![
            name(cron).to_owned(),
            text(&cron["spec"]["schedule"]),
            zone,
            if suspended { "yes" } else { "no" }.to_owned(),
            running.to_string(),
            ago(&cron["status"]["lastScheduleTime"]),
            next.unwrap_or_default(),
            ago(&cron["metadata"]["creationTimestamp"]).trim_end_matches(" ago").to_owned(),
        ];
        if all_namespaces {
            cells.insert(0, text(&cron["metadata"]["namespace"]));
        }
        table.row(&cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_when_it_was_and_will_be_due() {
        let now: Timestamp = "2026-01-02T01:30:00Z".parse().unwrap();
        let crons = [
            json!({ "metadata": { "name": "nightly", "creationTimestamp": "2026-01-01T00:00:00Z" },
                    "spec": { "schedule": "0 2 * * *" },
                    "status": { "active": [{}], "lastScheduleTime": "2026-01-01T02:00:00Z" } }),
            json!({ "metadata": { "name": "off", "creationTimestamp": "2026-01-01T00:00:00Z" },
                    "spec": { "schedule": "@daily", "timeZone": "Europe/Berlin", "suspend": true } }),
        ];
        assert_eq!(
            table(&crons, false, now).to_string(),
            "NAME      SCHEDULE    ZONE            SUSPENDED   RUNNING   LAST      NEXT     AGE\n\
             nightly   0 2 * * *                   no          1         23h ago   in 30m   25h\n\
             off       @daily      Europe/Berlin   yes         0                            25h\n"
        );
    }
}
