//! The only file that touches clock, randomness and spawning.
//!
//! Everything else gets its time, its random numbers and its concurrency from here, so that the simulation can put virtual time
//! and a seed in their place and replay a run exactly. Clippy refuses the originals elsewhere in this crate. Sleeping goes
//! through tokio's timer, which the simulation pauses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::time::Timestamp;

/// Further than anything is waited for.
const FAR: Duration = Duration::from_secs(86_400);

/// Reads wall-clock time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives random numbers.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// 128 random bits: nonces and op ids.
    fn bits(&self) -> u128;

    /// A random number of at least 0 and less than 1: jitter.
    fn unit(&self) -> f64;
}

/// Clock and randomness of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Seams {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Seams {
    /// Takes them as given: for the simulation.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    /// The machine's own.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock::new()), Arc::new(SystemEntropy))
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// 128 random bits.
    pub fn bits(&self) -> u128 {
        self.entropy.bits()
    }

    /// A random number of at least 0 and less than 1.
    pub fn unit(&self) -> f64 {
        self.entropy.unit()
    }
}

/// The machine's wall clock, read once; from then on time passes by the monotonic clock.
///
/// So a wall clock that is set while the process runs can't make every deadline pass at once, nor hold time still (semantics
/// A13, clocks). What it was set to counts from the next start on.
#[derive(Debug)]
struct SystemClock {
    began_at: Timestamp,
    began: std::time::Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the seam: the one place that reads clocks")]
    fn new() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { began_at: Timestamp(0) + since, began: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.began_at + self.began.elapsed()
    }
}

/// The operating system's random numbers.
#[derive(Debug)]
struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the seam: the one place that asks for randomness")]
    fn bits(&self) -> u128 {
        rand::random()
    }

    #[expect(clippy::disallowed_methods, reason = "the seam: the one place that asks for randomness")]
    fn unit(&self) -> f64 {
        rand::random()
    }
}

/// Runs something beside the caller; ends with the process or when the handle is aborted.
#[expect(clippy::disallowed_methods, reason = "the seam: the one place that spawns")]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// Something that runs beside its owner and ends with it: dropping this ends it.
#[derive(Debug)]
pub struct Running(tokio::task::JoinHandle<()>);

impl Running {
    /// Runs something for as long as the result is kept.
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(spawn(future))
    }

    /// Whether it has ended by itself.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Rings once it has been set. One that is set later than it rings anyway is left as it is, and rings early: setting it at every
/// turn of a loop costs next to nothing, where a new timer at every turn would.
#[derive(Debug)]
pub struct Alarm(Pin<Box<tokio::time::Sleep>>);

impl Alarm {
    /// One that rings after so long.
    pub fn after(duration: Duration) -> Self {
        Self(Box::pin(tokio::time::sleep(duration)))
    }

    /// Makes sure that it rings after so long at the latest.
    pub fn set(&mut self, duration: Duration) {
        let now = tokio::time::Instant::now();
        // What is too far away to be reckoned with is as good as never.
        let at = now.checked_add(duration).unwrap_or_else(|| now + FAR);
        if self.0.is_elapsed() || at < self.0.deadline() {
            self.0.as_mut().reset(at);
        }
    }

    /// Waits until it rings.
    pub async fn rings(&mut self) {
        self.0.as_mut().await;
    }
}

/// Waits.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Lets whatever else is ready have its turn.
pub async fn give_way() {
    tokio::task::yield_now().await;
}
