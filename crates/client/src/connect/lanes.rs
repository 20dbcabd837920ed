//! Requests on as few connections as the server allows: a full connection is left alone, the next one is opened.
//!
//! An HTTP/2 connection carries a limited number of requests at a time, and hyper makes the next one wait for its
//! turn; behind a hundred watches and logs, which last, it would wait for ever. A request that upgrades (attach,
//! exec, port-forward) needs HTTP/1.1 and a connection of its own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy;
use kube::client::Body;
use tower::{BoxError, Service};

use super::road::{Protocols, Road};
use crate::limits;

type Connections = legacy::Client<Road, Body>;

/// The lanes to one server.
#[derive(Clone)]
pub(super) struct Lanes {
    road: Road,
    lanes: Arc<Mutex<Vec<Lane>>>,
    /// For requests that upgrade.
    upgrades: Connections,
}

/// Connections that are shared until they are full. The count of the clones of `busy` is that of open requests.
struct Lane {
    connections: Connections,
    busy: Arc<()>,
}

impl Lanes {
    pub(super) fn new(road: &Road) -> Self {
        let upgrades = road.with(Protocols::Http1).connections();
        Lanes { road: road.with(Protocols::Both), lanes: Arc::default(), upgrades }
    }

    /// The connections for the next request, and the sign that it is under way.
    fn choose(&self) -> (Connections, Arc<()>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let free = lanes.iter().find(|lane| Arc::strong_count(&lane.busy) <= limits::LANE);
        if let Some(lane) = free {
            return (lane.connections.clone(), lane.busy.clone());
        }
        let lane = Lane { connections: self.road.connections(), busy: Arc::default() };
        let chosen = (lane.connections.clone(), lane.busy.clone());
        lanes.push(lane);
        chosen
    }
}

impl Service<Request<Body>> for Lanes {
    type Response = Response<Busy>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let upgrades = request.headers().contains_key(header::UPGRADE);
        let (connections, busy) =
            if upgrades { (self.upgrades.clone(), Arc::default()) } else { self.choose() };
        let answer = connections.request(request);
        async move {
            Ok(answer.await?.map(|body| Busy { body: body.map_err(Into::into).boxed_unsync(), _busy: busy }))
        }
        .boxed()
    }
}

/// An answer's body, which keeps its place in its lane until it was read or dropped.
pub(super) struct Busy {
    body: UnsyncBoxBody<Bytes, BoxError>,
    _busy: Arc<()>,
}

impl HttpBody for Busy {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
