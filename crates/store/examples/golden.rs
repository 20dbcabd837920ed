//! Makes the small store that `tests/golden/format-N` holds: `cargo run --example golden DIR`. Run it when the stored
//! format has a new number, and add the folder; a folder that is there already is never made again.
//!
//! What is in it is told by `tests/golden.rs`, which opens every one of them.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_store::{Bounds, Expect, Op, Options, Revision, Store, Tags, Template, Write};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = PathBuf::from(std::env::args_os().nth(1).expect("the directory to make it in"));
    // So small that every kind of file comes to be.
    let bounds = Bounds { memtable_bytes: 4_000, ..Bounds::default() };
    let options = Options {
        bounds,
        now_ms: Arc::new(|| 1_000_000),
        first_revision: Revision(1000),
        new_id: "golden".into(),
        indexed: Vec::new(),
    };
    let store = Store::open(&dir, options).expect("a new store");
    for number in 0..40 {
        store.commit(vec![put(number, "made")]).await.expect("room on the disk");
    }
    let changes = (0..40).step_by(2).map(|number| match number % 4 {
        0 => Write { key: key(number), expect: Expect::Present, op: Op::Delete },
        _ => put(number, "changed"),
    });
    store.commit(changes.collect()).await.expect("room on the disk");
    store.commit(vec![put(0, "made again")]).await.expect("room on the disk");
    store.release().await;
}

fn key(number: u32) -> Arc<str> {
    format!("/things/{number:02}").into()
}

fn put(number: u32, what: &str) -> Write {
    let text = format!("{what} at {}", "x".repeat(200));
    let at = text.len() as u32 - 200;
    let value = Template { bytes: text.into_bytes(), revision_at: Some(at) };
    let pair = |name: &str, value: &str| (name.into(), value.into());
    let even = number.is_multiple_of(2).to_string();
    let tags = Tags::new(vec![pair("what", what), pair("even", &even), pair("both", "1"), pair("both", "2")]);
    Write { key: key(number), expect: Expect::Any, op: Op::Put { value, tags } }
}
