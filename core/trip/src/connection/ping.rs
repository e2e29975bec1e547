//! PING and PONG: the one mechanism for liveness, keep-alive and address proof (PROTOCOL.md §3).
//!
//! At most one PING of ours is waited for, and at most one PONG is owed: a newer one takes the
//! older one's place (R-FRAME-4). The PING with *fill* that opens a connection (R-HAND-1) and later
//! liveness PINGs are the same thing. All of this is about the active address; the PINGs and PONGs
//! of others are with them, in `addresses`.

use tripline_sansio::Random;

/// A PONG that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwedPong {
    /// The token of the PING.
    pub(crate) token: u64,
    /// The PING asked for a full-sized answer.
    pub(crate) fill: bool,
}

/// Which PINGs and PONGs are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pings {
    /// The token that a PONG must bring.
    awaited: Option<u64>,
    /// A PING has to be sent, with *fill* or without.
    wanted: Option<bool>,
    owed: Option<OwedPong>,
}

/// What a PONG turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PongKind {
    /// The answer to our PING.
    Awaited,
    /// Nobody waits for it: counted, and otherwise ignored.
    Stray,
}

impl Pings {
    /// Asks for a PING. *Fill* stays wanted once asked for.
    pub(crate) fn want(&mut self, fill: bool) {
        self.wanted = Some(fill || self.wanted == Some(true));
    }

    /// Whether a PING has to be sent, and whether with *fill*.
    pub(crate) fn wanted(&self) -> Option<bool> {
        self.wanted
    }

    /// The PING is put into a packet: its token. The one that is waited for already is sent again.
    pub(crate) fn take_ping(&mut self, random: &mut Random) -> u64 {
        self.wanted = None;
        *self.awaited.get_or_insert_with(|| random.bits64())
    }

    /// The PING with this token was lost: it is sent again if it is still waited for.
    pub(crate) fn on_ping_lost(&mut self, token: u64, fill: bool) {
        if self.awaited == Some(token) {
            self.want(fill);
        }
    }

    /// A PONG came.
    pub(crate) fn on_pong(&mut self, token: u64) -> PongKind {
        if self.awaited == Some(token) {
            self.awaited = None;
            self.wanted = None;
            PongKind::Awaited
        } else {
            PongKind::Stray
        }
    }

    /// A PING came: its PONG is owed.
    pub(crate) fn on_ping(&mut self, token: u64, fill: bool) {
        self.owed = Some(OwedPong { token, fill });
    }

    /// The PONG that is owed.
    pub(crate) fn owed(&self) -> Option<OwedPong> {
        self.owed
    }

    /// Whether the owed PONG is to fill its datagram.
    pub(crate) fn owes_filled(&self) -> bool {
        self.owed.is_some_and(|owed| owed.fill)
    }

    /// The PONG that is owed to the address that is active from now on; returns the one that was
    /// owed to the old one.
    pub(crate) fn swap_owed(&mut self, owed: Option<OwedPong>) -> Option<OwedPong> {
        core::mem::replace(&mut self.owed, owed)
    }

    /// The address that all of them were for is gone.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The owed PONG is put into a packet.
    pub(crate) fn pong_sent(&mut self) {
        self.owed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    /// A lost PING goes out again with the token that is waited for; a late PONG of it still
    /// counts, once.
    #[test]
    fn one_ping_is_waited_for_and_each_pong_counts_once() {
        let mut random = Seed::from_number(1).random("pings");
        let mut pings = Pings::default();
        pings.want(true);
        pings.want(false);
        assert_eq!(pings.wanted(), Some(true));
        let token = pings.take_ping(&mut random);
        pings.on_ping_lost(token, true);
        assert_eq!(pings.take_ping(&mut random), token);
        assert_eq!(pings.on_pong(token ^ 1), PongKind::Stray);
        assert_eq!(pings.on_pong(token), PongKind::Awaited);
        assert_eq!(pings.on_pong(token), PongKind::Stray);
        pings.on_ping_lost(token, true);
        assert_eq!(pings.wanted(), None);
    }

    /// R-FRAME-4: one PONG is owed, the newest.
    #[test]
    fn the_newest_pong_replaces_the_older() {
        let mut pings = Pings::default();
        pings.on_ping(1, false);
        pings.on_ping(2, true);
        assert_eq!(pings.owed(), Some(OwedPong { token: 2, fill: true }));
        pings.pong_sent();
        assert_eq!(pings.owed(), None);
    }
}
