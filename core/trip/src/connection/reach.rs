//! Where to look for a peer that does not answer (PROTOCOL.md §5.2, R-PATH-3; rows T22, N17).
//!
//! In come silence, new addresses for the server's name, and the user's word that the network has
//! changed; out come the wish to resolve the name again, and PINGs.
#![deny(clippy::arithmetic_side_effects)]

use super::recovery::pto::Pto;
use super::{Connection, Cx, Stage, State};
use crate::event::Event;
use crate::wire::Side;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::Instant;

/// After so many probe timeouts in a row a client looks for its server elsewhere; then after twice
/// as many, and so on.
const SILENT_PTOS: u32 = 3;

/// Addresses of the server that are remembered: as many as can be asked at once.
const HOME_MAX: usize = 3;

/// Where the server may be found.
#[derive(Clone, Debug, Default)]
pub(super) struct Home {
    name: Option<Box<(String, u16)>>,
    addresses: Vec<SocketAddr>,
}

impl Home {
    /// The name that was connected to, if there was one, and its addresses.
    pub(super) fn new(name: Option<(String, u16)>, addresses: &[SocketAddr]) -> Self {
        let name = name.map(Box::new);
        Self { name, addresses: addresses.iter().take(HOME_MAX).copied().collect() }
    }
}

impl Connection {
    /// Another probe timeout expired: a client that is not answered asks elsewhere (R-PATH-3).
    pub(super) fn on_unanswered(&mut self, cx: &mut Cx<'_>) {
        let count = self.path_state.pto.count();
        let due = count.checked_rem(SILENT_PTOS) == Some(0)
            && count.checked_div(SILENT_PTOS).is_some_and(u32::is_power_of_two);
        if !due || self.side != Side::Client || self.stage != Stage::Ready {
            return;
        }
        self.seek_server(cx);
    }

    /// A client asks for its server wherever that may be: at the addresses it knows, and at those
    /// that its name has now.
    pub(super) fn seek_server(&mut self, cx: &mut Cx<'_>) {
        self.ask_around(cx.now);
        if let Some((host, port)) = self.home.name.as_deref().cloned() {
            cx.events.push_back(Event::Resolve { connection: self.handle, host, port });
        }
    }

    /// The server's name has these addresses now.
    pub(super) fn on_found(&mut self, addresses: Vec<SocketAddr>, cx: &mut Cx<'_>) {
        if self.side != Side::Client || self.stage != Stage::Ready || addresses.is_empty() {
            return;
        }
        self.home.addresses = addresses;
        self.home.addresses.truncate(HOME_MAX);
        self.ask_around(cx.now);
    }

    /// PINGs all addresses at which the server may be.
    fn ask_around(&mut self, now: Instant) {
        let pto = self.plain_pto();
        for remote in self.home.addresses.iter().copied() {
            self.path.invite(remote, now, pto);
        }
        self.arm_paths(now);
    }

    /// Our network has changed: a PING goes out at once, whatever the window says, and tells the
    /// peer where we are now. A server no longer insists on the address of its own that it used.
    /// An attempt to connect sends its next OPEN at once, whatever gap it had come to (row N22).
    pub(crate) fn network_changed(&mut self, cx: &mut Cx<'_>) {
        if self.state() == State::Opening {
            return self.on_open_timer();
        }
        if !matches!(self.stage, Stage::Pinging | Stage::Ready) {
            return;
        }
        self.path.unpin();
        // The probe timeout counts from now, also where the PING has to wait for its budget.
        self.path_state.pto = Pto::default();
        self.probed_at = cx.now;
        self.probes = self.probes.max(1);
        self.pings.want(true);
        self.renew_search(cx);
        self.arm_recovery();
    }
}
