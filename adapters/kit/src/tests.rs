//! A loop that obeys all rules passes, in both kinds of readiness; and for each way of breaking one
//! that we could think of, the suite says which rule it is. So no scene passes by accident.

use crate::*;
use std::cell::Cell;
use tripline_sansio::{DatagramMachine, Duration, Instant, Transmit};
use tripline_udp::{DropCause, SendOutcome};

/// What is wrong with a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Sends nothing before the first wake.
    NoFirstDrain,
    /// Does not drain after datagrams, or after the time was told.
    NoDrainAfterDatagrams,
    NoDrainAfterTimeout,
    /// Takes one transmit a turn.
    OneTransmit,
    /// Events before transmits.
    EventsFirst,
    /// Keeps the newest transmit for the next turn.
    LateSend,
    /// One event a turn; events turned round; the last one forgotten; the first one told twice.
    OneEvent,
    EventsReversed,
    EventForgotten,
    EventTwice,
    /// The time from before the sleep; a time that lags; a time of which the loop dreams.
    TimeBeforeSleep,
    TimeBack,
    TimeAhead,
    /// A look at the clock for each datagram.
    ClockForEach,
    /// The deadline from before the drain; none at all; rounded up or down to milliseconds; cut
    /// off at an hour; slept to and not told.
    DeadlineBeforeDrain,
    NoDeadline,
    RoundedUp,
    RoundedDown,
    AtMostAnHour,
    DeadlineNotTold,
    /// A full socket: what did not fit is forgotten, or sent again from the start, or overtaken; it
    /// is tried at once, or never again, or for all times.
    FullForgotten,
    FullFromTheStart,
    FullOvertaken,
    FullTriedAgain,
    FullNotWaited,
    RoomAlwaysWaited,
    /// A full socket ends receiving, or telling the time, or a past deadline is slept to.
    FullDeaf,
    FullTimeless,
    FullSpins,
    /// Refusals are not told, or everything refused is told, or tried again.
    SilentRefusal,
    EveryRefusalTold,
    RefusedAgain,
    /// One receive call a wake (a fault where readiness is told once); a datagram lost, turned
    /// round, cut, or from elsewhere.
    OneBatch,
    DatagramLost,
    DatagramsReversed,
    DatagramCut,
    LocalForgotten,
    EcnForgotten,
    /// No bound on receiving, or on sending; so much of one that the other never happens.
    ReceivesAll,
    SendsAll,
    SendsOnly,
    ReceivesOnly,
    /// Having stopped at its bound it sleeps.
    SleepsThoughBusy,
    /// A wake is ignored.
    WakeIgnored,
    /// Looks each millisecond; never sleeps at all; spins; looks twice more after each sleep;
    /// asks its machine again and again for nothing.
    Ticks,
    NeverSleeps,
    Spins,
    LooksAgain,
    AsksOnAndOn,
    /// A sleep that ends early is taken for the deadline, which is not told when it comes.
    EarlyIsDeadline,
}

thread_local! {
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
    static EDGE: Cell<bool> = const { Cell::new(false) };
}

const BOUND: usize = 64;

struct Model {
    machine: Machine,
    scene: Scene,
    fault: Fault,
    edge: bool,
    now: Instant,
    out: Vec<u8>,
    kept: Option<(Transmit, usize)>,
    /// May be received from, may be sent to, as far as is known.
    readable: bool,
    writable: bool,
    busy: bool,
    started: bool,
    /// A deadline that was read too early, if any.
    stale: Option<Option<Instant>>,
    turns: usize,
}

impl Model {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn drain(&mut self, now: Instant) {
        let most = match self.fault {
            Fault::SendsAll => usize::MAX,
            Fault::OneTransmit => 1,
            _ => BOUND,
        };
        for _ in 0..most {
            let next = self.kept.take().or_else(|| {
                self.out.clear();
                Some((self.machine.poll_transmit(now, &mut self.out)?, 0))
            });
            let Some((transmit, done)) = next else { return };
            if !self.put(now, transmit, done) {
                return;
            }
        }
        self.busy = !self.is(Fault::SleepsThoughBusy) && !self.is(Fault::OneTransmit);
    }

    /// Sends; whether the drain may go on.
    fn put(&mut self, now: Instant, transmit: Transmit, done: usize) -> bool {
        let rest = self.out[done..].to_vec();
        let part = Transmit { len: rest.len(), ..transmit };
        let mut outcome = self.scene.send(&part, &rest);
        if self.is(Fault::FullTriedAgain) {
            for _ in 0..3 {
                if outcome == (SendOutcome::Full { sent: 0 }) {
                    outcome = self.scene.send(&part, &rest);
                }
            }
        }
        match outcome {
            SendOutcome::Full { sent } => {
                self.writable = false;
                let from = if self.is(Fault::FullFromTheStart) { 0 } else { done + sent };
                self.kept = Some((transmit, from));
                match self.fault {
                    Fault::FullForgotten => self.kept = None,
                    Fault::FullOvertaken => {
                        let mut more = Vec::new();
                        if let Some(more_transmit) = self.machine.poll_transmit(now, &mut more) {
                            let _ = self.scene.send(&more_transmit, &more);
                        }
                    }
                    _ => {}
                }
                return false;
            }
            SendOutcome::Dropped(cause) => {
                let told = cause == DropCause::TooBig && !self.is(Fault::SilentRefusal);
                if told || self.is(Fault::EveryRefusalTold) {
                    self.machine.handle_too_big(now, &transmit);
                }
                if self.is(Fault::RefusedAgain) {
                    let _ = self.scene.send(&part, &rest);
                }
            }
            SendOutcome::Sent => {}
        }
        true
    }

    fn receive(&mut self, now: Instant) {
        let most = match self.fault {
            Fault::OneBatch => 1,
            Fault::ReceivesAll => usize::MAX,
            _ => BOUND,
        };
        let (mut batch, mut all) = (Vec::new(), 0);
        while all < most {
            let received = self.scene.recv(&mut |path, ecn, datagram| {
                batch.push((path, ecn, datagram.to_vec()));
            });
            let Ok(received) = received else {
                self.readable = false;
                break;
            };
            all += received.datagrams;
            self.readable = received.maybe_more;
            if !received.maybe_more {
                break;
            }
        }
        if self.is(Fault::OneBatch) {
            self.readable = false;
        }
        match self.fault {
            Fault::DatagramLost if batch.len() > 5 => drop(batch.remove(5)),
            Fault::DatagramsReversed => batch.reverse(),
            _ => {}
        }
        for (mut path, mut ecn, mut datagram) in batch {
            let now = if self.is(Fault::ClockForEach) { self.scene.now() } else { now };
            match self.fault {
                Fault::DatagramCut => datagram.truncate(1_000),
                Fault::LocalForgotten => path.local = None,
                Fault::EcnForgotten => ecn = tripline_sansio::Ecn::NotEct,
                _ => {}
            }
            self.machine.handle_datagram(now, path, ecn, &mut datagram);
        }
        let again = self.edge || self.is(Fault::ReceivesOnly);
        self.busy |= self.readable && again && !self.is(Fault::SleepsThoughBusy);
    }

    fn time(&self) -> Instant {
        match self.fault {
            Fault::TimeBack => self.scene.now() - Duration::from_nanos(self.turns as u64 % 2),
            Fault::TimeAhead => self.scene.now() + Duration::from_nanos(1),
            _ => self.scene.now(),
        }
    }

    /// How long to sleep.
    fn until(&self, now: Instant) -> Option<Instant> {
        if self.busy {
            return Some(now);
        }
        let deadline = self.stale.unwrap_or_else(|| self.machine.poll_timeout());
        let full = self.kept.is_some() && !self.is(Fault::FullSpins);
        let deadline = deadline.filter(|deadline| !full || *deadline > now);
        let milli = 1_000_000;
        match self.fault {
            Fault::NoDeadline => None,
            Fault::RoundedUp => {
                deadline.map(|at| Instant::from_nanos(at.as_nanos().next_multiple_of(milli)))
            }
            Fault::RoundedDown => {
                deadline.map(|at| Instant::from_nanos(at.as_nanos() / milli * milli))
            }
            Fault::AtMostAnHour => deadline.map(|at| at.min(now + Duration::from_secs(3_600))),
            Fault::Ticks => Some(now + Duration::from_millis(1)),
            Fault::Spins => Some(now),
            _ => deadline,
        }
    }

    fn tell_time(&mut self, now: Instant, ready: Ready) {
        let deaf = self.is(Fault::FullTimeless) && self.kept.is_some();
        let due = self.machine.poll_timeout().is_some_and(|deadline| deadline <= now);
        let early = ready == Ready::default();
        let tell = if self.is(Fault::EarlyIsDeadline) { early } else { due };
        if tell && !deaf && !self.is(Fault::DeadlineNotTold) {
            self.machine.handle_timeout(now);
            if self.is(Fault::NoDrainAfterTimeout) {
                self.writable = false;
            }
        }
    }

    fn take_events(&mut self, events: &mut Vec<Told>) {
        if self.is(Fault::ReceivesOnly) && self.readable {
            return;
        }
        let from = events.len();
        let most = if self.is(Fault::OneEvent) { 1 } else { usize::MAX };
        while events.len() - from < most
            && let Some(event) = self.machine.poll_event()
        {
            events.push(event);
        }
        match self.fault {
            Fault::EventsReversed => events[from..].reverse(),
            Fault::EventForgotten if events.len() > 3 => events.truncate(3),
            Fault::EventTwice if from == 0 && !events.is_empty() => events.push(events[0]),
            _ => {}
        }
    }
}

impl Subject for Model {
    fn start(machine: Machine, scene: &Scene) -> Self {
        Self {
            machine,
            scene: scene.clone(),
            fault: FAULT.get(),
            edge: EDGE.get(),
            now: scene.now(),
            out: Vec::new(),
            kept: None,
            readable: false,
            writable: true,
            busy: false,
            started: false,
            stale: None,
            turns: 0,
        }
    }

    fn turn(&mut self, events: &mut Vec<Told>) {
        self.turns += 1;
        if self.is(Fault::NeverSleeps) {
            return;
        }
        if !std::mem::replace(&mut self.started, true) && !self.is(Fault::NoFirstDrain) {
            self.drain(self.now);
        }
        self.take_events(events);
        for _ in 0..if self.is(Fault::AsksOnAndOn) { 100 } else { 0 } {
            let _ = self.machine.poll_event();
        }
        for _ in 0..if self.is(Fault::LooksAgain) { 2 } else { 0 } {
            self.scene.wait(Some(self.now), false);
        }
        let until = self.until(self.now);
        self.busy = false;
        let unaware = self.is(Fault::FullNotWaited) || self.is(Fault::LateSend);
        let for_room = self.kept.is_some() && !unaware;
        let for_room = for_room || self.is(Fault::RoomAlwaysWaited);
        let ready = match self.edge {
            true => self.scene.wait_edge(until),
            false => self.scene.wait(until, for_room),
        };
        let before = self.now;
        self.now = self.time();
        let now = if self.is(Fault::TimeBeforeSleep) { before } else { self.now };
        if self.is(Fault::WakeIgnored) && ready == (Ready { woken: true, ..Ready::default() }) {
            return;
        }
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        let deaf = self.is(Fault::FullDeaf) && self.kept.is_some();
        let deaf = deaf || (self.is(Fault::SendsOnly) && self.machine.poll_timeout().is_some());
        if self.readable && !deaf {
            self.receive(now);
            if self.is(Fault::NoDrainAfterDatagrams) {
                self.tell_time(now, ready);
                return;
            }
        }
        if self.is(Fault::DeadlineBeforeDrain) {
            self.stale = Some(self.machine.poll_timeout().filter(|deadline| *deadline > now));
        }
        self.tell_time(now, ready);
        if self.is(Fault::EventsFirst) {
            self.take_events(events);
        }
        let only = self.is(Fault::ReceivesOnly) && self.readable;
        if (self.kept.is_none() || self.writable) && !only {
            if self.is(Fault::NoDrainAfterTimeout) && !self.writable {
                self.writable = true;
                return;
            }
            if self.is(Fault::LateSend) {
                self.out.clear();
                if let Some(transmit) = self.machine.poll_transmit(now, &mut self.out) {
                    self.kept = Some((transmit, 0));
                    while self.machine.poll_transmit(now, &mut Vec::new()).is_some() {}
                }
                return;
            }
            self.drain(now);
        }
    }
}

fn with_fault(fault: Fault, edge: bool, rule: Rule) -> Result<(), Broken> {
    FAULT.set(fault);
    EDGE.set(edge);
    let result = check::<Model>(rule);
    // The thread may go on to a test that wants none.
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
    (Fault::NoDrainAfterDatagrams, Rule::Order, Rule::Order),
    (Fault::NoDrainAfterTimeout, Rule::Order, Rule::Order),
    (Fault::OneTransmit, Rule::Order, Rule::Order),
    (Fault::EventsFirst, Rule::Order, Rule::Order),
    (Fault::LateSend, Rule::Order, Rule::Order),
    (Fault::OneEvent, Rule::Events, Rule::Events),
    (Fault::EventsReversed, Rule::Events, Rule::Events),
    (Fault::EventForgotten, Rule::Events, Rule::Events),
    (Fault::EventTwice, Rule::Events, Rule::Events),
    (Fault::TimeBeforeSleep, Rule::Clock, Rule::Clock),
    (Fault::TimeBack, Rule::Clock, Rule::Clock),
    (Fault::TimeAhead, Rule::Clock, Rule::Clock),
    (Fault::ClockForEach, Rule::Batches, Rule::Clock),
    (Fault::DeadlineBeforeDrain, Rule::Deadline, Rule::Deadline),
    (Fault::NoDeadline, Rule::Deadline, Rule::Deadline),
    (Fault::RoundedUp, Rule::Deadline, Rule::Deadline),
    (Fault::RoundedDown, Rule::Deadline, Rule::Idle),
    (Fault::AtMostAnHour, Rule::Deadline, Rule::Deadline),
    (Fault::DeadlineNotTold, Rule::Deadline, Rule::Deadline),
    (Fault::FullForgotten, Rule::Room, Rule::Room),
    (Fault::FullFromTheStart, Rule::Room, Rule::Room),
    (Fault::FullOvertaken, Rule::Room, Rule::Room),
    (Fault::FullTriedAgain, Rule::Room, Rule::Room),
    (Fault::FullNotWaited, Rule::Room, Rule::Room),
    (Fault::RoomAlwaysWaited, Rule::Room, Rule::Room),
    (Fault::FullDeaf, Rule::Room, Rule::Idle),
    (Fault::FullTimeless, Rule::Room, Rule::Deadline),
    (Fault::FullSpins, Rule::Room, Rule::Idle),
    (Fault::SilentRefusal, Rule::Refusal, Rule::Refusal),
    (Fault::EveryRefusalTold, Rule::Refusal, Rule::Refusal),
    (Fault::RefusedAgain, Rule::Refusal, Rule::Refusal),
    (Fault::DatagramLost, Rule::Batches, Rule::Batches),
    (Fault::DatagramsReversed, Rule::Batches, Rule::Batches),
    (Fault::DatagramCut, Rule::Batches, Rule::Batches),
    (Fault::LocalForgotten, Rule::Batches, Rule::Batches),
    (Fault::EcnForgotten, Rule::Batches, Rule::Batches),
    (Fault::ReceivesAll, Rule::Bounded, Rule::Bounded),
    (Fault::SendsAll, Rule::Bounded, Rule::Bounded),
    (Fault::SendsOnly, Rule::Bounded, Rule::Bounded),
    (Fault::ReceivesOnly, Rule::Bounded, Rule::Bounded),
    (Fault::SleepsThoughBusy, Rule::Bounded, Rule::Order),
    (Fault::WakeIgnored, Rule::Wake, Rule::Wake),
    (Fault::Ticks, Rule::Idle, Rule::Deadline),
    (Fault::NeverSleeps, Rule::Idle, Rule::Idle),
    (Fault::Spins, Rule::Idle, Rule::Idle),
    (Fault::LooksAgain, Rule::Idle, Rule::Idle),
    (Fault::AsksOnAndOn, Rule::Idle, Rule::Idle),
    (Fault::EarlyIsDeadline, Rule::Early, Rule::Deadline),
];

#[test]
fn every_fault_is_found_and_its_rule_is_named() {
    let mut wrong = Vec::new();
    for &(fault, scene, rule) in FAULTS {
        match with_fault(fault, false, scene) {
            Err(broken) if broken.rule == rule && broken.scene == scene => {
                assert!(!broken.trace.is_empty(), "{fault:?}");
            }
            Err(broken) => wrong.push(format!("{fault:?}: {broken}")),
            Ok(()) => wrong.push(format!("{fault:?} is not found in {scene:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Readiness that is told once only has faults of its own.
#[test]
fn a_socket_that_is_not_emptied_is_found_where_readiness_is_told_once() {
    for fault in [Fault::OneBatch, Fault::SleepsThoughBusy] {
        let broken = with_fault(fault, true, Rule::Batches).expect_err("a fault");
        assert_eq!(broken.rule, Rule::Batches, "{fault:?}: {broken}");
        with_fault(Fault::OneBatch, false, Rule::Batches).expect("no fault where it is told again");
    }
}

/// The conversation shows what the probe cannot: other bytes.
#[test]
fn a_conversation_that_differs_is_found() {
    for fault in [Fault::EcnForgotten, Fault::DatagramLost, Fault::NoDrainAfterTimeout] {
        assert!(with_fault(fault, false, Rule::Trace).is_err(), "{fault:?}");
    }
}

/// A report says what, where and when, with what happened before.
#[test]
fn a_report_can_be_read() {
    let broken = with_fault(Fault::RoundedUp, false, Rule::Deadline).expect_err("a fault");
    let text = broken.to_string();
    for part in ["rules 3 to 5", "in the scene Deadline", "sleeps until", "poll_transmit"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

mod conforms {
    crate::conformance!(super::Model);
}
