//! Probes and hooks: `test/e2e/common/node/{container_probe,lifecycle_hook}.go`.

use anyhow::{Result, ensure};
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::jobs::ready_node;
use super::pods::{condition, first, phase, pod, with_empty_dir};
use super::stage::{POD, Stage};
use super::template::STAY;
use super::wait::Look;

pub(super) const PROBING: &str = "Probing container";
pub(super) const HOOK: &str = "Container Lifecycle Hook";

pub(super) const CASES: &[Case] = &[
    Case {
        group: PROBING,
        number: 1,
        name: "with readiness probe that fails should never be ready and never restart",
        needs: &[],
        run: |stage| Box::pin(never_ready(stage)),
    },
    Case {
        group: PROBING,
        number: 2,
        name: "should be restarted with a exec \"cat /tmp/health\" liveness probe",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(restarted_by_liveness(stage)),
    },
    Case {
        group: PROBING,
        number: 3,
        name: "should *not* be restarted with a exec \"cat /tmp/health\" liveness probe",
        needs: &[],
        run: |stage| Box::pin(healthy(stage)),
    },
    Case {
        group: PROBING,
        number: 4,
        name: "should be restarted startup probe fails",
        needs: &[],
        run: |stage| Box::pin(restarted_by_startup(stage)),
    },
    Case {
        group: PROBING,
        number: 5,
        name: "should *not* be restarted by liveness probe because startup probe delays it",
        needs: &[],
        run: |stage| Box::pin(delayed(stage)),
    },
    Case {
        group: PROBING,
        number: 6,
        name: "should be restarted by liveness probe after startup probe enables it",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(restarted_once_started(stage)),
    },
    Case {
        group: PROBING,
        number: 7,
        name: "should be ready immediately after startupProbe succeeds",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(ready_once_started(stage)),
    },
    Case {
        group: PROBING,
        number: 8,
        name: "should override timeoutGracePeriodSeconds when LivenessProbe field is set",
        needs: &[],
        run: |stage| Box::pin(grace_of_the_probe(stage, "livenessProbe")),
    },
    Case {
        group: PROBING,
        number: 9,
        name: "should override timeoutGracePeriodSeconds when StartupProbe field is set",
        needs: &[],
        run: |stage| Box::pin(grace_of_the_probe(stage, "startupProbe")),
    },
    Case {
        group: HOOK,
        number: 1,
        name: "should execute poststart exec hook properly",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(after_the_start(stage)),
    },
    Case {
        group: HOOK,
        number: 2,
        name: "should execute prestop exec hook properly",
        needs: &[Need::Node, Need::HostPath, Need::Volumes],
        run: |stage| Box::pin(before_the_stop(stage)),
    },
    Case {
        group: HOOK,
        number: 3,
        name: "prestop hook using sleep action with zero duration",
        needs: &[],
        run: |stage| Box::pin(sleeps_not_at_all(stage)),
    },
];

/// A probe that runs a script each second; a machine may stand still for a while, which is no failure.
pub(super) fn probe(script: &str, failures: i64) -> Value {
    json!({
        "exec": {"command": ["/bin/sh", "-c", script]}, "periodSeconds": 1, "timeoutSeconds": 60,
        "failureThreshold": failures,
    })
}

/// A pod that is restarted and runs a script, with these of a container's fields.
pub(super) fn probed(name: &str, script: &str, fields: &Value) -> Value {
    let mut pod = pod(name, script);
    pod["spec"]["restartPolicy"] = "Always".into();
    for (field, value) in fields.as_object().into_iter().flatten() {
        pod["spec"]["containers"][0][field] = value.clone();
    }
    pod
}

pub(super) fn restarts(pod: &DynamicObject) -> i64 {
    first(pod)["restartCount"].as_i64().unwrap_or_default()
}

pub(super) async fn restarted(stage: &Stage, name: &str) -> Result<()> {
    stage.pod_until(name, "its container was restarted", |pod| restarts(pod) > 0).await?;
    Ok(())
}

async fn never_ready(stage: &Stage) -> Result<()> {
    stage.create(probed("probed", STAY, &json!({"readinessProbe": probe("false", 1)}))).await?;
    stage.event("probed", "Unhealthy").await?;
    let pod = stage.get(POD, "probed").await?;
    ensure!(phase(&pod) == "Running", "the pod is {}", phase(&pod));
    ensure!(condition(&pod, "Ready")["status"] == "False", "Ready is {}", condition(&pod, "Ready"));
    ensure!(restarts(&pod) == 0, "it was restarted {} times", restarts(&pod));
    Ok(())
}

async fn restarted_by_liveness(stage: &Stage) -> Result<()> {
    let script = "trap 'exit 0' TERM; touch /data/health; sleep 3; rm /data/health; sleep 1000000 & wait";
    let liveness = json!({"livenessProbe": probe("cat /data/health", 3)});
    stage.create(with_empty_dir(probed("probed", script, &liveness))).await?;
    restarted(stage, "probed").await
}

async fn healthy(stage: &Stage) -> Result<()> {
    not_restarted(stage, &json!({"livenessProbe": probe("true", 1)})).await
}

async fn delayed(stage: &Stage) -> Result<()> {
    let probes = json!({"livenessProbe": probe("false", 1), "startupProbe": probe("false", 10_000)});
    not_restarted(stage, &probes).await
}

/// The witness is a pod whose probe fails and that is restarted for it.
async fn not_restarted(stage: &Stage, probes: &Value) -> Result<()> {
    stage.create(probed("probed", STAY, probes)).await?;
    stage.pod_until("probed", "it runs", |pod| phase(pod) == "Running").await?;
    stage.create(probed("witness", STAY, &json!({"livenessProbe": probe("false", 3)}))).await?;
    restarted(stage, "witness").await?;
    let pod = stage.get(POD, "probed").await?;
    ensure!(phase(&pod) == "Running" && restarts(&pod) == 0, "its status is {}", pod.data["status"]);
    Ok(())
}

async fn restarted_by_startup(stage: &Stage) -> Result<()> {
    let probes = json!({"livenessProbe": probe("true", 1), "startupProbe": probe("false", 3)});
    stage.create(probed("probed", STAY, &probes)).await?;
    restarted(stage, "probed").await
}

async fn restarted_once_started(stage: &Stage) -> Result<()> {
    let script = "trap 'exit 0' TERM; sleep 3; touch /data/startup; sleep 1000000 & wait";
    let probes =
        json!({"livenessProbe": probe("false", 1), "startupProbe": probe("cat /data/startup", 10_000)});
    stage.create(with_empty_dir(probed("probed", script, &probes))).await?;
    restarted(stage, "probed").await
}

async fn ready_once_started(stage: &Stage) -> Result<()> {
    let script = "trap 'exit 0' TERM; sleep 3; touch /data/startup; sleep 1000000 & wait";
    let probes =
        json!({"readinessProbe": probe("true", 1), "startupProbe": probe("cat /data/startup", 10_000)});
    stage.create(with_empty_dir(probed("probed", script, &probes))).await?;
    let seen = stage.object_until(POD, "probed", |pod| {
        let status = first(pod);
        match (status["ready"] == true, status["started"] == true) {
            (true, true) => Look::Done(()),
            (true, false) => Look::Never(format!("it is ready before it has started: {status}")),
            (false, _) => Look::NotYet(format!("it is {status}")),
        }
    });
    seen.await
}

async fn after_the_start(stage: &Stage) -> Result<()> {
    let script = "until [ -e /data/hook ]; do sleep 1; done";
    let mut pod = with_empty_dir(pod("hooked", script));
    let hook = json!({"exec": {"command": ["/bin/sh", "-c", "touch /data/hook"]}});
    pod["spec"]["containers"][0]["lifecycle"] = json!({"postStart": hook});
    stage.create(pod).await?;
    stage.ends("hooked", "Succeeded").await?;
    Ok(())
}

async fn before_the_stop(stage: &Stage) -> Result<()> {
    let (node, _) = ready_node(stage).await?;
    let on_host = |pod: Value| {
        let mut pod = with_empty_dir(pod);
        pod["spec"]["volumes"] = json!([stage.host_volume()]);
        pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
        if stage.has_images() {
            pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
        }
        pod
    };
    let mut hooked = on_host(pod("hooked", STAY));
    let hook = json!({"exec": {"command": ["/bin/sh", "-c", "touch /data/hook"]}});
    hooked["spec"]["containers"][0]["lifecycle"] = json!({"preStop": hook});
    stage.create(hooked).await?;
    stage.pod_until("hooked", "it runs", |pod| phase(pod) == "Running").await?;
    stage.delete(POD, "hooked").await?;
    stage.create(on_host(pod("looks", "test -e /data/hook"))).await?;
    stage.ends("looks", "Succeeded").await?;
    Ok(())
}

/// The container hears no SIGTERM, and its pod's grace is longer than anybody waits.
async fn grace_of_the_probe(stage: &Stage, which: &str) -> Result<()> {
    let mut probe = probe("false", 1);
    probe["terminationGracePeriodSeconds"] = 1.into();
    let script = "trap '' TERM; while true; do sleep 1; done";
    let mut wish = probed("probed", script, &json!({which: probe}));
    wish["spec"]["terminationGracePeriodSeconds"] = 100_000.into();
    stage.create(wish).await?;
    restarted(stage, "probed").await?;
    stage.api(POD).delete("probed", &DeleteParams::default().grace_period(1)).await?;
    stage.gone(POD, "probed").await
}

async fn sleeps_not_at_all(stage: &Stage) -> Result<()> {
    let mut hooked = pod("hooked", STAY);
    hooked["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 0}}});
    stage.create(hooked).await?;
    stage.pod_until("hooked", "it runs", |pod| phase(pod) == "Running").await?;
    stage.delete(POD, "hooked").await
}
