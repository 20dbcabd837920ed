//! What a probe or a hook does, read from the pod. It does nothing itself.
//!
//! Source: pkg/kubelet/prober/prober.go, pkg/kubelet/lifecycle/handlers.go, pkg/probe (`util.go`, `http/request.go`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::hook::Hook;
use super::probe::Probe;
use super::view::{ContainerView, PodView};
use crate::process::expand;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Handler {
    /// Run this beside the container: its program and arguments.
    Exec(Vec<String>),
    /// Ask a server.
    Http(HttpGet),
    /// Open a connection, and close it.
    Tcp {
        /// A name or an address.
        host: String,
        /// Where there.
        port: u16,
    },
    /// Wait so many seconds.
    Sleep(u64),
    /// It cannot be done, and why.
    Broken(String),
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpGet {
    /// Over TLS, whoever the server says that it is.
    pub is_https: bool,
    /// A name or an address.
    pub host: String,
    /// Where there.
    pub port: u16,
    /// Path and query, from its first slash on.
    pub path: String,
    /// What the pod says, and those that every kubelet sends.
    pub headers: Vec<(String, String)>,
}

/// What a container's probe does, and how many seconds it may take. None if it has no such probe.
#[must_use]
pub fn probe_handler<'a>(
    pod: impl Into<PodView<'a>>,
    container: &str,
    probe: Probe,
) -> Option<(Handler, u64)> {
    let view = pod.into();
    let container = find(view, container)?;
    let spec = container.spec.get(probe.field()).filter(|spec| spec.is_object())?;
    let timeout = spec["timeoutSeconds"].as_u64().unwrap_or(1).max(1);
    let handler = match handler(view, &container, spec, "probe") {
        // A probe knows the variables that are written down as they are.
        Handler::Exec(argv) => {
            let variables = variables(&container);
            let text = |name: &str| variables.get(name).map(|value| value.as_bytes());
            let words = argv.iter().map(|word| expand(word, text).into_string());
            // What is written down in a pod is text.
            Handler::Exec(words.map(Result::unwrap_or_default).collect())
        }
        handler => handler,
    };
    Some((handler, timeout))
}

/// What a container's hook does. None if it has no such hook.
#[must_use]
pub fn hook_handler<'a>(pod: impl Into<PodView<'a>>, container: &str, hook: Hook) -> Option<Handler> {
    let view = pod.into();
    let container = find(view, container)?;
    let spec = container.spec["lifecycle"].get(hook.field()).filter(|spec| spec.is_object())?;
    Some(match handler(view, &container, spec, "lifecycle") {
        // As upstream: the API takes it, and no kubelet runs it.
        Handler::Tcp { .. } => Handler::Broken("invalid handler: a hook cannot be a tcpSocket".to_owned()),
        handler => handler,
    })
}

fn find<'a>(view: PodView<'a>, name: &str) -> Option<ContainerView<'a>> {
    view.containers().into_iter().find(|container| container.name == name)
}

fn handler(view: PodView<'_>, container: &ContainerView<'_>, spec: &Value, purpose: &str) -> Handler {
    let host = |source: &Value| {
        let named = source["host"].as_str().filter(|host| !host.is_empty());
        named.unwrap_or_else(|| view.text("/status/podIP")).to_owned()
    };
    if let Some(command) = spec["exec"]["command"].as_array() {
        return Handler::Exec(command.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    if spec["httpGet"].is_object() {
        let source = &spec["httpGet"];
        return match port(&source["port"], container) {
            Ok(port) => Handler::Http(HttpGet {
                is_https: source["scheme"]
                    .as_str()
                    .is_some_and(|scheme| scheme.eq_ignore_ascii_case("HTTPS")),
                host: host(source),
                port,
                path: path(source["path"].as_str().unwrap_or_default()),
                headers: headers(source, purpose),
            }),
            Err(why) => Handler::Broken(why),
        };
    }
    if spec["tcpSocket"].is_object() {
        let source = &spec["tcpSocket"];
        return match port(&source["port"], container) {
            Ok(port) => Handler::Tcp { host: host(source), port },
            Err(why) => Handler::Broken(why),
        };
    }
    if spec["sleep"].is_object() {
        return Handler::Sleep(spec["sleep"]["seconds"].as_u64().unwrap_or(0));
    }
    Handler::Broken("missing handler".to_owned())
}

/// A number, or the name of one of the container's ports.
fn port(port: &Value, container: &ContainerView<'_>) -> Result<u16, String> {
    let number = match port.as_str() {
        None => port.as_i64().unwrap_or(-1),
        Some(name) => {
            let mut ports = container.spec["ports"].as_array().into_iter().flatten();
            let found =
                ports.find(|port| port["name"] == name).and_then(|port| port["containerPort"].as_i64());
            match found.or_else(|| name.parse().ok()) {
                Some(number) => number,
                None => return Err(format!("port {name} not found")),
            }
        }
    };
    let valid = u16::try_from(number).ok().filter(|number| *number > 0);
    valid.ok_or_else(|| format!("invalid port number: {number}"))
}

fn path(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn headers(source: &Value, purpose: &str) -> Vec<(String, String)> {
    let text = |header: &Value, field: &str| header[field].as_str().unwrap_or_default().to_owned();
    let given = source["httpHeaders"].as_array().into_iter().flatten();
    let mut headers: Vec<(String, String)> =
        given.map(|header| (text(header, "name"), text(header, "value"))).collect();
    let usual = [("User-Agent", format!("kube-{purpose}/1.36")), ("Accept", "*/*".to_owned())];
    for (name, value) in usual {
        if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value));
        }
    }
    // An empty one means none.
    headers.retain(|(name, value)| !name.eq_ignore_ascii_case("Accept") || !value.is_empty());
    headers
}

fn variables<'a>(container: &ContainerView<'a>) -> BTreeMap<&'a str, &'a str> {
    let list = container.spec["env"].as_array().into_iter().flatten();
    let pair =
        |variable: &'a Value| Some((variable["name"].as_str()?, variable["value"].as_str().unwrap_or("")));
    list.filter_map(pair).collect()
}
