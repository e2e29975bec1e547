//! A loop around a stream machine that obeys all rules passes; each way of breaking one is told.

use crate::*;
use std::cell::Cell;
use std::io;
use tripline_sansio::{Instant, StreamMachine};

/// What is wrong with a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Sends nothing before the first wake, or after bytes, or after the end.
    NoFirstDrain,
    NoDrainAfterBytes,
    NoDrainAfterEof,
    /// Of what one call did not take, the rest is lost, or sent twice, or overtaken, or late.
    RestForgotten,
    RestFromTheStart,
    RestOvertaken,
    /// One send call a turn, though the socket takes more.
    OneCall,
    /// A full socket is not waited for, or slept on with a deadline that is past.
    FullNotWaited,
    FullSpins,
    /// Bytes are lost, or handed in late; the end is told twice, or never, or before the last
    /// bytes.
    ByteLost,
    BytesKept,
    EofTwice,
    EofNever,
    EofEarly,
    /// One receive call a wake (a fault where readiness is told once).
    OneRecv,
    ReceivesAll,
    SendsAll,
    NoDeadline,
    TimeBeforeSleep,
    OneEvent,
    EventsFirst,
    WakeIgnored,
    Spins,
}

thread_local! {
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
    static EDGE: Cell<bool> = const { Cell::new(false) };
}

/// Bytes of a turn, in either direction.
const SHARE: usize = 256 << 10;

struct Model {
    machine: StreamProbe,
    scene: StreamScene,
    fault: Fault,
    edge: bool,
    now: Instant,
    out: Vec<u8>,
    full: bool,
    readable: bool,
    busy: bool,
    started: bool,
}

impl Model {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn drain(&mut self, now: Instant) {
        let most = if self.is(Fault::SendsAll) { usize::MAX } else { SHARE };
        let mut sent = 0;
        while sent < most {
            if self.out.is_empty() && !self.machine.poll_write(now, &mut self.out) {
                return;
            }
            if self.is(Fault::RestOvertaken) && self.out.len() < 700 {
                self.machine.poll_write(now, &mut self.out);
                self.out.rotate_left(1);
            }
            match self.scene.send(&self.out) {
                Ok(taken) => {
                    sent += taken;
                    match self.fault {
                        Fault::RestForgotten => self.out.clear(),
                        Fault::RestFromTheStart if taken < self.out.len() => {}
                        _ => drop(self.out.drain(..taken)),
                    }
                    if self.is(Fault::OneCall) {
                        return;
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    self.full = true;
                    return;
                }
            }
        }
        self.busy = true;
    }

    /// Receives; whether the drain may follow.
    fn receive(&mut self, now: Instant) -> bool {
        let most = if self.is(Fault::ReceivesAll) { usize::MAX } else { SHARE };
        let (mut buffer, mut all, mut drains) = ([0; 16_384], 0, true);
        while all < most {
            let Ok(len) = self.scene.recv(&mut buffer) else {
                self.readable = false;
                return drains;
            };
            if len == 0 {
                self.readable = false;
                if !self.is(Fault::EofNever) {
                    self.machine.handle_eof(now);
                }
                if self.is(Fault::EofTwice) {
                    self.machine.handle_eof(now);
                }
                return drains && !self.is(Fault::NoDrainAfterEof);
            }
            all += len;
            if self.is(Fault::EofEarly) && self.now > Instant::from_nanos(1_020_000_000) {
                self.machine.handle_eof(now);
            }
            let lost = usize::from(self.is(Fault::ByteLost) && len > 100);
            if !self.is(Fault::BytesKept) {
                self.machine.handle_bytes(now, &buffer[..len - lost]);
            }
            drains &= !self.is(Fault::NoDrainAfterBytes);
            if self.is(Fault::OneRecv) {
                self.readable = false;
                return drains;
            }
        }
        self.busy |= self.edge;
        drains
    }

    fn take_events(&mut self, events: &mut Vec<Told>) {
        let most = if self.is(Fault::OneEvent) { 1 } else { usize::MAX };
        let all = std::iter::from_fn(|| self.machine.poll_event());
        events.extend(all.take(most));
    }
}

impl StreamSubject for Model {
    fn start(machine: StreamProbe, scene: &StreamScene) -> Self {
        Self {
            machine,
            scene: scene.clone(),
            fault: FAULT.get(),
            edge: EDGE.get(),
            now: scene.now(),
            out: Vec::new(),
            full: false,
            readable: false,
            busy: false,
            started: false,
        }
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        if !std::mem::replace(&mut self.started, true) && !self.is(Fault::NoFirstDrain) {
            self.drain(self.now);
        }
        self.take_events(events);
        let full = self.full && !self.is(Fault::FullSpins);
        let deadline = self.machine.poll_timeout().filter(|at| !full || *at > self.now);
        let until = match self.fault {
            Fault::NoDeadline => None,
            Fault::Spins => Some(self.now),
            _ if self.busy => Some(self.now),
            _ => deadline,
        };
        self.busy = false;
        let ready = match self.edge {
            true => self.scene.wait_edge(until),
            false => self.scene.wait(until, self.full && !self.is(Fault::FullNotWaited)),
        };
        let before = self.now;
        self.now = self.scene.now();
        let now = if self.is(Fault::TimeBeforeSleep) { before } else { self.now };
        if self.is(Fault::WakeIgnored) && ready == (Ready { woken: true, ..Ready::default() }) {
            return;
        }
        self.readable |= ready.readable;
        self.full &= !ready.writable;
        let drains = !self.readable || self.receive(now);
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.machine.handle_timeout(now);
        }
        if self.is(Fault::EventsFirst) {
            self.take_events(events);
        }
        if !self.full && drains {
            self.drain(now);
        }
    }
}

fn with_fault(fault: Fault, edge: bool, rule: Rule) -> Result<(), Broken> {
    FAULT.set(fault);
    EDGE.set(edge);
    let result = check_stream::<Model>(rule);
    FAULT.set(Fault::None);
    EDGE.set(false);
    result
}

#[test]
fn a_loop_that_obeys_passes_with_both_kinds_of_readiness() {
    for edge in [false, true] {
        for rule in Rule::ALL {
            if let Err(broken) = with_fault(Fault::None, edge, rule) {
                panic!("edge {edge}: {broken}");
            }
        }
    }
}

/// Each fault, a scene that shows it, and the rule that is named.
const FAULTS: &[(Fault, Rule, Rule)] = &[
    (Fault::NoFirstDrain, Rule::Order, Rule::Order),
    (Fault::NoDrainAfterBytes, Rule::Order, Rule::Order),
    (Fault::NoDrainAfterEof, Rule::Order, Rule::Order),
    (Fault::EventsFirst, Rule::Order, Rule::Order),
    (Fault::OneCall, Rule::Order, Rule::Order),
    (Fault::RestForgotten, Rule::Order, Rule::Room),
    (Fault::RestFromTheStart, Rule::Order, Rule::Room),
    (Fault::RestOvertaken, Rule::Order, Rule::Room),
    (Fault::FullNotWaited, Rule::Room, Rule::Room),
    (Fault::FullSpins, Rule::Room, Rule::Idle),
    (Fault::ByteLost, Rule::Batches, Rule::Batches),
    (Fault::BytesKept, Rule::Batches, Rule::Batches),
    (Fault::EofTwice, Rule::Batches, Rule::Batches),
    (Fault::EofNever, Rule::Batches, Rule::Batches),
    (Fault::EofEarly, Rule::Order, Rule::Batches),
    (Fault::ReceivesAll, Rule::Bounded, Rule::Bounded),
    (Fault::SendsAll, Rule::Bounded, Rule::Bounded),
    (Fault::NoDeadline, Rule::Deadline, Rule::Deadline),
    (Fault::TimeBeforeSleep, Rule::Clock, Rule::Clock),
    (Fault::OneEvent, Rule::Events, Rule::Events),
    (Fault::WakeIgnored, Rule::Wake, Rule::Wake),
    (Fault::Spins, Rule::Idle, Rule::Idle),
];

#[test]
fn every_fault_is_found_and_its_rule_is_named() {
    let mut wrong = Vec::new();
    for &(fault, scene, rule) in FAULTS {
        match with_fault(fault, false, scene) {
            Err(broken) if broken.rule == rule => {}
            Err(broken) => wrong.push(format!("{fault:?}: {broken}")),
            Ok(()) => wrong.push(format!("{fault:?} is not found in {scene:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_socket_that_is_not_emptied_is_found_where_readiness_is_told_once() {
    let broken = with_fault(Fault::OneRecv, true, Rule::Batches).expect_err("a fault");
    assert_eq!(broken.rule, Rule::Batches, "{broken}");
    with_fault(Fault::OneRecv, false, Rule::Batches).expect("no fault where it is told again");
}

mod conforms {
    crate::stream_conformance!(super::Model);
}
