//! Marks of coverage: the rare things that a run is to have met, each with a name and a count.
//!
//! In goes a [`Mark`] each time somebody sees the thing happen; out come the counts, and by
//! subtraction what a whole campaign of runs never reached. Marks judge nothing: what must not
//! happen is a violation, what should happen now and then is a mark. All of them stand in one table
//! below; a new one is one line there and one `hit`.

use std::fmt;

/// Declares the marks from one table: identifier, name, meaning.
macro_rules! marks {
    ($($id:ident $name:literal $meaning:literal),+ $(,)?) => {
        /// Something rare that a run may meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mark {
            $(#[doc = $meaning] $id,)+
        }

        impl Mark {
            /// All marks, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$id),+];

            /// The name in reports, in kebab-case; unique.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $name),+ }
            }

            /// What has happened, in one line.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$id => $meaning),+ }
            }
        }
    };
}

marks! {
    // The handshake.
    OpenRepeated "open-repeated" "an OPEN was sent again",
    OpenManyTimes "open-many-times" "an OPEN was sent for the eighth time",
    OpenElsewhere "open-elsewhere" "an OPEN was sent to a second address",
    OpenLate "open-late" "an OPEN came after DATA of its connection had verified",
    OpenWithToken "open-with-token" "an OPEN carried the token of a RETRY",
    RetrySent "retry-sent" "a server asked for proof of an address",
    TokenElsewhere "token-elsewhere" "a token came from where it was not given",
    VersionSent "version-sent" "a server hinted why it does not answer",
    ChallengeRepeated "challenge-repeated" "the same OPEN got the same CHALLENGE again",
    ChallengeElsewhere "challenge-elsewhere" "a CHALLENGE was repeated to another address",
    ChallengeRefuses "challenge-refuses" "a CHALLENGE refused",
    ChallengeForwards "challenge-forwards" "a CHALLENGE referred elsewhere",
    ConfirmRepeated "confirm-repeated" "a CONFIRM was sent again",
    DataBeforeConfirm "data-before-confirm" "in XX, DATA came before its CONFIRM",
    RefusedAfterConfirm "refused-after-confirm" "a server without a connection sent DISCONNECT",
    EarlyData "early-data" "a client sent payload before it heard DATA of the server",
    ResetSent "reset-sent" "an endpoint said that it knows a connection no more",
    ResetAccepted "reset-accepted" "a RESET came with the token of the ID in use",
    ResetIgnored "reset-ignored" "a RESET came whose token is that of no ID in use",
    // Numbers, replays, order.
    NumberLeftOut "number-left-out" "a packet number was left out on purpose",
    NumberFourBytes "number-four-bytes" "a packet bore its number in four bytes",
    PacketReplayed "packet-replayed" "a packet was delivered a second time",
    AckOfNothing "ack-of-nothing" "an ACK of what was never sent had verified",
    ReplayAtEdge "replay-at-edge" "a packet came again at the far edge of the replay window",
    PacketForged "packet-forged" "a packet did not verify",
    PacketOvertaken "packet-overtaken" "a packet came after one sent later",
    PacketFarLate "packet-far-late" "a packet came 64 numbers or more behind the largest",
    PacketBeyondWindow "packet-beyond-window" "a packet came 4,096 numbers or more late",
    DatagramEmpty "datagram-empty" "a datagram without a byte was delivered",
    DatagramUnknown "datagram-unknown" "a datagram of no known form was delivered",
    // Acknowledgement and loss.
    AckManyRanges "ack-many-ranges" "an ACK told of eight ranges or more",
    AckTableFull "ack-table-full" "an ACK told of as many ranges as one can",
    AckEcn "ack-ecn" "an ACK told of ECN marks",
    AckCe "ack-ce" "an ACK told of a congestion mark",
    AckLate "ack-late" "an ACK brought a number 3 or more below those acknowledged before",
    Retransmitted "retransmitted" "bytes of a stream were sent again",
    Resliced "resliced" "bytes of a stream were sent again, cut otherwise than at first",
    RetransmittedInVain "retransmitted-in-vain" "a frame and its repetition were both delivered",
    ProbeThird "probe-third" "a side spoke three times into silence, with growing gaps",
    ProbeAtCap "probe-at-cap" "a side waited about three seconds between two probes",
    // Streams, messages, credit.
    FinAlone "fin-alone" "a stream was ended by a frame without payload",
    FinRepeated "fin-repeated" "the end of a stream, alone, was sent again",
    MessageEmpty "message-empty" "a message without a byte was sent",
    MessagesTogether "messages-together" "eight messages or more shared a frame",
    StreamsTogether "streams-together" "eight streams or more shared a packet",
    OrderBytes "order-bytes" "a stream of bytes was used",
    OrderOrdered "order-ordered" "an ordered stream was used",
    OrderUnordered "order-unordered" "an unordered stream was used",
    OrderLatest "order-latest" "a stream of latest messages was used",
    SkipSent "skip-sent" "messages were given up",
    SkipRepeated "skip-repeated" "a SKIP was sent again",
    SkipLostTwice "skip-lost-twice" "a SKIP was sent for the third time",
    CloseStreamSent "close-stream-sent" "a stream was cut off",
    CloseBeforeData "close-before-data" "a stream was cut off before any of it was sent",
    StopSent "stop-sent" "a receiver wanted no more of a stream",
    StopAnswered "stop-answered" "a stream was cut off because of a STOP",
    StopAfterFinish "stop-after-finish" "a STOP came for a stream that was at its end",
    StreamTurnedAway "stream-turned-away" "a leaving side turned a new stream away",
    CreditUsedUp "credit-used-up" "a sender used the connection's credit to the last byte",
    StreamCreditUsedUp "stream-credit-used-up" "a sender used a stream's credit to the last byte",
    IndexesUsedUp "indexes-used-up" "a sender opened the last stream that it may",
    BlockedSent "blocked-sent" "a sender said that credit ran out",
    BlockedOnStreams "blocked-on-streams" "a sender said that it may open no more streams",
    BlockedAndGranted "blocked-and-granted" "a packet said blocked and granted something",
    GrantAnswersBlocked "grant-answers-blocked" "the limit that a BLOCKED named was raised",
    GrantRepeated "grant-repeated" "a grant was sent again",
    GrantLostTwice "grant-lost-twice" "a grant was sent for the third time",
    // Addresses.
    AddressNew "address-new" "a connection's packet came from a new address",
    AddressProven "address-proven" "a PONG proved an address that was not in use",
    PingFillLimited "ping-fill-limited" "a filled PING had less than 1,200 bytes",
    PingRepeated "ping-repeated" "a PING was sent again with the same token",
    PongSlow "pong-slow" "a PONG came after its PING had been sent again",
    PongUnwanted "pong-unwanted" "a PONG came a second time",
    ProbeOfHome "probe-of-home" "a client PINGed an address that it was given, unasked",
    Moved "moved" "payload went to another address than before",
    MovedBack "moved-back" "payload went to an address that it had gone to earlier",
    MovedHost "moved-host" "payload went to another IP address",
    MovedWhileLeaving "moved-while-leaving" "a side moved after NOTIFY",
    MovedInHandshake "moved-in-handshake" "the first DATA came from elsewhere than its OPEN",
    MovedWhileRenewing "moved-while-renewing" "a side moved while a renewal was under way",
    // The path's MTU.
    MtuProbeSent "mtu-probe-sent" "a packet larger than all acknowledged ones was sent",
    MtuProbeRepeated "mtu-probe-repeated" "a size was probed again",
    MtuFound "mtu-found" "a larger size was acknowledged",
    MtuBlackHole "mtu-black-hole" "full packets went back to 1,200 bytes",
    // Zones.
    RenewAsked "renew-asked" "a new zone was asked for",
    RenewRepeated "renew-repeated" "a RENEW was sent again",
    RenewConfirmRepeated "renew-confirm-repeated" "a RENEW_CONFIRM was sent again",
    RenewCrossed "renew-crossed" "two RENEWs crossed",
    RenewHeardByPacket "renew-heard-by-packet" "a packet of the new zone told that it was agreed",
    RenewAckedFirst "renew-acked-first" "a half was acknowledged before the other one came",
    RenewWhileLeaving "renew-while-leaving" "a zone was renewed after NOTIFY",
    OldZoneAfterSwitch "old-zone-after-switch" "a packet of the old zone came after one of the new",
    OldZoneTooLate "old-zone-too-late" "a packet of a zone that is wiped was delivered",
    ZoneTenth "zone-tenth" "a connection reached its tenth zone",
    // Ends.
    NotifySent "notify-sent" "a side said that it is leaving",
    NotifyRepeated "notify-repeated" "a NOTIFY was sent again",
    NotifyCrossed "notify-crossed" "both sides said that they are leaving at the same time",
    DisconnectSent "disconnect-sent" "a side ended a connection",
    DisconnectAnswered "disconnect-answered" "a DISCONNECT was answered",
    DisconnectRepeated "disconnect-repeated" "a DISCONNECT was repeated",
    DisconnectCrossed "disconnect-crossed" "two DISCONNECTs crossed",
    DisconnectOnStray "disconnect-on-stray" "packets came after DISCONNECT was sent",
    DisconnectIdle "disconnect-idle" "a side gave up for silence",
    DisconnectViolation "disconnect-violation" "a side was accused of breaking a rule",
    ForwardSent "forward-sent" "a server asked a client to go elsewhere",
    StatsSent "stats-sent" "a side told its counts",
}

/// How often each mark was hit.
#[derive(Clone, PartialEq, Eq)]
pub struct Marks {
    counts: [u64; Mark::ALL.len()],
}

impl Default for Marks {
    fn default() -> Self {
        Self { counts: [0; Mark::ALL.len()] }
    }
}

impl Marks {
    /// Counts one occurrence.
    pub const fn hit(&mut self, mark: Mark) {
        let count = &mut self.counts[mark as usize];
        *count = count.saturating_add(1);
    }

    /// How often a mark was hit.
    pub const fn count(&self, mark: Mark) -> u64 {
        self.counts[mark as usize]
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*more);
        }
    }

    /// All marks with their counts, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> {
        Mark::ALL.iter().copied().zip(self.counts)
    }

    /// The names of the marks that were hit.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.iter().filter(|(_, count)| *count > 0).map(|(mark, _)| mark.name())
    }

    /// The marks that were hit less often than `wanted`.
    pub fn below(&self, wanted: u64) -> impl Iterator<Item = (Mark, u64)> {
        self.iter().filter(move |(_, count)| *count < wanted)
    }
}

/// Those that were hit, as `name count` pairs.
impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hit = self.iter().filter(|(_, count)| *count > 0);
        f.debug_map().entries(hit.map(|(mark, count)| (mark.name(), count))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let names: BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.name()).collect();
        assert_eq!(names.len(), Mark::ALL.len());
        for (mark, number) in Mark::ALL.iter().zip(0..) {
            assert_eq!(*mark as usize, number);
            assert!(mark.name().bytes().all(|one| one == b'-' || one.is_ascii_lowercase()));
            assert!(!mark.meaning().is_empty());
        }
    }

    #[test]
    fn counts_add_up() {
        let mut marks = Marks::default();
        marks.hit(Mark::RetrySent);
        let mut other = marks.clone();
        other.hit(Mark::FinAlone);
        marks.merge(&other);
        assert_eq!((marks.count(Mark::RetrySent), marks.count(Mark::FinAlone)), (2, 1));
        assert_eq!(marks.names().collect::<Vec<_>>(), ["retry-sent", "fin-alone"]);
        assert_eq!(marks.below(2).count(), Mark::ALL.len() - 1);
    }
}
