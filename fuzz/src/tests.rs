//! The corpora and drawn inputs, replayed.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use tripline_sansio::{Random, Seed};

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
