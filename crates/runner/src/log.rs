//! Reading the logs that the shim writes (CRI line format): from the first byte to the run's end, as the file grows.
//! It knows no pod and no HTTP; that a run has ended it is told.

pub(crate) mod entry;
mod tail;
mod watch;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{mpsc, watch as signal};

use self::entry::Entries;

/// How much is read at a time.
const CHUNK: usize = 64 << 10;
/// How many chunks wait for the reader.
const WAITING: usize = 4;

/// One of a process's two outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// stdout.
    Stdout,
    /// stderr.
    Stderr,
}

/// What of a log is wanted; as `PodLogOptions` has it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ReadOptions {
    /// Only this output.
    pub output: Option<Output>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Only so many of the last lines, counted when reading begins.
    pub tail: Option<u64>,
    /// Only what is written beyond this place.
    pub after: Option<Place>,
    /// No more than so many bytes.
    pub limit_bytes: Option<u64>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Goes on until the run has ended.
    pub follow: bool,
}

/// A place in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u64);

/// Where a log ends now; of one that is not there yet this is its begin.
#[must_use]
pub fn end(path: &Path) -> Place {
    Place(path.metadata().map_or(0, |meta| meta.len()))
}

/// Reads a log. The bytes are the program's own, unless times are asked for. A log that is not there is empty; one
/// that is followed may come later. `ended` becomes true when the run is over and its log complete; a dropped sender
/// means the same. Must be called within a tokio runtime.
pub fn read(
    path: PathBuf,
    options: ReadOptions,
    ended: signal::Receiver<bool>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    let (give, take) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut reader = Reader { path, entries: Entries::new(&options), options, ended, give };
        if let Err(Stop::Fault(error)) = reader.run().await {
            // A receiver that is gone wants no error either.
            let _ = reader.give.send(Err(error)).await;
        }
    });
    Chunks(take)
}

struct Chunks(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Why reading stops before the log's end.
enum Stop {
    /// Nobody reads, or as much was given as was asked for.
    Enough,
    Fault(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Fault(error)
    }
}

struct Reader {
    path: PathBuf,
    options: ReadOptions,
    entries: Entries,
    ended: signal::Receiver<bool>,
    give: mpsc::Sender<io::Result<Bytes>>,
}

impl Reader {
    async fn run(&mut self) -> Result<(), Stop> {
        let Some(mut file) = self.open().await? else { return Ok(()) };
        if let Some(lines) = self.options.tail {
            let (path, output) = (self.path.clone(), self.options.output);
            let begin = tokio::task::spawn_blocking(move || tail::begin(&path, lines, output));
            let begin = begin.await.map_err(io::Error::other)??;
            file.seek(io::SeekFrom::Start(begin)).await?;
        }
        if let Some(Place(place)) = self.options.after {
            let path = self.path.clone();
            let begin = tokio::task::spawn_blocking(move || tail::entry(&path, place));
            file.seek(io::SeekFrom::Start(begin.await.map_err(io::Error::other)??)).await?;
        }
        if self.options.follow {
            self.follow(&mut file).await?;
        } else {
            self.read_to_end(&mut file).await?;
        }
        let rest = self.entries.finish();
        self.give(rest).await
    }

    async fn follow(&mut self, file: &mut File) -> Result<(), Stop> {
        let mut growth = watch::growth(&self.path)?;
        loop {
            // Both are looked at before reading: what comes later wakes.
            growth.seen();
            let is_over = self.is_over();
            self.read_to_end(file).await?;
            if is_over {
                return Ok(());
            }
            self.wait(&mut growth).await?;
        }
    }

    /// The file, when it is there; `None` if the run ended without one.
    async fn open(&mut self) -> Result<Option<File>, Stop> {
        loop {
            let is_over = self.is_over() || !self.options.follow;
            match File::open(&self.path).await {
                Ok(file) => return Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_over => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            let ancestor = nearest(&self.path);
            let mut growth = watch::growth(ancestor)?;
            growth.seen();
            // It may have come between the look and the watch.
            if ancestor != self.path && nearest(&self.path) == ancestor {
                self.wait(&mut growth).await?;
            }
        }
    }

    fn is_over(&self) -> bool {
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }

    async fn wait(&mut self, growth: &mut watch::Growth) -> Result<(), Stop> {
        tokio::select! {
            () = growth.changed() => Ok(()),
            // An error means that nobody can say more: looked at in the next round.
            _ = self.ended.changed() => Ok(()),
            () = self.give.closed() => Err(Stop::Enough),
        }
    }

    async fn read_to_end(&mut self, file: &mut File) -> Result<(), Stop> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = file.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            let text = self.entries.take(&chunk[..count])?;
            self.give(text).await?;
        }
    }

    async fn give(&mut self, mut text: Vec<u8>) -> Result<(), Stop> {
        if let Some(left) = &mut self.options.limit_bytes {
            text.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= text.len() as u64;
        }
        if !text.is_empty() {
            self.give.send(Ok(Bytes::from(text))).await.map_err(|_| Stop::Enough)?;
        }
        if self.options.limit_bytes == Some(0) { Err(Stop::Enough) } else { Ok(()) }
    }
}

/// The nearest directory above (or the file itself) that exists.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}
