//! One NAT alone: mapping, filtering, time, ports.

use super::*;
use crate::drop_cause::DropCause;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tripline_sansio::{Instant, Seed};

const SECOND: Duration = Duration::from_secs(1);
const KINDS: [Dependence; 3] =
    [Dependence::Endpoint, Dependence::Address, Dependence::AddressAndPort];

fn nat(config: NatConfig) -> Nat {
    Nat::new([203, 0, 113, 9].into(), config, &Seed::from_number(1))
}

fn inside(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 168, 0, host], port))
}

fn peer(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, host], port))
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + SECOND * seconds as u32
}

/// RFC 4787, section 4.1: who shares an outside port.
#[test]
fn mapping_depends_on_what_it_says() {
    for (kind, [same_address, other_address]) in
        KINDS.into_iter().zip([[true, true], [true, false], [false, false]])
    {
        let mut nat = nat(NatConfig { mapping: kind, ..NatConfig::home() });
        let mut out = |from, to| nat.outbound(at(0), from, to).unwrap();
        let first = out(inside(1, 5), peer(1, 80));
        assert_eq!(first.ip(), nat.outside);
        let mut out = |from, to| nat.outbound(at(0), from, to).unwrap();
        assert_eq!(out(inside(1, 5), peer(1, 80)), first, "{kind:?}");
        assert_eq!(out(inside(1, 5), peer(1, 81)) == first, same_address, "{kind:?}");
        assert_eq!(out(inside(1, 5), peer(2, 80)) == first, other_address, "{kind:?}");
        assert_ne!(out(inside(1, 6), peer(1, 80)), first, "another inside port");
        assert_ne!(out(inside(2, 5), peer(1, 80)), first, "another inside host");
    }
}

/// RFC 4787, section 5: who is let in.
#[test]
fn filtering_depends_on_what_it_says() {
    for (kind, [same_address, other_address]) in
        KINDS.into_iter().zip([[true, true], [true, false], [false, false]])
    {
        let mut nat = nat(NatConfig { filtering: kind, ..NatConfig::home() });
        let port = nat.outbound(at(0), inside(1, 5), peer(1, 80)).unwrap().port();
        let lets_in = |nat: &mut Nat, source| match nat.inbound(at(1), port, source) {
            Ok(to) => to == inside(1, 5),
            Err(cause) => {
                assert_eq!(cause, DropCause::NatFiltered);
                false
            }
        };
        assert!(lets_in(&mut nat, peer(1, 80)));
        assert_eq!(lets_in(&mut nat, peer(1, 81)), same_address, "{kind:?}");
        assert_eq!(lets_in(&mut nat, peer(2, 80)), other_address, "{kind:?}");
        // Whoever is sent to is let in from then on.
        nat.outbound(at(1), inside(1, 5), peer(2, 80)).unwrap();
        assert!(lets_in(&mut nat, peer(2, 80)));
        let unbound = nat.inbound(at(1), port ^ 1, peer(1, 80));
        assert_eq!(unbound, Err(DropCause::NatUnbound));
        let counters = nat.counters();
        assert_eq!(counters.inbound + counters.filtered + counters.unbound, 5);
    }
}

/// RFC 4787, section 4.3: what keeps a binding alive.
#[test]
fn a_binding_lives_as_long_as_its_timeout_says() {
    let config = NatConfig::home().timeout(30 * SECOND);
    let (me, them) = (inside(1, 5), peer(1, 80));
    // Outbound, always.
    let mut one = nat(config.outbound_refresh_only());
    let first = one.outbound(at(0), me, them).unwrap();
    for step in 1..10 {
        assert_eq!(one.outbound(at(29 * step), me, them), Some(first));
    }
    assert_eq!(one.inside(at(261 + 29), first.port()), Some(me));
    assert_eq!(one.inside(at(261 + 30), first.port()), None);
    assert_eq!(one.mapped(at(261 + 30), me, them), None);
    assert_eq!(one.bindings(at(261 + 30)), 0);
    // Inbound, if so configured.
    for (config, refreshes) in [(config, true), (config.outbound_refresh_only(), false)] {
        let mut one = nat(config);
        let port = one.outbound(at(0), me, them).unwrap().port();
        assert!(one.inbound(at(20), port, them).is_ok());
        // What is kept out keeps nothing alive.
        assert!(one.inbound(at(21), port, peer(9, 9)).is_err());
        assert_eq!(one.inbound(at(45), port, them).is_ok(), refreshes);
        assert!(one.inbound(at(21 + 60), port, them).is_err());
        // Afterwards there is a new one, with another port.
        assert_ne!(one.outbound(at(100), me, them).unwrap().port(), port);
        assert_eq!((one.counters().created, one.counters().expired), (2, 1));
    }
}

/// A filter entry ages by itself while the binding is used for others.
#[test]
fn a_peer_that_is_not_spoken_to_is_forgotten() {
    let mut nat = nat(NatConfig::home().timeout(30 * SECOND));
    let me = inside(1, 5);
    let port = nat.outbound(at(0), me, peer(1, 80)).unwrap().port();
    nat.outbound(at(20), me, peer(2, 80)).unwrap();
    assert!(nat.inbound(at(35), port, peer(1, 80)).is_err());
    assert_eq!(nat.inbound(at(35), port, peer(2, 80)), Ok(me));
}

#[test]
fn ports_run_out_and_come_back() {
    for choice in [PortChoice::Random, PortChoice::Preserve, PortChoice::Sequential] {
        let config = NatConfig::symmetric().ports(50_000, 20).choice(choice);
        let mut nat = nat(config.timeout(60 * SECOND));
        let mut ports = BTreeSet::new();
        for number in 0..20 {
            let outside = nat.outbound(at(number), inside(1, 7), peer(1, number as u16));
            ports.insert(outside.unwrap().port());
        }
        assert_eq!(ports, (50_000..50_020).collect(), "{choice:?}");
        for number in 20..60 {
            assert_eq!(nat.outbound(at(number), inside(1, 7), peer(2, 1)), None, "{choice:?}");
        }
        assert_eq!(nat.counters().full, 40);
        // Those that have one keep it, and the oldest becomes free first.
        assert!(nat.outbound(at(59), inside(1, 7), peer(1, 0)).is_some());
        assert_eq!(nat.outbound(at(60), inside(1, 7), peer(2, 1)), None);
        assert!(nat.outbound(at(61), inside(1, 7), peer(2, 1)).is_some());
        assert_eq!(nat.outbound(at(61), inside(1, 7), peer(2, 2)), None);
        // More room at once, and none at all.
        nat.configure(config.ports(50_000, 21));
        assert!(nat.outbound(at(61), inside(1, 7), peer(2, 2)).is_some());
        nat.configure(config.ports(50_000, 0));
        assert_eq!(nat.outbound(at(61), inside(1, 7), peer(2, 3)), None);
    }
}

#[test]
fn ports_are_chosen_as_said() {
    let mut preserving = nat(NatConfig::home().choice(PortChoice::Preserve));
    let out = |nat: &mut Nat, host, port| {
        nat.outbound(at(0), inside(host, port), peer(1, 80)).unwrap().port()
    };
    assert_eq!(out(&mut preserving, 1, 5_000), 5_000);
    assert_ne!(out(&mut preserving, 2, 5_000), 5_000, "taken");
    assert_ne!(out(&mut preserving, 1, 53), 53, "none of the outside ports");
    let mut counting = nat(NatConfig::home().ports(7_000, 3).choice(PortChoice::Sequential));
    let all = [1, 2, 3].map(|host| out(&mut counting, host, 9));
    assert_eq!(all, [7_000, 7_001, 7_002]);
    let drawn: Vec<_> = {
        let mut nat = nat(NatConfig::home());
        (0..100).map(|host| out(&mut nat, host, 9)).collect()
    };
    let spread: BTreeSet<_> = drawn.iter().map(|port| port / 6_554).collect();
    assert_eq!(spread.len(), 10, "all over the range: {drawn:?}");
    // A reboot forgets; the next ports are others.
    counting.reboot();
    assert_eq!(counting.bindings(at(0)), 0);
    let mut random = nat(NatConfig::home());
    let before = out(&mut random, 1, 9);
    random.reboot();
    assert_ne!(out(&mut random, 1, 9), before);
    assert_eq!(random.counters().reboots, 1);
}

#[test]
fn a_binding_remembers_a_bounded_number_of_peers() {
    let mut nat = nat(NatConfig::home());
    let me = inside(1, 5);
    let port = nat.outbound(at(0), me, peer(1, 1)).unwrap().port();
    for number in 0..PEERS_MAX {
        nat.outbound(at(1), me, peer(2, number as u16)).unwrap();
    }
    assert_eq!(nat.counters().forgotten, 1);
    assert!(nat.inbound(at(1), port, peer(1, 1)).is_err(), "the one silent longest");
    assert!(nat.inbound(at(1), port, peer(2, 0)).is_ok());
    // Those timed out make room without anybody being forgotten before their time.
    nat.outbound(at(200), me, peer(3, 1)).unwrap();
    assert_eq!(nat.counters().forgotten, 1);
}
