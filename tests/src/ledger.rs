//! Amplification, watched on the wire: how many bytes a host sends to each address, against what
//! came to it from there (R-HAND-1).
//!
//! It looks at every datagram from outside and knows of no state of the engine. To an address from
//! which no DATA came may go as many bytes as came from it, later three times as many. Only a
//! proven address is free, and proven can only be one of which the books have seen the proof: a
//! datagram that went there was delivered, and one that its receiver sent after that came back,
//! from wherever.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use tripline_sansio::DatagramMachine;
use tripline_sim::{HostId, PacketView, Stage, World};

/// The first byte of DATA has this bit.
const DATA: u8 = 0x80;

#[derive(Debug, Default)]
struct Account {
    came: u64,
    went: u64,
    /// DATA came from there, too.
    data: bool,
}

#[derive(Debug, Default)]
struct Books {
    accounts: BTreeMap<SocketAddr, Account>,
    /// The addresses at which something arrived, in this order.
    reached: Vec<SocketAddr>,
    /// How many of `reached` each datagram on its way may know of, by its sender and number.
    known: BTreeMap<(HostId, u64), usize>,
    proven: BTreeSet<SocketAddr>,
    checked: u64,
}

/// The books of one host; copies share them.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Rc<RefCell<Books>>);

impl Ledger {
    /// Watches all that `host` sends and receives from now on. Begin before the first connection
    /// does, or what was proven before counts as not proven.
    ///
    /// The run panics at the first datagram that breaks R-HAND-1.
    pub fn on<M: DatagramMachine>(world: &mut World<M>, host: HostId) -> Self {
        let ledger = Self::default();
        let books = ledger.0.clone();
        world.add_tap(move |packet| books.borrow_mut().see(host, packet));
        ledger
    }

    /// How many datagrams were held against the rule: those to addresses not proven.
    pub fn checked(&self) -> u64 {
        self.0.borrow().checked
    }

    /// How many addresses were proven.
    pub fn proven(&self) -> usize {
        self.0.borrow().proven.len()
    }

    /// How many addresses that were not proven got anything.
    pub fn answered(&self) -> usize {
        let books = self.0.borrow();
        let strangers =
            books.accounts.iter().filter(|(address, _)| !books.proven.contains(address));
        strangers.filter(|(_, account)| account.went > 0).count()
    }
}

impl Books {
    fn see(&mut self, host: HostId, packet: &PacketView<'_>) {
        let ours = packet.from == Some(host);
        match packet.stage {
            Stage::Offered if ours => self.on_sent(packet),
            Stage::Offered => {
                if let Some(from) = packet.from.filter(|_| packet.to == Some(host)) {
                    self.known.insert((from, packet.index), self.reached.len());
                }
            }
            Stage::Delivered if ours => {
                if !self.reached.contains(&packet.destination) {
                    self.reached.push(packet.destination);
                }
            }
            Stage::Delivered if packet.to == Some(host) => self.on_received(packet),
            Stage::Delivered | Stage::Dropped(_) => {}
        }
    }

    fn on_sent(&mut self, packet: &PacketView<'_>) {
        let account = self.accounts.entry(packet.destination).or_default();
        account.went += packet.bytes.len() as u64;
        if self.proven.contains(&packet.destination) {
            return;
        }
        let Account { came, went, data } = *account;
        let most = if data { 3 * came } else { came };
        assert!(went <= most, "R-HAND-1: {went} bytes to {}, {came} came", packet.destination);
        self.checked += 1;
    }

    fn on_received(&mut self, packet: &PacketView<'_>) {
        let account = self.accounts.entry(packet.source).or_default();
        account.came += packet.bytes.len() as u64;
        account.data |= packet.bytes.first().is_some_and(|first| first & DATA != 0);
        let Some(from) = packet.from else { return };
        if let Some(known) = self.known.get(&(from, packet.index)) {
            self.proven.extend(self.reached.iter().take(*known).copied());
        }
    }
}
