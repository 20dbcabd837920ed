//! Reading the logs that the shim writes (CRI line format, in segments): from the first byte that is kept to the run's
//! end, as it grows. It knows no pod and no HTTP; that a run has ended it is told.

pub(crate) mod entry;
mod keep;
mod last;
pub(crate) mod render;
pub(crate) mod segments;
pub(crate) mod stamps;
mod tail;
mod watch;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch as signal};

use self::entry::Cutter;
use self::render::Render;
use self::segments::Segment;

pub use self::keep::{base, files, shed};
pub use self::last::last;
pub use self::tail::Place;

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

impl Output {
    /// As a log names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Output::Stdout => "stdout",
            Output::Stderr => "stderr",
        }
    }
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

/// Where a log ends now; of one that is not there yet this is its begin.
///
/// # Errors
/// It cannot be read.
pub fn end(path: &Path) -> io::Result<Place> {
    tail::end(path)
}

/// Reads a log. The bytes are the program's own, unless times are asked for; what is not kept any more is told in a line
/// of its own (`log/render.rs`). A log that is not there is empty; one
/// that is followed may come later. `ended` becomes true when the run is over and its log complete; a dropped sender
/// means the same. Must be called within a tokio runtime.
pub fn read(
    path: PathBuf,
    options: ReadOptions,
    ended: signal::Receiver<bool>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    let (give, take) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let render = Render::new(&options, true);
        let mut reader = Reader { path, cutter: Cutter::default(), render, options, ended, give };
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
    cutter: Cutter,
    render: Render,
    ended: signal::Receiver<bool>,
    give: mpsc::Sender<io::Result<Bytes>>,
}

impl Reader {
    async fn run(&mut self) -> Result<(), Stop> {
        let Some(mut place) = self.begin().await? else { return Ok(()) };
        loop {
            match self.open(place.segment).await? {
                Some(segment) => {
                    if !self.read_segment(segment, place).await? {
                        return Ok(());
                    }
                }
                // Gone again: it was over the limit. The next one says how much that was.
                None => self.render.jump(),
            }
            let Some(next) = segments::next(&self.path, place.segment)? else { return Ok(()) };
            if next > place.segment + 1 {
                self.render.jump();
            }
            place = Place { segment: next, ..Place::default() };
        }
    }

    /// Where to begin, when there is something; `None` if the run ended without a log.
    async fn begin(&mut self) -> Result<Option<Place>, Stop> {
        loop {
            let is_over = self.is_over() || !self.options.follow;
            if let Some(place) = self.first().await? {
                return Ok(Some(place));
            }
            if is_over {
                return Ok(None);
            }
            let ancestor = nearest(&self.path);
            let mut growth = watch::growth(ancestor)?;
            growth.seen();
            // It may have come between the look and the watch.
            if ancestor != self.path && nearest(&self.path) == ancestor && self.first().await?.is_none() {
                self.wait(&mut growth).await?;
            }
        }
    }

    async fn first(&mut self) -> Result<Option<Place>, Stop> {
        if let Some(lines) = self.options.tail {
            let (path, output) = (self.path.clone(), self.options.output);
            let place = blocking(move || tail::begin(&path, lines, output)).await?;
            if let Some(place) = place {
                self.render = Render::new(&self.options, place.is_begin);
            }
            return Ok(place);
        }
        if let Some(place) = self.options.after {
            let is_there = self.path.exists() || !segments::list(&self.path)?.is_empty();
            self.render = Render::new(&self.options, place.is_begin);
            return Ok(is_there.then_some(place));
        }
        let first = if self.path.exists() { Some(0) } else { segments::list(&self.path)?.first().copied() };
        Ok(first.map(|segment| Place { segment, ..Place::default() }))
    }

    async fn open(&self, number: u64) -> Result<Option<Arc<Segment>>, Stop> {
        let path = self.path.clone();
        Ok(blocking(move || segments::open(&path, number)).await?.map(Arc::new))
    }

    /// Reads a segment until it is closed, or the run has ended. `true`: it is closed, and others may follow.
    async fn read_segment(&mut self, segment: Arc<Segment>, from: Place) -> Result<bool, Stop> {
        let mut place = from.offset;
        let mut growth = match self.options.follow && !segment.is_closed() {
            true => Some(watch::growth(&segments::plain(&self.path, from.segment))?),
            false => None,
        };
        let is_closed = loop {
            // All are looked at before reading: what comes later wakes.
            if let Some(growth) = &mut growth {
                growth.seen();
            }
            let (is_closed, is_over) = (segment.is_closed(), self.is_over());
            self.read_to_end(&segment, &mut place).await?;
            let Some(growth) = growth.as_mut().filter(|_| !is_closed && !is_over) else { break is_closed };
            // The begin of an entry is read again: a writer that could not finish it takes it back.
            place -= self.cutter.put_back() as u64;
            self.wait(growth).await?;
        };
        let mut rest = Vec::new();
        self.cutter.finish(|entry| self.render.put(&entry, &mut rest));
        self.give(rest).await?;
        Ok(is_closed)
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

    async fn read_to_end(&mut self, segment: &Arc<Segment>, place: &mut u64) -> Result<(), Stop> {
        loop {
            let (reading, from) = (Arc::clone(segment), *place);
            let chunk = blocking(move || {
                let mut chunk = vec![0; CHUNK];
                let count = reading.read_at(&mut chunk, from)?;
                chunk.truncate(count);
                Ok(chunk)
            });
            let chunk = chunk.await?;
            if chunk.is_empty() {
                return Ok(());
            }
            *place += chunk.len() as u64;
            let mut text = Vec::with_capacity(chunk.len());
            self.cutter.take(&chunk, |entry| self.render.put(&entry, &mut text))?;
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

/// Files are read beside the tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Stop> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}

/// The nearest directory above (or the file itself) that exists.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}
