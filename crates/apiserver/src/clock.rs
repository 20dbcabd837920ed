//! A clock that can be set forward: what the engine implements for whoever tests what takes long.

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::error::ApiError;

/// The server's clock, if it can be moved.
pub trait ClockSource: Send + Sync {
    /// How far it is ahead of the machine's.
    fn ahead(&self) -> SignedDuration;
    /// Takes it to a time, through all that is due until then, in order. Resolves when that is done; dropped before, it
    /// stays where it has come to.
    fn advance(&self, to: Timestamp) -> BoxFuture<'_, Result<(), ApiError>>;
}
