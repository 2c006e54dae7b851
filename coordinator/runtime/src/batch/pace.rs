//! The rate: how long the next saga has to wait for its turn. Pure; time comes in with the call.
//!
//! Invariant: in any time from the beginning on, no more turns are given than rate × time, and the few of one burst.

use std::time::Duration;

use amends_engine::time::Timestamp;

/// How much may be caught up at once, as time: timers wake a little late.
const BURST_SECONDS: f64 = 0.05;

/// Turns that were given, and when.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Turns that may be taken now; below one, the next is still to come.
    turns: f64,
    at: Timestamp,
}

impl Pace {
    /// One turn may be taken at once.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { turns: 1.0, at: now }
    }

    /// Takes a turn, or says how long to wait before trying again. `rate` is in turns per second.
    pub(crate) fn take(&mut self, rate: f64, now: Timestamp) -> Result<(), Duration> {
        let most = (rate * BURST_SECONDS).max(1.0);
        self.turns = (self.turns + now.since(self.at).as_secs_f64() * rate).min(most);
        self.at = self.at.max(now);
        if self.turns >= 1.0 {
            self.turns -= 1.0;
            return Ok(());
        }
        // A millisecond more than it takes: the clock counts whole ones.
        let wait = Duration::try_from_secs_f64((1.0 - self.turns) / rate).unwrap_or(Duration::MAX);
        Err(wait.saturating_add(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many turns are given within a time, by somebody who takes all he can.
    fn turns(rate: f64, seconds: u64) -> u64 {
        let mut pace = Pace::new(Timestamp(0));
        let (mut now, mut given) = (Timestamp(0), 0);
        while now.0 < seconds * 1000 {
            match pace.take(rate, now) {
                Ok(()) => given += 1,
                Err(wait) => now = now + wait.max(Duration::from_millis(1)),
            }
        }
        given
    }

    #[test]
    fn no_more_turns_than_the_rate_and_nearly_as_many() {
        for (rate, seconds) in [(0.1, 100), (1.0, 10), (50.0, 10), (997.0, 10), (10_000.0, 3)] {
            let (most, given) = (rate * seconds as f64, turns(rate, seconds) as f64);
            let burst = (rate * BURST_SECONDS).max(1.0);
            assert!(given <= most + burst && given >= most * 0.9 - 1.0, "{rate}/s for {seconds} s: {given}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut pace = Pace::new(Timestamp(10_000));
        assert_eq!(pace.take(1.0, Timestamp(10_000)), Ok(()));
        assert!(pace.take(1.0, Timestamp(5_000)).is_err() && pace.take(1.0, Timestamp(10_000)).is_err());
        assert_eq!(pace.take(1.0, Timestamp(11_000)), Ok(()));
    }
}
