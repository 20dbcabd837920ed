//! A volume of files that is brought up to date.

use super::*;

fn file(path: &str, text: &str, mode: u32) -> File {
    File { path: path.into(), bytes: text.as_bytes().to_vec(), mode }
}

fn text(place: &Path) -> String {
    fs::read_to_string(place).unwrap()
}

#[test]
fn files_that_differ_are_replaced_and_those_that_are_no_more_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("v");
    let old = [file("same", "1", 0o644), file("text", "old", 0o644), file("gone/deep", "x", 0o644)];
    write_all(&place, &old).unwrap();
    renew(&place, &file("token", "secret", 0o600)).unwrap();
    let same = fs::metadata(place.join("same")).unwrap().ino();
    let before = fs::File::open(place.join("text")).unwrap();

    let new = [file("same", "1", 0o644), file("text", "new", 0o400), file("more/deep", "y", 0o644)];
    update(&place, &new, &BTreeSet::from(["token".into()])).unwrap();
    assert_eq!(fs::metadata(place.join("same")).unwrap().ino(), same, "what is as it was is left alone");
    assert_eq!(text(&place.join("text")), "new");
    assert_eq!(fs::metadata(place.join("text")).unwrap().mode() & 0o7777, 0o400);
    assert_eq!(io::read_to_string(before).unwrap(), "old", "who has it open reads on");
    assert_eq!(text(&place.join("more/deep")), "y");
    assert!(!place.join("gone/deep").exists());
    assert_eq!(text(&place.join("token")), "secret", "what is somebody else's stays");

    update(&place, &[], &BTreeSet::new()).unwrap();
    assert!(!place.join("same").exists() && !place.join("token").exists() && place.is_dir());
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
