//! How containers end and what they leave to be read: `test/e2e/common/node/runtime.go`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::pods::{condition, first, phase, pod, with_empty_dir};
use super::stage::{POD, Stage};

const GROUP: &str = "Container Runtime";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "should run with the expected status",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(policies(stage)),
    },
    Case {
        group: GROUP,
        number: 2,
        name: "should report termination message if TerminationMessagePath is set",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(at_the_default_path(stage)),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "should report termination message if TerminationMessagePath is set as non-root user and at a non-default path",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(at_another_path(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "should report termination message from log output if TerminationMessagePolicy FallbackToLogsOnError is set",
        needs: &[],
        run: |stage| Box::pin(told(stage, "printf DONE; false", "Failed", "DONE")),
    },
    Case {
        group: GROUP,
        number: 5,
        name: "should report termination message as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
        needs: &[],
        run: |stage| Box::pin(told(stage, "printf DONE; true", "Succeeded", "")),
    },
    Case {
        group: GROUP,
        number: 6,
        name: "should report termination message from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(told(stage, "printf OK > /dev/termination-log; echo DONE", "Succeeded", "OK")),
    },
];

/// Fails when it runs first, ends well the second time, and stays the third.
const THREE_RUNS: &str = "echo run >> /data/runs; runs=$(wc -l < /data/runs)
if [ $runs -eq 1 ]; then exit 1; fi
if [ $runs -eq 2 ]; then exit 0; fi
trap 'exit 0' TERM; sleep 1000000 & wait";

async fn policies(stage: &Stage) -> Result<()> {
    futures::try_join!(
        policy(stage, "Always", "Running", 2, "running"),
        policy(stage, "OnFailure", "Succeeded", 1, "terminated"),
        policy(stage, "Never", "Failed", 0, "terminated"),
    )?;
    Ok(())
}

async fn policy(stage: &Stage, policy: &str, end: &str, restarts: i64, state: &str) -> Result<()> {
    let name = policy.to_lowercase();
    let mut pod = with_empty_dir(pod(&name, THREE_RUNS));
    pod["spec"]["restartPolicy"] = policy.into();
    stage.create(pod).await?;
    let stays = end == "Running";
    let what = format!("it is {end} after {restarts} restarts");
    let seen = stage.pod_until(&name, &what, |pod| {
        let ready = condition(pod, "Ready")["status"] == "True";
        phase(pod) == end && first(pod)["restartCount"] == restarts && ready == stays
    });
    let seen = seen.await?;
    ensure!(first(&seen)["state"].get(state).is_some(), "{name}: it is not {state}: {}", first(&seen));
    stage.delete(POD, &name).await
}

/// What the one container of a pod leaves as its message.
async fn message(stage: &Stage, pod: Value, end: &str) -> Result<String> {
    stage.create(pod).await?;
    let ended = stage.ends("tells", end).await?;
    let terminated = &first(&ended)["state"]["terminated"];
    ensure!(terminated.is_object(), "its container has not ended: {}", first(&ended));
    stage.delete(POD, "tells").await?;
    Ok(terminated["message"].as_str().unwrap_or_default().to_owned())
}

async fn at_the_default_path(stage: &Stage) -> Result<()> {
    let mut pod = pod("tells", "printf DONE > /dev/termination-log");
    pod["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
    let message = message(stage, pod, "Succeeded").await?;
    ensure!(message == "DONE", "the message is {message:?}");
    Ok(())
}

async fn at_another_path(stage: &Stage) -> Result<()> {
    let mut pod = pod("tells", "printf DONE > /dev/termination-custom-log");
    pod["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-custom-log".into();
    if stage.has_images() {
        // A host process has its engine's user, which is another only if the engine is root's.
        pod["spec"]["containers"][0]["securityContext"] = json!({"runAsUser": 10_000});
    }
    let message = message(stage, pod, "Succeeded").await?;
    ensure!(message == "DONE", "the message is {message:?}");
    Ok(())
}

async fn told(stage: &Stage, script: &str, end: &str, wanted: &str) -> Result<()> {
    let mut pod = pod("tells", script);
    pod["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
    pod["spec"]["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError".into();
    let message = message(stage, pod, end).await?;
    ensure!(message == wanted, "the message is {message:?}, not {wanted:?}");
    Ok(())
}
