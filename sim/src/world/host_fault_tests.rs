//! Sleep, restart, clocks that go wrong, and systems that do not send.

use super::tests::{assert_balanced, assert_complete, pair, rough};
use super::*;
use crate::toy::{Arq, DATA_BYTES, address};
use crate::{AsleepClock, AsleepSocket, Chance, ClockConfig, DamageConfig, DropCause, SendFaults};
use crate::{Path, Stage, Transmit};
use std::cell::Cell;
use std::rc::Rc;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn at(ms: u32) -> Instant {
    Instant::ZERO + MS * ms
}

/// Tells the time of each call, and wants to be called each `every` by its own clock.
struct Ticker {
    every: Duration,
    next: Instant,
    told: Vec<Instant>,
    heard: usize,
    to_send: Option<SocketAddr>,
}

impl Ticker {
    fn new(every: Duration) -> Self {
        let next = Instant::ZERO + every;
        Self { every, next, told: Vec::new(), heard: 0, to_send: None }
    }
}

impl DatagramMachine for Ticker {
    type Event = Instant;
    fn handle_datagram(&mut self, now: Instant, _: Path, _: Ecn, datagram: &mut [u8]) {
        self.heard += datagram.len();
        self.told.push(now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next {
            self.told.push(now);
            self.next = now + self.every;
        }
    }
    fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let to = self.to_send.take()?;
        out.extend_from_slice(&[7; 30]);
        Some(Transmit { path: Path::to(to), ecn: Ecn::NotEct, len: 30, segment_size: 10 })
    }
    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.next)
    }
    fn poll_event(&mut self) -> Option<Instant> {
        self.told.pop()
    }
}

/// A ticker of 100 ms, alone.
fn ticker() -> (World<Ticker>, HostId) {
    let mut world = World::new(1);
    let host = world.add_host(address(1), Ticker::new(100 * MS));
    (world, host)
}

/// The times of the world at which the ticker has ticked, and those of its clock.
fn ticks(world: &mut World<Ticker>, host: HostId) -> Vec<(Instant, Instant)> {
    world.take_events(host)
}

#[test]
fn a_skewed_host_is_called_when_its_own_clock_says_so() {
    let (mut world, host) = ticker();
    world.set_clock(host, ClockConfig::skew(250_000));
    world.run_for(SECOND);
    let ticks = ticks(&mut world, host);
    // A hundred of its milliseconds are eighty of the world's.
    let expected: Vec<_> = (1..=12).map(|n| (at(80 * n), at(100 * n))).collect();
    assert_eq!(ticks, expected);
    assert_eq!(world.local_time(host), at(1_250));
    assert_eq!(world.with(host, |_, now| now), at(1_250));
    world.set_clock(host, ClockConfig::skew(-500_000));
    world.run_for(SECOND);
    assert_eq!(world.local_time(host), at(1_750));
    world.set_clock(host, ClockConfig::skew(0));
    world.run_for(SECOND);
    assert_eq!(world.local_time(host), at(2_750));
}

#[test]
fn a_clock_that_jumps_makes_everything_due_at_once() {
    let (mut world, host) = ticker();
    world.run_for(50 * MS);
    world.jump_clock(host, 3_600 * SECOND);
    world.run_for(99 * MS);
    assert_eq!(ticks(&mut world, host), [(at(50), at(3_600_050))]);
    world.run_for(MS);
    assert_eq!(ticks(&mut world, host), [(at(150), at(3_600_150))]);
}

#[test]
fn a_drifting_host_keeps_the_contract_and_its_ticks() {
    let (mut world, host) = ticker();
    let drift = Chance::permille(200);
    world.set_clock(host, ClockConfig::skew(-100_000).drift(drift, 30 * MS));
    world.run_for(60 * SECOND);
    let ticks = ticks(&mut world, host);
    assert!((500..580).contains(&ticks.len()), "{}", ticks.len());
    for pair in ticks.windows(2) {
        let local = (pair[1].1 - pair[0].1).as_nanos();
        // On time by its own clock, to the nanosecond that the world cannot divide.
        assert!((100_000_000..100_000_002).contains(&local), "{local}");
    }
}

#[test]
fn a_host_asleep_is_not_called_and_wakes_to_what_waited() {
    for clock in [AsleepClock::Runs, AsleepClock::Stops] {
        let (mut world, host) = ticker();
        let from = address(9);
        world.run_for(50 * MS);
        world.pause(host, AsleepSocket::Keep(100), clock);
        for delay in 1..=5_u32 {
            world.inject(delay * MS, from, host, Ecn::NotEct, &[0; 40]);
        }
        world.run_for(10 * SECOND);
        assert!(world.is_asleep(host) && world.take_events(host).is_empty());
        assert_eq!((world.totals().socket_full, world.in_flight()), (3, 2));
        let quiet = world.run_until_quiet(SECOND, SECOND);
        assert_eq!(quiet.unwrap_err().in_flight, 2, "what waits is still on its way");
        // A command reaches the machine, and comes to something when it wakes up.
        world.with(host, |machine, _| machine.to_send = Some(from));
        assert_eq!(world.totals().offered, 0);
        world.resume(host);
        world.resume(host);
        assert_eq!(world.machine(host).heard, 80);
        assert_eq!((world.totals().offered, world.totals().delivered), (3, 2));
        let shown = if clock == AsleepClock::Runs { at(11_050) } else { at(50) };
        assert_eq!(world.local_time(host), shown);
        let told = world.take_events(host);
        let ticked = usize::from(clock == AsleepClock::Runs);
        assert_eq!(told, vec![(at(11_050), shown); 2 + ticked], "{clock:?}");
        assert_balanced(&world);
        world.run_for(SECOND);
        assert_eq!(world.take_events(host).len(), 10);
    }
}

#[test]
fn a_clock_that_stopped_can_be_set_meanwhile() {
    let (mut world, host) = ticker();
    world.pause(host, AsleepSocket::Lose, AsleepClock::Stops);
    world.run_for(SECOND);
    world.jump_clock(host, 5 * MS);
    world.set_clock(host, ClockConfig::skew(500_000));
    world.run_for(SECOND);
    assert_eq!(world.local_time(host), at(5));
    world.inject(MS, address(9), host, Ecn::NotEct, &[1]);
    world.run_for(SECOND);
    assert_eq!(world.totals().asleep, 1);
    world.resume(host);
    world.run_for(SECOND);
    assert_eq!(world.local_time(host), at(1_505));
    assert_balanced(&world);
}

#[test]
fn a_transfer_survives_sleep_skew_and_restarts_of_the_clock() {
    for seed in 0..10 {
        let (mut world, hosts) = pair(seed, 200);
        world.set_default_link(rough());
        let mut random = world.random("faults");
        world.set_clock(hosts[0], ClockConfig::skew(200_000).drift(Chance::percent(5), SECOND));
        world.set_clock(hosts[1], ClockConfig::skew(-200_000));
        for _ in 0..20 {
            let host = hosts[usize::from(random.chance(1, 2))];
            let socket = match random.below(2) {
                0 => AsleepSocket::Keep(500),
                _ => AsleepSocket::Lose,
            };
            let clock = if random.chance(1, 2) { AsleepClock::Runs } else { AsleepClock::Stops };
            world.pause(host, socket, clock);
            world.run_for(MS * (random.below(200) as u32));
            world.resume(host);
            world.block_sending(host, MS * (random.below(50) as u32));
            world.jump_clock(host, MS * (random.below(50) as u32));
            world.run_for(MS * (random.below(100) as u32));
            assert_balanced(&world);
        }
        world.run_until_idle(1_000 * SECOND).unwrap_or_else(|error| panic!("{seed}: {error}"));
        assert_complete(&mut world, hosts[1], 200);
        assert_balanced(&world);
    }
}

/// The sender forgets everything and begins anew; the receiver has already what comes.
#[test]
fn a_restarted_host_has_a_new_machine_and_gets_what_was_on_its_way() {
    let (mut world, [sender, receiver]) = pair(4, 16);
    world.run_for(15 * MS);
    assert_eq!(world.machine(receiver).batches, [16]);
    let fresh = Arq::sender(address(2), 20, world.random("again"));
    let old = world.replace(sender, fresh);
    assert_eq!(old.poll_timeout(), Some(at(100)), "the old one still waited");
    assert_eq!(world.in_flight(), 1 + 16, "an acknowledgement for the old, a window of the new");
    world.run_until_idle(SECOND).unwrap();
    assert_complete(&mut world, receiver, 20);
    assert_balanced(&world);
    // One that sleeps loses what waits in its socket, sleeps on and starts when it wakes up.
    world.pause(receiver, AsleepSocket::Keep(1 << 20), AsleepClock::Runs);
    world.with(sender, |machine, _| machine.send_more(3));
    world.run_for(50 * MS);
    world.replace(receiver, Arq::receiver(world.random("receiver again")));
    assert_eq!((world.totals().asleep, world.in_flight()), (3, 0));
    assert!(world.is_asleep(receiver));
    world.resume(receiver);
    assert_balanced(&world);
}

#[test]
fn a_blocked_host_hears_and_sends_nothing_until_it_may() {
    let (mut world, host) = ticker();
    let peer = world.add_host(address(2), Ticker::new(SECOND));
    world.block_sending(host, 250 * MS);
    world.with(host, |machine, _| machine.to_send = Some(address(2)));
    world.inject(MS, address(9), host, Ecn::NotEct, &[1; 5]);
    world.run_for(249 * MS);
    assert_eq!((world.totals().offered, world.machine(host).heard), (0, 5));
    // A shorter block does not end a longer one.
    world.block_sending(host, MS / 2);
    world.run_for(MS);
    assert_eq!(world.totals().offered, 3);
    world.run_for(10 * MS);
    assert_eq!(world.machine(peer).heard, 30);
}

/// What a host wanted while it slept was once called for when it woke, in the past, and the world
/// went back there: a socket that was full, or a wake-up by a loop that wakes too early.
#[test]
fn a_world_does_not_go_back_to_what_a_sleeper_missed() {
    for early in [Chance::NEVER, Chance::ALWAYS] {
        let (mut world, host) = ticker();
        world.set_discipline(Discipline { early, ..Discipline::default() });
        world.run_for(MS);
        world.block_sending(host, 50 * MS);
        world.pause(host, AsleepSocket::Lose, AsleepClock::Runs);
        world.with(host, |machine, _| machine.to_send = Some(address(2)));
        world.run_for(10 * SECOND);
        world.resume(host);
        let woken = world.now();
        assert!(world.next_time() >= Some(woken), "{:?} after {woken:?}", world.next_time());
        assert_eq!(world.totals().offered, 3, "the socket is free by now");
        assert!(world.step() >= Some(woken) && world.now() >= woken);
    }
}

#[test]
fn systems_refuse_datagrams_for_three_reasons() {
    let run = |faults: SendFaults| {
        let (mut world, [sender, _]) = pair(5, 0);
        world.set_send_faults(sender, faults);
        world.with(sender, |machine, _| machine.send_more(1));
        world.run_for(20 * SECOND);
        assert_balanced(&world);
        world.totals()
    };
    let refused = run(SendFaults { longest: DATA_BYTES - 1, ..SendFaults::NONE });
    assert_eq!((refused.send_too_big, refused.delivered), (refused.offered, 0));
    let refused = run(SendFaults { unreachable: true, ..SendFaults::NONE });
    assert_eq!((refused.unreachable, refused.delivered), (refused.offered, 0));
    let fits = run(SendFaults { longest: DATA_BYTES, ..SendFaults::NONE });
    assert_eq!((fits.dropped(), fits.delivered), (0, 2));
    let (mut world, [sender, receiver]) = pair(6, 0);
    let faults = SendFaults { no_buffers: Chance::percent(30), ..SendFaults::NONE };
    world.set_send_faults(sender, faults);
    world.with(sender, |machine, _| machine.send_more(300));
    world.run_until_idle(1_000 * SECOND).unwrap();
    assert_complete(&mut world, receiver, 300);
    let counters = world.link_counters(sender, receiver);
    let refused = world.totals().no_buffers;
    let all = refused + counters.offered;
    assert!(refused * 100 > 20 * all && refused * 100 < 40 * all, "{refused} of {all}");
    assert_balanced(&world);
}

#[test]
fn datagrams_of_one_instant_come_in_any_order_when_shuffled() {
    let run = |seed, shuffle: bool| {
        let (mut world, [_, receiver]) = pair(seed, 0);
        let discipline = Discipline::default().batch(1);
        world.set_discipline(if shuffle { discipline.shuffle() } else { discipline });
        let seen = Rc::new(Cell::new(0_u64));
        let log = Rc::clone(&seen);
        world.add_tap(move |packet| {
            if packet.stage == Stage::Delivered && packet.bytes.len() == 6 {
                log.set(log.get() * 16 + u64::from(packet.bytes[5]));
            }
        });
        for number in 0..16 {
            world.inject(MS, address(9), receiver, Ecn::NotEct, &[9, 0, 0, 0, 0, number]);
        }
        world.run_for(SECOND);
        seen.get()
    };
    let in_order = 0x0123_4567_89ab_cdef;
    assert_eq!(run(1, false), in_order);
    assert_ne!(run(1, true), in_order);
    assert_eq!(run(1, true), run(1, true));
    assert_ne!(run(1, true), run(2, true));
    let mut digits: Vec<_> = format!("{:016x}", run(1, true)).chars().collect();
    digits.sort_unstable();
    assert_eq!(digits.into_iter().collect::<String>(), format!("{in_order:016x}"));
}

/// Links change bytes in a world as they do alone, and a transfer by a machine that checks nothing
/// shows it; the books stay true.
#[test]
fn damaged_datagrams_reach_the_machine_damaged() {
    let (mut world, [sender, receiver]) = pair(7, 0);
    let splice = DamageConfig { splice: Chance::percent(50), ..DamageConfig::NONE };
    world.set_link(sender, receiver, LinkConfig::perfect().damage(splice));
    let whole = Rc::new(Cell::new([0_u64; 2]));
    let log = Rc::clone(&whole);
    let last = Cell::new([0_u8; DATA_BYTES]);
    world.add_tap(move |packet| {
        if packet.bytes.len() != DATA_BYTES {
            return;
        }
        let mut bytes = [0; DATA_BYTES];
        bytes.copy_from_slice(packet.bytes);
        if packet.stage == Stage::Offered {
            last.set(bytes);
        } else {
            let mut count = log.get();
            count[usize::from(bytes == last.get())] += 1;
            log.set(count);
        }
    });
    for _ in 0..200 {
        world.with(sender, |machine, _| machine.send_more(1));
        world.run_for(SECOND);
    }
    let counters = world.link_counters(sender, receiver);
    assert_eq!(world.totals().corrupted, counters.spliced);
    assert!(counters.spliced > 50 && whole.get()[0] > 50, "{counters:?}");
    let other = DropCause::ALL.iter().map(|cause| world.totals().of(*cause)).sum::<u64>();
    assert_eq!(other, 0);
    assert_balanced(&world);
}
