//! The columns of pods. Source: upstream printPod in pkg/printers/internalversion/printers.go.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::common::{AGE, NAME, column, condition, has_condition, wide};
use crate::kinds::json::{flag, int, is_set, items, text};
use crate::kinds::table;

/// The columns.
pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "How many containers are ready, of all that stay."),
    column("Status", "What the pod's containers are doing, in a word."),
    column("Restarts", "How often its containers were restarted, and when last."),
    AGE,
    wide("IP", "The pod's address."),
    wide("Node", "The node it runs on."),
    wide("Nominated Node", "The node that is being made free for it."),
    wide("Readiness Gates", "How many further conditions of its readiness are met."),
];

/// One row.
pub(crate) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let ip = items(status, "podIPs").first().map_or("", |ip| text(ip, "ip"));
    vec![
        table::name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.word(pod).into(),
        summary.restarts.show(now).into(),
        table::age(pod, now),
        table::or(ip, "<none>").into(),
        table::or(text(spec, "nodeName"), "<none>").into(),
        table::or(text(status, "nominatedNodeName"), "<none>").into(),
        readiness_gates(spec, status).into(),
    ]
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = items(spec, "readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let met = gates.iter().filter(|g| has_condition(status, text(g, "conditionType"), "True")).count();
    format!("{met}/{}", gates.len())
}

/// How often, and when last.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count = self.count.saturating_add(int(container, "restartCount").unwrap_or(0));
        self.last = self.last.max(table::time(&container["lastState"]["terminated"], "finishedAt"));
    }
    fn show(&self, now: Timestamp) -> String {
        match self.last {
            Some(last) if self.count != 0 => {
                format!("{} ({} ago)", self.count, table::since(Some(last), now))
            }
            _ => self.count.to_string(),
        }
    }
}

/// What the statuses of all containers say together.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: Restarts,
}

impl Summary {
    fn of(pod: &Value) -> Summary {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let sidecars = items(spec, "initContainers").iter().filter(|c| is_sidecar(c)).count();
        let mut reason = table::or(text(status, "reason"), text(status, "phase")).to_owned();
        let gated = |c: &Value| text(c, "type") == "PodScheduled" && text(c, "reason") == "SchedulingGated";
        if items(status, "conditions").iter().any(gated) {
            "SchedulingGated".clone_into(&mut reason);
        }
        let mut summary = Summary {
            reason,
            ready: 0,
            total: items(spec, "containers").len() + sidecars,
            restarts: Restarts::default(),
        };
        let of_sidecars = summary.read_init(spec, status);
        let initialized = condition(status, "Initialized").is_some_and(|c| text(c, "status") == "True");
        match of_sidecars {
            Init::Done(restarts) => summary.read_containers(status, restarts),
            Init::Pending(restarts) if initialized => summary.read_containers(status, restarts),
            Init::Pending(_) => {}
        }
        summary
    }

    /// Reads the init containers up to the first that holds the pod up.
    fn read_init(&mut self, spec: &Value, status: &Value) -> Init {
        let declared = items(spec, "initContainers");
        let mut of_sidecars = Restarts::default();
        for (index, container) in items(status, "initContainerStatuses").iter().enumerate() {
            self.restarts.add(container);
            let sidecar = declared.iter().any(|c| c["name"] == container["name"] && is_sidecar(c));
            if sidecar {
                of_sidecars.add(container);
            }
            let (ended, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if !ended.is_null() && int(ended, "exitCode").unwrap_or(0) == 0 {
                continue;
            }
            if sidecar && flag(container, "started") {
                self.ready += usize::from(flag(container, "ready"));
                continue;
            }
            self.reason = if !ended.is_null() {
                format!("Init:{}", end_reason(ended))
            } else if !matches!(text(waiting, "reason"), "" | "PodInitializing") {
                format!("Init:{}", text(waiting, "reason"))
            } else {
                format!("Init:{index}/{}", declared.len())
            };
            return Init::Pending(of_sidecars);
        }
        Init::Done(of_sidecars)
    }

    /// Reads the containers, last to first: the first one's word wins.
    fn read_containers(&mut self, status: &Value, restarts: Restarts) {
        self.restarts = restarts;
        let mut running = false;
        let mut error = None;
        for container in items(status, "containerStatuses").iter().rev() {
            self.restarts.add(container);
            let state = &container["state"];
            let (ended, waiting) = (&state["terminated"], &state["waiting"]);
            if !text(waiting, "reason").is_empty() {
                text(waiting, "reason").clone_into(&mut self.reason);
            } else if !ended.is_null() {
                self.reason = end_reason(ended);
                if int(ended, "exitCode").unwrap_or(0) != 0 {
                    error = Some(self.reason.clone());
                }
            } else if flag(container, "ready") && is_set(state, "running") {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && has_condition(status, "Ready", "True") {
                "Running".clone_into(&mut self.reason);
            } else if let Some(error) = error {
                self.reason = error;
            } else if running {
                "NotReady".clone_into(&mut self.reason);
            }
        }
    }

    /// The word of the Status column.
    fn word(&self, pod: &Value) -> &str {
        let status = &pod["status"];
        if !is_set(&pod["metadata"], "deletionTimestamp") {
            &self.reason
        } else if text(status, "reason") == "NodeLost" {
            "Unknown"
        } else if matches!(text(status, "phase"), "Succeeded" | "Failed") {
            &self.reason
        } else {
            "Terminating"
        }
    }
}

/// How far the init containers are, with the restarts of the sidecars among them.
enum Init {
    Done(Restarts),
    Pending(Restarts),
}

fn is_sidecar(init_container: &Value) -> bool {
    text(init_container, "restartPolicy") == "Always"
}

/// The reason of an end, or what its code or signal says.
fn end_reason(ended: &Value) -> String {
    match (text(ended, "reason"), int(ended, "signal").unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", int(ended, "exitCode").unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}
