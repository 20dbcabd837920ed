//! Bad luck by plan: what becomes of each request is drawn before it is carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::watch;

use crate::chance::Chance;
use crate::model::answer;
use crate::support::status;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// The bad luck of a server.
#[derive(Clone)]
pub(crate) struct Trouble {
    pub(crate) chance: Chance,
    /// How often in a row each asker had bad luck: nothing fails for ever.
    rows: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Counts restarts; odd while the server is away.
    pub(crate) life: Arc<watch::Sender<u64>>,
    /// Bad luck in a hundred requests.
    pub(crate) percent: Arc<Mutex<u64>>,
}

/// What becomes of one request.
#[derive(Clone, Default)]
pub(crate) struct Fate {
    kind: Kind,
    code: u16,
    /// A revision or a page token is too old.
    pub(crate) expires: bool,
    /// It is said inside the stream.
    pub(crate) in_stream: bool,
    /// Each event comes twice.
    pub(crate) repeats: bool,
    /// After so many bytes the answer is cut off, or goes on in silence.
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Good,
    /// Not carried out.
    Refused,
    /// Carried out, and the answer lost.
    Lost,
    /// Carried out, and answered with a server's failure.
    Failed,
    /// Carried out, and never answered.
    Silent,
    /// Cut off in the middle.
    Cut,
    /// Silent from the middle on.
    Mute,
}

impl Trouble {
    pub(crate) fn new(chance: &Chance) -> Self {
        let life = Arc::new(watch::channel(0).0);
        Trouble { chance: chance.clone(), rows: Arc::default(), life, percent: Arc::default() }
    }

    /// Draws what becomes of a request.
    pub(crate) fn fate(&self, asker: &str) -> Fate {
        let chance = &self.chance;
        let mut fate = Fate { repeats: chance.percent(20), ..Fate::default() };
        if *self.life.borrow() % 2 == 1 {
            fate.kind = Kind::Refused;
            return fate;
        }
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry(asker.to_owned()).or_default();
        if !chance.percent(*self.percent.lock().unwrap()) || *row >= 2 {
            *row = 0;
            return fate;
        }
        *row += 1;
        fate.bytes = usize::try_from(chance.below(900)).unwrap();
        fate.code = [429, 500, 502, 503, 504][usize::try_from(chance.below(5)).unwrap()];
        fate.in_stream = chance.percent(50);
        // A request has patience for one answer that never comes.
        let kinds =
            [Kind::Refused, Kind::Lost, Kind::Failed, Kind::Cut, Kind::Mute, Kind::Good, Kind::Silent];
        let most = if *row > 1 { 4 } else { 7 };
        fate.kind = kinds[usize::try_from(chance.below(most)).unwrap()];
        fate.expires = fate.kind == Kind::Good;
        fate
    }
}

impl Fate {
    /// The answer to a request that is not carried out.
    pub(crate) fn before(&self) -> Option<Result<Answer, std::io::Error>> {
        match (self.kind, self.code) {
            (Kind::Refused, 429) => Some(Ok(self.refusal(429, Some("2")))),
            (Kind::Refused, _) => Some(Err(std::io::Error::other("connection refused"))),
            _ => None,
        }
    }

    /// What becomes of the answer to a request that was carried out.
    pub(crate) async fn after(&self, answer: Answer, trouble: &Trouble) -> Result<Answer, std::io::Error> {
        match self.kind {
            Kind::Lost => Err(std::io::Error::other("connection reset")),
            Kind::Failed => Ok(self.refusal(if self.code == 429 { 500 } else { self.code }, None)),
            Kind::Silent => {
                reset(trouble).await;
                Err(std::io::Error::other("connection reset"))
            }
            _ => Ok(answer),
        }
    }

    fn refusal(&self, code: u16, retry_after: Option<&str>) -> Answer {
        let text = status(code, "Trouble", "etcdserver: leader changed").to_string();
        let mut refusal = answer(code, stream::iter([Ok(Bytes::from(text))]));
        if let Some(seconds) = retry_after {
            refusal.headers_mut().insert("Retry-After", seconds.parse().unwrap());
        }
        refusal
    }

    /// A plain body.
    pub(crate) fn body(&self, code: u16, text: String) -> Answer {
        let bytes = Bytes::from(text);
        match self.kind {
            Kind::Cut => {
                let cut = bytes.slice(..self.bytes.min(bytes.len().saturating_sub(1)));
                answer(code, stream::iter([Ok(cut), Err(std::io::Error::other("connection reset"))]))
            }
            Kind::Mute => {
                answer(code, stream::iter([Ok(bytes.slice(..bytes.len() / 2))]).chain(stream::pending()))
            }
            _ => answer(code, stream::iter([Ok(bytes)])),
        }
    }

    /// A body that goes on.
    pub(crate) fn stream(
        &self,
        first: Vec<Bytes>,
        rest: BoxStream<'static, Bytes>,
        trouble: &Trouble,
    ) -> Answer {
        let parts = stream::iter(first).chain(rest);
        match self.kind {
            Kind::Cut => {
                let end = stream::iter([Err(std::io::Error::other("connection reset"))]);
                answer(200, until_reset(cut(parts, self.bytes).map(Ok).chain(end).boxed(), trouble))
            }
            Kind::Mute => {
                let mute = cut(parts, self.bytes).map(Ok).chain(stream::pending());
                answer(200, until_reset(mute.boxed(), trouble))
            }
            _ => answer(200, until_reset(parts.map(Ok).boxed(), trouble)),
        }
    }
}

/// The first bytes of a stream.
fn cut(parts: impl Stream<Item = Bytes> + Send + 'static, bytes: usize) -> impl Stream<Item = Bytes> + Send {
    parts.scan(bytes, |left, part| {
        let part = if *left == 0 { None } else { Some(part.slice(..part.len().min(*left))) };
        *left = left.saturating_sub(part.as_ref().map_or(0, Bytes::len));
        std::future::ready(part)
    })
}

/// A stream that breaks when the server restarts.
fn until_reset(
    parts: BoxStream<'static, Result<Bytes, std::io::Error>>,
    trouble: &Trouble,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + use<> {
    let trouble = trouble.clone();
    stream::unfold(Some((parts, trouble)), |state| async move {
        let (mut parts, trouble) = state?;
        tokio::select! {
            part = parts.next() => Some((part?, Some((parts, trouble)))),
            () = reset(&trouble) => Some((Err(std::io::Error::other("connection reset")), None)),
        }
    })
}

/// Comes back when the server goes away.
async fn reset(trouble: &Trouble) {
    let mut life = trouble.life.subscribe();
    life.wait_for(|life| life % 2 == 1).await.ok();
}
