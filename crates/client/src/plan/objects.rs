//! The objects that a job names.

use serde_json::Value;
use windlass_manifest::plan::{Named, Needs};

use super::{Check, Standing, unknown};
use crate::JobManager;
use crate::transport::{Call, segment};

/// Versions of Kueue's API that serve LocalQueues, the newest first.
const KUEUE: [&str; 2] = ["v1beta2", "v1beta1"];

impl JobManager {
    pub(super) async fn object_checks(&self, needs: &Needs, checks: &mut Vec<Check>) {
        let account = needs.service_account.as_deref().unwrap_or("default");
        checks.push(self.object("service account", "serviceaccounts", account, None).await);
        for name in &needs.pull_secrets {
            let mut check = self.object("pull secret", "secrets", name, None).await;
            // Kubernetes starts the pod without it, and fetches what everybody may fetch.
            if check.standing == Standing::Problem {
                check.standing = Standing::Unknown;
                check.text = "is not there: only a public image can be fetched".to_owned();
            }
            checks.push(check);
        }
        for (name, named) in &needs.secrets {
            checks.push(self.object("secret", "secrets", name, Some(named)).await);
        }
        for (name, named) in &needs.config_maps {
            checks.push(self.object("configmap", "configmaps", name, Some(named)).await);
        }
        for name in &needs.claims {
            checks.push(self.claim(name).await);
        }
        let classes = [
            ("priority class", "scheduling.k8s.io/v1/priorityclasses", &needs.priority_class),
            ("runtime class", "node.k8s.io/v1/runtimeclasses", &needs.runtime_class),
        ];
        for (kind, place, name) in classes {
            let Some(name) = name else { continue };
            let path = format!("/apis/{place}/{}", segment(name));
            let (kind, plural) = (format!("{kind} {name}"), place.rsplit('/').next().unwrap_or(place));
            checks.push(self.at(&kind, plural, &path).await.0);
        }
        if let Some(queue) = &needs.queue {
            checks.push(self.queue(queue).await);
        }
    }

    /// An object of the core group, with its keys.
    async fn object(&self, kind: &str, plural: &str, name: &str, keys: Option<&Named>) -> Check {
        let path = format!("{}/{}", self.core_path(plural), segment(name));
        let (check, object) = self.at(&format!("{kind} {name}"), plural, &path).await;
        let missing: Vec<&str> = keys
            .into_iter()
            .flat_map(|named| &named.keys)
            .filter(|key| {
                object.as_ref().is_some_and(|object| {
                    ["data", "binaryData"].iter().all(|part| object[part][key.as_str()].is_null())
                })
            })
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return check;
        }
        Check::new(check.what, Standing::Problem, format!("has no key {}", missing.join(", ")))
    }

    /// Whether there is something at a path.
    async fn at(&self, what: &str, plural: &str, path: &str) -> (Check, Option<Value>) {
        match self.ask::<Value>(Call::get(path)).await {
            Ok(answer) => (Check::new(what, Standing::Ok, "is there"), Some(answer.value)),
            Err(fault) if fault.is_not_found() => {
                let text = "is not there; create it, or name another";
                (Check::new(what, Standing::Problem, text), None)
            }
            Err(fault) => (unknown(what, &fault, &format!("get {plural}")), None),
        }
    }

    async fn claim(&self, name: &str) -> Check {
        let path = format!("{}/{}", self.core_path("persistentvolumeclaims"), segment(name));
        let (check, claim) = self.at(&format!("claim {name}"), "persistentvolumeclaims", &path).await;
        let Some(claim) = claim else { return check };
        let what = check.what;
        match claim["status"]["phase"].as_str() {
            _ if claim["metadata"]["deletionTimestamp"].is_string() => {
                Check::new(what, Standing::Problem, "is being deleted")
            }
            Some("Bound") => Check::new(what, Standing::Ok, "is bound"),
            Some("Lost") => Check::new(what, Standing::Problem, "has lost its volume"),
            _ => Check::new(what, Standing::Ok, "is not bound yet: its class may wait for the first pod"),
        }
    }

    async fn queue(&self, name: &str) -> Check {
        let what = format!("queue {name}");
        let mut check = None;
        for version in KUEUE {
            let namespace = segment(self.namespace());
            let path = format!(
                "/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/localqueues/{}",
                segment(name)
            );
            let (found, object) = self.at(&what, "localqueues", &path).await;
            if object.is_some() || found.standing == Standing::Unknown {
                return found;
            }
            check = Some(found);
        }
        let text = "is not there, or this cluster has no Kueue: the job would start without it";
        check.map_or_else(
            || Check::new(&what, Standing::Unknown, text),
            |check| Check { text: text.to_owned(), ..check },
        )
    }
}
