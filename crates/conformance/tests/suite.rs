//! The engine does what upstream's end-to-end tests check, as recorded: in process, over TCP, and as an ordinary user.

use std::ffi::OsString;
use std::path::Path;

use windlass_conformance::suite::command::{AT_ONCE, column, place};
use windlass_conformance::suite::record::{Column, HEADING, Place, Record};
use windlass_conformance::suite::subject::{Door, Subject};
use windlass_conformance::suite::{all, ordinary};

const PROGRAM: &str = env!("CARGO_BIN_EXE_windlass-conformance");

fn shim() -> Vec<OsString> {
    vec![PROGRAM.into(), "shim".into()]
}

/// Every case ends as it is recorded; one that passes now is to be recorded too.
fn hold(place: Place, column: &Column) {
    let recorded = Record::load().expect("the record").columns.remove(&place).unwrap_or_default();
    let news = column.news(&recorded);
    assert!(
        news.is_empty(),
        "{place:?}: not as recorded (why is told above; `cargo xtask conformance --record` keeps what passes now):\n  {}",
        news.join("\n  ")
    );
}

async fn through(door: Door) {
    let subject = Subject::engine(door, shim()).await.expect("the engine starts");
    let place = place(door);
    let column = column(&subject, &all(), AT_ONCE, &format!("{place:?}")).await.expect("the cases run");
    subject.stop().await;
    hold(place, &column);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_ends_as_recorded_in_process() {
    through(Door::InProcess).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_ends_as_recorded_over_tcp() {
    through(Door::Tcp).await;
}

#[test]
fn every_case_ends_as_recorded_for_an_ordinary_user() {
    // Who is no root is one already: then the other two tests are this one.
    if !ordinary::is_root() {
        return;
    }
    for (place, column) in ordinary::columns(Path::new(PROGRAM), &[]).expect("the cases run") {
        hold(place, &column);
    }
}

#[test]
fn the_page_tells_what_is_recorded() {
    let place = windlass_conformance::script::folder().join("../../docs/conformance.md");
    let page = std::fs::read_to_string(place).expect("the page");
    let at = page.find(HEADING).expect("the suite's part of the page");
    let section = Record::load().expect("the record").section();
    assert!(page[at..] == section, "docs/conformance.md is old: run `cargo xtask conformance --record`");
}
