//! What is on the heap: nothing that a run made is left when it is over (row T80), machines give
//! back what their connections took (I13), and one with a budget keeps to it.
//!
//! A library cannot set the allocator that counts; whoever can hands in a [`HeapProbe`]. Machines
//! are weighed by dropping them: when their host crashes, with all they hold, and in the end, when
//! they hold nothing any more.

use super::fault::{Fault, Verdict, ensure};
use super::player::Player;
use super::stage;
use crate::scenario::{Action, Deed, Step};
use std::hint::black_box;
use tripline::{Config, Endpoint, GuardConfig};

/// What a machine may keep when its last connection is gone, in bytes, beside what it began with:
/// tables that are made when first needed and kept at that size.
pub const KEPT_MAX: i64 = 64 << 10;
/// The same for each connection that it ever had: places in tables, which hold as many as there
/// were at once, and grow by doubling.
pub const KEPT_EACH: i64 = 2 << 10;
/// What a connection may hold besides the bytes of its streams: keys, numbers, ranges, tables.
const CONNECTION: i64 = 64 << 10;
/// The same for each stream.
const STREAM: i64 = 2 << 10;

/// The table of neighbourhoods, made when a client first shows a token that RETRY gave it
/// (PROTOCOL.md §11): 2^14 buckets of 8 bytes.
const PREFIXES: i64 = 128 << 10;

/// How many bytes are on the heap.
///
/// ```
/// use tripline_sim::{play, scenarios};
/// // Whoever has set a counting allocator asks it here.
/// let probe = || 0_i64;
/// let scenario = scenarios::find("hotel-wifi").unwrap().parse().unwrap();
/// assert!(play::play_weighed(&scenario, &probe).is_ok());
/// ```
pub trait HeapProbe {
    /// What was allocated so far and not given back, by everything that runs with what is probed:
    /// nothing else may run beside it.
    fn held(&self) -> i64;
}

impl<F: Fn() -> i64> HeapProbe for F {
    fn held(&self) -> i64 {
        self()
    }
}

/// What becomes of `value`'s memory: how many bytes are given back.
fn weigh<T>(probe: &dyn HeapProbe, value: T) -> i64 {
    let before = probe.held();
    drop(black_box(value));
    before - probe.held()
}

impl Player<'_> {
    /// A host crashes with this machine: with a budget, it kept to that.
    pub(super) fn weigh_crashed(&mut self, host: usize, machine: Endpoint) -> Verdict {
        let Some(probe) = self.probe else { return Ok(()) };
        let spec = self.actors[host].spec;
        let live = machine.connections();
        let held = weigh(probe, machine);
        let Some(budget) = stage::memory(spec) else { return Ok(()) };
        let most = self.declared(host, live, budget);
        ensure(held <= most, "I13", || {
            format!("{} held {held} bytes for {live} connections, at most {most} may", spec.name)
        })
    }

    /// What a machine with a budget may hold: that, and what is not a matter of it.
    fn declared(&self, host: usize, live: usize, budget: u64) -> i64 {
        let pacts = self.actors[host].pacts.iter().map(|pact| &self.pacts[*pact]);
        let streams = pacts.flat_map(|pact| &pact.streams);
        // A message that is longer than the sender's buffer is taken all the same, if it is empty.
        let (count, longest) = streams.fold((0, 0), |(count, most), stream| {
            let longest = stream.halves.iter().flatten().map(|half| half.longest()).max();
            (count + 1, most + longest.unwrap_or_default())
        });
        let connections = i64::try_from(live).unwrap_or(i64::MAX).saturating_mul(CONNECTION);
        let bytes = i64::try_from(budget.saturating_add(longest)).unwrap_or(i64::MAX);
        let strangers = i64::try_from(GuardConfig::memory_max()).unwrap_or(i64::MAX);
        bytes
            .saturating_add(connections)
            .saturating_add(STREAM * count)
            .saturating_add(strangers)
            .saturating_add(self.kept_most(host))
    }

    fn kept_most(&self, host: usize) -> i64 {
        let pacts = i64::try_from(self.actors[host].pacts.len()).unwrap_or(i64::MAX);
        let is_attack =
            |deed: &Deed| matches!(deed, Deed::Flood(..) | Deed::Replay(..) | Deed::Garbage(..));
        let attacked =
            |step: &Step| matches!(&step.action, Action::Host(_, deed) if is_attack(deed));
        // Under attack the tables for strangers are as large as they get.
        let asked = self.inspector.host_ledger(self.actors[host].id).retries > 0;
        let strangers = match self.scenario.steps.iter().any(attacked) {
            true => i64::try_from(GuardConfig::memory_max()).unwrap_or(i64::MAX),
            false if asked => PREFIXES,
            false => 0,
        };
        KEPT_MAX.saturating_add(strangers).saturating_add(KEPT_EACH.saturating_mul(pacts))
    }

    /// I13: when all is over, machines are back at what they began with.
    pub(super) fn weigh_all(&mut self) -> Verdict {
        let Some(probe) = self.probe else { return Ok(()) };
        for host in 0..self.actors.len() {
            let actor = &self.actors[host];
            let now = self.world.now();
            let fresh = Endpoint::new(Config::client(), &stage::seed(self.scenario), now);
            let old = self.world.replace(actor.id, fresh);
            let kept = weigh(probe, old);
            // What one of its kind holds that has seen nothing.
            let first = stage::Life { number: 0, now };
            let newborn = stage::endpoint(self.scenario, actor.spec, first, &self.inspector, None);
            let most = self.kept_most(host).saturating_add(weigh(probe, newborn));
            if kept > most {
                let name = &self.actors[host].spec.name;
                let what = format!("{name} keeps {kept} bytes in the end, at most {most} may");
                return Err(Fault::new("I13", what));
            }
        }
        Ok(())
    }
}
