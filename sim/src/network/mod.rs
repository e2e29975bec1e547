//! Everything between two hosts: addresses, links, rules, taps, and the datagrams in flight.
//!
//! Datagrams go in by [`Network::send`], are decided about at once (rules, then the link of the
//! ordered pair), and come out by [`Network::next_arrival`] when their time has come. The network
//! never calls a machine. Each ordered pair of addresses has one link, which may lead through a
//! bottleneck that others share.

mod interfaces;
mod nats;
mod routes;

use crate::contract::Report;
use crate::drop_cause::DropCause;
use crate::host::{HostId, SendFaults, SendState};
use crate::link::{Arrivals, Bottleneck, BottleneckCounters, Fate, LinkConfig, LinkCounters};
use crate::nat::NatId;
use crate::pool::{Datagram, Header, Pool, Slot};
use crate::queue::EventQueue;
use crate::rule::{PacketView, Rules, Stage, Verdict};
use crate::trace::{Trace, digest};
use interfaces::{FixedMap, Interface, InterfaceId, Interfaces};
use nats::{Climbed, Nats};
pub(crate) use routes::RouteId;
use routes::Routes;
use std::net::SocketAddr;
use tripline_sansio::{Duration, Ecn, Instant, Random, Seed, Transmit};

/// A function that sees every packet.
pub(crate) type Tap = Box<dyn FnMut(&PacketView<'_>)>;

/// More datagrams in flight than this are a flood that no test means.
const MAX_IN_FLIGHT: usize = 1 << 20;

/// Names a bottleneck that links share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BottleneckId(u32);

/// The network of a world.
pub(crate) struct Network {
    /// Who has which address.
    interfaces: Interfaces,
    /// Who is behind whom.
    pub(crate) nats: Nats,
    /// The links.
    routes: Routes,
    /// Those that links share.
    bottlenecks: Vec<Bottleneck>,
    /// What the hosts' systems do not send.
    send_faults: FixedMap<HostId, SendState>,
    /// Asked about every datagram that a host sends.
    pub(crate) rules: Rules,
    /// Shown every datagram, sent, delivered and dropped.
    pub(crate) taps: Vec<Tap>,
    /// What happened.
    pub(crate) trace: Trace,
    in_flight: EventQueue<Slot>,
    /// How many datagrams wait in the sockets of hosts that are asleep, or on clogged links.
    held: usize,
    pool: Pool,
    /// Who to blame and how to run it again, for panics.
    pub(crate) report: Report,
    /// Reused for datagrams that a rule changes.
    changed: Vec<u8>,
    /// Reused for those that a link damages.
    damaged: Vec<u8>,
}

impl Network {
    /// A network without hosts whose links follow `default_link`.
    pub(crate) fn new(seed: Seed, default_link: LinkConfig, report: Report) -> Self {
        Self {
            interfaces: Interfaces::default(),
            nats: Nats::default(),
            routes: Routes::new(seed, default_link),
            bottlenecks: Vec::new(),
            send_faults: FixedMap::default(),
            rules: Rules::default(),
            taps: Vec::new(),
            trace: Trace::default(),
            in_flight: EventQueue::new(),
            held: 0,
            pool: Pool::default(),
            report,
            changed: Vec::new(),
            damaged: Vec::new(),
        }
    }

    // ---- addresses ----

    /// Gives `host` another address.
    ///
    /// # Panics
    /// If somebody has it already.
    pub(crate) fn add_address(&mut self, host: HostId, address: SocketAddr) {
        self.interfaces.add(host, address);
    }

    /// Puts `address` in place of the host's first one: what is on its way there never arrives.
    ///
    /// # Panics
    /// If somebody has it already.
    pub(crate) fn readdress(&mut self, host: HostId, address: SocketAddr) {
        let first = self.interfaces.of(host)[0];
        self.interfaces.readdress(first, address);
    }

    /// Takes an address away from a host that has another; whether it did.
    pub(crate) fn remove_address(&mut self, host: HostId, address: SocketAddr) -> bool {
        self.interfaces.remove(host, address)
    }

    /// The host's addresses, the first one first.
    pub(crate) fn addresses(&self, host: HostId) -> impl Iterator<Item = SocketAddr> {
        self.interfaces.of(host).iter().map(|id| self.interfaces.get(*id).address)
    }

    /// Puts the host's addresses of the NAT's family behind the NAT; whether there are any.
    pub(crate) fn put_behind(&mut self, host: HostId, nat: NatId) -> bool {
        let is_ipv4 = self.nats.get(nat).outside.is_ipv4();
        let same = |id: &_| self.interfaces.get(*id).address.is_ipv4() == is_ipv4;
        let found: Vec<_> = self.interfaces.of(host).iter().copied().filter(same).collect();
        for id in &found {
            self.interfaces.put_behind(*id, Some(nat));
        }
        !found.is_empty()
    }

    // ---- links ----

    /// Changes the configuration of all links that have none of their own.
    pub(crate) fn set_default_link(&mut self, config: LinkConfig) {
        self.routes.set_default_link(config);
    }

    /// Gives the links from one host to another, over all their addresses, a configuration of
    /// their own.
    pub(crate) fn set_link(&mut self, from: HostId, to: HostId, config: LinkConfig) {
        for id in self.routes.all(&self.interfaces, from, to) {
            self.routes.set_own(id, config);
        }
    }

    /// Gives the link between two addresses a configuration of its own; whether both have owners.
    pub(crate) fn set_path(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        config: LinkConfig,
    ) -> bool {
        let ends = [source, destination].map(|address| self.interfaces.owner(address));
        let [Some(from), Some(to)] = ends else { return false };
        let id = self.routes.between(&self.interfaces, from, to);
        self.routes.set_own(id, config);
        true
    }

    /// Lets nothing through from one host to another from now on, or everything again.
    pub(crate) fn set_cut(&mut self, from: HostId, to: HostId, is_cut: bool) {
        for id in self.routes.all(&self.interfaces, from, to) {
            self.routes.get_mut(id).is_cut = is_cut;
        }
    }

    /// Holds up what is sent from one host to another from now on.
    pub(crate) fn clog(&mut self, from: HostId, to: HostId) {
        for id in self.routes.all(&self.interfaces, from, to) {
            self.routes.get_mut(id).clogged.get_or_insert_default();
        }
    }

    /// Lets what was held up between two hosts arrive.
    pub(crate) fn unclog(&mut self, now: Instant, from: HostId, to: HostId) {
        for id in self.routes.all(&self.interfaces, from, to) {
            let held_up = self.routes.get_mut(id).clogged.take().unwrap_or_default();
            self.let_go(now, held_up);
        }
    }

    /// Lets what was held up arrive when it would have, or now.
    fn let_go(&mut self, now: Instant, held_up: Vec<(Instant, Slot)>) {
        self.held -= held_up.len();
        for (at, slot) in held_up {
            self.in_flight.push(at.max(now), slot);
        }
    }

    /// Makes every link new with this configuration, and ends all partitions.
    pub(crate) fn heal_all(&mut self, now: Instant, config: LinkConfig) {
        let held_up = self.routes.heal_all(config);
        self.let_go(now, held_up);
    }

    /// How many bottlenecks links can share.
    pub(crate) const fn bottlenecks(&self) -> usize {
        self.bottlenecks.len()
    }

    /// Adds a bottleneck for links to share.
    pub(crate) fn add_bottleneck(&mut self, bottleneck: Bottleneck) -> BottleneckId {
        // No run has 2^32 bottlenecks.
        let id = BottleneckId(self.bottlenecks.len() as u32);
        self.bottlenecks.push(bottleneck);
        id
    }

    /// Leads the links from one host to another through a shared bottleneck.
    pub(crate) fn share(&mut self, from: HostId, to: HostId, bottleneck: BottleneckId) {
        for id in self.routes.all(&self.interfaces, from, to) {
            self.routes.get_mut(id).shared = Some(bottleneck);
        }
    }

    /// What has become of the datagrams of a shared bottleneck.
    pub(crate) fn bottleneck_counters(&self, bottleneck: BottleneckId) -> BottleneckCounters {
        let found = self.bottlenecks.get(bottleneck.0 as usize);
        found.map(Bottleneck::counters).unwrap_or_default()
    }

    /// What has become of the datagrams from one host to another.
    pub(crate) fn link_counters(&self, from: HostId, to: HostId) -> LinkCounters {
        self.routes.counters(&self.interfaces, from, to)
    }

    // ---- sending ----

    /// Sets what the host's system does not send; `random` makes its generator at first.
    pub(crate) fn set_send_faults(
        &mut self,
        host: HostId,
        faults: SendFaults,
        random: impl FnOnce() -> Random,
    ) {
        let state = self.send_faults.entry(host).or_insert_with(|| SendState::new(random()));
        state.faults = faults;
    }

    /// Takes a transmit of the host `from`, its bytes being `bytes`; a train is split into its
    /// datagrams.
    pub(crate) fn send(&mut self, now: Instant, from: HostId, transmit: &Transmit, bytes: &[u8]) {
        let way = self.find_way(now, from, transmit);
        let mut header = way.header;
        for datagram in bytes.chunks(transmit.segment_size) {
            if let Some(route) = header.route {
                let route = self.routes.get_mut(route);
                header.index = route.sent;
                route.sent += 1;
            }
            header.digest = digest(datagram);
            let packet = header.view(Stage::Offered, now, datagram);
            self.trace.offered(&packet, header.digest);
            self.show(&packet);
            let refused =
                self.send_faults.get_mut(&from).and_then(|state| state.refuse(datagram.len()));
            match refused.or(way.refused) {
                Some(cause) => self.lose(now, &header, datagram, cause),
                None => self.judge(now, &header, way.outside, datagram),
            }
        }
    }

    /// Where a transmit comes from and leads to, or why it leads nowhere. Leads it out of the NATs
    /// that its sender is behind.
    fn find_way(&mut self, now: Instant, from: HostId, transmit: &Transmit) -> Way {
        let destination = transmit.path.remote;
        let mut way = Way {
            header: Header {
                from: Some(from),
                to: None,
                source: destination,
                destination,
                sent_to: destination,
                ecn: transmit.ecn,
                index: 0,
                digest: 0,
                route: None,
                realm: None,
            },
            outside: destination,
            refused: None,
        };
        match self.interfaces.source(from, transmit.path.local, destination) {
            Err(source) => {
                way.header.source = source;
                way.header.to = self.host_at(destination);
                way.refused = Some(DropCause::NoSource);
            }
            Ok(source) => {
                way.header.source = self.interfaces.get(source).address;
                way.outside = way.header.source;
                way.refused = self.lead(now, source, &mut way).err();
            }
        }
        way
    }

    /// Finds the receiver and the route of what is sent from an interface.
    fn lead(&mut self, now: Instant, from: InterfaceId, way: &mut Way) -> Result<(), DropCause> {
        let Self { interfaces, nats, routes, .. } = self;
        let destination = way.header.destination;
        let to = if nats.is_empty() {
            interfaces.owner(destination).ok_or(DropCause::NoRoute)
        } else {
            let Interface { address, behind, .. } = *interfaces.get(from);
            let start = Climbed { source: address, realm: behind };
            let found = nats.find(interfaces, now, behind, destination);
            // Before any answer: a NAT makes a binding for what leads nowhere, too.
            let out = nats.climb(interfaces, now, start, destination)?;
            way.outside = out.source;
            way.header.realm = out.realm;
            found
        }?;
        way.header.to = Some(interfaces.get(to).host);
        let route = routes.between(interfaces, from, to);
        way.header.route = Some(route);
        if routes.get_mut(route).is_cut { Err(DropCause::Cut) } else { Ok(()) }
    }

    /// Whose address this is.
    fn host_at(&self, address: SocketAddr) -> Option<HostId> {
        self.interfaces.owner(address).map(|id| self.interfaces.get(id).host)
    }

    /// Lets the taps see a packet.
    fn show(&mut self, packet: &PacketView<'_>) {
        for tap in &mut self.taps {
            tap(packet);
        }
    }

    /// Notes that a datagram is not delivered, and shows it to the taps.
    fn lose(&mut self, now: Instant, header: &Header, bytes: &[u8], cause: DropCause) {
        let packet = header.view(Stage::Dropped(cause), now, bytes);
        self.trace.dropped(&packet, cause);
        self.show(&packet);
    }

    /// Asks the rules about a datagram and hands it to its link accordingly.
    fn judge(&mut self, now: Instant, header: &Header, outside: SocketAddr, bytes: &[u8]) {
        let verdict = if self.rules.is_empty() {
            Verdict::Pass
        } else {
            self.rules.decide(&header.view(Stage::Offered, now, bytes))
        };
        let mut header = Header { source: outside, ..*header };
        let header = &mut header;
        match verdict {
            Verdict::Pass => self.carry(now, header, bytes, Duration::ZERO, 1),
            Verdict::Drop => self.lose(now, header, bytes, DropCause::Scripted),
            Verdict::Delay(more) => self.carry(now, header, bytes, more, 1),
            Verdict::Duplicate => self.carry(now, header, bytes, Duration::ZERO, 2),
            Verdict::Mark(ecn) => {
                header.ecn = ecn;
                self.carry(now, header, bytes, Duration::ZERO, 1);
            }
            Verdict::Corrupt(corruption) => {
                let mut changed = std::mem::take(&mut self.changed);
                changed.clear();
                changed.extend_from_slice(bytes);
                corruption.apply(&mut changed);
                self.trace.corrupted();
                header.digest = digest(&changed);
                self.carry(now, header, &changed, Duration::ZERO, 1);
                self.changed = changed;
            }
        }
    }

    /// Offers a datagram to its link; each arrival is `more` later than the link says, and happens
    /// `times` times. What the link changes shows in the header.
    fn carry(
        &mut self,
        now: Instant,
        header: &mut Header,
        bytes: &[u8],
        more: Duration,
        times: usize,
    ) {
        let Some(route) = header.route else { return };
        let route = self.routes.get_mut(route);
        let shared = route.shared.and_then(|shared| self.bottlenecks.get_mut(shared.0 as usize));
        let fate = route.link.offer_marked(shared, now, bytes.len(), header.ecn);
        match fate {
            Fate::Dropped(cause) => self.lose(now, header, bytes, cause),
            Fate::Arrives(arrivals) => {
                header.ecn = arrivals.ecn();
                if arrivals.damage().is_none() {
                    route.remember(bytes);
                    self.enqueue_all(&arrivals, more, times, header, bytes);
                    return;
                }
                let mut damaged = std::mem::take(&mut self.damaged);
                damaged.clear();
                damaged.extend_from_slice(bytes);
                arrivals.damage().apply(&mut damaged, &route.previous);
                route.remember(bytes);
                self.trace.corrupted();
                header.digest = digest(&damaged);
                self.enqueue_all(&arrivals, more, times, header, &damaged);
                self.damaged = damaged;
            }
        }
    }

    /// Lets a datagram and its copies arrive, each `times` times and `more` later.
    fn enqueue_all(
        &mut self,
        arrivals: &Arrivals,
        more: Duration,
        times: usize,
        header: &Header,
        bytes: &[u8],
    ) {
        self.trace.copied((arrivals.times().len() * times) as u64 - 1);
        for at in arrivals.times() {
            for _ in 0..times {
                self.enqueue(*at + more, header, bytes);
            }
        }
    }

    /// Puts a datagram in without rules and link, to arrive at `at` at the host's first address.
    pub(crate) fn inject(
        &mut self,
        at: Instant,
        source: SocketAddr,
        to: HostId,
        ecn: Ecn,
        bytes: &[u8],
    ) {
        self.trace.injected();
        let Interface { address: destination, behind, .. } =
            *self.interfaces.get(self.interfaces.of(to)[0]);
        let header = Header {
            from: None,
            to: Some(to),
            source,
            destination,
            sent_to: destination,
            ecn,
            index: 0,
            digest: digest(bytes),
            route: None,
            realm: behind,
        };
        self.enqueue(at, &header, bytes);
    }

    /// Lets a datagram arrive at `at`.
    ///
    /// # Panics
    /// With too many in flight.
    fn enqueue(&mut self, at: Instant, header: &Header, bytes: &[u8]) {
        if self.in_flight() >= MAX_IN_FLIGHT {
            let Report { seed, .. } = self.report;
            let rerun = self.report.rerun();
            panic!("more than {MAX_IN_FLIGHT} datagrams in flight; seed {seed}, rerun: {rerun}");
        }
        let slot = self.pool.put(header, bytes);
        let clogged = header.route.and_then(|id| self.routes.get_mut(id).clogged.as_mut());
        if let Some(clogged) = clogged {
            clogged.push((at, slot));
            self.held += 1;
        } else {
            self.in_flight.push(at, slot);
        }
    }

    // ---- arriving ----

    /// When the next datagram arrives.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.in_flight.next_time()
    }

    /// How many datagrams are on their way, those included that wait for a host to wake up.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len() + self.held
    }

    /// The next datagram that is due at `now`, and whose it is. One whose receiver has moved away
    /// meanwhile is dropped, and one that a NAT does not let in.
    pub(crate) fn next_arrival(&mut self, now: Instant) -> Option<(HostId, Slot)> {
        loop {
            let slot = self.in_flight.pop_due(now)?;
            let Header { to, source, destination, realm, .. } = self.pool.get(slot).header;
            if self.nats.is_empty() {
                match self.host_at(destination) {
                    Some(owner) if to == Some(owner) => return Some((owner, slot)),
                    _ => self.discard(now, slot, DropCause::NoRoute),
                }
                continue;
            }
            match self.nats.descend(&self.interfaces, now, realm, source, destination) {
                Ok((id, inside)) => {
                    let host = self.interfaces.get(id).host;
                    let header = &mut self.pool.get_mut(slot).header;
                    header.destination = inside;
                    // Behind a NAT a port may meanwhile lead to another; in the open an address
                    // that somebody else has taken over is not the one that was meant.
                    if inside == destination && to != Some(host) {
                        self.discard(now, slot, DropCause::NoRoute);
                        continue;
                    }
                    header.to = Some(host);
                    return Some((host, slot));
                }
                Err(cause) => self.discard(now, slot, cause),
            }
        }
    }

    /// How long the datagram in `slot` is.
    pub(crate) fn len(&self, slot: Slot) -> usize {
        self.pool.get(slot).bytes.len()
    }

    /// A datagram that has arrived waits in its receiver's socket.
    pub(crate) const fn hold(&mut self) {
        self.held += 1;
    }

    /// So many wait no longer.
    pub(crate) const fn release(&mut self, count: usize) {
        self.held -= count;
    }

    /// Drops a datagram that has arrived, or waited.
    pub(crate) fn discard(&mut self, now: Instant, slot: Slot, cause: DropCause) {
        let Self { pool, trace, taps, .. } = self;
        let datagram = pool.get(slot);
        let packet = datagram.header.view(Stage::Dropped(cause), now, &datagram.bytes);
        trace.dropped(&packet, cause);
        for tap in taps {
            tap(&packet);
        }
        pool.release(slot);
    }

    /// Hands the datagram in `slot` to `receive` and forgets it.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        slot: Slot,
        receive: impl FnOnce(&mut Datagram),
    ) {
        let Self { pool, trace, taps, routes, .. } = self;
        let datagram = pool.get_mut(slot);
        let packet = datagram.header.view(Stage::Delivered, now, &datagram.bytes);
        trace.delivered(&packet, datagram.header.digest);
        if let Some(route) = datagram.header.route {
            routes.get_mut(route).link.note_delivered(datagram.bytes.len());
        }
        for tap in taps {
            tap(&packet);
        }
        receive(datagram);
        pool.release(slot);
    }
}

/// Where a transmit leads to.
struct Way {
    /// What its datagrams have in common.
    header: Header,
    /// The source address that they bear outside of the NATs that their sender is behind.
    outside: SocketAddr,
    /// Why it leads nowhere, if it does.
    refused: Option<DropCause>,
}
