use super::toy::{BEAT, Rogue, Talk, Told};
use super::*;
use crate::toy::{Sin, sins};
use crate::{Chance, Discipline, HostId, Stage};
use std::cell::RefCell;
use std::rc::Rc;
use tripline_sansio::{Duration, Instant, Seed};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn at(time: Duration) -> Instant {
    Instant::ZERO + time
}

/// All that a link has by `now`, as pieces.
fn read_all(link: &mut StreamLink, now: Instant) -> Vec<(Arrived, Vec<u8>)> {
    link.arrive(now);
    let mut all = Vec::new();
    let mut out = Vec::new();
    while let Some(arrived) = link.read(&mut out) {
        all.push((arrived, std::mem::take(&mut out)));
    }
    all
}

fn link(config: StreamConfig) -> StreamLink {
    StreamLink::new(config, &Seed::from_number(1))
}

#[test]
fn bytes_arrive_after_the_delay_and_the_end_behind_the_last() {
    let mut link = link(StreamConfig::perfect().delay(10 * MS));
    assert_eq!((link.write(at(MS), b"one"), link.write(at(2 * MS), b"two")), (3, 3));
    link.finish(at(2 * MS));
    assert_eq!(link.write(at(2 * MS), b"late"), 0, "nothing behind the end");
    assert_eq!(link.next_time(), Some(at(11 * MS)));
    assert!(read_all(&mut link, at(10 * MS)).is_empty());
    assert_eq!(read_all(&mut link, at(11 * MS)), [(Arrived::Bytes(3), b"one".to_vec())]);
    let rest = read_all(&mut link, at(12 * MS));
    assert_eq!(rest, [(Arrived::Bytes(3), b"two".to_vec()), (Arrived::Fin, Vec::new())]);
    assert!(link.is_empty() && link.next_time().is_none());
}

#[test]
fn what_has_arrived_is_cut_anywhere_whatever_it_was_written_as() {
    let pieces = |cut| {
        let mut link = link(StreamConfig::perfect().cut(cut));
        for part in [&b"abc"[..], b"defgh", b"ij"] {
            link.write(Instant::ZERO, part);
        }
        let all = read_all(&mut link, Instant::ZERO);
        let bytes: Vec<u8> = all.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!(bytes, b"abcdefghij");
        all.into_iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>()
    };
    assert_eq!(pieces(Cut::Whole), [10]);
    assert_eq!(pieces(Cut::Bytes), [1; 10]);
    assert_eq!(pieces(Cut::UpTo(1)), [1; 10]);
    assert_eq!(pieces(Cut::UpTo(0)), [1; 10]);
    let drawn = pieces(Cut::UpTo(6));
    assert!(drawn.len() > 1 && drawn.iter().any(|len| *len > 1), "{drawn:?}");
}

#[test]
fn a_full_buffer_takes_fewer_bytes_until_they_are_read() {
    let mut link = link(StreamConfig::perfect().buffer(10).cut(Cut::UpTo(4)));
    assert_eq!(link.write(Instant::ZERO, &[1; 7]), 7);
    assert_eq!(link.write(Instant::ZERO, &[2; 7]), 3);
    assert_eq!((link.write(Instant::ZERO, &[3]), link.room()), (0, 0));
    // Having arrived is not enough.
    link.arrive(Instant::ZERO);
    assert_eq!(link.room(), 0);
    let mut out = Vec::new();
    link.read(&mut out).unwrap();
    assert_eq!(link.room(), out.len());
    assert_eq!((link.counters().full, link.counters().taken), (2, 10));
}

#[test]
fn the_rate_is_that_of_bytes_and_not_of_writes() {
    for chunk in [1, 10, 1_000, 100_000] {
        let mut link = link(StreamConfig::perfect().rate(10_000).buffer(usize::MAX).delay(MS));
        for part in [0; 100_000].chunks(chunk) {
            link.write(Instant::ZERO, part);
        }
        let half = read_all(&mut link, at(5 * SECOND + MS));
        let len: usize = half.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!((48_540..=50_000).contains(&len), "{len} bytes in pieces of {chunk}");
        read_all(&mut link, at(10 * SECOND + MS - Duration::from_nanos(1)));
        assert!(!link.is_empty());
        read_all(&mut link, at(10 * SECOND + MS));
        assert!(link.is_empty());
    }
}

#[test]
fn stalls_hold_up_all_behind_them_and_nothing_changes_its_place() {
    let rough = StreamConfig::perfect()
        .delay(5 * MS)
        .jitter(20 * MS)
        .stall(Chance::percent(5), SECOND)
        .buffer(usize::MAX);
    let mut link = link(rough.cut(Cut::UpTo(300)));
    let sent: Vec<u8> = (0..200_000_u32).map(|n| (n / 7) as u8).collect();
    let mut got = Vec::new();
    for (n, part) in sent.chunks(500).enumerate() {
        let now = at(MS * n as u32);
        link.write(now, part);
        got.extend(read_all(&mut link, now).into_iter().flat_map(|(_, bytes)| bytes));
    }
    while let Some(next) = link.next_time() {
        got.extend(read_all(&mut link, next).into_iter().flat_map(|(_, bytes)| bytes));
    }
    assert!(got == sent);
    let counters = link.counters();
    assert!((5..60).contains(&counters.stalls), "{counters:?}");
    assert_eq!((counters.taken, counters.delivered, counters.lost), (200_000, 200_000, 0));
}

#[test]
fn a_stall_lasts_as_long_as_it_is_told_to() {
    let mut link = link(StreamConfig::perfect());
    link.stall_until(Instant::MAX);
    link.write(Instant::ZERO, b"x");
    assert_eq!((link.next_time(), read_all(&mut link, at(SECOND)).len()), (None, 0));
    link.stall_until(at(2 * SECOND));
    assert_eq!(link.next_time(), Some(at(2 * SECOND)));
    assert_eq!(read_all(&mut link, at(2 * SECOND)).len(), 1);
}

#[test]
fn a_reset_takes_what_is_on_its_way_and_comes_through_a_stall() {
    let mut link = link(StreamConfig::perfect().delay(10 * MS));
    link.write(Instant::ZERO, &[1; 5]);
    link.stall_until(Instant::MAX);
    link.reset(at(MS));
    link.reset(at(2 * MS));
    // The sender does not know.
    assert_eq!(link.write(at(3 * MS), &[2; 4]), 4);
    assert_eq!(read_all(&mut link, at(11 * MS)), [(Arrived::Reset, Vec::new())]);
    assert!(read_all(&mut link, at(SECOND)).is_empty());
    assert_eq!((link.counters().lost, link.in_flight()), (9, 0));
}

/// Every knob has a generator of its own: what one draws does not depend on another.
#[test]
fn turning_one_knob_moves_no_draw_of_another() {
    let run = |config: StreamConfig| {
        let mut link = link(config.buffer(usize::MAX));
        let mut pieces = Vec::new();
        for _ in 0..50 {
            link.write(Instant::ZERO, &[0; 3_000]);
        }
        while let Some(next) = link.next_time() {
            pieces.extend(read_all(&mut link, next).into_iter().map(|(what, _)| what));
        }
        (pieces, link.counters())
    };
    let base = StreamConfig::perfect().stall(Chance::percent(20), MS);
    let stalls = run(base).1.stalls;
    assert!(stalls > 10);
    assert_eq!(run(base.jitter(3 * MS)).1.stalls, stalls);
    assert_eq!(run(base.cut(Cut::Bytes)).1.stalls, stalls);
    // A reset ends what comes behind it, and leaves what came before it as it was.
    let reset = base.reset(Chance::percent(3)).cut(Cut::UpTo(50));
    let (pieces, counters) = run(reset);
    assert_eq!((counters.resets, pieces.last()), (1, Some(&Arrived::Reset)));
    assert!(counters.lost > 0 && counters.taken == counters.delivered + counters.lost);
}

/// Two talkers; each sends so many frames.
fn pair(seed: u64, frames: [u32; 2], config: StreamConfig) -> (StreamWorld<Talk>, [HostId; 2]) {
    let mut world = StreamWorld::new(seed);
    world.set_default_pipe(config);
    let talk = |label| Stream::closing_on(Talk::new(world.random(label)), |e| *e == Told::Close);
    let machines = [talk("one"), talk("two")];
    let (hosts, _) = world.add_pair(machines);
    for (host, frames) in hosts.into_iter().zip(frames) {
        world.with(host, |machine, _| machine.send_more(frames));
    }
    (world, hosts)
}

fn rough() -> StreamConfig {
    StreamConfig::perfect()
        .delay(20 * MS)
        .jitter(30 * MS)
        .rate(200_000)
        .buffer(3_000)
        .cut(Cut::UpTo(700))
        .stall(Chance::percent(2), SECOND)
}

fn told(world: &mut StreamWorld<Talk>, host: HostId) -> Vec<Told> {
    world.take_events(host).into_iter().map(|(_, event)| event).collect()
}

fn frames(count: u32) -> Vec<Told> {
    (0..count).map(Told::Frame).collect()
}

#[test]
fn frames_arrive_whole_however_the_pipe_behaves_and_the_loop() {
    for seed in 0..20 {
        for discipline in [Discipline::default(), Discipline::sloppy(Chance::percent(30))] {
            for config in [rough(), rough().cut(Cut::Bytes).buffer(64), StreamConfig::perfect()] {
                let (mut world, [one, two]) = pair(seed, [40, 25], config);
                world.set_discipline(discipline);
                let idle = world.run_until_idle(1_000 * SECOND);
                assert!(idle.is_ok(), "seed {seed}, {config:?}: {idle:?}");
                assert_eq!(told(&mut world, two), frames(40));
                assert_eq!(told(&mut world, one), frames(25));
                assert_eq!(world.in_pipes(), 0);
            }
        }
    }
}

#[test]
fn the_same_seed_has_the_same_trace_and_another_seed_another() {
    let run = |seed, config| {
        let (mut world, _) = pair(seed, [30, 30], config);
        world.run_until_idle(1_000 * SECOND).unwrap();
        (world.trace_hash(), world.now())
    };
    assert_eq!(run(1, rough()), run(1, rough()));
    assert_ne!(run(1, rough()).0, run(2, rough()).0);
    assert_ne!(run(1, rough()).0, run(1, rough().cut(Cut::UpTo(699))).0);
}

#[test]
fn a_full_pipe_pushes_back_and_a_stalled_one_for_ever() {
    let (mut world, [one, two]) = pair(1, [0, 0], StreamConfig::perfect().delay(MS).buffer(1_000));
    let pipe = PipeId::first();
    world.stall(pipe, one, Duration::MAX);
    world.with(one, |machine, now| {
        machine.send_more(100);
        machine.beat(now, 3);
    });
    world.run_for(3_600 * SECOND);
    let counters = world.pipe_counters(pipe, one);
    assert_eq!((counters.taken, counters.delivered, counters.full), (1_000, 0, 1));
    assert!(world.in_pipes() > 1_000, "what the machine wrote waits");
    // The beat is due and cannot be written: that is no breach of rule 3, and no endless loop.
    assert_eq!(world.machine(one).beats, 3);
    let error = world.run_until_idle(SECOND).unwrap_err();
    assert_eq!(error.in_pipes, world.in_pipes());
    assert!(error.to_string().contains("bytes in pipes"), "{error}");
    world.stall(pipe, one, Duration::ZERO);
    world.run_until_idle(60 * SECOND).unwrap();
    assert_eq!(told(&mut world, two), frames(100));
    assert_eq!(world.machine(one).beats, 0);
}

#[test]
fn a_stall_of_a_while_ends_by_itself() {
    let (mut world, [one, two]) = pair(1, [1, 0], StreamConfig::perfect().delay(MS));
    world.stall(PipeId::first(), one, 5 * SECOND);
    assert_eq!(world.wait_event(two, 60 * SECOND), Some((at(5 * SECOND), Told::Frame(0))));
}

#[test]
fn a_half_close_comes_behind_the_last_byte_and_leaves_the_other_direction() {
    let (mut world, [one, two]) = pair(2, [50, 0], rough());
    let pipe = PipeId::first();
    world.half_close(pipe, one);
    world.run_until_idle(100 * SECOND).unwrap();
    let mut expected = frames(50);
    expected.push(Told::Eof);
    assert_eq!(told(&mut world, two), expected);
    world.with(two, |machine, _| machine.send_more(20));
    world.with(one, |machine, _| machine.send_more(1));
    world.run_until_idle(100 * SECOND).unwrap();
    assert_eq!((told(&mut world, one), told(&mut world, two)), (frames(20), vec![]));
    assert!(world.pipe_counters(pipe, one).refused > 0, "counted and thrown away");
}

#[test]
fn a_machine_closes_by_an_event_and_what_it_has_to_write_comes_first() {
    let (mut world, [one, two]) = pair(3, [10, 30], rough());
    world.with(one, |machine, _| machine.close_at(4));
    world.run_until_idle(100 * SECOND).unwrap();
    let mut expected = frames(10);
    expected.push(Told::Eof);
    assert_eq!(told(&mut world, two), expected);
    let mut expected = frames(5);
    expected.push(Told::Close);
    assert_eq!(told(&mut world, one)[..6], expected);
    // The other side may send all it has, into nothing.
    assert_eq!(world.pipe_counters(PipeId::first(), two).lost, 0);
}

#[test]
fn both_ends_learn_of_a_reset_once_and_another_pipe_goes_on() {
    let (mut world, [one, two]) = pair(4, [200, 0], rough());
    let pipe = PipeId::first();
    world.run_for(100 * MS);
    world.reset(pipe);
    world.run_until_idle(100 * SECOND).unwrap();
    assert!(world.pipe_counters(pipe, one).lost > 0);
    for host in [one, two] {
        let ends = told(&mut world, host).into_iter().filter(|event| *event == Told::Eof);
        assert_eq!(ends.count(), 1, "{host}");
    }
    let next = world.open_pipe([two, one]);
    world.with(one, |machine, _| machine.send_more(1));
    world.run_until_idle(SECOND).unwrap();
    assert!(matches!(told(&mut world, two)[..], [.., Told::Frame(_)]));
    assert!(world.pipe_counters(next, one).delivered > 0);
}

#[test]
fn a_reset_by_chance_tells_both_ends() {
    for seed in 0..20 {
        let config = rough().reset(Chance::percent(10));
        let (mut world, hosts) = pair(seed, [200, 200], config);
        world.run_until_idle(1_000 * SECOND).unwrap();
        for host in hosts {
            let events = told(&mut world, host);
            assert_eq!(events.last(), Some(&Told::Eof), "seed {seed}");
            let count = events.len() as u32 - 1;
            assert_eq!(events[..events.len() - 1], frames(count), "seed {seed}: in order");
        }
    }
}

#[test]
fn one_end_may_lose_a_pipe_and_the_other_not_hear_of_it() {
    let (mut world, [one, two]) = pair(5, [50, 50], StreamConfig::perfect().delay(10 * MS));
    let pipe = PipeId::first();
    world.run_for(5 * MS);
    world.break_end(pipe, one);
    world.break_end(pipe, one);
    world.run_until_idle(10 * SECOND).unwrap();
    assert_eq!(told(&mut world, one), [Told::Eof]);
    assert_eq!(told(&mut world, two), frames(50), "what was on its way arrives");
    // What it writes now vanishes; idle is idle.
    world.with(two, |machine, _| machine.send_more(500));
    world.run_until_idle(10 * SECOND).unwrap();
    assert_eq!(told(&mut world, one), []);
}

#[test]
fn taps_see_what_is_written_and_each_piece() {
    let (mut world, [one, two]) = pair(6, [0, 0], StreamConfig::perfect().cut(Cut::Bytes));
    let seen = Rc::new(RefCell::new([Vec::new(), Vec::new()]));
    let log = Rc::clone(&seen);
    world.add_pipe_tap(move |view| {
        assert_eq!((view.from, view.to, view.pipe), (one, two, PipeId::first()));
        log.borrow_mut()[usize::from(view.stage == Stage::Delivered)]
            .push(view.bytes.map(<[u8]>::len));
    });
    world.keep_trace(1_000);
    world.with(one, |machine, _| machine.send_more(1));
    world.half_close(PipeId::first(), one);
    world.run_for(SECOND);
    let [written, read] = &*seen.borrow();
    let Some(len) = written[0] else { panic!("{written:?}") };
    assert_eq!((written.len(), read.len(), read.last()), (1, len + 1, Some(&None)));
    assert_eq!(world.machine(two).pieces, vec![1; len]);
    let lines: Vec<_> = world.trace_lines().collect();
    let wrote = format!("0.000000000s wrote 10.0.0.1:1 > 10.0.0.2:1 pipe 0 {len} B ");
    assert!(lines[0].starts_with(&wrote), "{lines:?}");
    assert!(lines.last().unwrap().ends_with("pipe 0 the end"), "{lines:?}");
}

#[test]
fn beats_go_out_to_the_nanosecond() {
    let (mut world, [one, two]) = pair(7, [0, 0], StreamConfig::perfect());
    world.with(one, |machine, now| machine.beat(now, 60));
    let end = world.run_until_idle(100 * SECOND).unwrap();
    assert_eq!(end, at(60 * BEAT));
    assert_eq!(world.machine(two).pieces, [6; 60]);
}

#[test]
fn pipes_do_not_depend_on_which_others_there_are() {
    let run = |others: usize| {
        let mut world = StreamWorld::new(8);
        world.set_default_pipe(rough());
        let talk = |world: &StreamWorld<Talk>, label| Stream::new(Talk::new(world.random(label)));
        let machines = [talk(&world, "one"), talk(&world, "two")];
        let ([one, _], pipe) = world.add_pair(machines);
        for _ in 0..others {
            let machines = [talk(&world, "other"), talk(&world, "other")];
            let ([other, _], _) = world.add_pair(machines);
            world.with(other, |machine, _| machine.send_more(40));
        }
        world.with(one, |machine, _| machine.send_more(40));
        world.run_until_idle(100 * SECOND).unwrap();
        world.pipe_counters(pipe, one)
    };
    assert_eq!(run(0), run(3));
}

/// Lets a machine break its rule for three seconds; the world is to panic.
fn sin(sin: Sin) {
    let mut world = StreamWorld::new(99);
    let unlimited = StreamConfig::perfect().buffer(usize::MAX);
    world.set_default_pipe(unlimited);
    world.add_pair([Stream::new(Rogue::new(sin)), Stream::new(Rogue::new(Sin::None))]);
    world.run_for(3 * SECOND);
}

#[test]
fn a_machine_that_breaks_nothing_passes() {
    sin(Sin::None);
}

sins! {
    rule_3_a_past_deadline_panics: PastDeadline, "rule 3";
    rule_5_a_timer_that_does_nothing_panics: StuckTimer, "rule 5";
    rule_5_a_timer_that_spins_panics: Spin, "rule 5";
    rule_7_a_fickle_deadline_panics: Fickle, "rule 7";
    rule_8_endless_writes_panic: EndlessWrites, "rule 8";
    rule_8_a_write_without_measure_panics: Huge, "rule 8";
    rule_8_endless_events_panic: EndlessEvents, "rule 8";
    rule_1_output_made_by_fetching_events_panics: LateOutput, "rule 1";
    a_write_that_wrote_nothing_panics: Boast, "poll_write appends";
    a_write_that_is_hidden_panics: Hide, "poll_write appends";
    a_write_that_does_not_append_panics: Replace, "poll_write appends";
}

#[test]
#[should_panic(expected = "host 2 has no end of PipeId(0)")]
fn a_pipe_has_two_ends() {
    let mut world = StreamWorld::new(9);
    let rogue = || Stream::new(Rogue::new(Sin::None));
    let (_, pipe) = world.add_pair([rogue(), rogue()]);
    let ([other, _], _) = world.add_pair([rogue(), rogue()]);
    world.stall(pipe, other, SECOND);
}
