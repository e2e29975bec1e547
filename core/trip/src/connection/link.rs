//! What a connection does differently while its packets travel over a link (PROTOCOL.md §8).
//!
//! In come the address in use, links that break and links that take over; out come the answers that
//! the rest of the connection asks for: how large a packet is, whether the window counts, when to
//! ask a peer that does not answer. The link itself (framing, buffers) is none of its concerns.
//!
//! A link neither loses nor reorders, and has a congestion control of its own. So there are no
//! windows, pacing, padding, marks and MTU here, and silence never makes a packet lost. What an ACK
//! leaves out although it tells of a later packet of the same link was refused by the peer at a
//! bound of §11: that goes out again, as anywhere.
#![deny(clippy::arithmetic_side_effects)]

use super::mtu::BASE;
use super::{Connection, Cx, Stage};
use crate::carrier::LinkId;
use crate::event::Event;
use crate::wire::Side;
use tripline_sansio::{Duration, Instant};

/// The largest packet that we put on a link, in bytes. Half of the 16,384 that are allowed: 64 of
/// them, after which an ACK comes at the latest, are half of what the send buffer holds by default.
pub(super) const LINK_PACKET: u16 = 8_192;

/// How long a peer may owe an ACK on a link before it is PINGed (R-LINK-5). Nothing is sent again.
const PROBE_AFTER: Duration = Duration::from_secs(3);

/// Where a connection stands with its link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkState {
    /// The link takes no more bytes: everything waits (R-LINK-6).
    held: bool,
    /// The link broke, and the connection has no other place to send to.
    gone: bool,
}

impl Connection {
    /// The link that everything goes to, if it is one and it has not broken.
    pub(crate) fn link(&self) -> Option<LinkId> {
        LinkId::of(self.path.path().remote).filter(|_| !self.link_state.gone)
    }

    /// Whether packets travel over a link, or did until it broke.
    pub(super) fn is_linked(&self) -> bool {
        LinkId::of(self.path.path().remote).is_some()
    }

    /// Says whether the link takes more bytes now.
    pub(crate) fn hold(&mut self, held: bool) {
        self.link_state.held = held;
    }

    /// Whether everything waits because the link takes no more bytes.
    pub(super) fn is_held(&self) -> bool {
        self.link_state.held && self.is_linked()
    }

    /// Whether the link broke, and there is no other place to send to.
    pub(super) fn is_unlinked(&self) -> bool {
        self.link_state.gone
    }

    /// The size of full packets on the link in use; `None` if there is none.
    pub(super) fn link_size(&self) -> Option<u16> {
        self.is_linked().then(|| LINK_PACKET.min(self.peer_limits.datagram_max).max(BASE))
    }

    /// When the peer is asked whether it is there: on a link that is connected not before long,
    /// as silence tells nothing about loss (R-LINK-5).
    pub(super) fn patient(&self, since: Instant, at: Instant) -> Instant {
        let patient = self.stage == Stage::Ready && self.is_linked();
        if patient { at.max(since + PROBE_AFTER) } else { at }
    }

    /// Since when the peer owes an ACK, the newest packet that asks for one being from `newest`. On
    /// a link that is connected: since it was heard, or since the oldest such packet. Else the
    /// keep-alives of an idle connection would put off the question for as long as they are asked
    /// for more often than that.
    pub(super) fn unanswered_since(&self, newest: Instant) -> Instant {
        if self.stage != Stage::Ready || !self.is_linked() {
            return newest;
        }
        let oldest = self.sent.unacked().next().map_or(newest, |(info, _)| info.sent_at);
        oldest.max(self.last_received)
    }

    /// The address in use may be of another kind now: ACKs follow it.
    pub(super) fn on_carrier(&mut self) {
        self.link_state = LinkState::default();
        self.received.set_in_order(self.is_linked());
    }

    /// A link has broken (R-LINK-4): it is no address any more. If everything went there, the
    /// connection goes to the newest of its other proven addresses, or waits for one; the user is
    /// told.
    pub(crate) fn on_link_gone(&mut self, link: LinkId, cx: &mut Cx<'_>) {
        if self.stage == Stage::Over {
            return;
        }
        let active = self.link() == Some(link);
        if self.stage != Stage::Opening {
            self.path.give_up(link.path(), cx.now);
        }
        if !active {
            return;
        }
        if self.stage == Stage::Opening
            && let Some(path) = self.opening.as_deref_mut().and_then(|opening| opening.unlink())
        {
            self.path.settle_at(path, cx.now);
            self.on_carrier();
            return;
        }
        self.link_state = LinkState { held: false, gone: true };
        self.pings.forget();
        if matches!(self.stage, Stage::Pinging | Stage::Ready) {
            // A move, if there is somewhere to go, clears `gone`.
            self.follow_peer(false, cx);
            self.path.give_up(link.path(), cx.now);
        }
        if self.link_state.gone {
            cx.events.push_back(Event::Unlinked { connection: self.handle, link });
        }
    }

    /// The client has opened another link to the server: everything goes there from now on, and
    /// what is unacknowledged goes out again (R-LINK-4). It chose that place itself, so it asks for
    /// no proof; the server does. Says whether that makes sense: not for a server, nor at the end.
    pub(crate) fn attach(&mut self, link: LinkId, cx: &mut Cx<'_>) -> bool {
        if self.side != Side::Client || self.stage == Stage::Over {
            return false;
        }
        self.path.settle_at(link.path(), cx.now);
        self.home = super::reach::Home::default();
        self.pings.forget();
        self.on_carrier();
        match self.stage {
            Stage::Opening => {
                if let Some(opening) = self.opening.as_deref_mut() {
                    opening.relink(link.path());
                }
            }
            Stage::Pinging | Stage::Ready => {
                self.start_anew(None, cx);
                self.confirm_due = self.confirm.is_some();
                // Tells the server at once, even if nothing else is to be said.
                self.pings.want(false);
            }
            Stage::Closing | Stage::Draining | Stage::Over => {}
        }
        true
    }
}
