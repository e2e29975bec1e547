//! Honest users, a network, and what happens to both, in the language of scenarios.
//!
//! In go bytes, any bytes; they are read as a [`Scenario`], which is played and judged like those
//! of the swarm and those that people write. Nothing else is decided here.
//!
//! The first two bytes are the seed and the kinds of the hosts, the third the first stream. Then
//! come records of seven: what (a word of the tables in `words`), when and who, and five that fill
//! the holes of the word. All is bounded: hosts, records, times, sizes.

mod words;

use std::time::Duration;
use tripline_sim::play::{self, Outcome};
use tripline_sim::scenario::{LinkSpec, Scenario, Seal, Step, units::Time};
use tripline_sim::swarm::run_twice;
use words::{HOSTS, KNOBS, SETTINGS, STEPS, USUAL, fill};

/// The bytes of what comes before the records.
const HEAD: usize = 3;
/// The bytes of a record.
const RECORD: usize = 7;
/// The most records that are read; what follows is ignored.
const RECORDS_MAX: usize = 120;
/// No step happens later.
const LASTS_MAX: Duration = Duration::from_secs(60);
/// How long after the step before one happens, in milliseconds: mostly at once.
const GAPS: [u64; 16] = [0, 0, 0, 0, 0, 1, 5, 10, 10, 20, 50, 100, 200, 500, 1_000, 5_000];

/// Plays what the bytes say; one script in sixteen twice, which must come to the same.
///
/// # Panics
/// If a promise of the transport or a rule of the run loop is broken. The scenario is in the
/// message.
pub fn script(data: &[u8]) {
    outcome(data);
}

/// The same, and what it came to.
pub(crate) fn outcome(data: &[u8]) -> Outcome {
    let scenario = decode(data);
    let result = match scenario.seed % 16 {
        15 => run_twice(&scenario, play::play),
        _ => play::play(&scenario),
    };
    result.unwrap_or_else(|failure| panic!("{failure}\n\n{scenario}"))
}

/// What the bytes say; those that are missing count as zeros.
///
/// # Panics
/// If a table holds what is no word of the language.
pub fn decode(data: &[u8]) -> Scenario {
    let (head, records) = data.split_at(data.len().min(HEAD));
    let [seed, kinds, first] = std::array::from_fn(|at| head.get(at).copied().unwrap_or(0));
    let mut script = Script::new(kinds);
    script.step("0s desk connect server as c");
    script.fill("desk open q {order} {direction} on c", Duration::ZERO, &[first, first >> 2]);
    for record in records.chunks(RECORD).take(RECORDS_MAX) {
        let mut bytes = [0; RECORD];
        bytes[..record.len()].copy_from_slice(record);
        script.record(bytes);
    }
    Scenario {
        name: "fuzzed".into(),
        about: "Read from bytes.".into(),
        seed: seed.into(),
        seal: if kinds >> 5 == 7 { Seal::Real } else { Seal::Fast },
        lasts: script.now,
        nats: Vec::new(),
        hosts: script.hosts.iter().map(|line| parsed(line)).collect(),
        links: script.links,
        steps: script.steps,
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(line: &str) -> T {
    line.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A scenario that grows.
struct Script {
    hosts: Vec<String>,
    links: Vec<LinkSpec>,
    steps: Vec<Step>,
    now: Duration,
}

impl Script {
    fn new(kinds: u8) -> Self {
        let server = if kinds & 7 == 7 { "private" } else { "public" };
        let desk = ["client", "client", "known", "public"][usize::from(kinds >> 2 & 3)];
        let phone = ["client", "known"][usize::from(kinds >> 6 & 1)];
        let all = [server, desk, phone].into_iter().zip(HOSTS).zip(0..);
        let host = |((kind, name), at)| format!("{name} {kind} 10.0.{at}.1:1000");
        let hosts = all.take(if kinds & 16 == 0 { 2 } else { 3 }).map(host).collect();
        Self { hosts, links: Vec::new(), steps: Vec::new(), now: Duration::ZERO }
    }

    /// A setting, a knob, or a step.
    fn record(&mut self, [what, when, holes @ ..]: [u8; RECORD]) {
        let place = usize::from(what % 64);
        let gap = Duration::from_millis(GAPS[usize::from(when % 16)]);
        match (what / 64, SETTINGS.get(place), KNOBS.get(place), STEPS.get(place)) {
            (0, Some(setting), _, _) => {
                let at = usize::from(when) % self.hosts.len();
                let setting = self.filled(setting, &holes);
                self.hosts[at] += &format!(" {setting}");
            }
            (1, _, Some(knob), _) if when < 128 => {
                let link = self.filled(&format!("{{way}} {knob}"), &holes);
                self.links.push(parsed(&link));
            }
            (1, _, Some(knob), _) => self.fill(&format!("link {{way}} {knob}"), gap, &holes),
            (2, _, _, Some(step)) => self.fill(step, gap, &holes),
            _ => self.fill(USUAL[place % USUAL.len()], gap, &holes),
        }
    }

    fn filled(&self, entry: &str, holes: &[u8]) -> String {
        let mut holes = holes.iter();
        fill(entry, self.hosts.len(), || holes.next().copied().unwrap_or(0))
    }

    /// A step, some time after the one before.
    fn fill(&mut self, entry: &str, gap: Duration, holes: &[u8]) {
        self.now = (self.now + gap).min(LASTS_MAX);
        let line = format!("{} {}", Time(self.now), self.filled(entry, holes));
        self.step(&line);
    }

    fn step(&mut self, line: &str) {
        self.steps.push(parsed(line));
    }
}
