//! Virtual time and seeded randomness: what stands in for the runtime's clock and entropy, and for the world's own chance.
//!
//! Nothing here reads the machine. Time is tokio's paused clock, which jumps to the next timer whenever nobody has anything
//! to do. Invariant: two runs with one seed draw the same numbers in the same order, because each stream of numbers has one
//! generator of its own and everything runs on one thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_runtime::seam::{Clock, Entropy};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

/// When every run begins: 1 January 2026. Any date will do; epochs are at least this many milliseconds.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// The only clock there is: nodes, store and participants all read it.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    start: Instant,
}

impl VirtualClock {
    /// Starts at the same date in every run.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// How much virtual time has passed since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        BEGINNING + self.elapsed()
    }
}

/// That clock as a machine has it whose clock was set.
#[derive(Debug)]
pub(crate) struct SetClock {
    clock: Arc<VirtualClock>,
    /// In milliseconds.
    ahead: i64,
}

impl SetClock {
    pub(crate) fn new(clock: Arc<VirtualClock>, ahead: i64) -> Self {
        Self { clock, ahead }
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_add_signed(self.ahead))
    }
}

/// One stream of random numbers.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<StdRng>);

impl Dice {
    /// The stream with this number of a seed. Streams of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&stream.to_le_bytes());
        Self(Mutex::new(StdRng::from_seed(bytes)))
    }

    /// True in so many of a thousand cases. Draws a number even where the answer is certain, so that a rate of nought
    /// doesn't shift what comes after it.
    pub(crate) fn chance(&self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// A number of at least 0 and less than `end`; 0 where `end` is 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.draw(|dice| dice.random_range(0..end.max(1)))
    }

    /// A time of at least `low` and at most `high` milliseconds.
    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.below(high.saturating_sub(low) + 1))
    }

    /// One of these; `None` of none.
    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len() as u64);
        usize::try_from(index).ok().and_then(|index| from.get(index))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entropy for Dice {
    fn bits(&self) -> u128 {
        self.draw(|dice| dice.random())
    }

    fn unit(&self) -> f64 {
        self.draw(|dice| dice.random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64, stream: u64) -> Vec<u64> {
        let dice = Dice::new(seed, stream);
        (0..20).map(|_| dice.below(u64::MAX)).collect()
    }

    #[test]
    fn a_stream_follows_from_seed_and_number() {
        assert_eq!(numbers(7, 1), numbers(7, 1));
        assert_ne!(numbers(7, 1), numbers(7, 2));
        assert_ne!(numbers(7, 1), numbers(8, 1));
    }

    #[test]
    fn rates_and_bounds_hold_at_their_ends() {
        let dice = Dice::new(1, 1);
        assert!((0..1_000).all(|_| !dice.chance(0) && dice.chance(1_000)));
        assert!((0..1_000).all(|_| (3..=5).contains(&dice.millis(3, 5).as_millis())));
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
        assert_eq!(dice.pick::<u8>(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_passes_only_when_it_is_waited_for() {
        let clock = VirtualClock::new();
        assert_eq!(clock.now(), BEGINNING);
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(clock.now(), BEGINNING + Duration::from_secs(86_400));
    }
}
