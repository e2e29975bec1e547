//! The corpora and drawn inputs, replayed.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use tripline_sansio::{Duration, Random, Seed};
use tripline_sim::scenario::Action;

/// Runs `body` on `input` and says which input it was, should it fail.
fn replay(body: Body, name: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
        eprintln!("failing input {name}: {input:?}");
        resume_unwind(panic);
    }
}

/// Every file of a corpus, by name; how many there are.
fn replay_corpus(body: Body, folder: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let entries = fs::read_dir(&folder).expect("the corpus is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for file in &files {
        replay(body, &file.display().to_string(), &fs::read(file).expect("a file"));
    }
    files.len()
}

fn bytes(random: &mut Random, len: u64) -> Vec<u8> {
    (0..len).map(|_| random.bytes::<1>()[0]).collect()
}

/// `count` drawn inputs of up to `most` bytes.
fn replay_drawn(body: Body, label: &str, count: u64, most: u64) {
    for number in 0..count {
        let mut random = Seed::from_number(number).random(label);
        let len = random.below(most);
        let input = bytes(&mut random, len);
        replay(body, &format!("{label} {number}"), &input);
    }
}

/// A harness body.
type Body = fn(&[u8]);

/// Every body, with the name of its corpus.
const BODIES: &[(&str, Body)] = &[
    ("packet", crate::packet),
    ("open", crate::open),
    ("challenge", crate::challenge),
    ("confirm", crate::confirm),
    ("frames", crate::frames),
    ("parameters", crate::parameters),
    ("endpoint", crate::endpoint),
    ("script", crate::script),
];

#[test]
fn the_corpora_pass() {
    for (name, body) in BODIES {
        let files = replay_corpus(*body, name);
        assert!(files >= 5, "{name}: only {files} inputs");
    }
}

#[test]
fn drawn_bytes_behind_a_tag_pass() {
    for (name, body) in BODIES.iter().filter(|(name, _)| !["endpoint", "script"].contains(name)) {
        replay_drawn(*body, name, 1_000, 120);
    }
}

#[test]
fn drawn_scripts_pass() {
    replay_drawn(crate::script, "script", 1_000, 600);
}

#[test]
fn drawn_attacks_pass() {
    replay_drawn(crate::endpoint, "endpoint", 2_000, 400);
}

/// What a script says is right, whatever fills the holes; and the tables reach every verb.
#[test]
fn every_word_is_one_of_the_language() {
    let mut verbs = BTreeSet::new();
    for what in 0..=u8::MAX {
        for hole in 0..=u8::MAX {
            let scenario = crate::decode(&[hole, hole, hole, what, hole, hole, hole, hole, hole]);
            scenario.check().unwrap_or_else(|error| panic!("{error}\n{scenario}"));
            for step in &scenario.steps {
                let line = step.to_string();
                let word = usize::from(matches!(step.action, Action::Host(..)));
                verbs.insert(line.split(' ').nth(1 + word).expect("a verb").to_owned());
            }
        }
    }
    let all = "connect open send finish close-stream stop priority read reading renew close kill \
               network-changed shut-down move crash restart pause jump block replay garbage flood \
               link cut heal";
    assert_eq!(verbs, all.split(' ').map(str::to_owned).collect());
}

/// Scripts are worth something: they connect, send, lose, end and read a lot; and they are bounded.
#[test]
fn scripts_reach_far() {
    let mut sum = [0; 5];
    for number in 0..40 {
        let mut random = Seed::from_number(number).random("far");
        let script = bytes(&mut random, 600);
        assert!(crate::decode(&script).lasts <= Duration::from_secs(60));
        let one = crate::script::outcome(&script);
        let deeds = &one.deeds;
        let all =
            [deeds.connected, deeds.streams, deeds.sent, deeds.received, one.totals.dropped()];
        sum.iter_mut().zip(all).for_each(|(sum, one)| *sum += one);
    }
    let least = [40, 150, 1_000, 500, 400];
    assert!(sum.iter().zip(least).all(|(sum, least)| *sum > least), "{sum:?}");
}

/// The harness can fail: bytes that break a promise are found out.
#[test]
#[should_panic(expected = "found out")]
fn a_failing_body_fails_its_test() {
    replay(|input| assert!(input.is_empty(), "found out"), "made up", &[1]);
}

/// What stands behind the magic tag is heard: the harness reaches the parsers that it is for.
#[test]
fn frames_behind_the_magic_tag_take_effect() {
    let mut ready = crate::stage::Ready::new();
    // The client's one-way stream 0, order ordered: one aligned message of two bytes.
    ready.hear_frames(&[0x13, 0x06, 0x03, 0x02, 0x61, 0x62]);
    let readable = |event: &tripline::Event| matches!(event, tripline::Event::Readable { .. });
    assert!(ready.server.events.iter().any(readable), "{:?}", ready.server.events);
    ready.hear_frames(&[0x3f]);
    assert_eq!(ready.server.ends(), 1, "an unknown frame ends it: {:?}", ready.server.events);
}
