//! The breaker's states, each way from one to the next.

use amends_engine::ids::{Namespace, SagaId};
use proptest::prelude::*;

use super::*;

fn saga(number: u64) -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(&format!("s{number}")).unwrap() }
}

fn fail(breaker: &mut Breaker, times: u64, now: Timestamp) {
    for number in 0..times {
        let pass = breaker.pass();
        breaker.ended(pass, Health::Bad, &saga(number), now, 100);
    }
}

fn succeed(breaker: &mut Breaker, times: u64, now: Timestamp) {
    let passes: Vec<Pass> = (0..times).map(|_| breaker.pass()).collect();
    for pass in passes {
        breaker.ended(pass, Health::Good, &saga(1), now, 100);
    }
}

fn opened() -> Breaker {
    let mut breaker = Breaker::new(Timestamp(0));
    breaker.set_resume(Resume { rate: Rate::per_second(20), known: true }, Timestamp(0));
    fail(&mut breaker, 10, Timestamp(0));
    breaker
}

#[test]
fn it_opens_probes_resumes_and_closes() {
    let mut breaker = opened();
    assert_eq!(breaker.state(), BreakerState::Open { until: Timestamp(1_000) });
    assert_eq!(breaker.may(Timestamp(999)), Err(Some(Timestamp(1_000))));
    breaker.tick(Timestamp(1_000), 100);
    assert_eq!(breaker.state(), BreakerState::Probing);
    let passes = [breaker.pass(), breaker.pass(), breaker.pass()];
    assert_eq!(breaker.may(Timestamp(1_000)), Err(None), "three are out");
    for pass in passes {
        breaker.ended(pass, Health::Good, &saga(1), Timestamp(1_010), 100);
    }
    assert_eq!(breaker.state(), BreakerState::Resuming { rate: Rate::per_second(20) });
    breaker.tick(Timestamp(2_000), 1);
    assert_eq!(breaker.state(), BreakerState::Resuming { rate: Rate::per_second(20) });
    breaker.tick(Timestamp(3_000), 0);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn each_probe_that_fails_doubles_the_time_up_to_its_maximum() {
    let mut breaker = opened();
    let mut lengths = Vec::new();
    while lengths.len() < 7 {
        let BreakerState::Open { until } = breaker.state() else { panic!("{:?}", breaker.state()) };
        lengths.push(until.since(breaker.since()).as_secs());
        breaker.tick(until, 100);
        fail(&mut breaker, 1, until);
    }
    assert_eq!(lengths, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn what_was_sent_before_it_opened_says_nothing_about_the_time_after() {
    let mut breaker = Breaker::new(Timestamp(0));
    let old: Vec<Pass> = (0..50).map(|_| breaker.pass()).collect();
    fail(&mut breaker, 10, Timestamp(0));
    breaker.tick(Timestamp(1_000), 100);
    for pass in &old[..25] {
        breaker.ended(*pass, Health::Good, &saga(1), Timestamp(1_001), 100);
    }
    assert_eq!(breaker.state(), BreakerState::Probing);
    succeed(&mut breaker, 3, Timestamp(1_002));
    for (number, pass) in (0..).zip(&old[25..]) {
        breaker.ended(*pass, Health::Bad, &saga(number), Timestamp(1_003), 100);
    }
    assert!(matches!(breaker.state(), BreakerState::Resuming { .. }));
}

#[test]
fn a_probe_that_says_nothing_is_made_again() {
    let mut breaker = opened();
    breaker.tick(Timestamp(1_000), 100);
    for _ in 0..10 {
        let pass = breaker.pass();
        breaker.ended(pass, Health::Silent, &saga(1), Timestamp(1_001), 100);
        assert_eq!((breaker.state(), breaker.may(Timestamp(1_001))), (BreakerState::Probing, Ok(())));
    }
}

#[test]
fn a_person_holds_it_open_and_lets_go() {
    let mut breaker = Breaker::new(Timestamp(0));
    breaker.set_mode(BreakerMode::Held, Timestamp(5));
    assert_eq!((breaker.state(), breaker.may(Timestamp(u64::MAX))), (BreakerState::Held, Err(None)));
    assert_eq!(breaker.time_of(1, Timestamp(6)), None);
    breaker.set_mode(BreakerMode::Auto, Timestamp(7));
    assert_eq!(breaker.state(), BreakerState::Probing);
    breaker.set_mode(BreakerMode::Off, Timestamp(8));
    fail(&mut breaker, 100, Timestamp(9));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn when_resuming_takes_too_long_the_pace_grows() {
    let mut breaker = opened();
    breaker.tick(Timestamp(1_000), 100);
    succeed(&mut breaker, 3, Timestamp(1_000));
    breaker.tick(Timestamp(60_999), 5);
    assert_eq!(breaker.state(), BreakerState::Resuming { rate: Rate::per_second(20) });
    breaker.tick(Timestamp(61_000), 5);
    assert_eq!(breaker.state(), BreakerState::Resuming { rate: Rate::per_second(22) });
}

#[test]
fn where_nobody_knows_what_is_usual_the_pace_doubles_as_long_as_all_goes_well() {
    let mut breaker = Breaker::new(Timestamp(0));
    breaker.set_resume(Resume { rate: Rate::per_second(10), known: false }, Timestamp(0));
    fail(&mut breaker, 10, Timestamp(0));
    breaker.tick(Timestamp(1_000), 100);
    succeed(&mut breaker, 3, Timestamp(1_000));
    for (now, rate) in [(5_999, 10), (6_000, 20), (11_000, 40), (16_000, 80)] {
        breaker.tick(Timestamp(now), 100);
        assert_eq!(breaker.state(), BreakerState::Resuming { rate: Rate::per_second(rate) });
    }
}

proptest! {
    #[test]
    fn open_lets_nothing_through_and_probing_at_most_three(
        steps in prop::collection::vec((0u64..3_000, 0u8..4, 0u64..5), 1..300),
    ) {
        let mut breaker = Breaker::new(Timestamp(0));
        breaker.set_resume(Resume { rate: Rate::per_second(50), known: true }, Timestamp(0));
        let (mut now, mut out) = (Timestamp(0), Vec::new());
        for (pause, what, number) in steps {
            now = Timestamp(now.0 + pause);
            breaker.tick(now, out.len());
            match what {
                0 | 1 => {
                    let may = breaker.may(now);
                    let is_shut = matches!(breaker.state(), BreakerState::Open { .. } | BreakerState::Held);
                    prop_assert!(may.is_err() || !is_shut);
                    if may.is_ok() {
                        out.push(breaker.pass());
                    }
                }
                _ => {
                    let health = if what == 2 { Health::Good } else { Health::Bad };
                    if let Some(pass) = out.pop() {
                        breaker.ended(pass, health, &saga(number), now, out.len());
                    }
                }
            }
            if let State::Probing { out, good } = &breaker.state {
                prop_assert!(out + good <= PROBES);
            }
        }
    }
}
