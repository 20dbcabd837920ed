//! The clock of a cluster for tests: one whose server can be set forward says so at a path of its own.

use http::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::transport::Fault;
use crate::{Error, JobManager, Result};

/// Where such a server has its clock.
const PATH: &str = "/windlass/clock";

/// What a clock shows.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterClock {
    /// The server's time, RFC 3339.
    pub now: String,
    /// How far it is ahead of the machine's, seconds.
    pub ahead_seconds: i64,
    /// Whether it can be set forward.
    pub can_move: bool,
}

/// How far a clock is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClockMove {
    /// By a span as the server reads it: `90s`, `1h30m`, `2d`.
    By(String),
    /// To a time, RFC 3339.
    To(String),
}

impl JobManager {
    /// The cluster's clock.
    ///
    /// # Errors
    /// [`Error::NoClock`] where there is none of this kind, and what every call may answer.
    pub async fn clock(&self) -> Result<ClusterClock> {
        self.ask_clock(Method::GET, None).await
    }

    /// Sets the cluster's clock forward, through all that is due until then. It takes as long as that takes.
    ///
    /// # Errors
    /// [`Error::NoClock`] where there is none that can be moved, [`Error::ClockRefused`] for a span or time that is none,
    /// and what every call may answer.
    pub async fn set_clock(&self, to: &ClockMove) -> Result<ClusterClock> {
        let body = match to {
            ClockMove::By(span) => json!({"advance": span}),
            ClockMove::To(time) => json!({"to": time}),
        };
        self.ask_clock(Method::POST, Some(body)).await
    }

    async fn ask_clock(&self, method: Method, body: Option<Value>) -> Result<ClusterClock> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let is_read = method == Method::GET;
        let request = Request::builder().method(method).uri(PATH).header("content-type", "application/json");
        let request = request.body(bytes).map_err(|fault| self.error("", Fault::silent(fault)))?;
        let answer = async { self.client().request(request).await.map_err(|error| Fault::of_client(&error)) };
        // A long way takes long: it is not in the time of other requests, what only asks is.
        let answer = if is_read { self.timed(answer).await } else { answer.await };
        answer.map_err(|fault| match fault.code {
            404 | 405 => Error::NoClock { context: self.context.clone() },
            400 => Error::ClockRefused { message: fault.message },
            _ => self.error("", fault),
        })
    }
}
