//! One host: a machine, and the well-known loop around it, with an eye on the contract.
//!
//! A *turn* is what the page of `tripline_sansio` prescribes: some calls (datagrams, a due timeout,
//! a command), then a drain of transmits, then of events, then a look at the deadline. Every turn
//! ends with the checks of [`Rule`]; the host never decides what the network does with a transmit.
//! What is about pipes is in `stream::drive`.

mod clock;
mod faults;

use crate::chance::up_to;
use crate::contract::Rule;
use crate::discipline::Discipline;
use crate::drop_cause::DropCause;
use crate::link::MAX_DATAGRAM;
use crate::network::Network;
use crate::pool::{Header, Slot};
use crate::stream::{Piped, Pipes, Way};
use crate::world::earlier;
use clock::Clock;
pub use clock::ClockConfig;
pub(crate) use faults::SendState;
use faults::Sleep;
pub use faults::{AsleepClock, AsleepSocket, SendFaults};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use tripline_sansio::{DatagramMachine, Duration, Instant, Path, Random, Seed, Transmit};

/// Names a host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

impl HostId {
    /// The host's number, from 0 in the order in which hosts were added.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", self.0)
    }
}

/// The most datagrams in one train (Linux's `UDP_MAX_SEGMENTS`).
const MAX_SEGMENTS: usize = 64;
/// More transmits than this in one drain are an endless loop.
const MAX_TRANSMITS: u32 = 100_000;
/// More events than this in one drain are an endless loop; more that nobody fetches are a leak.
const MAX_EVENTS: usize = 1 << 20;
/// More turns than this of one host at one instant are an endless loop.
const MAX_TURNS: u32 = 100_000;
/// More timeouts than this within [`SPIN_TIME`] that bring nothing but a later deadline are one
/// too.
const MAX_SILENT: u32 = 1_000;
/// See [`MAX_SILENT`].
const SPIN_TIME: Duration = Duration::from_secs(1);
/// The transmit buffer is emptied when it holds more than this: so machines have to append, and the
/// buffer stays small.
const FLUSH_BYTES: usize = 128 * 1024;

/// A machine in its place.
pub(crate) struct Host<M: DatagramMachine> {
    pub(crate) machine: M,
    /// The host's first address at present, for messages.
    pub(crate) address: SocketAddr,
    pub(crate) events: VecDeque<(Instant, M::Event)>,
    /// Whether the machine has told an event in this call of the world's.
    pub(crate) has_told: bool,
    /// Whether the world has noted that there are events.
    pub(crate) is_noisy: bool,
    /// What arrived at this instant and is not yet handed in.
    pub(crate) inbox: Vec<Arrival>,
    /// What there is besides if the host has pipes.
    pub(crate) piped: Option<Box<Piped<M>>>,
    id: HostId,
    /// Draws of the host's [`Discipline`].
    random: Random,
    /// Draws of its order within an instant; made when first needed.
    shuffle: Option<Box<Random>>,
    /// The host's clock; none: it shows the world's time.
    clock: Option<Box<Clock>>,
    /// Whether it sleeps, and how.
    sleep: Option<Box<Sleep>>,
    /// What the machine said at the end of its last turn, by the host's clock. All else here is by
    /// the world's.
    deadline: Option<Instant>,
    /// Until when nothing can be sent: a drain was cut short.
    blocked_until: Option<Instant>,
    /// When to wake without being asked to.
    early_at: Option<Instant>,
    /// A pipe takes nothing more, and the machine may wait for it with all it has to do.
    is_held_back: bool,
    /// How many turns there were in all.
    pub(crate) turns_total: u64,
    /// How many turns there were at `turns_at`.
    turns: u32,
    turns_at: Instant,
    /// How many timeouts since `silent_since` brought nothing.
    silent: u32,
    silent_since: Instant,
}

/// Something that arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival {
    /// A datagram.
    Datagram(Slot),
    /// The next of a pipe's direction.
    Piece(Way),
}

/// What surrounds a turn.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Instant,
    /// The same by the host's clock: what its machine is told.
    pub(crate) local: Instant,
    /// The world's, for generators that are made late.
    pub(crate) seed: &'a Seed,
    pub(crate) network: &'a mut Network,
    pub(crate) pipes: &'a mut Pipes,
    pub(crate) discipline: &'a Discipline,
    /// The transmit buffer, empty between turns; shared by all hosts.
    pub(crate) buffer: &'a mut Vec<u8>,
}

/// What a host does with a datagram that has arrived.
#[derive(Clone, Copy)]
pub(crate) enum Accepted {
    /// It is handed in this instant.
    Inbox {
        /// Whether the inbox was empty before.
        is_first: bool,
    },
    /// It waits until the host wakes up.
    Held,
    /// It is lost.
    Refused(DropCause),
}

/// What a drain brought.
#[derive(Clone, Copy)]
struct Drained {
    transmits: u32,
    events: usize,
    /// Whether the machine had no more.
    is_full: bool,
}

impl<M: DatagramMachine> Host<M> {
    /// A host at `address`; `random` is for its liberties.
    pub(crate) fn new(id: HostId, address: SocketAddr, machine: M, random: Random) -> Self {
        Self {
            machine,
            address,
            events: VecDeque::new(),
            has_told: false,
            is_noisy: false,
            inbox: Vec::new(),
            piped: None,
            id,
            random,
            shuffle: None,
            clock: None,
            sleep: None,
            deadline: None,
            blocked_until: None,
            early_at: None,
            is_held_back: false,
            turns_total: 0,
            turns: 0,
            turns_at: Instant::ZERO,
            silent: 0,
            silent_since: Instant::ZERO,
        }
    }

    /// The host's own name.
    pub(crate) const fn id(&self) -> HostId {
        self.id
    }

    /// When the host wants to be called, arrivals apart.
    pub(crate) fn attention(&self, now: Instant) -> Option<Instant> {
        if self.sleep.is_some() {
            return None;
        }
        // A deadline that has passed while nothing can be sent waits for the socket; it has been
        // told.
        let waits = self.blocked_until.is_some() || self.is_held_back;
        let deadline =
            self.deadline.map(|at| self.world_time(at).max(now)).filter(|at| !waits || *at > now);
        earlier(earlier(deadline, self.blocked_until), self.early_at)
    }

    /// Whether a drain was cut short and is to go on.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked_until.is_some()
    }

    // ---- the clock ----

    /// What the host's clock shows.
    pub(crate) fn local_time(&mut self, now: Instant) -> Instant {
        let now = self.clock_stands_at(now);
        let Some(clock) = &mut self.clock else { return now };
        clock.advance(now);
        clock.local(now)
    }

    /// Until when the host's clock has gone on: now, or when the host fell asleep if it stops then.
    fn clock_stands_at(&self, now: Instant) -> Instant {
        match &self.sleep {
            Some(sleep) if sleep.clock == AsleepClock::Stops => sleep.since,
            _ => now,
        }
    }

    /// When a deadline by the host's clock comes, or is to be looked at again.
    fn world_time(&self, local: Instant) -> Instant {
        self.clock.as_ref().map_or(local, |clock| clock.world(local))
    }

    /// The host's clock, which is right if there was none; up to date unless the host sleeps.
    fn clock(&mut self, now: Instant, seed: &Seed) -> &mut Clock {
        let _moved_on = self.local_time(now);
        let address = self.address;
        self.clock.get_or_insert_with(|| {
            Box::new(Clock::new(now, seed.child("clock").random(&address.to_string())))
        })
    }

    /// Gives the clock another pace.
    pub(crate) fn set_clock(&mut self, now: Instant, seed: &Seed, config: ClockConfig) {
        let now = self.clock_stands_at(now);
        self.clock(now, seed).configure(now, config);
    }

    /// Lets the clock jump forward.
    pub(crate) fn jump_clock(&mut self, now: Instant, seed: &Seed, by: Duration) {
        let now = self.clock_stands_at(now);
        self.clock(now, seed).jump(now, by);
    }

    // ---- sleep and restart ----

    /// Whether the host sleeps.
    pub(crate) const fn is_asleep(&self) -> bool {
        self.sleep.is_some()
    }

    /// Puts the host to sleep; if it sleeps already, only what comes from now on is treated anew.
    pub(crate) fn fall_asleep(
        &mut self,
        now: Instant,
        seed: &Seed,
        socket: AsleepSocket,
        clock: AsleepClock,
    ) {
        if let Some(sleep) = &mut self.sleep {
            sleep.socket = socket;
            return;
        }
        if clock == AsleepClock::Stops {
            let _made = self.clock(now, seed);
        }
        self.sleep = Some(Box::new(Sleep::new(now, socket, clock)));
    }

    /// Wakes the host: what waited in its socket is in the inbox then. How much that is, if it was
    /// asleep.
    pub(crate) fn wake_up(&mut self, now: Instant) -> Option<usize> {
        let sleep = self.sleep.take()?;
        if sleep.clock == AsleepClock::Stops
            && let Some(clock) = &mut self.clock
        {
            clock.stood_still(sleep.since, now);
        }
        // What came while it slept has come; the world does not go back to it.
        self.blocked_until = self.blocked_until.filter(|at| *at > now);
        self.early_at = self.early_at.filter(|at| *at > now);
        let waited = sleep.waiting.len();
        self.inbox.extend(sleep.waiting.into_iter().map(Arrival::Datagram));
        Some(waited)
    }

    /// Takes a datagram of `len` bytes that has arrived: into the inbox, or the socket of a host
    /// that sleeps.
    pub(crate) fn accept(&mut self, slot: Slot, len: usize) -> Accepted {
        let Some(sleep) = &mut self.sleep else {
            self.inbox.push(Arrival::Datagram(slot));
            return Accepted::Inbox { is_first: self.inbox.len() == 1 };
        };
        match sleep.take(slot, len) {
            Ok(()) => Accepted::Held,
            Err(cause) => Accepted::Refused(cause),
        }
    }

    /// Starts another machine in the place of this one, which is returned with whatever it still
    /// had to say; what waited in the socket is returned too.
    pub(crate) fn replace(&mut self, machine: M) -> (M, Vec<Slot>) {
        self.deadline = None;
        self.blocked_until = None;
        self.early_at = None;
        self.silent = 0;
        let waiting = self.sleep.as_mut().map(|sleep| sleep.empty()).unwrap_or_default();
        (std::mem::replace(&mut self.machine, machine), waiting)
    }

    /// Nothing can be sent until then.
    pub(crate) fn block_until(&mut self, until: Instant) {
        self.blocked_until = Some(self.blocked_until.map_or(until, |at| at.max(until)));
    }

    /// Everything is sent again, and what waits at once.
    pub(crate) fn unblock(&mut self, around: &mut Surroundings<'_>) {
        self.blocked_until = None;
        self.turn(around);
    }

    // ---- turns ----

    /// Brings what came at one instant into another order.
    fn shuffle(&mut self, seed: &Seed, inbox: &mut [Arrival]) {
        let address = self.address;
        let random = self
            .shuffle
            .get_or_insert_with(|| Box::new(seed.child("shuffle").random(&address.to_string())));
        for last in (1..inbox.len()).rev() {
            inbox.swap(last, random.below(last as u64 + 1) as usize);
        }
    }

    /// Hands in what is in the inbox, a batch at a time, with a turn after each.
    pub(crate) fn receive(&mut self, around: &mut Surroundings<'_>) {
        let batch = around.discipline.batch.max(1);
        let mut inbox = std::mem::take(&mut self.inbox);
        if around.discipline.shuffle {
            self.shuffle(around.seed, &mut inbox);
        }
        for arrivals in inbox.chunks(batch) {
            for arrival in arrivals {
                let now = self.perhaps_stale(around);
                let slot = match arrival {
                    Arrival::Datagram(slot) => slot,
                    Arrival::Piece(way) => {
                        self.read_one(around, now, *way);
                        continue;
                    }
                };
                let machine = &mut self.machine;
                around.network.deliver(around.now, *slot, |datagram| {
                    let Header { source, destination, ecn, .. } = datagram.header;
                    let path = Path { remote: source, local: Some(destination.ip()) };
                    machine.handle_datagram(now, path, ecn, &mut datagram.bytes);
                });
            }
            self.silent = 0;
            self.turn(around);
        }
        inbox.clear();
        // The vector goes back for its memory's sake.
        self.inbox = inbox;
    }

    /// Wakes the host because [`Self::attention`] said so.
    pub(crate) fn wake(&mut self, around: &mut Surroundings<'_>) {
        if self.blocked_until.is_some_and(|at| at <= around.now) {
            self.blocked_until = None;
        }
        if self.early_at.is_some_and(|at| at <= around.now) {
            self.early_at = None;
            let now = self.perhaps_stale(around);
            self.machine.handle_timeout(now);
        }
        self.turn(around);
    }

    /// The rest of a turn, after its calls: a due timeout, the drain, the checks, the next
    /// deadline.
    pub(crate) fn turn(&mut self, around: &mut Surroundings<'_>) {
        if self.sleep.is_some() {
            return;
        }
        self.count_turn(around);
        let due = self.deadline.filter(|at| *at <= around.local);
        if due.is_some() {
            self.machine.handle_timeout(around.local);
            if around.discipline.repeat.draw(&mut self.random) {
                self.machine.handle_timeout(around.local);
            }
        }
        let drained = self.drain(around);
        let deadline = self.machine.poll_timeout();
        let again = self.machine.poll_timeout();
        if again != deadline {
            self.violated(around, Rule::Repeatable, format_args!("{deadline:?}, then {again:?}"));
        }
        self.is_held_back = self.timers_wait(around);
        if drained.is_full && self.is_held_back {
            self.silent = 0;
        } else if drained.is_full {
            self.check_deadline(around, due, deadline, drained);
        } else {
            let wait = up_to(&mut self.random, around.discipline.resume_after);
            let at = around.now + wait.max(Duration::from_nanos(1));
            self.blocked_until = Some(self.blocked_until.unwrap_or(at));
        }
        self.deadline = deadline;
        if self.early_at.is_none() && around.discipline.early.draw(&mut self.random) {
            let deadline = deadline.map(|at| self.world_time(at));
            self.early_at = deadline.filter(|at| *at > around.now).map(|at| {
                // Later than now, or it would be this instant's turn again.
                let room = (at - around.now).saturating_sub(Duration::from_nanos(1));
                around.now + Duration::from_nanos(1) + up_to(&mut self.random, room)
            });
        }
    }

    /// Rules 3 and 5, after a full drain.
    fn check_deadline(
        &mut self,
        around: &mut Surroundings<'_>,
        due: Option<Instant>,
        deadline: Option<Instant>,
        drained: Drained,
    ) {
        let is_silent = drained.transmits == 0 && drained.events == 0;
        if let (Some(due), Some(next)) = (due, deadline)
            && is_silent
            && next <= due
        {
            let what =
                format_args!("handle_timeout at {due:?} brought nothing and asks for {next:?}");
            self.violated(around, Rule::Progress, what);
        }
        if let Some(at) = deadline
            && at <= around.local
        {
            // The host's clock need not be the world's.
            let what = format_args!("the deadline is {at:?}, its clock says {:?}", around.local);
            self.violated(around, Rule::Deadline, what);
        }
        if due.is_none() || !is_silent {
            self.silent = 0;
            return;
        }
        if self.silent == 0 {
            self.silent_since = around.now;
        }
        self.silent += 1;
        if self.silent > MAX_SILENT {
            if around.now - self.silent_since < SPIN_TIME {
                let what = format_args!("{MAX_SILENT} timeouts in a row only moved the deadline");
                self.violated(around, Rule::Progress, what);
            }
            self.silent = 0;
        }
    }

    /// Sees to it that this instant ends.
    fn count_turn(&mut self, around: &mut Surroundings<'_>) {
        if self.turns_at != around.now {
            self.turns_at = around.now;
            self.turns = 0;
        }
        self.turns += 1;
        self.turns_total += 1;
        if self.turns > MAX_TURNS {
            let what = format_args!("more than {MAX_TURNS} turns at one instant");
            self.violated(around, Rule::Bounded, what);
        }
    }

    /// Takes transmits, as many as the socket has room for, then all events.
    fn drain(&mut self, around: &mut Surroundings<'_>) -> Drained {
        let allowance = if self.is_blocked() {
            Some(0)
        } else if around.discipline.interrupt.draw(&mut self.random) {
            let most = u64::from(around.discipline.interrupt_after);
            Some(self.random.below(most.saturating_add(1)) as u32)
        } else {
            None
        };
        let mut transmits = 0;
        let mut is_full = false;
        while allowance != Some(transmits) {
            let Some(transmit) = self.poll_transmit(around) else {
                if self.piped.is_none() || !self.write_one(around) {
                    is_full = true;
                    break;
                }
                transmits += 1;
                self.count_transmits(around, transmits);
                continue;
            };
            let start = around.buffer.len() - transmit.len;
            around.network.send(around.now, self.id, &transmit, &around.buffer[start..]);
            if around.buffer.len() > FLUSH_BYTES {
                around.buffer.clear();
            }
            transmits += 1;
            self.count_transmits(around, transmits);
        }
        let events = self.drain_events(around);
        if self.piped.is_some() {
            self.close_wanted(around);
        }
        // Events must not hold back output: a loop that has drained transmits goes to sleep.
        if is_full && events > 0 && (self.poll_transmit(around).is_some() || self.write_one(around))
        {
            self.violated(around, Rule::Drained, format_args!("poll_event made something to send"));
        }
        around.buffer.clear();
        Drained { transmits, events, is_full }
    }

    /// Sees to it that a drain ends.
    fn count_transmits(&self, around: &Surroundings<'_>, transmits: u32) {
        if transmits > MAX_TRANSMITS {
            let what = format_args!("more than {MAX_TRANSMITS} transmits in one drain");
            self.violated(around, Rule::Bounded, what);
        }
    }

    /// Takes one transmit and checks that it is as it says.
    fn poll_transmit(&mut self, around: &mut Surroundings<'_>) -> Option<Transmit> {
        let before = around.buffer.len();
        let transmit = self.machine.poll_transmit(around.local, around.buffer);
        let after = around.buffer.len();
        let Some(transmit) = transmit else {
            if after != before {
                let what =
                    format_args!("no Transmit, but the buffer went from {before} to {after} bytes");
                self.violated(around, Rule::Drained, what);
            }
            return None;
        };
        let Transmit { len, segment_size, .. } = transmit;
        let is_right = before.checked_add(len) == Some(after)
            && (1..=MAX_DATAGRAM).contains(&len)
            && (1..=len).contains(&segment_size)
            && transmit.segments() <= MAX_SEGMENTS;
        if !is_right {
            let what = format_args!(
                "len {len}, segment_size {segment_size}, buffer from {before} to {after} bytes (at \
                 most {MAX_SEGMENTS} segments and {MAX_DATAGRAM} bytes, at least one)"
            );
            self.violated(around, Rule::Transmit, what);
        }
        Some(transmit)
    }

    /// Takes all events; how many there were.
    fn drain_events(&mut self, around: &mut Surroundings<'_>) -> usize {
        let before = self.events.len();
        while let Some(event) = self.machine.poll_event() {
            self.events.push_back((around.now, event));
            self.has_told = true;
            if self.events.len() > MAX_EVENTS {
                let what = format_args!("more than {MAX_EVENTS} events, or nobody fetches them");
                self.violated(around, Rule::Bounded, what);
            }
        }
        self.events.len() - before
    }

    /// The time to tell the machine: now, or at times one that is past (rule 2).
    fn perhaps_stale(&mut self, around: &Surroundings<'_>) -> Instant {
        if around.discipline.stale.draw(&mut self.random) {
            around.local - up_to(&mut self.random, around.discipline.stale_by)
        } else {
            around.local
        }
    }

    /// Panics: this host's machine has broken `rule`.
    #[cold]
    pub(crate) fn violated(
        &self,
        around: &Surroundings<'_>,
        rule: Rule,
        what: fmt::Arguments<'_>,
    ) -> ! {
        let host = (self.id, self.address);
        around.network.report.violated(rule, host, around.now, what)
    }
}
