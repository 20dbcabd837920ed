//! `windlass cron next`: when a schedule is due, on the clocks of its own place and of the user's.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use windlass::manifest::cron;
use windlass_schedule::{Schedule, split_zone};

use super::name;
use crate::args::cron::Next;
use crate::args::low::DataFormat;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::Table;
use crate::zone::{self, Clocks};
use crate::{age, clock, out};

/// The schedule of a CronJob, with all that its times depend on.
pub(super) struct Due {
    schedule: Schedule,
    /// Its zone's name; `None`: the cluster's controller's, which is taken for UTC.
    pub(super) zone: Option<String>,
    clocks: Clocks,
    /// When it was due before, or was made.
    anchor: i64,
}

impl Due {
    /// Of a schedule that somebody types: one that they will not mean is refused.
    fn new(schedule: &str, zone: Option<&str>, anchor: i64) -> Result<Due, String> {
        Due::read(schedule, zone, anchor, |text| Schedule::parse(text).map_err(|refusal| refusal.to_string()))
    }

    fn read(
        schedule: &str,
        zone: Option<&str>,
        anchor: i64,
        read: impl Fn(&str) -> Result<Schedule, String>,
    ) -> Result<Due, String> {
        // CronJobs from before 1.29 may still have their zone in the schedule.
        let (inner, schedule) = split_zone(schedule).map_err(|fault| fault.to_string())?;
        let zone = zone.or(inner);
        let clocks = Clocks(zone.map_or(Ok(TimeZone::UTC), zone::named)?);
        let schedule = read(schedule)?;
        Ok(Due { schedule, zone: zone.map(str::to_owned), clocks, anchor })
    }

    /// Of a CronJob as the server has it: what Kubernetes took is read as Kubernetes reads it.
    pub(super) fn of(cron: &Value) -> Result<Due, String> {
        let spec = &cron["spec"];
        let times = [&cron["status"]["lastScheduleTime"], &cron["metadata"]["creationTimestamp"]];
        let anchor = times.iter().find_map(|time| time.as_str()?.parse::<Timestamp>().ok());
        let anchor = anchor.unwrap_or_else(clock::now).as_second();
        let read = |text: &str| Schedule::read(text).map_err(|fault| fault.to_string());
        Due::read(spec["schedule"].as_str().unwrap_or_default(), spec["timeZone"].as_str(), anchor, read)
    }

    /// The next times.
    pub(super) fn times(&self, now: Timestamp, count: usize) -> Vec<i64> {
        self.schedule.upcoming(now.as_second(), self.anchor, &self.clocks, count)
    }
}

/// When a CronJob is due, for what is said of where it stands.
pub(crate) fn due(cron: &Value, now: Timestamp) -> cron::Due {
    let at = |unix: i64| Timestamp::from_second(unix).ok();
    match Due::of(cron) {
        Err(why) => cron::Due::Unreadable(why),
        Ok(due) => {
            let open = due
                .schedule
                .next(due.anchor, due.anchor, &due.clocks)
                .filter(|time| *time <= now.as_second());
            cron::Due::At { next: due.times(now, 1).first().copied().and_then(at), open: open.and_then(at) }
        }
    }
}

/// What is guessed about a CronJob's times, as a sentence: whose zone it goes by that names none.
pub(crate) fn guessed_zone(cron: &Value, is_engine: bool) -> Option<String> {
    let due = Due::of(cron).ok()?;
    let told = "it names no time zone: it is the cluster's controller's, which is taken for UTC";
    (due.zone.is_none() && !is_engine).then(|| told.to_owned())
}

/// When a CronJob is due first, as a sentence. The engine of this machine goes by UTC where no zone is named.
pub(super) fn first(cron: &Value, now: Timestamp, is_engine: bool) -> Option<String> {
    if cron["spec"]["suspend"] == true {
        return Some(format!("suspended; `windlass cron resume {}` starts it", name(cron)));
    }
    let due = Due::of(cron).ok()?;
    let first = *due.times(now, 1).first()?;
    let zone = match due.zone {
        None if !is_engine => ", if the cluster's controller goes by UTC",
        _ => "",
    };
    let (at, wait) = (zone::shown(first, &due.clocks.0), age::human(first - now.as_second()));
    Some(format!("first due {at}, in {wait}{zone}"))
}

/// Prints them.
pub(super) async fn run(options: &Next, call: Call<'_>) -> Outcome {
    let now = clock::now();
    let (due, suspended, is_engine) = match &options.schedule {
        Some(schedule) => (Due::new(schedule, options.timezone.as_deref(), now.as_second()), false, false),
        None => {
            let session = call.open().await?;
            let cron = session.manager.cron(options.cron.as_deref().unwrap_or_default()).await?;
            (Due::of(&cron), cron["spec"]["suspend"] == true, session.is_engine)
        }
    };
    let place = options.cron.as_deref().unwrap_or("cron next");
    let due = due.map_err(|why| Failure::new(place, why))?;
    let times = due.times(now, options.count as usize);
    let notes = call.notes();
    if suspended {
        notes.say(&format!("{place} is suspended: it would be due then; `windlass cron resume {place}`"));
    }
    if due.zone.is_none() && options.schedule.is_none() {
        notes.say(&match is_engine {
            true => format!("{place} names no time zone: the engine goes by UTC"),
            false => {
                format!(
                    "{place} names no time zone: it is the cluster's controller's, which is taken for UTC"
                )
            }
        });
    }
    if times.is_empty() {
        return Err(Failure::new(place, "is not due within five years"));
    }
    let own = zone::of_user(call.env);
    out::data(&match options.output {
        None => table(&due, &times, &own, now).to_string(),
        Some(format) => {
            let times: Vec<String> = times.iter().map(|time| zone::rfc3339(*time, &due.clocks.0)).collect();
            let data = json!({ "timeZone": due.zone, "times": times });
            match format {
                DataFormat::Json => out::json(&data)?,
                DataFormat::Yaml => out::yaml(&data)?,
            }
        }
    })?;
    Ok(Exit::OK)
}

fn table(due: &Due, times: &[i64], own: &TimeZone, now: Timestamp) -> Table {
    let mut table = Table::new(&["THERE", "HERE", "IN"]);
    for time in times {
        let wait = age::human(time - now.as_second());
        table.row(&[zone::shown(*time, &due.clocks.0), zone::shown(*time, own), wait]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_what_the_cluster_says() {
        let cron = |schedule: &str| {
            json!({ "metadata": { "name": "a", "creationTimestamp": "2026-01-01T00:00:30Z" },
                    "spec": { "schedule": schedule, "timeZone": "Asia/Kolkata" } })
        };
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let due = Due::of(&cron("0 9 * * *")).unwrap();
        let shown = |time: i64| zone::shown(time, &due.clocks.0);
        assert_eq!(shown(due.times(now, 1)[0]), "Fri 2026-01-02 09:00 +05:30");
        let every = Due::of(&cron("@every 1h")).unwrap().times(now, 1);
        assert_eq!(zone::rfc3339(every[0], &TimeZone::UTC), "2026-01-01T12:00:30+00:00");
        let mut old = cron("CRON_TZ=Europe/Berlin 0 9 * * *");
        old["spec"]["timeZone"] = Value::Null;
        assert_eq!(Due::of(&old).unwrap().zone.as_deref(), Some("Europe/Berlin"));
        assert!(first(&cron("0 9 * * *"), now, false).unwrap().contains("09:00 +05:30, in 15h"));
        old["spec"]["schedule"] = "0 9 * * *".into();
        assert!(guessed_zone(&old, false).is_some_and(|told| told.contains("taken for UTC")));
        assert_eq!(guessed_zone(&old, true), None);
        assert_eq!(guessed_zone(&cron("0 9 * * *"), false), None);
        // Kubernetes takes it, and makes jobs by it.
        assert!(matches!(super::due(&cron("@every 500ms"), now), cron::Due::At { next: Some(_), .. }));
        assert!(Due::new("@every 500ms", None, 0).is_err());
        let mut suspended = cron("@daily");
        suspended["spec"]["suspend"] = true.into();
        assert!(first(&suspended, now, true).unwrap().contains("cron resume a"));
        old["spec"]["schedule"] = "@daily".into();
        let doubt = |is_engine| first(&old, now, is_engine).unwrap().contains("controller goes by UTC");
        assert_eq!((doubt(false), doubt(true)), (true, false));
    }
}
