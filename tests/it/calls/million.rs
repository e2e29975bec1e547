//! Many calls over a bad line, with breaks and restarts: the promises hold for each.
//!
//! `TRIPLINE_CALLS=1000000 cargo test --release -p tripline-tests million` makes as many over each
//! scheme as the books are to be balanced for.

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SECOND, Where};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tripline_rpc::{
    CallId, CallOptions, ClientOptions, Config, ConnId, Event, Executed, NodeConfig, NodeEvent,
    Outcome, RequestId, Retry, Scheme, Wait,
};
use tripline_sansio::{Duration, Instant, Random, Seed};
use tripline_sim::{Chance, LinkConfig, StreamConfig};

/// So many calls, unless the environment says otherwise.
const CALLS: u64 = 20_000;
/// The client comes back after so many, and the server is started anew after ten times as many.
const RECONNECT_EVERY: u64 = 1_000;
/// At most so many are under way, where the server says how many it takes at once.
const IN_FLIGHT: usize = 400;

fn calls_wanted() -> u64 {
    std::env::var("TRIPLINE_CALLS").map_or(CALLS, |text| text.parse().expect("a number"))
}

struct Asked {
    tag: u64,
    retry: Retry,
}

/// Everything that was asked, executed and answered.
struct Books {
    meeting: Meeting,
    conn: ConnId,
    random: Random,
    /// At most so many are under way.
    in_flight: usize,
    made: u64,
    asked: BTreeMap<CallId, Asked>,
    /// Requests that are answered later.
    pending: VecDeque<(Instant, ConnId, RequestId, u64)>,
    /// In which lives of the server each call was executed that has no outcome yet.
    executed: BTreeMap<u64, BTreeSet<u64>>,
    life: u64,
    resets: u64,
    told: BTreeMap<&'static str, u64>,
}

impl Books {
    fn open(scheme: Scheme, seed: u64) -> Self {
        // Datagrams do not tell how many calls the server takes.
        let (in_flight, calls_max) =
            if scheme == Scheme::Udp { (60, 64) } else { (IN_FLIGHT, 128) };
        let peer = Config { calls_max, ..Config::default() };
        let config = NodeConfig { peer, ..NodeConfig::default() };
        let mut meeting = Meeting::with_config(Where::Simulator, scheme, seed, config);
        let ms = Duration::from_millis;
        let bad = LinkConfig::lossy(Chance::percent(1))
            .delay(ms(5))
            .jitter(ms(3))
            .duplicate(Chance::percent(1), ms(2));
        meeting.world().set_weather(bad, StreamConfig::perfect().delay(ms(5)), ms(10));
        let conn = meeting.connect(ClientOptions::default());
        Self {
            meeting,
            conn,
            random: Seed::from_number(seed).random("million"),
            in_flight,
            made: 0,
            asked: BTreeMap::new(),
            pending: VecDeque::new(),
            executed: BTreeMap::new(),
            life: 0,
            resets: 0,
            told: BTreeMap::new(),
        }
    }

    fn ask(&mut self) {
        let retry = [Retry::Never, Retry::Never, Retry::Deduplicated, Retry::Idempotent];
        // Over plain datagrams nobody is known again, so that what may be done twice is.
        let kinds = if self.meeting.address.scheme == Scheme::Udp { 3 } else { 4 };
        let retry = retry[usize::try_from(self.random.below(kinds)).unwrap()];
        let deadline = match self.random.below(20) {
            0 => Wait::For(Duration::from_millis(self.random.below(60))),
            _ => Wait::Default,
        };
        let options = CallOptions { retry, deadline, ..CallOptions::default() };
        let (conn, tag) = (self.conn, self.made);
        let method = ["one", "two", "three"][usize::try_from(tag % 3).unwrap()];
        let result = self
            .meeting
            .with(CLIENT, |node, now| node.call(now, conn, method, &tag.to_be_bytes(), options));
        let call = result.expect("there is room");
        self.made += 1;
        assert!(self.asked.insert(call, Asked { tag, retry }).is_none(), "a handle twice");
        if self.random.chance(1, 20) {
            let some = *self.asked.keys().next().expect("at least one");
            self.meeting.with(CLIENT, |node, now| node.cancel(now, conn, some));
        }
        if self.made.is_multiple_of(RECONNECT_EVERY * 10) {
            self.life += 1;
            self.meeting.restart_server();
            self.pending.clear();
        } else if self.made.is_multiple_of(RECONNECT_EVERY) {
            self.resets += 1;
            self.meeting.break_pipe(conn);
        }
    }

    /// Looks at all that was told, and answers what is to be answered.
    fn look(&mut self) {
        for event in self.meeting.events(SERVER) {
            let NodeEvent::Peer { conn, event } = event else { continue };
            match event {
                Event::Request { request, payload, .. } => {
                    let tag = u64::from_be_bytes(payload[..].try_into().expect("a tag"));
                    let lives = self.executed.entry(tag).or_default();
                    assert!(lives.insert(self.life), "{tag} executed twice");
                    let wait = Duration::from_millis(self.random.below(4) * self.random.below(10));
                    let at = self.meeting.now() + wait;
                    self.pending.push_back((at, conn, request, tag));
                }
                Event::Broken { violation } => panic!("{violation}"),
                _ => {}
            }
        }
        let now = self.meeting.now();
        for _ in 0..self.pending.len() {
            let Some(next) = self.pending.pop_front() else { break };
            if next.0 <= now {
                self.answer(next.1, next.2, next.3)
            } else {
                self.pending.push_back(next)
            }
        }
        for event in self.meeting.events(CLIENT) {
            match event {
                NodeEvent::Peer { event: Event::Outcome { call, outcome }, .. } => {
                    self.ended(call, &outcome);
                }
                NodeEvent::Peer { event: Event::Broken { violation }, .. } => panic!("{violation}"),
                NodeEvent::Finalised { .. } => panic!("it was to live on"),
                _ => {}
            }
        }
    }

    fn answer(&mut self, conn: ConnId, request: RequestId, tag: u64) {
        let fails = self.random.chance(1, 10);
        let tag = tag.to_be_bytes();
        // It may have been called off meanwhile.
        let _ = self.meeting.with(SERVER, |node, now| {
            if fails {
                node.fail(now, conn, request, -7, &tag)
            } else {
                node.reply(now, conn, request, &tag)
            }
        });
    }

    fn ended(&mut self, call: CallId, outcome: &Outcome) {
        let Some(Asked { tag, retry }) = self.asked.remove(&call) else {
            panic!("a second outcome: {outcome:?}")
        };
        let name = match outcome {
            Outcome::Reply(_) => "replies",
            Outcome::Failed { .. } => "failures",
            Outcome::Refused { .. } => "refusals",
            Outcome::Deadline { .. } => "deadlines",
            Outcome::Cancelled { .. } => "cancelled",
            Outcome::Gone { .. } => "gone",
        };
        *self.told.entry(name).or_default() += 1;
        let lives = self.executed.get(&tag).map_or(0, BTreeSet::len);
        assert!(lives <= 1 || retry == Retry::Idempotent, "{tag} executed {lives} times");
        match outcome {
            Outcome::Reply(payload) | Outcome::Failed { detail: payload, .. } => {
                assert_eq!(payload[..], tag.to_be_bytes(), "an answer for somebody else");
            }
            other if other.executed() == Executed::No => {
                assert_eq!(lives, 0, "{tag}: {other:?}");
            }
            _ => {}
        }
    }

    fn run(mut self, calls: u64) {
        while self.made < calls {
            while self.asked.len() < self.in_flight && self.made < calls {
                self.ask();
            }
            let deadline = self.meeting.now() + SECOND;
            self.meeting.step(deadline);
            self.look();
        }
        let end = self.meeting.now() + 60 * SECOND;
        while self.meeting.step(end) {
            self.look();
        }
        assert_eq!(self.asked.len(), 0, "calls without an outcome");
        assert_eq!(self.told.values().sum::<u64>(), calls);
        assert!(self.told["replies"] > calls / 2, "{:?}", self.told);
        for kind in ["failures", "deadlines", "cancelled", "gone"] {
            assert!(self.told.contains_key(kind), "no {kind}: {:?}", self.told);
        }
        for side in [CLIENT, SERVER] {
            let node = self.meeting.node(side);
            for conn in node.conns() {
                let peer = node.peer(conn).expect("it lives");
                assert!(peer.is_idle(), "{peer:?}");
            }
            assert_eq!(node.connections(), 1);
        }
        println!("{} resets, {} restarts, {:?}", self.resets, self.life, self.told);
    }
}

/// Q1, Q2, Q3, I19, N39: over loss, duplication, reconnects and restarts: no answer to another
/// caller, nothing executed twice, one outcome for each call, and nothing left in the end.
#[test]
fn n39_i19_the_books_of_many_calls_balance() {
    for scheme in [Scheme::Trip, Scheme::Tcp] {
        println!("over {scheme}");
        Books::open(scheme, 11).run(calls_wanted());
    }
}

/// M04, R-BOX-4, R-BOX-8: the same over plain datagrams, where what is lost ends by its deadline.
#[test]
fn m04_r_box_8_the_books_balance_over_plain_datagrams() {
    Books::open(Scheme::Udp, 11).run(calls_wanted());
}
