//! What happens in a history: what clients ask for, how processes end, what time and misfortune do; and the rest
//! that must follow when it is over.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use windlass_apiserver::kind::{Kind, Propagation};
use windlass_apiserver::kinds;
use windlass_apiserver::registry::{DeleteOptions, Door};
use windlass_apiserver::world::World;
use windlass_runner::runtime::{Ended, Key as RunKey};

use super::{Draft, HAPPENINGS, Kill, ROUNDS, Sim, jobs};

impl Sim {
    /// The whole history.
    pub(super) async fn play(&mut self) -> Result<(), String> {
        for _ in 0..HAPPENINGS {
            self.happen().await;
            self.check()?;
        }
        self.rest().await
    }

    async fn happen(&mut self) {
        match self.rng.below(100) {
            0..8 => self.create().await,
            8..12 => self.change_job().await,
            12..14 => self.delete_job().await,
            14..17 => self.delete_pod().await,
            17..30 => self.end_a_run(),
            30..33 => self.begin_a_run(),
            33..35 => self.lose_a_run(),
            35..37 => self.runtime.repeat(),
            37..47 => self.time_passes(),
            47..50 => self.restart(),
            _ => {
                let kill = match self.rng.below(20) {
                    0 => Kill::BeforeCommit,
                    1 => Kill::AfterCommit,
                    _ => Kill::Never,
                };
                let conflict = self.rng.chance(10);
                self.round(kill, conflict).await;
            }
        }
    }

    async fn create(&mut self) {
        self.named += 1;
        let is_cron = self.rng.chance(10);
        let name = format!("{}{}", if is_cron { "cron" } else { "job" }, self.named);
        let (kind, object) = if is_cron {
            (kind("CronJob"), jobs::cron_job(&name, &mut self.rng))
        } else {
            (kind("Job"), jobs::job(&name, &mut self.rng))
        };
        self.tell(format!("a client creates {name}: {}", object["spec"]));
        let made = self.registry.create(kind, Some("default"), object, false).await;
        match made {
            Ok(made) if !is_cron => self.seen.acknowledged(&made),
            Ok(_) => {}
            Err(cause) => self.tell(format!("it is refused: {}", cause.message)),
        }
    }

    fn a_name(&mut self, prefix: &str) -> Option<String> {
        let there = self.stored(prefix);
        self.rng.pick(&there).map(|object| text(object, "name").to_owned())
    }

    async fn change_job(&mut self) {
        let Some(name) = self.a_name("/jobs.batch/") else { return };
        let parallelism = self.rng.below(4);
        let suspends = self.rng.chance(60);
        self.tell(format!(
            "a client changes {name}: {}",
            if suspends { "suspend".to_owned() } else { format!("parallelism {parallelism}") }
        ));
        let change = move |old: &Value| {
            let mut new = old.clone();
            if suspends {
                new["spec"]["suspend"] = json!(old["spec"]["suspend"] != true);
            } else {
                new["spec"]["parallelism"] = json!(parallelism);
            }
            Ok(new)
        };
        // It may have gone, or be one that may not be changed so.
        let _ = self.update("Job", &name, change).await;
    }

    async fn update(
        &self,
        of: &str,
        name: &str,
        change: impl Fn(&Value) -> Result<Value, windlass_apiserver::error::ApiError> + Send + Sync + 'static,
    ) -> bool {
        let change = Arc::new(change);
        self.registry.update(kind(of), Some("default"), name, Door::Main, false, change).await.is_ok()
    }

    async fn delete_job(&mut self) {
        let Some(name) = self.a_name("/jobs.batch/") else { return };
        let all = [Propagation::Background, Propagation::Foreground, Propagation::Orphan];
        let propagation = self.rng.pick(&all).copied();
        self.tell(format!("a client deletes {name}: {propagation:?}"));
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        let gone = self.registry.delete(kind("Job"), Some("default"), &name, &options).await;
        if let Ok(gone) = gone {
            self.seen.deleted(text(gone.object(), "uid"));
        }
    }

    async fn delete_pod(&mut self) {
        let Some(name) = self.a_name("/pods/") else { return };
        self.tell(format!("a client deletes pod {name}"));
        let _ = self.registry.delete(kind("Pod"), Some("default"), &name, &DeleteOptions::default()).await;
    }

    /// Somebody writes an object that the engine is about to write.
    pub(super) async fn disturb(&mut self, draft: &Draft) {
        let keys: Vec<_> = draft.touched("/").cloned().collect();
        let Some(key) = self.rng.pick(&keys) else { return };
        let of = match key.split('/').nth(1) {
            Some("jobs.batch") => "Job",
            Some("pods") => "Pod",
            _ => return,
        };
        let name = key.rsplit('/').next().unwrap_or_default().to_owned();
        let mark = self.rng.next().to_string();
        let change = move |old: &Value| {
            let mut new = old.clone();
            new["metadata"]["annotations"]["disturbed"] = json!(mark);
            Ok(new)
        };
        if self.update(of, &name, change).await {
            self.tell(format!("a client writes {name} in between"));
        }
    }

    fn a_run(&mut self) -> Option<RunKey> {
        let running = self.runtime.running();
        self.rng.pick(&running).cloned()
    }

    fn end_a_run(&mut self) {
        let Some(key) = self.a_run() else { return };
        let ended = match self.rng.below(10) {
            0 => Ended::Signal(9),
            1 | 2 => Ended::Code(1),
            3 => Ended::Code(jobs::IGNORED),
            _ => Ended::Code(0),
        };
        self.tell(format!("{key:?} ends: {ended:?}"));
        self.runtime.end(&key, ended);
    }

    fn begin_a_run(&mut self) {
        let starts = self.runtime.starts();
        if let Some(start) = self.rng.pick(&starts) {
            self.runtime.begin(&start.key);
        }
    }

    fn lose_a_run(&mut self) {
        let Some(key) = self.a_run() else { return };
        self.tell(format!("{key:?} is lost"));
        self.runtime.lose(&key, "its keeper died");
    }

    fn time_passes(&mut self) {
        let by = match self.rng.below(20) {
            0 => SignedDuration::from_hours(1 + i64::try_from(self.rng.below(30)).unwrap_or(0)),
            1 => SignedDuration::from_secs(-i64::try_from(self.rng.below(300)).unwrap_or(0)),
            2..8 => SignedDuration::from_secs(i64::try_from(self.rng.below(700)).unwrap_or(0)),
            _ => SignedDuration::from_millis(i64::try_from(self.rng.below(12_000)).unwrap_or(0)),
        };
        self.tell(format!("the clock is set by {by:?}"));
        self.clock.shift(by);
    }

    /// Fate ceases: processes end well, time passes, and everything must come to its end.
    async fn rest(&mut self) -> Result<(), String> {
        self.tell("fate ceases");
        for cron in self.stored("/cronjobs.batch/") {
            let suspend = |old: &Value| {
                let mut new = old.clone();
                new["spec"]["suspend"] = json!(true);
                Ok(new)
            };
            self.update("CronJob", text(&cron, "name"), suspend).await;
        }
        for _ in 0..ROUNDS {
            let is_busy = self.round(Kill::Never, false).await;
            self.check()?;
            if is_busy {
                continue;
            }
            self.check_idle()?;
            if self.goes_on() {
                continue;
            }
            self.check_rest()?;
            return self.is_final().await;
        }
        Err(format!("it has not come to rest after {ROUNDS} rounds"))
    }

    /// What happens when the engine has nothing to do: a process ends, or time passes. False if nothing does.
    fn goes_on(&mut self) -> bool {
        for start in self.runtime.starts() {
            self.runtime.begin(&start.key);
        }
        if let Some(key) = self.a_run() {
            self.tell(format!("{key:?} ends well"));
            self.runtime.end(&key, Ended::Code(0));
            return true;
        }
        let told = self.runtime_events();
        if !told.is_empty() {
            self.tick.absorb_events(told);
            return true;
        }
        let Some(next) = self.tick.timers.next() else { return false };
        let wait = next.duration_since(self.clock.now());
        self.clock.shift(if wait.is_positive() { wait } else { SignedDuration::from_millis(1) });
        true
    }

    /// At rest a second look and a new engine change nothing.
    async fn is_final(&mut self) -> Result<(), String> {
        let before = (self.stored("/jobs.batch/"), self.stored("/pods/"));
        self.tick.dirty.extend(self.tick.cache.held_of("Job").map(|(key, _)| key.clone()));
        self.tick.dirty.extend(self.tick.cache.held_of("Pod").map(|(key, _)| key.clone()));
        for engine in ["the same engine", "the next engine"] {
            for _ in 0..ROUNDS {
                if !self.round(Kill::Never, false).await {
                    break;
                }
            }
            let after = (self.stored("/jobs.batch/"), self.stored("/pods/"));
            if before != after {
                return Err(format!("at rest, {engine} changes something:\n{before:?}\n{after:?}"));
            }
            self.restart();
        }
        Ok(())
    }
}

fn kind(of: &str) -> &'static Kind {
    let version = if of == "Pod" { "v1" } else { "batch/v1" };
    kinds::by_kind(version, of).expect("a kind that is served")
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}
