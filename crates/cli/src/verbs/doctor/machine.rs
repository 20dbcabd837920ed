//! This machine: home, network, kernel. Reads `/proc` and `/sys`, and writes one file into the home.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::{Finding, Level};
use crate::cluster::Call;
use crate::daemon::limits::allotted;
use crate::env::Env;

/// A home with less room than this, bytes, fills soon.
const ROOM: u64 = 1 << 30;
/// An engine with fewer open files than this serves few jobs at once.
const FILES: u64 = 4096;

pub(super) fn findings(call: Call<'_>) -> Vec<Finding> {
    let mut findings = home(call);
    findings.push(proxy(call.env));
    findings.push(user_namespaces(Path::new("/proc/sys"), geteuid().is_root()));
    findings.push(limits(windlass_engine::limits_not_enforced()));
    findings.push(open_files());
    findings.push(gpus(Path::new("/"), &allotted(call.env)));
    findings
}

/// Where the engine's state lies.
fn home(call: Call<'_>) -> Vec<Finding> {
    const WHAT: &str = "home directory";
    let home = match call.home() {
        Ok(home) => home.root().to_owned(),
        Err(failure) => return vec![Finding::new(Level::Problem, WHAT, failure.to_string())],
    };
    let shown = home.display();
    let mut findings = Vec::new();
    if let Some(kind) = &call.env.home_network {
        let text =
            format!("is on a network file system ({kind}); this machine's engine keeps its state in {shown}");
        findings.push(Finding::new(Level::Warning, WHAT, text));
    }
    // What is not there yet is made by whoever can write above it.
    let there = home.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if access(there, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        let text =
            format!("{} cannot be written to; set WINDLASS_HOME to a directory of yours", there.display());
        findings.push(Finding::new(Level::Problem, WHAT, text));
        return findings;
    }
    let free = statvfs(there).map(|disk| disk.blocks_available() * disk.fragment_size()).unwrap_or(u64::MAX);
    let size = format!("{} MiB are free", free >> 20);
    findings.push(match free {
        free if free < ROOM => Finding::new(
            Level::Warning,
            WHAT,
            format!("{shown}: only {size}; free some, or set WINDLASS_HOME"),
        ),
        _ => Finding::new(Level::Ok, WHAT, format!("{shown}: can be written to, {size}")),
    });
    findings
}

/// Variables that lead requests elsewhere.
fn proxy(env: &Env) -> Finding {
    const WHAT: &str = "proxy";
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
    let set: Vec<(&str, &str)> = names.iter().filter_map(|name| Some((*name, env.get(name)?))).collect();
    let Some((name, value)) = set.first() else { return Finding::new(Level::Ok, WHAT, "none is set") };
    let address = value.rsplit_once('@').map_or(*value, |(_, address)| address);
    let address = address.split_once("://").map_or(address, |(_, address)| address);
    if address.trim_matches('/').is_empty() || address.contains(char::is_whitespace) {
        return Finding::new(
            Level::Problem,
            WHAT,
            format!("{name} is no address; write it like http://proxy:3128, or unset it"),
        );
    }
    let bypass = env.get("NO_PROXY").or_else(|| env.get("no_proxy")).unwrap_or("nothing");
    let text = format!(
        "{name} leads to {address} (NO_PROXY: {bypass}); this machine itself is never reached through it, a cluster is"
    );
    Finding::new(Level::Ok, WHAT, text)
}

/// Whether volumes can be mounted for processes of the host.
fn user_namespaces(settings: &Path, is_root: bool) -> Finding {
    const WHAT: &str = "user namespaces";
    let number = |name: &str| read(settings.join(name)).trim().parse::<u64>().ok();
    let loss = "jobs with volumes cannot run as processes of the host";
    if is_root {
        return Finding::new(Level::Ok, WHAT, "are not needed: you are root");
    }
    if number("user/max_user_namespaces") == Some(0) {
        return Finding::new(
            Level::Warning,
            WHAT,
            format!("are off: {loss}; sysctl user.max_user_namespaces=15000"),
        );
    }
    if number("kernel/unprivileged_userns_clone") == Some(0) {
        return Finding::new(
            Level::Warning,
            WHAT,
            format!("are for root alone: {loss}; sysctl kernel.unprivileged_userns_clone=1"),
        );
    }
    if number("kernel/apparmor_restrict_unprivileged_userns").is_some_and(|value| value > 0) {
        let way_out = "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for windlass";
        return Finding::new(Level::Warning, WHAT, format!("are restricted by AppArmor: {loss}; {way_out}"));
    }
    Finding::new(Level::Ok, WHAT, "can be made")
}

/// Whether an engine that is started here can hold what jobs take to their limits, as it would itself find out.
fn limits(not_enforced: Option<String>) -> Finding {
    const WHAT: &str = "limits of jobs";
    match not_enforced {
        None => Finding::new(Level::Ok, WHAT, "of memory, CPU and processes hold, in control groups"),
        Some(why) => Finding::new(Level::Warning, WHAT, why),
    }
}

/// The GPUs that an engine offers to jobs.
fn gpus(root: &Path, allotted: &BTreeMap<String, String>) -> Finding {
    const WHAT: &str = "GPUs";
    let found = windlass_engine::gpus(root, allotted);
    let one =
        |(resource, ids): (&String, &Vec<String>)| format!("{} {resource} ({})", ids.len(), ids.join(", "));
    let found: Vec<String> = found.iter().map(one).collect();
    match found.is_empty() {
        true => Finding::new(
            Level::Ok,
            WHAT,
            "none is found; `windlass up --resource nvidia.com/gpu=N` says how many there are where the drivers do not",
        ),
        false => Finding::new(Level::Ok, WHAT, found.join(", ")),
    }
}

fn open_files() -> Finding {
    const WHAT: &str = "open files";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < FILES => Finding::new(
            Level::Warning,
            WHAT,
            format!("at most {hard}: the engine serves few jobs at once; ulimit -Hn {FILES}"),
        ),
        Ok((soft, hard)) => Finding::new(Level::Ok, WHAT, format!("{soft} for a job, {hard} for the engine")),
        Err(error) => Finding::new(Level::Warning, WHAT, error.to_string()),
    }
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn user_namespaces_that_are_off_are_told_with_the_switch() {
        for (files, part) in [
            (&[("user/max_user_namespaces", "0\n")][..], "max_user_namespaces=15000"),
            (&[("kernel/unprivileged_userns_clone", "0\n")], "unprivileged_userns_clone=1"),
            (&[("kernel/apparmor_restrict_unprivileged_userns", "1\n")], "AppArmor"),
        ] {
            let finding = user_namespaces(folder(files).path(), false);
            assert!(finding.level == Level::Warning && finding.text.contains(part), "{finding:?}");
        }
        assert_eq!(
            user_namespaces(folder(&[("user/max_user_namespaces", "100")]).path(), false).level,
            Level::Ok
        );
        assert_eq!(
            user_namespaces(folder(&[("user/max_user_namespaces", "0")]).path(), true).level,
            Level::Ok
        );
    }

    #[test]
    fn limits_hold_or_the_reason_is_told() {
        assert_eq!(limits(None).level, Level::Ok);
        let why = limits(Some("the memory limit is not enforced: it is read-only".to_owned()));
        assert_eq!(
            (why.level, why.text.as_str()),
            (Level::Warning, "the memory limit is not enforced: it is read-only")
        );
    }

    #[test]
    fn gpus_are_counted_by_kind() {
        let folder = folder(&[("dev/nvidia0", ""), ("dev/nvidia1", "")]);
        let all = BTreeMap::new();
        assert_eq!(gpus(folder.path(), &all).text, "2 nvidia.com/gpu (nvidia0, nvidia1)");
        let own = [("CUDA_VISIBLE_DEVICES".to_owned(), "1".to_owned())].into();
        assert_eq!(gpus(folder.path(), &own).text, "1 nvidia.com/gpu (nvidia1)");
        assert!(gpus(Path::new("/no/such/place"), &all).text.starts_with("none is found"));
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let env = |name: &str, value: &str| {
            let mut env = Env::default();
            env.vars.insert(name.into(), value.into());
            env
        };
        let finding = proxy(&env("https_proxy", "http://me:secret@proxy:3128"));
        assert!(
            finding.text.contains("leads to proxy:3128") && !finding.text.contains("secret"),
            "{finding:?}"
        );
        assert_eq!(proxy(&env("HTTPS_PROXY", "http://")).level, Level::Problem);
        assert_eq!(proxy(&Env::default()).level, Level::Ok);
    }
}
