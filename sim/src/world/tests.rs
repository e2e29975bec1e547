use super::*;
use crate::toy::{Arq, DATA_BYTES, Rogue, Sin, address, sins};
use crate::{Chance, Corruption, Stage, drop_list};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A world with a sender (host 0) of `count` numbers and its receiver (host 1).
pub(super) fn pair(seed: u64, count: u32) -> (World<Arq>, [HostId; 2]) {
    let mut world = World::new(seed);
    // The receiver first: the sender's first window leaves when it is added.
    let receiver = Arq::receiver(world.random("receiver"));
    let receiver = world.add_host(address(2), receiver);
    let sender = Arq::sender(address(2), 0, world.random("sender"));
    let sender = world.add_host(address(1), sender);
    world.with(sender, |machine, _| machine.send_more(count));
    (world, [sender, receiver])
}

/// Everything that a link can do at once, mildly.
pub(super) fn rough() -> LinkConfig {
    LinkConfig::lossy(Chance::percent(10))
        .delay(20 * MS)
        .jitter(10 * MS)
        .free_order()
        .reorder(Chance::percent(5), 60 * MS)
        .duplicate(Chance::percent(5), 40 * MS)
        .rate(1_000_000, 20_000)
}

/// The receiver's events are the numbers 0 to `count - 1` in order.
pub(super) fn assert_complete(world: &mut World<Arq>, receiver: HostId, count: u32) {
    let numbers: Vec<_> = world.take_events(receiver).into_iter().map(|(_, n)| n).collect();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
}

/// No datagram is lost to the books.
pub(super) fn assert_balanced<M: DatagramMachine>(world: &World<M>) {
    let totals = world.totals();
    assert_eq!(
        totals.offered + totals.injected + totals.copies,
        totals.delivered + totals.dropped() + world.in_flight() as u64,
        "{totals:?}"
    );
}

#[test]
fn a_transfer_over_a_perfect_link_takes_exactly_its_round_trips() {
    let (mut world, [sender, receiver]) = pair(1, 64);
    world.set_default_link(LinkConfig::perfect().delay(15 * MS));
    // The first window of 16 left before, at the default delay of 10 ms; its acknowledgement and
    // three more windows took 15 ms each way.
    let end = world.run_until_idle(10 * SECOND).unwrap();
    assert_eq!(end, Instant::ZERO + 25 * MS + 3 * 30 * MS);
    assert_eq!(world.now(), end);
    assert_complete(&mut world, receiver, 64);
    let totals = world.totals();
    // One acknowledgement a batch, and the 16 datagrams of a window are one batch.
    assert_eq!((totals.offered, totals.delivered), (64 + 4, 64 + 4));
    assert_eq!(totals.delivered_bytes, 64 * DATA_BYTES as u64 + 4 * 5);
    assert_eq!(world.machine(receiver).batches, [16; 4]);
    assert_eq!(world.link_counters(sender, receiver).passed, 64);
    assert_eq!(world.link_counters(receiver, sender).passed, 4);
    assert_balanced(&world);
}

#[test]
fn datagrams_of_one_instant_can_be_handed_in_one_by_one() {
    let (mut world, [_, receiver]) = pair(1, 16);
    world.set_discipline(Discipline::default().batch(1));
    world.run_until_idle(10 * SECOND).unwrap();
    assert_eq!(world.machine(receiver).batches, [1; 16]);
    assert_eq!(world.totals().offered, 16 + 16);
    assert_complete(&mut world, receiver, 16);
}

#[test]
fn the_same_seed_has_the_same_trace_and_another_seed_another() {
    let run = |seed, discipline| {
        let (mut world, [_, receiver]) = pair(seed, 300);
        world.set_default_link(rough());
        world.set_discipline(discipline);
        world.run_until_idle(1_000 * SECOND).unwrap();
        assert_complete(&mut world, receiver, 300);
        assert_balanced(&world);
        (world.trace_hash(), world.totals(), world.now())
    };
    for discipline in [Discipline::default(), Discipline::sloppy(Chance::percent(20))] {
        assert_eq!(run(1, discipline), run(1, discipline));
        assert_ne!(run(1, discipline).0, run(2, discipline).0);
    }
    assert_ne!(run(1, Discipline::default()).0, run(1, Discipline::sloppy(Chance::percent(20))).0);
}

#[test]
fn the_hash_sees_one_bit_one_nanosecond_and_one_address() {
    let run = |delay, byte, source| {
        let (mut world, [_, receiver]) = pair(1, 0);
        world.inject(delay, address(source), receiver, Ecn::NotEct, &[byte]);
        world.run_for(SECOND);
        world.trace_hash()
    };
    let base = run(MS, 0, 9);
    assert_eq!(base, run(MS, 0, 9));
    assert_ne!(base, run(MS, 1, 9));
    assert_ne!(base, run(MS + Duration::from_nanos(1), 0, 9));
    assert_ne!(base, run(MS, 0, 8));
}

#[test]
fn a_sloppy_loop_costs_latency_and_never_correctness() {
    for seed in 0..30 {
        for percent in [10, 50, 100] {
            let (mut world, [_, receiver]) = pair(seed, 100);
            world.set_default_link(rough());
            world.set_discipline(Discipline::sloppy(Chance::percent(percent)));
            let idle = world.run_until_idle(1_000 * SECOND);
            assert!(idle.is_ok(), "seed {seed}, {percent} %: {idle:?}");
            assert_complete(&mut world, receiver, 100);
            assert_balanced(&world);
        }
    }
}

#[test]
fn hours_of_loss_pass_and_the_world_is_not_idle_meanwhile() {
    let (mut world, [sender, receiver]) = pair(3, 10);
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 10);
    world.set_links(sender, receiver, LinkConfig::down());
    world.with(sender, |machine, _| machine.send_more(1));
    world.run_for(3_600 * SECOND);
    // The timeout of 100 ms does not back off.
    assert_eq!(world.totals().lost, 36_001);
    let error = world.run_until_idle(SECOND).unwrap_err();
    assert_eq!((error.in_flight, error.blocked), (0, 0));
    let (host, at) = error.next.unwrap();
    assert!(host == sender && at > world.now() && at <= world.now() + 100 * MS);
    assert!(error.to_string().contains("host 1 waits"), "{error}");
    // A deadline that is far enough away does not count.
    assert_eq!(world.run_until_quiet(99 * MS, SECOND), Ok(error.now));
    // Healed, the next repeat gets through.
    world.set_links(sender, receiver, LinkConfig::perfect().delay(MS));
    let end = world.run_until_quiet(SECOND, 10 * SECOND).unwrap();
    assert_eq!(end, at + 2 * MS);
}

#[test]
fn running_stops_at_the_deadline_at_the_condition_or_at_the_event() {
    let (mut world, [_, receiver]) = pair(4, 32);
    let at = |ms| Instant::ZERO + ms * MS;
    world.run_until(at(9));
    assert_eq!((world.now(), world.totals().delivered), (at(9), 0));
    // The deadline itself is included.
    world.run_until(at(10));
    assert_eq!((world.now(), world.totals().delivered), (at(10), 16));
    // Going back is staying.
    world.run_until(at(3));
    assert_eq!(world.now(), at(10));
    assert!(world.run_while(SECOND, |world| world.totals().delivered < 18));
    assert_eq!(world.now(), at(30));
    assert!(!world.run_while(SECOND, |_| true));
    assert_eq!(world.now(), at(1_030));
    world.take_events(receiver);
    assert_eq!(world.wait_event(receiver, SECOND), None);
    assert_eq!(world.now(), at(2_030));
}

#[test]
fn rules_drop_delay_copy_and_corrupt_single_packets() {
    let (mut world, [sender, receiver]) = pair(5, 0);
    world.add_rule(move |packet| {
        assert_eq!(packet.stage, Stage::Offered);
        match (packet.from == Some(sender), packet.index) {
            (true, 1) => Verdict::Drop,
            (true, 2) => Verdict::Delay(7 * MS),
            (true, 3) => Verdict::Duplicate,
            (true, 4) => Verdict::Corrupt(Corruption::Truncate(3)),
            _ => Verdict::Pass,
        }
    });
    // Asked only where the first rule passes, so packet 1 is not here.
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    let second = world.add_rule(move |packet| {
        log.borrow_mut().push(packet.index);
        Verdict::Pass
    });
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    world.add_tap(move |packet| {
        if packet.stage == Stage::Delivered && packet.to == Some(receiver) {
            log.borrow_mut().push((packet.index, packet.now, packet.bytes.len()));
        }
    });
    world.with(sender, |machine, _| machine.send_more(6));
    assert_eq!(*asked.borrow(), [0, 5]);
    assert!(world.remove_rule(second) && !world.remove_rule(second));
    world.run_for(20 * MS);
    let [first, late] = [10 * MS, 17 * MS].map(|delay| Instant::ZERO + delay);
    let expected = [
        (0, first, 100),
        (3, first, 100),
        (3, first, 100),
        (4, first, 3),
        (5, first, 100),
        (2, late, 100),
    ];
    assert_eq!(*seen.borrow(), expected);
    let totals = world.totals();
    assert_eq!((totals.scripted, totals.copies, totals.corrupted), (1, 1, 1));
    assert_balanced(&world);
    world.clear_rules();
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 6);
}

#[test]
fn a_drop_list_loses_exactly_what_it_lists() {
    for mask in 0..64_u64 {
        let (mut world, [sender, receiver]) = pair(6, 0);
        world.add_rule(drop_list(sender, receiver, mask));
        world.with(sender, |machine, _| machine.send_more(6));
        world.run_until_idle(10 * SECOND).unwrap();
        assert_complete(&mut world, receiver, 6);
        assert_eq!(world.totals().scripted, u64::from(mask.count_ones()), "mask {mask:b}");
    }
}

#[test]
fn taps_see_each_datagram_of_a_train_as_it_was_sent() {
    let (mut world, [sender, receiver]) = pair(7, 0);
    let count = Rc::new(Cell::new([0_u64; 2]));
    let counted = Rc::clone(&count);
    world.add_tap(move |packet| {
        let mut count = counted.get();
        count[usize::from(packet.stage == Stage::Delivered)] += 1;
        counted.set(count);
        let data = (Some(sender), address(1), Ecn::Ect0, DATA_BYTES);
        let ack = (Some(receiver), address(2), Ecn::NotEct, 5);
        let is = (packet.from, packet.source, packet.ecn, packet.bytes.len());
        assert!(is == data || is == ack, "{is:?}");
    });
    world.with(sender, |machine, _| machine.send_more(40));
    world.run_until_idle(SECOND).unwrap();
    assert_eq!(count.get(), [world.totals().offered, world.totals().delivered]);
}

#[test]
fn what_goes_to_nobody_or_comes_from_elsewhere_is_counted() {
    let mut world: World<Rogue> = World::new(8);
    // A Rogue sends to an address that nobody has: one datagram and a train of 64.
    world.add_host(address(1), Rogue::new(Sin::None));
    assert_eq!((world.totals().no_route, world.in_flight()), (65, 0));
    // Nor does it help that somebody has it, if the sender does not have its own.
    world.add_host(address(200), Rogue::new(Sin::None));
    world.add_host(address(2), Rogue::new(Sin::Foreign));
    assert_eq!((world.totals().no_route, world.totals().no_source), (65, 65));
    assert_balanced(&world);
}

#[test]
fn an_injected_datagram_comes_from_whom_it_says_past_every_rule() {
    let (mut world, [_, receiver]) = pair(9, 0);
    world.set_default_link(LinkConfig::down());
    world.add_rule(|_| Verdict::Drop);
    world.inject(5 * MS, address(77), receiver, Ecn::Ce, &[0, 0, 0, 0, 0]);
    world.run_for(10 * MS);
    let event = world.next_event(receiver);
    assert_eq!(event, Some((Instant::ZERO + 5 * MS, 0)));
    // The answer goes to the address that nobody has.
    assert_eq!((world.totals().injected, world.totals().no_route), (1, 1));
    assert_balanced(&world);
}

#[test]
fn links_do_not_depend_on_which_others_there_are() {
    let lost = |others: u8| {
        let mut world = World::new(10);
        for other in 0..others {
            let machine = Arq::sender(address(250), 50, world.random("other"));
            world.add_host(address(100 + other), machine);
        }
        let receiver = Arq::receiver(world.random("receiver"));
        let receiver = world.add_host(address(2), receiver);
        let sender = Arq::sender(address(2), 0, world.random("sender"));
        let sender = world.add_host(address(1), sender);
        world.set_links(sender, receiver, rough());
        world.with(sender, |machine, _| machine.send_more(200));
        world.run_for(30 * SECOND);
        world.link_counters(sender, receiver)
    };
    assert_eq!(lost(0), lost(5));
}

#[test]
fn many_hosts_share_the_clock() {
    let mut world = World::new(11);
    let mut receivers = Vec::new();
    for number in 0..60 {
        let receiver = Arq::receiver(world.random("receiver"));
        receivers.push(world.add_host(address(100 + number), receiver));
    }
    for number in 0..60 {
        let sender = Arq::sender(address(100 + number), 40, world.random("sender"));
        world.add_host(address(number), sender);
    }
    world.set_default_link(rough());
    world.run_until_idle(1_000 * SECOND).unwrap();
    for receiver in receivers {
        assert_complete(&mut world, receiver, 40);
    }
}

#[test]
fn the_trace_is_text_when_wanted() {
    let (mut world, [sender, _]) = pair(12, 0);
    world.keep_trace(3);
    world.with(sender, |machine, _| machine.send_more(1));
    world.run_until_idle(SECOND).unwrap();
    let lines: Vec<_> = world.trace_lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("0.010000000s came 10.0.0.1:4000 > 10.0.0.2:4000 #0 100 B Ect0"));
    assert!(lines[2].starts_with("0.020000000s came 10.0.0.2:4000 > 10.0.0.1:4000 #0 5 B NotEct"));
}

/// Lets a machine break its rule for three seconds; the world is to panic.
fn sin(sin: Sin) {
    let mut world: World<Rogue> = World::new(99);
    world.set_rerun("RERUN");
    world.add_host(address(1), Rogue::new(sin));
    world.run_for(3 * SECOND);
}

#[test]
fn a_machine_that_breaks_nothing_passes() {
    sin(Sin::None);
}

#[test]
fn the_message_names_rule_host_time_seed_and_rerun() {
    let message = std::panic::catch_unwind(|| sin(Sin::StuckTimer)).unwrap_err();
    let message = message.downcast::<String>().unwrap();
    for part in ["rule 5", "host 0 (10.0.0.1:4000)", "1.000000000s", "seed 99", "rerun: RERUN"] {
        assert!(message.contains(part), "{part} in: {message}");
    }
}

sins! {
    rule_3_a_past_deadline_panics: PastDeadline, "rule 3";
    rule_5_a_timer_that_does_nothing_panics: StuckTimer, "rule 5";
    rule_5_a_timer_that_spins_panics: Spin, "rule 5";
    transmit_of_another_length_panics: WrongLength, "len 11, segment_size 11";
    transmit_with_segments_longer_than_itself_panics: WrongSegment, "len 10, segment_size 11";
    transmit_with_empty_segments_panics: ZeroSegment, "len 10, segment_size 0";
    transmit_of_65_segments_panics: LongTrain, "len 65, segment_size 1";
    transmit_beyond_udp_panics: Huge, "len 65508";
    rule_1_bytes_without_transmit_panic: Litter, "rule 1";
    transmit_that_does_not_append_panics: Replace, "describes the bytes appended";
    rule_8_endless_transmits_panic: EndlessTransmits, "rule 8";
    rule_8_endless_events_panic: EndlessEvents, "rule 8";
    rule_1_output_made_by_fetching_events_panics: LateOutput, "rule 1";
    rule_7_a_fickle_deadline_panics: Fickle, "rule 7";
}

#[test]
#[should_panic(expected = "rule 8")]
fn rule_8_a_ping_pong_without_delay_panics() {
    let (mut world, [sender, _]) = pair(13, 0);
    world.set_default_link(LinkConfig::perfect());
    // Each acknowledgement makes room for more, and no time passes.
    world.with(sender, |machine, _| machine.send_more(u32::MAX / 2));
    world.run_for(SECOND);
}

#[test]
#[should_panic(expected = "10.0.0.1:4000 is taken")]
fn an_address_has_one_owner() {
    let mut world: World<Rogue> = World::new(14);
    world.add_host(address(1), Rogue::new(Sin::None));
    world.add_host(address(1), Rogue::new(Sin::None));
}
