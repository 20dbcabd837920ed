//! What runs read: stdin and terminals, with real processes.

mod common;

use std::path::Path;

use common::{Home, PATIENCE, ends, next, read_fifo, starts, write_fifo};
use windlass_runner::log::{self, ReadOptions};
use windlass_runner::runtime::{Ended, Event, Input, InputError, Runtime, Start, Stdin, Stdio};

fn with(mut start: Start, stdin: Stdin, tty: bool) -> Start {
    start.stdio = Stdio { stdin, tty };
    start
}

fn ended(event: &Event) -> Ended {
    match event {
        Event::Exited { ended, .. } => *ended,
        other => panic!("{other:?}"),
    }
}

/// The bytes of a log that is complete.
async fn output(path: &Path) -> Vec<u8> {
    let (_, over) = tokio::sync::watch::channel(true);
    let mut chunks = log::read(path.to_owned(), ReadOptions::default(), over);
    let mut all = Vec::new();
    while let Some(chunk) = std::future::poll_fn(|context| {
        futures_core::Stream::poll_next(std::pin::Pin::new(&mut chunks), context)
    })
    .await
    {
        all.extend_from_slice(&chunk.unwrap());
    }
    all
}

async fn text(path: &Path) -> String {
    String::from_utf8(output(path).await).unwrap()
}

/// Whether the write waits for its reader.
async fn waits(input: &mut Input, bytes: &[u8]) -> bool {
    tokio::select! {
        biased;
        written = input.write(bytes) => { written.unwrap(); false }
        () = std::future::ready(()) => true,
    }
}

#[tokio::test]
async fn run_without_stdin_reads_nothing_and_takes_nothing() {
    let home = Home::new();
    let shim = home.connect().await;
    let gate = home.fifo("gate");
    let start = home.sh("main", &format!("cat; read x < {}", gate.display()));
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    assert!(matches!(shim.input(&key).await.err(), Some(InputError::NoStdin)));
    let _gate = write_fifo(&gate);
    assert_eq!(ended(&ends(&shim, 1).await["main"]), Ended::Code(0));
    assert!(matches!(shim.input(&key).await.err(), Some(InputError::NotRunning)));
    shim.shutdown(true).await;
}

#[tokio::test]
async fn stdin_for_one_comes_through_whole_and_ends_with_its_giver() {
    let home = Home::new();
    let shim = home.connect().await;
    let start = with(home.start("main", &["cat"]), Stdin::Once, false);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut input = shim.input(&key).await.unwrap();
    input.write(&bytes).await.unwrap();
    drop(input);
    assert_eq!(ended(&ends(&shim, 1).await["main"]), Ended::Code(0));
    assert!(output(&home.log("main")).await == bytes);
    shim.shutdown(true).await;
}

#[tokio::test]
async fn stdin_for_one_is_not_given_again() {
    let home = Home::new();
    let shim = home.connect().await;
    let (gate, told) = (home.fifo("gate"), home.fifo("told"));
    let script = format!("cat; echo over > {}; read x < {}", told.display(), gate.display());
    let start = with(home.sh("main", &script), Stdin::Once, false);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    drop(shim.input(&key).await.unwrap());
    assert_eq!(read_fifo(&told).await, "over\n");
    assert!(matches!(shim.input(&key).await.err(), Some(InputError::Ended)));
    let _gate = write_fifo(&gate);
    ends(&shim, 1).await;
    shim.shutdown(true).await;
}

#[tokio::test]
async fn stdin_that_stays_open_outlives_its_givers_and_the_engine() {
    let home = Home::new();
    let shim = home.connect().await;
    let start = with(home.sh("main", "read a; read b; echo $a $b; exit 3"), Stdin::Open, false);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    shim.input(&key).await.unwrap().write(b"one\n").await.unwrap();
    drop(shim);
    let shim = home.connect().await;
    shim.input(&key).await.unwrap().write(b"two\n").await.unwrap();
    assert_eq!(ended(&ends(&shim, 1).await["main"]), Ended::Code(3));
    assert_eq!(text(&home.log("main")).await, "one two\n");
    shim.shutdown(true).await;
}

#[tokio::test]
async fn writer_waits_for_a_slow_reader_and_learns_when_there_is_none() {
    let home = Home::new();
    let shim = home.connect().await;
    let gate = home.fifo("gate");
    let script = format!("read x < {}; head -c 5; exec <&-; read x < {}", gate.display(), gate.display());
    let start = with(home.sh("main", &script), Stdin::Open, false);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    let mut input = shim.input(&key).await.unwrap();
    let bytes = vec![b'x'; 1 << 20];
    assert!(waits(&mut input, &bytes).await);
    let _first = write_fifo(&gate);
    let error = input.write(&bytes).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let _second = write_fifo(&gate);
    ends(&shim, 1).await;
    assert_eq!(text(&home.log("main")).await, "xxxxx");
    shim.shutdown(true).await;
}

#[tokio::test]
async fn terminal_is_the_processs_own_and_has_a_size() {
    let home = Home::new();
    let shim = home.connect().await;
    let told = home.fifo("told");
    let script = format!(
        "test -t 0 && test -t 1 && test -t 2 && tty && stty size && echo up > {} \
         && read line && echo \"got $line\" > /dev/tty && stty size; exit 4",
        told.display()
    );
    let start = with(home.sh("main", &script), Stdin::Open, true);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    assert_eq!(read_fifo(&told).await, "up\n");
    let mut input = shim.input(&key).await.unwrap();
    assert!(input.is_terminal());
    input.resize(123, 45).unwrap();
    input.write(b"hello\r").await.unwrap();
    assert_eq!(ended(&ends(&shim, 1).await["main"]), Ended::Code(4));
    let text = text(&home.log("main")).await;
    assert!(text.starts_with("/dev/pts/"), "{text:?}");
    assert!(text.ends_with("24 80\r\nhello\r\ngot hello\r\n45 123\r\n"), "{text:?}");
    shim.shutdown(true).await;
}

#[tokio::test]
async fn interrupt_byte_ends_what_runs_in_the_terminal() {
    let home = Home::new();
    let shim = home.connect().await;
    let told = home.fifo("told");
    let script = format!("echo up > {}; exec sleep 600", told.display());
    let start = with(home.sh("main", &script), Stdin::Open, true);
    let key = start.key.clone();
    shim.start(vec![start]);
    starts(&shim, 1).await;
    assert_eq!(read_fifo(&told).await, "up\n");
    shim.input(&key).await.unwrap().write(b"\x03").await.unwrap();
    assert_eq!(ended(&ends(&shim, 1).await["main"]), Ended::Signal(libc::SIGINT));
    shim.shutdown(true).await;
}

#[tokio::test]
async fn last_words_in_a_terminal_are_not_lost() {
    let home = Home::new();
    let shim = home.connect().await;
    shim.start(vec![with(home.start("main", &["seq", "200000"]), Stdin::Null, true)]);
    ends(&shim, 1).await;
    let expected: String = (1..=200_000).map(|n| format!("{n}\r\n")).collect();
    assert!(text(&home.log("main")).await == expected);
    shim.shutdown(true).await;
}

#[tokio::test]
async fn descendants_that_left_the_terminals_session_end_with_the_run() {
    let home = Home::new();
    let shim = home.connect().await;
    let told = home.fifo("told");
    let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 600' & read x", told.display());
    let start = with(home.sh("main", &script), Stdin::Open, true);
    let key = start.key.clone();
    shim.start(vec![start]);
    next(&shim, |event| matches!(event, Event::Started { .. })).await;
    let pid: i32 = read_fifo(&told).await.trim().parse().unwrap();
    shim.input(&key).await.unwrap().write(b"go\n").await.unwrap();
    ends(&shim, 1).await;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    shim.shutdown(true).await;
}

#[tokio::test]
async fn prompt_without_a_line_end_is_in_the_log_at_once() {
    let home = Home::new();
    let shim = home.connect().await;
    let start = with(home.sh("main", "printf 'name? '; read x; echo hello $x"), Stdin::Once, false);
    let (key, path) = (start.key.clone(), start.log.clone());
    shim.start(vec![start]);
    starts(&shim, 1).await;
    let (over, is_over) = tokio::sync::watch::channel(false);
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let mut chunks = log::read(path, options, is_over);
    let first = std::future::poll_fn(|context| {
        futures_core::Stream::poll_next(std::pin::Pin::new(&mut chunks), context)
    });
    let first = tokio::time::timeout(PATIENCE, first).await.unwrap();
    assert_eq!(&first.unwrap().unwrap()[..], b"name? ");
    shim.input(&key).await.unwrap().write(b"you\n").await.unwrap();
    ends(&shim, 1).await;
    drop(over);
    assert_eq!(text(&home.log("main")).await, "name? hello you\n");
    shim.shutdown(true).await;
}
