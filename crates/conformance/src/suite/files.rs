//! Whose the files of volumes are, what they may be, and what else is in them:
//! `test/e2e/common/storage/{configmap,secrets}_volume.go`, `empty_dir.go`.

use anyhow::{Result, bail, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::case::Case;
use super::pods::pod;
use super::stage::{CONFIG_MAP, SECRET, Stage};
use super::volumes::{GROUP, NEEDS, make, reader, source};

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 17,
        name: "ConfigMap should be consumable from pods in volume with defaultMode set",
        needs: NEEDS,
        run: |stage| Box::pin(default_mode(stage, "ConfigMap")),
    },
    Case {
        group: GROUP,
        number: 18,
        name: "Secrets should be consumable from pods in volume with defaultMode set",
        needs: NEEDS,
        run: |stage| Box::pin(default_mode(stage, "Secret")),
    },
    Case {
        group: GROUP,
        number: 19,
        name: "Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set",
        needs: NEEDS,
        run: |stage| Box::pin(of_a_group(stage)),
    },
    Case {
        group: GROUP,
        number: 20,
        name: "EmptyDir volume on default medium should have the correct mode using FSGroup",
        needs: NEEDS,
        run: |stage| Box::pin(empty_of_a_group(stage, "")),
    },
    Case {
        group: GROUP,
        number: 21,
        name: "EmptyDir new files should be created with FSGroup ownership when container is non-root",
        needs: NEEDS,
        run: |stage| Box::pin(new_files(stage)),
    },
    Case {
        group: GROUP,
        number: 22,
        name: "ConfigMap binary data should be reflected in volume",
        needs: NEEDS,
        run: |stage| Box::pin(binary(stage)),
    },
    Case {
        group: GROUP,
        number: 23,
        name: "ConfigMap should be consumable in multiple volumes in the same pod",
        needs: NEEDS,
        run: |stage| Box::pin(twice(stage)),
    },
    Case {
        group: GROUP,
        number: 24,
        name: "ConfigMap should be immutable if `immutable` field is set",
        needs: &[],
        run: |stage| Box::pin(immutable(stage, "ConfigMap")),
    },
    Case {
        group: GROUP,
        number: 25,
        name: "Secrets should be immutable if `immutable` field is set",
        needs: &[],
        run: |stage| Box::pin(immutable(stage, "Secret")),
    },
];

async fn default_mode(stage: &Stage, kind: &str) -> Result<()> {
    make(stage, kind).await?;
    let pod = reader(
        "cat /data/data-1; echo; stat -L -c %a /data/data-1",
        source(kind, json!({"defaultMode": 0o400})),
    );
    stage.says(pod, &["value-1", "400"]).await
}

/// The pod's files are a group's; where it has an image, its user is no root.
fn grouped(stage: &Stage, mut pod: Value) -> Result<(Value, String)> {
    let group = stage.group()?;
    pod["spec"]["securityContext"] = json!({"fsGroup": group});
    if stage.has_images() {
        pod["spec"]["securityContext"]["runAsUser"] = 1000.into();
    }
    Ok((pod, group.to_string()))
}

async fn of_a_group(stage: &Stage) -> Result<()> {
    make(stage, "Secret").await?;
    let script = "cat /data/data-1; echo; stat -L -c %a /data/data-1; stat -L -c %g /data/data-1";
    let (pod, group) = grouped(stage, reader(script, source("Secret", json!({"defaultMode": 0o440}))))?;
    stage.says(pod, &["value-1", "440", &group]).await
}

async fn empty_of_a_group(stage: &Stage, medium: &str) -> Result<()> {
    let wish = reader("stat -c %a /data; stat -c %g /data", json!({"emptyDir": {"medium": medium}}));
    let (pod, group) = grouped(stage, wish)?;
    stage.says(pod, &["2777", &group]).await
}

async fn new_files(stage: &Stage) -> Result<()> {
    let wish = reader("touch /data/file && stat -c %g /data/file", json!({"emptyDir": {}}));
    let (pod, group) = grouped(stage, wish)?;
    stage.says(pod, &[&group]).await
}

async fn binary(stage: &Stage) -> Result<()> {
    let wish = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "source"},
        "data": {"text": "value-1"}, "binaryData": {"bytes": "3sr+ut4B"},
    });
    stage.create(wish).await?;
    let script = "cat /data/text; echo; od -An -tx1 /data/bytes | tr -d ' '";
    stage.says(reader(script, source("ConfigMap", json!({}))), &["value-1", "decafebade01"]).await
}

async fn twice(stage: &Stage) -> Result<()> {
    make(stage, "ConfigMap").await?;
    let mut wish = pod("reads", "cat /one/data-1; echo; cat /two/data-2; echo");
    let map = json!({"name": "source"});
    wish["spec"]["volumes"] = json!([{"name": "one", "configMap": map}, {"name": "two", "configMap": map}]);
    wish["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "one", "mountPath": "/one"}, {"name": "two", "mountPath": "/two"}]);
    stage.says(wish, &["value-1", "value-2"]).await
}

async fn immutable(stage: &Stage, kind: &str) -> Result<()> {
    make(stage, kind).await?;
    let objects = if kind == "Secret" { SECRET } else { CONFIG_MAP };
    let value = |text: &str| {
        if kind == "Secret" {
            json!({"stringData": {"data-1": text}})
        } else {
            json!({"data": {"data-1": text}})
        }
    };
    stage.merge(objects, "source", value("value-3")).await?;
    stage.merge(objects, "source", json!({"immutable": true})).await?;
    for change in [value("value-4"), json!({"immutable": false})] {
        let refused =
            stage.api(objects).patch("source", &PatchParams::default(), &Patch::Merge(&change)).await;
        match refused {
            Err(kube::Error::Api(status)) => {
                ensure!(status.code == 422, "{change} is refused with {status:?}");
            }
            Err(other) => return Err(other.into()),
            Ok(_) => bail!("{change} is taken"),
        }
    }
    stage.merge(objects, "source", json!({"metadata": {"labels": {"is": "free"}}})).await?;
    stage.delete(objects, "source").await
}
