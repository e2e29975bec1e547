//! The machine that the loop under test drives: whatever the scene is about, behind the judge.

use crate::actor::Actor;
use crate::book::Dirt;
use crate::order::Orders;
use crate::scene::Scene;
use crate::told::Told;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};

/// A machine that watches how it is driven. It is made by [`check`](crate::check) and handed to
/// [`Subject::start`](crate::Subject::start).
#[derive(Debug)]
pub struct Machine {
    scene: Scene,
    /// An endpoint of the transport and its user; without it this is the probe, which lives in the
    /// scene.
    actor: Option<Box<Actor>>,
}

impl Machine {
    pub(crate) fn new(scene: Scene, actor: Option<Actor>) -> Self {
        Self { scene, actor: actor.map(Box::new) }
    }

    /// Writes down where the machine stands after a call.
    fn settle(&self, by: Dirt) {
        let (deadline, events) = match &self.actor {
            Some(actor) => (actor.deadline(), actor.events()),
            None => {
                let state = self.scene.state();
                (state.probe.deadline(), state.probe.events())
            }
        };
        self.scene.state().book.settle(deadline, events, by);
    }
}

impl DatagramMachine for Machine {
    type Event = Told;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.scene.with(|state| state.on_datagram(now, path, ecn, datagram));
        match &mut self.actor {
            Some(actor) => actor.datagram(now, path, ecn, datagram),
            None => self.scene.state().probe.obey(now, Orders::read(datagram)),
        }
        self.settle(Dirt::Datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.scene.with(|state| state.on_timeout(now));
        match &mut self.actor {
            Some(actor) => actor.timeout(now),
            None => self.scene.state().probe.timeout(now),
        }
        self.settle(Dirt::Timeout);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.scene.with(|state| state.on_poll_transmit(now));
        let before = out.len();
        let transmit = match &mut self.actor {
            Some(actor) => actor.transmit(now, out),
            None => self.scene.state().probe.transmit(now, out),
        };
        let bytes = out.get(before..).unwrap_or_default();
        self.scene.with(|state| state.on_transmit(transmit.as_ref().map(|one| (one, bytes))));
        self.settle(Dirt::Timeout);
        transmit
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.scene.with(|state| state.on_too_big(now, transmit));
        if let Some(actor) = &mut self.actor {
            actor.too_big(now, transmit);
        }
        self.settle(Dirt::Timeout);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.scene.with(|state| state.count_call());
        self.scene.state().book.deadline
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.scene.with(|state| state.on_poll_event());
        let event = match &mut self.actor {
            Some(actor) => actor.event(),
            None => self.scene.state().probe.event(),
        };
        if let Some(event) = event {
            self.scene.state().take_event(event);
        }
        event
    }
}
