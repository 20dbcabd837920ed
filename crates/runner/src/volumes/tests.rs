//! A volume of files that is brought up to date.

use std::collections::BTreeSet;

use super::*;

fn file(path: &str, text: &str, mode: u32) -> File {
    File { path: path.into(), bytes: text.as_bytes().to_vec(), mode }
}

fn text(place: &Path) -> String {
    fs::read_to_string(place).unwrap()
}

/// Where `..data` leads, which must be there.
fn data(place: &Path) -> PathBuf {
    let to = fs::read_link(place.join("..data")).unwrap();
    assert!(place.join(&to).is_dir() && to.to_string_lossy().starts_with("..2"), "{}", to.display());
    to
}

/// What is in a directory.
fn names(place: &Path) -> Vec<String> {
    let names = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// What a volume has at its top, but for its own directory of files, which is the only one.
fn shown(place: &Path) -> Vec<String> {
    let own = data(place).into_os_string().into_string().unwrap();
    let mut names = names(place);
    let count = names.len();
    names.retain(|name| *name != own && name != "..data");
    assert_eq!(names.len() + 2, count, "nothing of former states stays");
    names
}

#[test]
fn all_files_change_at_once_and_through_one_link() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    let old = [file("same", "1", 0o644), file("text", "old", 0o644), file("gone/deep", "x", 0o644)];
    files::make(&place, &old).unwrap();
    assert_eq!(fs::read_link(place.join("text")).unwrap(), Path::new("..data/text"));
    assert_eq!(fs::read_link(place.join("gone")).unwrap(), Path::new("..data/gone"));
    renew(&place, &file("token", "secret", 0o600)).unwrap();
    assert_eq!(shown(&place), ["gone", "same", "text", "token"]);
    let before = fs::File::open(place.join("text")).unwrap();
    let whole = fs::File::open(place.join("..data")).unwrap();

    let new = [file("same", "1", 0o644), file("text", "new", 0o400), file("more/deep", "y", 0o644)];
    let kept = BTreeSet::from(["token".into()]);
    update(&place, &new, &kept).unwrap();
    assert_eq!(shown(&place), ["more", "same", "text", "token"]);
    assert_eq!(text(&place.join("text")), "new");
    assert_eq!(fs::metadata(place.join("text")).unwrap().mode() & 0o7777, 0o400);
    assert_eq!(fs::metadata(place.join("..data")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(io::read_to_string(before).unwrap(), "old", "who has it open reads on");
    assert_eq!(whole.metadata().unwrap().nlink(), 0, "the old directory is gone");
    assert_eq!(text(&place.join("more/deep")), "y");
    assert_eq!(text(&place.join("token")), "secret", "what is somebody else's stays");
    assert_eq!(fs::metadata(place.join("token")).unwrap().mode() & 0o7777, 0o600);

    let now = data(&place);
    update(&place, &new, &kept).unwrap();
    assert_eq!(data(&place), now, "nothing is turned where nothing differs");

    update(&place, &[], &BTreeSet::new()).unwrap();
    assert_eq!(shown(&place), Vec::<String>::new());
}

#[test]
fn files_that_their_owner_may_not_read_follow_and_keep_their_mode() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    files::make(&place, &[file("text", "old", 0o000), file("same", "1", 0o040)]).unwrap();
    renew(&place, &file("token", "secret", 0o000)).unwrap();
    let new = [file("text", "new", 0o000), file("same", "1", 0o040)];
    update(&place, &new, &BTreeSet::from(["token".into()])).unwrap();
    let mode = |name: &str| fs::metadata(place.join(name)).unwrap().mode() & 0o7777;
    assert_eq!([mode("text"), mode("same"), mode("token")], [0o000, 0o040, 0o000]);
    for (name, content) in [("text", "new"), ("token", "secret")] {
        fs::set_permissions(place.join(name), Permissions::from_mode(0o400)).unwrap();
        assert_eq!(text(&place.join(name)), content);
    }
}

#[test]
fn change_that_broke_off_anywhere_is_whole_and_the_next_one_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    let old = [file("text", "old", 0o644), file("folder/a", "1", 0o644)];
    files::make(&place, &old).unwrap();
    // A directory that was not filled, a name that leads nowhere yet, a link that was not turned.
    fs::create_dir_all(place.join("..2026_01_01_00_00_00.7/folder")).unwrap();
    fs::write(place.join("..2026_01_01_00_00_00.7/text"), "half").unwrap();
    std::os::unix::fs::symlink("..data/new", place.join("new")).unwrap();
    std::os::unix::fs::symlink("..2026_01_01_00_00_00.7", place.join("..data_tmp")).unwrap();
    assert_eq!(text(&place.join("text")), "old");
    update(&place, &old, &BTreeSet::new()).unwrap();
    assert_eq!(
        (shown(&place), text(&place.join("folder/a"))),
        (vec!["folder".into(), "text".into()], "1".into())
    );
    // It was turned, and what leads to the new files was not removed or not made.
    fs::remove_file(place.join("text")).unwrap();
    update(&place, &old, &BTreeSet::new()).unwrap();
    assert_eq!(text(&place.join("text")), "old");
    // The files themselves are gone.
    fs::remove_dir_all(place.join(data(&place))).unwrap();
    update(&place, &old, &BTreeSet::new()).unwrap();
    assert_eq!(text(&place.join("folder/a")), "1");
    assert_eq!(shown(&place), ["folder", "text"]);
}

#[test]
fn volume_of_an_engine_that_changed_file_by_file_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    fs::create_dir_all(place.join("folder")).unwrap();
    for (path, content) in [("same", "1"), ("folder/deep", "old"), ("token", "secret"), ("gone", "x")] {
        fs::write(place.join(path), content).unwrap();
    }
    let new = [file("same", "1", 0o644), file("folder/deep", "new", 0o644)];
    update(&place, &new, &BTreeSet::from(["token".into()])).unwrap();
    assert_eq!(shown(&place), ["folder", "same", "token"]);
    for (path, content) in [("same", "1"), ("folder/deep", "new"), ("token", "secret")] {
        assert_eq!(text(&place.join(path)), content);
    }
    for name in ["folder", "same", "token"] {
        assert_eq!(fs::read_link(place.join(name)).unwrap(), Path::new("..data").join(name));
    }
}

#[test]
fn failed_change_leaves_the_files_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    files::make(&place, &[file("text", "old", 0o644)]).unwrap();
    let impossible = [file("text", "new", 0o644), file("text/below", "x", 0o644)];
    assert!(update(&place, &impossible, &BTreeSet::new()).is_err());
    assert_eq!(text(&place.join("text")), "old");
    let _ = shown(&place);
}

#[test]
fn volume_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(update(&folder.path().join("v"), &[], &BTreeSet::new()).is_err());
}

#[test]
fn directories_are_everybodys_and_in_memory_each_keeps_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders { disk: folder.path().join("disk"), memory: Some(folder.path().join("memory")) };
    let volume = |name: &str, content| Volume { name: name.to_owned(), content, group: None };
    make(&[volume("d", Content::Empty), volume("m", Content::Memory)], &[], &folders).unwrap();
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().mode() & 0o7777;
    assert_eq!([mode("disk/d"), mode("memory/m")], [0o777, 0o1777]);
}

#[test]
fn volume_of_a_group_stays_the_groups() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders { disk: folder.path().to_owned(), memory: None };
    let group = fs::metadata(folder.path()).unwrap().gid();
    let content = Content::Files(vec![file("f", "old", 0o400)]);
    make(&[Volume { name: "v".to_owned(), content, group: Some(group) }], &[], &folders).unwrap();
    let place = folder.path().join("v");
    update(&place, &[file("f", "new", 0o400), file("more", "x", 0o400)], &BTreeSet::new()).unwrap();
    for path in ["f", "more"] {
        let meta = fs::metadata(place.join(path)).unwrap();
        assert_eq!((meta.gid(), meta.mode() & 0o7777), (group, 0o440), "{path}");
    }
}

#[test]
fn what_is_mounted_in_a_volume_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    files::make(&place, &[file("text", "old", 0o644), file("gone", "x", 0o644)]).unwrap();
    // As the shim makes them, through the container's own mount.
    for mount in ["data", "..cache", "..2x", "more/deep"] {
        fs::create_dir_all(place.join(mount)).unwrap();
    }
    fs::write(place.join("one.pem"), "").unwrap();
    fs::write(place.join("..2026"), "").unwrap();
    let inodes = || {
        ["data", "..cache", "..2x", "more/deep", "one.pem", "..2026"]
            .map(|name| fs::symlink_metadata(place.join(name)).unwrap().ino())
    };
    let before = inodes();
    renew(&place, &file("token", "secret", 0o600)).unwrap();
    // One of the new names is where something is mounted, which hides it.
    let new = [file("text", "new", 0o644), file("data", "hidden", 0o644), file("one.pem", "hidden", 0o644)];
    for _ in 0..2 {
        update(&place, &new, &BTreeSet::new()).unwrap();
        assert_eq!(inodes(), before);
    }
    assert_eq!(shown(&place), ["..2026", "..2x", "..cache", "data", "more", "one.pem", "text"]);
    assert_eq!(text(&place.join("text")), "new");
}

#[test]
fn what_is_mounted_in_a_volume_of_an_older_engine_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    for mount in ["data", "folder", "both/mount"] {
        fs::create_dir_all(place.join(mount)).unwrap();
    }
    for (path, content) in
        [("text", "1"), ("gone", "x"), ("folder/gone", "x"), ("both/gone", "x"), ("one.pem", "")]
    {
        fs::write(place.join(path), content).unwrap();
    }
    update(&place, &[file("text", "2", 0o644)], &BTreeSet::new()).unwrap();
    assert_eq!(shown(&place), ["both", "data", "one.pem", "text"]);
    assert_eq!((names(&place.join("both")), text(&place.join("text"))), (vec!["mount".into()], "2".into()));
}

#[test]
fn folder_that_a_container_mounts_keeps_its_files_until_it_begins_again() {
    let root = tempfile::tempdir().unwrap();
    let folders = Folders { disk: root.path().to_owned(), memory: None };
    let volume = |text: &str| {
        let content = Content::Files(vec![file("folder/deep", text, 0o644), file("text", text, 0o644)]);
        [Volume { name: "v".to_owned(), content, group: None }]
    };
    let part = |part: &str| VolumeMount {
        volume: "v".to_owned(),
        target: "/windlass-part".into(),
        sub_path: Some(part.into()),
        is_read_only: false,
    };
    // As it is bound: the directory that is found then.
    let begin = |text: &str, container: &str| {
        let volumes = volume(text);
        let mounts = find(&volumes, &[part("folder"), part("text")], &folders, container).unwrap();
        make(&volumes, &mounts, &folders).unwrap();
        assert!(mounts[1].is_file && mounts[1].source.is_file());
        fs::canonicalize(&mounts[0].source).unwrap()
    };
    let change = |text: &str| {
        let Content::Files(files) = volume(text)[0].content.clone() else { panic!("files") };
        update(&root.path().join("v"), &files, &BTreeSet::new()).unwrap();
    };
    let [first, second] = ["a", "b"].map(|container| begin("1", container));
    assert_eq!(first, second);
    change("2");
    renew(&root.path().join("v"), &file("token", "t", 0o600)).unwrap();
    change("3");
    let third = begin("3", "a");
    assert_eq!([&second, &third].map(|place| text(&place.join("deep"))), ["1", "3"]);
    let states = || names(&root.path().join("v")).iter().filter(|name| name.starts_with("..2")).count();
    assert_eq!(states(), 2, "what nobody has mounted is gone");
    begin("3", "b");
    change("4");
    assert_eq!((states(), first.exists(), text(&third.join("deep"))), (2, false, "3".into()));
}

#[test]
fn token_is_not_put_into_a_volume_whose_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    files::make(&place, &[file("text", "1", 0o644)]).unwrap();
    let token = file("token", "secret", 0o600);
    fs::remove_dir_all(place.join(data(&place))).unwrap();
    assert!(renew(&place, &token).is_err());
    update(&place, &[file("text", "1", 0o644)], &BTreeSet::from(["token".into()])).unwrap();
    renew(&place, &token).unwrap();
    assert_eq!(shown(&place), ["text", "token"]);
}

#[test]
fn plain_path_of_the_host_that_is_not_there_is_made_and_a_local_volumes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep");
    let folders = Folders { disk: folder.path().join("disk"), memory: None };
    let mounts =
        [VolumeMount { volume: "v".to_owned(), target: "/v".into(), sub_path: None, is_read_only: false }];
    let volumes = |kind| {
        let content = Content::Host { path: path.clone(), kind, is_read_only: false };
        [Volume { name: "v".to_owned(), content, group: None }]
    };
    let missing = find(&volumes(HostKind::There), &mounts, &folders, "c").unwrap_err().to_string();
    assert!(missing.ends_with("does not exist on this host; make it"), "{missing}");
    let volumes = volumes(HostKind::Any);
    let found = find(&volumes, &mounts, &folders, "c").unwrap();
    assert!(!found[0].is_file && !path.exists(), "looking makes nothing");
    make(&volumes, &found, &folders).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "x").unwrap();
    let found = find(&volumes, &mounts, &folders, "c").unwrap();
    make(&volumes, &found, &folders).unwrap();
    assert!(found[0].is_file, "what is there stays as it is");
}
