//! Who registered itself, and was heard of late. Pure: the time comes in.
//!
//! An instance says every few seconds that it is there; the node that it says it to tells the others with its next words. Nothing is
//! stored: after a restart of all nodes the next heartbeat says it again. A node tells only what it heard itself, so that nobody is
//! kept alive by nodes telling each other. Invariants: one that isn't heard for [`LIFETIME`] goes, unless it would be the last: then
//! the ones that were there are kept for [`SILENCE_MAX`], since it may be us who can't hear; one that says that it leaves goes at once.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::time::Timestamp;

use super::super::directory::ParticipantKey;
use super::super::endpoint::Endpoint;
use super::super::members::{Member, Origin};

/// How often an instance is asked to say that it is there.
pub const HEARTBEAT_PERIOD: Duration = Duration::from_secs(5);
/// How long an instance that isn't heard is still called: two heartbeats may be lost.
pub const LIFETIME: Duration = Duration::from_secs(15);
/// Most instances of one participant.
pub const INSTANCES_MAX: usize = 256;
/// How long the last instances are kept when none is heard any more.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// For how long others are told of a heartbeat: some exchanges, and less than it takes to the next one.
const TELL_FOR: Duration = Duration::from_secs(4);

/// What an instance says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where it answers.
    pub endpoint: Endpoint,
    /// Its name, for people.
    pub instance: String,
    /// How often it is called beside the others, from 1.
    pub weight: u32,
}

/// What one node tells another of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of which participant.
    pub participant: ParticipantKey,
    /// What it said.
    pub heartbeat: Heartbeat,
    /// How long ago.
    pub age: Duration,
    /// It said that it leaves.
    pub gone: bool,
}

/// [`INSTANCES_MAX`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{INSTANCES_MAX} instances of it are registered already; no more are taken")]
pub struct TooManyInstances;

/// All participants' instances.
#[derive(Debug, Default)]
pub(in super::super) struct Instances {
    of: BTreeMap<ParticipantKey, BTreeMap<String, Heard>>,
}

#[derive(Debug, Clone)]
struct Heard {
    heartbeat: Heartbeat,
    at: Timestamp,
    gone: bool,
    /// By this node.
    directly: bool,
}

impl Instances {
    /// An instance says that it is there. Whether that changes anything.
    pub(in super::super) fn renew(
        &mut self,
        participant: &ParticipantKey,
        heartbeat: Heartbeat,
        now: Timestamp,
    ) -> Result<bool, TooManyInstances> {
        let instances = self.of.entry(participant.clone()).or_default();
        let before = instances.get(heartbeat.endpoint.as_str());
        if before.is_none() && instances.len() >= INSTANCES_MAX {
            return Err(TooManyInstances);
        }
        let is_new = before.is_none_or(|before| before.gone || before.heartbeat != heartbeat);
        let heard = Heard { at: now, gone: false, directly: true, heartbeat };
        instances.insert(heard.heartbeat.endpoint.to_string(), heard);
        Ok(is_new)
    }

    /// An instance says that it leaves. Whether it was known.
    pub(in super::super) fn leave(
        &mut self,
        participant: &ParticipantKey,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> bool {
        let instances = self.of.get_mut(participant);
        let Some(heard) = instances.and_then(|instances| instances.get_mut(endpoint.as_str())) else { return false };
        let was_there = !heard.gone;
        (heard.at, heard.gone, heard.directly) = (now, true, true);
        was_there
    }

    /// What other nodes should hear: what this one heard itself, and of late.
    pub(in super::super) fn to_tell(&self, now: Timestamp) -> Vec<Told> {
        let all = self.of.iter().flat_map(|(participant, of)| of.values().map(move |heard| (participant, heard)));
        let of_late = all.filter(|(_, heard)| heard.directly && now.since(heard.at) < TELL_FOR);
        of_late
            .map(|(participant, heard)| Told {
                participant: participant.clone(),
                heartbeat: heard.heartbeat.clone(),
                age: now.since(heard.at),
                gone: heard.gone,
            })
            .collect()
    }

    /// What another node heard: the later word counts. Which participants it changes.
    pub(in super::super) fn take_in(&mut self, told: Vec<Told>, now: Timestamp) -> Vec<ParticipantKey> {
        let mut changed = Vec::new();
        for Told { participant, heartbeat, age, gone } in told {
            let at = Timestamp(now.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)));
            let instances = self.of.entry(participant.clone()).or_default();
            let before = instances.get(heartbeat.endpoint.as_str());
            if before.is_some_and(|before| before.at >= at) || (before.is_none() && instances.len() >= INSTANCES_MAX) {
                continue;
            }
            let is_new = before.map_or(!gone, |before| before.gone != gone || before.heartbeat != heartbeat);
            instances.insert(heartbeat.endpoint.to_string(), Heard { heartbeat, at, gone, directly: false });
            if is_new {
                changed.push(participant);
            }
        }
        changed
    }

    /// Drops those that weren't heard. Which participants it changes.
    pub(in super::super) fn expire(&mut self, now: Timestamp) -> Vec<ParticipantKey> {
        let mut changed = Vec::new();
        for (participant, instances) in &mut self.of {
            let before = instances.len();
            let is_heard = |heard: &Heard| !heard.gone && now.since(heard.at) < LIFETIME;
            let patience = if instances.values().any(is_heard) { LIFETIME } else { SILENCE_MAX };
            instances.retain(|_, heard| now.since(heard.at) < if heard.gone { LIFETIME } else { patience });
            if instances.len() != before {
                changed.push(participant.clone());
            }
        }
        self.of.retain(|_, instances| !instances.is_empty());
        changed
    }

    /// Those that are called.
    pub(in super::super) fn members(&self, participant: &ParticipantKey) -> Vec<Member> {
        let there = self.of.get(participant).into_iter().flat_map(BTreeMap::values).filter(|heard| !heard.gone);
        there
            .map(|Heard { heartbeat: Heartbeat { endpoint, instance, weight }, .. }| Member {
                endpoint: endpoint.clone(),
                origin: Origin::Instance(instance.clone()),
                weight: *weight,
                tier: 0,
            })
            .collect()
    }

    /// For how long none was heard, where all that are known are silent.
    pub(in super::super) fn silent_for(&self, participant: &ParticipantKey, now: Timestamp) -> Option<Duration> {
        let there = self.of.get(participant)?.values().filter(|heard| !heard.gone);
        there.map(|heard| now.since(heard.at)).min().filter(|silence| *silence >= LIFETIME)
    }
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::{Namespace, ParticipantName};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn key() -> ParticipantKey {
        (Namespace::default_namespace(), ParticipantName::parse("payment").unwrap())
    }

    fn heartbeat(port: u16) -> Heartbeat {
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        Heartbeat { endpoint, instance: format!("i{port}"), weight: 1 }
    }

    fn ports(instances: &Instances) -> Vec<u16> {
        instances.members(&key()).iter().map(|member| member.endpoint.socket().1).collect()
    }

    #[test]
    fn one_that_isnt_heard_goes_and_one_that_is_stays() {
        let mut instances = Instances::default();
        assert_eq!(instances.renew(&key(), heartbeat(1), NOW), Ok(true));
        assert_eq!(instances.renew(&key(), heartbeat(2), NOW), Ok(true));
        assert_eq!(instances.renew(&key(), heartbeat(1), at(10)), Ok(false), "nothing new");
        assert!(instances.expire(at(14)).is_empty());
        assert_eq!(instances.expire(at(15)), [key()]);
        assert_eq!(ports(&instances), [1]);
    }

    #[test]
    fn when_all_fall_silent_the_last_ones_are_kept_for_a_while() {
        let mut instances = Instances::default();
        for port in [1, 2] {
            instances.renew(&key(), heartbeat(port), NOW).unwrap();
        }
        assert!(instances.expire(at(59)).is_empty());
        assert_eq!((ports(&instances).len(), instances.silent_for(&key(), at(59))), (2, Some(Duration::from_secs(59))));
        assert_eq!(instances.renew(&key(), heartbeat(1), at(59)), Ok(false));
        assert_eq!(instances.silent_for(&key(), at(59)), None);
        assert_eq!(instances.expire(at(59)), [key()], "one is heard again, so the other one isn't there");
        assert_eq!(ports(&instances), [1]);
        assert_eq!(instances.expire(at(59 + 60)), [key()]);
        assert!(ports(&instances).is_empty());
    }

    #[test]
    fn one_that_leaves_goes_at_once_and_an_older_word_doesnt_bring_it_back() {
        let mut instances = Instances::default();
        instances.renew(&key(), heartbeat(1), NOW).unwrap();
        let older = instances.to_tell(at(1));
        assert!(instances.leave(&key(), &heartbeat(1).endpoint, at(2)));
        assert!(!instances.leave(&key(), &heartbeat(1).endpoint, at(2)), "said twice");
        assert!(ports(&instances).is_empty());
        assert!(instances.take_in(older, at(1)).is_empty());
        assert!(ports(&instances).is_empty());
        assert_eq!(instances.renew(&key(), heartbeat(1), at(3)), Ok(true), "it is back");
        assert_eq!(ports(&instances), [1]);
    }

    #[test]
    fn nodes_tell_each_other_what_they_heard_themselves() {
        let (mut here, mut there) = (Instances::default(), Instances::default());
        here.renew(&key(), heartbeat(1), NOW).unwrap();
        assert_eq!(there.take_in(here.to_tell(at(1)), at(101)), [key()], "clocks don't matter");
        assert_eq!(ports(&there), [1]);
        assert!(there.to_tell(at(101)).is_empty(), "it didn't hear it itself");
        assert!(there.take_in(here.to_tell(at(2)), at(102)).is_empty(), "it knew");
        assert!(here.to_tell(at(4)).is_empty(), "too old to tell");
        here.leave(&key(), &heartbeat(1).endpoint, at(4));
        assert_eq!(there.take_in(here.to_tell(at(4)), at(104)), [key()]);
        assert!(ports(&there).is_empty());
    }

    #[test]
    fn nobody_is_kept_alive_by_nodes_telling_each_other() {
        let (mut here, mut there) = (Instances::default(), Instances::default());
        here.renew(&key(), heartbeat(1), NOW).unwrap();
        for second in 0..60 {
            there.take_in(here.to_tell(at(second)), at(second));
            here.take_in(there.to_tell(at(second)), at(second));
        }
        here.renew(&key(), heartbeat(2), at(60)).unwrap();
        there.take_in(here.to_tell(at(60)), at(60));
        for instances in [&mut here, &mut there] {
            instances.expire(at(60));
            assert_eq!(ports(instances), [2]);
        }
    }

    #[test]
    fn there_is_an_end_to_how_many_are_taken() {
        let mut instances = Instances::default();
        for port in 1..=256 {
            instances.renew(&key(), heartbeat(port), NOW).unwrap();
        }
        assert_eq!(instances.renew(&key(), heartbeat(257), NOW), Err(TooManyInstances));
        assert_eq!(instances.renew(&key(), heartbeat(1), NOW), Ok(false));
    }
}
