//! For how long a host has heard nothing from another.
//!
//! A tap notes when a datagram of one host was last delivered to another. So it can be said from
//! outside whether a connection had reason to think that its peer was gone. Where datagrams are
//! changed on the way nothing can be said, because what arrived may have been of no use.

use crate::host::HostId;
use crate::rule::Stage;
use crate::scenario::{Action, Deed, Scenario};
use crate::world::World;
use std::cell::RefCell;
use std::rc::Rc;
use tripline_sansio::{DatagramMachine, Duration, Instant};

/// When each host last heard each other.
pub(super) struct Hearing {
    hosts: usize,
    /// By receiver times hosts, plus sender.
    last: Rc<RefCell<Vec<Instant>>>,
    /// Whether anything can be said at all.
    is_certain: bool,
}

impl Hearing {
    /// Nobody has heard anybody yet.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let hosts = scenario.hosts.len();
        // A clock that jumps, or a host that sleeps, makes its own silence.
        let odd = |action: &Action| {
            matches!(action, Action::Host(_, Deed::Pause(_) | Deed::Jump(_) | Deed::Block(_)))
        };
        let is_certain = !scenario.steps.iter().any(|step| odd(&step.action));
        Self { hosts, last: Rc::new(RefCell::new(vec![Instant::ZERO; hosts * hosts])), is_certain }
    }

    /// Listens in the world.
    pub(super) fn attach<M: DatagramMachine>(&self, world: &mut World<M>) {
        let (hosts, last) = (self.hosts, self.last.clone());
        world.add_tap(move |packet| {
            if let (Stage::Delivered, Some(from), Some(to)) = (packet.stage, packet.from, packet.to)
            {
                last.borrow_mut()[to.index() * hosts + from.index()] = packet.now;
            }
        });
    }

    /// For how long `at` has heard nothing from `from`.
    pub(super) fn silence(&self, at: HostId, from: HostId, now: Instant) -> Option<Duration> {
        let last = self.last.borrow()[at.index() * self.hosts + from.index()];
        self.is_certain.then(|| now - last)
    }
}
