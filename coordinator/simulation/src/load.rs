//! Which sagas a run has, what they are given, and what people ask of them meanwhile.
//!
//! Only plans: `client.rs` carries them out. Invariant: a plan follows from its seed alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::library::{Entry, Library};
use crate::seams::Dice;

/// What somebody asks of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Turn back.
    Cancel,
    /// Start nothing more.
    Pause,
    /// Go on.
    Resume,
    /// Don't wait with what is due later.
    Retry,
    /// Somebody looks after it.
    Acknowledge,
    /// Go on with the newest version of the definition.
    Repin,
    /// Begin no attempt of any saga of its definition.
    Hold,
    /// Go on with those.
    Release,
    /// Stop where it stands.
    ForceStop,
}

/// One saga to be run.
#[derive(Debug, Clone)]
pub struct SagaPlan {
    /// Its id.
    pub id: String,
    /// The definition.
    pub definition: String,
    /// What is refused, separated by blanks: "ship" is a step's action, "ship.compensate" another operation of it.
    pub refuse: String,
    /// Operations that answer later, separated by blanks: "ship.action".
    pub pend: String,
    /// Which version it is started with; the newest where none is named.
    pub version: Option<u32>,
    /// What it is started with; where there is none, what our own definitions expect.
    pub input: Option<Value>,
    /// What the conditional step looks at.
    pub express: bool,
    /// When it is started.
    pub at: Duration,
    /// What is asked of it, and how long after its start.
    pub wishes: Vec<(Duration, Wish)>,
}

impl SagaPlan {
    /// A saga in which nothing is refused, pending or asked.
    pub fn plain(id: &str, definition: &str) -> Self {
        Self {
            id: id.to_owned(),
            definition: definition.to_owned(),
            refuse: String::new(),
            pend: String::new(),
            version: None,
            input: None,
            express: true,
            at: Duration::ZERO,
            wishes: Vec::new(),
        }
    }

    /// Its input, as JSON bytes.
    pub(crate) fn input(&self) -> Vec<u8> {
        let ours = || json!({ "refuse": self.refuse, "express": self.express });
        self.input.clone().unwrap_or_else(ours).to_string().into_bytes()
    }

    /// Some sagas by the seed.
    pub(crate) fn some(library: &Library, dice: &Dice) -> Vec<Self> {
        // One definition in a run: compiling it anew after each crash is what takes the time.
        let Some(entry) = dice.pick(library.entries()) else { return Vec::new() };
        (0..1 + dice.below(5)).map(|number| Self::by_chance(&format!("s{number}"), entry, dice)).collect()
    }

    fn by_chance(id: &str, entry: &Entry, dice: &Dice) -> Self {
        let step = |per_mille| dice.chance(per_mille).then(|| dice.pick(&entry.steps).cloned()).flatten();
        let of = |word: &str, per_mille| step(per_mille).map(|step| format!("{step}.{word}"));
        let refuse = [step(350), of("compensate", 80), of("confirm", 80)];
        let pend = [of("action", 200), of("compensate", 200), of("confirm", 200)];
        let listed = |items: [Option<String>; 3]| items.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let mut wishes = Vec::new();
        if dice.chance(300) {
            wishes.push((dice.millis(0, 3_000), Wish::Cancel));
        }
        if dice.chance(150) {
            let pause = dice.millis(0, 2_000);
            wishes.push((pause, Wish::Pause));
            wishes.push((pause + dice.millis(0, 8_000), Wish::Resume));
        }
        if dice.chance(80) {
            let hold = dice.millis(0, 2_000);
            wishes.push((hold, Wish::Hold));
            wishes.push((hold + dice.millis(0, 6_000), Wish::Release));
        }
        for (wish, often) in [(Wish::Retry, 80), (Wish::Acknowledge, 60), (Wish::Repin, 200), (Wish::ForceStop, 50)] {
            if dice.chance(often) {
                wishes.push((dice.millis(0, 4_000), wish));
            }
        }
        wishes.sort_by_key(|(at, _)| *at);
        Self {
            refuse: listed(refuse),
            pend: listed(pend),
            version: dice.chance(500).then_some(1),
            input: dice.pick(&entry.inputs).cloned(),
            express: dice.chance(500),
            at: dice.millis(0, 400),
            wishes,
            ..Self::plain(id, entry.name.as_str())
        }
    }
}
