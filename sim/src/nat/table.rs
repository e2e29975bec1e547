//! The bindings of one NAT.

use super::{Dependence, NatConfig, NatCounters, NatId, PEERS_MAX, PortChoice};
use crate::drop_cause::DropCause;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use tripline_sansio::{Instant, Random, Seed};

/// As much of an address as something depends on.
type Part = Option<(IpAddr, u16)>;

impl Dependence {
    fn part(self, address: SocketAddr) -> Part {
        match self {
            Self::Endpoint => None,
            Self::Address => Some((address.ip(), 0)),
            Self::AddressAndPort => Some((address.ip(), address.port())),
        }
    }
}

/// What a binding is for: an inside address, and as much of the destination as the mapping depends
/// on.
type Key = (SocketAddr, Part);

/// An outside port in use.
#[derive(Clone, Debug)]
struct Binding {
    key: Key,
    /// When it was last kept alive.
    used: Instant,
    /// Whom it has sent to, as much of them as the filter depends on, and when it was last kept
    /// alive.
    peers: BTreeMap<Part, Instant>,
}

/// A NAT: its configuration, place and bindings.
#[derive(Clone, Debug)]
pub(crate) struct Nat {
    config: NatConfig,
    /// Its outside address.
    pub(crate) outside: IpAddr,
    /// The NAT that it is behind itself, if it is.
    pub(crate) behind: Option<NatId>,
    random: Random,
    ports: BTreeMap<Key, u16>,
    bindings: BTreeMap<u16, Binding>,
    /// Where the next sequential port is looked for: its place among the ports.
    next: u16,
    /// Before that no port becomes free: a search that failed need not be repeated.
    full_until: Option<Instant>,
    counters: NatCounters,
}

/// How many ports are drawn before the rest is searched in order.
const DRAWS: u32 = 8;

impl Nat {
    /// A NAT without bindings whose ports follow from `seed`.
    pub(crate) fn new(outside: IpAddr, config: NatConfig, seed: &Seed) -> Self {
        Self {
            config,
            outside,
            behind: None,
            random: seed.random("ports"),
            ports: BTreeMap::new(),
            bindings: BTreeMap::new(),
            next: 0,
            full_until: None,
            counters: NatCounters::default(),
        }
    }

    /// The configuration in force.
    pub(crate) const fn config(&self) -> &NatConfig {
        &self.config
    }

    /// Changes the configuration. Bindings stay, and live as long as it says now.
    pub(crate) const fn configure(&mut self, config: NatConfig) {
        self.config = config;
        self.full_until = None;
    }

    /// Forgets all bindings.
    pub(crate) fn reboot(&mut self) {
        self.ports.clear();
        self.bindings.clear();
        self.full_until = None;
        self.counters.reboots += 1;
    }

    /// What has become of its datagrams and bindings.
    pub(crate) const fn counters(&self) -> NatCounters {
        self.counters
    }

    /// How many bindings are alive.
    pub(crate) fn bindings(&self, now: Instant) -> usize {
        self.bindings.values().filter(|binding| self.is_alive(now, binding.used)).count()
    }

    /// The outside address that `inside` has for `destination`, if it has one now.
    pub(crate) fn mapped(
        &self,
        now: Instant,
        inside: SocketAddr,
        destination: SocketAddr,
    ) -> Option<SocketAddr> {
        let port = *self.ports.get(&(inside, self.config.mapping.part(destination)))?;
        let binding = self.bindings.get(&port)?;
        self.is_alive(now, binding.used).then(|| SocketAddr::new(self.outside, port))
    }

    /// Who is behind an outside port now, if anybody is.
    pub(crate) fn inside(&self, now: Instant, port: u16) -> Option<SocketAddr> {
        let binding = self.bindings.get(&port)?;
        self.is_alive(now, binding.used).then_some(binding.key.0)
    }

    /// Leads something out: the outside address that it bears from here on. `None`: there is no
    /// port for it.
    pub(crate) fn outbound(
        &mut self,
        now: Instant,
        inside: SocketAddr,
        destination: SocketAddr,
    ) -> Option<SocketAddr> {
        let key = (inside, self.config.mapping.part(destination));
        let port = match self.mapped(now, inside, destination) {
            Some(outside) => outside.port(),
            None => self.bind(now, key)?,
        };
        self.counters.outbound += 1;
        let part = self.config.filtering.part(destination);
        let Self { config, bindings, counters, .. } = self;
        if let Some(binding) = bindings.get_mut(&port) {
            binding.used = now;
            if part.is_some() {
                binding.remember(now, part, config, counters);
            }
        }
        Some(SocketAddr::new(self.outside, port))
    }

    /// Lets something in that was sent to `port`: whom it is for, or why it is dropped.
    pub(crate) fn inbound(
        &mut self,
        now: Instant,
        port: u16,
        source: SocketAddr,
    ) -> Result<SocketAddr, DropCause> {
        let Some(inside) = self.inside(now, port) else {
            self.counters.unbound += 1;
            return Err(DropCause::NatUnbound);
        };
        let Self { config, bindings, counters, .. } = self;
        let Some(binding) = bindings.get_mut(&port) else { return Err(DropCause::NatUnbound) };
        let part = config.filtering.part(source);
        let known = binding.peers.get(&part).copied();
        let is_let_in = part.is_none() || known.is_some_and(|used| now - used < config.timeout);
        if !is_let_in {
            counters.filtered += 1;
            return Err(DropCause::NatFiltered);
        }
        counters.inbound += 1;
        if config.refresh_inbound {
            binding.used = now;
            if part.is_some() {
                binding.peers.insert(part, now);
            }
        }
        Ok(inside)
    }

    /// Whether a binding that was last kept alive then is still there.
    fn is_alive(&self, now: Instant, used: Instant) -> bool {
        now - used < self.config.timeout
    }

    /// Makes a binding; its port.
    fn bind(&mut self, now: Instant, key: Key) -> Option<u16> {
        if let Some(stale) = self.ports.get(&key).copied() {
            self.unbind(stale);
        }
        let Some(port) = self.find_port(now, key.0.port()) else {
            self.counters.full += 1;
            return None;
        };
        self.counters.created += 1;
        self.ports.insert(key, port);
        self.bindings.insert(port, Binding { key, used: now, peers: BTreeMap::new() });
        Some(port)
    }

    /// Forgets a binding that has timed out.
    fn unbind(&mut self, port: u16) {
        if let Some(binding) = self.bindings.remove(&port) {
            self.ports.remove(&binding.key);
            self.counters.expired += 1;
        }
    }

    /// A free port, made free if its binding has timed out.
    fn find_port(&mut self, now: Instant, inside: u16) -> Option<u16> {
        if self.full_until.is_some_and(|until| now < until) {
            return None;
        }
        let NatConfig { first_port, port_count, choice, .. } = self.config;
        let start = match choice {
            PortChoice::Sequential => self.next,
            PortChoice::Preserve if self.take(now, inside) => return Some(inside),
            PortChoice::Preserve | PortChoice::Random => {
                for _ in 0..DRAWS {
                    let place = self.random.below(u64::from(port_count)) as u16;
                    let port = first_port.saturating_add(place);
                    if self.take(now, port) {
                        return Some(port);
                    }
                }
                self.random.below(u64::from(port_count)) as u16
            }
        };
        for step in 0..port_count {
            let place = (u32::from(start) + u32::from(step)) % u32::from(port_count);
            let port = first_port.saturating_add(place as u16);
            if self.take(now, port) {
                self.next = (place as u16 + 1) % port_count;
                return Some(port);
            }
        }
        let oldest = self.bindings.values().map(|binding| binding.used).min();
        self.full_until = oldest.map(|used| used + self.config.timeout);
        None
    }

    /// Whether this is one of the ports, and free or freed.
    fn take(&mut self, now: Instant, port: u16) -> bool {
        let NatConfig { first_port, port_count, .. } = self.config;
        if port.checked_sub(first_port).is_none_or(|place| place >= port_count) {
            return false;
        }
        match self.bindings.get(&port) {
            Some(binding) if self.is_alive(now, binding.used) => false,
            Some(_) => {
                self.unbind(port);
                true
            }
            None => true,
        }
    }
}

impl Binding {
    /// Notes that this was sent to.
    fn remember(
        &mut self,
        now: Instant,
        part: Part,
        config: &NatConfig,
        counters: &mut NatCounters,
    ) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&part) {
            self.peers.retain(|_, used| now - *used < config.timeout);
            if self.peers.len() >= PEERS_MAX {
                let stalest = self.peers.iter().min_by_key(|(_, used)| **used);
                if let Some(stalest) = stalest.map(|(part, _)| *part) {
                    self.peers.remove(&stalest);
                    counters.forgotten += 1;
                }
            }
        }
        self.peers.insert(part, now);
    }
}
