//! The NATs of a scenario: put up at the start, changed by steps, and well in the end.

use super::player::Player;
use crate::nat::{NatConfig, NatId};
use crate::scenario::NatDeed;
use std::net::IpAddr;
use tripline_sansio::Duration;

/// A NAT of the scenario.
pub(super) struct Router<'a> {
    name: &'a str,
    id: NatId,
    /// As its knobs are now.
    config: NatConfig,
}

/// How long bindings live when all is healed: longer than any second phase.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

impl Player<'_> {
    /// Puts up the NATs, and hosts behind them.
    pub(super) fn set_nats(&mut self) {
        for spec in &self.scenario.nats {
            let config = spec.config();
            let id = self.world.add_nat(spec.outside, config);
            self.nats.push(Router { name: &spec.name, id, config });
        }
        for spec in &self.scenario.nats {
            let outer = spec.behind.as_deref().and_then(|outer| self.nat(outer));
            if let (Some(inner), Some(outer)) = (self.nat(&spec.name), outer) {
                self.world.put_nat_behind(self.nats[inner].id, self.nats[outer].id);
            }
        }
        for host in 0..self.actors.len() {
            let behind = self.actors[host].spec.behind.as_deref();
            if let Some(nat) = behind.and_then(|nat| self.nat(nat)) {
                self.world.put_behind(self.actors[host].id, self.nats[nat].id);
            }
        }
    }

    /// The number of the NAT of this name.
    fn nat(&self, name: &str) -> Option<usize> {
        self.nats.iter().position(|nat| nat.name == name)
    }

    /// Does something to a NAT; whether that fits.
    pub(super) fn nat_deed(&mut self, name: &str, deed: &NatDeed) -> bool {
        let Some(number) = self.nat(name) else { return false };
        let id = self.nats[number].id;
        match deed {
            NatDeed::Reboot => self.world.reboot_nat(id),
            NatDeed::Readdress(outside) => {
                let same = outside.is_ipv4() == self.world.nat_outside(id).is_ipv4();
                if !same || self.is_taken(*outside) {
                    return false;
                }
                self.world.readdress_nat(id, *outside);
            }
            NatDeed::Turn(knobs) => {
                let before = self.nats[number].config;
                let config = knobs.iter().fold(before, |config, knob| knob.apply(config));
                self.nats[number].config = config;
                self.world.set_nat(id, config);
            }
        }
        true
    }

    /// Whether a host or a NAT has the address.
    fn is_taken(&self, outside: IpAddr) -> bool {
        self.nats.iter().any(|nat| self.world.nat_outside(nat.id) == outside)
            || self.world.hosts().any(|host| self.world.address(host).ip() == outside)
    }

    /// Whether a host can have this address where it stands: behind a NAT, only one of its kind.
    pub(super) fn may_move_to(&self, host: usize, address: std::net::SocketAddr) -> bool {
        let behind = self.actors[host].spec.behind.is_some();
        let before = self.world.address(self.actors[host].id);
        let other = self.nats.iter().any(|nat| self.world.nat_outside(nat.id) == address.ip());
        !other && (!behind || before.is_ipv4() == address.is_ipv4())
    }

    /// From now on NATs let everybody in and forget nothing. What they have forgotten they do not
    /// know again: whoever is behind one has to say something first.
    pub(super) fn heal_nats(&mut self) {
        for nat in &self.nats {
            self.world.set_nat(nat.id, NatConfig::open().timeout(FOREVER));
        }
        if !self.nats.is_empty() {
            for actor in self.actors.iter_mut().filter(|actor| actor.spec.behind.is_some()) {
                actor.has_moved = true;
            }
        }
    }
}
