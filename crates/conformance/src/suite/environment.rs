//! Where the variables of a container come from: `test/e2e/common/node/{expansion,configmap,secrets,downwardapi}.go`.

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::pods::pod;
use super::stage::{CONFIG_MAP, Kind, POD, SECRET, Stage};

pub(super) const CASES: &[Case] = &[
    Case {
        group: "Variable Expansion",
        number: 1,
        name: "should allow composing env vars into new env vars",
        needs: &[],
        run: |stage| Box::pin(composed(stage)),
    },
    Case {
        group: "Variable Expansion",
        number: 2,
        name: "should allow substituting values in a container's command",
        needs: &[],
        run: |stage| Box::pin(in_the_command(stage)),
    },
    Case {
        group: "Variable Expansion",
        number: 3,
        name: "should allow substituting values in a container's args",
        needs: &[],
        run: |stage| Box::pin(in_the_arguments(stage)),
    },
    Case {
        group: "Variable Expansion",
        number: 4,
        name: "should allow substituting values in a volume subpath",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(in_a_subpath(stage)),
    },
    Case {
        group: "Variable Expansion",
        number: 5,
        name: "should fail substituting values in a volume subpath with backticks",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(bad_subpath(stage, "..")),
    },
    Case {
        group: "Variable Expansion",
        number: 6,
        name: "should fail substituting values in a volume subpath with absolute path",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(bad_subpath(stage, "/tmp")),
    },
    Case {
        group: "ConfigMap",
        number: 1,
        name: "should be consumable via environment variable",
        needs: &[],
        run: |stage| Box::pin(one_key(stage, "ConfigMap")),
    },
    Case {
        group: "ConfigMap",
        number: 2,
        name: "should be consumable via the environment",
        needs: &[],
        run: |stage| Box::pin(all_keys(stage, "ConfigMap")),
    },
    Case {
        group: "ConfigMap",
        number: 3,
        name: "should fail to create ConfigMap with empty key",
        needs: &[],
        run: |stage| Box::pin(empty_key(stage, "ConfigMap")),
    },
    Case {
        group: "ConfigMap",
        number: 4,
        name: "should run through a ConfigMap lifecycle",
        needs: &[],
        run: |stage| Box::pin(lifecycle(stage, CONFIG_MAP)),
    },
    Case {
        group: "Secrets",
        number: 1,
        name: "should be consumable from pods in env vars",
        needs: &[],
        run: |stage| Box::pin(one_key(stage, "Secret")),
    },
    Case {
        group: "Secrets",
        number: 2,
        name: "should be consumable via the environment",
        needs: &[],
        run: |stage| Box::pin(all_keys(stage, "Secret")),
    },
    Case {
        group: "Secrets",
        number: 3,
        name: "should fail to create secret due to empty secret key",
        needs: &[],
        run: |stage| Box::pin(empty_key(stage, "Secret")),
    },
    Case {
        group: "Secrets",
        number: 4,
        name: "should patch a secret",
        needs: &[],
        run: |stage| Box::pin(lifecycle(stage, SECRET)),
    },
    Case {
        group: "Downward API",
        number: 1,
        name: "should provide pod name, namespace and IP address as env vars",
        needs: &[],
        run: |stage| Box::pin(names_and_address(stage)),
    },
    Case {
        group: "Downward API",
        number: 2,
        name: "should provide host IP as an env var",
        needs: &[],
        run: |stage| Box::pin(host_address(stage)),
    },
    Case {
        group: "Downward API",
        number: 3,
        name: "should provide container's limits.cpu/memory and requests.cpu/memory as env vars",
        needs: &[],
        run: |stage| Box::pin(own_limits(stage)),
    },
    Case {
        group: "Downward API",
        number: 4,
        name: "should provide default limits.cpu/memory from node allocatable",
        needs: &[Need::Node],
        run: |stage| Box::pin(limits_of_the_node(stage)),
    },
    Case {
        group: "Downward API",
        number: 5,
        name: "should provide pod UID as env vars",
        needs: &[],
        run: |stage| Box::pin(uid(stage)),
    },
];

/// A pod that prints its variables, with these.
fn printer(env: Value) -> Value {
    let mut pod = pod("env", "env");
    // No shell: some drop the names that are none of theirs.
    pod["spec"]["containers"][0]["command"] = json!(["env"]);
    pod["spec"]["containers"][0]["env"] = env;
    pod
}

/// The value of a variable in what `env` printed.
fn value<'a>(output: &'a str, name: &str) -> Result<&'a str> {
    let found = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.with_context(|| format!("there is no {name} in {output:?}"))
}

async fn composed(stage: &Stage) -> Result<()> {
    let env = json!([
        {"name": "FOO", "value": "foo-value"}, {"name": "BAR", "value": "bar-value"},
        {"name": "FOOBAR", "value": "$(FOO);;$(BAR)"}, {"name": "EARLY", "value": "$(LATE) $$(FOO)"},
        {"name": "LATE", "value": "late"},
    ]);
    let lines = ["FOO=foo-value", "BAR=bar-value", "FOOBAR=foo-value;;bar-value", "EARLY=$(LATE) $(FOO)"];
    stage.says(printer(env), &lines).await
}

async fn in_the_command(stage: &Stage) -> Result<()> {
    let mut pod = pod("env", "TEST_VAR=wrong echo \"$(TEST_VAR)\"");
    pod["spec"]["containers"][0]["env"] = json!([{"name": "TEST_VAR", "value": "test-value"}]);
    stage.says(pod, &["test-value"]).await
}

async fn in_the_arguments(stage: &Stage) -> Result<()> {
    let mut pod = printer(json!([{"name": "TEST_VAR", "value": "test-value"}]));
    pod["spec"]["containers"][0]["command"] = json!(["/bin/sh", "-c"]);
    pod["spec"]["containers"][0]["args"] = json!(["TEST_VAR=wrong echo \"$(TEST_VAR)\""]);
    stage.says(pod, &["test-value"]).await
}

/// A pod that mounts a part of a volume that the variable `POD_NAME` names.
fn part_of_a_volume(part: &str, script: &str) -> Value {
    let mut pod = pod("part", script);
    pod["spec"]["volumes"] = json!([{"name": "work", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["env"] = json!([{"name": "POD_NAME", "value": part}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "work", "mountPath": "/logscontainer", "subPathExpr": "$(POD_NAME)"},
        {"name": "work", "mountPath": "/testcontainer"},
    ]);
    pod
}

async fn in_a_subpath(stage: &Stage) -> Result<()> {
    let script = "echo here > /logscontainer/file; cat /testcontainer/part/file";
    stage.says(part_of_a_volume("part", script), &["here"]).await
}

async fn bad_subpath(stage: &Stage, part: &str) -> Result<()> {
    stage.create(part_of_a_volume(part, "true")).await?;
    let refused = stage.pod_until("part", "its container is refused", |pod| {
        let waiting = &super::pods::first(pod)["state"]["waiting"];
        waiting["reason"] == "CreateContainerConfigError"
    });
    let refused = refused.await?;
    ensure!(super::pods::phase(&refused) == "Pending", "the pod is {}", super::pods::phase(&refused));
    stage.delete(POD, "part").await
}

/// Makes a ConfigMap or a Secret.
async fn make(stage: &Stage, kind: &str, data: &Value) -> Result<()> {
    let field = if kind == "Secret" { "stringData" } else { "data" };
    stage
        .create(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "source"}, field: data}))
        .await?;
    Ok(())
}

fn reference(kind: &str, one: bool) -> &'static str {
    match (kind, one) {
        ("Secret", true) => "secretKeyRef",
        ("Secret", false) => "secretRef",
        (_, true) => "configMapKeyRef",
        (_, false) => "configMapRef",
    }
}

async fn one_key(stage: &Stage, kind: &str) -> Result<()> {
    make(stage, kind, &json!({"data-1": "value-1"})).await?;
    let of = |key: &str, optional: bool| json!({reference(kind, true): {"name": "source", "key": key, "optional": optional}});
    let env = json!([
        {"name": "DATA_1", "valueFrom": of("data-1", false)}, {"name": "NONE", "valueFrom": of("none", true)},
    ]);
    let output = stage.output(printer(env)).await?;
    ensure!(value(&output, "DATA_1")? == "value-1", "DATA_1 is not value-1: {output:?}");
    ensure!(value(&output, "NONE").is_err(), "an optional key that is not there has a value");
    Ok(())
}

async fn all_keys(stage: &Stage, kind: &str) -> Result<()> {
    make(stage, kind, &json!({"data_1": "value-1", "data_2": "value-2"})).await?;
    let mut pod = printer(json!([]));
    let source = json!({"name": "source"});
    pod["spec"]["containers"][0]["envFrom"] = json!([
        {reference(kind, false): source}, {"prefix": "p-", reference(kind, false): source},
    ]);
    let lines = ["data_1=value-1", "data_2=value-2", "p-data_1=value-1", "p-data_2=value-2"];
    stage.says(pod, &lines).await
}

async fn empty_key(stage: &Stage, kind: &str) -> Result<()> {
    let object = json!({
        "apiVersion": "v1", "kind": kind, "metadata": {"name": "empty"}, "data": {"": "dmFsdWUtMQ=="},
    });
    match stage.try_create(object).await {
        Err(kube::Error::Api(status)) => {
            ensure!(status.code == 422 && status.reason == "Invalid", "the answer is {status:?}");
            Ok(())
        }
        other => anyhow::bail!("an empty key was taken: {other:?}"),
    }
}

/// Created, patched, listed of all namespaces, and deleted by its label; a watch tells each.
async fn lifecycle(stage: &Stage, kind: Kind) -> Result<()> {
    let is_secret = kind == SECRET;
    let (label, value) =
        (format!("suite={}", stage.namespace), if is_secret { "dmFsdWUx" } else { "value1" });
    let list = ListParams::default().labels(&label);
    let start = stage.api(kind).list(&list).await?.metadata.resource_version.unwrap_or_default();
    stage
        .create(json!({
            "apiVersion": "v1", "kind": if is_secret { "Secret" } else { "ConfigMap" },
            "metadata": {"name": "life", "labels": {"suite": stage.namespace}}, "data": {"key": "dmFsdWU="},
        }))
        .await?;
    let patch = json!({"metadata": {"labels": {"patched": "true"}}, "data": {"key": value}});
    let patched = stage.merge(kind, "life", patch).await?;
    ensure!(patched.data["data"]["key"] == value, "the data is {}", patched.data["data"]);
    let is_patched = |what: &str, object: &DynamicObject| {
        what == "MODIFIED" && object.metadata.labels.iter().flatten().any(|(key, _)| key == "patched")
    };
    stage.event_from(kind, &label, start, is_patched).await.context("the patch's event")?;
    let everywhere =
        stage.everywhere(kind).list(&list.clone().labels(&format!("{label},patched=true"))).await?;
    ensure!(everywhere.items.len() == 1, "{} of all namespaces are listed", everywhere.items.len());
    stage.api(kind).delete_collection(&DeleteParams::default(), &list).await?;
    let since = patched.metadata.resource_version.unwrap_or_default();
    stage
        .event_from(kind, &label, since, |what, _| what == "DELETED")
        .await
        .context("the deletion's event")?;
    let left = stage.list(kind, &label).await?;
    ensure!(left.is_empty(), "{} are listed after they were deleted", left.len());
    Ok(())
}

fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

fn resource(name: &str, resource: &str) -> Value {
    json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource}}})
}

fn ensure_address(text: &str) -> Result<()> {
    text.parse::<std::net::IpAddr>().map(drop).with_context(|| format!("{text:?} is no address"))
}

async fn names_and_address(stage: &Stage) -> Result<()> {
    let env = json!([
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("POD_IP", "status.podIP"),
    ]);
    let output = stage.output(printer(env)).await?;
    ensure!(value(&output, "POD_NAME")? == "env", "POD_NAME is {:?}", value(&output, "POD_NAME"));
    let namespace = value(&output, "POD_NAMESPACE")?;
    ensure!(namespace == stage.namespace, "POD_NAMESPACE is {namespace:?}");
    ensure_address(value(&output, "POD_IP")?)
}

async fn host_address(stage: &Stage) -> Result<()> {
    let output = stage.output(printer(json!([field("HOST_IP", "status.hostIP")]))).await?;
    ensure_address(value(&output, "HOST_IP")?)
}

async fn own_limits(stage: &Stage) -> Result<()> {
    let mut pod = printer(json!([
        resource("CPU_LIMIT", "limits.cpu"),
        resource("MEMORY_LIMIT", "limits.memory"),
        resource("CPU_REQUEST", "requests.cpu"),
        resource("MEMORY_REQUEST", "requests.memory"),
    ]));
    pod["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}});
    // Parts of a unit count as one.
    let lines = ["CPU_LIMIT=2", "MEMORY_LIMIT=67108864", "CPU_REQUEST=1", "MEMORY_REQUEST=33554432"];
    stage.says(pod, &lines).await
}

async fn limits_of_the_node(stage: &Stage) -> Result<()> {
    let env = json!([resource("CPU_LIMIT", "limits.cpu"), resource("MEMORY_LIMIT", "limits.memory")]);
    let output = stage.output(printer(env)).await?;
    let (_, millicores) = super::jobs::ready_node(stage).await?;
    let cpu: i64 = value(&output, "CPU_LIMIT")?.parse()?;
    ensure!(cpu == (millicores + 999) / 1000, "CPU_LIMIT is {cpu}, and the node has {millicores}m");
    let memory: i64 = value(&output, "MEMORY_LIMIT")?.parse()?;
    ensure!(memory > 0, "MEMORY_LIMIT is {memory}");
    Ok(())
}

async fn uid(stage: &Stage) -> Result<()> {
    let output = stage.output(printer(json!([field("POD_UID", "metadata.uid")]))).await?;
    let pod = stage.get(POD, "env").await?;
    let uid = value(&output, "POD_UID")?;
    ensure!(Some(uid) == pod.metadata.uid.as_deref(), "POD_UID is {uid:?}, not the pod's uid");
    Ok(())
}
