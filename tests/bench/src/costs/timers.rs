//! What one deadline among many costs (row N35): the structure that finds the earliest of an
//! endpoint's connections, and of whatever users drive in loops of their own.
//!
//! In goes how often to measure; out come lines for a thousand and for a million deadlines, of
//! which each run moves some, lets some fire, and leaves some where they are.

use std::hint::black_box;
use std::time;

use tripline_sansio::{Deadlines, Duration, Instant, Random, Seed};

use super::Line;

/// How many deadlines there are.
const SIZES: [u32; 2] = [1_000, 1_000_000];
/// Calls of a run.
const CALLS: u32 = 10_000;
/// All lie within this time at first.
const SPAN: Duration = Duration::from_secs(30);
/// How many lines there are.
#[cfg(test)]
pub const LINES: usize = 3 * SIZES.len();

/// All lines.
pub fn measure(runs: usize) -> Vec<Line> {
    SIZES.into_iter().flat_map(|size| of_size(size, runs)).collect()
}

fn of_size(size: u32, runs: usize) -> [Line; 3] {
    let mut random = Seed::from_number(1).random("deadlines");
    let mut deadlines = Deadlines::default();
    let span = SPAN.as_nanos() as u64;
    let mut at: Vec<Instant> = (0..size).map(|_| Instant::from_nanos(random.below(span))).collect();
    (0..).zip(&at).for_each(|(slot, at)| deadlines.set(slot, Some(*at)));
    let (mut moved, mut fired, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let slots: Vec<u32> = (0..CALLS).map(|_| below(&mut random, size)).collect();
        // Each packet moves its connection's deadline to as much later as it came later.
        moved.push(nanos(|| {
            for slot in &slots {
                let own = &mut at[*slot as usize];
                *own += SPAN;
                deadlines.set(*slot, Some(*own));
            }
        }));
        fired.push(nanos(|| {
            for _ in 0..CALLS {
                let Some(slot) = deadlines.due(Instant::MAX) else { break };
                let own = &mut at[slot as usize];
                *own += SPAN;
                deadlines.set(slot, Some(*own));
            }
        }));
        left.push(nanos(|| {
            for slot in &slots {
                deadlines.set(*slot, Some(at[*slot as usize]));
                black_box(deadlines.first());
            }
        }));
    }
    let line = |call: &str, runs: &[f64]| Line::new(format!("{call}, of {size}"), runs);
    [
        line("a deadline: moving it 30 s", &moved),
        line("a deadline: firing, and set anew", &fired),
        line("a deadline: left as it is, and the earliest", &left),
    ]
}

fn below(random: &mut Random, size: u32) -> u32 {
    u32::try_from(random.below(u64::from(size))).unwrap_or_default()
}

/// Nanoseconds of one of the [`CALLS`] that `act` makes.
fn nanos(act: impl FnOnce()) -> f64 {
    let begun = time::Instant::now();
    act();
    begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
}
