//! The links that connections travel over (PROTOCOL.md §8), as far as the endpoint must know them:
//! which are open, which take no more bytes, and whose connections wait for them.
//!
//! Framing and buffers are in `crate::link`.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::ids::Owner;
use crate::carrier::LinkId;
use crate::error::UnknownConnection;
use crate::handle::ConnectionHandle;
use crate::wire::DataHeader;
use alloc::collections::{BTreeMap, BTreeSet};
use tripline_sansio::{Ecn, Instant};

/// One open link.
#[derive(Debug, Default)]
struct Line {
    full: bool,
    /// The slots of the connections that send there, and of those that know it as an address; or
    /// did once, which does no harm.
    users: BTreeSet<u32>,
}

/// The open links.
#[derive(Debug, Default)]
pub(super) struct Links {
    open: BTreeMap<LinkId, Line>,
}

impl Links {
    /// The connection in `slot` sends to the link `now`; `before` is what was known of it.
    pub(super) fn track(&mut self, slot: u32, before: &mut Option<LinkId>, now: Option<LinkId>) {
        if *before == now {
            return;
        }
        if let Some(line) = now.and_then(|link| self.open.get_mut(&link)) {
            line.users.insert(slot);
        }
        *before = now;
    }
}

impl Endpoint {
    /// A link is there. Says `false` if its number is in use.
    pub(crate) fn link_opened(&mut self, link: LinkId) -> bool {
        let free = !self.links.open.contains_key(&link);
        self.links.open.entry(link).or_default();
        free
    }

    /// A link is gone: its connections are told (R-LINK-4).
    pub(crate) fn link_closed(&mut self, now: Instant, link: LinkId) {
        self.tick(now);
        let Some(line) = self.links.open.remove(&link) else { return };
        for slot in line.users {
            self.with(slot, |connection, cx| connection.on_link_gone(link, cx));
        }
    }

    /// The newest time that the endpoint was told.
    pub(crate) fn last_seen(&self) -> Instant {
        self.now
    }

    /// Whether a connection sends to a link, or would if it had something to say (R-LINK-7).
    pub(crate) fn is_link_used(&self, link: LinkId) -> bool {
        let uses = |slot: &u32| {
            let place = usize::try_from(*slot).ok().and_then(|index| self.slots.get(index));
            let connection = place.and_then(|place| place.connection.as_deref());
            connection.is_some_and(|connection| connection.link() == Some(link))
        };
        self.links.open.get(&link).is_some_and(|line| line.users.iter().any(uses))
    }

    /// A link takes no more bytes.
    pub(crate) fn link_full(&mut self, link: LinkId) {
        if let Some(line) = self.links.open.get_mut(&link) {
            line.full = true;
        }
    }

    /// A link takes bytes again: who waited for it goes on.
    pub(crate) fn link_writable(&mut self, link: LinkId) {
        let Some(line) = self.links.open.get_mut(&link) else { return };
        if core::mem::take(&mut line.full) {
            let waiting = line.users.clone();
            waiting.into_iter().for_each(|slot| self.settle(slot));
        }
    }

    /// Before a connection is asked for packets: whether it must wait for its link, and whether
    /// that is still there.
    pub(super) fn prepare_link(&mut self, slot: u32) {
        let place = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index));
        let Some(connection) = place.and_then(|place| place.connection.as_deref_mut()) else {
            return;
        };
        let Some(link) = connection.link() else { return };
        match self.links.open.get(&link) {
            Some(line) => connection.hold(line.full),
            None => {
                self.with(slot, |connection, cx| connection.on_link_gone(link, cx));
            }
        }
    }

    /// Lets a connection of ours go on over another link.
    ///
    /// # Errors
    /// If the connection is gone, or is not one that we began.
    pub(crate) fn attach(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        link: LinkId,
    ) -> Result<(), UnknownConnection> {
        let attached = self.command(now, connection, |connection, cx| connection.attach(link, cx));
        attached.filter(|attached| *attached).map(|_| ()).ok_or(UnknownConnection)
    }

    /// Takes in a packet that came over a link. Says `false` if it ends the link (R-LINK-1): its
    /// form is wrong, or it is DATA that does not verify.
    pub(crate) fn handle_link_packet(
        &mut self,
        now: Instant,
        link: LinkId,
        packet: &mut [u8],
    ) -> bool {
        let owner = DataHeader::parse(packet).ok().and_then(|header| self.ids.owner(header.id));
        if let (Some(Owner::Connection(slot)), Some(line)) = (owner, self.links.open.get_mut(&link))
        {
            line.users.insert(slot);
        }
        let (own, theirs) = self.rejected(owner);
        self.tick(now);
        self.on_datagram(link.path(), Ecn::NotEct, packet);
        let (own_now, theirs_now) = self.rejected(owner);
        own == own_now && (theirs == theirs_now || theirs_now.is_none())
    }

    /// The packets so far that would have ended a link: counted here, and by a connection.
    fn rejected(&self, owner: Option<Owner>) -> (u64, Option<u64>) {
        let drops = self.stats.drops;
        let connection = match owner {
            Some(Owner::Connection(slot)) => {
                let place = usize::try_from(slot).ok().and_then(|index| self.slots.get(index));
                place.and_then(|place| place.connection.as_deref())
            }
            _ => None,
        };
        let theirs = connection.map(|connection| connection.stats().drops.unauthentic);
        (drops.malformed.saturating_add(drops.unauthentic), theirs)
    }
}
