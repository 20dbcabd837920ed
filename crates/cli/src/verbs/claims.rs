//! `windlass up --claim NAME=DIR`: directories of this machine as claims that jobs name.
//!
//! It makes what anybody could with kubectl: a volume of the directory, and a claim that is bound to it.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use windlass::Source;
use windlass_engine::Home;

use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};

/// Where the claims are.
const NAMESPACE: &str = "default";
/// What volume and claim say they hold: the directory is as large as its file system, whatever they say.
const SIZE: &str = "1Ti";

/// Makes what is missing. A claim that is there already must be of the same directory.
pub(super) async fn ensure(claims: &[(String, PathBuf)], home: &Home, call: Call<'_>) -> Outcome {
    if claims.is_empty() {
        return Ok(Exit::OK);
    }
    let source = Source::Files { paths: vec![home.kubeconfig()], context: None };
    let connection = windlass::connect(&source).await.map_err(|cause| Failure::new("the engine", cause))?;
    for (name, directory) in claims {
        let directory = call.env.absolute(directory.clone());
        one(name, &directory, connection.client.clone()).await?;
        call.notes().say(&format!("claim {name}: {}", directory.display()));
    }
    Ok(Exit::OK)
}

async fn one(name: &str, directory: &Path, client: Client) -> Outcome<()> {
    if !directory.is_dir() {
        let place = format!("--claim {name}={}", directory.display());
        return Err(Failure::new(place, "there is no such directory").way_out("make it first"));
    }
    let volume = format!("claim-{name}");
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let path = directory.display().to_string();
    if let Some(found) = make(&volumes, &volume, volume_of(name, &volume, &path)).await? {
        let there = found.spec.and_then(|spec| spec.host_path).map(|host| host.path).unwrap_or_default();
        if there != path {
            return Err(Failure::new(
                format!("--claim {name}"),
                format!("it is there already, and is {there}"),
            )
            .way_out(format!("`kubectl delete pvc {name}` and `kubectl delete pv {volume}` first")));
        }
    }
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client, NAMESPACE);
    make(&claims, name, claim_of(name, &volume)).await?;
    Ok(())
}

/// Creates an object, or gives the one that is there.
async fn make<K>(api: &Api<K>, name: &str, object: Value) -> Outcome<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let fault = |cause: &dyn std::fmt::Display| Failure::new(format!("--claim: {name}"), cause);
    let object = serde_json::from_value(object).map_err(|cause| fault(&cause))?;
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            api.get(name).await.map(Some).map_err(|cause| fault(&cause))
        }
        Err(cause) => Err(fault(&cause)),
    }
}

fn volume_of(claim: &str, name: &str, path: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": SIZE}, "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "hostPath": {"path": path, "type": "Directory"},
            "claimRef": {"namespace": NAMESPACE, "name": claim},
        },
    })
}

fn claim_of(name: &str, volume: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"], "storageClassName": "",
            "resources": {"requests": {"storage": SIZE}}, "volumeName": volume,
        },
    })
}
