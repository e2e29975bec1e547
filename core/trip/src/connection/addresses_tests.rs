use super::*;
use core::net::SocketAddr;

const PTO: Duration = Duration::from_millis(100);
const LEAST: usize = 40;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms)
}

fn path(port: u16) -> Path {
    Path::to(SocketAddr::from(([10, 0, 0, 1], port)))
}

fn peer() -> Addresses {
    let mut all = Addresses::new(path(1), true, true, at(0));
    all.on_received(path(1), 100, at(0), PTO);
    all.on_newest(path(1), 0);
    all
}

/// Hears packet `number` of `bytes` bytes by `path`.
fn hear(all: &mut Addresses, from: Path, number: u64, bytes: usize, now: Instant) -> Origin {
    let origin = all.on_received(from, bytes, now, PTO);
    all.on_newest(from, number);
    origin
}

/// R-HAND-1: three times what came, until proven.
#[test]
fn an_unproven_address_gets_three_times_what_it_sent() {
    let mut all = Addresses::new(path(1), false, true, at(0));
    assert!(!all.allows(1));
    all.on_received(path(1), 100, at(0), PTO);
    assert!(all.allows(300) && !all.allows(301));
    all.on_sent(250);
    assert!(all.allows(50) && !all.allows(51));
    all.prove();
    assert!(all.allows(usize::MAX) && all.is_proven());
}

/// R-PATH-1: a PING at once, then once per PTO, as far as the budget goes; the PONG proves the
/// address wherever it comes from, and then the peer has moved.
#[test]
fn r_path_1_a_new_address_is_pinged_once_per_pto_and_proven_by_its_pong() {
    let mut all = peer();
    assert_eq!(hear(&mut all, path(2), 1, 50, at(1)), Origin::Known);
    let errand = all.errand(at(1), PTO, LEAST).unwrap();
    assert_eq!((errand.path, errand.ping, errand.room), (path(2), Some(Probe::No), 150));
    all.on_errand(path(2), Some(7), 100, at(1));
    assert_eq!(all.errand(at(100), PTO, LEAST), None);
    assert_eq!(all.next_at(at(100), PTO, LEAST), Some(at(101)));
    assert_eq!(all.errand(at(101), PTO, LEAST).unwrap().room, 50);
    all.on_errand(path(2), Some(7), 50, at(101));
    assert_eq!(all.errand(at(500), PTO, LEAST), None, "the budget is spent");
    assert_eq!(all.elect(at(501)), None);
    assert!(!all.on_pong(8, at(501), at(0)) && all.on_pong(7, at(501), at(0)));
    let moved = all.elect(at(501)).unwrap();
    assert_eq!((moved.from, moved.to, all.path()), (path(1), path(2), path(2)));
    assert_eq!(moved.proof, Some(Proof { rtt: None, full: false }));
    assert!(!all.on_pong(7, at(501), at(0)), "each PONG counts once");
}

/// R-PATH-2: a false move is over with the next packet from the true address, with no PING; after
/// 60 s the proof is gone.
#[test]
fn r_path_2_a_proof_lasts_sixty_seconds_longer() {
    let mut all = peer();
    hear(&mut all, path(2), 1, 1_200, at(1));
    all.on_errand(path(2), Some(7), 1_200, at(1));
    assert!(all.on_pong(7, at(21), at(0)));
    let proof = Proof { rtt: Some(Duration::from_millis(20)), full: true };
    assert_eq!(all.elect(at(21)).unwrap().proof, Some(proof));
    hear(&mut all, path(1), 2, 50, at(60_021));
    assert_eq!(all.elect(at(60_021)).unwrap().to, path(1));
    hear(&mut all, path(2), 3, 50, at(120_022));
    assert_eq!(all.elect(at(120_022)), None);
    assert_eq!(all.errand(at(120_022), PTO, LEAST).unwrap().room, 150);
}

/// R-PATH-2: an older packet from elsewhere, a probe, and a copy move nothing.
#[test]
fn r_path_2_only_the_newest_packet_moves() {
    let mut all = peer();
    all.on_received(path(2), 1_200, at(1), PTO);
    assert_eq!(all.errand(at(1), PTO, LEAST), None, "a probe is no move");
    hear(&mut all, path(2), 1, 50, at(1));
    hear(&mut all, path(1), 2, 50, at(1));
    assert_eq!(all.errand(at(1), PTO, LEAST), None, "the peer spoke from its old place since");
}

/// R-PATH-3: four addresses; a newcomer takes the place of the unproven one with the oldest PING,
/// and only if that is a PTO old.
#[test]
fn r_path_3_a_newcomer_waits_for_a_pto() {
    let mut all = peer();
    for port in 2..5 {
        assert_eq!(hear(&mut all, path(port), u64::from(port), 50, at(1)), Origin::Known);
        all.on_errand(path(port), Some(u64::from(port)), 50, at(u64::from(port)));
    }
    assert_eq!(hear(&mut all, path(9), 9, 50, at(101)), Origin::Refused);
    assert_eq!(hear(&mut all, path(9), 10, 50, at(102)), Origin::Known);
    assert!(all.token(path(2)).is_none() && all.token(path(3)).is_some());
    assert_eq!(hear(&mut all, path(8), 11, 50, at(102)), Origin::Refused);
}

/// R-PATH-3: who moves often is not stopped by its own old addresses: the one that was active
/// longest ago goes.
#[test]
fn r_path_3_of_proven_addresses_the_oldest_goes() {
    let mut all = peer();
    for port in 2..40 {
        let now = at(u64::from(port) * 10);
        assert_eq!(hear(&mut all, path(port), u64::from(port), 1_200, now), Origin::Known);
        all.on_errand(path(port), Some(u64::from(port)), 1_200, now);
        assert!(all.on_pong(u64::from(port), now, at(0)));
        assert_eq!(all.elect(now).unwrap().from, path(port - 1));
    }
    assert!(all.others.iter().any(|one| one.path == path(38)));
    assert!(all.others.iter().all(|one| one.path != path(35)));
}

/// R-RTT-1: a PONG across a time at which the host was away proves an address and measures nothing.
#[test]
fn r_rtt_1_a_pong_across_an_absence_is_no_sample() {
    for (awake_since, rtt) in [(20, Some(Duration::from_millis(40))), (21, None), (60, None)] {
        let mut all = peer();
        hear(&mut all, path(2), 1, 1_200, at(20));
        all.on_errand(path(2), Some(7), 1_200, at(20));
        assert!(all.on_pong(7, at(60), at(awake_since)));
        let proof = Some(Proof { rtt, full: true });
        assert_eq!(all.elect(at(60)).unwrap().proof, proof, "{awake_since}");
    }
}

/// R-PATH-3: an address that somebody named gets three full PINGs that say *probe*.
#[test]
fn r_path_3_an_address_we_are_told_of_is_probed_three_times() {
    let mut all = Addresses::new(path(1), true, false, at(0));
    let other = SocketAddr::from(([10, 0, 0, 9], 9));
    assert!(!all.invite(path(1).remote, at(0), PTO));
    assert!(all.invite(other, at(0), PTO));
    for turn in 0..3 {
        let errand = all.errand(at(turn * 100), PTO, LEAST).unwrap();
        assert_eq!((errand.path.remote, errand.ping), (other, Some(Probe::Yes)));
        all.on_errand(errand.path, Some(5), 1_200, at(turn * 100));
    }
    assert_eq!(all.errand(at(1_000), PTO, LEAST), None);
    all.on_newest(Path::to(other), 1);
    assert!(all.on_pong(5, at(1_000), at(0)));
    assert_eq!(all.elect(at(1_000)).unwrap().to.remote, other);
}

/// R-PATH-3a: what we were told of stays a matter of probes, also if the peer speaks from there
/// before the first PING could go: three full ones are a bound of probes alone.
#[test]
fn r_path_3_an_address_we_are_told_of_and_hear_from_is_still_probed() {
    let mut all = Addresses::new(path(1), true, false, at(0));
    let other = SocketAddr::from(([10, 0, 0, 9], 9));
    assert!(all.invite(other, at(0), PTO));
    all.on_received(Path::to(other), 44, at(1), PTO);
    all.on_newest(Path::to(other), 1);
    let errand = all.errand(at(2), PTO, LEAST).unwrap();
    assert_eq!((errand.path.remote, errand.ping), (other, Some(Probe::Yes)));
    all.on_errand(errand.path, Some(5), 1_200, at(2));
    assert!(all.on_pong(5, at(3), at(0)));
    assert_eq!(all.elect(at(3)).unwrap().to.remote, other);
    assert_eq!(all.errand(at(1_000), PTO, LEAST), None, "it is proven, and no matter any more");
}

/// A server answers from the address of its own that was asked; a client notices that its own has
/// changed.
#[test]
fn our_own_address_counts() {
    let local = |last| Some(IpAddr::from([10, 9, 9, last]));
    let by = |last| Path { local: local(last), ..path(1) };
    let mut server = Addresses::new(by(1), true, true, at(0));
    server.on_received(by(2), 100, at(0), PTO);
    server.on_newest(by(2), 1);
    assert_eq!(server.errand(at(0), PTO, LEAST).unwrap().path, by(2));
    let mut client = Addresses::new(path(1), true, false, at(0));
    assert!(!client.on_newest(by(1), 1));
    assert!(!client.on_newest(by(1), 2));
    assert!(client.on_newest(by(2), 3));
    assert_eq!(client.path(), path(1));
}

/// R-PATH-4a: a client keeps to its link whatever comes by datagrams, and asks nothing there, until
/// the link breaks; then it goes where the peer is. Between addresses of one kind it follows.
#[test]
fn r_path_4_a_client_keeps_to_the_kind_that_it_chose() {
    let link = crate::carrier::LinkId::new(1).path();
    let mut all = Addresses::new(path(1), true, false, at(0));
    hear(&mut all, path(1), 0, 1_000, at(0));
    all.settle_at(link, at(1));
    hear(&mut all, link, 1, 1_000, at(2));
    hear(&mut all, path(1), 2, 1_000, at(3));
    assert_eq!((all.errand(at(3), PTO, LEAST), all.elect(at(3))), (None, None));
    // Proven, as by a PING that was out: that changes nothing.
    all.on_errand(path(1), Some(7), 1_200, at(3));
    assert!(all.on_pong(7, at(4), at(0)));
    assert_eq!((all.elect(at(4)), all.path()), (None, link));
    all.give_up(link, at(5));
    assert_eq!(all.elect(at(5)).map(|to| to.to), Some(path(1)));
    hear(&mut all, path(2), 3, 1_000, at(6));
    assert_eq!(all.errand(at(6), PTO, LEAST).map(|errand| errand.path), Some(path(2)));
}
