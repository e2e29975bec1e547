//! Who has which address: hosts and their interfaces.
//!
//! An interface is one address of one host. Every host has a first one; a second (another family,
//! another network) makes two paths at once. Addresses differ throughout the world, those behind
//! NATs too. In go addresses, out comes who is meant; nothing here knows of links or datagrams.

use crate::host::HostId;
use crate::nat::NatId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, SocketAddr};

/// Names an interface: its number, from 0 in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InterfaceId(pub(super) u32);

impl InterfaceId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One address of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    pub(super) host: HostId,
    pub(super) address: SocketAddr,
    /// The NAT that it is behind, if it is.
    pub(super) behind: Option<NatId>,
}

/// A hasher that gives the same on every machine and in every run. Maps that use it are never
/// iterated over, so even that would not show.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        // The map takes its place from the low bits, and a multiplication leaves the best on top.
        self.0 ^ self.0 >> 32
    }
}

/// A map with [`FixedHasher`].
pub(super) type FixedMap<K, V> = HashMap<K, V, BuildHasherDefault<FixedHasher>>;

/// All interfaces of a world.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    list: Vec<Interface>,
    owners: FixedMap<SocketAddr, InterfaceId>,
    /// The interfaces of each host, the first one first. Never empty for a host that is known.
    of_host: Vec<Vec<InterfaceId>>,
}

impl Interfaces {
    /// Gives `host` another interface with this address.
    ///
    /// # Panics
    /// If somebody has the address already.
    pub(super) fn add(&mut self, host: HostId, address: SocketAddr) -> InterfaceId {
        // No run has 2^32 interfaces.
        let id = InterfaceId(self.list.len() as u32);
        self.claim(address, id);
        self.list.push(Interface { host, address, behind: None });
        if self.of_host.len() <= host.index() {
            self.of_host.resize_with(host.index() + 1, Vec::new);
        }
        self.of_host[host.index()].push(id);
        id
    }

    fn claim(&mut self, address: SocketAddr, id: InterfaceId) {
        let other = self.owners.insert(address, id);
        assert!(other.is_none(), "{address} is taken");
    }

    /// Gives an interface another address.
    ///
    /// # Panics
    /// If somebody has the address already.
    pub(super) fn readdress(&mut self, id: InterfaceId, address: SocketAddr) {
        let old = self.get(id).address;
        self.owners.remove(&old);
        self.claim(address, id);
        self.list[id.index()].address = address;
    }

    /// Takes an interface away from its host; whether it was there and not the host's last.
    pub(super) fn remove(&mut self, host: HostId, address: SocketAddr) -> bool {
        let Some(id) = self.owner(address).filter(|id| self.get(*id).host == host) else {
            return false;
        };
        let all = &mut self.of_host[host.index()];
        if all.len() < 2 {
            return false;
        }
        all.retain(|other| *other != id);
        self.owners.remove(&address);
        true
    }

    /// Who has the address.
    pub(super) fn owner(&self, address: SocketAddr) -> Option<InterfaceId> {
        self.owners.get(&address).copied()
    }

    /// The interface itself.
    pub(super) fn get(&self, id: InterfaceId) -> &Interface {
        &self.list[id.index()]
    }

    /// The host's interfaces, the first one first.
    pub(super) fn of(&self, host: HostId) -> &[InterfaceId] {
        &self.of_host[host.index()]
    }

    /// Puts an interface behind a NAT, or in the open.
    pub(super) fn put_behind(&mut self, id: InterfaceId, nat: Option<NatId>) {
        self.list[id.index()].behind = nat;
    }

    /// The interface from which `host` sends to `destination`: the one that has the IP address
    /// `local`; if the host left that open, the first one of the destination's family, or else the
    /// first. The error is the source address that the host has not.
    pub(super) fn source(
        &self,
        host: HostId,
        local: Option<IpAddr>,
        destination: SocketAddr,
    ) -> Result<InterfaceId, SocketAddr> {
        let all = self.of(host);
        let first = all[0];
        if let Some(ip) = local {
            let wanted = all.iter().find(|id| self.get(**id).address.ip() == ip);
            return wanted.copied().ok_or_else(|| {
                let mut source = self.get(first).address;
                source.set_ip(ip);
                source
            });
        }
        if all.len() == 1 {
            return Ok(first);
        }
        let same = |id: &&InterfaceId| self.get(**id).address.is_ipv4() == destination.is_ipv4();
        Ok(all.iter().find(same).copied().unwrap_or(first))
    }
}
