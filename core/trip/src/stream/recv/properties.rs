//! Random schedules against an independent, simple model of a sender, and arbitrary frames.
#![allow(clippy::arithmetic_side_effects, reason = "a model's overflow fails its test")]

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use tripline_sansio::codec::Writer;
use tripline_sansio::{Random, Seed};

/// Schedules per property; [`arbitrary_frames_never_panic`] is cheaper and has eight times as many.
const CASES: u32 = 500;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Reliable,
    /// Sent to its end, perhaps in vain, and given up.
    GivenUp,
    /// Given up when only this share (of 256) of it was sent.
    Cut(u8),
}

/// How the stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Close,
    Stop,
}

#[derive(Clone, Debug)]
struct Sent {
    start: u64,
    /// As far as it was sent, in wire form.
    bytes: Vec<u8>,
    prefix: usize,
    body: Vec<u8>,
    fate: Fate,
}

impl Sent {
    fn is_cut(&self) -> bool {
        self.bytes.len() < self.prefix + self.body.len()
    }
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Something that the receiver may see.
#[derive(Clone, Debug)]
enum Event {
    Stream { offset: u64, bytes: Vec<u8>, aligned: bool, fin: bool },
    Skip(Range<u64>),
    Close(u64),
}

/// Lays messages out one after the other. Bodies are random, and small lengths abound in them, so
/// that a wrong boundary shows.
fn lay_out(plan: &[(usize, Fate)], random: &mut Random) -> Vec<Sent> {
    let mut start = 0;
    let mut all = Vec::new();
    for &(length, fate) in plan {
        let body: Vec<u8> = (0..length).map(|_| random.bytes::<1>()[0]).collect();
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).varint_bytes(&body);
        let prefix = bytes.len() - length;
        if let Fate::Cut(share) = fate {
            bytes.truncate(prefix + length * usize::from(share) / 256);
        }
        let sent = Sent { start, bytes, prefix, body, fate };
        start = sent.end();
        all.push(sent);
    }
    all
}

/// One transmission of everything, sliced at random under R-MSG-2. Frames of messages given up are
/// lost at random.
fn transmit(sent: &[Sent], most: u64, random: &mut Random, out: &mut Vec<Event>) {
    let (mut at, mut done) = (0, 0);
    while let Some(first) = sent.get(at) {
        let mut room = usize::try_from(1 + random.below(most)).unwrap();
        let offset = first.start + done as u64;
        let (from, mut bytes) = (at, Vec::new());
        let aligned = done == 0;
        if aligned {
            room = room.max(first.prefix);
        }
        loop {
            let message = &sent[at];
            // A length is not divided in an aligned frame.
            if aligned && done == 0 && room < message.prefix {
                break;
            }
            let take = room.min(message.bytes.len() - done);
            bytes.extend_from_slice(&message.bytes[done..done + take]);
            (room, done) = (room - take, done + take);
            if done < message.bytes.len() {
                break;
            }
            (at, done) = (at + 1, 0);
            // Nothing follows a cut message in its frame, nor the end of a fragment.
            if !aligned || message.is_cut() || at == sent.len() {
                break;
            }
        }
        let upto = (at + usize::from(done > 0)).min(sent.len());
        let may_be_lost = sent[from..upto].iter().all(|message| message.fate != Fate::Reliable);
        if !(may_be_lost && random.chance(1, 2)) {
            out.push(Event::Stream { offset, bytes, aligned, fin: false });
        }
    }
}

fn shuffle(events: &mut [Event], random: &mut Random, distance: u64) {
    for at in 0..events.len() {
        let other = at + usize::try_from(random.below(distance)).unwrap();
        if other < events.len() {
            events.swap(at, other);
        }
    }
}

/// The half under test, and what the user saw.
struct Run {
    half: RecvHalf,
    order: Order,
    /// All that was told as consumed.
    consumed: u64,
    taken: Vec<Vec<u8>>,
    end: Option<Taken>,
}

impl Run {
    fn new(order: Order) -> Self {
        let half = RecvHalf::new(order, 1 << 20);
        Self { half, order, consumed: 0, taken: Vec::new(), end: None }
    }

    fn feed(&mut self, event: &Event) -> Result<(), Violation> {
        let (gaps, readable) = (self.half.gaps(), self.half.is_readable());
        let effect = match event {
            Event::Stream { offset, bytes, aligned, fin } => {
                let aligned = *aligned && self.order != Order::Bytes;
                self.half.on_stream(*offset, bytes, aligned, *fin)?
            }
            Event::Skip(range) => self.half.on_skip(range.clone())?,
            Event::Close(end) => self.half.on_close(Code::application(7), *end)?,
        };
        self.consumed += effect.consumed;
        assert!(self.half.gaps() <= gaps + GAPS_PER_FRAME, "{gaps} -> {}", self.half.gaps());
        if self.half.is_readable() && !readable {
            assert!(effect.readable, "readable without saying so: {event:?}");
        }
        self.check();
        Ok(())
    }

    /// What holds at all times: R-STREAM-2, R-CREDIT-4.
    fn check(&self) {
        assert_eq!(self.consumed, self.half.consumed());
        assert!(self.consumed <= self.half.highest());
        let held = usize::try_from(self.half.highest() - self.consumed).unwrap();
        // A segment of which most was taken, and what a range costs.
        let segment = if self.order == Order::Bytes { 66_000 } else { 18_000 };
        // What a stream that has carried as much may reserve for a message.
        let ahead = if self.half.highest() > 65_536 { 66_000 } else { 0 };
        let constant = segment + ahead + 2_000 + self.half.gaps() * 300;
        assert!(
            self.half.memory() <= held.saturating_mul(2).saturating_add(constant),
            "{} {held}",
            self.half.memory()
        );
    }

    fn take(&mut self) -> bool {
        let readable = self.half.is_readable();
        let taken = self.half.take();
        assert_eq!(readable, taken != Taken::Nothing);
        match taken {
            Taken::Data { bytes, consumed } => {
                self.consumed += consumed;
                self.taken.push(bytes.to_vec());
            }
            Taken::Nothing => return false,
            end => assert_eq!(self.end.replace(end), None),
        }
        self.check();
        true
    }
}

fn schedule(sent: &[Sent], end: End, random: &mut Random) -> Vec<Event> {
    let final_offset = sent.last().map_or(0, Sent::end);
    let mut events = Vec::new();
    let most = [3, 40, 1_500][usize::try_from(random.below(3)).unwrap()];
    for _ in 0..=random.below(3) {
        transmit(sent, most, random, &mut events);
    }
    let given_up = sent.iter().filter(|message| message.fate != Fate::Reliable);
    events.extend(given_up.map(|message| Event::Skip(message.start..message.end())));
    let repeats: Vec<Event> = events.iter().filter(|_| random.chance(1, 6)).cloned().collect();
    events.extend(repeats);
    events.push(match end {
        End::Close => Event::Close(final_offset),
        _ => Event::Stream { offset: final_offset, bytes: vec![], aligned: false, fin: true },
    });
    let distance = [1, 4, 1_000_000][usize::try_from(random.below(3)).unwrap()];
    shuffle(&mut events, random, distance);
    events
}

fn drive(order: Order, events: &[Event], end: End, random: &mut Random) -> Run {
    let mut run = Run::new(order);
    let stop_at = random.below(events.len() as u64 + 1);
    let eager = random.below(4);
    for (at, event) in events.iter().enumerate() {
        if end == End::Stop && at as u64 == stop_at {
            run.consumed += run.half.stop().consumed;
            run.check();
        }
        run.feed(event).unwrap_or_else(|broken| panic!("{broken:?} at event {at}, {event:?}"));
        while random.chance(eager, 4) && run.take() {}
    }
    while run.take() {}
    if end == End::Stop {
        run.consumed += run.half.stop().consumed;
    }
    run
}

/// Which messages were delivered, by index, in the order of delivery. Each body is looked for from
/// the front, so equal ones are told apart by how often they come.
fn delivered(run: &Run, sent: &[Sent]) -> Vec<usize> {
    let mut free: Vec<usize> = (0..sent.len()).filter(|at| !sent[*at].is_cut()).collect();
    let find = |body: &Vec<u8>| {
        let at = free.iter().position(|at| sent[*at].body == *body);
        free.remove(at.expect("delivered what was not sent, or twice"))
    };
    run.taken.iter().map(find).collect()
}

fn check_delivery(run: &Run, sent: &[Sent], end: End) {
    let messages = delivered(run, sent);
    let reliable = |at: &usize| sent[*at].fate == Fate::Reliable;
    if run.order != Order::Unordered {
        // Equal bodies are interchangeable: compare bodies, as a subsequence.
        let mut rest = sent.iter().filter(|message| !message.is_cut());
        assert!(run.taken.iter().all(|body| rest.any(|message| message.body == *body)));
    }
    if end != End::Fin {
        return;
    }
    if run.order == Order::Latest {
        // The newest reliable one, or something newer.
        if let Some(newest) = (0..sent.len()).rfind(reliable) {
            let newer = |body: &Vec<u8>| sent[newest..].iter().any(|message| message.body == *body);
            assert!(run.taken.last().is_some_and(newer));
        }
    } else {
        let bodies = |at: &usize| sent[*at].body.clone();
        let mut missing: Vec<Vec<u8>> =
            (0..sent.len()).filter(reliable).map(|at| bodies(&at)).collect();
        for body in messages.iter().map(bodies) {
            if let Some(at) = missing.iter().position(|one| *one == body) {
                missing.remove(at);
            }
        }
        assert!(missing.is_empty(), "{} reliable messages missing", missing.len());
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Reliable),
        1 => Just(Fate::GivenUp),
        1 => any::<u8>().prop_map(Fate::Cut),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0_usize..4, 2 => 0_usize..100, 1 => 0_usize..20_000]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![3 => Just(End::Fin), 1 => Just(End::Close), 1 => Just(End::Stop)]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(4),
        ..ProptestConfig::default()
    }
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Ordered), Just(Order::Unordered), Just(Order::Latest)]
}

proptest! {
    #![proptest_config(config(CASES))]

    /// R-MSG-1..3, R-SKIP-1, R-SKIP-2, R-STREAM-2: whatever order frames come in, however they are
    /// sliced, what is reliable arrives, in the stream's order, what is cut never does, nothing
    /// twice, and in the end consumed = final offset.
    #[test]
    fn messages_of_a_legal_sender_arrive(
        plan in prop::collection::vec((length(), fate()), 0..14),
        order in orders(),
        end in end(),
        seed in any::<u64>(),
    ) {
        let mut random = Seed::from_number(seed).random("schedule");
        let sent = lay_out(&plan, &mut random);
        let events = schedule(&sent, end, &mut random);
        let run = drive(order, &events, end, &mut random);
        check_delivery(&run, &sent, end);
        let final_offset = sent.last().map_or(0, Sent::end);
        assert!(run.half.is_done(), "{:?}", run.half);
        assert_eq!((run.consumed, run.half.highest()), (final_offset, final_offset));
        match end {
            End::Fin => assert_eq!(run.end, Some(Taken::Finished)),
            // A close that comes after everything else is known changes nothing.
            End::Close => assert_eq!(run.end, Some(Taken::Closed(Code::application(7)))),
            End::Stop => {}
        }
        assert_eq!(run.half.gaps(), 0);
    }

    /// R-STREAM-2 on byte streams: all bytes, in order, whatever order they come in.
    #[test]
    fn bytes_of_a_legal_sender_arrive(
        length in 0_usize..20_000,
        end in end(),
        seed in any::<u64>(),
    ) {
        let mut random = Seed::from_number(seed).random("schedule");
        let sent = lay_out(&[(length, Fate::Reliable)], &mut random);
        let events = schedule(&sent, end, &mut random);
        let run = drive(Order::Bytes, &events, end, &mut random);
        let bytes = run.taken.concat();
        assert!(sent[0].bytes.starts_with(&bytes));
        assert!(run.half.is_done());
        assert_eq!(run.consumed, sent[0].end());
        if end == End::Fin {
            assert_eq!((bytes.len(), run.end), (sent[0].bytes.len(), Some(Taken::Finished)));
        }
    }
}

fn garbage() -> impl Strategy<Value = Event> {
    // Short lengths abound, so that many frames are valid, and many of those contradict.
    let bytes = prop::collection::vec(prop_oneof![8 => 0_u8..4, 1 => any::<u8>()], 0..12);
    let offset = prop_oneof![20 => 0_u64..40, 1 => any::<u64>()];
    let stream = (offset, bytes, any::<bool>(), prop::bool::weighted(0.02))
        .prop_map(|(offset, bytes, aligned, fin)| Event::Stream { offset, bytes, aligned, fin });
    let skip = (0_u64..40, 0_u64..12).prop_map(|(at, count)| Event::Skip(at..at + count));
    let close = prop_oneof![0_u64..60, any::<u64>()].prop_map(Event::Close);
    prop_oneof![30 => stream, 5 => skip, 1 => close]
}

proptest! {
    #![proptest_config(config(8 * CASES))]

    /// Arbitrary frames never panic and never break the accounts, whatever is refused.
    #[test]
    fn arbitrary_frames_never_panic(
        order in prop_oneof![1 => Just(Order::Bytes), 3 => orders()],
        events in prop::collection::vec(garbage(), 0..40),
        seed in any::<u64>(),
    ) {
        let mut random = Seed::from_number(seed).random("garbage");
        let mut run = Run::new(order);
        for event in &events {
            if run.half.highest() > 1 << 40 {
                break;
            }
            if run.feed(event).is_err() {
                // The connection closes; a half that is used all the same must not panic either.
                for event in &events {
                    let _ = run.half.on_stream(3, &[0, 1, 2], true, false);
                    match event {
                        Event::Stream { offset, bytes, aligned, fin } => {
                            let _ = run.half.on_stream(*offset, bytes, *aligned, *fin);
                        }
                        Event::Skip(range) => drop(run.half.on_skip(range.clone())),
                        Event::Close(end) => drop(run.half.on_close(Code::NONE, *end)),
                    }
                    let _ = run.half.take();
                }
                break;
            }
            while random.chance(1, 2) && run.take() {}
        }
    }
}
