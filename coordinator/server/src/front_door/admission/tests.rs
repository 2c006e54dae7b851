//! Admission on a queue that is played: a server of fixed speed, arrivals of any rate.

use super::*;

const TARGET: Duration = Duration::from_millis(100);

/// A server that carries out `speed` starts a second, one after the other.
struct Played {
    admission: Admission,
    now: Duration,
    speed: u32,
    /// When each accepted start will be durable, and when it came.
    queue: std::collections::VecDeque<(Duration, Duration)>,
    free_at: Duration,
    waits: Vec<Duration>,
    refused: usize,
}

impl Played {
    fn new(speed: u32) -> Self {
        Self {
            admission: Admission::new(TARGET),
            now: Duration::ZERO,
            speed,
            queue: Default::default(),
            free_at: Duration::ZERO,
            waits: Vec::new(),
            refused: 0,
        }
    }

    /// `rate` starts a second for so long; the waits of those that ended meanwhile.
    fn run(&mut self, rate: u32, length: Duration) -> (Vec<Duration>, usize) {
        let (gap, until) = (Duration::from_secs(1) / rate, self.now + length);
        (self.waits, self.refused) = (Vec::new(), 0);
        while self.now < until {
            self.now += gap;
            while let Some((done, came)) = self.queue.front().copied().filter(|(done, _)| *done <= self.now) {
                self.queue.pop_front();
                self.waits.push(done - came);
                self.admission.sample(done - came, self.queue.len() + 1, done.max(came));
            }
            match self.admission.admit(Level::Start, self.now) {
                Ok(()) => {
                    self.free_at = self.free_at.max(self.now) + Duration::from_secs(1) / self.speed;
                    self.queue.push_back((self.free_at, self.now));
                }
                Err(after) => {
                    assert!(after >= RETRY_MIN && after <= RETRY_MAX, "{after:?}");
                    self.refused += 1;
                }
            }
        }
        (std::mem::take(&mut self.waits), self.refused)
    }
}

fn worst(waits: &[Duration]) -> Duration {
    waits.iter().max().copied().unwrap_or_default()
}

#[test]
fn below_capacity_nothing_is_refused() {
    let (waits, refused) = Played::new(1000).run(900, Duration::from_secs(60));
    assert_eq!(refused, 0);
    assert!(worst(&waits) < TARGET);
}

#[test]
fn twice_the_capacity_keeps_the_wait_bounded_and_is_forgotten_soon() {
    let mut played = Played::new(1000);
    played.run(500, Duration::from_secs(5));
    let (waits, refused) = played.run(2000, Duration::from_secs(60));
    assert!(refused > 40_000, "of 120,000, half is too much: {refused}");
    assert!(waits.len() > 40_000, "and not much less is done than there is capacity for: {}", waits.len());
    assert!(worst(&waits) < Duration::from_secs(5), "{:?}", worst(&waits));
    played.run(500, Duration::from_secs(10));
    let (waits, refused) = played.run(500, Duration::from_secs(10));
    assert_eq!(refused, 0, "all is let in again");
    assert!(worst(&waits) < TARGET, "{:?}", worst(&waits));
}

#[test]
fn one_slow_commit_and_a_slow_store_change_nothing() {
    let mut admission = Admission::new(TARGET);
    let second = Duration::from_secs(1);
    admission.sample(10 * second, 100, second);
    assert_eq!(admission.admit(Level::Start, second + WINDOW), Ok(()));
    for tenths in 20..200 {
        let now = Duration::from_millis(100) * tenths;
        admission.sample(second, QUEUE_MIN - 1, now);
        assert_eq!(admission.admit(Level::Start, now), Ok(()), "no queue");
    }
}

#[test]
fn looking_gives_way_only_after_starting_and_comes_back_first() {
    let mut admission = Admission::new(TARGET);
    let mut now = Duration::ZERO;
    let bad = |admission: &mut Admission, now: &mut Duration| {
        admission.sample(Duration::from_secs(1), 1000, *now);
        *now += WINDOW;
        admission.roll(*now);
    };
    while admission.starts.admitted > LEAST {
        bad(&mut admission, &mut now);
        assert!(admission.reads.admitted >= 1.0);
    }
    bad(&mut admission, &mut now);
    bad(&mut admission, &mut now);
    assert!(admission.reads.admitted < 1.0);
    let starts = admission.starts.admitted;
    while admission.reads.admitted < 1.0 {
        assert!(admission.starts.admitted <= starts);
        now += WINDOW;
        admission.roll(now);
    }
    now += Duration::from_secs(10);
    admission.roll(now);
    assert!(admission.starts.admitted >= 1.0, "silence heals: {}", admission.starts.admitted);
}

#[test]
fn without_a_target_all_is_let_in() {
    let mut admission = Admission::new(Duration::ZERO);
    for tenths in 0..100 {
        let now = WINDOW * tenths;
        admission.sample(Duration::from_secs(9), 1000, now);
        assert_eq!(admission.admit(Level::Start, now), Ok(()));
    }
}
