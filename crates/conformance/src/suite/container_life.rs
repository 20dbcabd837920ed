//! The order in which containers, their hooks and their probes come: `test/e2e_node/container_lifecycle_test.go`,
//! `test/e2e/common/node/lifecycle_hook.go`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::pods::{container, first, phase, pod, with_empty_dir};
use super::stage::{POD, Stage};
use super::template::STAY;

const GROUP: &str = "Containers Lifecycle";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "should run Init container to completion before call to PostStart of regular container",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(init_before_post_start(stage)),
    },
    Case {
        group: GROUP,
        number: 2,
        name: "should not launch second container before PostStart of the first container completed",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(post_start_before_the_next(stage)),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "shouldn't restart init containers upon regular container restart",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(init_runs_once(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "should call the container's preStop hook and terminate it if its startup probe fails",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(stopped_by_a_probe(stage, "startupProbe")),
    },
    Case {
        group: GROUP,
        number: 5,
        name: "should call the container's preStop hook and terminate it if its liveness probe fails",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(stopped_by_a_probe(stage, "livenessProbe")),
    },
    Case {
        group: GROUP,
        number: 6,
        name: "should restart a container whose PostStart fails",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(post_start_fails(stage)),
    },
    Case {
        group: GROUP,
        number: 7,
        name: "should run an init container again until it succeeds, restartPolicy=OnFailure",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(init_again(stage)),
    },
    Case {
        group: GROUP,
        number: 8,
        name: "should end a preStop hook that is longer than the grace period",
        needs: &[],
        run: |stage| Box::pin(stop_takes_too_long(stage)),
    },
];

/// An exec hook.
fn hook(script: &str) -> Value {
    json!({"exec": {"command": ["/bin/sh", "-c", script]}})
}

fn with_hook(mut pod: Value, which: &str, script: &str) -> Value {
    pod["spec"]["containers"][0]["lifecycle"] = json!({which: hook(script)});
    pod
}

async fn init_before_post_start(stage: &Stage) -> Result<()> {
    let mut wish = pod("lives", "until [ -e /data/hook ]; do sleep 1; done; test ! -e /data/early");
    wish["spec"]["initContainers"] = json!([container("init", "sleep 2; touch /data/init")]);
    let wish = with_hook(wish, "postStart", "[ -e /data/init ] || touch /data/early; touch /data/hook");
    stage.create(with_empty_dir(wish)).await?;
    stage.ends("lives", "Succeeded").await?;
    Ok(())
}

async fn post_start_before_the_next(stage: &Stage) -> Result<()> {
    let mut wish = pod("lives", "until [ -e /data/second ]; do sleep 1; done");
    wish["spec"]["containers"].as_array_mut().into_iter().for_each(|all| {
        all.push(container("second", "test -e /data/hook; code=$?; touch /data/second; exit $code"));
    });
    let wish = with_hook(wish, "postStart", "sleep 3; touch /data/hook");
    stage.create(with_empty_dir(wish)).await?;
    stage.ends("lives", "Succeeded").await?;
    Ok(())
}

async fn init_runs_once(stage: &Stage) -> Result<()> {
    let script = "if [ -e /data/failed ]; then exit 0; fi; touch /data/failed; exit 1";
    let mut wish = pod("lives", script);
    wish["spec"]["restartPolicy"] = "OnFailure".into();
    wish["spec"]["initContainers"] = json!([container("init", "test ! -e /data/init && touch /data/init")]);
    stage.create(with_empty_dir(wish)).await?;
    let ended = stage.ends("lives", "Succeeded").await?;
    ensure!(first(&ended)["restartCount"] == 1, "its container is {}", first(&ended));
    let init = &ended.data["status"]["initContainerStatuses"][0];
    ensure!(init["restartCount"] == 0, "its init container is {init}");
    Ok(())
}

/// Ends well if a hook has run before it; says that it has looked.
const UNTIL_HOOKED: &str =
    "if [ -e /data/hook ]; then exit 0; fi; touch /data/up; trap 'exit 1' TERM; sleep 1000000 & wait";

/// A container's own program may begin later than what runs beside it.
const WHEN_UP: &str = "until [ -e /data/up ]; do sleep 1; done;";

/// What the hook leaves is there when the container runs again.
async fn stopped_by_a_probe(stage: &Stage, which: &str) -> Result<()> {
    let mut wish = pod("lives", UNTIL_HOOKED);
    wish["spec"]["restartPolicy"] = "OnFailure".into();
    wish["spec"]["containers"][0][which] = json!({
        "exec": {"command": ["/bin/sh", "-c", format!("{WHEN_UP} test -e /data/hook")]},
        "periodSeconds": 1, "timeoutSeconds": 60, "failureThreshold": 1,
    });
    stage.create(with_empty_dir(with_hook(wish, "preStop", "touch /data/hook"))).await?;
    let ended = stage.ends("lives", "Succeeded").await?;
    ensure!(first(&ended)["restartCount"].as_i64() >= Some(1), "its container is {}", first(&ended));
    Ok(())
}

async fn post_start_fails(stage: &Stage) -> Result<()> {
    let mut wish = with_empty_dir(pod("lives", UNTIL_HOOKED));
    wish["spec"]["restartPolicy"] = "OnFailure".into();
    let wish = with_hook(
        wish,
        "postStart",
        &format!("[ -e /data/hook ] || {{ {WHEN_UP} touch /data/hook; exit 1; }}"),
    );
    stage.create(wish).await?;
    stage.event("lives", "FailedPostStartHook").await?;
    stage.ends("lives", "Succeeded").await?;
    Ok(())
}

async fn init_again(stage: &Stage) -> Result<()> {
    let mut wish = pod("lives", "true");
    wish["spec"]["restartPolicy"] = "OnFailure".into();
    let init = "if [ -e /data/failed ]; then exit 0; fi; touch /data/failed; exit 1";
    wish["spec"]["initContainers"] = json!([container("init", init)]);
    stage.create(with_empty_dir(wish)).await?;
    let ended = stage.ends("lives", "Succeeded").await?;
    let init = &ended.data["status"]["initContainerStatuses"][0];
    ensure!(init["restartCount"] == 1 && init["ready"] == true, "its init container is {init}");
    Ok(())
}

async fn stop_takes_too_long(stage: &Stage) -> Result<()> {
    let mut wish = with_hook(pod("lives", STAY), "preStop", "sleep 1000000");
    wish["spec"]["terminationGracePeriodSeconds"] = 2.into();
    stage.create(wish).await?;
    stage.pod_until("lives", "it runs", |pod| phase(pod) == "Running").await?;
    stage.delete(POD, "lives").await
}
