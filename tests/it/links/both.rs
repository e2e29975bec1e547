//! A connection that can go over datagrams and over a link at once (R-PATH-4): the client decides
//! which it is, and nothing sways between the two.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, LinkEndpoint, LinkId, Order,
    ReceiveResult, SendOptions, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_tests::identity;

const CLIENT: usize = 0;
const SERVER: usize = 1;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side as u8], 1_000))
}

/// Something on its way to a side: a datagram, or bytes of a link.
type Travelling = (usize, Option<u64>, Vec<u8>);

/// Two endpoints with datagrams and links between them.
struct Both {
    now: Instant,
    sides: [LinkEndpoint; 2],
    events: [Vec<Event>; 2],
    /// By when it arrives, and a number.
    on_way: BTreeMap<(Instant, u64), Travelling>,
    number: u64,
    /// How long a datagram travels, and what is written to a link.
    delays: [Duration; 2],
    /// Links that are open.
    links: Vec<u64>,
}

impl Both {
    /// Connected by datagrams; the handles of both sides.
    fn connected(delays: [u64; 2]) -> (Self, [ConnectionHandle; 2]) {
        let seed = Seed::from_number(1);
        let side = |config, label| {
            LinkEndpoint::new(Endpoint::new(config, &seed.child(label), Instant::ZERO))
        };
        let server = Config::public_server(identity("server"));
        let mut both = Self {
            now: Instant::ZERO,
            sides: [side(Config::client(), "client"), side(server, "server")],
            events: [Vec::new(), Vec::new()],
            on_way: BTreeMap::new(),
            number: 0,
            delays: delays.map(ms),
            links: Vec::new(),
        };
        let options = ConnectOptions::to(identity("server").public_key());
        let client = both.sides[CLIENT].endpoint_mut();
        let own = client.connect(Instant::ZERO, address(SERVER).into(), options).expect("begins");
        both.run(ms(1_000));
        let theirs = both.events[SERVER].iter().find_map(|event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        (both, [own, theirs.expect("connected")])
    }

    /// The client goes on over a new link.
    fn resume(&mut self, connection: ConnectionHandle, number: u64) {
        let link = LinkId::new(number);
        assert!(self.sides.iter_mut().all(|side| side.opened(link)));
        self.links.push(number);
        self.sides[CLIENT].resume(self.now, connection, link).expect("the connection goes on");
    }

    /// Both sides learn that a link is gone.
    fn break_link(&mut self, number: u64) {
        self.links.retain(|open| *open != number);
        for side in &mut self.sides {
            side.closed(self.now, LinkId::new(number));
        }
    }

    fn post(&mut self, to: usize, link: Option<u64>, bytes: Vec<u8>) {
        self.number += 1;
        let at = self.now + self.delays[usize::from(link.is_some())];
        self.on_way.insert((at, self.number), (to, link, bytes));
    }

    fn drain(&mut self) {
        for side in [CLIENT, SERVER] {
            let mut out = Vec::new();
            loop {
                while let Some(transmit) = self.sides[side].poll_transmit(self.now, &mut out) {
                    for datagram in out.chunks(transmit.segment_size) {
                        self.post(1 - side, None, datagram.to_vec());
                    }
                    out.clear();
                }
                let Some(link) = self.sides[side].poll_ready(self.now) else { break };
                self.sides[side].poll_write(self.now, link, &mut out);
                self.post(1 - side, Some(link.number()), std::mem::take(&mut out));
            }
            while let Some(event) = self.sides[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    fn run(&mut self, duration: Duration) {
        let limit = self.now + duration;
        loop {
            self.drain();
            let deadlines = self.sides.iter().filter_map(DatagramMachine::poll_timeout);
            let arrival = self.on_way.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = deadlines.chain(arrival).min().filter(|next| *next <= limit) else {
                self.now = limit;
                return;
            };
            self.now = self.now.max(next);
            while let Some(first) = self.on_way.first_entry().filter(|f| f.key().0 <= self.now) {
                let (to, link, mut bytes) = first.remove();
                let (from, now) = (Path::to(address(1 - to)), self.now);
                match link {
                    None => self.sides[to].handle_datagram(now, from, Ecn::NotEct, &mut bytes),
                    Some(number) if self.links.contains(&number) => {
                        self.sides[to].handle_bytes(now, LinkId::new(number), &bytes).expect("ok");
                    }
                    Some(_) => {}
                }
            }
            for side in &mut self.sides {
                side.handle_timeout(self.now);
            }
        }
    }

    /// Where a side sends to.
    fn remote(&mut self, side: usize, own: ConnectionHandle) -> Option<LinkId> {
        LinkId::of(self.sides[side].endpoint().remote(own).expect("it lives"))
    }

    /// How often a side said since the last call that its peer had moved.
    fn moves(&mut self, side: usize) -> usize {
        let moved = |event: &Event| matches!(event, Event::Moved { .. });
        std::mem::take(&mut self.events[side]).into_iter().filter(moved).count()
    }

    /// These sides send 40 messages, 50 ms apart; all of them arrive.
    fn talk(&mut self, handles: [ConnectionHandle; 2], speakers: &[usize]) {
        let mut streams = Vec::new();
        for side in speakers.iter().copied() {
            let (now, own) = (self.now, handles[side]);
            let options = StreamOptions::one_way(Order::Ordered);
            let endpoint = self.sides[side].endpoint_mut();
            streams.push((side, endpoint.open(now, own, options).expect("it opens")));
        }
        for _ in 0..40 {
            for (side, stream) in streams.iter().copied() {
                let (now, own) = (self.now, handles[side]);
                let endpoint = self.sides[side].endpoint_mut();
                let sent = endpoint.send(now, own, stream, vec![7; 3_000], SendOptions::default());
                sent.expect("it is taken");
            }
            self.run(ms(50));
        }
        self.run(ms(3_000));
        for (side, stream) in streams {
            let (now, own, mut got) = (self.now, handles[1 - side], 0);
            let endpoint = self.sides[1 - side].endpoint_mut();
            while let Ok(ReceiveResult::Data(_)) = endpoint.receive(now, own, stream) {
                got += 1;
            }
            assert_eq!(got, 40, "from side {side}");
        }
    }
}

/// R-PATH-4: both ways work, whichever is faster, and whoever has something to say: the server
/// moves once, with the client, and nobody moves again.
#[test]
fn r_path_4_nothing_sways_between_a_link_and_datagrams() {
    for delays in [[10, 10], [1, 60], [60, 1]] {
        for speakers in [&[CLIENT, SERVER][..], &[SERVER], &[CLIENT], &[]] {
            let (mut both, handles) = Both::connected(delays);
            let case = format!("{delays:?} {speakers:?}");
            both.talk(handles, speakers);
            assert_eq!([CLIENT, SERVER].map(|side| both.moves(side)), [0, 0], "{case}");
            both.resume(handles[CLIENT], 0);
            both.talk(handles, speakers);
            both.talk(handles, speakers);
            for (side, own) in [CLIENT, SERVER].into_iter().zip(handles) {
                assert_eq!(both.remote(side, own), Some(LinkId::new(0)), "{case}: side {side}");
            }
            assert_eq!([CLIENT, SERVER].map(|side| both.moves(side)), [0, 1], "{case}");
        }
    }
}

/// R-PATH-4: in the middle of a transfer, what the server has on its way by datagrams is taken, and
/// draws nobody back.
#[test]
fn r_path_4_a_transfer_goes_over_with_one_move() {
    for delays in [[10, 10], [1, 60], [60, 1]] {
        let (mut both, handles) = Both::connected(delays);
        let now = both.now;
        let options = StreamOptions::one_way(Order::Ordered);
        let server = both.sides[SERVER].endpoint_mut();
        let stream = server.open(now, handles[SERVER], options).expect("it opens");
        for _ in 0..10 {
            let (own, data) = (handles[SERVER], vec![1; 60_000]);
            server.send(now, own, stream, data, SendOptions::default()).expect("it is taken");
        }
        both.run(ms(100));
        both.resume(handles[CLIENT], 0);
        both.run(ms(5_000));
        let (now, mut got) = (both.now, 0);
        let client = both.sides[CLIENT].endpoint_mut();
        while let Ok(ReceiveResult::Data(_)) = client.receive(now, handles[CLIENT], stream) {
            got += 1;
        }
        assert_eq!(got, 10, "{delays:?}");
        assert_eq!([CLIENT, SERVER].map(|side| both.moves(side)), [0, 1], "{delays:?}");
    }
}

/// R-PATH-4, R-LINK-4a: when the link breaks, the server goes back to the datagrams that it has
/// proven, and the client follows what comes from there; or goes on over the next link.
#[test]
fn r_path_4_a_broken_link_leaves_the_datagrams() {
    for next_link in [false, true] {
        let (mut both, handles) = Both::connected([10, 10]);
        both.resume(handles[CLIENT], 0);
        both.talk(handles, &[CLIENT, SERVER]);
        both.moves(SERVER);
        both.break_link(0);
        let told = |event: &Event| matches!(event, Event::Unlinked { .. });
        both.drain();
        assert!(both.events[CLIENT].iter().any(told));
        if next_link {
            both.resume(handles[CLIENT], 1);
        }
        both.talk(handles, &[CLIENT, SERVER]);
        let expected = next_link.then(|| LinkId::new(1));
        for (side, own) in [CLIENT, SERVER].into_iter().zip(handles) {
            assert_eq!(both.remote(side, own), expected, "side {side}");
        }
    }
}
