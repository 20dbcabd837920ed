//! Logs that grow past their limit, and logs that cannot be written, read back by the log's own reader.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::pin::Pin;

use futures_core::Stream;
use tokio::sync::watch;

use crate::log::{self, ReadOptions};
use crate::shim::output::Output;
use crate::shim::packer;

use super::*;

/// Eight segments of 4 KiB.
const LIMIT: u64 = 32 << 10;

struct Log {
    folder: tempfile::TempDir,
    output: Output,
    lines: u64,
}

impl Log {
    fn new() -> Log {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(folder.path().join("0.log"), LIMIT, Arc::new(Packer::idle()));
        Log { folder, output, lines: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("0.log")
    }

    /// The program writes lines of ten bytes.
    fn write(&mut self, count: u64) -> io::Result<()> {
        let text: String = (self.lines..self.lines + count).map(line).collect();
        self.lines += count;
        self.output.push(Channel::Stdout, text.as_bytes(), at(self.lines))
    }

    async fn read(&self, options: ReadOptions) -> String {
        let (_ended, ended) = watch::channel(true);
        collect(log::read(self.path(), options, ended)).await
    }
}

fn line(n: u64) -> String {
    format!("{n:09}\n")
}

/// A second for each line that was written.
fn at(lines: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(lines).unwrap()).unwrap()
}

fn lines(from: u64, to: u64) -> String {
    (from..to).map(line).collect()
}

fn gap(lines: u64) -> String {
    format!(
        "[windlass: {} bytes ({lines} lines) of stdout are missing here: the log was over its limit]\n",
        lines * 10
    )
}

/// How many lines the gap at the begin of a log speaks of.
fn missing(text: &str) -> u64 {
    text.split(['(', ' ']).nth(4).unwrap_or_default().parse().unwrap_or(0)
}

async fn next(stream: &mut (impl Stream<Item = io::Result<bytes::Bytes>> + Unpin)) -> Option<bytes::Bytes> {
    let next = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
    let next = tokio::time::timeout(std::time::Duration::from_secs(180), next).await;
    next.expect("the log goes on or ends in time").map(Result::unwrap)
}

async fn collect(mut stream: impl Stream<Item = io::Result<bytes::Bytes>> + Unpin) -> String {
    let mut all = Vec::new();
    while let Some(chunk) = next(&mut stream).await {
        all.extend_from_slice(&chunk);
    }
    String::from_utf8(all).unwrap()
}

fn size(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn log_within_its_limit_is_whole() {
    let mut log = Log::new();
    log.write(300).unwrap();
    assert!(segments::plain(&log.path(), 2).exists(), "several segments");
    assert_eq!(log.read(ReadOptions::default()).await, lines(0, 300));
}

#[tokio::test]
async fn oldest_output_goes_past_the_limit_and_the_gap_is_told() {
    let mut log = Log::new();
    for _ in 0..100 {
        log.write(100).unwrap();
    }
    assert!(size(log.folder.path()) <= LIMIT, "{}", size(log.folder.path()));
    let text = log.read(ReadOptions::default()).await;
    let missing = missing(&text);
    assert!(missing > 9000, "{missing}");
    assert_eq!(text, gap(missing) + &lines(missing, 10_000));
}

#[tokio::test]
async fn the_last_lines_come_without_the_gap_unless_they_reach_it() {
    let mut log = Log::new();
    log.write(10_000).unwrap();
    for tail in [0, 1, 99, 300] {
        let options = ReadOptions { tail: Some(tail), ..ReadOptions::default() };
        assert_eq!(log.read(options).await, lines(10_000 - tail, 10_000), "the last {tail}");
    }
    let all = log.read(ReadOptions::default()).await;
    assert_eq!(log.read(ReadOptions { tail: Some(20_000), ..ReadOptions::default() }).await, all);
}

#[tokio::test]
async fn what_went_before_the_time_asked_for_is_no_gap() {
    let mut log = Log::new();
    for _ in 0..100 {
        log.write(100).unwrap();
    }
    let since = |lines| ReadOptions { since: Some(at(lines)), ..ReadOptions::default() };
    assert_eq!(log.read(since(9_900)).await, lines(9_800, 10_000));
    assert!(log.read(since(1_000)).await.starts_with("[windlass: "));
}

#[tokio::test]
async fn the_gap_has_no_time_and_is_of_its_stream() {
    let mut log = Log::new();
    log.output.push(Channel::Stderr, b"first\n", at(0)).unwrap();
    log.write(10_000).unwrap();
    let options = ReadOptions { timestamps: true, output: Some(Channel::Stderr), ..ReadOptions::default() };
    let text = "[windlass: 6 bytes (1 lines) of stderr are missing here: the log was over its limit]\n";
    assert_eq!(log.read(options).await, text);
    let options = ReadOptions { timestamps: true, output: Some(Channel::Stdout), ..ReadOptions::default() };
    let text = log.read(options).await;
    assert_eq!(text.lines().filter(|line| line.starts_with("[windlass: ")).count(), 1);
    assert!(text.lines().skip(1).all(|line| line.starts_with("2023-")), "{text}");
}

#[tokio::test]
async fn packed_segments_are_read_as_the_others() {
    let mut log = Log::new();
    log.write(300).unwrap();
    let plain = log.read(ReadOptions::default()).await;
    for number in [0, 1] {
        let segment = segments::plain(&log.path(), number);
        packer::pack(&segment, &segments::packed(&log.path(), number)).unwrap();
        std::fs::remove_file(segment).unwrap();
    }
    assert_eq!(log.read(ReadOptions::default()).await, plain);
    let options = ReadOptions { tail: Some(250), ..ReadOptions::default() };
    assert_eq!(log.read(options).await, lines(50, 300));
}

#[tokio::test]
async fn follower_reads_through_all_segments() {
    let mut log = Log::new();
    let (end, ended) = watch::channel(false);
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let mut stream = log::read(log.path(), options, ended);
    let (mut text, mut written) = (String::new(), 0);
    for _ in 0..100 {
        log.write(30).unwrap();
        written += 30;
        while text.len() < written * 10 {
            text += std::str::from_utf8(&next(&mut stream).await.unwrap()).unwrap();
        }
    }
    end.send(true).unwrap();
    assert_eq!(text + &collect(stream).await, lines(0, 3000));
}

#[tokio::test]
async fn follower_that_is_left_behind_is_told_what_it_missed() {
    let mut log = Log::new();
    log.write(10).unwrap();
    let (end, ended) = watch::channel(false);
    let mut stream = log::read(log.path(), ReadOptions { follow: true, ..ReadOptions::default() }, ended);
    assert_eq!(next(&mut stream).await.unwrap(), lines(0, 10));
    log.write(10_000).unwrap();
    end.send(true).unwrap();
    let text = collect(stream).await;
    let told = text.lines().position(|line| line.starts_with("[windlass: ")).unwrap() as u64;
    let missing = missing(text.lines().nth(usize::try_from(told).unwrap()).unwrap());
    let expected = lines(10, 10 + told) + &gap(missing) + &lines(10 + told + missing, 10_010);
    assert_eq!(text, expected);
}

#[tokio::test]
async fn full_disk_leaves_a_gap_where_it_was() {
    let mut log = Log::new();
    symlink("/dev/full", log.path()).unwrap();
    assert_eq!(log.write(30).unwrap_err().kind(), ErrorKind::StorageFull);
    log.output.push(Channel::Stderr, b"wrong\n", at(30)).unwrap_err();
    std::fs::remove_file(log.path()).unwrap();
    log.write(10).unwrap();
    let full = "the log could not be written: No space left on device (os error 28)]\n";
    let expected = format!(
        "[windlass: 300 bytes (30 lines) of stdout are missing here: {full}\
         [windlass: 6 bytes (1 lines) of stderr are missing here: {full}{}",
        lines(30, 40)
    );
    assert_eq!(log.read(ReadOptions::default()).await, expected);
    // What was lost is counted as what came.
    log.write(10_000).unwrap();
    let text = log.read(ReadOptions::default()).await;
    let kept = text.lines().filter(|line| !line.starts_with('[')).count() as u64;
    assert_eq!(missing(&text) + kept, 10_040);
}

#[tokio::test]
async fn segment_that_began_on_a_full_disk_still_tells_what_went_before_it() {
    let mut log = Log::new();
    log.write(1000).unwrap();
    let last = segments::list(&log.path()).unwrap().last().copied().unwrap();
    let next = segments::plain(&log.path(), last + 1);
    symlink("/dev/full", &next).unwrap();
    while log.write(1).is_ok() {}
    let before = log.lines - 1;
    std::fs::remove_file(&next).unwrap();
    log.write(10).unwrap();
    // As if its limit had taken them away.
    (0..=last).for_each(|number| _ = std::fs::remove_file(segments::plain(&log.path(), number)));
    let full = "the log could not be written: No space left on device (os error 28)]\n";
    let expected = format!(
        "{}[windlass: 10 bytes (1 lines) of stdout are missing here: {full}{}",
        gap(before),
        lines(before + 1, before + 11)
    );
    assert_eq!(log.read(ReadOptions::default()).await, expected);
}

#[tokio::test]
async fn full_disk_that_stays_full_loses_the_log_and_nothing_else() {
    let mut log = Log::new();
    symlink("/dev/full", log.path()).unwrap();
    for _ in 0..3 {
        log.write(1000).unwrap_err();
    }
    assert_eq!(log.output.close(at(0)), 0);
}
