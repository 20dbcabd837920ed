//! Where groups are and whose, on machines as there are, told from their files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::delegate::{Look, judge};
use super::group::{Place, RunGroup, field, is_member};
use super::hierarchy::{Controller, Table, Version};
use super::{Lack, Limits, Reason, Unlimited};

/// A machine's files, and what a user may do with them.
#[derive(Default)]
struct Machine {
    mountinfo: String,
    own: &'static str,
    is_root: bool,
    /// Directories whose files the user may write.
    writable: Vec<&'static str>,
    marked: Vec<&'static str>,
    controllers: BTreeMap<&'static str, &'static str>,
    asked: RefCell<Vec<PathBuf>>,
}

impl Look for Machine {
    fn is_root(&self) -> bool {
        self.is_root
    }
    fn may_write(&self, path: &Path) -> bool {
        self.asked.borrow_mut().push(path.to_owned());
        let is =
            |directory: &&str| path == Path::new(directory) || path.parent() == Some(Path::new(directory));
        self.is_root || self.writable.iter().any(is)
    }
    fn is_marked(&self, directory: &Path) -> bool {
        self.marked.iter().any(|marked| directory == Path::new(marked))
    }
    fn text(&self, path: &Path) -> Option<String> {
        let directory = path.parent()?.to_str()?;
        (path.file_name()? == "cgroup.controllers")
            .then(|| self.controllers.get(directory).copied())?
            .map(str::to_owned)
    }
}

impl Machine {
    /// The directory for a controller, or the reason.
    fn place(&self, controller: Controller) -> Result<String, Reason> {
        let table = Table::parse(&self.mountinfo, self.own);
        let seat = judge(&table, controller, "/windlass-1-2/engine", self);
        seat.map(|seat| seat.directory.display().to_string()).map_err(|(reason, _)| reason)
    }

    fn all(&self) -> [Result<String, Reason>; 3] {
        [Controller::Memory, Controller::Cpu, Controller::Pids].map(|controller| self.place(controller))
    }
}

const UNIFIED: &str = "\
24 30 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
35 24 0:31 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";

/// Version 1 as Docker shows it to a container without a namespace of its own for groups.
fn docker_v1(options: &str) -> String {
    ["memory", "cpu,cpuacct", "pids"]
        .iter()
        .map(|name| {
            format!("900 890 0:30 /docker/4f2c /sys/fs/cgroup/{name} {options},nosuid,relatime - cgroup cgroup rw,{name}\n")
        })
        .collect()
}

const DOCKER_V1: &str = "11:memory:/docker/4f2c\n8:cpu,cpuacct:/docker/4f2c\n5:pids:/docker/4f2c\n1:name=systemd:/docker/4f2c\n0::/\n";

fn same(place: Result<&str, Reason>) -> [Result<String, Reason>; 3] {
    let place = place.map(str::to_owned);
    [place.clone(), place.clone(), place]
}

#[test]
fn scope_that_was_delegated_to_the_user_is_divided() {
    let scope = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope";
    let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n";
    let machine = |controllers| Machine {
        mountinfo: UNIFIED.to_owned(),
        own,
        writable: vec![scope],
        marked: vec![scope],
        controllers: [(scope, controllers)].into(),
        ..Machine::default()
    };
    assert_eq!(machine("cpu memory pids").all(), same(Ok(scope)));
    // That of a unit whose manager did not give it away, as of `windlass up --install`.
    let unit = Machine { marked: Vec::new(), ..machine("cpu memory pids") };
    assert_eq!(unit.all(), same(Err(Reason::NotDelegated)));
    // What a user's manager has without a setting, on many systems.
    let [memory, cpu, pids] = machine("memory pids").all();
    assert_eq!([memory, pids], [Ok(scope.to_owned()), Ok(scope.to_owned())]);
    assert_eq!(cpu, Err(Reason::NoController));
}

#[test]
fn group_after_the_engine_went_to_its_leaf_is_the_same() {
    let top = "/sys/fs/cgroup/run.scope";
    let mut machine = Machine {
        mountinfo: UNIFIED.to_owned(),
        own: "0::/run.scope/windlass-1-2/engine\n",
        writable: vec![top],
        controllers: [(top, "cpu memory pids")].into(),
        ..Machine::default()
    };
    assert_eq!(machine.all(), same(Ok(top)));
    // That of another engine, in which this one runs, is not ours.
    machine.own = "0::/run.scope/windlass-9-9/engine\n";
    assert_eq!(machine.all(), same(Err(Reason::NotDelegated)));
}

#[test]
fn group_is_below_where_groups_are_mounted_however_its_path_is_written() {
    let top = "/sys/fs/cgroup";
    let machine = |own| Machine {
        mountinfo: UNIFIED.to_owned(),
        own,
        writable: vec![top, "/sys/fs/cgroup/run.scope"],
        controllers: [(top, "cpu memory pids"), ("/sys/fs/cgroup/run.scope", "cpu memory pids")].into(),
        ..Machine::default()
    };
    assert_eq!(machine("0:://run.scope/\n").all(), same(Ok("/sys/fs/cgroup/run.scope")));
    assert_eq!(machine("0:://\n").all(), same(Ok(top)));
}

#[test]
fn session_of_an_ordinary_user_is_not_the_users() {
    let own = "0::/user.slice/user-1000.slice/session-2.scope\n";
    let machine = Machine { mountinfo: UNIFIED.to_owned(), own, ..Machine::default() };
    assert_eq!(machine.all(), same(Err(Reason::NotDelegated)));
}

#[test]
fn root_divides_what_is_marked_or_topmost_and_nothing_else() {
    let directory = "/sys/fs/cgroup/system.slice/job.scope";
    let mut machine = Machine {
        mountinfo: UNIFIED.to_owned(),
        own: "0::/system.slice/job.scope\n",
        is_root: true,
        controllers: [(directory, "memory cpu pids"), ("/sys/fs/cgroup", "memory cpu pids")].into(),
        ..Machine::default()
    };
    assert_eq!(machine.all(), same(Err(Reason::NotDelegated)));
    machine.marked = vec![directory];
    assert_eq!(machine.all(), same(Ok(directory)));
    // A machine without systemd, or a container's private namespace.
    (machine.marked, machine.own) = (Vec::new(), "0::/\n");
    assert_eq!(machine.all(), same(Ok("/sys/fs/cgroup")));
}

#[test]
fn container_shows_its_own_group_mostly_read_only() {
    let mut machine = Machine {
        mountinfo: UNIFIED.replace("/sys/fs/cgroup rw,", "/sys/fs/cgroup ro,"),
        own: "0::/\n",
        is_root: true,
        controllers: [("/sys/fs/cgroup", "memory cpu pids")].into(),
        ..Machine::default()
    };
    assert_eq!(machine.all(), same(Err(Reason::ReadOnly)));
    machine.mountinfo = UNIFIED.replace(" rw,nsdelegate", " ro,nsdelegate");
    assert_eq!(machine.all(), same(Err(Reason::ReadOnly)));
    // The host's namespace, of which only the container's part is mounted.
    let part = UNIFIED.replace("0:31 / ", "0:31 /system.slice/docker-4f2c.scope ");
    (machine.mountinfo, machine.own) = (part, "0::/system.slice/docker-4f2c.scope\n");
    assert_eq!(machine.all(), same(Ok("/sys/fs/cgroup")));
}

#[test]
fn version_1_has_a_place_a_controller() {
    let mut machine =
        Machine { mountinfo: docker_v1("rw"), own: DOCKER_V1, is_root: true, ..Machine::default() };
    let expected = ["memory", "cpu,cpuacct", "pids"].map(|name| Ok(format!("/sys/fs/cgroup/{name}")));
    assert_eq!(machine.all(), expected);
    machine.mountinfo = docker_v1("ro");
    assert_eq!(machine.all(), same(Err(Reason::ReadOnly)));
    // One that an administrator gave to the user, and two that not.
    machine = Machine {
        mountinfo: docker_v1("rw"),
        own: DOCKER_V1,
        writable: vec!["/sys/fs/cgroup/memory"],
        ..Machine::default()
    };
    let [memory, cpu, pids] = machine.all();
    assert_eq!(memory, Ok("/sys/fs/cgroup/memory".to_owned()));
    assert_eq!([cpu, pids], [Err(Reason::NotDelegated), Err(Reason::NotDelegated)]);
}

#[test]
fn hybrid_of_systemd_has_its_controllers_in_version_1_and_its_marks_in_its_own() {
    let point = |root: &str, name: &str| {
        format!("40 25 0:36 / /sys/fs/cgroup/{root} rw,nosuid shared:20 - cgroup cgroup rw,{name}\n")
    };
    let mut machine = Machine {
        mountinfo: [
            "26 25 0:24 / /sys/fs/cgroup ro,nosuid,nodev shared:4 - tmpfs tmpfs ro,mode=755\n".to_owned(),
            "27 26 0:25 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw,nsdelegate\n".to_owned(),
            point("systemd", "xattr,name=systemd"),
            point("memory", "memory"),
            point("cpu,cpuacct", "cpu,cpuacct"),
            point("pids", "pids"),
        ]
        .concat(),
        own: "9:pids:/system.slice/run.scope\n7:memory:/system.slice/run.scope\n3:cpu,cpuacct:/\n1:name=systemd:/system.slice/run.scope\n0::/system.slice/run.scope\n",
        is_root: true,
        ..Machine::default()
    };
    // The machine's own group is root's; the others are not.
    let cpu = Ok("/sys/fs/cgroup/cpu,cpuacct".to_owned());
    assert_eq!(machine.all(), [Err(Reason::NotDelegated), cpu.clone(), Err(Reason::NotDelegated)]);
    machine.marked = vec!["/sys/fs/cgroup/systemd/system.slice/run.scope"];
    let place = |name: &str| Ok(format!("/sys/fs/cgroup/{name}/system.slice/run.scope"));
    assert_eq!(machine.all(), [place("memory"), cpu, place("pids")]);
}

#[test]
fn what_is_not_there_or_not_to_be_seen_is_no_group() {
    let mut machine = Machine { is_root: true, ..Machine::default() };
    assert_eq!(machine.all(), same(Err(Reason::NoCgroup)));
    machine.mountinfo = UNIFIED.to_owned();
    for own in ["", "nonsense", "0::/../../other.scope\n", "0::/gone.scope (deleted)\n", "4:memory:/a\n"] {
        machine.own = own;
        assert_eq!(machine.place(Controller::Memory), Err(Reason::NoCgroup), "{own}");
    }
    // Below another container's part.
    machine.mountinfo = UNIFIED.replace("0:31 / ", "0:31 /docker/a ");
    machine.own = "0::/docker/ab\n";
    assert_eq!(machine.all(), same(Err(Reason::NoCgroup)));
    machine.mountinfo = "1 2\n- cgroup2\n35 24 0:31 / /a - cgroup2\n".to_owned();
    assert_eq!(machine.all(), same(Err(Reason::NoCgroup)));
}

#[test]
fn mount_points_with_blanks_are_read() {
    let machine = Machine {
        mountinfo: UNIFIED.replace("/sys/fs/cgroup", r"/my\040groups"),
        own: "0::/\n",
        is_root: true,
        controllers: [("/my groups", "memory cpu pids")].into(),
        ..Machine::default()
    };
    assert_eq!(machine.all(), same(Ok("/my groups")));
}

#[test]
fn limits_that_lack_for_one_cause_are_told_together() {
    let lack = |controller, reason, cause: &str| Lack { controller, reason, cause: cause.to_owned() };
    let told = |lacks: &[Lack], is_root| Unlimited::of(lacks, is_root).map(|told| told.message);
    assert_eq!(told(&[], true), None);
    let both = [
        lack(Controller::Memory, Reason::NotDelegated, "the control group /a is not delegated to the engine"),
        lack(Controller::Cpu, Reason::NotDelegated, "the control group /a is not delegated to the engine"),
    ];
    let expected = "the memory and CPU limits are not enforced: the control group /a is not delegated to the engine; \
        start the engine by systemd-run --user --scope -p Delegate=yes windlass up";
    assert_eq!(told(&both, false).as_deref(), Some(expected));
    let several = [
        lack(Controller::Memory, Reason::ReadOnly, "it is read-only"),
        lack(Controller::Pids, Reason::NoCgroup, "there is none"),
    ];
    let expected = "the memory limit is not enforced: it is read-only; the process limit is not enforced: there is none; \
        mount /sys/fs/cgroup writable in the container the engine runs in";
    assert_eq!(told(&several, true).as_deref(), Some(expected));
}

/// A group of plain files, as the kernel would show it.
fn group(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, RunGroup) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let controllers = vec![Controller::Memory, Controller::Cpu, Controller::Pids];
    let place = Place { version, directory: folder.path().to_owned(), controllers };
    (folder, RunGroup { places: vec![place] })
}

#[test]
fn limits_are_written_as_each_version_has_them() {
    let limits = Limits { memory_bytes: Some(32 << 20), cpu_millis: Some(250), pids: Some(7) };
    let two = [
        ("memory.max", "33554432"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("cpu.max", "25000 100000"),
        ("pids.max", "7"),
    ];
    let one = [
        ("memory.limit_in_bytes", "33554432"),
        ("memory.memsw.limit_in_bytes", "33554432"),
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "25000"),
        ("pids.max", "7"),
    ];
    for (version, files) in [(Version::V2, two), (Version::V1, one)] {
        let (folder, group) = group(version, &files.map(|(name, _)| (name, "")));
        group.places[0].furnish(&limits).unwrap();
        for (name, value) in files {
            assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), value, "{name}");
        }
    }
}

#[test]
fn limits_beyond_what_the_kernel_takes_are_its_own() {
    let (folder, group) = group(Version::V2, &["memory.max", "cpu.max", "pids.max"].map(|name| (name, "")));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let most = Limits { memory_bytes: Some(u64::MAX), cpu_millis: Some(u64::MAX), pids: Some(u64::MAX) };
    group.places[0].furnish(&most).unwrap();
    assert_eq!([read("cpu.max"), read("pids.max")], ["1099511627776 100000", "4194304"]);
    let (folder, group) = self::group(Version::V2, &[("cpu.max", "")]);
    let least = Limits { cpu_millis: Some(1), ..Limits::default() };
    let error = group.places[0].furnish(&least).unwrap_err();
    assert_eq!((error.0, error.1.kind()), (Controller::Memory, io::ErrorKind::NotFound));
    let place = Place { controllers: vec![Controller::Cpu], ..group.places[0].clone() };
    place.furnish(&least).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("cpu.max")).unwrap(), "1000 100000");
}

#[test]
fn what_the_kernel_counted_is_read_and_never_guessed() {
    let v2 = |events: &'static str| {
        group(Version::V2, &[("memory.events", events), ("cpu.stat", "usage_usec 12\nuser_usec 3\n")])
    };
    let (_folder, killed) = v2("low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 1\n");
    assert_eq!((killed.counted().out_of_memory, killed.counted().cpu_us), (true, Some(12)));
    let (_folder, spared) = v2("low 0\nhigh 0\nmax 5\noom 1\noom_kill 0\n");
    assert!(!spared.counted().out_of_memory);
    let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n";
    let (_folder, old) = group(Version::V1, &[("memory.oom_control", control), ("cpuacct.usage", "5000\n")]);
    assert_eq!((old.counted().out_of_memory, old.counted().cpu_us), (true, Some(5)));
    let (_folder, silent) = group(Version::V1, &[]);
    assert_eq!((silent.counted().out_of_memory, silent.counted().cpu_us), (false, None));
    assert_eq!(field("oom_kill_x 3\noom_kill  \n", "oom_kill"), None);
}

#[test]
fn process_is_told_to_be_in_a_run_s_group_by_the_names_of_both_groups() {
    let tail = "/windlass-1-2/run-3/";
    let inside = "5:pids:/user/windlass-1-2/run-3\n0::/init.scope\n";
    let below = "0::/user.slice/windlass-1-2/run-3/its own: group\n";
    for (groups, expected) in [
        (inside, true),
        (below, true),
        ("0::/user/windlass-1-2/run-33\n", false),
        ("0::/user/windlass-1-2/engine\n", false),
        ("0::/user/windlass-9-2/run-3\n", false),
        ("0::/\n", false),
        ("", false),
    ] {
        assert_eq!(is_member(groups, tail), expected, "{groups:?}");
    }
}

#[test]
fn program_goes_where_the_first_process_of_a_divided_group_is() {
    let tail = "/windlass-1/run-2/";
    let below = |groups: &str| super::group::below_tail(groups, tail);
    assert_eq!(below("0::/user/windlass-1/run-2\n").as_deref(), Some(""));
    assert_eq!(below("4:cpu:/other\n0::/user/windlass-1/run-2/a/b\n").as_deref(), Some("a/b"));
    assert_eq!(below("0::/user/windlass-1/run-22\n"), None);
}
