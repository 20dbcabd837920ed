//! An engine of another version, a state file that nobody can read, a store that is newer or damaged.

use std::path::PathBuf;

use crate::home::{Ended, Home};

/// Has the running engine say another version of itself.
fn pretend(home: &Home, version: &str) {
    let place = home.state().join("engine.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    state["version"] = version.into();
    std::fs::write(place, state.to_string()).unwrap();
}

#[test]
fn an_older_engine_goes_on_serving_and_is_told_of_once() {
    let home = Home::new();
    home.ok(&["up"]);
    pretend(&home, "0.0.9");
    let first = home.windlass(&["run", "--", "echo", "hi"]);
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), "hi\n"), "{first:?}");
    assert!(first.stderr.contains("older (0.0.9") && first.stderr.contains("windlass up"), "{first:?}");
    let second = home.windlass(&["run", "--", "true"]);
    assert!(second.code == Some(0) && !second.stderr.contains("0.0.9"), "{second:?}");
    pretend(&home, "0.99.0");
    let newer = home.windlass(&["run", "--", "true"]);
    assert!(newer.code == Some(0) && newer.stderr.contains("newer (0.99.0"), "{newer:?}");
}

#[test]
fn another_patch_of_the_same_version_is_not_worth_a_word() {
    let home = Home::new();
    home.ok(&["up"]);
    let (major_minor, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap();
    pretend(&home, &format!("{major_minor}.99"));
    let ended = home.windlass(&["run", "--", "true"]);
    assert!(ended.code == Some(0) && !ended.stderr.contains("engine that runs"), "{ended:?}");
}

#[test]
fn an_engine_of_another_major_version_is_refused_and_can_be_stopped() {
    let home = Home::new();
    home.ok(&["up"]);
    pretend(&home, "7.0.0");
    let ended = home.windlass(&["run", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("7.0.0") && ended.stderr.contains("windlass down --leave"), "{ended:?}");
    home.ok(&["down", "--leave"]);
    home.ok(&["run", "--", "true"]);
}

#[test]
fn a_state_file_that_cannot_be_read_is_named() {
    let home = Home::new();
    home.ok(&["up"]);
    let place = home.state().join("engine.json");
    let kept = std::fs::read(&place).unwrap();
    std::fs::write(&place, "{\"protocol\": 9}").unwrap();
    let ended = home.windlass(&["run", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("engine.json") && ended.stderr.contains("another version"), "{ended:?}");
    std::fs::write(&place, kept).unwrap();
}

/// The answer of a command on a store that this happened to.
fn after(harm: impl Fn(PathBuf)) -> (Home, Ended) {
    let home = Home::new();
    home.ok(&["run", "--", "true"]);
    home.ok(&["down"]);
    harm(home.state().join("store"));
    let ended = home.windlass(&["run", "--", "true"]);
    (home, ended)
}

#[test]
fn a_store_of_a_newer_format_is_refused_with_the_way_out() {
    let (home, ended) = after(|store| {
        let place = store.join("store.json");
        let mut header: serde_json::Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
        header["format"] = 999.into();
        std::fs::write(place, header.to_string()).unwrap();
    });
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(
        ended.stderr.contains(home.state().to_str().unwrap()) && ended.stderr.contains("newer"),
        "{ended:?}"
    );
}

#[test]
fn a_damaged_store_is_named_with_the_way_out() {
    let (home, ended) = after(|store| {
        std::fs::write(store.join("store.json"), "{ not what was written").unwrap();
    });
    assert_eq!(ended.code, Some(125), "{ended:?}");
    let store = home.state().join("store");
    assert!(ended.stderr.contains(store.to_str().unwrap()), "{ended:?}");
    assert!(ended.stderr.contains("move it away"), "{ended:?}");
}

#[test]
fn data_that_was_overwritten_is_never_taken_for_an_empty_store() {
    let (home, ended) = after(|store| {
        for place in files(&store).into_iter().filter(|place| !place.ends_with("store.json")) {
            let length = usize::try_from(place.metadata().unwrap().len()).unwrap();
            std::fs::write(place, vec![0xa5; length]).unwrap();
        }
    });
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains(home.state().to_str().unwrap()), "{ended:?}");
}

fn files(directory: &std::path::Path) -> Vec<PathBuf> {
    let places = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    places.flat_map(|place| if place.is_dir() { files(&place) } else { vec![place] }).collect()
}
