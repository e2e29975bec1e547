//! NATs in a world: who is behind which, and what happens to them.

use super::World;
use crate::host::HostId;
use crate::nat::{Nat, NatConfig, NatCounters, NatId};
use std::net::{IpAddr, SocketAddr};
use tripline_sansio::DatagramMachine;

impl<M: DatagramMachine> World<M> {
    /// Adds a NAT with this outside address, in the open network, nobody behind it yet.
    ///
    /// Those behind it reach whatever is outside and can be reached through its ports only; among
    /// themselves they are as before. Links are those between hosts, as without: a NAT takes no
    /// time, and stands beside the hosts behind it. A datagram meets the NATs of its sender when it
    /// is sent, those of its receiver when it arrives; one to a port without a binding is dropped
    /// when it is sent.
    ///
    /// ```
    /// # use tripline_sim::*;
    /// # use std::net::SocketAddr;
    /// # #[derive(Default)]
    /// # struct Echo(std::collections::VecDeque<Path>);
    /// # impl DatagramMachine for Echo {
    /// #     type Event = ();
    /// #     fn handle_datagram(&mut self, _: Instant, path: Path, _: Ecn, _: &mut [u8]) {
    /// #         self.0.push_back(path);
    /// #     }
    /// #     fn handle_timeout(&mut self, _: Instant) {}
    /// #     fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
    /// #         let path = self.0.pop_front()?;
    /// #         out.push(0);
    /// #         Some(Transmit { path, ecn: Ecn::NotEct, len: 1, segment_size: 1 })
    /// #     }
    /// #     fn poll_timeout(&self) -> Option<Instant> { None }
    /// #     fn poll_event(&mut self) -> Option<()> { None }
    /// # }
    /// let mut world = World::new(1);
    /// let server = "198.51.100.7:443".parse::<SocketAddr>().unwrap();
    /// let laptop = "192.168.1.5:4000".parse::<SocketAddr>().unwrap();
    /// world.add_host(server, Echo::default());
    /// let client = world.add_host(laptop, Echo::default());
    /// let router = world.add_nat("203.0.113.9".parse().unwrap(), NatConfig::home());
    /// world.put_behind(client, router);
    /// world.with(client, |echo, _| echo.0.push_back(Path::to(server)));
    /// world.run_for(Duration::from_millis(25));
    /// let outside = world.nat_address(router, laptop, server).expect("a binding was made");
    /// assert_eq!(outside.ip(), world.nat_outside(router));
    /// // They echo each other for ever; now the router forgets, and the answer does not get in.
    /// world.reboot_nat(router);
    /// world.run_for(Duration::from_secs(60));
    /// assert_eq!(world.totals().nat_unbound, 1);
    /// ```
    ///
    /// # Panics
    /// If another NAT has the address.
    pub fn add_nat(&mut self, outside: IpAddr, config: NatConfig) -> NatId {
        let seed = self.seed.child(&format!("nat {outside}"));
        self.network.nats.add(Nat::new(outside, config, &seed))
    }

    /// Puts those of the host's addresses behind the NAT that are of its family.
    ///
    /// # Panics
    /// If the host has none.
    pub fn put_behind(&mut self, host: HostId, nat: NatId) {
        assert!(self.network.put_behind(host, nat), "{host} has no address of the NAT's family");
    }

    /// Puts a NAT behind another (a router at home behind a carrier's).
    ///
    /// # Panics
    /// If that makes a ring, or more than eight behind each other.
    pub fn put_nat_behind(&mut self, inner: NatId, outer: NatId) {
        self.network.nats.put_behind(inner, outer);
    }

    /// Lets the NAT forget all bindings, at once. New ones get new ports, unless it preserves those
    /// inside.
    pub fn reboot_nat(&mut self, nat: NatId) {
        self.network.nats.get_mut(nat).reboot();
    }

    /// Gives the NAT another outside address; its bindings are lost.
    ///
    /// # Panics
    /// If another NAT has the address.
    pub fn readdress_nat(&mut self, nat: NatId, outside: IpAddr) {
        self.network.nats.readdress(nat, outside);
    }

    /// Changes what the NAT is like. Bindings stay, and live as long as it says now; how it maps
    /// counts for new ones.
    pub fn set_nat(&mut self, nat: NatId, config: NatConfig) {
        self.network.nats.get_mut(nat).configure(config);
    }

    /// The NAT's outside address.
    pub fn nat_outside(&self, nat: NatId) -> IpAddr {
        self.network.nats.get(nat).outside
    }

    /// The outside address that an inside one has at the NAT for a destination, if it has one now.
    pub fn nat_address(
        &self,
        nat: NatId,
        inside: SocketAddr,
        destination: SocketAddr,
    ) -> Option<SocketAddr> {
        self.network.nats.get(nat).mapped(self.now, inside, destination)
    }

    /// How many bindings the NAT has now.
    pub fn nat_bindings(&self, nat: NatId) -> usize {
        self.network.nats.get(nat).bindings(self.now)
    }

    /// What has become of the NAT's datagrams and bindings.
    pub fn nat_counters(&self, nat: NatId) -> NatCounters {
        self.network.nats.get(nat).counters()
    }
}
