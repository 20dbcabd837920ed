//! Commits of 2 KB by 32 writers, beside append and fdatasync of 2 KB one at a time: `commits DIR [ROUNDS]`, in
//! alternation, one line a round with both in commits a second and their ratio. DIR is made, and emptied at the end.
#![expect(clippy::print_stdout, reason = "a program that tells its user")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use windlass_store::{Bounds, Expect, Op, Options, Revision, Store, Tags, Template, Write};

const WRITERS: usize = 32;
const COMMITS: usize = 4096;
const APPENDS: usize = 512;
const BYTES: usize = 2048;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(arguments.first().expect("commits DIR [ROUNDS]"));
    let rounds = arguments.get(1).map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    fs::create_dir(dir).expect("a place that is not there yet");
    let store = Store::open(&dir.join("store"), options()).expect("a new store");
    let mut file = File::create(dir.join("appended")).expect("a new file");
    for round in 0..rounds {
        let appends = appends(&mut file);
        let commits = commits(&store, round).await;
        println!("{commits:.0} commits/s, {appends:.0} appends/s, ratio {:.2}", commits / appends);
    }
    store.release().await;
    fs::remove_dir_all(dir).expect("what was made can be removed");
}

fn options() -> Options {
    Options {
        bounds: Bounds::default(),
        now_ms: Arc::new(|| 1),
        first_revision: Revision(0),
        new_id: "commits".into(),
        indexed: Vec::new(),
    }
}

/// Appends a second.
#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn appends(file: &mut File) -> f64 {
    let begun = Instant::now();
    for number in 0..APPENDS {
        file.write_all(&value(number)).and_then(|()| file.sync_data()).expect("room on the disk");
    }
    APPENDS as f64 / begun.elapsed().as_secs_f64()
}

/// Commits a second, each acknowledged before its writer's next.
#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
async fn commits(store: &Store, round: usize) -> f64 {
    let begun = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (writer..COMMITS).step_by(WRITERS) {
                    store.commit(vec![put(round, number)]).await.expect("room on the disk");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer that ends");
    }
    COMMITS as f64 / begun.elapsed().as_secs_f64()
}

fn put(round: usize, number: usize) -> Write {
    let value = Template { bytes: value(number), revision_at: None };
    let tags = Tags::new(vec![("round".into(), round.to_string().into())]);
    Write { key: format!("/{round}/{number}").into(), expect: Expect::Absent, op: Op::Put { value, tags } }
}

/// Bytes that no compression makes smaller.
fn value(number: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut next = || {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..BYTES).map(|_| next()).collect()
}
