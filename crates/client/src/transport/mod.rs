//! One request and its answer: the time limit, the next try, the server's warnings, and what its refusal means.
//!
//! kube's own `Api` neither asks for strict validation on create nor hands out warnings, and does not know the
//! log's `stream`; a request is small enough to be written out.

mod call;
mod fault;
mod warnings;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::{self, Either};
use http::{HeaderMap, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;

pub(crate) use call::{Call, segment};
pub(crate) use fault::Fault;

/// What the fuzz targets ask of answers.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::fault::Fault;
    pub(crate) use super::warnings::warnings;
}

use crate::door::Way;
use crate::patience::Patience;
use crate::{JobManager, limits};

/// An answer in full.
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) warnings: Vec<String>,
}

impl JobManager {
    /// Sends a request and reads its answer as JSON; sends it again as [`limits`] says.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<Answer<T>, Fault> {
        let (headers, body) = self.ask_bytes(&call).await?;
        let value = serde_json::from_slice(&body)
            .map_err(|error| Fault::silent(format!("the answer cannot be read: {error}")))?;
        Ok(Answer { value, warnings: warnings::warnings(&headers) })
    }

    /// Sends a request and reads its answer in full; sends it again as [`limits`] says.
    pub(crate) async fn ask_bytes(&self, call: &Call) -> Result<(HeaderMap, Bytes), Fault> {
        let mut patience = Patience::new(limits::REQUEST_BUDGET);
        let (mut perhaps_done, mut internal_errors) = (false, 0);
        loop {
            let fault = match self.ask_once(call).await {
                Ok(answer) => {
                    self.memo.set_answered();
                    return Ok(answer);
                }
                Err(fault) => Fault { perhaps_done, ..fault },
            };
            internal_errors += u32::from(fault.code == 500);
            if matches!(fault.code, 429 | 503) {
                self.memo.was_busy();
            }
            if !self.may_repeat(call, &fault) || internal_errors > limits::INTERNAL_ERRORS {
                return Err(fault);
            }
            let Some(pause) = self.pause(&mut patience, &fault) else { return Err(fault) };
            tracing::debug!(code = fault.code, message = fault.message, ?pause, "asking again");
            self.world.sleep(pause).await;
            perhaps_done = fault.may_be_done();
        }
    }

    /// Whether the same request is worth another try.
    fn may_repeat(&self, call: &Call, fault: &Fault) -> bool {
        // What never answered is the wrong cluster, or is down: its user should know at once. A creation that was
        // sent is another matter: somebody must find out what became of it.
        let is_alive = fault.code != 0 || self.memo.has_answered() || !call.is_read() && !fault.was_refused();
        call.is_repeatable() && fault.may_pass() && is_alive
    }

    /// The pause before the next try, if there is a point in one.
    pub(crate) fn pause(&self, patience: &mut Patience, fault: &Fault) -> Option<Duration> {
        let mut chance = [0];
        self.world.random(&mut chance);
        patience.pause(self.world.instant(), fault, chance[0])
    }

    async fn ask_once(&self, call: &Call) -> Result<(HeaderMap, Bytes), Fault> {
        let (parts, body) = self.open(call).await?.into_parts();
        Ok((parts.headers, self.timed(whole(body)).await?))
    }

    /// Sends a request and gives its answer while it comes, if it is one of success. Sends it once more if its
    /// credentials were refused and could be renewed, or if the server of this machine has moved.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response<Body>, Fault> {
        let way = self.door.way();
        let fault = match self.timed(send(&way.client, call)).await {
            Err(fault) if fault.code == 401 || fault.was_refused() && way.is_loopback() => fault,
            other => return other,
        };
        match self.renewed(&way, fault).await {
            Ok(way) => self.timed(send(&way.client, call)).await,
            Err(fault) => Err(fault),
        }
    }

    /// Another way than the one on which this fault was met.
    async fn renewed(&self, way: &Way, fault: Fault) -> Result<Way, Fault> {
        let renewal = std::pin::pin!(self.door.renew(way, fault.code == 401));
        match future::select(renewal, self.world.sleep(limits::RENEWAL)).await {
            Either::Left((Ok(Some(way)), _)) => Ok(way),
            Either::Left((Err(error), _)) if fault.code == 401 => {
                Err(Fault { message: format!("{}; then {error}", fault.message), ..fault })
            }
            _ => Err(fault),
        }
    }

    /// The work's value, unless it takes longer than a request may.
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        match future::select(std::pin::pin!(work), self.world.sleep(limits::REQUEST)).await {
            Either::Left((value, _)) => value,
            Either::Right(_) => Err(Fault::timeout(limits::REQUEST)),
        }
    }

    /// The path of the jobs of a namespace.
    pub(crate) fn jobs_path(&self) -> String {
        format!("/apis/batch/v1/namespaces/{}/jobs", segment(&self.namespace))
    }

    /// The path of one job.
    pub(crate) fn job_path(&self, name: &str) -> String {
        format!("{}/{}", self.jobs_path(), segment(name))
    }

    /// The path of a collection of the core group.
    pub(crate) fn core_path(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", segment(&self.namespace))
    }
}

/// An answer in one piece. Its parts are copied when they come: kept until the last one, all would be there twice.
async fn whole(body: Body) -> Result<Bytes, Fault> {
    let announced = body.size_hint().lower().min(limits::ANNOUNCED) as usize;
    let (mut body, mut whole) = (Limited::new(body, limits::ANSWER), BytesMut::with_capacity(announced));
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(Fault::silent)?.into_data() {
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

async fn send(client: &Client, call: &Call) -> Result<Response<Body>, Fault> {
    let request = call.build().map_err(Fault::silent)?;
    let response = client.send(request).await.map_err(|error| Fault::of_client(&error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // Without its words it cannot be told what a refusal means: it is an answer that was lost.
    let body = Limited::new(body, limits::REFUSAL).collect().await.map_err(Fault::silent)?;
    Err(Fault::of_answer(parts.status.as_u16(), &parts.headers, &body.to_bytes()))
}
