//! What a cluster's admission asks of a new pod beyond the pod itself: that what it names is there. And the class of a
//! claim that names none, and which claims may grow.
//!
//! Source: upstream's plugins ServiceAccount, RuntimeClass and DefaultStorageClass. Pods that the engine makes for Jobs do not come
//! this way: they wait, and say why.

use serde_json::Value;

use super::{Registry, meta};
use crate::error::ApiError;
use crate::kind::Kind;
use crate::kinds;
use crate::kinds::volume::class;
use crate::quantity::Quantity;

/// Storage classes that are looked at for the default: nobody has more.
const CLASSES: usize = 1000;

impl Registry {
    /// A claim without a class gets the default one, if there is one; of several the newest, as upstream.
    fn give_class(&self, claim: &mut Value) {
        let old = &claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"];
        if !claim["spec"]["storageClassName"].is_null() || !old.is_null() {
            return;
        }
        let Some(kind) = kinds::by_kind("storage.k8s.io/v1", "StorageClass") else { return };
        let Ok(classes) = self.first(&kind.prefix(None), CLASSES) else { return };
        let classes = classes.into_iter().map(|(_, class)| class);
        let defaults = classes.filter(kinds::storage_class::is_default);
        let made = |class: &Value| {
            let text = |field: &str| class["metadata"][field].as_str().unwrap_or_default().to_owned();
            (text("creationTimestamp"), std::cmp::Reverse(text("name")))
        };
        if let Some(newest) = defaults.max_by_key(made)
            && claim["spec"].is_object()
        {
            claim["spec"]["storageClassName"] = newest["metadata"]["name"].clone();
        }
    }

    /// Refuses a claim that grows beyond what it was made for unless its class lets claims grow. That it is bound its kind
    /// has asked.
    ///
    /// Source: upstream `plugin/pkg/admission/storage/persistentvolume/resize/admission.go`.
    pub(super) fn may_grow(&self, kind: &'static Kind, old: &Value, new: &Value) -> Result<(), ApiError> {
        let size = |claim: &Value| Quantity::of(&claim["spec"]["resources"]["requests"]["storage"]).ok();
        if size(new) <= size(old) || self.class_lets_grow(class(old), class(new)) {
            return Ok(());
        }
        let subject = kind.subject(meta::text(new, "name"));
        let text = format!(
            "{} {:?} is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions \
             the pvc must support resize",
            subject.qualified(),
            subject.name
        );
        Err(ApiError::forbidden(&subject, text))
    }

    fn class_lets_grow(&self, before: &str, name: &str) -> bool {
        let Some(kind) = kinds::by_kind("storage.k8s.io/v1", "StorageClass") else { return false };
        let is_same = !name.is_empty() && name == before;
        is_same && self.get(kind, None, name).is_ok_and(|class| class["allowVolumeExpansion"] == true)
    }

    /// Refuses a pod whose service account, runtime class or priority class is not there; fills in its priority.
    pub(super) fn admit(&self, kind: &'static Kind, pod: &mut Value) -> Result<(), ApiError> {
        match kind.kind {
            "Pod" => {}
            "PersistentVolumeClaim" => {
                self.give_class(pod);
                return Ok(());
            }
            _ => return Ok(()),
        }
        let (namespace, name) = (meta::text(pod, "namespace").to_owned(), meta::text(pod, "name").to_owned());
        let forbidden = |detail: String| {
            let text = format!("pods {name:?} is forbidden: {detail}");
            Err(ApiError::forbidden(&kind.subject(&name), text))
        };
        let there = |api_version: &str, kind: &str, namespace: Option<&str>, name: &str| {
            kinds::by_kind(api_version, kind).is_none_or(|kind| self.entry(kind, namespace, name).is_ok())
        };
        let named = |key: &str| pod["spec"][key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        // The default account of a new namespace may still be on its way.
        if let Some(account) = named("serviceAccountName").filter(|account| account != "default")
            && !there("v1", "ServiceAccount", Some(&namespace), &account)
        {
            return forbidden(format!(
                "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
            ));
        }
        if let Some(class) = named("runtimeClassName")
            && !there("node.k8s.io/v1", "RuntimeClass", None, &class)
        {
            return forbidden(format!("pod rejected: RuntimeClass {class:?} not found"));
        }
        self.give_priority(kind, pod)
    }
}
