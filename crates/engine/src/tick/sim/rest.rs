//! The rest that must follow when fate has ceased: what others hold is let go, processes end well, time passes.

use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use serde_json::{Value, json};
use windlass_runner::runtime::Ended;

use super::check::Author;
use super::meddling::HOLD;
use super::read::*;
use super::{Kill, ROUNDS, Sim};

impl Sim {
    /// Everything must come to its end.
    pub(super) async fn rest(&mut self) -> Result<(), String> {
        self.tell("fate ceases");
        self.ceased.store(true, Ordering::Relaxed);
        self.let_go().await;
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
        let next = [self.tick.timers.next(), self.tick.fates.next()];
        Err(format!(
            "it has not come to rest after {ROUNDS} rounds; next is {next:?}, to be looked at {:?}, to be collected {:?}",
            self.tick.dirty, self.tick.garbage
        ))
    }

    /// CronJobs start nothing more, nothing keeps pods away or objects from going.
    async fn let_go(&mut self) {
        let keys: Vec<_> = self.mirror.objects().keys().cloned().collect();
        for key in keys {
            let what = key.split('/').nth(1).unwrap_or_default().to_owned();
            if !["cronjobs.batch", "nodes", "resourcequotas", "jobs.batch", "pods"].contains(&what.as_str()) {
                continue;
            }
            let resumes = self.rng.chance(50);
            let change = move |old: &Value| {
                let mut new = old.clone();
                match what.as_str() {
                    "cronjobs.batch" => new["spec"]["suspend"] = json!(true),
                    "nodes" => {
                        if let Some(spec) = new["spec"].as_object_mut() {
                            spec.remove("taints");
                            spec.remove("unschedulable");
                        }
                    }
                    "resourcequotas" => {
                        let pods = amount(&old["spec"]["hard"]["pods"]).max(1).to_string();
                        new["spec"]["hard"]["pods"] = json!(pods);
                    }
                    "jobs.batch" if resumes && old["spec"]["suspend"] == true => {
                        new["spec"]["suspend"] = json!(false);
                    }
                    _ => {}
                }
                if let Some(Value::Array(held)) = new["metadata"].get_mut("finalizers") {
                    held.retain(|one| one != HOLD);
                }
                Ok(new)
            };
            self.update(&key, change).await;
        }
        self.observe(Author::Client);
    }

    /// What happens when the engine has nothing to do: a process ends, or time passes. False if nothing does.
    fn goes_on(&mut self) -> bool {
        self.runtime.begin_all();
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
        let next = [self.tick.timers.next(), self.tick.fates.next()].into_iter().flatten().min();
        let Some(next) = next else { return false };
        let wait = next.duration_since(self.now());
        self.clock.shift(if wait.is_positive() { wait } else { SignedDuration::from_millis(1) });
        true
    }

    /// At rest a second look and a new engine change nothing.
    async fn is_final(&mut self) -> Result<(), String> {
        let before = self.mirror.objects().clone();
        for kind in ["Job", "Pod", "CronJob", "Namespace", "ResourceQuota"] {
            self.tick.dirty.extend(self.tick.cache.held_of(kind).map(|(key, _)| key.clone()));
        }
        for engine in ["the same engine", "the next engine"] {
            for _ in 0..ROUNDS {
                if !self.round(Kill::Never, false).await {
                    break;
                }
            }
            self.check()?;
            let after = self.mirror.objects();
            let differs = |key: &&windlass_store::Key| before.get(*key) != after.get(*key);
            if let Some(key) = before.keys().chain(after.keys()).find(differs) {
                return Err(format!(
                    "at rest, {engine} changes {key}:\n{:?}\n{:?}",
                    before.get(key),
                    after.get(key)
                ));
            }
            self.restart();
        }
        Ok(())
    }
}
