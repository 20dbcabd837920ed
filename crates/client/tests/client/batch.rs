//! Many jobs at once, and batches of tasks that need one another: each job once, in any weather, also begun anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::manifest::{Base, Edit, JobEdit, Manifest, make};
use windlass::model::{Batch, BatchLimits, JobRequest, Place, SubmissionId, TaskState};
use windlass::{BatchEvent, BatchOptions, BatchTask, BulkJob, Error, SubmitOptions};

use crate::chance::Chance;
use crate::model::Model;
use crate::support::{JOBS, Reply, Server, refusal};

fn manifest(name: &str) -> Manifest {
    let request = JobRequest::new(vec![name.to_owned()], Place::Image("busybox".to_owned()));
    let edits = [
        Edit::Job(JobEdit::Name(name.to_owned())),
        Edit::Job(JobEdit::Label("windlass.dev/batch".to_owned(), "b".to_owned())),
    ];
    make(&Base::Request(Box::new(request)), &edits).unwrap()
}

fn id(number: usize) -> SubmissionId {
    SubmissionId::parse(&format!("id-{number}")).unwrap()
}

fn task(number: usize) -> BatchTask {
    BatchTask { id: id(number), manifest: manifest(&format!("task-{number}")) }
}

fn options(active: Option<usize>) -> BatchOptions {
    BatchOptions {
        selector: "windlass.dev/batch=b".to_owned(),
        limits: BatchLimits { active, sends: None },
        wait: true,
        ..BatchOptions::default()
    }
}

/// Ends each job that comes, after a while: task 3 fails, the others succeed.
async fn cluster(model: Model) {
    let mut begun = BTreeMap::new();
    let mut news = model.news.subscribe();
    loop {
        let jobs: Vec<String> = model.state().jobs.keys().cloned().collect();
        for job in jobs {
            if begun.contains_key(&job) {
                continue;
            }
            let (kind, count) =
                if job == "task-3" { ("Failed", "failed") } else { ("Complete", "succeeded") };
            let (model, name, pause) = (model.clone(), job.clone(), model.trouble.chance.millis(0, 20_000));
            let life = tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                let conditions =
                    json!([{ "type": kind, "status": "True", "reason": "BackoffLimitExceeded" }]);
                model.patch("jobs", &name, json!({ "status": { count: 1, "conditions": conditions } }));
            });
            begun.insert(job, life);
        }
        news.changed().await.unwrap();
    }
}

/// 0 to 3 stand alone, 4 needs 0 and 1, 5 needs 4, 6 needs 3, 7 needs 6, 8 needs 2 and 5, 9 stands alone.
fn needs() -> Batch {
    let needs: [&[usize]; 10] = [&[], &[], &[], &[], &[0, 1], &[4], &[3], &[6], &[2, 5], &[]];
    Batch::new(needs.iter().map(|needed| needed.to_vec()).collect()).unwrap()
}

fn is_over(model: &Model, job: &str) -> bool {
    model.state().jobs.get(job).is_some_and(|job| !job["status"]["conditions"].is_null())
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_left_and_begun_anew_submits_each_task_once_and_in_order() {
    for seed in 0..40 {
        let chance = Chance::new(seed);
        let model = Model::new(&chance);
        let manager = model.manager();
        let weather =
            (tokio::spawn(model.clone().storm(30, 10, 15_000)), tokio::spawn(cluster(model.clone())));
        let (mut runs, mut order) = (0, Vec::new());
        let states = loop {
            runs += 1;
            let mut run = manager.run_batch(needs(), (0..10).map(task).collect(), options(Some(3)));
            // It is left after a few events, as by `kill -9`, again and again.
            let mut left = if runs < 8 { 1 + chance.below(6) } else { u64::MAX };
            let states = loop {
                match tokio::time::timeout(Duration::from_secs(3600), run.next()).await.unwrap() {
                    None => break Some(run.states().to_vec()),
                    Some(Err(error)) => {
                        assert!(error.is_of_the_cluster(), "seed {seed}: {error}");
                        break None;
                    }
                    Some(Ok(BatchEvent::Submitted(task, _))) => {
                        for needed in needs().needs(task) {
                            assert!(is_over(&model, &format!("task-{needed}")), "seed {seed}, task {task}");
                        }
                        order.push(task);
                    }
                    Some(Ok(BatchEvent::Refused(task, error))) => panic!("seed {seed}: {task}: {error}"),
                    Some(Ok(_)) => {}
                }
                let active = run.states().iter().filter(|state| **state == TaskState::Active).count();
                assert!(active <= 3, "seed {seed}: {active} at a time");
                left -= 1;
                if left == 0 {
                    break None;
                }
            };
            if let Some(states) = states {
                break states;
            }
            assert!(runs < 100, "seed {seed}");
        };
        let ends = states.iter().enumerate().map(|(task, state)| match (task, state) {
            (3, TaskState::Failed) | (6 | 7, TaskState::Unsent) => true,
            (_, state) => *state == TaskState::Succeeded,
        });
        assert!(ends.into_iter().all(|is_right| is_right), "seed {seed}: {states:?}");
        let mut made = model.state().made.clone();
        made.sort();
        let expected: Vec<String> =
            [0, 1, 2, 3, 4, 5, 8, 9].iter().map(|task| format!("id-{task}")).collect();
        assert_eq!(made, expected, "seed {seed} in {runs} runs: {order:?}");
        weather.0.abort();
        weather.1.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_deleted_while_it_runs_has_failed_and_is_not_sent_again() {
    let chance = Chance::new(1);
    let model = Model::new(&chance);
    let manager = model.manager();
    let batch = Batch::new(vec![vec![], vec![0]]).unwrap();
    let mut run = manager.run_batch(batch, vec![task(0), task(1)], options(None));
    let mut events = Vec::new();
    while let Some(event) = run.next().await {
        let event = event.unwrap();
        if matches!(event, BatchEvent::Submitted(..)) {
            model.put("jobs", "task-0", None);
        }
        events.push(format!("{event:?}").split(['(', ' ']).next().unwrap().to_owned());
    }
    assert_eq!(events, ["Found", "Submitted", "Ended", "LeftOut"]);
    assert_eq!(run.states(), [TaskState::Failed, TaskState::Unsent]);
    assert_eq!(model.state().made.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_sees_to_be_done_gets_no_job_and_a_stopped_run_sends_no_more() {
    let chance = Chance::new(2);
    let model = Model::new(&chance);
    let manager = model.manager();
    let batch = Batch::new(vec![vec![], vec![0], vec![]]).unwrap();
    let how = BatchOptions { is_done: Some(Arc::new(|task| task == 0)), wait: false, ..options(Some(1)) };
    let mut run = manager.run_batch(batch, (0..3).map(task).collect(), how);
    let mut submitted = Vec::new();
    while let Some(event) = run.next().await {
        if let BatchEvent::Submitted(task, _) = event.unwrap() {
            submitted.push(task);
            run.stop();
        }
    }
    assert_eq!((submitted.len(), model.state().made.len()), (1, 1));
    assert_eq!(run.states()[0], TaskState::Succeeded);
    let found = manager.find_batch(&[task(0), task(1), task(2)], "windlass.dev/batch=b").await.unwrap();
    assert_eq!((found.len(), found[0].task, found[0].is_same), (1, submitted[0], true));
}

fn bulk(count: usize) -> Vec<BulkJob> {
    let job = |number| BulkJob { manifest: manifest(&format!("job-{number}")), id: id(number), is_new: true };
    (0..count).map(job).collect()
}

#[tokio::test(start_paused = true)]
async fn many_jobs_are_made_once_each_though_answers_are_lost() {
    for seed in 0..20 {
        let chance = Chance::new(seed);
        let model = Model::new(&chance);
        let manager = model.manager();
        *model.trouble.percent.lock().unwrap() = 40;
        let mut run = manager.submit_all(bulk(100), SubmitOptions::default());
        let mut answered = BTreeMap::new();
        while let Some((number, answer)) = run.next().await {
            let submitted = answer.unwrap_or_else(|error| panic!("seed {seed}, job {number}: {error}"));
            assert!(submitted.created);
            assert!(answered.insert(number, submitted.name).is_none());
        }
        let made = model.state().made.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!((answered.len(), made, model.state().made.len()), (100, 100, 100), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_does_not_stop_the_others_and_a_cluster_that_is_gone_does() {
    let server = Server::new();
    let route = format!("POST {JOBS}");
    server.on(
        &route,
        Reply::Of(Box::new(|seen| match seen.body["metadata"]["name"].as_str() {
            Some("job-3") => refusal(422, "Invalid", "spec.template: Required value"),
            Some("job-40") => refusal(401, "Unauthorized", "the token has expired"),
            _ => Reply::Json(201, seen.body.clone()),
        })),
    );
    let mut run = server.manager().submit_all(bulk(1000), SubmitOptions::default());
    let (mut good, mut bad) = (0, Vec::new());
    while let Some((number, answer)) = run.next().await {
        match answer {
            Ok(_) => good += 1,
            Err(error) => bad.push((number, error)),
        }
    }
    bad.sort_by_key(|(number, _)| *number);
    assert!(matches!(&bad[..], [(3, Error::Invalid { .. }), (40, Error::Unauthorized { .. })]), "{bad:?}");
    assert!((39..60).contains(&good), "those before it, and those that were on their way: {good}");
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_waits_for_jobs_of_the_batch_and_is_refused_without_any() {
    for (seed, quota) in [(1, 2), (2, 5), (3, 0)] {
        let chance = Chance::new(seed);
        let model = Model::new(&chance);
        model.state().quota = Some(quota);
        let life = tokio::spawn(cluster(model.clone()));
        let batch = Batch::new(vec![Vec::new(); 30]).unwrap();
        let manager = model.manager();
        let mut run = manager.run_batch(batch, (0..30).map(task).collect(), options(None));
        let (mut refused, mut submitted, mut told) = (0, 0, 0);
        while let Some(event) =
            tokio::time::timeout(Duration::from_secs(3600), run.next()).await.expect("it goes on")
        {
            match event.unwrap() {
                BatchEvent::Refused(_, error) => {
                    assert!(matches!(error, Error::OverQuota { .. }), "{error}");
                    refused += 1;
                }
                BatchEvent::Submitted(..) => submitted += 1,
                BatchEvent::NoRoom(_) => told += 1,
                _ => {}
            }
        }
        life.abort();
        let expected = if quota == 0 { (30, 0, 0) } else { (0, 30, 1) };
        assert_eq!((refused, submitted, told), expected, "quota {quota}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_not_there_is_told_once_and_a_policys_no_for_each() {
    let route = format!("POST {JOBS}");
    for (reply, most) in [
        ((404, "NotFound", "namespaces \"lab\" not found"), 16),
        (
            (
                403,
                "Forbidden",
                "jobs.batch is forbidden: User \"me\" cannot create resource \"jobs\" in API group \"batch\"",
            ),
            16,
        ),
        ((403, "Forbidden", "admission webhook \"w\" denied the request: no"), 100),
    ] {
        let server = Server::new();
        server.on(&route, Reply::Of(Box::new(move |_| refusal(reply.0, reply.1, reply.2))));
        let mut run = server.manager().submit_all(bulk(100), SubmitOptions::default());
        let mut answers = 0;
        while run.next().await.is_some() {
            answers += 1;
        }
        assert!(if most == 100 { answers == 100 } else { answers <= most }, "{answers}: {reply:?}");
    }
}
