//! What is in volumes: `test/e2e/common/storage/{configmap,secrets,downwardapi}_volume.go`, `projected_combined.go`,
//! `empty_dir.go`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::pods::{container, phase, pod, with_empty_dir};
use super::stage::{CONFIG_MAP, POD, SECRET, Stage};

pub(super) const GROUP: &str = "Volumes";
pub(super) const NEEDS: &[Need] = &[Need::Volumes];

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "ConfigMap should be consumable from pods in volume",
        needs: NEEDS,
        run: |stage| Box::pin(whole(stage, "ConfigMap")),
    },
    Case {
        group: GROUP,
        number: 2,
        name: "ConfigMap should be consumable from pods in volume with mappings and Item mode set",
        needs: NEEDS,
        run: |stage| Box::pin(items(stage, "ConfigMap")),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "ConfigMap updates should be reflected in volume",
        needs: NEEDS,
        run: |stage| Box::pin(updates(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "ConfigMap should fail non-optional pod creation due to configMap object does not exist",
        needs: NEEDS,
        run: |stage| Box::pin(absent(stage)),
    },
    Case {
        group: GROUP,
        number: 5,
        name: "Secrets should be consumable from pods in volume",
        needs: NEEDS,
        run: |stage| Box::pin(whole(stage, "Secret")),
    },
    Case {
        group: GROUP,
        number: 6,
        name: "Secrets should be consumable from pods in volume with mappings and Item Mode set",
        needs: NEEDS,
        run: |stage| Box::pin(items(stage, "Secret")),
    },
    Case {
        group: GROUP,
        number: 7,
        name: "Downward API volume should provide podname only",
        needs: NEEDS,
        run: |stage| Box::pin(pod_name(stage)),
    },
    Case {
        group: GROUP,
        number: 8,
        name: "Downward API volume should provide container's cpu limit",
        needs: NEEDS,
        run: |stage| Box::pin(cpu_limit(stage)),
    },
    Case {
        group: GROUP,
        number: 9,
        name: "Downward API volume should update labels on modification",
        needs: NEEDS,
        run: |stage| Box::pin(own_fields(stage, "labels")),
    },
    Case {
        group: GROUP,
        number: 10,
        name: "Projected combined should project all components that make up the projection API",
        needs: NEEDS,
        run: |stage| Box::pin(projected(stage)),
    },
    Case {
        group: GROUP,
        number: 11,
        name: "EmptyDir pod should support shared volumes between containers",
        needs: NEEDS,
        run: |stage| Box::pin(shared(stage)),
    },
    Case {
        group: GROUP,
        number: 12,
        name: "ConfigMap optional updates should be reflected in volume",
        needs: NEEDS,
        run: |stage| Box::pin(optional_updates(stage, "ConfigMap")),
    },
    Case {
        group: GROUP,
        number: 13,
        name: "Secrets optional updates should be reflected in volume",
        needs: NEEDS,
        run: |stage| Box::pin(optional_updates(stage, "Secret")),
    },
    Case {
        group: GROUP,
        number: 14,
        name: "Downward API volume should update annotations on modification",
        needs: NEEDS,
        run: |stage| Box::pin(own_fields(stage, "annotations")),
    },
    Case {
        group: GROUP,
        number: 15,
        name: "EmptyDir volume on default medium should have the correct mode",
        needs: NEEDS,
        run: |stage| Box::pin(empty_mode(stage, "", "777")),
    },
    Case {
        group: GROUP,
        number: 16,
        name: "EmptyDir volume on tmpfs should have the correct mode",
        needs: NEEDS,
        run: |stage| Box::pin(empty_mode(stage, "Memory", "1777")),
    },
];

/// A pod that runs a script with a volume at `/data`.
pub(super) fn reader(script: &str, source: Value) -> Value {
    let mut pod = with_empty_dir(pod("reads", script));
    pod["spec"]["volumes"] = Value::Array(vec![source]);
    pod["spec"]["volumes"][0]["name"] = "data".into();
    pod
}

pub(super) async fn make(stage: &Stage, kind: &str) -> Result<()> {
    let field = if kind == "Secret" { "stringData" } else { "data" };
    let data = json!({"data-1": "value-1", "data-2": "value-2"});
    stage
        .create(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "source"}, field: data}))
        .await?;
    Ok(())
}

/// A volume of a ConfigMap or a Secret, and what else its source says.
pub(super) fn source(kind: &str, more: Value) -> Value {
    let (field, name) = if kind == "Secret" { ("secret", "secretName") } else { ("configMap", "name") };
    let mut source = more;
    source[name] = "source".into();
    json!({field: source})
}

async fn whole(stage: &Stage, kind: &str) -> Result<()> {
    make(stage, kind).await?;
    let script = "cat /data/data-1; echo; cat /data/data-2; echo; stat -L -c %a /data/data-1";
    stage.says(reader(script, source(kind, json!({}))), &["value-1", "value-2", "644"]).await
}

async fn items(stage: &Stage, kind: &str) -> Result<()> {
    make(stage, kind).await?;
    let items = json!({"items": [{"key": "data-2", "path": "path/to/data-2", "mode": 0o400}]});
    let script = "cat /data/path/to/data-2; echo; stat -L -c %a /data/path/to/data-2; ls /data";
    let output = stage.output(reader(script, source(kind, items))).await?;
    let lines: Vec<&str> = output.lines().collect();
    ensure!(lines == ["value-2", "400", "path"], "the volume holds {lines:?}");
    Ok(())
}

async fn updates(stage: &Stage) -> Result<()> {
    make(stage, "ConfigMap").await?;
    let script = "until [ \"$(cat /data/data-1)\" = value-3 ]; do sleep 1; done";
    stage.create(reader(script, source("ConfigMap", json!({})))).await?;
    stage.pod_until("reads", "it runs", |pod| phase(pod) == "Running").await?;
    stage.merge(CONFIG_MAP, "source", json!({"data": {"data-1": "value-3"}})).await?;
    stage.ends("reads", "Succeeded").await?;
    Ok(())
}

async fn absent(stage: &Stage) -> Result<()> {
    stage.create(reader("true", source("ConfigMap", json!({"optional": false})))).await?;
    stage.event("reads", "FailedMount").await?;
    let pod = stage.get(POD, "reads").await?;
    ensure!(phase(&pod) == "Pending", "the pod is {}", phase(&pod));
    Ok(())
}

async fn pod_name(stage: &Stage) -> Result<()> {
    let items = json!([{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]);
    stage.says(reader("cat /data/podname; echo", json!({"downwardAPI": {"items": items}})), &["reads"]).await
}

async fn cpu_limit(stage: &Stage) -> Result<()> {
    let limit = json!({"containerName": "c", "resource": "limits.cpu"});
    let items = json!([{"path": "cpu_limit", "resourceFieldRef": limit}]);
    let mut pod = reader("cat /data/cpu_limit; echo", json!({"downwardAPI": {"items": items}}));
    pod["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1250m"}, "requests": {"cpu": "250m"}});
    stage.says(pod, &["2"]).await
}

/// Labels or annotations of the pod, as it has them later.
async fn own_fields(stage: &Stage, which: &str) -> Result<()> {
    let items = json!([{"path": "file", "fieldRef": {"fieldPath": format!("metadata.{which}")}}]);
    let script = "until grep -qx 'key3=\"value3\"' /data/file; do sleep 1; done";
    let mut pod = reader(script, json!({"downwardAPI": {"items": items}}));
    pod["metadata"][which] = json!({"key1": "value1"});
    stage.create(pod).await?;
    stage.pod_until("reads", "it runs", |pod| phase(pod) == "Running").await?;
    stage.merge(POD, "reads", json!({"metadata": {which: {"key3": "value3"}}})).await?;
    stage.ends("reads", "Succeeded").await?;
    Ok(())
}

async fn projected(stage: &Stage) -> Result<()> {
    make(stage, "ConfigMap").await?;
    make(stage, "Secret").await?;
    let sources = json!([
        {"secret": {"name": "source", "items": [{"key": "data-1", "path": "secret"}]}},
        {"configMap": {"name": "source", "items": [{"key": "data-2", "path": "map"}]}},
        {"downwardAPI": {"items": [{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]);
    let script = "for f in secret map podname; do cat /data/$f; echo; done";
    let pod = reader(script, json!({"projected": {"sources": sources}}));
    stage.says(pod, &["value-1", "value-2", "reads"]).await
}

async fn shared(stage: &Stage) -> Result<()> {
    let mut pod = pod("shares", "");
    pod["spec"]["containers"] = json!([
        container("reads", "until [ -e /data/whole ]; do sleep 1; done; cat /data/file"),
        container("writes", "echo hello > /data/file; touch /data/whole"),
    ]);
    stage.says(with_empty_dir(pod), &["hello"]).await
}

/// One source goes, one changes, and one comes while the pod runs.
async fn optional_updates(stage: &Stage, kind: &str) -> Result<()> {
    let field = if kind == "Secret" { "stringData" } else { "data" };
    let made = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: data});
    stage.create(made("goes", json!({"data-1": "value-1"}))).await?;
    stage.create(made("changes", json!({"data-1": "value-1"}))).await?;
    let script = "until [ ! -e /goes/data-1 ] && [ ! -e /changes/data-1 ] &&
        [ \"$(cat /changes/data-3)\" = value-3 ] && [ \"$(cat /comes/data-1)\" = value-1 ]; do sleep 1; done";
    let mut pod = pod("reads", script);
    let (source, named) = if kind == "Secret" { ("secret", "secretName") } else { ("configMap", "name") };
    let names = ["goes", "changes", "comes"];
    let volumes = names.map(|name| json!({"name": name, source: {named: name, "optional": true}}));
    let mounts = names.map(|name| json!({"name": name, "mountPath": format!("/{name}")}));
    pod["spec"]["volumes"] = json!(volumes);
    pod["spec"]["containers"][0]["volumeMounts"] = json!(mounts);
    stage.create(pod).await?;
    stage.pod_until("reads", "it runs", |pod| phase(pod) == "Running").await?;
    let objects = if kind == "Secret" { SECRET } else { CONFIG_MAP };
    stage.delete(objects, "goes").await?;
    let change = json!({"data": {"data-1": null}, field: {"data-1": null, "data-3": "value-3"}});
    stage.merge(objects, "changes", change).await?;
    stage.create(made("comes", json!({"data-1": "value-1"}))).await?;
    stage.ends("reads", "Succeeded").await?;
    Ok(())
}

async fn empty_mode(stage: &Stage, medium: &str, mode: &str) -> Result<()> {
    stage.says(reader("stat -c %a /data", json!({"emptyDir": {"medium": medium}})), &[mode]).await
}
