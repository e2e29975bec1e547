//! The inspector: reads along on the wire and under the seal, and says who breaks a rule.
//!
//! It is put into a run at two places: as the cipher of every endpoint ([`Inspector::on`]), where
//! it hears what is sealed and what verifies, and as a tap of the [`World`](crate::World)
//! ([`Inspector::tap`]), where it sees every datagram. It knows PROTOCOL.md and nothing of the
//! engine: packets are read by the decoder of [`crate::wire`]. What it finds are [`Violation`]s,
//! values that are collected and never a panic, and [`Marks`] of what was met on the way.
//!
//! ```
//! use tripline_sim::{Inspector, Instant, Seal, World};
//! use tripline::{Config, Endpoint};
//! let inspector = Inspector::new(Seal::Fast);
//! let config = inspector.on(Config::client());
//! let mut world = World::new(1);
//! world.add_tap(inspector.tap());
//! let client = Endpoint::new(config, &world.seed_for("client"), Instant::ZERO);
//! world.add_host("10.0.0.1:1111".parse().unwrap(), client);
//! assert!(inspector.take_violations().is_empty());
//! ```

mod acks;
mod books;
mod connection;
mod ending;
mod handshake;
mod hosts;
mod lied;
mod look;
mod numbers;
#[cfg(test)]
mod oracles;
mod paths;
mod pings;
mod proofs;
mod refused;
mod report;
mod shelf;
mod silence;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod violation;
mod work;
mod zones;

pub(crate) use books::Ledger;
pub(crate) use hosts::HostLedger;
pub(crate) use look::{Circumstances, Occasion, judge_connection, judge_endpoint};
pub use violation::{VIOLATIONS_MAX, Violation};

use crate::cipher::{FastAead, Liar, Lies, Recorder, Tape};
use crate::host::HostId;
use crate::marks::Marks;
use crate::rule::PacketView;
use crate::scenario::Seal;
use state::State;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tripline::{Aead, Config, Congestion, TransportConfig};
use tripline_sansio::{Duration, Instant};

/// See the head of this module. Copies share what they have seen.
#[derive(Clone)]
pub struct Inspector {
    seal: Seal,
    tape: Arc<Mutex<Tape>>,
    lies: Lies,
    state: Rc<RefCell<State>>,
}

impl Inspector {
    /// One that has seen nothing yet.
    pub fn new(seal: Seal) -> Self {
        let tape = Arc::new(Mutex::new(Tape::default()));
        let lies = Lies::default();
        let state = Rc::new(RefCell::new(State::new(tape.clone(), lies.clone())));
        Self { seal, tape, lies, state }
    }

    /// The same configuration with the cipher that tells.
    ///
    /// The limits that are judged (sizes, packets under one key, the first window) are the widest
    /// of all configurations that passed here; wider ones in the options of a `connect` have to be
    /// told by [`Self::allow`].
    #[must_use]
    pub fn on(&self, config: Config) -> Config {
        self.allow(&config.transport);
        let aead = Arc::new(Recorder::new(self.cipher(&config), self.tape.clone()));
        Config { aead, ..config }
    }

    /// The same for a host that lies: now and then it acknowledges what was never sent. Its peers
    /// have to end such a connection (R-ACK-2).
    #[must_use]
    pub fn on_liar(&self, config: Config) -> Config {
        let aead = Arc::new(Liar::new(self.cipher(&config), self.lies.clone()));
        self.allow(&config.transport);
        Config { aead: Arc::new(Recorder::new(aead, self.tape.clone())), ..config }
    }

    fn cipher(&self, config: &Config) -> Arc<dyn Aead> {
        match self.seal {
            Seal::Fast => Arc::new(FastAead),
            Seal::Real => config.aead.clone(),
        }
    }

    /// Says that these settings are in use, too.
    pub fn allow(&self, transport: &TransportConfig) {
        let bounds = &mut self.state.borrow_mut().bounds;
        let start = usize::from(transport.datagram_size);
        bounds.start = bounds.start.max(start);
        bounds.most = bounds.most.max(start).max(usize::from(transport.datagram_ceiling));
        // The engine takes zero as one.
        let packets = transport.key_limits.data_packets.max(1);
        bounds.key_packets = bounds.key_packets.max(packets);
        bounds.first_window &= matches!(
            transport.congestion,
            Congestion::Cubic | Congestion::NewReno | Congestion::Bbr
        );
    }

    /// Says that datagrams may be this large: the search for the path's MTU was given a hint.
    pub fn allow_datagrams(&self, most: usize) {
        let bounds = &mut self.state.borrow_mut().bounds;
        bounds.most = bounds.most.max(most);
    }

    /// How much later than by the ACK delay an ACK may come; 100 ms unless told. What pauses hosts
    /// or holds up their sockets needs more.
    pub fn set_slack(&self, slack: Duration) {
        self.state.borrow_mut().set_slack(slack);
    }

    /// How many hundredths of the true pace the fastest clock goes, and by how much clocks leap in
    /// all: who has such a one forgets sooner than others see it. 100, and nothing, unless told.
    pub fn set_fastest_clock(&self, hundredths: u32, leaps: Duration) {
        let life = handshake::HALF_OPEN_LIFE;
        let haste = life.saturating_sub(life * 100 / hundredths.max(100));
        self.state.borrow_mut().set_haste(haste.saturating_add(leaps));
    }

    /// Bytes that the run puts into its payload, and that must never be seen on the wire.
    pub fn set_canary(&self, canary: impl Into<Vec<u8>>) {
        self.state.borrow_mut().canary = canary.into();
    }

    /// Says that a host's machine was replaced by one that remembers nothing.
    pub fn restarted(&self, host: HostId) {
        self.state.borrow_mut().on_restart(host);
    }

    /// What a world is to show every datagram to.
    pub fn tap(&self) -> impl FnMut(&PacketView<'_>) + 'static {
        let state = self.state.clone();
        move |packet| state.borrow_mut().see(packet)
    }

    /// What was found so far; the first [`VIOLATIONS_MAX`] of it.
    pub fn violations(&self) -> Vec<Violation> {
        let mut state = self.state.borrow_mut();
        state.catch_up();
        state.report.violations().to_vec()
    }

    /// The same, and forgets it.
    pub fn take_violations(&self) -> Vec<Violation> {
        let mut state = self.state.borrow_mut();
        state.catch_up();
        state.report.take()
    }

    /// How many violations there were in all, those included that were not kept.
    pub fn violations_total(&self) -> u64 {
        self.state.borrow().report.total
    }

    /// What is known of both sides, client and server, of the connection that was opened with this
    /// user id; nothing unless exactly one came about.
    pub(crate) fn ledgers(&self, user: u64, now: Instant) -> Option<[Ledger; 2]> {
        self.state.borrow_mut().ledgers(user, now)
    }

    /// Who has sent payload last since this was asked: the user id of the connection, and the side,
    /// 0 for the client.
    pub(crate) fn take_talker(&self) -> Option<(u64, usize)> {
        self.state.borrow_mut().talker.take()
    }

    /// Says that a host asks everybody for a token, all the time (`retry_above` 0).
    pub(crate) fn demand_tokens(&self, host: HostId) {
        self.state.borrow_mut().proofs.demand(host);
    }

    /// What a host has sent and got so far, in all its lives.
    pub(crate) fn host_ledger(&self, host: HostId) -> HostLedger {
        self.state.borrow().host_ledger(host)
    }

    /// What was met so far.
    pub fn marks(&self) -> Marks {
        let mut state = self.state.borrow_mut();
        state.catch_up();
        state.report.marks.clone()
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("seal", &self.seal).finish_non_exhaustive()
    }
}
