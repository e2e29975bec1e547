//! The world: hosts, the network between them, and the one clock.
//!
//! Time stands still while anything is done and then jumps to whatever comes next: the next
//! arrival, or the first host that wants attention. At one instant all arrivals come first, in the
//! order in which they were sent, grouped by host; then the hosts whose time has come, by number.
//! What is sent with no delay arrives in the next round of the same instant. Pipes come behind
//! datagrams, in the order in which they were opened.
//!
//! A world holds machines of one type; several kinds (an engine and its attacker) make an enum.

use crate::contract::Report;
use crate::deadlines::Deadlines;
use crate::discipline::Discipline;
use crate::host::{Accepted, Arrival, Host, HostId, Surroundings};
use crate::link::{Bottleneck, BottleneckCounters, LineConfig, LinkConfig, LinkCounters};
use crate::network::{BottleneckId, Network};
use crate::rule::{PacketView, RuleId, Verdict};
use crate::stream::Pipes;
use crate::trace::Totals;
use std::fmt;
use std::net::SocketAddr;
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Random, Seed};

#[cfg(test)]
mod golden;
#[cfg(test)]
mod host_fault_tests;
mod host_faults;
#[cfg(test)]
mod nat_tests;
mod nats;
#[cfg(test)]
mod partition_tests;
#[cfg(test)]
mod tests;

/// Hosts, links and a clock, all of which follow from one seed.
///
/// Should a test panic while it holds a world, the world says its seed, its time and how to run it
/// again, and the newest lines of its trace if some are kept.
pub struct World<M: DatagramMachine> {
    seed: Seed,
    now: Instant,
    hosts: Vec<Host<M>>,
    /// When each host wants to be called, by its number.
    attention: Deadlines,
    network: Network,
    /// Streams of bytes between hosts; see the part of the world in `stream::world`.
    pub(crate) pipes: Pipes,
    discipline: Discipline,
    /// The transmit buffer, shared by all hosts and empty between turns.
    buffer: Vec<u8>,
    /// Hosts with arrivals in this round.
    ready: Vec<HostId>,
    /// Hosts with events that nobody was told of.
    noisy: Vec<HostId>,
}

/// Why a world is not idle, although the time for it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotIdle {
    /// When it was looked at.
    pub now: Instant,
    /// Datagrams still on their way.
    pub in_flight: usize,
    /// Bytes still in pipes, or waiting for room in one.
    pub in_pipes: usize,
    /// Hosts whose drain was cut short and has not gone on.
    pub blocked: usize,
    /// The host that wants attention first, and when.
    pub next: Option<(HostId, Instant)>,
}

impl fmt::Display for NotIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, in_flight, in_pipes, blocked, next } = self;
        write!(f, "not idle at {now:?}: {in_flight} datagrams in flight, {blocked} hosts blocked")?;
        if *in_pipes > 0 {
            write!(f, ", {in_pipes} bytes in pipes")?;
        }
        match next {
            Some((host, at)) => write!(f, ", {host} waits for {at:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NotIdle {}

impl<M: DatagramMachine> World<M> {
    /// An empty world at [`Instant::ZERO`] whose links are perfect with a delay of 10 ms.
    pub fn new(seed: u64) -> Self {
        Self::starting_at(seed, Instant::ZERO)
    }

    /// The same at another time: nothing may depend on where a clock has its zero.
    pub fn starting_at(seed: u64, now: Instant) -> Self {
        let report = Report { seed, rerun: None };
        let seed = Seed::from_number(seed).child("world");
        let default_link = LinkConfig::perfect().delay(Duration::from_millis(10));
        Self {
            network: Network::new(seed.child("network"), default_link, report),
            pipes: Pipes::new(seed.child("pipes")),
            seed,
            now,
            hosts: Vec::new(),
            attention: Deadlines::default(),
            discipline: Discipline::default(),
            buffer: Vec::new(),
            ready: Vec::new(),
            noisy: Vec::new(),
        }
    }

    /// The number that everything follows from.
    pub const fn seed(&self) -> u64 {
        self.network.report.seed
    }

    /// A seed for the machine called `label`, so that it follows from the world's number.
    pub fn seed_for(&self, label: &str) -> Seed {
        self.seed.child("machines").child(label)
    }

    /// A generator for the test itself: scripted applications, random operations.
    pub fn random(&self, label: &str) -> Random {
        self.seed.child("test").random(label)
    }

    /// Says which command runs this again; it is printed when something fails.
    pub fn set_rerun(&mut self, command: impl Into<String>) {
        self.network.report.rerun = Some(command.into());
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    // ---- hosts ----

    /// Adds a host, which at once drains what the machine has to send.
    ///
    /// # Panics
    /// If another host has the address.
    pub fn add_host(&mut self, address: SocketAddr, machine: M) -> HostId {
        let id = self.place(address, machine);
        self.attend(id, Host::turn);
        id
    }

    /// Adds a host without a turn.
    pub(crate) fn place(&mut self, address: SocketAddr, machine: M) -> HostId {
        // No run has 2^32 hosts.
        let id = HostId(self.hosts.len() as u32);
        self.network.add_address(id, address);
        let random = self.seed.child("discipline").random(&address.to_string());
        self.hosts.push(Host::new(id, address, machine, random));
        self.attention.grow(self.hosts.len());
        id
    }

    /// The hosts, in the order in which they were added.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = HostId> + use<M> {
        (0..self.hosts.len() as u32).map(HostId)
    }

    /// The host's address.
    pub fn address(&self, host: HostId) -> SocketAddr {
        self.hosts[host.index()].address
    }

    /// Puts another address in place of the host's (first) one; its machine is not told. Links stay
    /// as they are, and what is on its way to the old address is lost. A new port alone is what a
    /// NAT does that forgot.
    ///
    /// # Panics
    /// If another host has the address.
    pub fn readdress(&mut self, host: HostId, address: SocketAddr) {
        self.network.readdress(host, address);
        self.hosts[host.index()].address = address;
    }

    /// Gives the host a further address, of the same or the other family; its machine is not told.
    ///
    /// What it sends leaves from the address that the machine names as local; if it names none,
    /// from the first one of the destination's family. Each pair of addresses has a link of its
    /// own, which begins as the default: set links after adding addresses.
    ///
    /// # Panics
    /// If another host has the address.
    pub fn add_address(&mut self, host: HostId, address: SocketAddr) {
        self.network.add_address(host, address);
    }

    /// Takes one of the host's addresses away, unless it is its last; whether it did. What is on
    /// its way there is lost.
    pub fn remove_address(&mut self, host: HostId, address: SocketAddr) -> bool {
        let removed = self.network.remove_address(host, address);
        if let Some(first) = self.network.addresses(host).next() {
            self.hosts[host.index()].address = first;
        }
        removed
    }

    /// All addresses of the host, the first one first.
    pub fn addresses(&self, host: HostId) -> impl Iterator<Item = SocketAddr> {
        self.network.addresses(host)
    }

    /// How many turns the host's loop has taken so far, whatever machines it had: each is some
    /// calls and a drain.
    pub fn turns(&self, host: HostId) -> u64 {
        self.hosts[host.index()].turns_total
    }

    /// The host's machine, to look at.
    pub fn machine(&self, host: HostId) -> &M {
        &self.hosts[host.index()].machine
    }

    /// Calls the host's machine (a command of its user, say) with the time that its clock shows;
    /// afterwards the host is drained, or when it wakes up if it sleeps.
    pub fn with<R>(&mut self, host: HostId, call: impl FnOnce(&mut M, Instant) -> R) -> R {
        let local = self.local_time(host);
        let result = call(&mut self.hosts[host.index()].machine, local);
        self.attend(host, Host::turn);
        result
    }

    /// Takes the host's events so far, each with its time.
    pub fn take_events(&mut self, host: HostId) -> Vec<(Instant, M::Event)> {
        self.hosts[host.index()].events.drain(..).collect()
    }

    /// Takes the host's oldest event.
    pub fn next_event(&mut self, host: HostId) -> Option<(Instant, M::Event)> {
        self.hosts[host.index()].events.pop_front()
    }

    /// The hosts that have told an event since this was last asked, each once, in the order of
    /// their first. It costs as much as there are such hosts, so that a runner of thousands need
    /// not look at all of them after each step.
    ///
    /// Some of the events may have been taken meanwhile, by [`Self::wait_event`] for instance.
    pub fn take_noisy(&mut self) -> Vec<HostId> {
        let mut noisy = Vec::new();
        self.swap_noisy(&mut noisy);
        noisy
    }

    /// The same into a vector of the caller's, which is emptied first: its memory serves the world
    /// in turn, so that a runner who asks after every step allocates nothing.
    pub fn swap_noisy(&mut self, noisy: &mut Vec<HostId>) {
        noisy.clear();
        std::mem::swap(&mut self.noisy, noisy);
        for host in noisy {
            self.hosts[host.index()].is_noisy = false;
        }
    }

    /// Sets the liberties that all hosts take from now on.
    pub const fn set_discipline(&mut self, discipline: Discipline) {
        self.discipline = discipline;
    }

    // ---- network ----

    /// Changes all links that have no configuration of their own.
    pub fn set_default_link(&mut self, config: LinkConfig) {
        self.network.set_default_link(config);
    }

    /// Gives the link from one host to another a configuration of its own.
    pub fn set_link(&mut self, from: HostId, to: HostId, config: LinkConfig) {
        self.network.set_link(from, to, config);
    }

    /// The same for both directions.
    pub fn set_links(&mut self, one: HostId, other: HostId, config: LinkConfig) {
        self.set_link(one, other, config);
        self.set_link(other, one, config);
    }

    /// Gives the link between two addresses a configuration of its own, where hosts have several;
    /// whether somebody has both.
    pub fn set_path(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        config: LinkConfig,
    ) -> bool {
        self.network.set_path(source, destination, config)
    }

    /// Cuts the link from one host to another: what is sent from now on vanishes. The other
    /// direction stays; cut both for a symmetric partition.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        self.network.set_cut(from, to, true);
    }

    /// Ends a [cut](Self::cut); the link is as it was before.
    pub fn heal(&mut self, from: HostId, to: HostId) {
        self.network.set_cut(from, to, false);
    }

    /// Clogs the link from one host to another: what is sent from now on is held up, for as long as
    /// it takes, and not lost. It counts as in flight.
    pub fn clog(&mut self, from: HostId, to: HostId) {
        self.network.clog(from, to);
    }

    /// Releases a [clogged](Self::clog) link: what it held up arrives when it would have, or all at
    /// once in its order.
    pub fn unclog(&mut self, from: HostId, to: HostId) {
        self.network.unclog(self.now, from, to);
    }

    /// Makes every link, present and to come, one of this configuration: cuts and clogs end,
    /// shared bottlenecks are left, queues are empty. What was on its way arrives as it would have;
    /// rules stay.
    pub fn heal_all(&mut self, config: LinkConfig) {
        self.network.heal_all(self.now, config);
    }

    /// Adds a bottleneck of `bytes_per_s` with a tail-drop queue of `queue` bytes, for links to
    /// share.
    pub fn add_bottleneck(&mut self, bytes_per_s: u64, queue: usize) -> BottleneckId {
        self.add_line(LineConfig::new(bytes_per_s, queue))
    }

    /// The same for any line.
    pub fn add_line(&mut self, line: LineConfig) -> BottleneckId {
        let seed = self.seed.child(&format!("bottleneck {}", self.network.bottlenecks()));
        self.network.add_bottleneck(Bottleneck::with(line, &seed))
    }

    /// Leads the link from one host to another through a shared bottleneck, in place of the rate
    /// and queue of its configuration.
    pub fn share_bottleneck(&mut self, from: HostId, to: HostId, bottleneck: BottleneckId) {
        self.network.share(from, to, bottleneck);
    }

    /// What has become of the datagrams of a shared bottleneck.
    pub fn bottleneck_counters(&self, bottleneck: BottleneckId) -> BottleneckCounters {
        self.network.bottleneck_counters(bottleneck)
    }

    /// What has become of the datagrams that reached the link from one host to another.
    pub fn link_counters(&self, from: HostId, to: HostId) -> LinkCounters {
        self.network.link_counters(from, to)
    }

    /// Adds a scripted rule, to be asked after the earlier ones.
    pub fn add_rule(&mut self, rule: impl FnMut(&PacketView<'_>) -> Verdict + 'static) -> RuleId {
        self.network.rules.add(Box::new(rule))
    }

    /// Takes a rule away; whether it was there.
    pub fn remove_rule(&mut self, rule: RuleId) -> bool {
        self.network.rules.remove(rule)
    }

    /// Takes all rules away.
    pub fn clear_rules(&mut self) {
        self.network.rules.clear();
    }

    /// Adds a function that is shown every datagram, when it is sent and when it is delivered or
    /// dropped.
    pub fn add_tap(&mut self, tap: impl FnMut(&PacketView<'_>) + 'static) {
        self.network.taps.push(Box::new(tap));
    }

    /// Puts in a datagram that nobody sent, to be delivered after `delay`, past rules and links.
    /// Its source may be any address.
    pub fn inject(
        &mut self,
        delay: Duration,
        source: SocketAddr,
        to: HostId,
        ecn: Ecn,
        bytes: &[u8],
    ) {
        self.network.inject(self.now + delay, source, to, ecn, bytes);
    }

    /// How many datagrams are on their way.
    pub fn in_flight(&self) -> usize {
        self.network.in_flight()
    }

    // ---- what happened ----

    /// The hash of all that was sent and delivered so far: equal for equal runs.
    pub const fn trace_hash(&self) -> u64 {
        self.network.trace.hash()
    }

    /// What has become of all datagrams so far.
    pub const fn totals(&self) -> Totals {
        self.network.trace.totals()
    }

    /// Keeps the newest `lines` of the trace as text from now on; 0 for none, as at the start.
    pub fn keep_trace(&mut self, lines: usize) {
        self.network.trace.keep_lines(lines);
    }

    /// The lines kept, oldest first.
    pub fn trace_lines(&self) -> impl Iterator<Item = &str> {
        self.network.trace.lines()
    }

    // ---- time ----

    /// When something happens next, if ever.
    pub fn next_time(&self) -> Option<Instant> {
        let datagrams = earlier(self.attention.earliest(), self.network.next_time());
        earlier(datagrams, self.pipes.next_time())
    }

    /// Goes on to whatever is next and does all of one round; the time then.
    pub fn step(&mut self) -> Option<Instant> {
        self.step_until(Instant::MAX)
    }

    /// Does everything up to `deadline`, itself included; then it is that time.
    pub fn run_until(&mut self, deadline: Instant) {
        while self.step_until(deadline).is_some() {}
        self.now = self.now.max(deadline);
    }

    /// Does everything in the next `duration`.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs while `condition` holds, at most for `limit`. Whether the condition came to an end; the
    /// time is then that of the round which ended it, and otherwise `limit` has passed.
    #[must_use = "false says that the limit came first"]
    pub fn run_while(&mut self, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> bool {
        let deadline = self.now + limit;
        while condition(self) {
            if self.step_until(deadline).is_none() {
                self.now = deadline;
                return false;
            }
        }
        true
    }

    /// Runs until the host has an event, at most for `limit`, and takes it.
    pub fn wait_event(&mut self, host: HostId, limit: Duration) -> Option<(Instant, M::Event)> {
        let _found = self.run_while(limit, |world| world.hosts[host.index()].events.is_empty());
        self.next_event(host)
    }

    /// Runs until the world is idle: nothing in flight, nothing held back, and no host has a
    /// deadline. The time is then that of the last thing that happened, which is returned. For
    /// machines that always have some far deadline see [`Self::run_until_quiet`].
    ///
    /// # Errors
    /// [`NotIdle`] if `limit` came first; it has passed then.
    pub fn run_until_idle(&mut self, limit: Duration) -> Result<Instant, NotIdle> {
        self.run_until_quiet(Duration::MAX, limit)
    }

    /// Runs until nothing is in flight, nothing held back, and no deadline within `quiet` of the
    /// present, as with keep-alive and idle limit.
    ///
    /// # Errors
    /// [`NotIdle`] if `limit` came first; it has passed then.
    pub fn run_until_quiet(
        &mut self,
        quiet: Duration,
        limit: Duration,
    ) -> Result<Instant, NotIdle> {
        let deadline = self.now + limit;
        loop {
            if self.is_idle_until(self.now + quiet) {
                return Ok(self.now);
            }
            if self.step_until(deadline).is_none() {
                self.now = deadline;
                return Err(self.not_idle());
            }
        }
    }

    /// Whether nothing is in flight or held back and no host wants attention up to `horizon`.
    fn is_idle_until(&self, horizon: Instant) -> bool {
        self.in_flight() == 0
            && !self.pipes.is_busy()
            && self.attention.first().is_none_or(|(at, _)| at > horizon)
            && !self.hosts.iter().any(Host::is_blocked)
    }

    /// What there is still to do.
    fn not_idle(&self) -> NotIdle {
        NotIdle {
            now: self.now,
            in_flight: self.in_flight(),
            in_pipes: self.pipes.busy_bytes(),
            blocked: self.hosts.iter().filter(|host| host.is_blocked()).count(),
            next: self.attention.first().map(|(at, host)| (HostId(host as u32), at)),
        }
    }

    /// One round, if something happens up to `deadline`: all arrivals of the next instant, then the
    /// hosts whose time has come.
    fn step_until(&mut self, deadline: Instant) -> Option<Instant> {
        let now = self.next_time().filter(|at| *at <= deadline)?;
        // Nothing is ever due in the past: links add to the present, deadlines are checked.
        debug_assert!(now >= self.now);
        self.now = now;
        while let Some((host, slot)) = self.network.next_arrival(now) {
            let len = self.network.len(slot);
            match self.hosts[host.index()].accept(slot, len) {
                Accepted::Inbox { is_first: true } => self.ready.push(host),
                Accepted::Inbox { is_first: false } => {}
                Accepted::Held => self.network.hold(),
                Accepted::Refused(cause) => self.network.discard(now, slot, cause),
            }
        }
        while let Some((host, way, count)) = self.pipes.next_arrival(now) {
            self.put_in(host, Arrival::Piece(way), count);
        }
        let mut ready = std::mem::take(&mut self.ready);
        for host in ready.drain(..) {
            self.attend(host, Host::receive);
        }
        self.ready = ready;
        self.attend_writable();
        while self.attention.earliest().is_some_and(|at| at <= now)
            && let Some((_, host)) = self.attention.first()
        {
            self.attend(HostId(host as u32), Host::wake);
        }
        Some(now)
    }

    /// Lets something arrive so many times in this round.
    fn put_in(&mut self, host: HostId, arrival: Arrival, count: usize) {
        let place = &mut self.hosts[host.index()];
        // A host that sleeps reads its pipes when it wakes.
        if place.inbox.is_empty() && !place.is_asleep() {
            self.ready.push(host);
        }
        place.inbox.extend(std::iter::repeat_n(arrival, count));
    }

    /// The host, to be looked after.
    pub(crate) fn host(&mut self, host: HostId) -> &mut Host<M> {
        &mut self.hosts[host.index()]
    }

    /// Does something with a host and notes when it wants attention next.
    pub(crate) fn attend(
        &mut self,
        id: HostId,
        what: impl FnOnce(&mut Host<M>, &mut Surroundings<'_>),
    ) {
        let Self { now, seed, hosts, network, pipes, discipline, buffer, noisy, .. } = self;
        let host = &mut hosts[id.index()];
        let local = host.local_time(*now);
        let mut around =
            Surroundings { now: *now, local, seed, network, pipes, discipline, buffer };
        what(host, &mut around);
        self.attention.set(id.index(), host.attention(*now));
        if host.has_told && !host.is_noisy {
            host.is_noisy = true;
            noisy.push(id);
        }
        host.has_told = false;
    }
}

/// The earlier of two times, each of which may be absent. One by one and not as a list: this is
/// asked several times for each datagram.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl<M: DatagramMachine> Drop for World<M> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for line in self.network.trace.lines() {
            eprintln!("{line}");
        }
        let (seed, rerun) = (self.seed(), self.network.report.rerun());
        eprintln!("world of seed {seed} at {:?}; rerun: {rerun}", self.now);
    }
}

impl<M: DatagramMachine> fmt::Debug for World<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed())
            .field("now", &self.now)
            .field("hosts", &self.hosts.len())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
