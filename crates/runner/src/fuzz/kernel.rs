//! What the kernel says in `/proc`, parts of which other programs choose: names of processes, of groups and of places.

use std::path::{Path, PathBuf};

use crate::cgroup::fuzz::{Controller, Look, Table, Version, judge};
use crate::shim::fuzz::{MARK, mark_in, stat_of};

/// A process's state is what the kernel wrote, whatever its name; the mark is what the run was given, whatever else is
/// in its environment.
pub fn processes(data: &[u8]) {
    let _ = stat_of(data);
    let _ = mark_in(data);
    let (group, session, ticks) = (7, 11, 4_711);
    for state in ["S", "Z"] {
        let fields =
            format!(") {state} 1 {group} {session} 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {ticks} 9 10\n");
        let text = [b"42 (", data, fields.as_bytes()].concat();
        let stat = stat_of(&text).expect("the kernel's own form");
        assert_eq!(
            (stat.group, stat.session, stat.ticks, stat.is_zombie),
            (group, session, ticks, state == "Z")
        );
    }
    let name = [MARK.as_bytes(), b"="].concat();
    let others = data.split(|&byte| byte == 0).filter(|variable| !variable.starts_with(&name));
    let mut environ: Vec<u8> = others.flat_map(|variable| [variable, &[0]].concat()).collect();
    assert_eq!(mark_in(&environ), None);
    environ.extend([&name[..], b"uid/main/3\0"].concat());
    assert_eq!(mark_in(&environ).as_deref(), Some("uid/main/3"));
}

/// Everything is this user's, or nothing is.
struct Everywhere(bool);

impl Look for Everywhere {
    fn is_root(&self) -> bool {
        false
    }
    fn may_write(&self, _: &Path) -> bool {
        self.0
    }
    fn is_marked(&self, _: &Path) -> bool {
        self.0
    }
    fn text(&self, _: &Path) -> Option<String> {
        self.0.then(|| "cpuset cpu io memory pids".to_owned())
    }
}

/// `/proc/self/mountinfo` and `/proc/self/cgroup`: a group is below a place where groups of its version are mounted, and
/// is found again in the line that the kernel would write for it; none is divided that cannot be written.
pub fn cgroups(data: &[u8]) {
    let Some((mountinfo, own)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once("\n---\n"))
    else {
        return;
    };
    let table = Table::parse(mountinfo, own);
    for controller in [Controller::Memory, Controller::Cpu, Controller::Pids] {
        assert!(judge(&table, controller, "", &Everywhere(false)).is_err());
        for leaf in ["", "/leaf"] {
            let Ok(seat) = table.seat(controller, leaf) else {
                let (_, why) = judge(&table, controller, leaf, &Everywhere(true)).expect_err("there is none");
                assert!(!why.is_empty() && why.len() <= 256 + data.len());
                continue;
            };
            let points = points(mountinfo, seat.version);
            assert!(points.iter().any(|point| seat.directory.starts_with(point)), "{seat:?} of {points:?}");
            assert!(
                seat.directory.is_absolute() || points.iter().any(|point| !point.is_absolute()),
                "{seat:?}"
            );
            assert_eq!(
                judge(&table, controller, leaf, &Everywhere(true)).is_ok(),
                !seat.is_read_only,
                "{seat:?}"
            );
            let below = seat.path.trim_matches('/');
            let again = Table::parse(&line("/", "/sys/fs/a b", seat.version, controller), own);
            let again = again.seat(controller, leaf).expect("all groups are mounted");
            assert_eq!(again.directory, Path::new("/sys/fs/a b").join(below), "{seat:?}");
            assert_eq!(again.is_top, below.is_empty(), "{seat:?}");
        }
    }
    let _ = table.systemd("/");
}

/// A second reading: the places where groups of a version are mounted, by proc_pid_mountinfo(5).
fn points(mountinfo: &str, version: Version) -> Vec<PathBuf> {
    let kind = if version == Version::V1 { "cgroup" } else { "cgroup2" };
    let line = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        (back.split(' ').next()? == kind).then_some(())?;
        let mut pieces = front.split(' ').nth(4)?.split('\\');
        let mut point = pieces.next()?.as_bytes().to_vec();
        for piece in pieces {
            match piece.get(..3).filter(|code| code.bytes().all(|byte| matches!(byte, b'0'..=b'7'))) {
                Some(code) if code < "400" => {
                    point.push(u8::from_str_radix(code, 8).expect("three octal digits"));
                    point.extend(&piece.as_bytes()[3..]);
                }
                _ => point.extend([b"\\", piece.as_bytes()].concat()),
            }
        }
        Some(PathBuf::from(String::from_utf8_lossy(&point).into_owned()))
    };
    mountinfo.lines().filter_map(line).collect()
}

/// A mount as the kernel writes it.
fn line(root: &str, point: &str, version: Version, controller: Controller) -> String {
    let escape = |text: &str| text.replace('\\', "\\134").replace(' ', "\\040");
    let (kind, options) = match version {
        Version::V1 => ("cgroup", format!("rw,{}", controller.name())),
        Version::V2 => ("cgroup2", "rw".to_owned()),
    };
    format!("36 25 0:30 {} {} rw,nosuid - {kind} {kind} {options}\n", escape(root), escape(point))
}
