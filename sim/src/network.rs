//! Everything between two hosts: addresses, links, rules, taps, and the datagrams in flight.
//!
//! Datagrams go in by [`Network::send`], are decided about at once (rules, then the link of the
//! ordered pair), and come out by [`Network::next_arrival`] when their time has come. The network
//! never calls a machine. Between the look-up of the receiver and the link is where a NAT will
//! rewrite addresses and a topology will choose among several addresses of a host; today a host has
//! one address at a time and each ordered pair of hosts one link, which may lead through a
//! bottleneck that others share.

use crate::contract::Report;
use crate::host::HostId;
use crate::link::{
    Bottleneck, BottleneckCounters, DropCause, Fate, Link, LinkConfig, LinkCounters,
};
use crate::pool::{Datagram, Pool, Slot};
use crate::queue::EventQueue;
use crate::rule::{PacketView, Rules, Stage, Verdict};
use crate::trace::{Trace, digest};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tripline_sansio::{Duration, Ecn, Instant, Seed, Transmit};

/// A function that sees every packet.
pub(crate) type Tap = Box<dyn FnMut(&PacketView<'_>)>;

/// More datagrams in flight than this are a flood that no test means.
const MAX_IN_FLIGHT: usize = 1 << 20;

/// Names a bottleneck that links share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BottleneckId(u32);

/// The way from one host to another.
struct Route {
    link: Link,
    /// The bottleneck in place of the link's own, if it shares one.
    shared: Option<BottleneckId>,
    /// Whether the link has a configuration of its own, which a new default leaves alone.
    is_own: bool,
    /// Datagrams sent so far, those included that a rule dropped.
    sent: u64,
}

/// A datagram about to be sent: all but its bytes.
#[derive(Clone, Copy)]
struct Envelope {
    from: Option<HostId>,
    to: HostId,
    source: SocketAddr,
    destination: SocketAddr,
    ecn: Ecn,
    index: u64,
    digest: u64,
}

/// The network of a world.
pub(crate) struct Network {
    /// From which every link's generators follow.
    seed: Seed,
    /// Who has which address.
    owners: BTreeMap<SocketAddr, HostId>,
    default_link: LinkConfig,
    routes: BTreeMap<(HostId, HostId), Route>,
    /// Those that links share.
    bottlenecks: Vec<Bottleneck>,
    /// Asked about every datagram that a host sends.
    pub(crate) rules: Rules,
    /// Shown every datagram, sent and delivered.
    pub(crate) taps: Vec<Tap>,
    /// What happened.
    pub(crate) trace: Trace,
    in_flight: EventQueue<Slot>,
    pool: Pool,
    /// Who to blame and how to run it again, for panics.
    pub(crate) report: Report,
    /// Reused for datagrams that a rule changes.
    changed: Vec<u8>,
}

impl Network {
    /// A network without hosts whose links follow `default_link`.
    pub(crate) fn new(seed: Seed, default_link: LinkConfig, report: Report) -> Self {
        Self {
            seed,
            owners: BTreeMap::new(),
            default_link,
            routes: BTreeMap::new(),
            bottlenecks: Vec::new(),
            rules: Rules::default(),
            taps: Vec::new(),
            trace: Trace::default(),
            in_flight: EventQueue::new(),
            pool: Pool::default(),
            report,
            changed: Vec::new(),
        }
    }

    /// Gives `host` the address.
    ///
    /// # Panics
    /// If somebody has it already.
    pub(crate) fn claim(&mut self, address: SocketAddr, host: HostId) {
        let other = self.owners.insert(address, host);
        assert!(other.is_none(), "{address} is taken");
    }

    /// Nobody has the address any more: what is on its way there never arrives.
    pub(crate) fn release(&mut self, address: SocketAddr) {
        self.owners.remove(&address);
    }

    /// Who has the address.
    pub(crate) fn owner(&self, address: SocketAddr) -> Option<HostId> {
        self.owners.get(&address).copied()
    }

    /// Changes the configuration of all links that have none of their own.
    pub(crate) fn set_default_link(&mut self, config: LinkConfig) {
        self.default_link = config;
        for route in self.routes.values_mut().filter(|route| !route.is_own) {
            route.link.configure(config);
        }
    }

    /// Gives one link a configuration of its own. The addresses label its generators.
    pub(crate) fn set_link(
        &mut self,
        (from, source): (HostId, SocketAddr),
        (to, destination): (HostId, SocketAddr),
        config: LinkConfig,
    ) {
        let route = self.route((from, source), (to, destination));
        route.link.configure(config);
        route.is_own = true;
    }

    /// Adds a bottleneck for links to share.
    pub(crate) fn add_bottleneck(&mut self, rate: Option<u64>, queue: usize) -> BottleneckId {
        // No run has 2^32 bottlenecks.
        let id = BottleneckId(self.bottlenecks.len() as u32);
        self.bottlenecks.push(Bottleneck::new(rate, queue));
        id
    }

    /// Leads a link through a shared bottleneck.
    pub(crate) fn share(
        &mut self,
        from: (HostId, SocketAddr),
        to: (HostId, SocketAddr),
        bottleneck: BottleneckId,
    ) {
        self.route(from, to).shared = Some(bottleneck);
    }

    /// What has become of the datagrams of a shared bottleneck.
    pub(crate) fn bottleneck_counters(&self, bottleneck: BottleneckId) -> BottleneckCounters {
        let found = self.bottlenecks.get(bottleneck.0 as usize);
        found.map(Bottleneck::counters).unwrap_or_default()
    }

    /// What has become of the datagrams from one host to another.
    pub(crate) fn link_counters(&self, from: HostId, to: HostId) -> LinkCounters {
        self.routes.get(&(from, to)).map(|route| route.link.counters()).unwrap_or_default()
    }

    /// The route of an ordered pair, made when first used. Its generators depend on the world's
    /// seed and the two addresses only, not on when it is made or which others there are.
    fn route(
        &mut self,
        (from, source): (HostId, SocketAddr),
        (to, destination): (HostId, SocketAddr),
    ) -> &mut Route {
        let Self { seed, routes, default_link, .. } = self;
        routes.entry((from, to)).or_insert_with(|| {
            let seed = seed.child(&format!("link {source} > {destination}"));
            Route { link: Link::new(*default_link, &seed), shared: None, is_own: false, sent: 0 }
        })
    }

    /// Takes a transmit of the host `from` at `address`, its bytes being `bytes`; a train is split
    /// into its datagrams.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        (from, address): (HostId, SocketAddr),
        transmit: &Transmit,
        bytes: &[u8],
    ) {
        let mut source = address;
        if let Some(local) = transmit.path.local {
            source.set_ip(local);
        }
        let destination = transmit.path.remote;
        let to = self.owner(destination);
        for datagram in bytes.chunks(transmit.segment_size) {
            let index = to.map_or(0, |to| {
                let route = self.route((from, address), (to, destination));
                route.sent += 1;
                route.sent - 1
            });
            let packet = PacketView {
                stage: Stage::Offered,
                now,
                from: Some(from),
                to,
                source,
                destination,
                ecn: transmit.ecn,
                index,
                bytes: datagram,
            };
            let digest = digest(datagram);
            self.trace.offered(&packet, digest);
            self.show(&packet);
            if source != address {
                self.trace.dropped(now, DropCause::NoSource);
            } else if to.is_none() {
                self.trace.dropped(now, DropCause::NoRoute);
            } else {
                self.judge(&packet, digest);
            }
        }
    }

    /// Lets the taps see a packet.
    fn show(&mut self, packet: &PacketView<'_>) {
        for tap in &mut self.taps {
            tap(packet);
        }
    }

    /// Asks the rules about a datagram and hands it to its link accordingly.
    fn judge(&mut self, packet: &PacketView<'_>, digest_before: u64) {
        let (Some(from), Some(to)) = (packet.from, packet.to) else {
            return;
        };
        let envelope = Envelope {
            from: Some(from),
            to,
            source: packet.source,
            destination: packet.destination,
            ecn: packet.ecn,
            index: packet.index,
            digest: digest_before,
        };
        match self.rules.decide(packet) {
            Verdict::Pass => self.carry(packet.now, envelope, packet.bytes, Duration::ZERO, 1),
            Verdict::Drop => self.trace.dropped(packet.now, DropCause::Scripted),
            Verdict::Delay(more) => self.carry(packet.now, envelope, packet.bytes, more, 1),
            Verdict::Duplicate => {
                self.carry(packet.now, envelope, packet.bytes, Duration::ZERO, 2);
            }
            Verdict::Mark(ecn) => {
                let envelope = Envelope { ecn, ..envelope };
                self.carry(packet.now, envelope, packet.bytes, Duration::ZERO, 1);
            }
            Verdict::Corrupt(corruption) => {
                let mut bytes = std::mem::take(&mut self.changed);
                bytes.clear();
                bytes.extend_from_slice(packet.bytes);
                corruption.apply(&mut bytes);
                self.trace.corrupted();
                let envelope = Envelope { digest: digest(&bytes), ..envelope };
                self.carry(packet.now, envelope, &bytes, Duration::ZERO, 1);
                self.changed = bytes;
            }
        }
    }

    /// Offers a datagram to its link; each arrival is `more` later than the link says, and happens
    /// `times` times.
    fn carry(
        &mut self,
        now: Instant,
        envelope: Envelope,
        bytes: &[u8],
        more: Duration,
        times: usize,
    ) {
        let Some(route) = envelope.from.and_then(|from| self.routes.get_mut(&(from, envelope.to)))
        else {
            return;
        };
        let shared = route.shared.and_then(|shared| self.bottlenecks.get_mut(shared.0 as usize));
        let fate = match shared {
            Some(shared) => route.link.offer_through(shared, now, bytes.len()),
            None => route.link.offer(now, bytes.len()),
        };
        match fate {
            Fate::Dropped(cause) => self.trace.dropped(now, cause),
            Fate::Arrives(arrivals) => {
                self.trace.copied((arrivals.times().len() * times) as u64 - 1);
                let ecn = match envelope.ecn {
                    Ecn::Ect0 | Ecn::Ect1 if arrivals.is_congested() => Ecn::Ce,
                    unmarked => unmarked,
                };
                let envelope = Envelope { ecn, ..envelope };
                for at in arrivals.times() {
                    for _ in 0..times {
                        self.enqueue(*at + more, envelope, bytes);
                    }
                }
            }
        }
    }

    /// Puts a datagram in without rules and link, to arrive at `at`.
    pub(crate) fn inject(
        &mut self,
        at: Instant,
        source: SocketAddr,
        (to, destination): (HostId, SocketAddr),
        ecn: Ecn,
        bytes: &[u8],
    ) {
        self.trace.injected();
        let digest = digest(bytes);
        let envelope = Envelope { from: None, to, source, destination, ecn, index: 0, digest };
        self.enqueue(at, envelope, bytes);
    }

    /// Lets a datagram arrive at `at`.
    ///
    /// # Panics
    /// With too many in flight.
    fn enqueue(&mut self, at: Instant, envelope: Envelope, bytes: &[u8]) {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            let Report { seed, .. } = self.report;
            let rerun = self.report.rerun();
            panic!("more than {MAX_IN_FLIGHT} datagrams in flight; seed {seed}, rerun: {rerun}");
        }
        let Envelope { from, to, source, destination, ecn, index, digest } = envelope;
        let header =
            Datagram { from, to, source, destination, ecn, index, digest, bytes: Vec::new() };
        self.in_flight.push(at, self.pool.put(header, bytes));
    }

    /// When the next datagram arrives.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.in_flight.next_time()
    }

    /// How many datagrams are on their way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The next datagram that is due at `now`, and whose it is. One whose receiver has moved away
    /// meanwhile is dropped.
    pub(crate) fn next_arrival(&mut self, now: Instant) -> Option<(HostId, Slot)> {
        loop {
            let slot = self.in_flight.pop_due(now)?;
            let Datagram { to, destination, .. } = *self.pool.get(slot);
            if self.owner(destination) == Some(to) {
                return Some((to, slot));
            }
            self.trace.dropped(now, DropCause::NoRoute);
            self.pool.release(slot);
        }
    }

    /// Hands the datagram in `slot` to `receive` and forgets it.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        slot: Slot,
        receive: impl FnOnce(&mut Datagram),
    ) {
        let datagram = self.pool.get(slot);
        let packet = PacketView {
            stage: Stage::Delivered,
            now,
            from: datagram.from,
            to: Some(datagram.to),
            source: datagram.source,
            destination: datagram.destination,
            ecn: datagram.ecn,
            index: datagram.index,
            bytes: &datagram.bytes,
        };
        self.trace.delivered(&packet, datagram.digest);
        if let Some(from) = datagram.from
            && let Some(route) = self.routes.get_mut(&(from, datagram.to))
        {
            route.link.note_delivered(datagram.bytes.len());
        }
        for tap in &mut self.taps {
            tap(&packet);
        }
        receive(self.pool.get_mut(slot));
        self.pool.release(slot);
    }
}
