//! Reading whole logs, parts of them, and logs that grow.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::*;

const LOG: &str = "\
2026-11-20T23:41:06.000000001Z stdout F one
2026-11-20T23:41:07.000000000Z stderr F wrong
2026-11-20T23:41:08.000000000Z stdout P tw
2026-11-20T23:41:08.000000000Z stdout F o
2026-11-20T23:41:09.000000000Z stdout F\x20
2026-11-20T23:41:10.000000000Z stdout P tail
";

struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn new(text: &[u8]) -> Log {
        let log = Log { folder: tempfile::tempdir().unwrap() };
        std::fs::write(log.path(), text).unwrap();
        log
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("0.log")
    }

    async fn read(&self, options: ReadOptions) -> String {
        let (_ended, ended) = watch::channel(true);
        let bytes = collect(read(self.path(), options, ended)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

async fn next(stream: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin)) -> Option<io::Result<Bytes>> {
    let next = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
    tokio::time::timeout(Duration::from_secs(180), next).await.expect("the log goes on or ends in time")
}

async fn collect(mut stream: impl Stream<Item = io::Result<Bytes>> + Unpin) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(chunk) = next(&mut stream).await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

#[tokio::test]
async fn lines_and_pieces_are_the_programs_bytes() {
    let log = Log::new(LOG.as_bytes());
    assert_eq!(log.read(ReadOptions::default()).await, "one\nwrong\ntwo\n\ntail");
}

#[tokio::test]
async fn one_output_alone_can_be_read() {
    let log = Log::new(LOG.as_bytes());
    let options = ReadOptions { output: Some(Output::Stderr), ..ReadOptions::default() };
    assert_eq!(log.read(options).await, "wrong\n");
}

#[tokio::test]
async fn nothing_older_than_asked_for_is_given() {
    let log = Log::new(LOG.as_bytes());
    let since = Some("2026-11-20T23:41:09Z".parse().unwrap());
    assert_eq!(log.read(ReadOptions { since, ..ReadOptions::default() }).await, "\ntail");
}

#[tokio::test]
async fn the_last_lines_are_counted_as_the_program_wrote_them() {
    let log = Log::new(LOG.as_bytes());
    let expected = ["", "tail", "\ntail", "two\n\ntail", "wrong\ntwo\n\ntail", "one\nwrong\ntwo\n\ntail"];
    for (tail, expected) in expected.iter().enumerate() {
        let options = ReadOptions { tail: Some(tail as u64), ..ReadOptions::default() };
        assert_eq!(log.read(options).await, *expected, "the last {tail}");
    }
    let options = ReadOptions { tail: Some(100), output: Some(Output::Stdout), ..ReadOptions::default() };
    assert_eq!(log.read(options).await, "one\ntwo\n\ntail");
}

#[tokio::test]
async fn the_last_lines_of_a_long_log_are_found() {
    let line = |n: usize| format!("2026-11-20T23:41:06.000000001Z stdout F line {n}\n");
    let log = Log::new((0..20_000).map(line).collect::<String>().as_bytes());
    let options = ReadOptions { tail: Some(5000), ..ReadOptions::default() };
    let text = log.read(options).await;
    assert_eq!((text.lines().next(), text.lines().count()), (Some("line 15000"), 5000));
}

#[tokio::test]
async fn bytes_are_limited() {
    let log = Log::new(LOG.as_bytes());
    let options = ReadOptions { limit_bytes: Some(6), ..ReadOptions::default() };
    assert_eq!(log.read(options).await, "one\nwr");
}

#[tokio::test]
async fn times_stand_before_lines_not_before_pieces() {
    let log = Log::new(LOG.as_bytes());
    let options = ReadOptions { timestamps: true, tail: Some(3), ..ReadOptions::default() };
    let expected = "2026-11-20T23:41:08.000000000Z two\n2026-11-20T23:41:09.000000000Z \n2026-11-20T23:41:10.000000000Z tail";
    assert_eq!(log.read(options).await, expected);
}

#[tokio::test]
async fn bytes_that_are_no_text_pass() {
    let log = Log::new(b"2026-11-20T23:41:06.000000001Z stdout F \xff\x00\xfe\n");
    let (_ended, ended) = watch::channel(true);
    assert_eq!(collect(read(log.path(), ReadOptions::default(), ended)).await.unwrap(), b"\xff\x00\xfe\n");
}

#[tokio::test]
async fn entry_that_its_writer_did_not_finish_gives_what_there_is() {
    let log =
        Log::new(b"2026-11-20T23:41:06.000000001Z stdout F one\n2026-11-20T23:41:06.000000001Z stdout F tw");
    assert_eq!(log.read(ReadOptions::default()).await, "one\ntw");
}

#[tokio::test]
async fn file_that_is_no_log_is_an_error() {
    let log = Log::new(b"hello\n");
    let (_ended, ended) = watch::channel(true);
    let error = collect(read(log.path(), ReadOptions::default(), ended)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn log_that_is_not_there_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let (_ended, ended) = watch::channel(false);
    let stream = read(folder.path().join("no.log"), ReadOptions::default(), ended);
    assert_eq!(collect(stream).await.unwrap(), b"");
}

#[tokio::test]
async fn followed_log_may_come_later_grow_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/0.log");
    let (end, ended) = watch::channel(false);
    let mut stream = read(path.clone(), ReadOptions { follow: true, ..ReadOptions::default() }, ended);
    tokio::task::yield_now().await;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    for text in ["one", "two", "three"] {
        writeln!(file, "2026-11-20T23:41:06.000000001Z stdout F {text}").unwrap();
        assert_eq!(next(&mut stream).await.unwrap().unwrap(), format!("{text}\n"));
    }
    writeln!(file, "2026-11-20T23:41:06.000000001Z stdout F last").unwrap();
    end.send(true).unwrap();
    assert_eq!(collect(stream).await.unwrap(), b"last\n");
}

#[tokio::test]
async fn follower_of_a_run_without_output_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (end, ended) = watch::channel(false);
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let stream = read(folder.path().join("a/0.log"), options, ended);
    tokio::task::yield_now().await;
    end.send(true).unwrap();
    assert_eq!(collect(stream).await.unwrap(), b"");
}

#[tokio::test]
async fn several_followers_of_one_log_all_get_it() {
    let log = Log::new(b"");
    let (end, ended) = watch::channel(false);
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let streams: Vec<_> = (0..5).map(|_| read(log.path(), options.clone(), ended.clone())).collect();
    std::fs::write(log.path(), LOG).unwrap();
    end.send(true).unwrap();
    for stream in streams {
        assert_eq!(collect(stream).await.unwrap(), b"one\nwrong\ntwo\n\ntail");
    }
}

#[test]
fn end_of_a_log_is_its_last_lines_or_its_last_bytes() {
    let log = Log::new(LOG.as_bytes());
    for (lines, bytes, expected) in [
        (80, 2048, "one\nwrong\ntwo\n\ntail"),
        (2, 2048, "\ntail"),
        (80, 7, "o\n\ntail"),
        (0, 7, ""),
        (80, 0, ""),
    ] {
        assert_eq!(String::from_utf8(last(&log.path(), lines, bytes).unwrap()).unwrap(), expected);
    }
    assert_eq!(last(&log.folder.path().join("none"), 80, 2048).unwrap(), b"");
    assert!(last(&Log::new(b"no log\n").path(), 80, 2048).is_err());
}

#[test]
fn end_of_a_long_line_is_read_without_its_begin() {
    let piece = format!("2026-11-20T23:41:06.000000001Z stdout P {}\n", "x".repeat(16 << 10));
    let log =
        Log::new(format!("{}2026-11-20T23:41:06.000000001Z stdout F end\n", piece.repeat(100)).as_bytes());
    let end = last(&log.path(), 80, 2048).unwrap();
    assert_eq!((end.len(), &end[2040..]), (2048, &b"xxxxend\n"[..]));
}

#[tokio::test]
async fn counts_of_a_damaged_log_end_at_the_end_of_the_scale() {
    let gap = format!("2026-11-20T23:41:06Z stdout G {} 3 why\n", u64::MAX);
    let log = Log::new(format!("{gap}{gap}2026-11-20T23:41:07Z stdout F on\n").as_bytes());
    let shown = log.read(ReadOptions::default()).await;
    assert_eq!(shown.matches("18446744073709551615 bytes (3 lines)").count(), 2, "{shown}");
    assert!(shown.ends_with("\non\n"), "{shown}");
}
