//! For how long a host has heard nothing from another.
//!
//! A tap notes when a DATA packet of one host was last delivered to another, copies and latecomers
//! apart: what has come before, or proves nothing, ends no silence. So it can be said from outside
//! whether a connection had reason to think that its peer was gone. Where datagrams are changed on
//! the way nothing can be said, because what arrived may have been of no use.

use super::{stage, systems};
use crate::cipher::Map;
use crate::host::HostId;
use crate::rule::Stage;
use crate::scenario::{Action, Deed, Knob, Scenario};
use crate::world::World;
use std::cell::RefCell;
use std::rc::Rc;
use tripline_sansio::{DatagramMachine, Duration, Instant};

/// The first bit of DATA packets (protocol page, §2).
const DATA: u8 = 0x80;

/// What one host has heard of another.
#[derive(Default)]
struct Heard {
    at: Instant,
    /// The same before what came at `at`.
    before: Instant,
    /// One more than the number of the newest datagram that has come.
    next: u64,
}

impl Heard {
    /// The datagram of this number came. Copies prove nothing, and what is late may not: its key
    /// may be gone.
    fn on_came(&mut self, index: u64, now: Instant) {
        if index < self.next {
            return;
        }
        self.next = index + 1;
        if self.at < now {
            self.before = std::mem::replace(&mut self.at, now);
        }
    }

    /// When it last heard something before `now`: what comes at one time with an event may have
    /// come after it.
    fn last_before(&self, now: Instant) -> Instant {
        if self.at < now { self.at } else { self.before }
    }
}

/// When each host last heard each other.
pub(super) struct Hearing {
    /// By receiver and sender; pairs that never spoke have none.
    last: Rc<RefCell<Map<u64, Heard>>>,
    /// Whether anything can be said at all.
    is_certain: bool,
    /// By how much longer a silence may seem to an engine, whose loop hands in with a datagram a
    /// time that is over.
    stale: Duration,
}

impl Hearing {
    /// Nobody has heard anybody yet.
    pub(super) fn of(scenario: &Scenario) -> Self {
        // A clock that jumps, or a host that sleeps, makes its own silence.
        let odd = |action: &Action| {
            matches!(action, Action::Host(_, Deed::Pause(_) | Deed::Jump(_) | Deed::Block(_)))
        };
        let turned = scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Link(link) => Some(link),
            _ => None,
        });
        let damage = scenario.links.iter().chain(turned).flat_map(|link| &link.knobs).any(|knob| {
            matches!(
                knob,
                Knob::Flip(_)
                    | Knob::Swap(_)
                    | Knob::Splice(_)
                    | Knob::Truncate(_)
                    | Knob::Extend(_)
            )
        });
        let clocks = systems::clocks_are_true(scenario);
        let is_certain = clocks && !damage && !scenario.steps.iter().any(|step| odd(&step.action));
        let stale = stage::discipline(scenario).stale_by;
        Self { last: Rc::default(), is_certain, stale }
    }

    /// Listens in the world.
    pub(super) fn attach<M: DatagramMachine>(&self, world: &mut World<M>) {
        let last = self.last.clone();
        world.add_tap(move |packet| {
            let (Stage::Delivered, Some(from), Some(to)) = (packet.stage, packet.from, packet.to)
            else {
                return;
            };
            if packet.bytes.first().is_none_or(|first| first & DATA == 0) {
                return;
            }
            let mut last = last.borrow_mut();
            last.entry(key(to, from)).or_default().on_came(packet.index, packet.now);
        });
    }

    /// For how long `at` has heard nothing from `from`, at most.
    pub(super) fn silence(&self, at: HostId, from: HostId, now: Instant) -> Option<Duration> {
        let last = self.last.borrow().get(&key(at, from)).map(|heard| heard.last_before(now));
        self.is_certain.then(|| now - last.unwrap_or_default() + self.stale)
    }
}

/// A receiver and a sender as one number.
const fn key(to: HostId, from: HostId) -> u64 {
    (to.index() as u64) << 32 | from.index() as u64
}
