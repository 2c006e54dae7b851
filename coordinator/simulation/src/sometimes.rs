//! What must have happened in enough runs: a simulation that never gets there would prove nothing.
//!
//! Each property has the words by which a run's trace shows it. It judges no run. Invariant: every property can be missed, so that
//! an empty pass shows.

/// One in so many runs at least must show each property: 100 in 200,000.
pub const ONE_IN: u64 = 2_000;

/// What was seen in a run: one entry per property, in the order of [`SOMETIMES`].
pub type Seen = Vec<bool>;

/// A property, and the words that show it, all in one line of a trace.
pub const SOMETIMES: [(&str, &[&str]); 40] = [
    ("an owner that was replaced was fenced", &[": fenced:"]),
    ("a double took a shard under its owner's name", &["gives shard", "to a double"]),
    ("a participant refused an owner that was replaced", &["AMENDS_STALE_EPOCH"]),
    ("a commit came twice and was recognised", &["commit", ": duplicate"]),
    ("a commit came twice and was stale", &["commit", ": stale:"]),
    ("a fail-over lost a commit that nobody had been told of", &["store fails over", "1 commits in them"]),
    ("a fail-over lost nothing", &["store fails over: 0 changes lost"]),
    ("a commit was refused because the disk was full", &["commit: refused"]),
    ("the store was away", &["store is away"]),
    ("a node was cut off from the store", &["is cut off at Store"]),
    ("a node was cut off from its participants", &["is cut off at Call"]),
    ("a node was cut off from the others", &["is cut off at Peer"]),
    ("clients were cut off", &["node 0 is cut off"]),
    ("a node's clock was set forward", &["machine", "clock is set by 90000"]),
    ("a node's clock was set back", &["machine", "clock is set by -90000"]),
    ("the store's clock was set back", &["store's clock is set by -90000"]),
    ("a node was killed between an intent and its call", &["action call: crash before"]),
    ("a node was killed while a call was on its way", &["action call: crash during"]),
    ("a node was killed before a result was durable", &["result commit: crash before"]),
    ("a node was killed with a decision on its way", &["decision commit: crash during"]),
    ("a node was killed when it had just taken a shard", &["acquire: crash after"]),
    ("a frozen node went on", &["goes on"]),
    ("a node was stopped cleanly", &["was stopped"]),
    ("an action came after its compensation", &["action attempt", "arrived", "AMENDS_COMPENSATED"]),
    ("a compensation came before its action", &["compensate attempt 1", "arrived", "Ok(0 bytes"]),
    ("a participant's handler failed and kept nothing", &["the handler failed"]),
    ("a pending operation was finished", &["finished later: Done"]),
    ("a pending operation was refused in the end", &["finished later: Refused"]),
    ("a pending operation was overtaken by its compensation", &["finished later: Nothing"]),
    ("a query found that the effect stands", &["query attempt", "arrived", "Ok("]),
    ("a query found nothing", &["query attempt", "arrived", "NotFound"]),
    ("a confirm was called", &["confirm attempt", "arrived", "Ok("]),
    ("a start was acknowledged by a repeat", &["acknowledged, new: false"]),
    ("a saga turned back because it was cancelled", &["asked to Cancel: changed: true"]),
    ("a saga was moved to another version", &["Repin", "changed: true"]),
    ("a definition was held", &["asked to Hold: changed: true"]),
    ("a saga was stopped where it stood", &["asked to ForceStop: changed: true"]),
    ("an operator's retry was taken", &["operator: Wish(Retry)", "changed: true"]),
    ("an operator looked after a stuck saga", &["operator: Wish(Acknowledge)", "changed: true"]),
    ("an operator gave an operation up or said what became of it", &["operator: ", "changed: true"]),
];

/// Which properties a trace shows.
pub fn seen(trace: &[String]) -> Seen {
    let shows = |words: &[&str]| trace.iter().any(|line| words.iter().all(|word| line.contains(word)));
    SOMETIMES.iter().map(|(_, words)| shows(words)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_in_which_nothing_happens_shows_nothing() {
        assert!(!seen(&["      0 node 1 starts on machine 1".to_owned()]).contains(&true));
        let told = seen(&["      7 s0, operator: Wish(Retry): changed: true".to_owned()]);
        assert_eq!(told.iter().filter(|seen| **seen).count(), 2, "a retry is one of the things that an operator does");
    }
}
