//! Where mounts go, and what has no place. Directories of a test's own stand for the host's.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::mounts::plan::{Op, plan};

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        for directory in ["there/sub", "source/has", "shared"] {
            fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        for file in ["there/file", "source/file", "shared/keep"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        symlink("there", folder.path().join("link")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        Host { folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn mount(&self, target: &str) -> Mount {
        let (source, target) = (self.at("source"), self.at(target));
        Mount { source, target, is_file: false, is_read_only: false, is_own: false }
    }

    fn space(&self, mounts: Vec<Mount>) -> Space {
        Space { stage: self.at("stage"), mounts }
    }

    fn refused(&self, mounts: Vec<Mount>) -> String {
        check(&self.space(mounts)).unwrap_err().to_string()
    }

    fn ops(&self, mounts: Vec<Mount>) -> Vec<String> {
        let short = |path: &std::ffi::CString| {
            path.to_str().unwrap().replace(&format!("{}/", self.at("").display()).replace("//", "/"), "")
        };
        let show = |op: &Op| match op {
            Op::Tmpfs(at, mode) => format!("tmpfs {} {}", short(at), short(mode)),
            Op::Hide(at) => format!("hide {}", short(at)),
            Op::Directory(at) => format!("mkdir {}", short(at)),
            Op::File(at) => format!("file {}", short(at)),
            Op::Symlink(to, at) => format!("link {} {}", short(to), short(at)),
            Op::Keep(from, to) => format!("keep {} {}", short(from), short(to)),
            Op::Move(from, to) => format!("move {} {}", short(from), short(to)),
            Op::Pivot(at) => format!("pivot {}", short(at)),
            Op::Hold(fd, at) => format!("hold {fd} {}", short(at)),
            Op::Bind(from, to) => format!("bind {} {}", short(from), short(to)),
            Op::ReadOnly(at) => format!("read-only {}", short(at)),
            Op::Leave => "leave".to_owned(),
            Op::Enter(at) => format!("enter {}", short(at)),
        };
        let steps = plan(&self.space(mounts), Path::new("/work")).unwrap();
        steps.iter().map(|step| show(&step.op)).collect()
    }
}

#[test]
fn existing_directory_is_simply_mounted_over() {
    let host = Host::new();
    let read_only = Mount { is_read_only: true, ..host.mount("there") };
    assert_eq!(
        host.ops(vec![read_only]),
        ["hold 400 source", "bind /proc/self/fd/400 there", "read-only there", "enter /work"]
    );
    assert_eq!(host.ops(vec![host.mount("link/sub")])[1], "bind /proc/self/fd/400 there/sub");
}

#[test]
fn missing_directory_is_shown_beside_its_siblings_and_never_made() {
    let host = Host::new();
    let mut ops = host.ops(vec![host.mount("there/new/deep")]);
    ops[4..8].sort();
    assert_eq!(
        ops,
        [
            "tmpfs stage mode=755",
            "hide stage",
            "mkdir stage/0",
            "tmpfs stage/0 mode=755",
            "file /proc/self/fd/100/file",
            "hold 100 stage/0",
            "keep there/file /proc/self/fd/100/file",
            "mkdir /proc/self/fd/100/sub",
            "keep there/sub /proc/self/fd/100/sub",
            "mkdir /proc/self/fd/100/new",
            "mkdir /proc/self/fd/100/new/deep",
            "move /proc/self/fd/100 there",
            "hold 400 source",
            "bind /proc/self/fd/400 there/new/deep",
            "read-only there",
            "enter /work",
        ]
        .map(str::to_owned)
        .to_vec()
        .tap_sorted(4..8)
    );
    assert!(!host.at("there/new").exists());
}

trait TapSorted {
    fn tap_sorted(self, range: std::ops::Range<usize>) -> Self;
}

impl TapSorted for Vec<String> {
    fn tap_sorted(mut self, range: std::ops::Range<usize>) -> Self {
        self[range].sort();
        self
    }
}

#[test]
fn mount_below_a_mount_is_made_in_what_is_the_pods_own_only() {
    let host = Host::new();
    let own = Mount { is_own: true, ..host.mount("there") };
    let inner = host.mount("there/inner");
    let ops = host.ops(vec![inner.clone(), own]);
    assert_eq!(
        ops[2..],
        [
            "bind /proc/self/fd/400 there",
            "mkdir there/inner",
            "bind /proc/self/fd/401 there/inner",
            "enter /work"
        ]
    );
    let message = host.refused(vec![inner, host.mount("there")]);
    assert!(message.contains("which is the host's own and has no such entry"), "{message}");
    host.ops(vec![host.mount("there/has"), host.mount("there")]);
}

#[test]
fn what_has_no_place_is_refused_with_the_mount_path() {
    let host = Host::new();
    let file = |target: &str| Mount { is_file: true, ..host.mount(target) };
    for (mount, words) in [
        (host.mount("there/file"), "it is a file, and what is to be mounted is a directory"),
        (file("there"), "it is a directory, and what is to be mounted is a file"),
        (host.mount("dangling/x"), "is a symbolic link to something that is not there"),
        (Mount { target: "/".into(), ..host.mount("there") }, "must be an absolute path below /"),
        (Mount { target: "data".into(), ..host.mount("there") }, "must be an absolute path below /"),
        (Mount { target: "/a\0b".into(), ..host.mount("there") }, "NUL"),
        (Mount { target: "/proc/windlass/x".into(), ..host.mount("there") }, "belongs to the kernel"),
    ] {
        let path = mount.target.display().to_string();
        let message = host.refused(vec![mount]);
        assert!(message.contains(words) && message.contains(&path), "{message}");
    }
    let many = (0..257).map(|n| host.mount(&format!("there/{n}"))).collect();
    assert!(host.refused(many).contains("256 mounts"));
}

#[test]
fn missing_path_of_the_root_gets_a_root_of_its_own() {
    let host = Host::new();
    let mount = Mount { target: "/windlass-no-such-directory/x".into(), ..host.mount("there") };
    let ops = host.ops(vec![mount, host.mount("there/new")]);
    let place = |words: &str| ops.iter().position(|op| op.contains(words)).unwrap();
    assert!(place("move /proc/self/fd/100 there") < place("keep /proc "), "a cover below / comes first");
    assert!(place("keep /proc ") < place("pivot /proc/self/fd/101"));
    assert!(place("pivot") < place("bind") && place("bind") < place("read-only /"));
    assert_eq!(ops[ops.len() - 2..], ["leave", "enter /work"]);
}
