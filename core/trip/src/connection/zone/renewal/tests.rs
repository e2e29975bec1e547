//! Every cell of the table of renewals (PROTOCOL.md §10.6), and every half that closes.
#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::crypto::{Cipher, PureAead, Split};
use alloc::sync::Arc;
use alloc::vec;
use tripline_sansio::{Duration, Seed};

/// One side: the zone that it sends in, and its renewal.
struct Party {
    side: Side,
    zone: Zone,
    renewal: Renewal,
    next_id: u64,
}

impl Party {
    fn new(side: Side) -> Self {
        let split = Split { client_to_server: [1; 32], server_to_client: [2; 32], hash: [3; 32] };
        let (own, peer) = match side {
            Side::Client => (100, 200),
            Side::Server => (200, 100),
        };
        let aead: Arc<dyn crate::crypto::Aead> = Arc::new(PureAead);
        let zone = Zone::first(&aead, Cipher::ChaChaPoly, side, &split, (own, peer));
        Self { side, zone, renewal: Renewal::default(), next_id: own + 1 }
    }

    /// The endpoint gives a half, with a token of its own.
    fn give_half(&mut self) {
        assert!(self.renewal.wants_half(false, true), "{:?}", self.renewal);
        let mut random = Seed::from_number(self.next_id).random("half");
        let secret = Box::new(SecretKey::generate(&mut random));
        let token = [u8::try_from(self.next_id).unwrap(); 16];
        let own = OwnHalf::new(self.next_id, token, secret);
        self.next_id += 1;
        self.renewal.on_own_half(&mut self.zone, self.side, own, 0).unwrap();
    }

    fn ask(&mut self) -> RenewFrame {
        self.renewal.want();
        self.give_half();
        self.send()
    }

    /// Sends the half that is due.
    fn send(&mut self) -> RenewFrame {
        let frame = self.renewal.due(&self.zone).expect("a half is due");
        self.renewal.on_sent();
        assert_eq!(self.renewal.due(&self.zone), None);
        frame
    }

    fn take(&mut self, frame: &RenewFrame) -> Result<bool, Violation> {
        self.renewal.on_frame(&mut self.zone, self.side, frame, 0)
    }

    fn number(&mut self, id: u64, number: u64) -> Result<Seen, Violation> {
        self.renewal.on_number(&mut self.zone, id, number)
    }

    fn acked(&mut self, zone: u64) -> bool {
        self.renewal.on_acked(&mut self.zone, zone)
    }

    fn lost(&mut self, zone: u64) {
        self.renewal.on_lost(&self.zone, zone);
    }

    fn step(&self) -> &'static str {
        match self.renewal.step {
            Step::Steady => "steady",
            Step::Asked(_) => "asked",
            Step::Agreed(_) => "agreed",
            Step::Moved(_) => "moved",
        }
    }
}

fn parties() -> (Party, Party) {
    (Party::new(Side::Client), Party::new(Side::Server))
}

/// The client asked, the server answered: ASKED and AGREED, with the two halves.
fn answered() -> (Party, Party, RenewFrame, RenewFrame) {
    let (mut client, mut server) = parties();
    let question = client.ask();
    assert_eq!(server.take(&question), Ok(false));
    server.give_half();
    let answer = server.send();
    assert!(!question.confirm && answer.confirm);
    assert_eq!((client.step(), server.step()), ("asked", "agreed"));
    (client, server, question, answer)
}

/// Both sent their half in zone 1 and read it: MOVED on both sides.
fn moved() -> (Party, Party, RenewFrame, RenewFrame) {
    let (mut client, mut server, question, answer) = answered();
    assert_eq!(client.take(&answer), Ok(true));
    let id = client.zone.peer_id;
    assert_eq!(server.number(id, 50), Ok(Seen::Moved));
    assert_eq!((client.step(), server.step()), ("moved", "moved"));
    (client, server, question, answer)
}

/// What each seals the other opens, under the IDs that both agree on.
fn assert_same_zone(one: &mut Party, other: &mut Party) {
    assert_eq!(one.zone.number, other.zone.number);
    assert_eq!((one.zone.own_id, one.zone.peer_id), (other.zone.peer_id, other.zone.own_id));
    let check = |from: &mut Party, to: &Party| {
        let mut packet = b"headtext".to_vec();
        let number = 1_000 + from.zone.seal.sealed();
        from.zone.seal.seal_packet(number, &mut packet, 0, 4).unwrap();
        let key = to.renewal.open_key(&to.zone, from.zone.peer_id).unwrap();
        assert_eq!(key.open_packet(number, &mut packet, 4).unwrap(), b"text");
    };
    check(one, other);
    check(other, one);
}

/// ASKED, lost: the half goes out again; an ACK for it is remembered and ends that.
#[test]
fn r_zone_asked_lost() {
    let (mut client, mut server, question, answer) = answered();
    client.lost(1);
    assert_eq!(client.send(), question);
    assert!(!client.acked(1), "the other half is unknown");
    client.lost(1);
    client.renewal.on_probe();
    assert_eq!(client.renewal.due(&client.zone), None);
    // What is remembered lets a crossing question move us at once.
    let crossing = RenewFrame { confirm: false, ..answer };
    assert_eq!(client.take(&crossing), Ok(true));
    assert!(server.acked(1));
    assert_same_zone(&mut client, &mut server);
}

/// ASKED, repeated: halves of the zone in use are ignored, whichever way they came.
#[test]
fn r_zone_asked_repeated() {
    let (mut client, mut server, question, answer) = moved();
    client.renewal.wipe();
    let next = client.ask();
    for confirm in [false, true] {
        assert_eq!(client.take(&RenewFrame { confirm, ..answer }), Ok(false));
        assert_eq!(server.take(&RenewFrame { confirm, ..question }), Ok(false));
    }
    assert_eq!((client.step(), next.zone), ("asked", 2));
}

/// ASKED, late or reordered: questions that cross lead to AGREED without a winner, an answer to
/// MOVED.
#[test]
fn r_zone_asked_late() {
    let (mut client, mut server) = parties();
    let (one, other) = (client.ask(), server.ask());
    assert!(!one.confirm && !other.confirm);
    assert_eq!((client.take(&other), server.take(&one)), (Ok(false), Ok(false)));
    assert_eq!((client.step(), server.step()), ("agreed", "agreed"));
    assert!(client.acked(1) && server.acked(1));
    assert_same_zone(&mut client, &mut server);
    let (mut client, mut server, _, answer) = answered();
    assert_eq!(client.take(&answer), Ok(true));
    assert!(server.acked(1));
    assert_same_zone(&mut client, &mut server);
}

/// AGREED, lost: the own half goes out again, now as an answer, until it is known to have come.
#[test]
fn r_zone_agreed_lost() {
    let (_, mut server, _, answer) = answered();
    server.lost(1);
    assert_eq!(server.send(), answer);
    server.renewal.on_probe();
    assert_eq!(server.send(), answer);
    assert!(server.acked(1));
    server.lost(1);
    assert_eq!((server.step(), server.renewal.due(&server.zone)), ("moved", None));
    // A question that crossed is repeated as the answer that it has become.
    let (mut client, mut server) = parties();
    let (one, other) = (client.ask(), server.ask());
    assert_eq!(client.take(&other), Ok(false));
    client.lost(1);
    assert_eq!(client.send(), RenewFrame { confirm: true, ..one });
}

/// AGREED, repeated: the same half changes nothing; as an answer it says that ours came.
#[test]
fn r_zone_agreed_repeated() {
    let (_, mut server, question, _) = answered();
    assert_eq!(server.take(&question), Ok(false));
    assert_eq!(server.step(), "agreed");
    assert_eq!(server.take(&RenewFrame { confirm: true, ..question }), Ok(true));
    assert_eq!(server.step(), "moved");
}

/// AGREED, late or reordered: packets of the new zone are read, and move us before the ACK does.
#[test]
fn r_zone_agreed_late() {
    let (mut client, mut server, _, answer) = answered();
    assert_eq!(client.take(&answer), Ok(true));
    let id = client.zone.peer_id;
    assert!(server.renewal.open_key(&server.zone, id).is_some(), "R-ZONE-1: both are read");
    assert!(server.renewal.open_key(&server.zone, 200).is_some());
    assert_eq!(server.number(id, 7), Ok(Seen::Moved));
    assert!(!server.acked(1), "that is no news any more");
    assert_same_zone(&mut client, &mut server);
}

/// MOVED, lost: nothing of the renewal is sent again; the first packets of the zone are ordinary
/// ones.
#[test]
fn r_zone_moved_lost() {
    let (mut client, ..) = moved();
    client.lost(1);
    client.renewal.on_probe();
    assert_eq!(client.renewal.due(&client.zone), None);
}

/// MOVED, repeated: halves of the new zone are ignored.
#[test]
fn r_zone_moved_repeated() {
    let (mut client, mut server, question, answer) = moved();
    assert_eq!((client.take(&answer), server.take(&question)), (Ok(false), Ok(false)));
    assert_eq!((client.step(), server.step()), ("moved", "moved"));
}

/// MOVED, late: packets of the old zone are read until its time is over, which begins with the
/// first packet of the new one; then its key and ID are gone (R-ZONE-2).
#[test]
fn r_zone_moved_late() {
    let (mut client, mut server, _, answer) = answered();
    client.take(&answer).unwrap();
    assert_eq!(client.renewal.next_time(), None, "the peer may send in the old zone for long");
    assert_eq!(client.number(100, 30), Ok(Seen::Nothing));
    assert!(server.acked(1));
    let id = server.zone.peer_id;
    assert_eq!(client.number(id, 40), Ok(Seen::First));
    assert_eq!(client.number(id, 41), Ok(Seen::Nothing));
    let at = Instant::ZERO + Duration::from_secs(1);
    client.renewal.wipe_old_at(at);
    assert_eq!(client.renewal.next_time(), Some(at));
    client.renewal.on_time(at - Duration::from_nanos(1));
    assert_eq!(client.number(100, 35), Ok(Seen::Nothing), "late, and still read");
    assert!(client.renewal.open_key(&client.zone, 100).is_some());
    client.renewal.on_time(at);
    assert!(client.renewal.open_key(&client.zone, 100).is_none());
    assert_eq!((client.renewal.take_released(), client.renewal.take_released()), (Some(100), None));
    assert_eq!((client.step(), client.renewal.next_time()), ("steady", None));
}

/// STEADY, repeated and late: halves of this zone and earlier ones are ignored; a question for the
/// next one is answered, and ends the zone before at once (R-ZONE-3).
#[test]
fn r_zone_steady_late() {
    let (mut client, mut server, question, answer) = moved();
    client.renewal.wipe();
    assert_eq!(client.take(&answer), Ok(false));
    let again = client.ask();
    assert_eq!(server.step(), "moved");
    assert_eq!(server.take(&again), Ok(false));
    assert_eq!(server.take(&again), Ok(false), "twice in one drain");
    assert_eq!((server.step(), server.renewal.take_released()), ("steady", Some(200)));
    server.give_half();
    let answer = server.send();
    assert_eq!(client.take(&answer), Ok(true));
    assert!(server.acked(2));
    assert_same_zone(&mut client, &mut server);
    assert_eq!(server.take(&question), Ok(false), "of the zone before: too old to compare");
    assert_eq!(server.take(&RenewFrame { key: [9; 32], ..question }), Ok(false));
}

/// R-ZONE-2: zones that overlap close, whichever packet shows it.
#[test]
fn r_zone_2_zones_do_not_overlap() {
    let (mut client, mut server, _, answer) = answered();
    client.take(&answer).unwrap();
    let id = client.zone.peer_id;
    server.number(200, 10).unwrap();
    assert!(server.number(id, 9).is_err(), "the first of the new below one of the old");
    assert_eq!(server.step(), "agreed", "before any effect");
    server.number(id, 20).unwrap();
    server.number(200, 15).unwrap();
    assert!(server.number(200, 21).is_err(), "one of the old above the lowest of the new");
    assert!(server.number(id, 14).is_err(), "a lower one of the new below one of the old");
    assert_eq!(server.number(id, 16), Ok(Seen::Nothing));
}

/// R-ZONE-3, R-OPEN-3: every half that closes, and that nothing has happened by then.
#[test]
fn r_zone_3_wrong_halves_close() {
    let faults = |party: &mut Party, frames: &[RenewFrame]| {
        let step = party.step();
        for frame in frames {
            let error = party.take(frame).expect_err("a broken rule");
            assert_eq!((error.code, party.step()), (Code::PROTOCOL, step), "{frame:?}");
        }
    };
    let (mut client, mut server, question, answer) = answered();
    // The lowest-order key of all, and 2^255 - 1.
    let weak = RenewFrame { key: [0; 32], ..question };
    let high = RenewFrame { key: [0xff; 32], ..question };
    let confirm = RenewFrame { confirm: true, ..question };
    let beyond = RenewFrame { zone: 2, ..question };
    faults(&mut Party::new(Side::Server), &[weak, high, confirm, beyond]);
    // Another ID, token or key for a zone that is agreed.
    let others = [
        RenewFrame { id: 9, ..question },
        RenewFrame { reset_token: [9; 16], ..question },
        RenewFrame { key: [9; 32], ..question },
    ];
    faults(&mut server, &others);
    client.take(&answer).unwrap();
    server.acked(1);
    faults(&mut server, &others);
    server.renewal.wipe();
    faults(&mut server, &others);
    // Two different questions before our half is there.
    let mut server = Party::new(Side::Server);
    server.take(&question).unwrap();
    faults(&mut server, &others);
    // An answer to a question that was made but never sent.
    let mut client = Party::new(Side::Client);
    client.renewal.want();
    client.give_half();
    assert!(client.take(&answer).is_err());
    assert_eq!(client.renewal.ids().collect::<Vec<_>>(), vec![101], "its ID is not lost");
}

/// R-ZONE-3: nobody asks before the peer was heard in this zone, nor while the last one is read;
/// a wish waits, and several are one.
#[test]
fn r_zone_3_who_asks_is_done_with_the_last_zone() {
    let mut party = Party::new(Side::Client);
    assert!(!party.renewal.wants_half(false, true), "nobody wants it");
    assert!(party.renewal.wants_half(true, true), "a worn key");
    party.renewal.want();
    party.renewal.want();
    assert!(!party.renewal.wants_half(true, false), "not heard");
    party.give_half();
    party.renewal.want();
    assert!(!party.renewal.wants_half(true, true), "under way");
    let (mut client, ..) = moved();
    client.renewal.want();
    assert!(!client.renewal.wants_half(true, true), "the last zone is read");
    client.renewal.wipe();
    assert!(client.renewal.wants_half(false, true), "the wish has waited");
    client.give_half();
    assert!(!client.renewal.wanted);
}

/// PROTOCOL.md §5.3: age counts only where payload went over.
#[test]
fn r_zone_age_counts_with_payload() {
    let at = Instant::ZERO + Duration::from_secs(120);
    let mut renewal = Renewal::default();
    renewal.begin_zone(0, at);
    assert_eq!(renewal.next_time(), None);
    renewal.on_time(at + Duration::from_secs(900));
    assert!(!renewal.wants_half(false, true), "keep-alives alone renew nothing");
    let mut early = renewal;
    assert!(early.on_payload(at + Duration::from_secs(1_000)), "the first payload after long");
    assert!(early.wants_half(false, true));
    assert_eq!(early.next_time(), None);
    let mut renewal = Renewal::default();
    renewal.begin_zone(0, at);
    assert!(renewal.on_payload(Instant::ZERO) && !renewal.on_payload(Instant::ZERO));
    assert_eq!(renewal.next_time(), Some(at));
    renewal.on_time(at - Duration::from_nanos(1));
    assert!(!renewal.wants_half(false, true));
    renewal.on_time(at);
    assert!(renewal.wants_half(false, true));
}
