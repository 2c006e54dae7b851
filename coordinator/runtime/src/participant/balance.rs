//! Which address of a participant the next call goes to. Pure: what is known comes in, a place in the list comes out.
//!
//! ```text
//!   all ─► not tried yet in this attempt ─► reachable ─► not ejected, unless too few are well (panic)
//!       ─► not the one that failed this call, nor the one that was picked last and failed ─► lowest tier ─► the participant's way
//! ```
//!
//! Invariants: while another one can be picked, an address that just failed isn't picked twice in a row, and a retry doesn't go
//! where its last attempt failed; nobody who can be picked is starved; one that comes or goes moves only its own share of the
//! sagas (consistent hash).

use amends_engine::payload::Digest;

use super::ejection::Standing;
use crate::planted;

/// How a participant's calls are spread over its addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balancing {
    /// Of two that are drawn, the one with fewer calls under way.
    #[default]
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// One after the other, each as often as its weight says.
    Weighted,
    /// All calls of a saga to one, as long as it isn't overloaded: for participants that cache.
    SagaHash,
}

/// Of a saga's own address: how many times the average of calls under way it may have before the next in line is taken
/// (Mirrokni et al., consistent hashing with bounded loads), in quarters.
const LOAD_QUARTERS: u64 = 5;

/// What is known of one address.
#[derive(Debug, Clone)]
pub(super) struct Peer<'a> {
    /// As it is shown: what its share of the sagas depends on.
    pub(super) name: &'a str,
    /// Calls under way, connecting included.
    pub(super) in_flight: u32,
    /// From 1; for [`Balancing::Weighted`].
    pub(super) weight: u32,
    /// Those of a higher tier are picked only where no other is left.
    pub(super) tier: u16,
    /// How it stands.
    pub(super) standing: Standing,
    /// The last thing that was tried there failed.
    pub(super) failing: bool,
    /// This attempt was there already.
    pub(super) tried: bool,
}

/// What is known of the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// Hash of the saga.
    pub(super) saga: u64,
    /// Where the last attempt of the same operation failed.
    pub(super) failed_at: Option<usize>,
}

/// What is remembered from pick to pick.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By address: how much it is owed (smooth weighted round robin, as in nginx).
    owed: Vec<i64>,
    /// The last pick.
    last: Option<usize>,
}

/// Picks an address; `None` where there is none to try.
pub(super) fn pick(
    way: Balancing,
    peers: &[Peer<'_>],
    ask: Ask,
    turns: &mut Turns,
    dice: &mut dyn FnMut() -> f64,
) -> Option<usize> {
    let candidates = candidates(peers, ask, turns.last);
    let picked = match way {
        Balancing::LeastRequest => least_of_two(peers, &candidates, dice),
        Balancing::RoundRobin => in_turn(&candidates, &mut turns.owed, peers.len(), |_| 1),
        Balancing::Weighted => {
            in_turn(&candidates, &mut turns.owed, peers.len(), |place| peers[place].weight.max(1).into())
        }
        Balancing::SagaHash => own(peers, &candidates, ask.saga),
    };
    turns.last = picked.or(turns.last);
    picked
}

/// All that may be picked.
fn candidates(peers: &[Peer<'_>], ask: Ask, last: Option<usize>) -> Vec<usize> {
    let is_panic = is_panic(peers);
    let may = |peer: &Peer<'_>| {
        !peer.tried
            && match peer.standing {
                Standing::Well => true,
                Standing::Ejected => is_panic,
                Standing::Unreached => false,
            }
    };
    let all: Vec<usize> = (0..peers.len()).filter(|place| may(&peers[*place])).collect();
    let just_failed = |place: usize| Some(place) == ask.failed_at || (Some(place) == last && peers[place].failing);
    let others: Vec<usize> = all.iter().copied().filter(|place| !just_failed(*place)).collect();
    let of = if others.is_empty() || planted::is("dead_picked_again") { all } else { others };
    let lowest = of.iter().map(|place| peers[*place].tier).min();
    of.into_iter().filter(|place| Some(peers[*place].tier) == lowest).collect()
}

/// Fewer than half are well: the rest would fall over under the load of all, so those whose calls failed are called again. Those
/// that can't be reached aren't: there a call would only wait.
fn is_panic(peers: &[Peer<'_>]) -> bool {
    let well = peers.iter().filter(|peer| peer.standing == Standing::Well).count();
    well * 2 < peers.len()
}

/// How many may be ejected for failed calls at the same time: half, and never the only one.
pub(super) fn ejected_max(peers: usize) -> usize {
    peers / 2
}

fn least_of_two(peers: &[Peer<'_>], candidates: &[usize], dice: &mut dyn FnMut() -> f64) -> Option<usize> {
    let mut draw = |from: usize| ((dice() * from as f64) as usize).min(from.saturating_sub(1));
    if candidates.len() < 2 {
        return candidates.first().copied();
    }
    let one = draw(candidates.len());
    let mut other = draw(candidates.len() - 1);
    if other >= one {
        other += 1;
    }
    let (one, other) = (candidates[one], candidates[other]);
    Some(if peers[other].in_flight < peers[one].in_flight { other } else { one })
}

fn in_turn(candidates: &[usize], owed: &mut Vec<i64>, peers: usize, weight: impl Fn(usize) -> i64) -> Option<usize> {
    owed.resize(peers, 0);
    let total: i64 = candidates.iter().map(|place| weight(*place)).sum();
    candidates.iter().for_each(|place| owed[*place] += weight(*place));
    // Of several, the first.
    let picked = candidates.iter().copied().rev().max_by_key(|place| owed[*place])?;
    owed[picked] -= total;
    Some(picked)
}

/// The first in the saga's own order that isn't overloaded.
fn own(peers: &[Peer<'_>], candidates: &[usize], saga: u64) -> Option<usize> {
    let mut ranked: Vec<(u64, usize)> =
        candidates.iter().map(|place| (attraction(saga, peers[*place].name), *place)).collect();
    ranked.sort_by(|one, other| other.cmp(one));
    let under_way: u64 = candidates.iter().map(|place| u64::from(peers[*place].in_flight)).sum();
    // In quarters, and rounded up by the comparison.
    let bound = LOAD_QUARTERS * (under_way + 1);
    let has_room = |place: usize| u64::from(peers[place].in_flight) * 4 * (candidates.len() as u64) < bound;
    let first = ranked.first().map(|(_, place)| *place);
    ranked.into_iter().map(|(_, place)| place).find(|place| has_room(*place)).or(first)
}

/// How much an address wants a saga: rendezvous hashing, the same on every node.
fn attraction(saga: u64, name: &str) -> u64 {
    hash(format!("{saga:016x}/{name}").as_bytes())
}

/// A hash that stays the same over versions and machines.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let Digest(digest) = Digest::of(bytes);
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
