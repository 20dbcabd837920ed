//! Defaults of one container. Source: upstream pkg/apis/core/v1/defaults.go and zz_generated.defaults.go.

use serde_json::Value;

use super::default::{respell, round_resources};
use super::image;
use crate::kinds::json::{fill, fill_text, fill_zero, given, items_mut, object, text};

/// Fills absent fields of a container of any sort.
pub(super) fn fill_defaults(container: &mut Value) {
    let image = text(container, "image");
    let pull = if image::is_latest(image) { "Always" } else { "IfNotPresent" };
    fill_text(container, "imagePullPolicy", pull);
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    if let Some(resources) = object(container, "resources") {
        round_resources(resources);
    }
    for port in items_mut(container, "ports") {
        fill_text(port, "protocol", "TCP");
    }
    for from in items_mut(container, "env").filter_map(|e| given(e, "valueFrom")) {
        fill_env_source(from);
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = given(container, probe) {
            fill_probe(probe);
        }
    }
    drop_stop_signal(container);
    if let Some(lifecycle) = given(container, "lifecycle") {
        for handler in ["postStart", "preStop"] {
            if let Some(get) = given(lifecycle, handler).and_then(|h| given(h, "httpGet")) {
                fill_http_get(get);
            }
        }
    }
}

/// Upstream's gate for it is off (`dropContainerStopSignals` in pkg/api/pod/util.go).
fn drop_stop_signal(container: &mut Value) {
    let Some(lifecycle) = given(container, "lifecycle").and_then(Value::as_object_mut) else { return };
    if lifecycle.remove("stopSignal").is_some_and(|signal| !signal.is_null())
        && lifecycle.values().all(Value::is_null)
        && let Some(container) = container.as_object_mut()
    {
        container.remove("lifecycle");
    }
}

fn fill_env_source(from: &mut Value) {
    if let Some(field) = given(from, "fieldRef") {
        fill_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = given(from, "resourceFieldRef") {
        fill(resource, "divisor", "0");
        respell(resource, "divisor");
    }
    if let Some(file) = given(from, "fileKeyRef") {
        fill(file, "optional", false);
    }
}

fn fill_probe(probe: &mut Value) {
    fill_zero(probe, "timeoutSeconds", 1);
    fill_zero(probe, "periodSeconds", 10);
    fill_zero(probe, "successThreshold", 1);
    fill_zero(probe, "failureThreshold", 3);
    if let Some(get) = given(probe, "httpGet") {
        fill_http_get(get);
    }
    if let Some(grpc) = given(probe, "grpc") {
        fill(grpc, "service", "");
    }
}

fn fill_http_get(get: &mut Value) {
    fill_text(get, "path", "/");
    fill_text(get, "scheme", "HTTP");
}
