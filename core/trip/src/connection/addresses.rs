//! Where the peer is: up to four addresses, each proven or not (PROTOCOL.md §5.2, R-HAND-1).
//!
//! In go the addresses that packets came from, PINGs and PONGs; out come the address that data goes
//! to, how much may go to each, which of them are to be PINGed, and when the peer has moved. It
//! sends nothing, draws nothing and knows nothing of what a move means for the connection.
//!
//! An address is the peer's, together with our own one where the system tells it and we pin it (a
//! server with several must answer from the one that was asked). A client does not pin its own.
#![deny(clippy::arithmetic_side_effects)]

use super::ping::OwedPong;
use crate::carrier::same_kind;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use tripline_sansio::{Duration, Instant, Path};

/// Addresses of the peer that are known at once, the active one included (R-PATH-3).
pub(crate) const ADDRESSES_MAX: usize = 4;

/// To an unproven address goes at most this many times what came from it (R-HAND-1).
const AMPLIFICATION: u64 = 3;

/// A proof lasts so much longer than its address is active (R-PATH-2).
const PROOF_LASTS: Duration = Duration::from_secs(60);

/// What may go to an address that we were told of and that has sent nothing: three full PINGs.
const INVITATION: u64 = 3_600;

/// A PING that went to an address and whose PONG would prove it.
#[derive(Clone, Copy, Debug)]
struct SentPing {
    token: u64,
    at: Instant,
    /// It had the full 1,200 bytes.
    full: bool,
    /// It was sent more than once: its PONG tells no round trip.
    repeated: bool,
}

/// One address of the peer.
#[derive(Clone, Debug)]
struct Address {
    path: Path,
    /// It has shown that it receives what is sent there.
    proven: bool,
    /// Proven, not active: until when that counts.
    expires: Instant,
    /// Not proven: the bytes that may still go there.
    budget: u64,
    /// The highest packet number that came from there as the newest, probes apart.
    highest: Option<u64>,
    /// When it was first heard of.
    since: Instant,
    ping: Option<SentPing>,
    /// How it was proven, if it has not been active since.
    proof: Option<Proof>,
    /// The PONG that is owed there; the active address has its own with the `Pings`.
    owed: Option<OwedPong>,
    /// We were told of it, and want to know whether the peer is there. PINGs there are probes until
    /// it is proven, also if the peer speaks from there meanwhile (R-PATH-3a).
    invited: bool,
    /// Our own address on the last packet from there.
    local: Option<IpAddr>,
}

impl Address {
    fn new(path: Path, proven: bool, now: Instant) -> Self {
        Self {
            path,
            proven,
            expires: now,
            budget: 0,
            highest: None,
            since: now,
            ping: None,
            proof: None,
            owed: None,
            invited: false,
            local: None,
        }
    }

    /// Whether a packet by `path` is one of this address.
    fn is(&self, path: Path) -> bool {
        let local = match (self.path.local, path.local) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.path.remote == path.remote && local
    }

    /// The bytes that may go there.
    fn allowance(&self) -> usize {
        if self.proven { usize::MAX } else { usize::try_from(self.budget).unwrap_or(usize::MAX) }
    }

    /// A proof that is too old is none: all begins anew.
    fn age(&mut self, now: Instant) {
        if self.proven && now > self.expires {
            *self = Self { owed: self.owed, ..Self::new(self.path, false, now) };
        }
    }

    fn spend(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn earn(&mut self, bytes: usize) {
        let earned = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(AMPLIFICATION);
        self.budget = self.budget.saturating_add(earned);
    }

    /// How long the address has been waiting for its turn, or for a PONG.
    fn asked_at(&self) -> Instant {
        self.ping.map_or(self.since, |ping| ping.at)
    }
}

/// What [`Addresses::on_received`] made of where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From an address that is known by now.
    Known,
    /// From an address for which there was no room; it gets nothing.
    Refused,
}

/// How an address was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The round trip of the PING that proved it, if that was sent once.
    pub(crate) rtt: Option<Duration>,
    /// The PING had the full 1,200 bytes: the address takes datagrams of that size.
    pub(crate) full: bool,
}

/// The peer is somewhere else now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// Where everything went so far.
    pub(crate) from: Path,
    /// Where everything goes from now on.
    pub(crate) to: Path,
    /// The PONG that is owed to the new address.
    pub(crate) owed: Option<OwedPong>,
    /// How the new address was proven, unless it is one that was active before.
    pub(crate) proof: Option<Proof>,
}

/// Something to send to an address other than the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    /// Where to.
    pub(crate) path: Path,
    /// The PONG that is owed there.
    pub(crate) pong: Option<OwedPong>,
    /// A PING is due; *probe* if we were told of the address, and the peer did not begin there.
    pub(crate) ping: Option<Probe>,
    /// The bytes that may go there.
    pub(crate) room: usize,
}

/// Whether a PING has the flag *probe*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It has: the packet is not a move.
    Yes,
    /// It has not.
    No,
}

/// The addresses of the peer.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    active: Address,
    others: Vec<Address>,
    /// Whether our own address is part of an address: of a server.
    pins: bool,
}

impl Addresses {
    /// A peer at one address, `proven` or not, from which nothing came so far. Who `pins` answers
    /// from the address of its own that was asked.
    pub(crate) fn new(path: Path, proven: bool, pins: bool, now: Instant) -> Self {
        Self { active: Address::new(path, proven, now), others: Vec::new(), pins }
    }

    /// Where everything goes but PINGs and PONGs of other addresses.
    pub(crate) fn path(&self) -> Path {
        self.active.path
    }

    /// Whether the active address is proven.
    pub(crate) fn is_proven(&self) -> bool {
        self.active.proven
    }

    /// The right PONG to a PING that went to the active address came.
    pub(crate) fn prove(&mut self) {
        self.active.proven = true;
    }

    /// `bytes` go to the active address.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.active.spend(bytes);
    }

    /// Whether a datagram of this many bytes may go to the active address.
    pub(crate) fn allows(&self, bytes: usize) -> bool {
        self.active.allowance() >= bytes
    }

    /// The bytes that may go to the active address.
    pub(crate) fn allowance(&self) -> usize {
        self.active.allowance()
    }

    /// Our own addresses may have changed: none is pinned until the next packet came.
    pub(crate) fn unpin(&mut self) {
        self.active.path.local = None;
    }

    /// Whether `path` is where we send to.
    pub(crate) fn is_active(&self, path: Path) -> bool {
        self.active.is(path)
    }

    /// Whether packets by `path` come from a known address.
    pub(crate) fn knows(&self, path: Path) -> bool {
        self.active.is(path) || self.others.iter().any(|address| address.is(path))
    }

    /// Whether there is no address but the active one: nothing goes aside.
    pub(crate) fn is_alone(&self) -> bool {
        self.others.is_empty()
    }

    fn of(&mut self, path: Path) -> Option<&mut Address> {
        if self.active.is(path) {
            return Some(&mut self.active);
        }
        self.others.iter_mut().find(|address| address.is(path))
    }

    /// The same as [`Self::on_received`] where there is but one address, and `path` is that; false
    /// if not, and nothing happened.
    pub(crate) fn on_usual(&mut self, path: Path, bytes: usize) -> bool {
        let usual = self.others.is_empty() && self.active.is(path);
        if usual {
            self.active.earn(bytes);
        }
        usual
    }

    /// `bytes` came by `path`, verified. A new address gets a place if there is one (R-PATH-3):
    /// free, or that of an unproven one whose PING is older than a PTO, or, among proven ones
    /// alone, that of the one that was active longest ago.
    pub(crate) fn on_received(
        &mut self,
        path: Path,
        bytes: usize,
        now: Instant,
        pto: Duration,
    ) -> Origin {
        self.age(now);
        if let Some(address) = self.of(path) {
            address.earn(bytes);
            return Origin::Known;
        }
        if !self.make_room(now, pto) {
            return Origin::Refused;
        }
        let pinned = Path { local: path.local.filter(|_| self.pins), ..path };
        self.others.push(Address::new(pinned, false, now));
        if let Some(address) = self.of(path) {
            address.earn(bytes);
        }
        Origin::Known
    }

    fn age(&mut self, now: Instant) {
        self.others.iter_mut().for_each(|address| address.age(now));
    }

    fn make_room(&mut self, now: Instant, pto: Duration) -> bool {
        if self.others.len() < ADDRESSES_MAX.saturating_sub(1) {
            return true;
        }
        let places = self.others.iter().enumerate();
        let unproven = places
            .clone()
            .filter(|(_, address)| !address.proven)
            .min_by_key(|(_, address)| address.asked_at());
        let place = match unproven {
            Some((place, address)) => (address.asked_at() + pto <= now).then_some(place),
            None => places.min_by_key(|(_, address)| address.expires).map(|(place, _)| place),
        };
        match place {
            Some(place) => {
                self.others.swap_remove(place);
                true
            }
            None => false,
        }
    }

    /// The packet `number`, the highest so far and not a probe, came by `path`. Says whether our
    /// own address on the way from the active one is another than before.
    pub(crate) fn on_newest(&mut self, path: Path, number: u64) -> bool {
        let active = self.active.is(path);
        let address = if active { Some(&mut self.active) } else { self.of(path) };
        let Some(address) = address else { return false };
        address.highest = address.highest.max(Some(number));
        let before = address.local;
        address.local = path.local.or(before);
        let changed = before.is_some() && before != address.local;
        if self.pins {
            self.active.path.local = self.active.path.local.or(self.active.local);
        }
        active && changed
    }

    /// A PING came by `path`. Its PONG is owed there; says `false` if that is the active address,
    /// or one that there was no room for.
    pub(crate) fn owe(&mut self, path: Path, pong: OwedPong) -> bool {
        if self.active.is(path) {
            return false;
        }
        if let Some(address) = self.of(path) {
            address.owed = Some(pong);
        }
        true
    }

    /// A PONG came: proves the address that its PING went to, wherever the PONG came from
    /// (R-PATH-1). Says whether there was such a PING. One that was sent before `awake_since` is no
    /// sample of the round trip (R-RTT-1).
    pub(crate) fn on_pong(&mut self, token: u64, now: Instant, awake_since: Instant) -> bool {
        let all = core::iter::once(&mut self.active).chain(&mut self.others);
        let mut sent = all.filter_map(|address| Some((address.ping?, address)));
        let Some((ping, address)) = sent.find(|(ping, _)| ping.token == token) else {
            return false;
        };
        let rtt = now.saturating_duration_since(ping.at);
        let measured = !ping.repeated && ping.at >= awake_since;
        address.ping = None;
        address.invited = false;
        address.proven = true;
        address.expires = now + PROOF_LASTS;
        address.proof = Some(Proof { rtt: measured.then_some(rtt), full: ping.full });
        true
    }

    /// Whether the peer is followed from datagrams to a link, or back. A client (who does not pin)
    /// has chosen which, and keeps to it while that address holds (R-PATH-4a).
    fn follows(&self) -> bool {
        self.pins || !self.active.proven
    }

    /// The active address is the proven one from which the highest number came (R-PATH-2). If that
    /// is another one now, the peer has moved.
    pub(crate) fn elect(&mut self, now: Instant) -> Option<Move> {
        if self.is_alone() {
            return None;
        }
        self.age(now);
        let (follows, active) = (self.follows(), self.active.path);
        let rival = self.others.iter_mut().filter(|one| one.proven && one.highest.is_some());
        let rival = rival.filter(|one| follows || same_kind(one.path, active));
        let rival = rival.max_by_key(|one| one.highest)?;
        if self.active.proven && rival.highest <= self.active.highest {
            return None;
        }
        core::mem::swap(&mut self.active, rival);
        let old = rival;
        old.expires = now + PROOF_LASTS;
        let (owed, proof) = (self.active.owed.take(), self.active.proof.take());
        Some(Move { from: old.path, to: self.active.path, owed, proof })
    }

    /// The PONG that was owed to the address active before the move is owed still.
    pub(crate) fn leave_owed(&mut self, from: Path, pong: Option<OwedPong>) {
        if let Some(old) = self.others.iter_mut().find(|old| old.path == from) {
            old.owed = pong;
        }
    }

    /// Asks whether the peer is at `remote`, of which somebody told us. Says whether that is worth
    /// a PING: it is not the active address, and there is room for it.
    pub(crate) fn invite(&mut self, remote: SocketAddr, now: Instant, pto: Duration) -> bool {
        let path = Path::to(remote);
        self.age(now);
        if self.active.is(path) {
            return false;
        }
        if self.of(path).is_none() {
            if !self.make_room(now, pto) {
                return false;
            }
            self.others.push(Address::new(path, false, now));
        }
        if let Some(address) = self.of(path) {
            address.budget = address.budget.max(INVITATION);
            address.invited = true;
            address.ping = None;
        }
        true
    }

    /// Whether it matters where this address is: we want to know, or the peer seems to be there.
    fn is_wanted(&self, address: &Address) -> bool {
        let newer = !self.active.proven || address.highest > self.active.highest;
        let there = self.follows() || same_kind(address.path, self.active.path);
        address.invited || (!address.proven && address.highest.is_some() && newer && there)
    }

    /// When its next PING is due, if one is wanted and `least` bytes may go there.
    fn ping_at(&self, address: &Address, pto: Duration, least: usize) -> Option<Instant> {
        let may = self.is_wanted(address) && address.allowance() >= least;
        may.then(|| address.ping.map_or(address.since, |ping| ping.at + pto))
    }

    /// The next thing to send aside: at most one PING per PTO to each address, and the PONGs that
    /// are owed there at once. `least` is the size of the smallest datagram that holds either.
    pub(crate) fn errand(&mut self, now: Instant, pto: Duration, least: usize) -> Option<Errand> {
        self.age(now);
        self.others.iter().find_map(|address| {
            let due = self.ping_at(address, pto, least).is_some_and(|at| at <= now);
            let probe = if address.invited { Probe::Yes } else { Probe::No };
            let room = address.allowance();
            let pong = address.owed.filter(|_| room >= least);
            let ping = due.then_some(probe);
            (pong.is_some() || due).then_some(Errand { path: address.path, pong, ping, room })
        })
    }

    /// An errand of `bytes` bytes went to `path`, with a PING of this token or without.
    pub(crate) fn on_errand(&mut self, path: Path, ping: Option<u64>, bytes: usize, now: Instant) {
        const FULL: usize = 1_200;
        let Some(address) = self.others.iter_mut().find(|address| address.path == path) else {
            return;
        };
        address.owed = None;
        if let Some(token) = ping {
            let repeated = address.ping.is_some_and(|ping| ping.token == token);
            address.ping = Some(SentPing { token, at: now, full: bytes >= FULL, repeated });
        }
        address.spend(bytes);
    }

    /// The token of the PING that is out to this address: a repeat has the same.
    pub(crate) fn token(&self, path: Path) -> Option<u64> {
        let address = self.others.iter().find(|address| address.path == path)?;
        address.ping.map(|ping| ping.token)
    }

    /// Nothing can go to `path` any more (R-LINK-4). If that is the active address, it stays as one
    /// that is not proven and has no budget, until another one is elected.
    pub(crate) fn give_up(&mut self, path: Path, now: Instant) {
        self.others.retain(|address| !address.is(path));
        if self.active.is(path) {
            self.active = Address::new(path, false, now);
        }
    }

    /// Everything goes to `path` from now on, an address that we chose, and the others are
    /// forgotten. What comes from elsewhere counts as a move only if it is newer than all so far.
    pub(crate) fn settle_at(&mut self, path: Path, now: Instant) {
        let all = self.others.iter().chain(core::iter::once(&self.active));
        let highest = all.filter_map(|address| address.highest).max();
        self.others.clear();
        self.active = Address { highest, ..Address::new(path, true, now) };
    }

    /// When the next PING is due that is not due yet.
    pub(crate) fn next_at(&self, now: Instant, pto: Duration, least: usize) -> Option<Instant> {
        let times = self.others.iter().filter_map(|one| self.ping_at(one, pto, least));
        times.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
