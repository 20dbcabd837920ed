//! Processes with fewer rights, for real: what the kernel says of them, and what it lets them do.

mod common;

use std::os::unix::fs::MetadataExt;

use windlass_runner::rights::Rights;
use windlass_runner::runtime::{Ended, Runtime, Start};
use windlass_runner::volumes::{Content, File, Folders, HostKind, Volume, make};

use common::{Home, ended, ends, entries};

/// Runs a script with these rights; how it ended and what it said.
async fn run(rights: Rights, script: &str) -> (Ended, Vec<String>) {
    let home = Home::new();
    let shim = home.connect().await;
    shim.start(vec![Start { rights: Some(Box::new(rights)), ..home.sh("main", script) }]);
    let over = ends(&shim, 1).await;
    let said = entries(&home.log("main")).into_iter().map(|(_, _, line)| line).collect();
    (ended(&over["main"]), said)
}

const STATUS: &str = "sed -n 's/^\\(NoNewPrivs\\|Seccomp\\|CapBnd\\|CapEff\\|Groups\\):[[:space:]]*/\\1=/p' /proc/self/status | sed 's/ *$//'";

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[tokio::test]
async fn process_that_may_not_rise_says_so_and_so_do_its_children() {
    let (end, said) = run(Rights { is_fixed: true, ..Rights::default() }, STATUS).await;
    assert_eq!(end, Ended::Code(0));
    assert!(said.contains(&"NoNewPrivs=1".to_owned()) && said.contains(&"Seccomp=0".to_owned()), "{said:?}");
}

#[tokio::test]
async fn process_without_rights_given_is_as_the_shim() {
    let (_, said) = run(Rights::default(), STATUS).await;
    assert!(said.contains(&"NoNewPrivs=0".to_owned()), "{said:?}");
}

#[tokio::test]
async fn capabilities_and_groups_that_root_takes_are_gone() {
    if !is_root() {
        return;
    }
    let rights = Rights { without: (0..41).collect(), groups: Some(vec![5, 7]), ..Rights::default() };
    let (end, said) = run(rights, STATUS).await;
    assert_eq!(end, Ended::Code(0));
    for expected in ["CapEff=0000000000000000", "CapBnd=0000000000000000", "Groups=5 7"] {
        assert!(said.contains(&expected.to_owned()), "{expected}: {said:?}");
    }
    // CAP_CHOWN alone.
    let (_, said) = run(Rights { without: (1..41).collect(), ..Rights::default() }, STATUS).await;
    assert!(said.contains(&"CapEff=0000000000000001".to_owned()), "{said:?}");
}

#[tokio::test]
async fn filter_refuses_what_reaches_beyond_a_job_and_nothing_else() {
    let script = "
        for what in 'unshare --mount true' 'mount -t tmpfs none /mnt' 'unshare --user true'; do
            $what > /dev/null 2>&1 && echo done: $what
        done
        (echo a child; true) | cat
        test -d /tmp && ls / > /dev/null && echo usual";
    let (end, said) =
        run(Rights { is_filtered: true, ..Rights::default() }, &format!("{STATUS}; {script}")).await;
    assert_eq!(end, Ended::Code(0), "{said:?}");
    assert!(said.contains(&"Seccomp=2".to_owned()), "{said:?}");
    assert!(said.iter().all(|line| !line.starts_with("done: ")), "{said:?}");
    assert_eq!(said[said.len() - 2..], ["a child", "usual"]);
    // Root needs not give up anything for it.
    let fixed = format!("NoNewPrivs={}", i32::from(!is_root()));
    assert!(said.contains(&fixed), "{said:?}");
}

#[tokio::test]
async fn threads_and_processes_of_programs_with_a_filter_begin_as_ever() {
    // A C library that tries clone3(2) first goes back to clone(2).
    let script = "python3 -c 'import threading, subprocess
t = threading.Thread(target=lambda: print(\"thread\", flush=True)); t.start(); t.join()
subprocess.run([\"echo\", \"process\"])'";
    let (end, said) = run(Rights { is_filtered: true, is_fixed: true, ..Rights::default() }, script).await;
    assert_eq!((end, said), (Ended::Code(0), vec!["thread".to_owned(), "process".to_owned()]));
}

#[test]
fn volumes_that_are_made_for_a_pod_belong_to_its_group_and_paths_of_the_host_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders { disk: folder.path().join("disk"), memory: None };
    let host = folder.path().join("host");
    std::fs::create_dir(&host).unwrap();
    let before = std::fs::metadata(&host).unwrap();
    // Another user than root can only hand over to a group of its own.
    let group = if is_root() { 5 } else { nix::unistd::getegid().as_raw() };
    let file = File { path: "below/secret".into(), bytes: b"x".to_vec(), mode: 0o400 };
    let kind = HostKind::DirectoryOrCreate;
    let volumes = [
        ("empty", Content::Empty),
        ("files", Content::Files(vec![file])),
        ("host", Content::Host { path: host.clone(), kind, is_read_only: false }),
    ]
    .map(|(name, content)| Volume { name: name.to_owned(), content, group: Some(group) });
    make(&volumes, &[], &folders).unwrap();
    let seen = |path: &str| {
        let meta = std::fs::metadata(folders.disk.join(path)).unwrap();
        (meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(seen("empty"), (group, 0o2777));
    assert_eq!(seen("files"), (group, 0o2755));
    assert_eq!(seen("files/below/secret"), (group, 0o440));
    let after = std::fs::metadata(&host).unwrap();
    assert_eq!((after.gid(), after.mode()), (before.gid(), before.mode()));
    // What a container makes of it later is its own.
    let made = folders.disk.join("empty/made");
    std::fs::write(&made, "").unwrap();
    let mode = std::fs::metadata(&made).unwrap().mode();
    make(&volumes, &[], &folders).unwrap();
    assert_eq!(std::fs::metadata(&made).unwrap().mode(), mode);
}
