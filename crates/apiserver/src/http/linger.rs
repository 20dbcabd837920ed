//! A TLS stream that can be left without destroying what was said last: a socket that is closed over what has not been
//! read is reset, and its client may lose the answer that is on the way to it. Go's rule (net/http server.go,
//! `closeWriteAndWait`), but for that what comes meanwhile is taken, so that a client that sends all before it reads
//! comes to the answer.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

/// Bytes that are taken meanwhile: a body as large as one may be, with what TLS adds to it.
const TAKEN: usize = 4 << 20;
/// Bytes that are taken at a time.
const CHUNK: usize = 8 << 10;

/// Says that the other end of a connection is to be left time to read. A cheap handle.
#[derive(Clone, Default)]
pub(super) struct Farewell(Arc<AtomicBool>);

impl Farewell {
    /// The connection ends after what is being said.
    pub(super) fn is_wanted(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream that ends with a farewell if one is wanted.
pub(super) struct Lingering<S> {
    stream: TlsStream<S>,
    farewell: Farewell,
    /// How long the client has to read the last answer.
    patience: Duration,
    /// Running once the own side is closed.
    time: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: TlsStream<S>, farewell: Farewell, patience: Duration) -> Lingering<S> {
        Lingering { stream, farewell, patience, time: None, taken: 0 }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lingering<S> {
    /// Ready when the client has ended its side too. What it sends is not even deciphered.
    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; CHUNK];
        while self.taken < TAKEN {
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut *self.stream.get_mut().0).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            if read.is_err() || count == 0 {
                return Poll::Ready(());
            }
            self.taken += count;
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.time.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !self.farewell.0.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.time = Some(Box::pin(sleep(self.patience)));
        }
        if self.poll_taken(cx).is_pending()
            && let Some(time) = &mut self.time
        {
            ready!(time.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}
