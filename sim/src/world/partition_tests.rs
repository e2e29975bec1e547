//! Partitions, second addresses, and being told of what happened.

use super::tests::{assert_balanced, assert_complete, pair, rough};
use super::*;
use crate::toy::{Arq, address};
use crate::{Chance, DropCause, Stage};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_cut_is_one_way_and_heals_to_what_was_before() {
    let (mut world, [sender, receiver]) = pair(1, 0);
    world.set_links(sender, receiver, LinkConfig::perfect().delay(3 * MS));
    world.cut(receiver, sender);
    world.with(sender, |machine, _| machine.send_more(1));
    world.run_for(SECOND);
    // Everything came, again and again; of the acknowledgements nothing.
    let [forth, back] = [(sender, receiver), (receiver, sender)];
    assert_eq!(world.link_counters(back.0, back.1).offered, 0, "the link never saw them");
    let came = world.link_counters(forth.0, forth.1).delivered;
    assert!(came >= 10 && world.totals().cut == came);
    world.heal(receiver, sender);
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 1);
    assert_eq!(world.link_counters(back.0, back.1).delivered, 1);
    assert_balanced(&world);
}

#[test]
fn what_was_on_its_way_when_a_link_was_cut_arrives() {
    let (mut world, [sender, receiver]) = pair(2, 1);
    world.cut(sender, receiver);
    world.run_for(15 * MS);
    assert_complete(&mut world, receiver, 1);
}

#[test]
fn healing_all_ends_cuts_queues_and_configurations() {
    let (mut world, [sender, receiver]) = pair(3, 0);
    let slow = world.add_bottleneck(100, 1 << 20);
    world.share_bottleneck(sender, receiver, slow);
    world.set_link(receiver, sender, LinkConfig::perfect().rate(1, 1 << 20).delay(60 * SECOND));
    world.with(sender, |machine, _| machine.send_more(40));
    world.run_for(10 * SECOND);
    world.cut(sender, receiver);
    world.run_for(SECOND);
    assert!(world.totals().cut > 0);
    world.heal_all(LinkConfig::perfect().delay(5 * MS));
    let begun = world.now();
    assert!(world.run_while(SECOND, |world| world.machine(sender).poll_timeout().is_some()));
    assert!(world.now() - begun < 200 * MS, "{:?}", world.now() - begun);
    assert_complete(&mut world, receiver, 40);
    // A later default is the default of all again.
    world.set_default_link(LinkConfig::down());
    world.with(sender, |machine, _| machine.send_more(1));
    assert!(world.totals().lost > 0);
    assert_balanced(&world);
}

#[test]
fn a_clogged_link_holds_up_and_releases_in_order() {
    let (mut world, [sender, receiver]) = pair(7, 0);
    world.with(sender, |machine, _| machine.send_more(3));
    world.run_for(5 * MS);
    world.clog(sender, receiver);
    world.clog(sender, receiver);
    world.with(sender, |machine, _| machine.send_more(4));
    assert_eq!(world.in_flight(), 7);
    world.run_for(50 * MS);
    // Those before it came through.
    assert_eq!((world.machine(receiver).batches.as_slice(), world.in_flight()), (&[3][..], 4));
    assert_balanced(&world);
    world.with(sender, |machine, _| machine.send_more(1));
    world.unclog(sender, receiver);
    world.unclog(sender, receiver);
    world.run_for(MS);
    // All that was late, but not what could not have come yet.
    assert_eq!((world.machine(receiver).batches.as_slice(), world.in_flight()), (&[3, 4][..], 2));
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 8);
    // Getting well releases, too.
    world.clog(sender, receiver);
    world.with(sender, |machine, _| machine.send_more(2));
    world.heal_all(LinkConfig::perfect());
    world.run_until_idle(SECOND).unwrap();
    let numbers: Vec<_> = world.take_events(receiver).into_iter().map(|(_, n)| n).collect();
    assert_eq!(numbers, [8, 9]);
    assert_balanced(&world);
}

/// A tap alone can keep the books: each datagram is offered once, and each end of it is shown.
#[test]
fn taps_are_shown_what_became_of_every_datagram() {
    let (mut world, [sender, receiver]) = pair(4, 0);
    world.set_default_link(rough().mtu(99));
    world.set_link(receiver, sender, rough());
    let seen = Rc::new(RefCell::new(BTreeMap::<Stage, u64>::new()));
    let log = Rc::clone(&seen);
    world.add_tap(move |packet| {
        assert_eq!(packet.index & !0xffff, 0);
        *log.borrow_mut().entry(packet.stage).or_default() += 1;
    });
    world.add_rule(|packet| if packet.index == 5 { Verdict::Drop } else { Verdict::Pass });
    world.with(sender, |machine, _| machine.send_more(2));
    world.run_for(SECOND);
    world.set_links(sender, receiver, LinkConfig::lossy(Chance::percent(30)));
    world.run_for(2 * SECOND);
    let totals = world.totals();
    let seen = seen.borrow();
    assert_eq!(seen[&Stage::Offered], totals.offered);
    assert_eq!(seen[&Stage::Delivered], totals.delivered);
    for cause in DropCause::ALL {
        let shown = seen.get(&Stage::Dropped(cause)).copied().unwrap_or_default();
        assert_eq!(shown, totals.of(cause), "{cause}");
    }
    assert!(totals.too_big > 0 && totals.lost > 0 && totals.scripted > 0, "{totals:?}");
    assert_balanced(&world);
}

#[test]
fn the_noisy_hosts_are_those_with_new_events_each_once() {
    let mut world = World::new(5);
    let receivers: Vec<_> = (0..100)
        .map(|number| world.add_host(address(number), Arq::receiver(world.random("receiver"))))
        .collect();
    assert_eq!(world.take_noisy(), []);
    for (number, target) in [(200, 7_u8), (201, 3), (202, 7)] {
        let sender = Arq::sender(address(target), 20, world.random("sender"));
        world.add_host(address(number), sender);
    }
    world.run_for(10 * MS);
    assert_eq!(world.take_noisy(), [receivers[7], receivers[3]]);
    assert_eq!(world.take_noisy(), []);
    // What was not taken makes no noise; what is new does.
    world.run_until_idle(SECOND).unwrap();
    assert_eq!(world.take_noisy(), [receivers[7], receivers[3]]);
    assert_eq!(world.take_events(receivers[3]).len(), 20);
}

/// Both families at once: each pair of addresses is a path with a link of its own.
#[test]
fn a_second_address_is_a_second_path() {
    let (mut world, [sender, receiver]) = pair(6, 0);
    let six = |last: u16| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, last], 4_000));
    world.add_address(sender, six(1));
    world.add_address(receiver, six(2));
    assert_eq!(world.addresses(receiver).collect::<Vec<_>>(), [address(2), six(2)]);
    assert!(world.set_path(six(1), six(2), LinkConfig::perfect().delay(2 * MS)));
    assert!(!world.set_path(six(1), six(9), LinkConfig::perfect()), "nobody has it");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    world.add_tap(move |packet| {
        if packet.stage == Stage::Delivered {
            log.borrow_mut().push((packet.source, packet.destination, packet.now));
        }
    });
    let at = |ms: u32| Instant::ZERO + MS * ms;
    world.with(sender, |machine, _| {
        machine.send_more(1);
        machine.set_peer(six(2));
    });
    world.run_until_idle(SECOND).unwrap();
    world.with(sender, |machine, _| {
        machine.send_more(1);
        machine.set_peer(address(2));
    });
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 2);
    let expected = [
        (six(1), six(2), at(2)),
        // The answer leaves from the address that was asked, over a link of the default.
        (six(2), six(1), at(12)),
        (address(1), address(2), at(22)),
        (address(2), address(1), at(32)),
    ];
    assert_eq!(*seen.borrow(), expected);
    assert_eq!(world.link_counters(sender, receiver).delivered, 2, "over all paths");
    assert!(world.remove_address(receiver, address(2)));
    assert!(!world.remove_address(receiver, six(2)), "the last one stays");
    assert_eq!(world.address(receiver), six(2));
    world.with(sender, |machine, _| machine.send_more(1));
    world.run_for(SECOND);
    assert!(world.totals().no_route > 0);
    assert_balanced(&world);
}
