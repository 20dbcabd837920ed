//! What finished Jobs cost the store, each with its pod and five events as the engine writes them:
//! `weigh DIR JOBS` writes them and tells memory, disk and CPU a Job; `weigh DIR` opens what is there and tells how
//! long that took. Two runs, because memory that a process once had it does not give back.
#![expect(clippy::print_stdout, reason = "a program that tells its user")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use windlass_store::{Bounds, Expect, Op, Options, Revision, Store, Tags, Template, Write};

/// What the engine uses: the figures are those of the engine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs that one tick of the engine handles together.
const TOGETHER: u64 = 32;
/// What such a tick lets the store's clock go on.
const TICK_MS: u64 = 40;

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "the program's entry point, and a stopwatch")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(arguments.first().expect("weigh DIR [JOBS]"));
    let empty = anonymous_kib();
    let clock = Arc::new(AtomicU64::new(1_800_000_000_000));
    let before = Instant::now();
    let store = Store::open(dir, options(&clock)).expect("a store, or an empty place for one");
    let opened = before.elapsed();
    println!("opened {} keys in {opened:?}, CPU {} ms", store.count(""), cpu_ms().values().sum::<u64>());
    println!("anonymous memory {} KiB, at most {} KiB", anonymous_kib() - empty, peak_kib());
    let Some(jobs) = arguments.get(1).map(|jobs| jobs.parse::<u64>().expect("a number of Jobs")) else {
        let before = Instant::now();
        let mut tags = 0;
        store.scan("", &mut |_, _, _, of| tags += of.iter().count());
        println!("scanned {tags} tags in {:?}", before.elapsed());
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        println!("anonymous memory {} KiB at rest", anonymous_kib() - empty);
        return;
    };
    let (first, begun) = (anonymous_kib(), Instant::now());
    for tick in 0..jobs.div_ceil(TOGETHER) {
        let numbers: Vec<u64> = (tick * TOGETHER..jobs.min((tick + 1) * TOGETHER)).collect();
        live(&store, &numbers).await;
        clock.fetch_add(TICK_MS, Ordering::Relaxed);
    }
    println!("{jobs} Jobs in {:?}", begun.elapsed());
    report(dir, first, jobs, &cpu_ms());
    store.trim().await;
    // The files are written beside.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    println!("{} bytes of memory a Job at rest", (anonymous_kib() - first) * 1024 / jobs);
    store.release().await;
    println!("disk once closed: {} bytes a Job", disk_bytes(dir) / jobs);
}

fn options(clock: &Arc<AtomicU64>) -> Options {
    let clock = clock.clone();
    Options {
        bounds: Bounds::default(),
        now_ms: Arc::new(move || clock.load(Ordering::Relaxed)),
        first_revision: Revision(1_795_241_107_855_109),
        new_id: "weigh".into(),
        indexed: vec!["l/batch.kubernetes.io/controller-uid".into()],
    }
}

fn report(dir: &Path, first: u64, jobs: u64, cpu: &BTreeMap<String, u64>) {
    let memory = (anonymous_kib() - first) * 1024 / jobs;
    println!("{memory} bytes of memory a Job, {} bytes of disk", disk_bytes(dir) / jobs);
    for (thread, ms) in cpu {
        println!("{thread}: {} us a Job", ms * 1000 / jobs);
    }
}

/// The life of some Jobs, as the engine's log shows it: twelve writes each.
async fn live(store: &Store, numbers: &[u64]) {
    let creations: Vec<_> = numbers
        .iter()
        .map(|n| {
            tokio::spawn({
                let store = store.clone();
                let write = job(*n, 0);
                async move { store.commit(vec![write]).await }
            })
        })
        .collect();
    for creation in creations {
        creation.await.expect("a task that ends").expect("room on the disk");
    }
    let ticks: [fn(u64) -> Vec<Write>; 4] = [
        |n| vec![job(n, 1), pod(n, 0), event(n, 0), event(n, 1)],
        |n| vec![pod(n, 1), event(n, 2), event(n, 3)],
        |n| vec![job(n, 2), pod(n, 2)],
        |n| vec![job(n, 3), event(n, 4)],
    ];
    for tick in ticks {
        store.commit(numbers.iter().flat_map(|n| tick(*n)).collect()).await.expect("room on the disk");
    }
}

fn put(key: String, mut json: String, tags: Vec<(String, String)>) -> Write {
    let at = json.find("\"resourceVersion\":\"").expect("every object has one") + 19;
    json.shrink_to_fit();
    let value = Template { bytes: json.into_bytes(), revision_at: Some(at as u32) };
    let tags = Tags::new(tags.into_iter().map(|(n, v)| (n.into(), v.into())).collect());
    Write { key: key.into(), expect: Expect::Any, op: Op::Put { value, tags } }
}

fn job(n: u64, step: usize) -> Write {
    let uid = uid(n, 1);
    let (name, submission) = (name(n), hex(n, 2, 32));
    let labels = format!(
        r#"{{"batch.kubernetes.io/controller-uid":"{uid}","batch.kubernetes.io/job-name":"{name}","controller-uid":"{uid}","job-name":"{name}","windlass.dev/managed-by":"windlass","windlass.dev/submission":"{submission}"}}"#
    );
    let status = [
        r#"{}"#,
        r#"{"active":0,"ready":0,"startTime":"2026-11-21T06:05:08Z","uncountedTerminatedPods":{}}"#,
        r#"{"conditions":[{"lastProbeTime":"2026-11-21T06:05:08Z","lastTransitionTime":"2026-11-21T06:05:08Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"ready":0,"startTime":"2026-11-21T06:05:08Z","succeeded":1}"#,
        r#"{"completionTime":"2026-11-21T06:05:08Z","conditions":[{"lastProbeTime":"2026-11-21T06:05:08Z","lastTransitionTime":"2026-11-21T06:05:08Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"},{"lastProbeTime":"2026-11-21T06:05:08Z","lastTransitionTime":"2026-11-21T06:05:08Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}],"ready":0,"startTime":"2026-11-21T06:05:08Z","succeeded":1,"terminating":0,"uncountedTerminatedPods":{}}"#,
    ][step];
    let containers = CONTAINERS;
    let content = hex(n, 3, 32);
    let json = format!(
        r#"{{"apiVersion":"batch/v1","kind":"Job","metadata":{{"annotations":{{"windlass.dev/content":"{content}","windlass.dev/submitted":"2026-11-21T06:05:08.402035572Z","windlass.dev/submitter":"root"}},"creationTimestamp":"2026-11-21T06:05:08Z","generation":1,"labels":{{"windlass.dev/managed-by":"windlass","windlass.dev/submission":"{submission}"}},"name":"{name}","namespace":"default","resourceVersion":"","uid":"{uid}"}},"spec":{{"backoffLimit":0,"completionMode":"NonIndexed","completions":1,"manualSelector":false,"parallelism":1,"podReplacementPolicy":"TerminatingOrFailed","selector":{{"matchLabels":{{"batch.kubernetes.io/controller-uid":"{uid}"}}}},"suspend":false,"template":{{"metadata":{{"labels":{labels}}},"spec":{{{containers},"dnsPolicy":"ClusterFirst","restartPolicy":"Never","runtimeClassName":"windlass-host","schedulerName":"default-scheduler","securityContext":{{}},"terminationGracePeriodSeconds":30}}}}}},"status":{status}}}"#
    );
    let tags = vec![
        ("l/windlass.dev/managed-by".into(), "windlass".into()),
        ("l/windlass.dev/submission".into(), submission),
        ("f/status.successful".into(), usize::from(step > 1).to_string()),
    ];
    put(format!("/jobs.batch/default/{name}"), json, tags)
}

fn pod(n: u64, step: usize) -> Write {
    let (owner, uid) = (uid(n, 1), uid(n, 4));
    let (job, name, submission) = (name(n), pod_name(n), hex(n, 2, 32));
    let labels = format!(
        r#"{{"batch.kubernetes.io/controller-uid":"{owner}","batch.kubernetes.io/job-name":"{job}","controller-uid":"{owner}","job-name":"{job}","windlass.dev/managed-by":"windlass","windlass.dev/submission":"{submission}"}}"#
    );
    let phase = ["Pending", "Succeeded", "Succeeded"][step];
    let containers = CONTAINERS;
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"creationTimestamp":"2026-11-21T06:05:08Z","generateName":"{job}-","generation":1,"labels":{labels},"name":"{name}","namespace":"default","ownerReferences":[{{"apiVersion":"batch/v1","blockOwnerDeletion":true,"controller":true,"kind":"Job","name":"{job}","uid":"{owner}"}}],"resourceVersion":"","uid":"{uid}"}},"spec":{{{containers},"dnsPolicy":"ClusterFirst","enableServiceLinks":true,"nodeName":"windlass","preemptionPolicy":"PreemptLowerPriority","priority":0,"restartPolicy":"Never","runtimeClassName":"windlass-host","schedulerName":"default-scheduler","securityContext":{{}},"serviceAccount":"default","serviceAccountName":"default","terminationGracePeriodSeconds":30,"tolerations":[{{"effect":"NoExecute","key":"node.kubernetes.io/not-ready","operator":"Exists","tolerationSeconds":300}},{{"effect":"NoExecute","key":"node.kubernetes.io/unreachable","operator":"Exists","tolerationSeconds":300}}]}},"status":{{"conditions":[{{"lastProbeTime":null,"lastTransitionTime":"2026-11-21T06:05:08Z","status":"True","type":"PodScheduled"}},{{"lastTransitionTime":"2026-11-21T06:05:08Z","observedGeneration":1,"status":"False","type":"PodReadyToStartContainers"}},{{"lastTransitionTime":"2026-11-21T06:05:08Z","observedGeneration":1,"reason":"PodCompleted","status":"True","type":"Initialized"}},{{"lastTransitionTime":"2026-11-21T06:05:08Z","observedGeneration":1,"reason":"PodCompleted","status":"False","type":"Ready"}},{{"lastTransitionTime":"2026-11-21T06:05:08Z","observedGeneration":1,"reason":"PodCompleted","status":"False","type":"ContainersReady"}}],"containerStatuses":[{{"containerID":"windlass://{uid}/main/0","image":"host","imageID":"","lastState":{{}},"name":"main","ready":false,"restartCount":0,"started":false,"state":{{"terminated":{{"containerID":"windlass://{uid}/main/0","exitCode":0,"finishedAt":"2026-11-21T06:05:08Z","reason":"Completed","startedAt":"2026-11-21T06:05:08Z"}}}}}}],"hostIP":"127.0.0.1","hostIPs":[{{"ip":"127.0.0.1"}}],"observedGeneration":1,"phase":"{phase}","podIP":"127.0.0.1","podIPs":[{{"ip":"127.0.0.1"}}],"qosClass":"BestEffort","startTime":"2026-11-21T06:05:08Z"}}}}"#
    );
    let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let tags = vec![
        tag("l/batch.kubernetes.io/controller-uid", &owner),
        tag("l/batch.kubernetes.io/job-name", &job),
        tag("l/controller-uid", &owner),
        tag("l/job-name", &job),
        tag("l/windlass.dev/managed-by", "windlass"),
        tag("l/windlass.dev/submission", &submission),
        tag("o", &owner),
        tag("f/spec.nodeName", "windlass"),
        tag("f/spec.restartPolicy", "Never"),
        tag("f/spec.schedulerName", "default-scheduler"),
        tag("f/spec.serviceAccountName", "default"),
        tag("f/spec.hostNetwork", "false"),
        tag("f/status.phase", phase),
        tag("f/status.podIP", "127.0.0.1"),
        tag("f/status.podIPs", "127.0.0.1"),
    ];
    put(format!("/pods/default/{name}"), json, tags)
}

fn event(n: u64, which: usize) -> Write {
    let reason = ["Scheduled", "SuccessfulCreate", "Created", "Started", "Completed"][which];
    let (kind, about, of) = match which {
        1 | 4 => ("Job", name(n), uid(n, 1)),
        _ => ("Pod", pod_name(n), uid(n, 4)),
    };
    let source = ["default-scheduler", "job-controller", "kubelet", "kubelet", "job-controller"][which];
    let version = 1_795_241_107_855_126 + n * 12;
    let (name, uid) = (format!("{about}.{}", hex(n, 10 + which as u64, 16)), uid(n, 20 + which as u64));
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"Event","metadata":{{"creationTimestamp":"2026-11-21T06:05:08Z","name":"{name}","namespace":"default","resourceVersion":"","uid":"{uid}"}},"count":1,"eventTime":null,"firstTimestamp":"2026-11-21T06:05:08Z","involvedObject":{{"apiVersion":"v1","kind":"{kind}","name":"{about}","namespace":"default","resourceVersion":"{version}","uid":"{of}"}},"lastTimestamp":"2026-11-21T06:05:08Z","message":"{reason} container main","reason":"{reason}","reportingComponent":"{source}","reportingInstance":"","source":{{"component":"{source}"}},"type":"Normal"}}"#
    );
    let tag = |name: &str, value: &str| (format!("f/{name}"), value.to_owned());
    let tags = vec![
        tag("involvedObject.kind", kind),
        tag("involvedObject.namespace", "default"),
        tag("involvedObject.name", &about),
        tag("involvedObject.uid", &of),
        tag("involvedObject.apiVersion", "v1"),
        tag("involvedObject.resourceVersion", &version.to_string()),
        tag("reason", reason),
        tag("reportingComponent", source),
        tag("source", source),
        tag("type", "Normal"),
    ];
    put(format!("/events/default/{name}"), json, tags)
}

const CONTAINERS: &str = r#""containers":[{"command":["sh","-c","echo hello"],"env":[{"name":"HOME","value":"/root"},{"name":"LANG","value":"C.UTF-8"},{"name":"PATH","value":"/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},{"name":"SHELL","value":"/bin/bash"}],"image":"host","imagePullPolicy":"Always","name":"main","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","workingDir":"/home/somebody/project"}]"#;

fn name(n: u64) -> String {
    format!("echo-{}", hex(n, 5, 8))
}

fn pod_name(n: u64) -> String {
    format!("{}-{}", name(n), hex(n, 6, 5))
}

fn uid(n: u64, salt: u64) -> String {
    let digits = hex(n, salt, 32);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Digits that look random and are the same in every run.
fn hex(n: u64, salt: u64, digits: usize) -> String {
    let mut text = String::new();
    let mut state = n.wrapping_mul(64).wrapping_add(salt);
    while text.len() < digits {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        text.push_str(&format!("{:016x}", mixed ^ (mixed >> 31)));
    }
    text.truncate(digits);
    text
}

fn status_kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn anonymous_kib() -> u64 {
    status_kib("RssAnon:")
}

fn peak_kib() -> u64 {
    status_kib("VmHWM:")
}

/// Milliseconds of CPU by the names of this process's threads.
fn cpu_ms() -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((head, fields)) = stat.rsplit_once(')') else { continue };
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        // A tick is 10 ms on every Linux that is built as usual.
        *by_name.entry(name.to_owned()).or_default() += ticks * 10;
    }
    by_name
}

/// Bytes that the files take on the disk, holes not counted.
fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .map(|file| match file.file_type() {
            Ok(kind) if kind.is_dir() => disk_bytes(&file.path()),
            _ => file.metadata().map_or(0, |data| data.blocks() * 512),
        })
        .sum()
}
