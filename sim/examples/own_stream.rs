//! A protocol over a stream of bytes in the simulator: lines that end in CR LF. The reader has a
//! bug that shows only if the stream is cut between the two.
//!
//! ```console
//! cargo run -p tripline-sim --example own_stream
//! ```
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use tripline_sim::{
    Cut, Duration, Instant, Stream, StreamConfig, StreamCounters, StreamMachine, StreamWorld,
};

/// Writes what it is given, and tells the lines that it gets.
#[derive(Default)]
struct Lines {
    /// It looks for the CR among the bytes of one read only.
    has_bug: bool,
    to_write: Vec<u8>,
    line: Vec<u8>,
    lines: VecDeque<String>,
}

impl StreamMachine for Lines {
    type Event = String;

    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            self.line.push(*byte);
            let ends = if self.has_bug {
                at > 0 && bytes[at - 1..=at] == *b"\r\n"
            } else {
                self.line.ends_with(b"\r\n")
            };
            if ends {
                let line = std::mem::take(&mut self.line);
                self.lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
    }

    fn handle_eof(&mut self, _: Instant) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.to_write);
        !std::mem::take(&mut self.to_write).is_empty()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<String> {
        self.lines.pop_front()
    }
}

/// Four lines.
fn sent() -> impl Iterator<Item = String> {
    (0..4).map(|number| format!("{number}: {}", "-".repeat(60)))
}

/// Sends the lines through a narrow pipe that cuts anywhere; what came out, and how.
fn run(seed: u64, has_bug: bool) -> (Vec<String>, StreamCounters) {
    let mut world = StreamWorld::new(seed);
    let pipe = StreamConfig::perfect().delay(Duration::from_millis(20)).rate(10_000);
    world.set_default_pipe(pipe.buffer(150).cut(Cut::UpTo(200)));
    let reader = Lines { has_bug, ..Lines::default() };
    let ([writer, reader], pipe) =
        world.add_pair([Stream::new(Lines::default()), Stream::new(reader)]);
    world.with(writer, |machine, _| {
        machine.to_write = sent().flat_map(|line| (line + "\r\n").into_bytes()).collect();
    });
    world.half_close(pipe, writer);
    world.run_until_idle(Duration::from_secs(60)).expect("it ends");
    let lines = world.take_events(reader).into_iter().map(|(_, line)| line).collect();
    (lines, world.pipe_counters(pipe, writer))
}

/// The first seed below `most` with which a line is not as it was sent.
fn search(most: u64, has_bug: bool) -> Option<u64> {
    (0..most).find(|seed| !run(*seed, has_bug).0.into_iter().eq(sent()))
}

fn main() {
    let Some(seed) = search(1_000, true) else { return println!("no seed shows the bug") };
    let (lines, counters) = run(seed, true);
    let joined = lines.iter().find(|line| line.contains('\n'));
    println!("seed {seed}: {joined:?} is one line, with {} pieces", counters.pieces);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_bug_and_not_in_the_cure() {
        let seed = search(100, true).expect("a seed shows the bug");
        let (lines, counters) = run(seed, true);
        assert!(lines.iter().any(|line| line.contains("\r\n")), "{lines:?}");
        assert!(counters.full > 0 && counters.pieces > 1, "{counters:?}");
        assert_eq!(search(2_000, false), None);
    }
}
