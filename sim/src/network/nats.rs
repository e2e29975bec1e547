//! The NATs of a world: who is behind which, and the way out and in.
//!
//! A *realm* is where an address means something: the open network (`None`), or the inside of a
//! NAT. A datagram climbs from its sender's realm until its destination is there, through each NAT
//! on the way, when it is sent; when it arrives it descends again, so that a binding or a filter is
//! judged at the time at which it matters. So a NAT stands beside those behind it: the delay of a
//! link is outside.

use super::interfaces::{FixedMap, InterfaceId, Interfaces};
use crate::drop_cause::DropCause;
use crate::nat::{Nat, NatId};
use std::net::{IpAddr, SocketAddr};
use tripline_sansio::Instant;

/// The most NATs behind each other.
const DEPTH_MAX: usize = 8;

/// All NATs of a world.
#[derive(Debug, Default)]
pub(crate) struct Nats {
    list: Vec<Nat>,
    outsides: FixedMap<IpAddr, NatId>,
}

/// What has come out of a sender's NATs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climbed {
    /// The source address that it bears now.
    pub(super) source: SocketAddr,
    /// Where it is.
    pub(super) realm: Option<NatId>,
}

impl Nats {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds one.
    ///
    /// # Panics
    /// If another has the outside address.
    pub(crate) fn add(&mut self, nat: Nat) -> NatId {
        // No run has 2^32 NATs.
        let id = NatId(self.list.len() as u32);
        self.claim(nat.outside, id);
        self.list.push(nat);
        id
    }

    fn claim(&mut self, outside: IpAddr, id: NatId) {
        let other = self.outsides.insert(outside, id);
        assert!(other.is_none(), "{outside} is taken");
    }

    /// Gives one another outside address and forgets its bindings.
    ///
    /// # Panics
    /// If another has the address.
    pub(crate) fn readdress(&mut self, id: NatId, outside: IpAddr) {
        let old = self.get(id).outside;
        self.outsides.remove(&old);
        self.claim(outside, id);
        let nat = self.get_mut(id);
        nat.outside = outside;
        nat.reboot();
    }

    /// Puts one behind another.
    ///
    /// # Panics
    /// If that makes a ring, or more than eight behind each other.
    pub(crate) fn put_behind(&mut self, inner: NatId, outer: NatId) {
        self.get_mut(inner).behind = Some(outer);
        let mut place = Some(inner);
        for _ in 0..DEPTH_MAX {
            let Some(id) = place else { return };
            place = self.get(id).behind;
        }
        assert!(place.is_none(), "NATs in a ring, or too many behind each other");
    }

    /// The NAT itself.
    pub(crate) fn get(&self, id: NatId) -> &Nat {
        &self.list[id.0 as usize]
    }

    /// The same, to change.
    pub(crate) fn get_mut(&mut self, id: NatId) -> &mut Nat {
        &mut self.list[id.0 as usize]
    }

    /// The NAT of a realm that has this outside address.
    fn facing(&self, realm: Option<NatId>, address: SocketAddr) -> Option<NatId> {
        let id = *self.outsides.get(&address.ip())?;
        (self.get(id).behind == realm).then_some(id)
    }

    /// The host of a realm that has this address.
    fn host(
        interfaces: &Interfaces,
        realm: Option<NatId>,
        address: SocketAddr,
    ) -> Option<InterfaceId> {
        interfaces.owner(address).filter(|id| interfaces.get(*id).behind == realm)
    }

    /// Leads something out from `source` in `realm` until `destination` is there. Bindings are made
    /// on the way even if it leads nowhere in the end.
    pub(super) fn climb(
        &mut self,
        interfaces: &Interfaces,
        now: Instant,
        from: Climbed,
        destination: SocketAddr,
    ) -> Result<Climbed, DropCause> {
        let Climbed { mut source, mut realm } = from;
        let mut last = None;
        // As deep as NATs go.
        loop {
            if Self::host(interfaces, realm, destination).is_some() {
                return Ok(Climbed { source, realm });
            }
            if let Some(nat) = self.facing(realm, destination) {
                if last == Some(nat) && !self.get(nat).config().hairpin {
                    return Err(DropCause::NatHairpin);
                }
                return Ok(Climbed { source, realm });
            }
            let Some(nat) = realm else { return Err(DropCause::NoRoute) };
            let outside = self.get_mut(nat).outbound(now, source, destination);
            source = outside.ok_or(DropCause::NatFull)?;
            last = Some(nat);
            realm = self.get(nat).behind;
        }
    }

    /// Who would get something that was sent to `destination` from `realm`, filters apart. Changes
    /// nothing.
    pub(super) fn find(
        &self,
        interfaces: &Interfaces,
        now: Instant,
        mut realm: Option<NatId>,
        mut destination: SocketAddr,
    ) -> Result<InterfaceId, DropCause> {
        // Outwards, until the destination is there. Whether a NAT turns it back is seen when it is
        // sent.
        while Self::host(interfaces, realm, destination).is_none()
            && self.facing(realm, destination).is_none()
        {
            let nat = realm.ok_or(DropCause::NoRoute)?;
            realm = self.get(nat).behind;
        }
        // Inwards.
        loop {
            if let Some(found) = Self::host(interfaces, realm, destination) {
                return Ok(found);
            }
            let nat = self.facing(realm, destination).ok_or(DropCause::NoRoute)?;
            let inside = self.get(nat).inside(now, destination.port());
            destination = inside.ok_or(DropCause::NatUnbound)?;
            realm = Some(nat);
        }
    }

    /// Lets something in that has arrived at `destination` in `realm` from `source`: who gets it,
    /// at which address; or why it is dropped.
    pub(super) fn descend(
        &mut self,
        interfaces: &Interfaces,
        now: Instant,
        mut realm: Option<NatId>,
        source: SocketAddr,
        mut destination: SocketAddr,
    ) -> Result<(InterfaceId, SocketAddr), DropCause> {
        loop {
            if let Some(found) = Self::host(interfaces, realm, destination) {
                return Ok((found, destination));
            }
            let nat = self.facing(realm, destination).ok_or(DropCause::NoRoute)?;
            destination = self.get_mut(nat).inbound(now, destination.port(), source)?;
            realm = Some(nat);
        }
    }
}
