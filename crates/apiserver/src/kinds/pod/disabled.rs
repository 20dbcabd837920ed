//! Fields of features that upstream has not turned on: it forgets them, unless the object has had one all along.
//!
//! Source: upstream pkg/api/pod/util.go (`dropDisabledFields`), pkg/features/kube_features.go. A field that was turned on
//! since is taken off these lists.

use serde_json::Value;

use crate::kinds::json::{given, is_set, items, items_mut, remove};

/// Sources of projected volumes: `ClusterTrustBundleProjection` and `PodCertificateRequest` are off.
const SOURCES: [&str; 2] = ["clusterTrustBundle", "podCertificate"];

/// Forgets what `old`, the spec of before, does not have; null for a new pod or template.
pub(crate) fn forget(spec: &mut Value, old: &Value) {
    for source in SOURCES {
        let has = |volume: &Value| items(&volume["projected"], "sources").iter().any(|of| is_set(of, source));
        if items(old, "volumes").iter().any(has) {
            continue;
        }
        for volume in items_mut(spec, "volumes") {
            let Some(projected) = given(volume, "projected") else { continue };
            for of in items_mut(projected, "sources") {
                remove(of, source);
            }
        }
    }
    // `GenericWorkload` is off.
    if !is_set(old, "schedulingGroup") {
        remove(spec, "schedulingGroup");
    }
}

/// The same of a pod's spec that is in an object at `pointer`.
pub(crate) fn forget_below(new: &mut Value, old: &Value, pointer: &str) {
    if let Some(spec) = new.pointer_mut(pointer) {
        forget(spec, old.pointer(pointer).unwrap_or(&Value::Null));
    }
}
