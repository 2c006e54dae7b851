//! The chain over writes that succeed and fail, over a new tenure, and over a flood.

use super::*;
use crate::audit::Call;

fn note(id: u128, result: AuditResult) -> Note {
    let call = Call { id, method: "Operations/Pause".to_owned(), ..Call::default() };
    Note { call, at: Timestamp(1_000), result, message: String::new(), revision: 0, node: "node-1".to_owned() }
}

fn opened() -> Scribe<()> {
    let mut scribe = Scribe::new(ShardId(2), Timestamp(0));
    scribe.opened(1, &[]);
    scribe
}

fn entries(log: &[Append]) -> Vec<Entry> {
    log.iter().map(|append| Entry::decode(&parts(&append.body).unwrap().1).unwrap()).collect()
}

#[track_caller]
fn is_chained(log: &[Append]) {
    let mut last = NONE;
    for (number, append) in (1..).zip(log) {
        assert_eq!((append.number, parts(&append.body).unwrap().0), (number, last));
        last = Digest::of(&append.body);
    }
    let numbers: Vec<u64> = entries(log).iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=log.len() as u64).collect::<Vec<_>>(), "what is written says its own number");
}

#[test]
fn a_write_that_was_rejected_leaves_no_trace_in_the_chain() {
    let mut scribe = opened();
    let mut log = scribe.begin([note(1, AuditResult::Done), note(2, AuditResult::Done)]);
    assert!(scribe.is_writing() && !scribe.is_free());
    scribe.ended(true);
    scribe.begin([note(3, AuditResult::Done)]);
    scribe.ended(false);
    log.extend(scribe.begin([note(4, AuditResult::Done)]));
    is_chained(&log);
    assert_eq!(log.len(), 3);
}

#[test]
fn the_next_owner_goes_on_with_the_chain_and_knows_what_was_written() {
    let mut first = opened();
    let mut log = first.begin((1..=100).map(|id| note(id, AuditResult::Done)));
    // Whether the last owner heard of it or not.
    let tail: Vec<_> = log[40..].iter().map(|append| (append.number, append.body.clone())).collect();
    let mut second = Scribe::new(ShardId(2), Timestamp(0));
    assert!(!second.is_free(), "before the end is known nothing is written");
    second.opened(101, &tail);
    let again = second.admit(note(100, AuditResult::Done), (), false, Timestamp(0));
    assert_eq!(again, Err((NotTaken::Written, ())));
    let mut late = note(101, AuditResult::Done);
    late.at = Timestamp(7);
    assert!(second.admit(late, (), false, Timestamp(0)).is_ok());
    let notes = second.next_notes();
    log.extend(second.begin(notes.into_iter().map(|(note, ())| note)));
    is_chained(&log);
    assert_eq!(entries(&log).last().unwrap().note.at, Timestamp(1_000), "times don't go back");
}

#[test]
fn an_entry_that_cant_be_read_holds_the_chain_together() {
    let mut scribe: Scribe<()> = Scribe::new(ShardId(0), Timestamp(0));
    let odd = chained(NONE, b"\xff of a newer version");
    scribe.opened(2, &[(1, odd.clone())]);
    let next = scribe.begin([note(1, AuditResult::Done)]);
    assert_eq!(parts(&next[0].body).unwrap().0, Digest::of(&odd));
}

#[test]
fn a_flood_of_refusals_is_counted_and_never_keeps_out_what_was_done() {
    let mut scribe = opened();
    let mut left_out = 0;
    for id in 1..=10_000 {
        match scribe.admit(note(id, AuditResult::Refused), (), false, Timestamp(0)) {
            Ok(()) => {}
            Err((why, ())) => {
                assert_eq!(why, NotTaken::LeftOut);
                left_out += 1;
            }
        }
    }
    assert_eq!(left_out, 10_000 - u64::from(BUCKET));
    assert!(scribe.admit(note(20_000, AuditResult::Done), (), false, Timestamp(0)).is_ok());
    assert!(scribe.admit(note(20_001, AuditResult::Done), (), true, Timestamp(0)).is_err(), "a repeat is as cheap");
    let mut log = Vec::new();
    loop {
        let notes = scribe.next_notes();
        if notes.is_empty() {
            break;
        }
        // The first try is rejected: its count isn't lost with it.
        scribe.begin(notes.iter().map(|(note, ())| note.clone()));
        scribe.ended(false);
        log.extend(scribe.begin(notes.into_iter().map(|(note, ())| note)));
        scribe.ended(true);
    }
    is_chained(&log);
    assert_eq!(log.len(), BUCKET as usize + 1);
    assert_eq!(entries(&log).iter().map(|entry| entry.left_out).sum::<u64>(), left_out + 1);
    let later = Timestamp(0) + REFILL * 3;
    let admitted = (0..5).filter(|id| scribe.admit(note(30_000 + id, AuditResult::Refused), (), false, later).is_ok());
    assert_eq!(admitted.count(), 3, "one more a minute");
}
