//! A clock that can be set forward, for tests of what takes long: [`Movable`] is the world's, [`Hand`] is asked through
//! the API, and the tick turns it ([`Turning`]), from one thing that is due to the next, so that all happens in its order
//! and at its time. What runs on the host knows nothing of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use windlass_apiserver::clock::ClockSource;
use windlass_apiserver::error::ApiError;
use windlass_apiserver::world::World;
use windlass_store::Key;

use crate::home::Home;
use crate::leap::Steps;
use crate::world::rfc3339;

/// Requests that wait until another one's time has come.
const WAITING: usize = 16;

/// The machine's clock, and how far this one is ahead of it.
pub(crate) struct Movable {
    inner: Arc<dyn World>,
    ahead: Mutex<SignedDuration>,
    /// Where the next engine of this home finds it: a clock never goes back.
    place: PathBuf,
}

/// A time to which the clock is to be taken, and who waits for it.
struct Move {
    to: Timestamp,
    done: oneshot::Sender<Result<(), ApiError>>,
    steps: Steps,
}

/// What the API asks.
pub(crate) struct Hand {
    clock: Arc<Movable>,
    moves: mpsc::Sender<Move>,
}

/// What the tick turns.
pub(crate) struct Turning {
    clock: Arc<Movable>,
    moves: mpsc::Receiver<Move>,
    current: Option<Move>,
}

impl Movable {
    /// The clock of a home, where its last engine has left it.
    pub(crate) fn of(home: &Home, inner: Arc<dyn World>) -> Movable {
        let place = home.clock();
        let text = std::fs::read_to_string(&place).unwrap_or_default();
        let ahead = text.trim().parse().map_or(SignedDuration::ZERO, SignedDuration::from_millis);
        Movable { inner, ahead: Mutex::new(ahead), place }
    }

    pub(crate) fn ahead(&self) -> SignedDuration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets it forward to a time; one that is past changes nothing. It is noted first: the next engine on this home finds
    /// no earlier time than anybody was told.
    fn set(&self, to: Timestamp) {
        let ahead = to.duration_since(self.inner.now());
        let mut known = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead <= *known {
            return;
        }
        let draft = self.place.with_extension("new");
        let text = ahead.as_millis().saturating_add(1).to_string();
        let noted = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &self.place));
        if let Err(cause) = noted {
            tracing::warn!(%cause, "the next engine on this home will not know that its clock was set forward");
        }
        *known = ahead;
    }
}

impl World for Movable {
    fn now(&self) -> Timestamp {
        // Saturates at the end of time.
        self.inner.now().checked_add(self.ahead()).unwrap_or(Timestamp::MAX)
    }

    fn random(&self, buffer: &mut [u8]) {
        self.inner.random(buffer);
    }

    // Who waits at the other end of a connection has a clock that nobody sets forward.
    fn waited(&self, span: Duration) -> BoxFuture<'static, ()> {
        self.inner.waited(span)
    }
}

/// Both sides of asking for a move.
pub(crate) fn hands(clock: &Arc<Movable>) -> (Hand, Turning) {
    let (moves, asked) = mpsc::channel(WAITING);
    let hand = Hand { clock: Arc::clone(clock), moves };
    (hand, Turning { clock: Arc::clone(clock), moves: asked, current: None })
}

impl ClockSource for Hand {
    fn ahead(&self) -> SignedDuration {
        self.clock.ahead()
    }

    fn advance(&self, to: Timestamp) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            let (done, told) = oneshot::channel();
            let stopping = || ApiError::new(503, "ServiceUnavailable", "the engine is stopping");
            self.moves.send(Move { to, done, steps: Steps::default() }).await.map_err(|_| stopping())?;
            told.await.map_err(|_| stopping())?
        })
    }
}

impl Turning {
    /// Resolves when somebody asks for a move; never where no clock can be moved.
    pub(crate) async fn asked(turning: &mut Option<Turning>) {
        let Some(Turning { moves, current, .. }) = turning else { return std::future::pending().await };
        match moves.recv().await {
            Some(asked) => *current = Some(asked),
            None => std::future::pending().await,
        }
    }

    /// Whether the clock is to be moved: somebody has asked, and still waits.
    pub(crate) fn is_wanted(&mut self) -> bool {
        while self.current.as_ref().is_none_or(|asked| asked.done.is_closed()) {
            self.current = self.moves.try_recv().ok();
            if self.current.is_none() {
                return false;
            }
        }
        true
    }

    /// One round of the tick, about these objects. A move that does not come to its end is given up where the clock is.
    pub(crate) fn round<'a>(&mut self, about: impl Iterator<Item = &'a Key>) {
        if !self.is_wanted() {
            return;
        }
        let (ahead, now) = (self.clock.ahead(), self.clock.now());
        let Some(Move { to, steps, .. }) = &mut self.current else { return };
        if let Some(told) = steps.round(ahead, about) {
            let (now, to) = (rfc3339(now), rfc3339(*to));
            let message = format!(
                "the clock has come to {now} and not to {to}: {told}; delete or suspend what goes on and on, and set \
                 the clock forward again"
            );
            tracing::warn!("{message}");
            if let Some(Move { done, .. }) = self.current.take() {
                // Whoever asked may have gone.
                let _ = done.send(Err(ApiError::new(409, "Conflict", message)));
            }
        }
    }

    /// Takes the clock to what is due next, or as far as was asked for, and says when it is there. To be called when
    /// nothing is left to do at the present time.
    pub(crate) fn turn(&mut self, next: Option<Timestamp>) {
        let Turning { clock, current, .. } = self;
        let Some(Move { to, .. }) = current else { return };
        let (to, now) = (*to, clock.now());
        if now < to {
            clock.set(next.filter(|next| *next <= to).unwrap_or(to));
        } else if next.is_none_or(|next| next > now)
            && let Some(Move { done, .. }) = current.take()
        {
            // Whoever asked may have gone.
            let _ = done.send(Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still;

    impl World for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(1000).unwrap()
        }
        fn random(&self, _: &mut [u8]) {}
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn clock_goes_from_one_due_time_to_the_next_and_then_where_it_was_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Movable::of(&Home::at(folder.path()), Arc::new(Still)));
        let (hand, mut turning) = hands(&clock);
        assert!(!turning.is_wanted(), "nobody has asked");
        let asked = tokio::spawn(async move { hand.advance(at(1100)).await.is_ok() });
        let mut held = Some(turning);
        Turning::asked(&mut held).await;
        let mut turning = held.unwrap();
        assert!(turning.is_wanted());
        turning.turn(Some(at(1010)));
        assert_eq!(clock.now(), at(1010));
        turning.turn(Some(at(1200)));
        assert_eq!(clock.now(), at(1100), "what is due later stays so");
        turning.turn(Some(at(1100)));
        assert!(turning.is_wanted(), "what is due now comes first");
        turning.turn(Some(at(1200)));
        assert!(asked.await.unwrap());
        assert!(!turning.is_wanted());
        clock.set(at(5));
        assert_eq!(clock.now(), at(1100), "it never goes back");
        let next = Movable::of(&Home::at(folder.path()), Arc::new(Still));
        assert_eq!(next.now().as_second(), 1100, "nor under the next engine");
        std::fs::write(Home::at(folder.path()).clock(), "99999999999999999999999").unwrap();
        assert_eq!(
            Movable::of(&Home::at(folder.path()), Arc::new(Still)).now(),
            at(1000),
            "damaged: the machine's"
        );
    }

    #[tokio::test]
    async fn clock_that_finds_no_rest_says_why_and_may_be_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Movable::of(&Home::at(folder.path()), Arc::new(Still)));
        let (hand, turning) = hands(&clock);
        let asked = tokio::spawn(async move {
            let first = hand.advance(at(9000)).await;
            (first, hand.advance(at(9000)).await)
        });
        let mut held = Some(turning);
        Turning::asked(&mut held).await;
        let turning = held.as_mut().unwrap();
        turning.turn(Some(at(1010)));
        let job: Key = "/jobs.batch/default/again".into();
        while turning.is_wanted() {
            turning.round([&job].into_iter());
            turning.turn(Some(at(1010)));
        }
        assert_eq!(clock.now(), at(1010));
        Turning::asked(&mut held).await;
        let turning = held.as_mut().unwrap();
        turning.turn(None);
        turning.turn(None);
        let (first, second) = asked.await.unwrap();
        let told = first.unwrap_err();
        assert_eq!(told.code, 409);
        assert!(
            told.message.starts_with("the clock has come to 1970-01-01T00:16:50Z and not to"),
            "{told:?}"
        );
        assert!(told.message.contains("last for jobs.batch/default/again; delete or suspend"), "{told:?}");
        assert_eq!((second, clock.now()), (Ok(()), at(9000)));
    }

    #[tokio::test]
    async fn clock_stays_where_it_is_when_who_asked_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Movable::of(&Home::at(folder.path()), Arc::new(Still)));
        let (hand, turning) = hands(&clock);
        let asked = tokio::spawn(async move { hand.advance(at(9000)).await.is_ok() });
        let mut held = Some(turning);
        Turning::asked(&mut held).await;
        let mut turning = held.unwrap();
        turning.turn(Some(at(1010)));
        asked.abort();
        assert!(asked.await.is_err());
        assert!(!turning.is_wanted());
        assert_eq!(clock.now(), at(1010));
        let next = Movable::of(&Home::at(folder.path()), Arc::new(Still));
        assert_eq!(next.now().as_second(), 1010, "the next engine goes on from there");
    }
}
