//! Chance that can be repeated: a seed decides everything (splitmix64).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use windlass::world::{Real, World};

/// A source of chance, shared by its clones.
#[derive(Clone)]
pub(crate) struct Chance(Arc<Mutex<u64>>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Chance(Arc::new(Mutex::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1))))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// A world whose wall clock jumps back and forth by hours whenever it is read; patience must not care.
impl World for Chance {
    fn now(&self) -> jiff::Timestamp {
        let jump = i64::try_from(self.below(7200)).unwrap() - 3600;
        jiff::Timestamp::from_second(1_800_000_000 + jump).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Real.sleep(duration)
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.iter_mut().for_each(|byte| *byte = self.next() as u8);
    }
}
