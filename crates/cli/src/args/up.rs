//! What `up` means: which engine is started, where it listens, for how long.

use std::net::SocketAddr;
use std::path::PathBuf;

use windlass_engine::Images;
use windlass_model::Problems;

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
    let claims = args.claim.iter().filter_map(|text| claim(text, &mut problems)).collect();
    problems.or(()).map_err(|problems| wrong("up", &problems))?;
    let ephemeral = args.ephemeral.then_some(args.command);
    let service = match (args.install, args.uninstall) {
        (true, _) => Some(Service::Install),
        (_, true) => Some(Service::Uninstall),
        _ => None,
    };
    Ok(UpOptions { images, listen, foreground: args.foreground, idle_exit, ephemeral, service, claims })
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
