//! A stream whose other end may be slow, but not for ever: who takes none of what it asked for is cut off.
//!
//! Reading is not its matter: a peer that has nothing to say may be silent (a watch), and HTTP bounds what it waits for.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream on which a write that makes no progress for some time fails.
pub(super) struct Patient<S> {
    inner: S,
    patience: Duration,
    /// Running while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Wraps a stream.
    pub(super) fn new(inner: S, patience: Duration) -> Patient<S> {
        Patient { inner, patience, stalled: None }
    }

    /// Lets a write's answer pass; one that has waited too long becomes an error.
    fn judge<T>(&mut self, cx: &mut Context<'_>, answer: Poll<Result<T>>) -> Poll<Result<T>> {
        if answer.is_ready() {
            self.stalled = None;
            return answer;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        stalled.as_mut().reset(Instant::now() + patience);
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read what it asked for")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let answer = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, answer)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let answer = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.judge(cx, answer)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let answer = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, answer)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let answer = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_cut_off_and_a_slow_one_is_not() {
        let patience = Duration::from_secs(60);
        let (near, mut far) = duplex(16);
        let mut near = Patient::new(near, patience);
        let began = Instant::now();
        let writing = async { near.write_all(&[0; 64]).await };
        let reading = async {
            for _ in 0..4 {
                sleep(Duration::from_secs(50)).await;
                far.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(writing, reading);
        written.expect("each part was taken in time");
        assert!(began.elapsed() >= patience);
        let cause = near.write_all(&[0; 64]).await.expect_err("nobody reads");
        assert_eq!(cause.kind(), ErrorKind::TimedOut);
    }
}
