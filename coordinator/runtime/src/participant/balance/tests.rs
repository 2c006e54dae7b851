//! The rules of picking, over worlds that chance makes.

use proptest::prelude::*;

use super::*;

const WAYS: [Balancing; 4] = [Balancing::LeastRequest, Balancing::RoundRobin, Balancing::Weighted, Balancing::SagaHash];

/// A name; calls under way, weight, tier, standing, failing, tried.
type Drawn = (String, (u32, u32, u16, Standing, bool, bool));

fn peer(name: &str) -> Peer<'_> {
    Peer { name, in_flight: 0, weight: 1, tier: 0, standing: Standing::Well, failing: false, tried: false }
}

fn ask(saga: u64) -> Ask {
    Ask { saga: hash(&saga.to_be_bytes()), failed_at: None }
}

/// A generator of numbers that are spread evenly and the same in every run.
fn dice(mut seed: u64) -> impl FnMut() -> f64 {
    move || {
        seed = hash(&seed.to_be_bytes());
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-z0-9]{1,8}", 1..10).prop_map(|names| names.into_iter().collect())
}

fn standing() -> impl Strategy<Value = Standing> {
    prop::sample::select(vec![Standing::Well, Standing::Ejected, Standing::Unreached])
}

prop_compose! {
    fn world()(names in names())(
        rest in prop::collection::vec((0_u32..9, 1_u32..9, 0_u16..3, standing(), any::<bool>(), any::<bool>()), names.len()),
        names in Just(names),
    ) -> Vec<Drawn> {
        names.into_iter().zip(rest).collect()
    }
}

fn peers(world: &[Drawn]) -> Vec<Peer<'_>> {
    world
        .iter()
        .map(|(name, (in_flight, weight, tier, standing, failing, tried))| Peer {
            name,
            in_flight: *in_flight,
            weight: *weight,
            tier: *tier,
            standing: *standing,
            failing: *failing,
            tried: *tried,
        })
        .collect()
}

fn run(way: Balancing, peers: &[Peer<'_>], picks: u64, seed: u64) -> Vec<usize> {
    let (mut turns, mut dice) = (Turns::default(), dice(seed));
    (0..picks).map(|saga| pick(way, peers, ask(saga), &mut turns, &mut dice).unwrap()).collect()
}

fn counts(picks: &[usize], peers: usize) -> Vec<usize> {
    (0..peers).map(|place| picks.iter().filter(|picked| **picked == place).count()).collect()
}

proptest! {
    /// Whatever is known: only what may be picked is, something is where something may be, and neither the address that just
    /// failed nor the one where this call failed is picked while another one may.
    #[test]
    fn what_just_failed_isnt_picked_while_another_lives(
        world in world(), last in 0_usize..10, failed_at in 0_usize..12, saga: u64, seed: u64,
    ) {
        let peers = peers(&world);
        let last = (last < peers.len()).then_some(last);
        let ask = Ask { saga, failed_at: (failed_at < peers.len()).then_some(failed_at) };
        let may = |place: usize| {
            let peer = &peers[place];
            let well = peers.iter().filter(|peer| peer.standing == Standing::Well).count();
            !peer.tried && (peer.standing == Standing::Well || (peer.standing == Standing::Ejected && well * 2 < peers.len()))
        };
        let is_bad = |place: usize| Some(place) == ask.failed_at || (Some(place) == last && peers[place].failing);
        for way in WAYS {
            let mut turns = Turns { last, ..Turns::default() };
            let picked = pick(way, &peers, ask, &mut turns, &mut dice(seed));
            let any = (0..peers.len()).any(may);
            prop_assert_eq!(picked.is_some(), any, "{:?}", way);
            let Some(picked) = picked else { continue };
            prop_assert!(may(picked), "{way:?} picked {picked} of {peers:?}");
            let others: Vec<usize> = (0..peers.len()).filter(|place| may(*place) && !is_bad(*place)).collect();
            prop_assert!(!is_bad(picked) || others.is_empty(), "{way:?} picked what just failed: {picked} of {peers:?}");
            let lowest = others.iter().map(|place| peers[*place].tier).min();
            prop_assert!(lowest.is_none_or(|lowest| peers[picked].tier == lowest), "{way:?} passed over a lower tier");
        }
    }

    /// A dead one among others, never noticed but by its failing: no two picks in a row are of it.
    #[test]
    fn a_dead_address_is_never_picked_twice_in_a_row(names in names(), dead in 0_usize..10, seed: u64) {
        prop_assume!(names.len() > 1);
        let dead = dead % names.len();
        let mut peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
        for way in WAYS {
            let (mut turns, mut dice) = (Turns::default(), dice(seed));
            let mut before = None;
            for saga in 0..100 {
                let picked = pick(way, &peers, ask(saga), &mut turns, &mut dice).unwrap();
                prop_assert!(picked != dead || before != Some(dead), "{way:?}");
                peers[picked].failing = picked == dead;
                before = Some(picked);
            }
        }
    }

    /// Each is picked exactly as often as its weight says, in every round; nobody waits longer than a round.
    #[test]
    fn turns_and_weights_are_exact(names in names(), weights in prop::collection::vec(1_u32..7, 10)) {
        let mut peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
        for (peer, weight) in peers.iter_mut().zip(&weights) {
            peer.weight = *weight;
        }
        let round: u32 = peers.iter().map(|peer| peer.weight).sum();
        let picks = run(Balancing::Weighted, &peers, u64::from(round) * 3, 0);
        for round in picks.chunks(round as usize) {
            let expected: Vec<usize> = peers.iter().map(|peer| peer.weight as usize).collect();
            prop_assert_eq!(counts(round, peers.len()), expected);
        }
        let picks = run(Balancing::RoundRobin, &peers, peers.len() as u64 * 3, 0);
        for round in picks.chunks(peers.len()) {
            prop_assert_eq!(counts(round, peers.len()), vec![1; peers.len()]);
        }
    }

    /// With turns, whoever can be picked comes about, however the others come and go.
    #[test]
    fn nobody_is_starved_by_changes(names in names(), standings in prop::collection::vec(any::<[bool; 10]>(), 60)) {
        let mut peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
        let (mut turns, mut waited) = (Turns::default(), 0);
        for (saga, there) in standings.iter().enumerate() {
            for (place, peer) in peers.iter_mut().enumerate() {
                // The first is always there.
                peer.standing = if place == 0 || there[place] { Standing::Well } else { Standing::Unreached };
            }
            let picked = pick(Balancing::RoundRobin, &peers, ask(saga as u64), &mut turns, &mut dice(1)).unwrap();
            waited = if picked == 0 { 0 } else { waited + 1 };
            prop_assert!(waited <= 2 * peers.len(), "the first one waited for {waited} picks");
        }
    }

    /// One that comes takes sagas from others and moves nothing between them; one that goes moves its own only.
    #[test]
    fn a_saga_stays_where_it_is_when_others_come_and_go(names in names(), new in "[A-Z]{1,8}") {
        let mut peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
        let before = run(Balancing::SagaHash, &peers, 200, 0);
        peers.push(peer(&new));
        let after = run(Balancing::SagaHash, &peers, 200, 0);
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(before == after || *after == names.len());
        }
        peers.rotate_right(1);
        let turned = run(Balancing::SagaHash, &peers, 200, 0);
        for (one, other) in after.iter().zip(&turned) {
            prop_assert_eq!((one + 1) % peers.len(), *other, "the order of the list doesn't matter");
        }
    }

    /// Nobody gets more than a quarter over the average while sagas of one address come in.
    #[test]
    fn a_sagas_own_address_isnt_overloaded(names in names(), saga: u64) {
        let mut peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
        let mut turns = Turns::default();
        for under_way in 1..=200_u64 {
            let picked = pick(Balancing::SagaHash, &peers, ask(saga), &mut turns, &mut dice(1)).unwrap();
            peers[picked].in_flight += 1;
            let bound = (5 * under_way).div_ceil(4 * peers.len() as u64);
            prop_assert!(u64::from(peers[picked].in_flight) <= bound, "{peers:?}");
        }
    }
}

#[test]
fn the_least_of_two_spreads_evenly_and_keeps_away_from_the_busy() {
    let names: Vec<String> = (0..8).map(|number| format!("e{number}")).collect();
    let mut peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
    let even = counts(&run(Balancing::LeastRequest, &peers, 8_000, 7), 8);
    // Nine standard deviations.
    assert!(even.iter().all(|count| (730..1_270).contains(count)), "{even:?}");
    peers[3].in_flight = 1;
    let busy = counts(&run(Balancing::LeastRequest, &peers, 8_000, 7), 8);
    assert_eq!(busy[3], 0, "whoever is drawn with it has fewer");
    peers[5].in_flight = 1;
    let two_busy = counts(&run(Balancing::LeastRequest, &peers, 8_000, 7), 8);
    assert!(two_busy[3] + two_busy[5] < 8_000 / 20, "only when both are drawn: {two_busy:?}");
}

#[test]
fn sagas_spread_over_all_by_their_hash() {
    let names: Vec<String> = (0..8).map(|number| format!("http://10.0.0.{number}:7503")).collect();
    let peers: Vec<Peer<'_>> = names.iter().map(|name| peer(name)).collect();
    let counts = counts(&run(Balancing::SagaHash, &peers, 8_000, 0), 8);
    assert!(counts.iter().all(|count| (730..1_270).contains(count)), "{counts:?}");
}

#[test]
fn with_too_few_well_the_ejected_are_called_again_and_the_unreachable_are_not() {
    let mut peers = ["a", "b", "c", "d"].map(peer);
    peers[0].standing = Standing::Ejected;
    peers[1].standing = Standing::Ejected;
    assert_eq!(candidates(&peers, ask(0), None), [2, 3], "half are well");
    peers[2].standing = Standing::Unreached;
    assert_eq!(candidates(&peers, ask(0), None), [0, 1, 3]);
    assert_eq!([1, 2, 3, 4].map(ejected_max), [0, 1, 1, 2]);
}
