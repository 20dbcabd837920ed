//! Probes and hooks over HTTP and TCP, and what becomes of a probe that takes too long:
//! `test/e2e/common/node/{container_probe,lifecycle_hook}.go`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::Case;
use super::pods::{condition, first, phase, pod};
use super::probes::{HOOK, PROBING, probe, probed, restarted, restarts};
use super::server::Server;
use super::stage::{EVENT, POD, Stage};
use super::template::STAY;
use super::wait::{Look, Which};

pub(super) const CASES: &[Case] = &[
    Case {
        group: PROBING,
        number: 10,
        name: "should be restarted with a /healthz http liveness probe",
        needs: &[],
        run: |stage| Box::pin(restarted_by_http(stage)),
    },
    Case {
        group: PROBING,
        number: 11,
        name: "should *not* be restarted with a /healthz http liveness probe",
        needs: &[],
        run: |stage| Box::pin(healthy(stage, "httpGet")),
    },
    Case {
        group: PROBING,
        number: 12,
        name: "should *not* be restarted with a tcp:8080 liveness probe",
        needs: &[],
        run: |stage| Box::pin(healthy(stage, "tcpSocket")),
    },
    Case {
        group: PROBING,
        number: 13,
        name: "should be restarted with an exec liveness probe with timeout",
        needs: &[],
        run: |stage| Box::pin(liveness_times_out(stage)),
    },
    Case {
        group: PROBING,
        number: 14,
        name: "should not be ready with an exec readiness probe timeout",
        needs: &[],
        run: |stage| Box::pin(readiness_times_out(stage)),
    },
    Case {
        group: PROBING,
        number: 15,
        name: "should have monotonically increasing restart count",
        needs: &[],
        run: |stage| Box::pin(counts_up(stage)),
    },
    Case {
        group: HOOK,
        number: 4,
        name: "should execute poststart http hook properly",
        needs: &[],
        run: |stage| Box::pin(after_the_start(stage)),
    },
    Case {
        group: HOOK,
        number: 5,
        name: "should execute prestop http hook properly",
        needs: &[],
        run: |stage| Box::pin(before_the_stop(stage)),
    },
];

/// A probe over the network, each second, of as much patience as is said.
fn asks(server: &Server, how: &str, failures: i64) -> Value {
    let mut probe = server.asked(how, "/healthz");
    probe["periodSeconds"] = 1.into();
    probe["timeoutSeconds"] = 60.into();
    probe["failureThreshold"] = failures.into();
    probe
}

/// The container is said to be unhealthy for what it answered, and restarted.
async fn restarted_by_http(stage: &Stage) -> Result<()> {
    let server = Server::for_probes(stage).await?;
    let script = server.script("sleep 5; rm /tmp/www/healthz");
    stage.create(probed("probed", &script, &json!({"livenessProbe": asks(&server, "httpGet", 10)}))).await?;
    stage.pod_until("probed", "it runs", |pod| phase(pod) == "Running").await?;
    server.falls_ill();
    let about = Which::Fields("involvedObject.name=probed".to_owned());
    let told = stage.until(EVENT, about, |events| {
        let unhealthy = events.iter().filter(|event| event.data["reason"] == "Unhealthy");
        let said = |event: &Value| {
            let message = event["message"].as_str().unwrap_or_default();
            message.starts_with("Liveness probe failed: HTTP probe failed with statuscode: ")
        };
        if unhealthy.map(|event| &event.data).any(said) {
            return Look::Done(());
        }
        Look::NotYet("no event tells of the answer".to_owned())
    });
    told.await?;
    restarted(stage, "probed").await
}

/// The witness is a pod whose probe fails and that is restarted for it.
async fn healthy(stage: &Stage, how: &str) -> Result<()> {
    let server = Server::for_probes(stage).await?;
    let liveness = json!({"livenessProbe": asks(&server, how, 60)});
    stage.create(probed("probed", &server.script("true"), &liveness)).await?;
    stage.pod_until("probed", "it runs", |pod| phase(pod) == "Running").await?;
    stage.create(probed("witness", STAY, &json!({"livenessProbe": probe("false", 3)}))).await?;
    restarted(stage, "witness").await?;
    let pod = stage.get(POD, "probed").await?;
    ensure!(phase(&pod) == "Running" && restarts(&pod) == 0, "its status is {}", pod.data["status"]);
    Ok(())
}

/// A probe that never ends by itself.
fn endless() -> Value {
    let mut endless = probe("sleep 1000000", 1);
    endless["timeoutSeconds"] = 1.into();
    endless
}

async fn liveness_times_out(stage: &Stage) -> Result<()> {
    stage.create(probed("probed", STAY, &json!({"livenessProbe": endless()}))).await?;
    restarted(stage, "probed").await
}

async fn readiness_times_out(stage: &Stage) -> Result<()> {
    stage.create(probed("probed", STAY, &json!({"readinessProbe": endless()}))).await?;
    stage.event("probed", "Unhealthy").await?;
    let pod = stage.get(POD, "probed").await?;
    ensure!(condition(&pod, "Ready")["status"] == "False", "Ready is {}", condition(&pod, "Ready"));
    ensure!(restarts(&pod) == 0, "it was restarted {} times", restarts(&pod));
    Ok(())
}

async fn counts_up(stage: &Stage) -> Result<()> {
    stage.create(probed("probed", STAY, &json!({"livenessProbe": probe("false", 1)}))).await?;
    let mut last = 0;
    let seen = stage.object_until(POD, "probed", |pod| {
        let now = restarts(pod);
        if now < last {
            return Look::Never(format!("its restarts were {last} and are {now}"));
        }
        last = now;
        if now >= 3 { Look::Done(()) } else { Look::NotYet(format!("it was restarted {now} times")) }
    });
    seen.await
}

async fn after_the_start(stage: &Stage) -> Result<()> {
    let mut server = Server::for_hooks(stage).await?;
    let mut wish = pod("hooked", STAY);
    wish["spec"]["containers"][0]["lifecycle"] =
        json!({"postStart": server.asked("httpGet", "/cgi-bin/echo?msg=poststart")});
    stage.create(wish).await?;
    // It is not said to run before the hook has been answered.
    stage.pod_until("hooked", "it runs", |pod| first(pod)["state"]["running"].is_object()).await?;
    server.ensure_heard(stage, "msg=poststart").await?;
    server.close(stage).await
}

async fn before_the_stop(stage: &Stage) -> Result<()> {
    let mut server = Server::for_hooks(stage).await?;
    let mut wish = pod("hooked", STAY);
    wish["spec"]["containers"][0]["lifecycle"] =
        json!({"preStop": server.asked("httpGet", "/cgi-bin/echo?msg=prestop")});
    stage.create(wish).await?;
    stage.pod_until("hooked", "it runs", |pod| phase(pod) == "Running").await?;
    stage.delete(POD, "hooked").await?;
    server.ensure_heard(stage, "msg=prestop").await?;
    server.close(stage).await
}
