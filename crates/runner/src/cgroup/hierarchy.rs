//! Where this process's control groups are: from `/proc/self/mountinfo` and `/proc/self/cgroup`, as text.
//! It opens nothing (cgroups(7), proc_pid_mountinfo(5)).

use std::path::{Path, PathBuf};

/// What holds a limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    /// As the kernel names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Pids => "pids",
        }
    }

    /// As a person names the limit.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "CPU",
            Controller::Pids => "process",
        }
    }
}

/// Which of the two interfaces a hierarchy has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Version {
    V1,
    V2,
}

/// The group of this process in the hierarchy that has a controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seat {
    pub(crate) version: Version,
    /// As `/proc/self/cgroup` says it.
    pub(crate) path: String,
    pub(crate) directory: PathBuf,
    /// Whether it is the topmost group that can be seen: the whole machine's, or a container's own.
    pub(crate) is_top: bool,
    pub(crate) is_read_only: bool,
}

/// Why there is no such group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Absent {
    NotMounted,
    /// This process's group is outside of what is mounted.
    Elsewhere(String),
}

/// What the two files say.
pub(crate) struct Table {
    mounts: Vec<Mount>,
    own: Vec<Own>,
}

struct Mount {
    version: Version,
    /// The group that is seen at `point`.
    root: String,
    point: PathBuf,
    is_read_only: bool,
    /// Of version 1: controllers, and `name=systemd`.
    options: Vec<String>,
}

/// A line of `/proc/self/cgroup`. Of version 2 it has no controllers.
struct Own {
    controllers: Vec<String>,
    path: String,
}

impl Table {
    pub(crate) fn parse(mountinfo: &str, own: &str) -> Table {
        let own = own.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?.split(',').filter(|name| !name.is_empty());
            Some(Own {
                controllers: controllers.map(str::to_owned).collect(),
                path: parts.next()?.to_owned(),
            })
        });
        Table { mounts: mountinfo.lines().filter_map(mount).collect(), own: own.collect() }
    }

    /// The group that this process is in. `leaf`, below which the shim puts itself in version 2, is taken off its end.
    pub(crate) fn seat(&self, controller: Controller, leaf: &str) -> Result<Seat, Absent> {
        let has = |own: &&Own| own.controllers.iter().any(|name| name == controller.name());
        // A controller is in one hierarchy; those that no hierarchy of version 1 has are in that of version 2.
        match self.own.iter().find(has) {
            Some(own) => self.find(Version::V1, controller.name(), &own.path),
            None => {
                let own = self.own.iter().find(|own| own.controllers.is_empty()).ok_or(Absent::NotMounted)?;
                let path = own.path.strip_suffix(leaf).filter(|_| !leaf.is_empty()).unwrap_or(&own.path);
                self.find(Version::V2, "", if path.is_empty() { "/" } else { path })
            }
        }
    }

    /// The directory of a group in systemd's own hierarchy of version 1, where it leaves its marks.
    pub(crate) fn systemd(&self, path: &str) -> Option<PathBuf> {
        Some(self.find(Version::V1, "name=systemd", path).ok()?.directory)
    }

    fn find(&self, version: Version, option: &str, path: &str) -> Result<Seat, Absent> {
        let is_it = |mount: &&Mount| {
            let has = version == Version::V2 || mount.options.iter().any(|name| name == option);
            mount.version == version && has
        };
        let mut mounts = self.mounts.iter().filter(is_it).peekable();
        mounts.peek().ok_or(Absent::NotMounted)?;
        let seat = mounts.find_map(|mount| {
            // Of more slashes than one the rest would be a path of its own.
            let below = below(&mount.root, path)?.trim_matches('/');
            let directory = if below.is_empty() { mount.point.clone() } else { mount.point.join(below) };
            let (path, is_read_only) = (path.to_owned(), mount.is_read_only);
            Some(Seat { version, path, directory, is_top: below.is_empty(), is_read_only })
        });
        seat.ok_or_else(|| Absent::Elsewhere(path.to_owned()))
    }
}

/// The part of a group's path below another group: empty, or with a slash in front.
fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    // No path of the kernel's, outside of the namespace, or removed.
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") || path.ends_with(" (deleted)") {
        return None;
    }
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(3);
    let (root, point, options) = (front.next()?, front.next()?, front.next()?);
    let mut back = back.split(' ');
    let version = match back.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let of_all: Vec<String> = back.nth(1).unwrap_or("").split(',').map(str::to_owned).collect();
    let is_read_only = options.split(',').any(|option| option == "ro") || of_all.iter().any(|o| o == "ro");
    Some(Mount {
        version,
        root: unescape(root),
        point: Path::new(&unescape(point)).to_owned(),
        is_read_only,
        options: of_all,
    })
}

/// Blanks and the like are written `\040`.
fn unescape(text: &str) -> String {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\');
        let digits = digits.filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')));
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (plain.push(byte), rest = &after[3..]),
            None => (plain.push(first), rest = after),
        };
    }
    String::from_utf8_lossy(&plain).into_owned()
}
