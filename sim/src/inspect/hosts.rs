//! Hosts and the addresses that they send to: amplification (I4), and which address is proven.
//!
//! An address counts as proven to a host when a datagram that went there was delivered and
//! something that its receiver sent after that came back, from wherever. That is less than
//! PROTOCOL.md asks for (a PONG with the right token, a first DATA), so whoever breaks this rule
//! breaks that one.

use super::books::Sum;
use super::report::Report;
use crate::cipher::Map;
use crate::host::HostId;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Addresses of one host that are remembered; the oldest goes.
const ADDRESSES_MAX: usize = 65_536;
/// Addresses of one host that wait for their proof and are remembered.
const PENDING_MAX: usize = 256;
/// Datagrams between two hosts whose time of sending is remembered.
const SENT_MAX: usize = 65_536;

/// What went to an address and what came from it.
#[derive(Debug, Default)]
struct Account {
    /// Whose it is.
    address: Option<SocketAddr>,
    came: u64,
    came_packets: u64,
    went: u64,
    went_packets: u64,
    /// DATA from there has verified.
    data: bool,
    /// What may still go there because the host was given the address for its server.
    gift: u64,
    /// Who was reached there first, and after how many events.
    reached: Option<(HostId, u64)>,
    proven: bool,
}

/// Of the three full PINGs for which an address that a host was given is good, what is left after
/// the first (R-PATH-3a). If the server speaks from there meanwhile, the rest goes elsewhere.
const GIFT: u64 = 2 * 1_200;
/// What a host has sent and got, as the network saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostLedger {
    /// Datagrams that it sent.
    pub(crate) sent: Sum,
    /// Datagrams that were handed to it.
    pub(crate) came: Sum,
    /// Those of them that are no packets.
    pub(crate) flawed: u64,
    /// CHALLENGEs that accept, each counted once.
    pub(crate) accepts: u64,
    /// RETRYs sent.
    pub(crate) retries: u64,
    /// RESETs sent.
    pub(crate) resets: u64,
}

impl HostLedger {
    /// What has come to it since it was `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            came: self.came - before.came,
            flawed: self.flawed - before.flawed,
            accepts: self.accepts - before.accepts,
            retries: self.retries - before.retries,
            resets: self.resets - before.resets,
        }
    }
}

#[derive(Debug, Default)]
struct Book {
    ledger: HostLedger,
    /// It seals with a recorder: it is ours, and judged.
    honest: bool,
    accounts: Vec<Account>,
    /// Where each address has its account.
    places: BTreeMap<SocketAddr, usize>,
    /// The account asked for last, and very often next.
    newest: usize,
    /// The account that gives way next, once there are as many as may be.
    oldest: usize,
    /// Reached, and not proven.
    pending: Vec<SocketAddr>,
}

impl Book {
    /// Where an address has its account.
    fn place(&self, address: SocketAddr) -> Option<usize> {
        let newest = self.accounts.get(self.newest);
        if newest.is_some_and(|account| account.address == Some(address)) {
            return Some(self.newest);
        }
        self.places.get(&address).copied()
    }

    /// The account of an address, a new one if it has none.
    fn account(&mut self, address: SocketAddr) -> &mut Account {
        let place = self.place(address).unwrap_or_else(|| self.open(address));
        self.newest = place;
        &mut self.accounts[place]
    }

    /// A new account; where it is.
    fn open(&mut self, address: SocketAddr) -> usize {
        let account = Account { address: Some(address), ..Account::default() };
        let mut place = self.accounts.len();
        if place < ADDRESSES_MAX {
            self.accounts.push(account);
        } else {
            place = self.oldest;
            self.oldest = (place + 1) % ADDRESSES_MAX;
            let gone = std::mem::replace(&mut self.accounts[place], account);
            if let Some(address) = gone.address {
                self.places.remove(&address);
            }
        }
        self.places.insert(address, place);
        place
    }
}

/// When the datagrams from one host to another were sent.
#[derive(Debug, Default)]
struct Lane {
    first: u64,
    sent: VecDeque<u64>,
}

/// All hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    books: Vec<Book>,
    lanes: Map<u64, Lane>,
    /// Events so far: what was sent or delivered.
    events: u64,
}

const fn lane_key(from: HostId, to: HostId) -> u64 {
    (from.index() as u64) << 32 | to.index() as u64
}

impl Hosts {
    fn book(&mut self, host: HostId) -> &mut Book {
        if self.books.len() <= host.index() {
            self.books.resize_with(host.index() + 1, Book::default);
        }
        &mut self.books[host.index()]
    }

    /// The host is one of ours. Returns whether that is news.
    pub(super) fn trust(&mut self, host: HostId) -> bool {
        let book = self.book(host);
        !std::mem::replace(&mut book.honest, true)
    }

    /// Whether the host is one of ours.
    pub(super) fn is_honest(&self, host: HostId) -> bool {
        self.books.get(host.index()).is_some_and(|book| book.honest)
    }

    /// Whether an address is proven to a host.
    pub(super) fn is_proven(&self, host: HostId, address: SocketAddr) -> bool {
        let Some(book) = self.books.get(host.index()) else { return false };
        book.place(address).is_some_and(|place| book.accounts[place].proven)
    }

    /// A datagram is sent, as number `index` to its receiver. What never left has no number, and
    /// says one that was given already.
    pub(super) fn on_sent(&mut self, from: HostId, to: Option<HostId>, index: u64) {
        self.events += 1;
        let events = self.events;
        let Some(to) = to else { return };
        let lane = self.lanes.entry(lane_key(from, to)).or_default();
        let next = lane.first + lane.sent.len() as u64;
        if index < next {
            return;
        }
        if index != next {
            lane.sent.clear();
            lane.first = index;
        }
        lane.sent.push_back(events);
        if lane.sent.len() > SENT_MAX {
            lane.sent.pop_front();
            lane.first += 1;
        }
    }

    /// R-HAND-1: what a host of ours sends to an address. `is_free` are OPENs, and PINGs to
    /// addresses that a client was given for its server.
    pub(super) fn charge(
        &mut self,
        report: &mut Report,
        from: HostId,
        to: SocketAddr,
        len: usize,
        is_free: bool,
    ) {
        let book = self.book(from);
        book.ledger.sent += len as u64;
        let honest = book.honest;
        let account = book.account(to);
        if is_free {
            account.gift = GIFT;
            return;
        }
        account.went += len as u64;
        account.went_packets += 1;
        if account.proven || !honest {
            return;
        }
        let most = if account.data { 3 * account.came } else { account.came };
        let taken = account.went.saturating_sub(most);
        if taken <= account.gift {
            account.gift -= taken;
            account.went -= taken;
        }
        let Account { came, went, data, came_packets, went_packets, .. } = *account;
        if went > most {
            let what = format_args!("{went} bytes to {to}, {came} came from there (R-HAND-1)");
            report.blame("I4", Some(from), what);
        } else if !data && went_packets > came_packets {
            let what = format_args!("{went_packets} answers to {to} for {came_packets} packets");
            report.blame("I4", Some(from), what);
        }
    }

    /// A datagram of `from` is delivered to `to`.
    pub(super) fn on_delivered(
        &mut self,
        (from, index): (Option<HostId>, u64),
        to: HostId,
        (source, destination): (SocketAddr, SocketAddr),
        len: usize,
    ) {
        self.events += 1;
        let events = self.events;
        let book = self.book(to);
        book.ledger.came += len as u64;
        let account = book.account(source);
        account.came += len as u64;
        account.came_packets += 1;
        let Some(from) = from else { return };
        self.on_reached(from, destination, to, events);
        let lane = self.lanes.get(&lane_key(from, to));
        let sent = lane.and_then(|lane| {
            let at = index.checked_sub(lane.first)?;
            lane.sent.get(usize::try_from(at).ok()?).copied()
        });
        if let Some(sent) = sent {
            self.prove(to, from, sent);
        }
    }

    /// Something that `from` sent arrived at an address.
    fn on_reached(&mut self, from: HostId, address: SocketAddr, who: HostId, events: u64) {
        let book = self.book(from);
        let account = book.account(address);
        if account.reached.is_some_and(|(reached, _)| reached == who) {
            return;
        }
        account.reached = Some((who, events));
        if !account.proven && book.pending.len() < PENDING_MAX && !book.pending.contains(&address) {
            book.pending.push(address);
        }
    }

    /// What a host has sent and got.
    pub(super) fn ledger(&self, host: HostId) -> HostLedger {
        self.books.get(host.index()).map(|book| book.ledger).unwrap_or_default()
    }

    /// A host sent RETRY.
    pub(super) fn on_retry(&mut self, host: HostId) {
        self.book(host).ledger.retries += 1;
    }

    /// A host sent RESET.
    pub(super) fn on_reset(&mut self, host: HostId) {
        self.book(host).ledger.resets += 1;
    }

    /// A host accepted an OPEN.
    pub(super) fn on_accept(&mut self, host: HostId) {
        self.book(host).ledger.accepts += 1;
    }

    /// Something came to a host that is no packet.
    pub(super) fn on_flawed(&mut self, host: HostId) {
        self.book(host).ledger.flawed += 1;
    }

    /// How many events there were: what was sent or delivered.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// What `who` sent after so many events has come to a host.
    pub(super) fn prove(&mut self, host: HostId, who: HostId, sent: u64) {
        let book = self.book(host);
        if !book.pending.is_empty() {
            book.prove(who, sent);
        }
    }

    /// DATA from an address has verified at a host.
    pub(super) fn on_verified(&mut self, host: HostId, source: SocketAddr) {
        self.book(host).account(source).data = true;
    }
}

impl Book {
    /// Something that `who` sent after so many events has come.
    fn prove(&mut self, who: HostId, sent: u64) {
        let Self { pending, accounts, places, .. } = self;
        pending.retain(|address| {
            let Some(place) = places.get(address) else { return false };
            let account = &mut accounts[*place];
            let is_proof = account.reached.is_some_and(|(by, at)| by == who && at < sent);
            account.proven |= is_proof;
            !is_proof
        });
    }
}
