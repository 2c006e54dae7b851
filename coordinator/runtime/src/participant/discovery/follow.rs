//! The shell of discovery: asks each source when it is time, and drops instances that aren't heard.
//!
//! It decides nothing: what an answer means is `watch.rs`, who is heard `instances.rs`. Each source is asked in a task of its own, so
//! that one that doesn't answer holds up no other. Invariant: what it hands to the directory has passed [`Egress::check`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::time::Timestamp;

use super::super::directory::{Directory, ParticipantKey};
use super::super::egress::Egress;
use super::super::endpoint::Endpoint;
use super::super::members::{MEMBERS_MAX, Member, Origin};
use super::super::source::Source;
use super::watch::Watch;
use super::{Answer, Find, FindError, Found};
use crate::seam::{Running, Seams, sleep};

/// How often it looks whether something is due.
const TICK: Duration = Duration::from_millis(250);
/// Longest time for an answer: a source may hold a question back until something changes.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// What a [`Follower`] works with.
#[derive(Debug)]
pub struct FollowSettings {
    /// Where found addresses go.
    pub directory: Arc<Directory>,
    /// Who asks.
    pub find: Arc<dyn Find>,
    /// Which addresses may be called.
    pub egress: Arc<Egress>,
    /// Clock and randomness.
    pub seams: Seams,
    /// Longest time between two questions.
    pub refresh: Duration,
}

/// Follows all sources of all participants.
#[derive(Debug)]
pub struct Follower {
    settings: FollowSettings,
    watches: Mutex<BTreeMap<Watched, Watch>>,
}

type Watched = (ParticipantKey, Source);

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The source.
    pub source: Source,
    /// When it last named addresses.
    pub answered_at: Option<Timestamp>,
    /// What is wrong with it; empty: nothing.
    pub problem: String,
}

impl Follower {
    /// One that hasn't asked anybody yet.
    pub fn new(settings: FollowSettings) -> Self {
        Self { settings, watches: Mutex::default() }
    }

    /// Runs until it is dropped.
    pub async fn run(&self) {
        let mut asking: BTreeMap<Watched, Asking> = BTreeMap::new();
        loop {
            self.keep_to_registered();
            asking.retain(|watched, question| match question.answer() {
                Some(said) => {
                    self.take_in(watched, said);
                    false
                }
                None => true,
            });
            for (watched, since) in self.due() {
                let find = self.settings.find.clone();
                asking.entry(watched.clone()).or_insert_with(|| Asking::begin(find, watched.1, since));
            }
            self.settings.directory.expire(self.settings.seams.now());
            tokio::select! {
                biased;
                () = self.settings.directory.registered() => {}
                () = sleep(TICK) => {}
            }
        }
    }

    /// How the sources of a participant stand.
    pub fn states(&self, participant: &ParticipantKey) -> Vec<SourceState> {
        let watches = self.watches();
        let of = watches.iter().filter(|((key, _), _)| key == participant);
        of.map(|((_, source), watch)| SourceState {
            source: source.clone(),
            answered_at: watch.answered_at,
            problem: watch.problem.clone(),
        })
        .collect()
    }

    fn keep_to_registered(&self) {
        let registered: BTreeSet<Watched> = self.settings.directory.sources().into_iter().collect();
        let mut watches = self.watches();
        watches.retain(|watched, _| registered.contains(watched));
        for watched in registered {
            watches.entry(watched).or_default();
        }
    }

    fn due(&self) -> Vec<(Watched, u64)> {
        let now = self.settings.seams.now();
        let due =
            |watch: &Watch| watch.next <= now || watch.next.since(now) > ANSWER_TIME_MAX.max(self.settings.refresh);
        let watches = self.watches();
        watches.iter().filter(|(_, watch)| due(watch)).map(|(watched, watch)| (watched.clone(), watch.index)).collect()
    }

    fn take_in(&self, (participant, source): &Watched, said: Result<Answer, FindError>) {
        let mut watches = self.watches();
        let Some(watch) = watches.get_mut(&(participant.clone(), source.clone())) else { return };
        let before = watch.problem.clone();
        let found = watch.heard(said, self.settings.seams.now(), self.settings.refresh);
        if let Some(found) = found {
            let (members, refused) = self.members(source, found);
            if !refused.is_empty() {
                watch.problem = refused;
            }
            self.settings.directory.found(participant, source, members);
        }
        if watch.problem != before && !watch.problem.is_empty() {
            let (namespace, name) = participant;
            tracing::warn!(%namespace, participant = %name, %source, problem = watch.problem, "a source of addresses has a problem");
        }
    }

    /// What may be called of it, and what was refused.
    fn members(&self, source: &Source, mut found: Vec<Found>) -> (Vec<Member>, String) {
        let mut refused = String::new();
        found.sort();
        found.dedup_by_key(|found| (found.priority, found.address));
        found.retain(|found| match self.settings.egress.check(source.name(), found.address) {
            Ok(()) => true,
            Err(why) => {
                refused = why.to_string();
                false
            }
        });
        found.truncate(MEMBERS_MAX);
        // Their ranks, so that one source's priorities say nothing about another's.
        let priorities: BTreeSet<u16> = found.iter().map(|found| found.priority).collect();
        let tier =
            |priority: u16| u16::try_from(priorities.iter().filter(|it| **it < priority).count()).unwrap_or(u16::MAX);
        let member = |found: Found| Member {
            endpoint: Endpoint::found(source.tls, source.name(), found.address),
            origin: Origin::Found(source.clone()),
            weight: found.weight.max(1),
            tier: tier(found.priority),
        };
        (found.into_iter().map(member).collect(), refused)
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<Watched, Watch>> {
        // Nothing panics while the lock is held.
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is under way.
struct Asking {
    running: Running,
    said: Arc<Mutex<Option<Result<Answer, FindError>>>>,
}

impl Asking {
    fn begin(find: Arc<dyn Find>, source: Source, since: u64) -> Self {
        let said = Arc::new(Mutex::default());
        let place = Arc::clone(&said);
        let running = Running::spawn(async move {
            let answer = tokio::time::timeout(ANSWER_TIME_MAX, find.find(&source, since)).await;
            let answer = answer.unwrap_or_else(|_| Err(FindError("no answer".to_owned())));
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        });
        Self { running, said }
    }

    /// What came of it; `None`: nothing yet.
    fn answer(&self) -> Option<Result<Answer, FindError>> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A task that ends without a word has panicked.
        said.or_else(|| self.running.is_finished().then(|| Err(FindError("asking failed inside".to_owned()))))
    }
}
