//! Where the CPU of a pod goes: the engine's and the shim's threads by name, and the processes that they ran.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// Clock ticks a second in /proc: 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;
/// What no part has used.
pub(crate) const IDLE: &str = "idle";

/// Seconds of CPU by part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu(BTreeMap<String, f64>);

impl Cpu {
    /// What the engine and its shim have used so far.
    pub(crate) fn read(engine: u32, home: &Path) -> Result<Cpu> {
        let mut parts = BTreeMap::new();
        threads(engine, "engine", &mut parts)?;
        if let Some(shim) = shim(home) {
            threads(shim, "shim", &mut parts)?;
            let (_, waited_for) = times(&format!("/proc/{shim}/stat"))?;
            parts.insert("the pods' own processes".to_owned(), waited_for);
        }
        Ok(Cpu(parts))
    }

    /// The same, and what this program has used.
    pub(crate) fn with_client(mut self) -> Result<Cpu> {
        threads(std::process::id(), "client", &mut self.0)?;
        Ok(self)
    }

    /// The same, and how long the machine's cores had nothing to do.
    pub(crate) fn with_idle(mut self) -> Result<Cpu> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat is empty")?;
        let field =
            |n: usize| line.split_whitespace().nth(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        // Idle, and idle while something waits for the disk.
        self.0.insert(IDLE.to_owned(), (field(4) + field(5)) / TICKS);
        Ok(self)
    }

    /// Microseconds a pod by part, most first.
    pub(crate) fn per_pod(&self, before: &Cpu, pods: usize) -> Vec<(String, f64)> {
        let micros =
            |part: &String, now: &f64| (now - before.0.get(part).unwrap_or(&0.0)) * 1e6 / pods as f64;
        let mut list: Vec<(String, f64)> =
            self.0.iter().map(|(part, now)| (part.clone(), micros(part, now))).collect();
        list.retain(|(_, micros)| *micros >= 0.5);
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        list
    }
}

fn threads(pid: u32, role: &str, parts: &mut BTreeMap<String, f64>) -> Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))? {
        let path = thread?.path();
        let Ok(name) = std::fs::read_to_string(path.join("comm")) else { continue };
        let Some(own) = running(&path) else { continue };
        let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '#');
        *parts.entry(format!("{role}: {name}")).or_default() += own;
    }
    Ok(())
}

/// Seconds of CPU of a thread: to the nanosecond where the kernel tells it so, else in whole ticks.
fn running(thread: &Path) -> Option<f64> {
    let exact = std::fs::read_to_string(thread.join("schedstat")).ok();
    let nanos = exact.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanos.map(|nanos| nanos / 1e9).or_else(|| Some(times(&thread.join("stat").display().to_string()).ok()?.0))
}

/// Seconds of CPU of a thread or process, and of the children it waited for.
fn times(path: &str) -> Result<(f64, f64)> {
    let text = std::fs::read_to_string(path)?;
    // The name in parentheses may hold spaces; what is counted comes after it.
    let rest = text.rsplit_once(") ").context("a stat line without a name")?.1;
    let field = |n: usize| rest.split(' ').nth(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0) / TICKS;
    Ok((field(11) + field(12), field(13) + field(14)))
}

/// The shim of a home, found by its arguments.
fn shim(home: &Path) -> Option<u32> {
    let wanted = home.join("shim");
    let wanted = wanted.to_str()?;
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        line.split('\0').any(|argument| argument == wanted).then_some(pid)
    })
}
