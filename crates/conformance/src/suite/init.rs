//! Init containers: `test/e2e/common/node/init_container.go`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::Case;
use super::pods::{condition, container, phase, pod};
use super::stage::{POD, Stage};
use super::template::STAY;
use super::wait::Look;

const GROUP: &str = "InitContainer";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "should invoke init containers on a RestartNever pod",
        needs: &[],
        run: |stage| Box::pin(before_one_that_ends(stage)),
    },
    Case {
        group: GROUP,
        number: 2,
        name: "should invoke init containers on a RestartAlways pod",
        needs: &[],
        run: |stage| Box::pin(before_one_that_stays(stage)),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "should not start app containers if init containers fail on a RestartAlways pod",
        needs: &[],
        run: |stage| Box::pin(again_and_again(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "should not start app containers and fail the pod if init containers fail on a RestartNever pod",
        needs: &[],
        run: |stage| Box::pin(the_pod_fails(stage)),
    },
];

/// A pod with two init containers and one other.
fn with_init(inits: [&str; 2], policy: &str, script: &str) -> Value {
    let mut pod = pod("init", script);
    pod["spec"]["restartPolicy"] = policy.into();
    pod["spec"]["initContainers"] = json!([container("init1", inits[0]), container("init2", inits[1])]);
    pod
}

fn ensure_init_done(pod: &kube::api::DynamicObject) -> Result<()> {
    ensure!(
        condition(pod, "Initialized")["status"] == "True",
        "Initialized is {}",
        condition(pod, "Initialized")
    );
    let statuses = pod.data["status"]["initContainerStatuses"].as_array().cloned().unwrap_or_default();
    ensure!(statuses.len() == 2, "{} init containers have a status", statuses.len());
    for status in statuses {
        let is_good = status["ready"] == true && status["state"]["terminated"]["exitCode"] == 0;
        ensure!(is_good, "an init container that has succeeded is {status}");
    }
    Ok(())
}

async fn before_one_that_ends(stage: &Stage) -> Result<()> {
    stage.create(with_init(["true", "true"], "Never", "true")).await?;
    ensure_init_done(&stage.ends("init", "Succeeded").await?)
}

async fn before_one_that_stays(stage: &Stage) -> Result<()> {
    stage.create(with_init(["true", "true"], "Always", STAY)).await?;
    let pod = stage.pod_until("init", "it runs", |pod| phase(pod) == "Running").await?;
    ensure_init_done(&pod)
}

/// Why a container waits, if that is all it does.
fn waits(status: &Value) -> Option<&str> {
    status["state"]["waiting"]["reason"].as_str()
}

async fn again_and_again(stage: &Stage) -> Result<()> {
    stage.create(with_init(["exit 1", "true"], "Always", STAY)).await?;
    let seen = stage.object_until(POD, "init", |pod| {
        let status = &pod.data["status"];
        let Some(later) = status["initContainerStatuses"].as_array().filter(|all| all.len() == 2) else {
            return Look::NotYet(format!("its status is {status}"));
        };
        for other in [&status["containerStatuses"][0], &later[1]] {
            if waits(other) != Some("PodInitializing") {
                return Look::Never(format!("a container does not wait for the first one: {other}"));
            }
        }
        match later[0]["restartCount"].as_i64() {
            Some(2..) => Look::Done(pod.clone()),
            _ => Look::NotYet(format!("the first init container is {}", later[0])),
        }
    });
    let pod = seen.await?;
    ensure!(phase(&pod) == "Pending", "the pod is {}", phase(&pod));
    let initialized = condition(&pod, "Initialized");
    let is_told = initialized["status"] == "False"
        && initialized["reason"] == "ContainersNotInitialized"
        && initialized["message"] == "containers with incomplete status: [init1 init2]";
    ensure!(is_told, "Initialized is {initialized}");
    Ok(())
}

async fn the_pod_fails(stage: &Stage) -> Result<()> {
    stage.create(with_init(["true", "exit 1"], "Never", "true")).await?;
    let pod = stage.ends("init", "Failed").await?;
    let status = &pod.data["status"];
    ensure!(
        waits(&status["containerStatuses"][0]) == Some("PodInitializing"),
        "{}",
        status["containerStatuses"]
    );
    let inits = &status["initContainerStatuses"];
    ensure!(inits[0]["state"]["terminated"]["exitCode"] == 0, "the first init container is {}", inits[0]);
    ensure!(inits[1]["state"]["terminated"]["exitCode"] == 1, "the second init container is {}", inits[1]);
    let initialized = condition(&pod, "Initialized");
    let is_told = initialized["status"] == "False"
        && initialized["reason"] == "ContainersNotInitialized"
        && initialized["message"] == "containers with incomplete status: [init2]";
    ensure!(is_told, "Initialized is {initialized}");
    Ok(())
}
