//! The conformance suite of loops, passed by the turn that a source makes.

use std::io;
use tripline_kit::{Machine, Ready, Rule, Scene, Subject, Told, check};
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_udp::{Carrier, Pump, Received, SendOutcome, Tells};

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
struct Turning(Pump<Machine>, Played);

impl Subject for Turning {
    fn start(machine: Machine, scene: &Scene) -> Self {
        Self(Pump::new(machine, Tells::Once), Played(scene.clone()))
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        let Self(pump, played) = self;
        let now = played.0.now();
        pump.turn(now, played).expect("the socket is well");
        events.extend(std::iter::from_fn(|| pump.next_event()));
        let Ready { readable, writable, .. } = played.0.wait_edge(pump.deadline(now));
        pump.ready(readable, writable);
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
