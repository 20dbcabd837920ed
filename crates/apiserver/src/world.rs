//! The one place where time and randomness enter this crate.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;

/// Time and randomness, as the engine or a test gives them.
pub trait World: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Fills a buffer with random bytes.
    fn random(&self, buffer: &mut [u8]);
    /// Resolves when a client has waited for so long: the machine's time, however far [`World::now`] is ahead of it. A
    /// watch's end and its bookmarks are due by it, as the client at its other end counts by no other clock.
    fn waited(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// A shared world.
pub type SharedWorld = Arc<dyn World>;

/// A random (version 4) uid.
#[must_use]
pub fn uid(world: &dyn World) -> String {
    let mut bytes = [0u8; 16];
    world.random(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The five characters that upstream appends to a generateName, from its alphabet without vowels.
#[must_use]
pub fn suffix(world: &dyn World) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut out = String::with_capacity(5);
    let mut bytes = [0u8; 16];
    while out.len() < 5 {
        world.random(&mut bytes);
        // 243 = 9 * 27: bytes above it would make the first letters likelier.
        out.extend(bytes.iter().filter(|b| **b < 243).map(|b| ALPHABET[*b as usize % 27] as char));
    }
    out.truncate(5);
    out
}
