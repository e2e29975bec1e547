//! NATs in a world: through, behind each other, turned back, rebooted, punched.

use super::tests::{assert_balanced, assert_complete, rough};
use super::*;
use crate::toy::{Arq, address};
use crate::{Chance, Dependence, NatConfig, NatId, PortChoice, Stage};
use std::cell::RefCell;
use std::rc::Rc;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn outside(last: u8) -> std::net::IpAddr {
    [203, 0, 113, last].into()
}

/// A receiver (host 0) in the open, and a sender (host 1) of `count` numbers behind a NAT.
fn behind(seed: u64, config: NatConfig, count: u32) -> (World<Arq>, [HostId; 2], NatId) {
    let mut world = World::new(seed);
    let receiver = world.add_host(address(2), Arq::receiver(world.random("receiver")));
    let sender = Arq::sender(address(2), 0, world.random("sender"));
    let sender = world.add_host(address(1), sender);
    let nat = world.add_nat(outside(1), config);
    world.put_behind(sender, nat);
    world.with(sender, |machine, _| machine.send_more(count));
    (world, [sender, receiver], nat)
}

/// What is delivered, as (source, destination).
fn deliveries<M: DatagramMachine>(
    world: &mut World<M>,
) -> Rc<RefCell<Vec<(SocketAddr, SocketAddr)>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    world.add_tap(move |packet| {
        if packet.stage == Stage::Delivered {
            log.borrow_mut().push((packet.source, packet.destination));
        }
    });
    seen
}

#[test]
fn who_is_behind_a_nat_is_seen_outside_under_its_address() {
    let (mut world, [sender, receiver], nat) = behind(1, NatConfig::home(), 0);
    let seen = deliveries(&mut world);
    world.with(sender, |machine, _| machine.send_more(40));
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 40);
    let port = world.nat_address(nat, address(1), address(2)).unwrap();
    assert_eq!((port.ip(), world.nat_bindings(nat)), (outside(1), 1));
    let seen = seen.take();
    let [out, back] = [(port, address(2)), (address(2), address(1))];
    assert!(seen.iter().all(|pair| *pair == out || *pair == back));
    assert_eq!(world.nat_counters(nat).inbound, world.link_counters(receiver, sender).delivered);
    // From outside nobody has the inside address; the binding dies with time.
    world.inject(MS, address(2), sender, Ecn::NotEct, &[0; 5]);
    world.run_for(200 * SECOND);
    assert_eq!(world.nat_bindings(nat), 0);
    assert_eq!(world.nat_address(nat, address(1), address(2)), None);
    assert_balanced(&world);
}

#[test]
fn from_outside_the_inside_cannot_be_addressed() {
    let (mut world, [sender, receiver], nat) = behind(2, NatConfig::home(), 0);
    let stranger = Arq::sender(address(1), 3, world.random("stranger"));
    world.add_host(address(3), stranger);
    assert_eq!((world.totals().no_route, world.in_flight()), (3, 0));
    // Nor by a port that leads nowhere; nor, with a filter, by one that does.
    let guess = SocketAddr::new(outside(1), 9_999);
    let stranger = Arq::sender(guess, 3, world.random("guess"));
    world.add_host(address(4), stranger);
    assert_eq!((world.totals().nat_unbound, world.in_flight()), (3, 0));
    world.with(sender, |machine, _| machine.send_more(1));
    let port = world.nat_address(nat, address(1), address(2)).unwrap();
    let stranger = Arq::sender(port, 3, world.random("known"));
    world.add_host(address(5), stranger);
    world.run_for(50 * MS);
    assert_eq!((world.totals().nat_filtered, world.nat_counters(nat).filtered), (3, 3));
    assert_complete(&mut world, receiver, 1);
    assert_balanced(&world);
}

#[test]
fn a_reboot_changes_the_port_and_loses_what_was_coming() {
    for (choice, changes) in [(PortChoice::Random, true), (PortChoice::Preserve, false)] {
        let (mut world, [_, receiver], nat) = behind(3, NatConfig::home().choice(choice), 32);
        let before = world.nat_address(nat, address(1), address(2)).unwrap();
        world.run_for(11 * MS);
        world.reboot_nat(nat);
        // The acknowledgement on its way comes to a port that leads nowhere; the sender repeats.
        world.run_until_idle(10 * SECOND).unwrap();
        assert_eq!(world.totals().nat_unbound, 1);
        assert_complete(&mut world, receiver, 32);
        let after = world.nat_address(nat, address(1), address(2)).unwrap();
        assert_eq!(after != before, changes, "{choice:?}");
        world.readdress_nat(nat, outside(7));
        assert_eq!((world.nat_outside(nat), world.nat_bindings(nat)), (outside(7), 0));
        assert_balanced(&world);
    }
}

#[test]
fn a_nat_behind_a_nat() {
    let (mut world, [sender, receiver], home) = behind(4, NatConfig::home(), 0);
    let carrier = world.add_nat(outside(2), NatConfig::symmetric());
    world.put_nat_behind(home, carrier);
    let seen = deliveries(&mut world);
    world.with(sender, |machine, _| machine.send_more(20));
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 20);
    let inner = world.nat_address(home, address(1), address(2)).unwrap();
    let outer = world.nat_address(carrier, inner, address(2)).unwrap();
    let seen = seen.take();
    assert!(seen.contains(&(outer, address(2))) && seen.contains(&(address(2), address(1))));
    assert_eq!(inner.ip(), outside(1));
    assert_eq!(world.nat_counters(carrier).inbound, world.nat_counters(home).inbound);
    assert_balanced(&world);
}

/// Two hosts behind one NAT, which speak to each other by their inside addresses or by the outside.
#[test]
fn inside_neighbours_need_no_nat_and_hairpins_depend_on_it() {
    for hairpin in [true, false] {
        let config = NatConfig { hairpin, ..NatConfig::open() };
        let (mut world, [sender, far], nat) = behind(5, config, 1);
        let near = world.add_host(address(3), Arq::receiver(world.random("near")));
        world.put_behind(near, nat);
        world.run_until_idle(SECOND).unwrap();
        assert_complete(&mut world, far, 1);
        let created = world.nat_counters(nat).created;
        // A second sender, whose numbers begin anew, to the neighbour.
        let second = Arq::sender(address(3), 1, world.random("second"));
        world.replace(sender, second);
        world.run_until_idle(SECOND).unwrap();
        assert_complete(&mut world, near, 1);
        assert_eq!(world.nat_counters(nat).created, created, "the NAT saw nothing");
        // The neighbour's outside port comes into being when it speaks to somebody outside.
        world.replace(near, Arq::sender(address(2), 1, world.random("asks")));
        world.run_for(30 * MS);
        let port = world.nat_address(nat, address(3), address(2)).unwrap();
        world.replace(near, Arq::receiver(world.random("near again")));
        world.replace(sender, Arq::sender(port, 1, world.random("third")));
        world.run_for(50 * MS);
        let told = world.take_events(near).len();
        assert_eq!((told, world.totals().nat_hairpin > 0), (usize::from(hairpin), !hairpin));
        assert_balanced(&world);
    }
}

/// Sends one datagram to `to` each time it is told to, and notes whom it hears from.
#[derive(Default)]
struct Puncher {
    to: Vec<SocketAddr>,
    heard: Vec<SocketAddr>,
}

impl DatagramMachine for Puncher {
    type Event = ();
    fn handle_datagram(&mut self, _: Instant, path: crate::Path, _: Ecn, _: &mut [u8]) {
        self.heard.push(path.remote);
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<crate::Transmit> {
        let to = self.to.pop()?;
        out.push(1);
        let path = crate::Path::to(to);
        Some(crate::Transmit { path, ecn: Ecn::NotEct, len: 1, segment_size: 1 })
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<()> {
        None
    }
}

/// Two hosts behind NATs learn their outside addresses from a third and send at once: through
/// endpoint-independent mappings both get in, through a symmetric one neither knows the right port.
#[test]
fn holes_can_be_punched_through_the_nats_where_they_can() {
    let kinds = [Dependence::Endpoint, Dependence::Address, Dependence::AddressAndPort];
    for mapping in kinds {
        for filtering in kinds {
            let mut world: World<Puncher> = World::new(6);
            let config = NatConfig { mapping, filtering, ..NatConfig::home() };
            let middle = world.add_host(address(9), Puncher::default());
            let ends = [1, 2].map(|number| {
                let host = world.add_host(address(number), Puncher::default());
                let nat = world.add_nat(outside(number), config);
                world.put_behind(host, nat);
                host
            });
            for end in ends {
                world.with(end, |machine, _| machine.to.push(address(9)));
            }
            world.run_for(SECOND);
            let [one, other] = <[SocketAddr; 2]>::try_from(world.machine(middle).heard.clone())
                .expect("both were heard");
            // Twice, as the first may come before the other side has opened.
            for _ in 0..2 {
                world.with(ends[0], |machine, _| machine.to.push(other));
                world.run_for(MS);
                world.with(ends[1], |machine, _| machine.to.push(one));
                world.run_for(SECOND);
            }
            let got = ends.map(|end| world.machine(end).heard.len());
            let expected = match (mapping, filtering) {
                (Dependence::Endpoint, _) => [2, 2],
                // Not the port that the other side sends from, but it lets everybody in.
                (_, Dependence::Endpoint) => [2, 2],
                // The binding that was learnt has sent to the third only.
                (_, _) => [0, 0],
            };
            assert_eq!(got, expected, "{mapping:?}, {filtering:?}");
            assert_balanced(&world);
        }
    }
}

#[test]
fn a_nat_without_ports_refuses_and_the_books_stay_true() {
    let config = NatConfig::symmetric().ports(40_000, 2).timeout(10 * SECOND);
    let (mut world, [sender, receiver], nat) = behind(7, config, 1);
    let others: Vec<_> = (20..24)
        .map(|number| {
            let host = world.add_host(address(number), Arq::receiver(world.random("other")));
            world.put_behind(host, nat);
            host
        })
        .collect();
    for host in &others {
        world.replace(*host, Arq::sender(address(2), 1, world.random("crowd")));
    }
    assert_eq!(world.nat_bindings(nat), 2);
    world.run_for(SECOND);
    assert!(world.totals().nat_full > 0 && world.nat_counters(nat).full > 0);
    assert!(world.nat_counters(nat).created == 2);
    assert_complete(&mut world, receiver, 1);
    assert!(world.link_counters(sender, receiver).delivered > 0);
    assert_balanced(&world);
}

/// Everything at once: bad links, reboots, short timeouts, two NATs. The transfer ends, the books
/// balance, and it all repeats.
#[test]
fn transfers_survive_rebinding_on_bad_links() {
    let run = |seed| {
        let config = NatConfig::home().timeout(2 * SECOND).outbound_refresh_only();
        let (mut world, [_, receiver], nat) = behind(seed, config, 200);
        let carrier = world.add_nat(outside(2), NatConfig::symmetric());
        world.put_nat_behind(nat, carrier);
        world.set_default_link(rough().loss(Chance::percent(5)));
        for step in 0..40_u32 {
            world.run_for(300 * MS);
            world.reboot_nat(if step % 3 == 0 { carrier } else { nat });
            assert_balanced(&world);
        }
        world.run_until_idle(1_000 * SECOND).unwrap_or_else(|error| panic!("{seed}: {error}"));
        assert_complete(&mut world, receiver, 200);
        assert_balanced(&world);
        (world.trace_hash(), world.totals())
    };
    let unbound: u64 = (0..10).map(|seed| run(seed).1.nat_unbound).sum();
    assert!(unbound > 10, "{unbound}");
    assert_eq!(run(3), run(3));
}

#[test]
#[should_panic(expected = "NATs in a ring")]
fn nats_cannot_be_behind_each_other() {
    let mut world: World<Arq> = World::new(8);
    let [one, other] = [1, 2].map(|last| world.add_nat(outside(last), NatConfig::home()));
    world.put_nat_behind(one, other);
    world.put_nat_behind(other, one);
}

#[test]
#[should_panic(expected = "no address of the NAT's family")]
fn a_nat_is_for_one_family() {
    let mut world = World::new(9);
    let host = world.add_host(address(1), Arq::receiver(world.random("receiver")));
    let six = world.add_nat("2001:db8::1".parse().unwrap(), NatConfig::home());
    world.put_behind(host, six);
}
