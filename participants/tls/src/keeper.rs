//! Looks after everything that is watched: takes up new files, and says what is broken or about to expire.
//!
//! Invariants: what is wrong is said once when it begins and once a day as long as it lasts; what was said to be wrong is said to
//! be over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::certificate::Expiry;
use crate::watched::{Look, Material, Watched};

/// How often files are looked at.
pub const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// How often what lasts is said again.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// How one thing that is watched stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it is for, as in the settings: `tls`.
    pub what: String,
    /// The file with its certificate, or with the authorities.
    pub file: String,
    /// The end of our own certificate's validity, in seconds since 1970, and how near that is.
    pub expires: Option<(u64, Expiry)>,
    /// Why its newest files can't be used; older ones are.
    pub problem: Option<String>,
    /// How often new files were taken up since the start.
    pub renewals: u64,
}

trait Kept: Send + Sync {
    fn look(&self) -> Look;
    fn standing(&self, what: &str, now: SystemTime) -> Standing;
}

impl<M: Material> Kept for Watched<M> {
    fn look(&self) -> Look {
        Self::look(self)
    }

    fn standing(&self, what: &str, now: SystemTime) -> Standing {
        let current = self.current();
        Standing {
            what: what.to_owned(),
            file: self.shown(),
            expires: current.own().map(|own| (own.not_after, own.expiry(now))),
            problem: self.problem(),
            renewals: self.renewals(),
        }
    }
}

struct Entry {
    kept: Arc<dyn Kept>,
    /// What was last said of its expiry, and when.
    said: (Expiry, SystemTime),
}

/// All that is watched. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keeper {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

impl Keeper {
    /// Looks after this too; `what` says what it is for, as in the settings, and replaces what had that name.
    pub fn watch<M: Material>(&self, what: impl Into<String>, watched: Arc<Watched<M>>) {
        self.entries().insert(what.into(), Entry { kept: watched, said: (Expiry::Far, SystemTime::UNIX_EPOCH) });
    }

    /// How everything stands, by name.
    pub fn standing(&self) -> Vec<Standing> {
        let now = SystemTime::now();
        self.entries().iter().map(|(what, entry)| entry.kept.standing(what, now)).collect()
    }

    /// Looks at all files once and says what is to be said. Blocks.
    pub fn look(&self) {
        // Not under the lock: a file on a disk that hangs must not hold up who asks how things stand.
        let all: Vec<_> = self.entries().iter().map(|(what, entry)| (what.clone(), entry.kept.clone())).collect();
        let now = SystemTime::now();
        for (what, kept) in all {
            let was_broken = kept.standing(&what, now).problem.is_some();
            let look = kept.look();
            let standing = kept.standing(&what, now);
            say_look(&standing, &look, was_broken);
            let mut entries = self.entries();
            if let Some(entry) = entries.get_mut(&what) {
                say_expiry(entry, &standing, now);
            }
        }
    }

    /// Looks every [`LOOK_PERIOD`], for ever.
    pub async fn run(self) {
        loop {
            let keeper = self.clone();
            // A panic in there is logged, and the next look may do better.
            let _ = tokio::task::spawn_blocking(move || keeper.look()).await;
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Every change under the lock is a single one.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries().keys()).finish()
    }
}

fn say_look(standing: &Standing, look: &Look, was_broken: bool) {
    let Standing { what, file, .. } = standing;
    match look {
        Look::Renewed => tracing::info!(what, file, "new TLS files are in use for new connections"),
        Look::Broken(problem) => {
            tracing::error!(what, file, problem, "new TLS files can't be used; the ones before stay in use");
        }
        Look::Unchanged if was_broken && standing.problem.is_none() => {
            tracing::info!(what, file, "the TLS files are those in use again");
        }
        Look::Unchanged => {}
    }
}

fn say_expiry(entry: &mut Entry, standing: &Standing, now: SystemTime) {
    let Some((not_after, expiry)) = standing.expires else { return };
    let (last, when) = entry.said;
    let is_due = expiry > Expiry::Far && now.duration_since(when).is_ok_and(|since| since >= AGAIN);
    if expiry == last && !is_due {
        return;
    }
    entry.said = (expiry, now);
    let Standing { what, file, .. } = standing;
    match expiry {
        Expiry::Far => {}
        Expiry::Soon => tracing::warn!(what, file, not_after, "a certificate expires in 14 days or less; renew it"),
        Expiry::Tomorrow => tracing::warn!(what, file, not_after, "a certificate expires within a day; renew it now"),
        Expiry::Over => {
            tracing::error!(what, file, not_after, "a certificate has expired: nobody accepts it; renew it")
        }
    }
}
