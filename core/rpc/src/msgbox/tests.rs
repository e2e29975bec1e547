//! Machines whose datagrams a test carries by hand.

#![allow(clippy::cast_possible_truncation)] // Small numbers of this page.

use super::*;
use alloc::vec;

const SECOND: Duration = Duration::from_secs(1);

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7))
}

/// Two of them; the second listens.
struct Two {
    sides: [Msgbox; 2],
    now: Instant,
    /// Datagrams to each, in order.
    wires: [VecDeque<Vec<u8>>; 2],
}

impl Two {
    fn new() -> Self {
        Self::with(MsgboxConfig::default())
    }

    fn with(config: MsgboxConfig) -> Self {
        let listening = MsgboxConfig { is_listening: true, ..config };
        let sides = [(config, 1), (listening, 2)]
            .map(|(config, seed)| Msgbox::new(config, &Seed::from_number(seed)));
        Self { sides, now: Instant::from_nanos(1), wires: Default::default() }
    }

    /// What both have to send goes on its way.
    fn post(&mut self) {
        for from in [0, 1] {
            let mut bytes = Vec::new();
            while let Some(transmit) = self.sides[from].poll_transmit(self.now, &mut bytes) {
                assert_eq!(transmit.path.remote, address(1 - from as u8));
                assert_eq!(transmit.len, bytes.len());
                for packet in bytes.chunks(transmit.segment_size) {
                    self.wires[1 - from].push_back(packet.to_vec());
                }
                bytes.clear();
            }
        }
    }

    fn arrive(&mut self, side: usize, mut packet: Vec<u8>) {
        let path = Path::to(address(1 - side as u8));
        self.sides[side].handle_datagram(self.now, path, Ecn::NotEct, &mut packet);
    }

    /// Everything goes to and fro until nothing is left to say.
    fn run(&mut self) {
        loop {
            self.post();
            let all = [0, 1].map(|side| self.wires[side].drain(..).collect::<Vec<_>>());
            if all.iter().all(Vec::is_empty) {
                return;
            }
            for (side, packets) in all.into_iter().enumerate() {
                packets.into_iter().for_each(|packet| self.arrive(side, packet));
            }
        }
    }

    /// Time passes; `carries` says whether datagrams arrive.
    fn pass(&mut self, time: Duration, carries: bool) {
        let end = self.now + time;
        loop {
            if carries {
                self.run();
            } else {
                self.post();
                self.wires = Default::default();
            }
            let next = self.sides.iter().filter_map(|side| side.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next > self.now, "a deadline that does not move");
            self.now = next;
            self.sides.iter_mut().for_each(|side| side.handle_timeout(next));
        }
        self.now = end;
    }

    fn events(&mut self, side: usize) -> Vec<MsgboxEvent> {
        core::iter::from_fn(|| self.sides[side].poll_event()).collect()
    }

    fn connected() -> (Self, [ContactId; 2]) {
        let mut two = Self::new();
        let ours = two.sides[0].connect(two.now, address(1)).unwrap();
        two.run();
        let remote = address(1);
        assert_eq!(two.events(0), [MsgboxEvent::Ready { contact: ours, remote, by_us: true }]);
        let told = two.events(1);
        let [MsgboxEvent::Ready { contact, by_us: false, .. }] = told[..] else {
            panic!("{told:?}")
        };
        (two, [ours, contact])
    }
}

/// M08, M10, M11, M12, M16: messages and requests go both ways, a request is answered once, and
/// the reply finds who asked.
#[test]
fn m10_m11_m12_messages_requests_and_replies_go_both_ways() {
    let (mut two, contacts) = Two::connected();
    for (from, to) in [(1, 0), (0, 1)] {
        let now = two.now;
        two.sides[from].send(now, contacts[from], b"hello").unwrap();
        let gets = [1, 2].map(|n| two.sides[from].get(now, contacts[from], &[n], None).unwrap());
        two.run();
        let told = two.events(to);
        let [
            MsgboxEvent::Message { payload, .. },
            MsgboxEvent::Request { request: first, payload: one, .. },
            MsgboxEvent::Request { request: second, .. },
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((&payload[..], &one[..]), (&b"hello"[..], &[1][..]));
        // In any order (M07).
        two.sides[to].reply(now, *second, b"two").unwrap();
        two.sides[to].reply(now, *first, b"one").unwrap();
        let twice = two.sides[to].reply(now, *first, b"again");
        assert_eq!(twice, Err(MsgboxError::UnknownRequest));
        two.run();
        let contact = contacts[from];
        let reply = |get, payload: &'static [u8]| {
            let payload = Bytes::from_static(payload);
            MsgboxEvent::Reply { contact, get, payload }
        };
        assert_eq!(two.events(from), [reply(gets[1], b"two"), reply(gets[0], b"one")]);
    }
}

/// R-BOX-2, M01: who does not answer, and who does not want us, fail; each once.
#[test]
fn m01_an_attempt_ends_in_one_event() {
    let mut two = Two::new();
    let silent = two.sides[0].connect(two.now, address(1)).unwrap();
    assert_eq!(two.sides[0].connect(two.now, address(1)), Err(MsgboxError::Known));
    let early = two.sides[0].send(two.now, silent, b"x");
    assert_eq!(early, Err(MsgboxError::NotReady));
    two.pass(20 * SECOND, false);
    assert_eq!(two.events(0), [MsgboxEvent::Failed { contact: silent, refused: false }]);
    two.sides[1].set_listening(false);
    let unwanted = two.sides[0].connect(two.now, address(1)).unwrap();
    two.run();
    assert_eq!(two.events(0), [MsgboxEvent::Failed { contact: unwanted, refused: true }]);
    assert!(two.events(0).is_empty() && two.sides.iter().all(Msgbox::is_idle));
    assert_eq!(two.sides[1].stats().turned_away, 1);
}

/// R-BOX-2, M17: the knock goes on until it is heard, and a server is ready once, however often it
/// comes.
#[test]
fn m17_a_first_packet_makes_one_contact() {
    let mut two = Two::new();
    let ours = two.sides[0].connect(two.now, address(1)).unwrap();
    let mut knocks = Vec::new();
    while knocks.len() < 5 {
        two.post();
        knocks.extend(two.wires[1].drain(..));
        two.now = two.sides[0].poll_timeout().unwrap();
        two.sides[0].handle_timeout(two.now);
    }
    assert_eq!(two.now - Instant::from_nanos(1), Duration::from_millis(250 + 500 + 1_000 + 4_000));
    for knock in [&knocks[..], &knocks[..]].concat() {
        two.arrive(1, knock);
    }
    two.run();
    assert_eq!(two.events(0).len(), 1);
    assert_eq!(two.events(1).len(), 1, "one contact");
    assert!(two.sides[0].is_ready(ours));
}

/// R-BOX-2: both may knock at the same time, and their knocks may come twice.
#[test]
fn two_that_knock_at_each_other_have_one_contact() {
    let mut two = Two::new();
    for side in [0, 1] {
        two.sides[side].connect(two.now, address(1 - side as u8)).unwrap();
    }
    two.post();
    let knocks = [two.wires[0][0].clone(), two.wires[1][0].clone()];
    two.run();
    for (side, knock) in knocks.into_iter().enumerate() {
        two.arrive(side, knock);
        two.run();
        let told = two.events(side);
        assert!(matches!(told[..], [MsgboxEvent::Ready { by_us: true, .. }]), "{told:?}");
        assert_eq!(two.sides[side].contacts(), 1);
    }
}

/// M04, M31 (timeouts for get): a request whose reply does not come is missing, and the late reply
/// reaches nobody.
#[test]
fn m04_m31_a_reply_that_does_not_come_is_missing() {
    let (mut two, [ours, _]) = Two::connected();
    let get = two.sides[0].get(two.now, ours, b"?", Some(SECOND)).unwrap();
    two.run();
    let told = two.events(1);
    let [MsgboxEvent::Request { request, .. }] = told[..] else { panic!("{told:?}") };
    two.pass(2 * SECOND, true);
    let missing = MsgboxEvent::ReplyMissing { contact: ours, get, gone: false };
    assert_eq!(two.events(0), [missing]);
    two.sides[1].reply(two.now, request, b"late").unwrap();
    two.run();
    assert_eq!((two.events(0), two.sides[0].stats().unmatched), (vec![], 1));
    assert!(!two.sides[0].forget(get));
}

/// R-BOX-4: a request that comes twice is told once, while it waits and after.
#[test]
fn r_box_4_a_request_that_comes_twice_is_told_once() {
    let (mut two, [ours, _]) = Two::connected();
    two.sides[0].get(two.now, ours, b"?", None).unwrap();
    two.post();
    let packet = two.wires[1][0].clone();
    two.arrive(1, packet.clone());
    two.run();
    let told = two.events(1);
    let [MsgboxEvent::Request { request, .. }] = told[..] else { panic!("{told:?}") };
    two.sides[1].reply(two.now, request, b"!").unwrap();
    two.arrive(1, packet);
    two.run();
    assert_eq!((two.events(1), two.events(0).len()), (vec![], 1));
    assert_eq!(two.sides[1].stats().duplicates, 2);
}

/// R-BOX-7, M14, M21, M28: closing is told at once to both, requests first; in its closing event a
/// contact can be asked about, and after it is an error.
#[test]
fn m14_m21_closing_ends_a_contact_on_both_sides() {
    let (mut two, [ours, theirs]) = Two::connected();
    let get = two.sides[0].get(two.now, ours, b"?", None).unwrap();
    two.run();
    let told = two.events(1);
    let [MsgboxEvent::Request { request, .. }] = told[..] else { panic!("{told:?}") };
    two.sides[1].close(two.now, theirs).unwrap();
    assert_eq!(two.sides[1].close(two.now, theirs), Err(MsgboxError::UnknownContact));
    let closed = |contact, by_us| MsgboxEvent::Closed { contact, by_us };
    assert_eq!(two.sides[1].poll_event(), Some(closed(theirs, true)));
    assert_eq!(two.sides[1].remote(theirs), Some(address(0)));
    assert_eq!(two.sides[1].send(two.now, theirs, b""), Err(MsgboxError::UnknownContact));
    assert_eq!(two.sides[1].reply(two.now, request, b""), Err(MsgboxError::UnknownRequest));
    assert_eq!((two.sides[1].poll_event(), two.sides[1].remote(theirs)), (None, None));
    two.run();
    let missing = MsgboxEvent::ReplyMissing { contact: ours, get, gone: true };
    assert_eq!(two.events(0), [missing, closed(ours, false)]);
    assert!(two.sides.iter().all(Msgbox::is_idle));
}

/// R-BOX-3, M19: late packets of a closed contact raise no ghost; a new attempt does come in.
#[test]
fn m19_late_packets_of_the_closed_raise_no_ghost() {
    let mut two = Two::new();
    let ours = two.sides[0].connect(two.now, address(1)).unwrap();
    two.post();
    let knock = two.wires[1][0].clone();
    two.run();
    two.sides[0].send(two.now, ours, b"x").unwrap();
    two.post();
    let message = two.wires[1].pop_front().unwrap();
    two.sides[0].close(two.now, ours).unwrap();
    two.run();
    assert_eq!((two.events(0).len(), two.events(1).len()), (2, 2), "ready, closed");
    for late in [message, knock] {
        two.arrive(1, late);
        two.run();
        assert_eq!((two.events(0), two.events(1)), (vec![], vec![]));
    }
    assert!(two.sides.iter().all(Msgbox::is_idle));
    two.sides[0].connect(two.now, address(1)).unwrap();
    two.run();
    assert_eq!((two.events(0).len(), two.events(1).len()), (1, 1), "ready");
}

/// R-BOX-3, M20: who returns before its ghost is gone is lost first, and then ready; a late knock
/// of before changes nothing.
#[test]
fn m20_who_returns_is_lost_and_then_ready() {
    let (mut two, [_, theirs]) = Two::connected();
    let sides = &mut two.sides;
    sides[0] = Msgbox::new(MsgboxConfig::default(), &Seed::from_number(9));
    two.sides[0].connect(two.now, address(1)).unwrap();
    two.run();
    let told = two.events(1);
    let [MsgboxEvent::Lost { contact: lost }, MsgboxEvent::Ready { contact, .. }] = told[..] else {
        panic!("{told:?}")
    };
    assert!(lost == theirs && contact != theirs);
    // The name of the attempt before stands in its knock.
    let attempt = two.sides[1].contacts.get(contact.0).unwrap().attempt_before;
    let mut late = Vec::new();
    let kind = MsgboxKind::Heartbeat;
    let header = MsgboxHeader { kind, is_first: true, packets: 1, packet: 0, reply: attempt };
    header.write(&mut late);
    two.arrive(1, late);
    assert_eq!(two.events(1), []);
}

/// M20, M17: an other side that names no attempts (its first packet is a message) returns as well.
#[test]
fn m20_a_plain_first_packet_does_as_well() {
    let mut two = Two::new();
    let packet = |is_first| {
        let mut packet = Vec::new();
        let kind = MsgboxKind::OneWay;
        MsgboxHeader { kind, is_first, packets: 1, packet: 0, reply: 0 }.write(&mut packet);
        packet
    };
    for is_first in [true, true, false, true] {
        two.arrive(1, packet(is_first));
    }
    let told: Vec<_> = two.events(1);
    use MsgboxEvent::{Lost, Message, Ready};
    let [
        Ready { .. },
        Message { .. },
        Message { .. },
        Message { .. },
        Lost { .. },
        Ready { .. },
        Message { .. },
    ] = told[..]
    else {
        panic!("{told:?}")
    };
}

/// R-BOX-6, M13: heartbeats keep a quiet contact, are not shown, and are not sent where something
/// is said anyway; without them it is lost.
#[test]
fn m13_heartbeats_keep_a_contact() {
    let (mut two, [ours, theirs]) = Two::connected();
    two.pass(120 * SECOND, true);
    assert_eq!((two.events(0), two.events(1)), (vec![], vec![]));
    let beats = two.sides.each_ref().map(|side| side.stats().heartbeats);
    assert!(beats.iter().all(|beats| (24..=33).contains(beats)), "{beats:?}");
    for _ in 0..60 {
        two.sides[0].send(two.now, ours, b"busy").unwrap();
        two.pass(SECOND, true);
    }
    assert_eq!(two.sides[0].stats().heartbeats, beats[0]);
    two.events(1);
    let since = two.now;
    two.pass(20 * SECOND, false);
    assert_eq!(two.events(0), [MsgboxEvent::Lost { contact: ours }]);
    assert_eq!(two.events(1), [MsgboxEvent::Lost { contact: theirs }]);
    assert!(two.now - since == 20 * SECOND && two.sides.iter().all(Msgbox::is_idle));
}

/// M15: messages beyond a packet are split and joined, to the byte and up to the limit.
#[test]
fn m15_long_messages_are_split_and_joined() {
    let (mut two, [ours, _]) = Two::connected();
    let max = two.sides[0].message_max();
    for len in [0, 1, 1_192, 1_193, 2_384, 2_385, 100_000, max] {
        let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
        two.sides[0].send(two.now, ours, &message).unwrap();
        two.post();
        assert!(two.wires[1].iter().all(|packet| packet.len() <= 1_200));
        assert_eq!(two.wires[1].len(), len.div_ceil(1_192).max(1));
        // Backwards, and each twice.
        for packet in two.wires[1].drain(..).rev().collect::<Vec<_>>() {
            two.arrive(1, packet.clone());
            if len > 1_192 {
                two.arrive(1, packet);
            }
        }
        let told = two.events(1);
        let [MsgboxEvent::Message { payload, .. }] = &told[..] else { panic!("{len}: {told:?}") };
        assert!(*payload == message);
    }
    let long = two.sides[0].send(two.now, ours, &vec![0; max + 1]);
    assert_eq!(long, Err(MsgboxError::TooLarge { max }));
}

/// R-BOX-5: what waits for the rest of its message is bounded and given up, of all contacts.
#[test]
fn r_box_5_what_is_never_whole_is_bounded() {
    let mut two = Two::new();
    for host in 0..200_u8 {
        for packet in 0..200_u16 {
            let mut bytes = Vec::new();
            let kind = MsgboxKind::OneWay;
            let header = MsgboxHeader { kind, is_first: true, packets: 210, packet, reply: 0 };
            header.write(&mut bytes);
            bytes.resize(1_200, 0);
            two.sides[1].handle_datagram(two.now, Path::to(address(host)), Ecn::NotEct, &mut bytes);
        }
    }
    assert!(two.sides[1].joining < joins::JOINING_MAX + 2_000);
    assert!(two.sides[1].stats().torn > 0);
    let later = two.now + joins::JOIN_WITHIN;
    two.sides[1].handle_timeout(later);
    assert_eq!(two.sides[1].joining, 0);
    let waits = two.sides[1].contacts.keys().into_iter();
    let waits = waits.filter(|key| two.sides[1].contacts.get(*key).unwrap().joins.bytes() > 0);
    assert_eq!(waits.count(), 0);
}

/// Row T63 in small: a stranger's packets cost one answer of the size of a header at most, and a
/// close costs none, so that no two machines can talk for ever.
#[test]
fn r_box_3_strangers_are_told_once() {
    let mut two = Two::new();
    let kinds = [MsgboxKind::OneWay, MsgboxKind::Request, MsgboxKind::Reply, MsgboxKind::Close];
    for kind in kinds {
        let mut packet = Vec::new();
        MsgboxHeader { kind, is_first: false, packets: 1, packet: 0, reply: 5 }.write(&mut packet);
        packet.extend([0; 500]);
        two.arrive(1, packet);
        two.post();
        let answers: usize = two.wires[0].drain(..).map(|answer| answer.len()).sum();
        assert_eq!(answers, if kind == MsgboxKind::Close { 0 } else { MsgboxHeader::LEN });
    }
    two.arrive(1, vec![0xff; 30]);
    assert_eq!((two.events(1), two.sides[1].stats().malformed), (vec![], 1));
    assert_eq!(two.sides[1].stats().strangers, 3);
}

/// M31 (no blocking in send): what does not go out is bounded, and said to be so.
#[test]
fn m31_a_send_never_blocks() {
    let (mut two, [ours, _]) = Two::connected();
    let mut sent = 0;
    let now = two.now;
    let end = loop {
        match two.sides[0].send(now, ours, &[0; 100_000]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        (end, sent),
        (MsgboxError::Blocked, 40),
        "4 MiB with what packets cost, and the one that filled it"
    );
    two.post();
    assert_eq!(two.events(0), [MsgboxEvent::Writable]);
    two.sides[0].send(now, ours, b"room").unwrap();
}

/// M16: as many requests as there may be have ids of their own; one more is refused.
#[test]
fn m16_requests_have_a_limit() {
    let (mut two, [ours, _]) = Two::connected();
    let now = two.now;
    let limit = MsgboxConfig::default().requests_max;
    for _ in 0..limit {
        two.sides[0].get(now, ours, b"", None).unwrap();
    }
    let more = two.sides[0].get(now, ours, b"", None);
    assert_eq!(more, Err(MsgboxError::TooMany { limit }));
    two.run();
    assert_eq!(two.events(1).len(), limit);
    assert_eq!(two.sides[1].stats().overflowed, 0);
}

/// T63: any datagrams from anywhere are survived; each contact lives by the grammar, and nothing is
/// left when all is silent.
#[test]
fn any_datagrams_are_survived() {
    for seed in 0..200 {
        let mut random = Seed::from_number(seed).random("datagrams");
        let config = MsgboxConfig { is_listening: true, requests_max: 4, ..Default::default() };
        let mut machine = Msgbox::new(config, &Seed::from_number(seed));
        let mut now = Instant::from_nanos(1);
        let mut open = alloc::collections::BTreeSet::new();
        let mut gets = alloc::collections::BTreeSet::new();
        let mut out = Vec::new();
        for step in 0..600 {
            now += Duration::from_millis(random.below(400));
            match random.below(12) {
                0 => {
                    let made = machine.connect(now, address(random.below(4) as u8));
                    if let (Ok(contact), true) = (made, random.chance(1, 4)) {
                        machine.close(now, contact).unwrap();
                    }
                }
                1 if let Some(contact) = open.first() => drop(machine.close(now, *contact)),
                2 if let Some(contact) = open.last() => {
                    gets.extend(machine.get(now, *contact, b"?", Some(SECOND)));
                }
                _ if step < 500 => {
                    let mut packet = Vec::new();
                    let few = |random: &mut Random| random.below(6) as u16;
                    let (kind, first) = (few(&mut random), random.below(2) as u16);
                    let reply = match random.below(3) {
                        0 => random.below(65_536) as u16,
                        _ => few(&mut random),
                    };
                    let words = [kind | first << 15, few(&mut random), few(&mut random), reply];
                    words.iter().for_each(|word| packet.extend(word.to_be_bytes()));
                    packet.resize(random.below(40) as usize, 7);
                    let path = Path::to(address(random.below(4) as u8));
                    machine.handle_datagram(now, path, Ecn::NotEct, &mut packet);
                }
                _ => {}
            }
            if machine.poll_timeout().is_some_and(|at| at <= now) {
                machine.handle_timeout(now);
            }
            while machine.poll_transmit(now, &mut out).is_some() {
                out.clear();
            }
            while let Some(event) = machine.poll_event() {
                match event {
                    MsgboxEvent::Ready { contact, .. } => assert!(open.insert(contact)),
                    MsgboxEvent::Failed { contact, .. } => assert!(!open.contains(&contact)),
                    MsgboxEvent::Closed { contact, .. } if !open.contains(&contact) => {
                        panic!("seed {seed}: closed before it was ready")
                    }
                    MsgboxEvent::Closed { contact, .. } | MsgboxEvent::Lost { contact } => {
                        assert!(open.remove(&contact), "seed {seed}");
                    }
                    MsgboxEvent::Message { contact, .. } | MsgboxEvent::Request { contact, .. } => {
                        assert!(open.contains(&contact))
                    }
                    MsgboxEvent::Reply { contact, get, .. }
                    | MsgboxEvent::ReplyMissing { contact, get, .. } => {
                        assert!(open.contains(&contact) && gets.remove(&get), "seed {seed}");
                    }
                    MsgboxEvent::Writable => {}
                }
            }
            assert!(machine.poll_timeout().is_none_or(|at| at > now), "seed {seed}");
        }
        machine.handle_timeout(now + 100 * SECOND);
        while machine.poll_transmit(now, &mut out).is_some() {
            out.clear();
        }
        while let Some(event) = machine.poll_event() {
            if let MsgboxEvent::ReplyMissing { get, .. } = event {
                assert!(gets.remove(&get));
            }
        }
        assert!(machine.is_idle() && gets.is_empty() && machine.joining == 0, "seed {seed}");
    }
}

/// R-BOX-3, found by review: a late copy of a knock of before ends neither the contact that came
/// after it, nor the attempt that is under way.
#[test]
fn a_late_knock_of_before_changes_nothing() {
    let mut two = Two::new();
    let ours = two.sides[0].connect(two.now, address(1)).unwrap();
    two.post();
    let late = two.wires[1][0].clone();
    two.run();
    two.sides[0].close(two.now, ours).unwrap();
    two.run();
    two.events(0);
    two.events(1);
    let again = two.sides[0].connect(two.now, address(1)).unwrap();
    // While the second attempt is under way, and after.
    two.arrive(1, late.clone());
    two.run();
    two.arrive(1, late);
    two.run();
    let told = [0, 1].map(|side| two.events(side));
    assert!(matches!(told[0][..], [MsgboxEvent::Ready { contact, .. }] if contact == again));
    assert!(matches!(told[1][..], [MsgboxEvent::Ready { .. }]), "{told:?}");
}

/// R-BOX-2, found by review: who was started anew on the same port is not let in by a heartbeat of
/// the contact before, whose requests have other ids; it goes on to knock.
#[test]
fn a_heartbeat_of_before_lets_nobody_in() {
    for seed in 10..50 {
        let (mut two, [_, theirs]) = Two::connected();
        two.sides[0] = Msgbox::new(MsgboxConfig::default(), &Seed::from_number(seed));
        let anew = two.sides[0].connect(two.now, address(1)).unwrap();
        two.post();
        two.wires[1].clear();
        // The server's heartbeat comes before the second knock, or a message does.
        two.sides[1].send(two.now, theirs, b"old").unwrap();
        two.sides[1].tend_contact(theirs.0);
        two.post();
        for packet in two.wires[0].drain(..).collect::<Vec<_>>() {
            two.arrive(0, packet);
        }
        assert_eq!(two.events(0), []);
        two.pass(6 * SECOND, true);
        assert!(two.sides[0].is_ready(anew), "seed {seed}");
        let told = two.events(1);
        let [MsgboxEvent::Lost { .. }, MsgboxEvent::Ready { contact, .. }] = told[..] else {
            panic!("seed {seed}: {told:?}")
        };
        two.events(0);
        two.sides[0].get(two.now, anew, b"?", None).unwrap();
        two.sides[1].get(two.now, contact, b"?", None).unwrap();
        two.run();
        assert_eq!([two.events(0).len(), two.events(1).len()], [1, 1], "seed {seed}");
    }
}

/// R-BOX-4, found by review: however many requests an outage has swallowed, those after it are
/// told.
#[test]
fn requests_are_heard_after_any_outage() {
    for lost in [9_000, 40_000, 60_000, 65_400] {
        let (mut two, [ours, _]) = Two::connected();
        let ask = |two: &mut Two| {
            let get = two.sides[0].get(two.now, ours, b"?", None).unwrap();
            two.post();
            two.sides[0].forget(get);
        };
        ask(&mut two);
        two.run();
        for _ in 0..lost {
            ask(&mut two);
            two.wires[1].clear();
        }
        two.pass(3 * SECOND, true);
        two.events(1);
        for _ in 0..10 {
            ask(&mut two);
        }
        two.run();
        assert_eq!(two.events(1).len(), 10, "after {lost}");
    }
}

/// R-BOX-2, found by review: attempts that follow each other quickly do not meet the names of those
/// before, which are remembered.
#[test]
fn attempts_follow_each_other_quickly() {
    let mut two = Two::new();
    for n in 0..500 {
        let contact = two.sides[0].connect(two.now, address(1)).unwrap();
        two.run();
        assert!(two.sides[0].is_ready(contact), "attempt {n}");
        two.sides[0].close(two.now, contact).unwrap();
        two.run();
        two.events(0);
        two.events(1);
        two.now += Duration::from_millis(20);
    }
}

/// R-BOX-2, found by review: where both knock, whichever packets come first, there is one contact.
#[test]
fn knocks_may_cross_in_any_order() {
    for seed in 0..300 {
        let mut random = Seed::from_number(seed).random("crossing");
        let mut two = Two::new();
        let listening = MsgboxConfig { is_listening: seed % 2 == 0, ..Default::default() };
        two.sides = [1, 2].map(|side| Msgbox::new(listening, &Seed::from_number(seed * 10 + side)));
        for side in [0, 1] {
            two.sides[side].connect(two.now, address(1 - side as u8)).unwrap();
        }
        for _ in 0..60 {
            two.post();
            let side = random.below(2) as usize;
            let waiting = two.wires[side].len() as u64;
            if waiting > 0 {
                let one = random.below(waiting) as usize;
                let packet = match random.chance(1, 4) {
                    true => two.wires[side][one].clone(),
                    false => two.wires[side].remove(one).unwrap(),
                };
                two.arrive(side, packet);
            }
            two.now += Duration::from_millis(random.below(60));
            let now = two.now;
            for machine in &mut two.sides {
                if machine.poll_timeout().is_some_and(|at| at <= now) {
                    machine.handle_timeout(now);
                }
            }
        }
        two.pass(4 * SECOND, true);
        for side in [0, 1] {
            let told = two.events(side);
            assert!(matches!(told[..], [MsgboxEvent::Ready { .. }]), "seed {seed}: {told:?}");
        }
        // And both can ask.
        for side in [0, 1] {
            let contact = ContactId(two.sides[side].contacts.keys()[0]);
            two.sides[side].get(two.now, contact, b"?", None).unwrap();
            two.run();
            assert_eq!(two.events(1 - side).len(), 1, "seed {seed}");
        }
    }
}

/// T63, found by review: while the socket takes nothing, strangers do not fill the memory.
#[test]
fn strangers_fill_no_memory() {
    let mut two = Two::new();
    let mut packet = Vec::new();
    let kind = MsgboxKind::OneWay;
    MsgboxHeader { kind, is_first: false, packets: 1, packet: 0, reply: 0 }.write(&mut packet);
    for _ in 0..200_000 {
        two.arrive(1, packet.clone());
    }
    let most = 4_194_304 / (PACKET_COST + MsgboxHeader::LEN) + 1;
    assert_eq!(two.sides[1].out.len(), most);
    assert_eq!(two.sides[1].stats().unanswered, 200_000 - most as u64);
}
