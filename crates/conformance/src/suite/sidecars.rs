//! Restartable init containers: `test/e2e_node/container_lifecycle_test.go`, and what Jobs need of them.

use anyhow::{Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::pods::{container, first, pod, with_empty_dir};
use super::stage::Stage;
use super::template::scripted;

const GROUP: &str = "Sidecar Containers";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "should fail a Pod by its regular container's exit code, not by that of a restartable init container",
        needs: &[],
        run: |stage| Box::pin(fails_by_the_others(stage)),
    },
    Case {
        group: GROUP,
        number: 2,
        name: "should complete a Pod successfully when its regular containers have, however a restartable init container ends",
        needs: &[],
        run: |stage| Box::pin(ends_after_the_others(stage)),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "should terminate restartable init containers in reverse order after the regular containers",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(last_ends_first(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "should restart a failing restartable init container whatever the Pod's restart policy",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(restarted(stage)),
    },
    Case {
        group: GROUP,
        number: 5,
        name: "should run both restartable init containers and a later init container together",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(beside_an_init(stage)),
    },
    Case {
        group: GROUP,
        number: 6,
        name: "should mark a Pod as failed when an init container fails beside a restartable one, restartPolicy=Never",
        needs: &[],
        run: |stage| Box::pin(init_fails(stage)),
    },
    Case {
        group: GROUP,
        number: 7,
        name: "should complete a Job whose Pods have a restartable init container",
        needs: &[],
        run: |stage| Box::pin(of_a_job(stage)),
    },
];

/// A restartable init container.
fn sidecar(name: &str, script: &str) -> Value {
    let mut sidecar = container(name, script);
    sidecar["restartPolicy"] = "Always".into();
    sidecar
}

/// A pod of one container, with these before it.
fn with_init(script: &str, inits: &[Value]) -> Value {
    let mut pod = pod("sidecars", script);
    pod["spec"]["initContainers"] = json!(inits);
    pod
}

/// The status of the init container at a place.
fn init(pod: &DynamicObject, at: usize) -> &Value {
    &pod.data["status"]["initContainerStatuses"][at]
}

/// Runs until it is asked to end, and ends with this code then.
fn stays(code: u8) -> String {
    format!("trap 'exit {code}' TERM; sleep 1000000 & wait")
}

async fn ends_after_the_others(stage: &Stage) -> Result<()> {
    stage.create(with_init("true", &[sidecar("stays", &stays(3))])).await?;
    let ended = stage.ends("sidecars", "Succeeded").await?;
    ensure!(init(&ended, 0)["state"]["terminated"].is_object(), "it is {}", init(&ended, 0));
    ensure!(first(&ended)["state"]["terminated"]["exitCode"] == 0, "it is {}", first(&ended));
    Ok(())
}

async fn fails_by_the_others(stage: &Stage) -> Result<()> {
    stage.create(with_init("exit 3", &[sidecar("stays", &stays(0))])).await?;
    let ended = stage.ends("sidecars", "Failed").await?;
    ensure!(first(&ended)["state"]["terminated"]["exitCode"] == 3, "it is {}", first(&ended));
    Ok(())
}

async fn last_ends_first(stage: &Stage) -> Result<()> {
    let tells = |name: &str, more: &str| {
        let script = format!(
            "trap 'echo {name} >> /data/order; {more}exit 0' TERM; touch /data/{name}; sleep 1000000 & wait"
        );
        sidecar(name, &script)
    };
    let main = "until [ -e /data/first ] && [ -e /data/second ]; do sleep 1; done; echo main >> /data/order";
    let inits = [tells("first", "cat /data/order; "), tells("second", "")];
    stage.create(with_empty_dir(with_init(main, &inits))).await?;
    stage.ends("sidecars", "Succeeded").await?;
    let order = stage.log("sidecars", "first").await?;
    ensure!(order.lines().eq(["main", "second", "first"]), "they ended in the order {order:?}");
    Ok(())
}

async fn restarted(stage: &Stage) -> Result<()> {
    let script =
        format!("[ -e /data/once ] || {{ touch /data/once; exit 1; }}; touch /data/twice; {}", stays(0));
    let main = "until [ -e /data/twice ]; do sleep 1; done";
    stage.create(with_empty_dir(with_init(main, &[sidecar("fails", &script)]))).await?;
    let ended = stage.ends("sidecars", "Succeeded").await?;
    ensure!(init(&ended, 0)["restartCount"].as_i64() >= Some(1), "it is {}", init(&ended, 0));
    Ok(())
}

async fn beside_an_init(stage: &Stage) -> Result<()> {
    let script = format!("touch /data/up; {}", stays(0));
    let later = container("later", "until [ -e /data/up ]; do sleep 1; done; touch /data/later");
    stage
        .create(with_empty_dir(with_init("test -e /data/later", &[sidecar("stays", &script), later])))
        .await?;
    let ended = stage.ends("sidecars", "Succeeded").await?;
    ensure!(init(&ended, 0)["restartCount"] == 0, "it is {}", init(&ended, 0));
    Ok(())
}

async fn init_fails(stage: &Stage) -> Result<()> {
    let inits = [sidecar("stays", &stays(0)), container("fails", "exit 1")];
    stage.create(with_init("true", &inits)).await?;
    let ended = stage.ends("sidecars", "Failed").await?;
    ensure!(init(&ended, 1)["state"]["terminated"]["exitCode"] == 1, "it is {}", init(&ended, 1));
    ensure!(first(&ended)["state"]["running"].is_null(), "its container runs: {}", first(&ended));
    ensure!(first(&ended)["state"]["terminated"].is_null(), "its container has run: {}", first(&ended));
    Ok(())
}

async fn of_a_job(stage: &Stage) -> Result<()> {
    let mut job = scripted("sidecars", "true", 2, 2);
    job["spec"]["template"]["spec"]["initContainers"] = json!([sidecar("stays", &stays(3))]);
    stage.create(job).await?;
    stage.complete("sidecars", "CompletionsReached", 2).await?;
    Ok(())
}
