//! What is said of a job, whatever the cluster says of it.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::array::TaskMap;
use crate::tasks::{TaskTable, task_count};
use crate::{Seen, marks, observe, observe_gone};

/// What a cluster may answer.
#[derive(Deserialize)]
struct Answer {
    job: Job,
    #[serde(default)]
    pods: Vec<Pod>,
    #[serde(default)]
    events: Vec<Event>,
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Option<T> {
    let value: Value = serde_json::from_slice(data).ok()?;
    serde_json::from_value(value).ok()
}

/// A job with its pods and events: there is a verdict in bounded words, the same each time; one that has ended does not
/// run, and has ended also when it is gone.
pub fn observations(data: &[u8]) {
    let Some(Answer { job, pods, events }) = read(data) else { return };
    for (pods, events) in [
        (Seen::All(&pods[..]), Seen::All(&events[..])),
        (Seen::Forbidden, Seen::Forbidden),
        (Seen::NotAsked, Seen::NotAsked),
    ] {
        let status = observe(&job, pods, events);
        let words = serde_json::to_string(&status).expect("it is JSON");
        assert!(words.len() <= (64 << 10) + 64 * data.len(), "{} bytes of words", words.len());
        assert_eq!(serde_json::to_string(&observe(&job, pods, events)).expect("it is JSON"), words);
        assert!(!status.phase.is_final() || status.exit_code.is_some(), "{words}");
        let gone = observe_gone(&job, pods);
        assert!(gone.phase.is_final() && gone.exit_code.is_some() && !gone.runs);
    }
    let mut table = TaskTable::new(&job);
    pods.iter().for_each(|pod| table.see(pod));
    let failed = table.failed_pods(10);
    assert!(failed.len() <= 10);
    let _ = task_count(&job);
    let annotations = job.metadata.annotations.iter().flatten();
    for (_, text) in annotations.filter(|(name, _)| *name == marks::TASKS) {
        let _ = TaskMap::read(text);
    }
}
