//! The life of connections, over random faults: every trace of events obeys one small grammar.

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SCHEMES, SECOND, Where};
use std::collections::BTreeMap;
use tripline_rpc::{
    CallId, CallOptions, ClientOptions, ConnId, Event, NetworkKind, Node, NodeEvent, NotifyOptions,
    ReconnectPolicy, RequestId, Retry, Scheme,
};
use tripline_sansio::{Duration, Random, Seed};

/// Where one connection stands, as its events say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Down,
    /// There is a pipe; whether HELLO was heard.
    Up {
        ready: bool,
    },
    Over,
}

/// Reads the events of one node, and says what is against the grammar.
#[derive(Default)]
struct Grammar {
    stages: BTreeMap<ConnId, Stage>,
    calls: BTreeMap<(ConnId, CallId), bool>,
    is_server: bool,
    opened: u64,
    failed: u64,
    finalised: u64,
}

impl Grammar {
    fn read(&mut self, event: &NodeEvent) {
        let (conn, is_life) = match event {
            NodeEvent::Opened { conn, .. }
            | NodeEvent::Failed { conn, .. }
            | NodeEvent::Closed { conn, .. }
            | NodeEvent::Lost { conn, .. }
            | NodeEvent::Finalised { conn } => (*conn, true),
            NodeEvent::Peer { conn, .. } => (*conn, false),
            _ => return,
        };
        let stage = self.stages.entry(conn).or_insert(Stage::Down);
        assert_ne!(*stage, Stage::Over, "after the end: {event:?}");
        if !is_life {
            let NodeEvent::Peer { event, .. } = event else { return };
            return Self::read_peer(stage, &mut self.calls, conn, event);
        }
        *stage = match (*stage, event) {
            (Stage::Down, NodeEvent::Opened { .. }) => {
                self.opened += 1;
                Stage::Up { ready: false }
            }
            (Stage::Down, NodeEvent::Failed { .. }) if !self.is_server => {
                self.failed += 1;
                Stage::Down
            }
            (Stage::Up { .. }, NodeEvent::Closed { .. } | NodeEvent::Lost { .. }) => Stage::Down,
            // Given up while there was no pipe.
            (Stage::Down, NodeEvent::Closed { by_us: true, .. }) => Stage::Down,
            (Stage::Down, NodeEvent::Finalised { .. }) => {
                self.finalised += 1;
                assert!(!self.calls.keys().any(|(of, _)| *of == conn), "calls without an outcome");
                Stage::Over
            }
            (stage, event) => panic!("{event:?} when {stage:?}"),
        };
    }

    fn read_peer(
        stage: &mut Stage,
        calls: &mut BTreeMap<(ConnId, CallId), bool>,
        conn: ConnId,
        event: &Event,
    ) {
        match event {
            Event::Ready { .. } => {
                assert_eq!(*stage, Stage::Up { ready: false });
                *stage = Stage::Up { ready: true };
            }
            Event::Request { .. } | Event::Notification { .. } | Event::Item { .. } => {
                assert_eq!(*stage, Stage::Up { ready: true }, "{event:?}");
            }
            Event::Outcome { call, .. } => {
                assert!(calls.remove(&(conn, *call)).is_some(), "a second outcome");
            }
            _ => {}
        }
    }
}

/// Two nodes, several connections, and whatever may happen.
struct Run {
    meeting: Meeting,
    random: Random,
    conns: Vec<ConnId>,
    requests: Vec<(usize, ConnId, RequestId)>,
    grammars: [Grammar; 2],
}

impl Run {
    fn new(scheme: Scheme, seed: u64) -> Self {
        let meeting = Meeting::with_config(Where::Simulator, scheme, seed, Default::default());
        let random = Seed::from_number(seed).random("life");
        let grammars = [Grammar::default(), Grammar { is_server: true, ..Grammar::default() }];
        Self { meeting, random, conns: Vec::new(), requests: Vec::new(), grammars }
    }

    fn look(&mut self) {
        for side in [CLIENT, SERVER] {
            for event in self.meeting.events(side) {
                self.grammars[side].read(&event);
                match event {
                    NodeEvent::Peer { conn, event: Event::Request { request, .. } } => {
                        self.requests.push((side, conn, request));
                    }
                    NodeEvent::Finalised { conn } if side == CLIENT => {
                        self.conns.retain(|known| *known != conn);
                    }
                    _ => {}
                }
            }
        }
    }

    fn some_conn(&mut self, side: usize) -> Option<ConnId> {
        let all: Vec<_> = self.meeting.node(side).conns().collect();
        let at = self.random.below(all.len().max(1) as u64);
        all.get(usize::try_from(at).unwrap()).copied()
    }

    fn step(&mut self) {
        let side = usize::try_from(self.random.below(2)).unwrap();
        match self.random.below(20) {
            0 | 1 if self.conns.len() < 5 => self.connect(),
            2..8 => self.ask(side),
            8..10 => self.answer(),
            10 => self.user_ends(),
            11 => self.network(),
            12 if self.random.chance(1, 4) => self.restart(),
            _ => {
                let time = Duration::from_millis(self.random.below(3_000));
                self.meeting.pass(time);
            }
        }
        self.look();
    }

    fn connect(&mut self) {
        let give_up_after = self.random.chance(1, 3).then(|| 3 * SECOND);
        let reconnects = self.random.chance(3, 4);
        let reconnect = ReconnectPolicy { give_up_after, reconnects, ..ReconnectPolicy::default() };
        let conn = self.meeting.connect(ClientOptions { reconnect, ..ClientOptions::default() });
        self.conns.push(conn);
    }

    fn ask(&mut self, side: usize) {
        let Some(conn) = self.some_conn(side) else { return };
        let retry = [Retry::Never, Retry::Deduplicated, Retry::Idempotent];
        let retry = retry[usize::try_from(self.random.below(3)).unwrap()];
        let options = CallOptions { retry, ..CallOptions::default() };
        let result = self.meeting.with(side, |node, now| {
            let call = node.call(now, conn, 1, b"question", options);
            let _ = node.notify(now, conn, 2, b"remark", NotifyOptions::default());
            call
        });
        // One that is over takes none.
        if let Ok(call) = result {
            self.grammars[side].calls.insert((conn, call), true);
        }
    }

    fn answer(&mut self) {
        for (side, conn, request) in std::mem::take(&mut self.requests) {
            // It may have been abandoned.
            let _ = self.meeting.with(side, |node, now| node.reply(now, conn, request, b"answer"));
        }
    }

    fn user_ends(&mut self) {
        let side = usize::try_from(self.random.below(2)).unwrap();
        let Some(conn) = self.some_conn(side) else { return };
        let grace = Duration::from_millis(self.random.below(4_000));
        let act = self.random.below(4);
        // What is over, or not ours, is an error and changes nothing.
        let _ = self.meeting.with(side, |node, now| match act {
            0 => node.close(now, conn, grace),
            1 => node.stop(now, conn),
            2 => node.reset(now, conn),
            _ => node.retry_in(now, conn, grace),
        });
    }

    fn network(&mut self) {
        let act = self.random.below(4);
        let hosts: Vec<_> = self.meeting.world().world().hosts().collect();
        match act {
            0 => self.meeting.world().break_links(hosts[CLIENT]),
            1 => {
                self.meeting.with(CLIENT, |node, now| node.network_changed(now, NetworkKind::Wifi))
            }
            2 => self.meeting.world().set_cut_off(hosts[CLIENT], true),
            _ => self.meeting.world().set_cut_off(hosts[CLIENT], false),
        }
    }

    fn restart(&mut self) {
        self.meeting.restart_server();
        self.requests.retain(|(side, ..)| *side == CLIENT);
        self.grammars[SERVER] = Grammar { is_server: true, ..Grammar::default() };
    }

    /// Everything ends, and nothing is left.
    fn finish(mut self) -> [u64; 3] {
        let hosts: Vec<_> = self.meeting.world().world().hosts().collect();
        self.meeting.world().set_cut_off(hosts[CLIENT], false);
        for conn in self.conns.clone() {
            let stop = |node: &mut Node, now| node.close(now, conn, SECOND);
            let _ = self.meeting.with(CLIENT, stop);
        }
        self.meeting.pass(300 * SECOND);
        self.look();
        for side in [CLIENT, SERVER] {
            let node = self.meeting.node(side);
            assert_eq!(node.connections(), 0);
            assert_eq!(node.hub().endpoint().connections(), 0);
            assert_eq!(node.hub().links().links(), 0);
            let over = |stage: &Stage| *stage == Stage::Over;
            assert!(
                self.grammars[side].stages.values().all(over),
                "{:?}",
                self.grammars[side].stages
            );
            assert!(self.grammars[side].calls.is_empty());
        }
        let client = &self.grammars[CLIENT];
        [client.opened, client.failed, client.finalised]
    }
}

/// N42, N56, M01, M03, M05, M07, N19, N20: whatever happens, each attempt ends once, each pipe is
/// opened and ends once, traffic lies between, `Finalised` comes last and once, and nothing stays.
#[test]
fn m05_n19_n20_every_trace_obeys_the_grammar() {
    let mut told = [0; 3];
    for scheme in [&SCHEMES[..], &[Scheme::Udp]].concat() {
        for seed in 0..12 {
            println!("over {scheme}, seed {seed}");
            let mut run = Run::new(scheme, seed);
            for _ in 0..200 {
                run.step();
            }
            let more = run.finish();
            told = std::array::from_fn(|at| told[at] + more[at]);
        }
    }
    let [opened, failed, finalised] = told;
    assert!(opened > 400 && failed > 100 && finalised > 200, "{told:?}");
}
