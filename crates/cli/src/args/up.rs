//! What `up` means: which engine is started, where it listens, for how long.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use windlass_engine::Images;
use windlass_model::{Problems, label};

use super::high::{Service, UpOptions, wrong};
use super::low::{self, ImagePolicy};
use super::{Usage, job};

/// The options of `up`.
pub(super) fn up(args: low::Up) -> Result<UpOptions, Usage> {
    let images = args.images.map(|policy| match policy {
        ImagePolicy::Refuse => Images::Refuse,
        ImagePolicy::Host => Images::Host,
    });
    let listen = args.listen.as_deref().map(loopback).transpose()?;
    let mut problems = Problems::new();
    let idle_exit = job::time("--idle-exit", args.idle_exit.as_deref(), &mut problems);
    if idle_exit.is_some_and(|after| after.is_zero()) {
        problems.add("--idle-exit", "is 0: such an engine would be gone before anybody asks it");
    }
    let mut resources = BTreeMap::new();
    for text in &args.resource {
        let Some((name, count)) = resource(text, &mut problems) else { continue };
        if resources.insert(name.clone(), count).is_some() {
            problems.add("--resource", format!("{name} is said twice"));
        }
    }
    let claims = args.claim.iter().filter_map(|text| claim(text, &mut problems)).collect();
    problems.or(()).map_err(|problems| wrong("up", &problems))?;
    let ephemeral = args.ephemeral.then_some(args.command);
    let service = match (args.install, args.uninstall) {
        (true, _) => Some(Service::Install),
        (_, true) => Some(Service::Uninstall),
        _ => None,
    };
    Ok(UpOptions {
        images,
        listen,
        foreground: args.foreground,
        idle_exit,
        ephemeral,
        service,
        claims,
        resources,
    })
}

/// The shortest that a credential may last: what Kubernetes asks of a token (`ValidateTokenRequest` of
/// `pkg/apis/authentication/validation`).
const SHORTEST: Duration = Duration::from_secs(600);

/// The options of `kubeconfig`: a time that no credential can have is told before anything is started.
pub(super) fn kubeconfig(args: low::Kubeconfig) -> Result<low::Kubeconfig, Usage> {
    let mut problems = Problems::new();
    let lasts = job::time("--expires-in", args.expires_in.as_deref(), &mut problems);
    if lasts.is_some_and(|lasts| lasts < SHORTEST) {
        problems.add("--expires-in", "is less than 10m, the shortest that a credential may last");
    }
    problems.or(()).map_err(|problems| wrong("kubeconfig", &problems))?;
    Ok(args)
}

/// `NAME=DIR`.
fn claim(text: &str, problems: &mut Problems) -> Option<(String, PathBuf)> {
    match text.split_once('=') {
        Some((name, directory)) if !name.is_empty() && !directory.is_empty() => {
            Some((name.to_owned(), directory.into()))
        }
        _ => {
            problems.add("--claim", format!("{text:?} is not NAME=DIR, like --claim data=/srv/data"));
            None
        }
    }
}

/// The most devices of one kind.
const DEVICES: u32 = 1000;

/// `NAME=N`.
fn resource(text: &str, problems: &mut Problems) -> Option<(String, u32)> {
    const OPTION: &str = "--resource";
    let like = "like --resource nvidia.com/gpu=2";
    let Some((name, count)) = text.split_once('=') else {
        problems.add(OPTION, format!("{text:?} is not NAME=N, {like}"));
        return None;
    };
    let before = problems.iter().count();
    label::check_key(OPTION, name, problems);
    match name.split_once('/') {
        None => problems.add(OPTION, format!("{name:?} has no domain; write it {like}")),
        Some((domain, _)) if domain == "kubernetes.io" || domain.ends_with(".kubernetes.io") => {
            problems.add(OPTION, format!("{name:?} is in a domain of Kubernetes' own; write it {like}"));
        }
        Some(_) => {}
    }
    let count = count.parse().ok().filter(|count| *count <= DEVICES);
    if count.is_none() {
        problems.add(OPTION, format!("the number in {text:?} is not one of 0 to {DEVICES}"));
    }
    count.filter(|_| problems.iter().count() == before).map(|count| (name.to_owned(), count))
}

/// An address of this machine to itself: the engine runs commands for whoever reaches it with its token.
fn loopback(text: &str) -> Result<SocketAddr, Usage> {
    let way_out = "for example --listen 127.0.0.1:6443";
    let address: SocketAddr = text
        .parse()
        .map_err(|_| Usage::mistake("up", &format!("--listen: {text:?} is not ADDRESS:PORT"), way_out))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Usage::mistake("up", &format!("--listen: {} is not a loopback address", address.ip()), way_out))
}
