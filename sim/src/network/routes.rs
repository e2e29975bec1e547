//! The ways from interface to interface: a link each, perhaps cut, perhaps through a bottleneck
//! that others share.
//!
//! A route is made when it is first used or configured. Its generators depend on the world's seed
//! and the two addresses only, not on when it is made or which others there are.

use super::interfaces::{FixedMap, InterfaceId};
use super::{BottleneckId, Interfaces};
use crate::chance::Chance;
use crate::host::HostId;
use crate::link::{Link, LinkConfig, LinkCounters};
use crate::pool::Slot;
use tripline_sansio::{Instant, Seed};

/// Names a route: its number, from 0 in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteId(u32);

/// The way from one interface to another.
pub(super) struct Route {
    pub(super) link: Link,
    /// The bottleneck in place of the link's own, if it shares one.
    pub(super) shared: Option<BottleneckId>,
    /// Whether the link has a configuration of its own, which a new default leaves alone.
    pub(super) is_own: bool,
    /// Whether nothing comes through: one direction of a partition.
    pub(super) is_cut: bool,
    /// What is held up, with its time of arrival, while the link is clogged; none: it is not.
    pub(super) clogged: Option<Vec<(Instant, Slot)>>,
    /// Datagrams sent so far, those included that a rule dropped.
    pub(super) sent: u64,
    /// The bytes of the datagram before, while the link splices; otherwise empty.
    pub(super) previous: Vec<u8>,
}

impl Route {
    /// Keeps a datagram for its successor, if the link splices.
    pub(super) fn remember(&mut self, bytes: &[u8]) {
        if self.link.config().damage.splice != Chance::NEVER {
            self.previous.clear();
            self.previous.extend_from_slice(bytes);
        }
    }
}

/// All routes of a world.
pub(super) struct Routes {
    /// From which every link's generators follow.
    seed: Seed,
    default_link: LinkConfig,
    list: Vec<Route>,
    numbers: FixedMap<(InterfaceId, InterfaceId), RouteId>,
}

impl Routes {
    /// No routes; those to come follow `default_link`.
    pub(super) fn new(seed: Seed, default_link: LinkConfig) -> Self {
        Self { seed, default_link, list: Vec::new(), numbers: FixedMap::default() }
    }

    /// Changes the configuration of all links that have none of their own.
    pub(super) fn set_default_link(&mut self, config: LinkConfig) {
        self.default_link = config;
        for route in self.list.iter_mut().filter(|route| !route.is_own) {
            route.link.configure(config);
        }
    }

    /// Makes every link new with this configuration: nothing is cut, clogged, shared, queued or its
    /// own. What was held up is returned.
    pub(super) fn heal_all(&mut self, config: LinkConfig) -> Vec<(Instant, Slot)> {
        self.default_link = config;
        let mut held_up = Vec::new();
        for route in &mut self.list {
            route.link.renew(config);
            route.shared = None;
            route.is_own = false;
            route.is_cut = false;
            held_up.extend(route.clogged.take().unwrap_or_default());
        }
        held_up
    }

    /// The route between two interfaces, made when first used.
    pub(super) fn between(
        &mut self,
        interfaces: &Interfaces,
        from: InterfaceId,
        to: InterfaceId,
    ) -> RouteId {
        let Self { seed, default_link, list, numbers } = self;
        *numbers.entry((from, to)).or_insert_with(|| {
            let [source, destination] = [from, to].map(|id| interfaces.get(id).address);
            let seed = seed.child(&format!("link {source} > {destination}"));
            // No run has 2^32 routes.
            let id = RouteId(list.len() as u32);
            list.push(Route {
                link: Link::new(*default_link, &seed),
                shared: None,
                is_own: false,
                is_cut: false,
                clogged: None,
                sent: 0,
                previous: Vec::new(),
            });
            id
        })
    }

    /// The routes from one host to another, one for each pair of interfaces of one family, made if
    /// need be; the first is that between their first interfaces, of whatever family.
    pub(super) fn all(
        &mut self,
        interfaces: &Interfaces,
        from: HostId,
        to: HostId,
    ) -> Vec<RouteId> {
        let mut found = Vec::new();
        for (i, source) in interfaces.of(from).iter().enumerate() {
            for (j, destination) in interfaces.of(to).iter().enumerate() {
                let family = |id| interfaces.get(id).address.is_ipv4();
                if i + j == 0 || family(*source) == family(*destination) {
                    found.push(self.between(interfaces, *source, *destination));
                }
            }
        }
        found
    }

    /// Gives a link a configuration of its own.
    pub(super) fn set_own(&mut self, id: RouteId, config: LinkConfig) {
        let route = self.get_mut(id);
        route.link.configure(config);
        route.is_own = true;
    }

    /// The route itself.
    pub(super) fn get_mut(&mut self, id: RouteId) -> &mut Route {
        &mut self.list[id.0 as usize]
    }

    /// What has become of the datagrams from one host to another, over all their interfaces.
    pub(super) fn counters(
        &self,
        interfaces: &Interfaces,
        from: HostId,
        to: HostId,
    ) -> LinkCounters {
        let mut sum = LinkCounters::default();
        for source in interfaces.of(from) {
            for destination in interfaces.of(to) {
                if let Some(id) = self.numbers.get(&(*source, *destination)) {
                    sum.add(&self.list[id.0 as usize].link.counters());
                }
            }
        }
        sum
    }
}
