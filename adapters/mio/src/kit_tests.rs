//! The conformance suite of loops, passed by the turn that a source makes.

use std::io;
use tripline_kit::{Machine, Ready, Rule, Scene, Subject, Told, check};
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_tcp::{Board, EdgeNet, HubPump, Limits, One, StdNet};
use tripline_udp::{Carrier, Received, SendOutcome, Tells};

struct Played(Scene);

impl Carrier for Played {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        self.0.recv(on_datagram)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.0.send(transmit, bytes)
    }
}

/// What a user does with a source: turn, events, poll with the deadline, say what is ready.
struct Turning(HubPump<One<Machine>, EdgeNet<StdNet>, Played>, Scene);

impl Subject for Turning {
    fn start(machine: Machine, scene: &Scene) -> Self {
        let board = Board::new(EdgeNet(StdNet), Limits::default(), None);
        let mut pump = HubPump::new(One(machine), board, Tells::Once);
        pump.add_udp(scene.now(), One::<Machine>::LINK, (Played(scene.clone()), None));
        Self(pump, scene.clone())
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let Self(pump, scene) = self;
        let now = scene.now();
        pump.edge_turn(now, &mut |_| unreachable!("no machine wishes")).expect("a turn");
        events.extend(std::iter::from_fn(|| pump.next_event()));
        let Ready { readable, writable, .. } = scene.wait_edge(pump.edge_deadline(now));
        pump.ready_udp(One::<Machine>::LINK, readable, writable);
    }
}

/// T18: an idle source is run for its deadlines only, and an hour of nothing is one wait.
#[test]
fn t18_an_idle_source_is_run_for_its_deadlines_only() {
    check::<Turning>(Rule::Idle).unwrap_or_else(|broken| panic!("{broken}"));
}

/// T64: a full socket is waited for, and told once only that it has room.
#[test]
fn t64_a_full_socket_costs_latency_only() {
    check::<Turning>(Rule::Room).unwrap_or_else(|broken| panic!("{broken}"));
}

mod conforms {
    tripline_kit::conformance!(super::Turning);
}
