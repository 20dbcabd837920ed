//! Answers of a cluster: refusals and warnings, and objects that are read without what nobody looks at.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use windlass_manifest::{Seen, observe};

use crate::patience::Patience;
use crate::slim::{SlimJob, SlimPod};
use crate::transport::fuzz::{Fault, warnings};

/// So long is a request tried again.
const BUDGET: Duration = Duration::from_secs(30);

/// Two bytes of a code, headers a line each, an empty line and a body: a refusal has words of bounded length and is
/// waited for within the budget; a warning is heard as it was said.
pub fn refusals(data: &[u8]) {
    let Some((code, rest)) = data.split_first_chunk::<2>() else { return };
    let code = u16::from_le_bytes(*code);
    let end = rest.windows(2).position(|window| window == b"\n\n");
    let (head, body) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 2..]));
    let headers = headers(head);
    let fault = Fault::of_answer(code, &headers, body);
    assert!(!fault.message.is_empty() && fault.message.len() <= 64 + 3 * data.len());
    assert!(code == 0 || fault.code == code, "{fault:?}");
    assert!(!(fault.is_conflict() && fault.is_already_exists()) && (!fault.was_refused() || fault.code == 0));
    let pause = Patience::new(BUDGET).pause(tokio::time::Instant::now().into_std(), &fault, 0);
    assert!(pause.is_none_or(|pause| pause <= BUDGET && pause >= fault.retry_after.unwrap_or_default()));
    for heard in warnings(&headers) {
        let said = heard.replace('\\', "\\\\").replace('"', "\\\"");
        let mut again = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("299 - \"{said}\"")).expect("it came in a header");
        again.append(http::header::WARNING, value);
        assert_eq!(warnings(&again), [heard]);
    }
}

/// The lines of an input that are headers.
fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

/// A job and its pods: what can be read whole can be read without what nobody looks at, and the same is said of it.
pub fn slim_objects(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let Ok(mut job) = serde_json::from_value::<Job>(value["job"].clone()) else { return };
    // Each pod has the containers of its template; those of an input need not.
    if let Some(pod) = job.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()) {
        (pod.containers, pod.init_containers) = (Vec::new(), None);
    }
    let SlimJob(slim_job) = serde_json::from_value(value["job"].clone()).expect("it can be read whole");
    let (mut pods, mut slim_pods) = (Vec::new(), Vec::new());
    for pod in value["pods"].as_array().into_iter().flatten() {
        let Ok(whole) = serde_json::from_value::<Pod>(pod.clone()) else { return };
        // There is no pod without a container.
        if whole.spec.as_ref().is_none_or(|spec| spec.containers.is_empty()) {
            return;
        }
        pods.push(whole);
        let SlimPod(slim) = serde_json::from_value(pod.clone()).expect("it can be read whole");
        slim_pods.push(slim);
    }
    let said = |job, pods| observe(job, pods, Seen::Forbidden);
    assert_eq!(said(&slim_job, Seen::NotAsked), said(&job, Seen::NotAsked));
    assert_eq!(said(&slim_job, Seen::All(&slim_pods[..])), said(&job, Seen::All(&pods[..])));
}
