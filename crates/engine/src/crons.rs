//! Carries out what the CronJob controller plans: the Job that is due, those that go, and the status, in one transaction.

use std::sync::Arc;

use windlass_apiserver::registry::{DeleteOptions, Mark, Object, mark};
use windlass_apiserver::{kind::Propagation, zones};
use windlass_control::cron::{self, Create, Known};
use windlass_control::event::Event;
use windlass_control::view::{CronJob, CronJobStatus, Job};
use windlass_store::Key;

use crate::cache::{Ripple, controller_uid};
use crate::draft::Draft;
use crate::events::Note;
use crate::intake::JOBS;
use crate::tick::Tick;
use crate::views::View;

/// Where the CronJobs' keys begin.
pub(crate) const CRONS: &str = "/cronjobs.batch/";

const CONTROLLER: &str = "cronjob-controller";

impl Tick {
    /// One look at a CronJob.
    pub(crate) fn cron(&mut self, draft: &mut Draft, key: &Key) {
        let Some(View::Cron(cron)) = draft.view(&self.cache, key).cloned() else { return };
        if self.draining() {
            return;
        }
        let jobs = self.jobs_of_cron(draft, &cron);
        let taken = |name: &str| {
            let key = job_key(&cron, name);
            draft.touches(&key) || self.cache.uid_of(&key).is_some()
        };
        let plan = cron::plan(&cron, &jobs, &Known { taken: &taken, zone: &zone }, self.world.now());
        self.timers.set(key, plan.wake_at);
        if plan.wake_at.is_none() {
            // One that is never due needs no engine: whatever changes it is a request.
            self.cache.rests(key);
        }
        for job in &plan.delete {
            self.delete_job(draft, &job_key(&cron, &job.name));
        }
        if plan.create.is_some()
            && let Some(until) = self.refusals.holds(key, self.world.now())
        {
            self.timers.set(key, plan.wake_at.into_iter().chain([until]).min());
            return;
        }
        let about = self.about(draft, key);
        let mut told = plan.events;
        let mut status = plan.status;
        if let Some(create) = plan.create.filter(|_| self.is_open(&cron.metadata.namespace)) {
            let created = status.get_or_insert_with(|| cron.status.clone());
            told.extend(self.create_job(draft, key, &about, &create, created));
        }
        for event in told {
            let reason = event.reason.to_owned();
            self.tell_of_cron(draft, &about, event.warning, reason, event.message);
        }
        if let Some(status) = status.filter(|status| *status != cron.status) {
            // A status of plain fields always has a JSON form.
            let written = serde_json::to_value(&status).unwrap_or_default();
            draft.edit(&self.cache, key, |cron| cron.set_status(written));
            draft.show(key, View::Cron(Arc::new(CronJob { status, ..(*cron).clone() })));
        }
    }

    /// Adds a Job that is due, and notes it in the status; what is told of it.
    fn create_job(
        &mut self,
        draft: &mut Draft,
        key: &Key,
        about: &Object,
        create: &Create,
        status: &mut CronJobStatus,
    ) -> Option<Event> {
        let kind = self.cache.kind_of(JOBS)?;
        let prepared = self.registry.prepare_checked(kind, create.job.clone()).map(Object::from);
        let allowed = prepared.and_then(|job| match self.refusal(draft, kind, &job) {
            None => Ok(job),
            Some(why) => Err(why),
        });
        match allowed {
            Ok(job) => {
                self.refusals.forget(key);
                create.record(status, job.text("uid"));
                let made = draft.insert(kind, job);
                self.account(draft, &made);
                Some(create.event())
            }
            Err(cause) => {
                let message = format!("Error creating job: {}", cause.message);
                self.tell_of_cron(draft, about, true, "FailedCreate".to_owned(), message);
                let until = self.refusals.refused(key, self.world.now());
                self.timers.set(key, Some(until));
                None
            }
        }
    }

    /// Deletes a Job as the draft, or the store, has it; its pods go after it.
    fn delete_job(&mut self, draft: &mut Draft, key: &Key) {
        let Some(kind) = self.cache.kind_of(JOBS) else { return };
        if draft.current(&self.cache, key).is_none() {
            if let Some(job) = self.stored(key) {
                self.delete_object(draft, kind, key, job, Propagation::Background);
            }
            return;
        }
        let Some(job) = draft.current(&self.cache, key).map(Object::whole) else { return };
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        match mark(kind, &job, &options, self.world.now()) {
            Mark::Gone => draft.remove(&self.cache, key),
            Mark::Stays(marked) => draft.edit(&self.cache, key, |job| *job = (*marked).into()),
        }
    }

    /// The Jobs that a CronJob controls, finished ones too, as the draft has them.
    fn jobs_of_cron(&self, draft: &Draft, cron: &CronJob) -> Vec<Arc<Job>> {
        let uid = &cron.metadata.uid;
        let own = self.cache.dependents_of(uid).filter(|key| key.starts_with(JOBS));
        let view = |key: &Key| match draft.touches(key) {
            true => match draft.view(&self.cache, key)? {
                View::Job(job) => Some(job.clone()),
                _ => None,
            },
            false => self.job_view(key),
        };
        own.filter_map(view).filter(|job| controller_uid(&job.metadata) == uid).collect()
    }

    /// Whether a namespace takes new objects.
    pub(crate) fn is_open(&self, namespace: &str) -> bool {
        let held = self.cache.held(&format!("/namespaces/{namespace}"));
        held.is_some_and(|held| held.view.meta().deletion_timestamp.is_none())
    }

    fn tell_of_cron(
        &mut self,
        draft: &mut Draft,
        about: &Object,
        warning: bool,
        reason: String,
        message: String,
    ) {
        self.note(draft, about, &Note { warning, reason, message, field: None, component: CONTROLLER });
    }

    /// A CronJob as it is known, before a change of it is taken in.
    pub(crate) fn cron_before(&self, key: &Key) -> Option<Arc<CronJob>> {
        if !key.starts_with(CRONS) {
            return None;
        }
        match &self.cache.held(key)?.view {
            View::Cron(cron) => Some(cron.clone()),
            _ => None,
        }
    }

    /// One whose schedule was changed is looked at when it is due by the new one, and not now: nothing is made up for.
    pub(crate) fn cron_changed(&mut self, key: &Key, before: &CronJob, ripple: &mut Ripple) {
        let Some(View::Cron(cron)) = self.cache.held(key).map(|held| held.view.clone()) else { return };
        if before.metadata.uid != cron.metadata.uid || !cron::is_rescheduled(before, &cron) {
            return;
        }
        let known = Known { taken: &|_| false, zone: &zone };
        if let Some(at) = cron::rescheduled(&cron, &known, self.world.now()) {
            ripple.dirty.retain(|other| other != key);
            self.timers.set(key, Some(at));
        }
    }
}

fn job_key(cron: &CronJob, name: &str) -> Key {
    format!("{JOBS}{}/{name}", cron.metadata.namespace).into()
}

fn zone(name: &str) -> Result<jiff::tz::TimeZone, String> {
    zones::load(name).map_err(|why| why.to_string())
}
