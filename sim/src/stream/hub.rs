//! Tests of hosts with several pipes and datagrams besides.

use super::{PipeId, PipeMachine, StreamConfig};
use crate::toy::address;
use crate::{HostId, World};
use std::collections::{BTreeMap, VecDeque};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Transmit};

const SECOND: Duration = Duration::from_secs(1);

/// Sends what it is told to on any of its pipes, and tells what happens to them.
#[derive(Default)]
struct Hub {
    refuses: bool,
    to_write: BTreeMap<u64, Vec<u8>>,
    ready: VecDeque<u64>,
    close: VecDeque<u64>,
    deadline: Option<Instant>,
    got: BTreeMap<u64, usize>,
    /// Done with a pipe after so many bytes.
    enough: Option<usize>,
    datagrams: VecDeque<Path>,
    events: VecDeque<String>,
}

impl Hub {
    fn write(&mut self, pipe: u64, len: usize) {
        self.to_write.entry(pipe).or_default().resize(len, 1);
        self.ready.push_back(pipe);
    }
}

impl DatagramMachine for Hub {
    type Event = String;

    fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {
        self.events.push_back("datagram".to_owned());
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let path = self.datagrams.pop_front()?;
        out.push(0);
        Some(Transmit { path, ecn: Ecn::NotEct, len: 1, segment_size: 1 })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn poll_event(&mut self) -> Option<String> {
        self.events.pop_front()
    }
}

impl PipeMachine for Hub {
    fn handle_opened(&mut self, _: Instant, pipe: u64) -> bool {
        self.events.push_back(format!("opened {pipe}"));
        !self.refuses
    }

    fn handle_bytes(&mut self, _: Instant, pipe: u64, bytes: &[u8]) -> bool {
        let got = self.got.entry(pipe).or_default();
        *got += bytes.len();
        self.enough.is_none_or(|enough| *got < enough)
    }

    fn handle_eof(&mut self, _: Instant, pipe: u64) -> bool {
        self.events.push_back(format!("end of {pipe}"));
        true
    }

    fn handle_broken(&mut self, _: Instant, pipe: u64) {
        self.events.push_back(format!("{pipe} broke"));
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        self.ready.pop_front()
    }

    fn poll_write(&mut self, _: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        let bytes = self.to_write.remove(&pipe).unwrap_or_default();
        out.extend_from_slice(&bytes);
        !bytes.is_empty()
    }

    fn poll_close(&mut self) -> Option<u64> {
        self.close.pop_front()
    }
}

/// Two hubs and so many pipes.
fn hubs(pipes: usize) -> (World<Hub>, [HostId; 2], Vec<PipeId>) {
    let mut world = World::new(1);
    let hosts = [1, 2].map(|number| world.add_host(address(number), Hub::default()));
    let narrow = StreamConfig::perfect().delay(Duration::from_millis(10)).buffer(100);
    world.set_default_pipe(narrow);
    let pipes = (0..pipes).map(|_| world.open_pipe(hosts)).collect();
    for host in hosts {
        world.take_events(host);
    }
    (world, hosts, pipes)
}

fn told(world: &mut World<Hub>, host: HostId) -> Vec<String> {
    world.take_events(host).into_iter().map(|(_, event)| event).collect()
}

#[test]
fn one_stalled_pipe_holds_up_neither_the_others_nor_datagrams() {
    let (mut world, [one, two], pipes) = hubs(3);
    world.stall(pipes[1], one, Duration::MAX);
    world.with(one, |hub, _| {
        (0..3).for_each(|pipe| hub.write(pipe, 1_000));
        hub.datagrams.push_back(Path::to(address(2)));
    });
    world.run_for(SECOND);
    assert_eq!(world.machine(two).got, BTreeMap::from([(0, 1_000), (2, 1_000)]));
    assert_eq!((told(&mut world, two), world.in_pipes()), (vec!["datagram".to_owned()], 1_000));
    // Both ways, and by itself when it flows again.
    world.with(two, |hub, _| hub.write(1, 7));
    world.stall(pipes[1], one, Duration::ZERO);
    world.run_until_idle(SECOND).unwrap();
    assert_eq!((world.machine(two).got[&1], world.machine(one).got[&1]), (1_000, 7));
}

#[test]
fn who_has_done_with_a_pipe_closes_it_and_who_refuses_one_too() {
    let (mut world, [one, two], pipes) = hubs(2);
    world.with(two, |hub, _| hub.enough = Some(300));
    world.with(one, |hub, _| hub.write(0, 1_000));
    world.run_until_idle(SECOND).unwrap();
    assert_eq!(told(&mut world, one), ["end of 0"]);
    // The rest is read by nobody and holds nobody up.
    assert_eq!((world.machine(two).got[&0], world.in_pipes()), (300, 0));
    world.with(one, |hub, _| {
        hub.write(1, 10);
        hub.close.push_back(1);
        hub.events.push_back("closes".to_owned());
    });
    world.run_until_idle(SECOND).unwrap();
    assert_eq!((told(&mut world, two), world.machine(two).got[&1]), (vec!["end of 1".into()], 10));
    world.with(two, |hub, _| hub.refuses = true);
    let third = world.open_pipe([one, two]);
    world.run_until_idle(SECOND).unwrap();
    assert_eq!(told(&mut world, one), ["closes", "opened 2", "end of 2"]);
    assert_eq!((third.number(), pipes.len()), (2, 2));
}

#[test]
fn a_reset_breaks_one_pipe_of_several() {
    let (mut world, [one, two], pipes) = hubs(2);
    world.with(one, |hub, _| (0..2).for_each(|pipe| hub.write(pipe, 1_000)));
    world.reset(pipes[0]);
    world.reset(pipes[0]);
    world.run_until_idle(SECOND).unwrap();
    for host in [one, two] {
        assert_eq!(told(&mut world, host), ["0 broke"]);
    }
    assert_eq!(world.machine(two).got, BTreeMap::from([(1, 1_000)]));
    let counters = world.pipe_counters(pipes[0], one);
    assert_eq!((counters.taken, counters.lost, counters.refused), (100, 100, 900));
}

#[test]
#[should_panic(expected = "it named pipe 7, which it does not have")]
fn a_pipe_that_nobody_opened_panics() {
    let (mut world, [one, _], _) = hubs(1);
    world.with(one, |hub, _| hub.write(7, 1));
}

#[test]
#[should_panic(expected = "it closes pipe 7, which it does not have")]
fn closing_a_pipe_that_nobody_opened_panics() {
    let (mut world, [one, _], _) = hubs(1);
    world.with(one, |hub, _| {
        hub.close.push_back(7);
        hub.events.push_back("closes".to_owned());
    });
}

/// A machine with one pipe may wait for it, one with several may not.
#[test]
#[should_panic(expected = "rule 3")]
fn rule_3_a_stalled_pipe_stops_no_timer_of_a_hub() {
    let (mut world, [one, _], pipes) = hubs(1);
    world.stall(pipes[0], one, Duration::MAX);
    world.with(one, |hub, _| hub.write(0, 1_000));
    world.with(one, |hub, now| hub.deadline = Some(now));
}
