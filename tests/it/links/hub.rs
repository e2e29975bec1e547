//! The transport as a hub: datagrams, links, and whichever answers first (row N49), in virtual
//! time. What lies between the two hubs is as simple as can be: datagrams take a while, or vanish;
//! links are there at once, or not, or lead to somebody else.

use super::message;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tripline::{
    Carrier, Config, ConnectError, ConnectOptions, ConnectionHandle, Endpoint, Event, HubEvent,
    LinkHub, LinkRoute, Order, Over, ReceiveResult, SendOptions, State, StreamId, StreamOptions,
    Target,
};
use tripline_sansio::{
    Answer, Duration, Ecn, Hub, Instant, LinkError, LinkFailure, LinkKind, Path, Seed, Wish,
};
use tripline_tests::identity;

const CLIENT: usize = 0;
const SERVER: usize = 1;
/// The port at which the server is.
const PORT: u16 = 2_222;

fn addresses() -> [SocketAddr; 2] {
    [SocketAddr::from(([10, 0, 0, 1], 1_111)), SocketAddr::from(([10, 0, 0, 2], PORT))]
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What becomes of an attempt to open a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Accept,
    Refuse,
    /// Nothing ever.
    Silent,
    /// There is somebody, who does not speak with us.
    Foreign,
}

struct Net {
    now: Instant,
    hubs: [LinkHub; 2],
    /// For each side and link, that of the other side.
    ends: [BTreeMap<u64, u64>; 2],
    events: [Vec<HubEvent>; 2],
    /// Datagrams on their way: when, to whom.
    flying: BTreeSet<(Instant, u64, usize, Vec<u8>)>,
    sent: u64,
    /// How long datagrams take; `None`: they vanish.
    udp: Option<Duration>,
    /// By kind and port; what is not there is refused.
    links: BTreeMap<(LinkKind, u16), Policy>,
    /// What the client wished for.
    wished: Vec<(Instant, LinkKind, SocketAddr)>,
    closed: usize,
}

impl Net {
    fn new(udp: Option<Duration>, links: &[(LinkKind, u16, Policy)]) -> Self {
        let sides =
            [(Config::client(), "client"), (Config::public_server(identity("server")), "server")];
        let hubs = sides.map(|(config, label)| {
            let seed = Seed::from_number(1).child(label);
            LinkHub::new(Endpoint::new(config, &seed, Instant::ZERO), &seed.child("hub"))
        });
        Self {
            now: Instant::ZERO,
            hubs,
            ends: Default::default(),
            events: Default::default(),
            flying: BTreeSet::new(),
            sent: 0,
            udp,
            links: links.iter().map(|(kind, port, policy)| ((*kind, *port), *policy)).collect(),
            wished: Vec::new(),
            closed: 0,
        }
    }

    fn connect(&mut self, over: Over) -> ConnectionHandle {
        let key = self.hubs[SERVER].endpoint().public_key().expect("a key");
        let target = Target::from(addresses()[SERVER]);
        let begun = self.hubs[CLIENT].connect(self.now, target, ConnectOptions::to(key), over);
        begun.expect("begun")
    }

    /// Lets both say all they have to say; then their deadlines lie ahead (rule 3).
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !(self.carry(CLIENT) | self.carry(SERVER)) {
                for hub in &self.hubs {
                    let deadline = hub.poll_timeout();
                    assert!(deadline.is_none_or(|at| at > self.now), "rule 3: {deadline:?}");
                }
                return;
            }
        }
        panic!("they never fall silent");
    }

    /// Carries what one side has; whether there was anything.
    fn carry(&mut self, from: usize) -> bool {
        let (now, to) = (self.now, 1 - from);
        let (mut some, mut out) = (false, Vec::new());
        while let Some((number, transmit)) = self.hubs[from].poll_transmit(now, &mut out) {
            assert_eq!((number, transmit.path.remote), (LinkHub::UDP, addresses()[to]));
            for datagram in out.chunks(transmit.segment_size) {
                self.sent += 1;
                if let Some(delay) = self.udp {
                    self.flying.insert((now + delay, self.sent, to, datagram.to_vec()));
                }
            }
            out.clear();
            some = true;
        }
        while let Some(link) = self.hubs[from].poll_ready(now) {
            while self.hubs[from].poll_write(now, link, &mut out) {
                if let Some(other) = self.ends[from].get(&link) {
                    self.hubs[to].handle_bytes(now, *other, &out);
                }
                out.clear();
                some = true;
            }
        }
        while let Some(wish) = self.hubs[from].poll_wish() {
            self.grant(from, wish);
            some = true;
        }
        while let Some(event) = self.hubs[from].poll_event() {
            self.events[from].push(event);
            some = true;
        }
        some
    }

    fn grant(&mut self, from: usize, wish: Wish) {
        let (now, to) = (self.now, 1 - from);
        match wish {
            Wish::Open { link, kind, address, .. } => {
                assert_eq!(address.ip(), addresses()[to].ip());
                self.wished.push((now, kind, address));
                let policy = self.links.get(&(kind, address.port())).unwrap_or(&Policy::Refuse);
                let answer = match policy {
                    Policy::Silent => return,
                    Policy::Refuse => {
                        let text = String::new();
                        Answer::Failed(LinkError { failure: LinkFailure::Refused, text })
                    }
                    Policy::Foreign => Answer::Opened { local: None },
                    Policy::Accept => {
                        let remote = addresses()[from];
                        let other = self.hubs[to].handle_accepted(now, 0, kind, remote);
                        let other = other.expect("let in");
                        self.ends[from].insert(link, other);
                        self.ends[to].insert(other, link);
                        Answer::Opened { local: None }
                    }
                };
                self.hubs[from].handle_answer(now, link, answer);
            }
            Wish::Close { link } => {
                self.closed += 1;
                if let Some(other) = self.ends[from].remove(&link) {
                    self.ends[to].remove(&other);
                    self.hubs[to].handle_eof(now, other);
                }
            }
            Wish::Listen { .. } => panic!("nobody listens here"),
        }
    }

    /// Breaks all links.
    fn reset(&mut self) {
        for side in [CLIENT, SERVER] {
            for link in std::mem::take(&mut self.ends[side]).into_keys() {
                let error = LinkError { failure: LinkFailure::Broken, text: String::new() };
                self.hubs[side].handle_answer(self.now, link, Answer::Failed(error));
            }
        }
    }

    /// Goes on to the next time at which something happens; `false` if that is after `limit`.
    fn step(&mut self, limit: Instant) -> bool {
        self.settle();
        let arrives = self.flying.first().map(|one| one.0);
        let wakes = self.hubs.iter().filter_map(Hub::poll_timeout).min();
        let Some(next) = arrives.into_iter().chain(wakes).min().filter(|next| *next <= limit)
        else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        while let Some((at, ..)) = self.flying.first()
            && *at <= self.now
        {
            let (_, _, to, mut datagram) = self.flying.pop_first().expect("just seen");
            let path = Path::to(addresses()[1 - to]);
            let ecn = Ecn::NotEct;
            self.hubs[to].handle_datagram(self.now, LinkHub::UDP, path, ecn, &mut datagram);
        }
        for hub in &mut self.hubs {
            if hub.poll_timeout().is_some_and(|at| at <= self.now) {
                hub.handle_timeout(self.now);
            }
        }
        self.settle();
        true
    }

    fn run(&mut self, duration: Duration) {
        let limit = self.now + duration;
        while self.step(limit) {}
    }

    /// Runs until a side has seen what `pick` looks for.
    #[track_caller]
    fn wait<T>(&mut self, side: usize, pick: impl Fn(&HubEvent) -> Option<T>) -> T {
        let limit = self.now + Duration::from_secs(120);
        loop {
            self.settle();
            if let Some(found) = self.events[side].iter().find_map(&pick) {
                return found;
            }
            assert!(self.step(limit), "side {side} saw {:?}", self.events[side]);
        }
    }

    /// Waits until both are connected; the server's handle.
    #[track_caller]
    fn connected(&mut self) -> ConnectionHandle {
        let pick = |event: &HubEvent| match event {
            HubEvent::Connection(Event::Connected { connection, .. }) => Some(*connection),
            _ => None,
        };
        self.wait(CLIENT, pick);
        self.wait(SERVER, pick)
    }

    fn carrier(&self, connection: ConnectionHandle) -> Option<Carrier> {
        self.hubs[CLIENT].carrier(connection)
    }

    fn kind(&self, connection: ConnectionHandle) -> Option<LinkKind> {
        self.carrier(connection).map(|carrier| carrier.kind)
    }

    fn open(&mut self, connection: ConnectionHandle) -> StreamId {
        let (now, options) = (self.now, StreamOptions::one_way(Order::Ordered));
        self.hubs[CLIENT].endpoint_mut().open(now, connection, options).expect("open")
    }

    fn send(&mut self, connection: ConnectionHandle, stream: StreamId, data: Vec<u8>) {
        let (now, options) = (self.now, SendOptions::default());
        let end = self.hubs[CLIENT].endpoint_mut();
        end.send(now, connection, stream, data, options).expect("taken");
    }

    /// Runs until the server has so many messages of a stream; all of them.
    #[track_caller]
    fn collect(&mut self, at: ConnectionHandle, stream: StreamId, count: usize) -> Vec<Vec<u8>> {
        let limit = self.now + Duration::from_secs(120);
        let mut all = Vec::new();
        loop {
            self.settle();
            let (now, end) = (self.now, self.hubs[SERVER].endpoint_mut());
            while let Ok(ReceiveResult::Data(data)) = end.receive(now, at, stream) {
                all.push(data.to_vec());
            }
            if all.len() >= count {
                return all;
            }
            assert!(self.step(limit), "{} of {count} messages", all.len());
        }
    }
}

const TCP: (LinkKind, u16, Policy) = (LinkKind::Tcp, PORT, Policy::Accept);

/// N49, R-LINK-8: behind a black hole for datagrams TCP is up 300 ms after the call, on both sides,
/// and both say so.
#[test]
fn n49_r_link_8_a_link_follows_the_head_start() {
    let mut net = Net::new(None, &[TCP]);
    let client = net.connect(Over::auto());
    let server = net.connected();
    assert_eq!(net.now, Instant::ZERO + ms(300));
    let tcp = |remote| Some(Carrier { kind: LinkKind::Tcp, remote });
    assert_eq!(net.carrier(client), tcp(addresses()[SERVER]));
    assert_eq!(net.hubs[SERVER].carrier(server), tcp(addresses()[CLIENT]));
    let told = net.wait(SERVER, |event| match event {
        HubEvent::Connection(Event::Connected { remote, .. }) => Some(*remote),
        _ => None,
    });
    assert_eq!(told, addresses()[CLIENT], "users are told places, not links");
}

/// N49: where datagrams get through within the head start, no link is ever opened.
#[test]
fn n49_datagrams_win_where_they_get_through() {
    let mut net = Net::new(Some(ms(100)), &[TCP]);
    let client = net.connect(Over::auto());
    net.connected();
    net.run(Duration::from_secs(30));
    assert_eq!((net.kind(client), net.wished.len()), (Some(LinkKind::Udp), 0));
}

/// N49: slower datagrams win if the link is slower still; that is let go once it is there.
#[test]
fn n49_slow_datagrams_win_against_a_slower_link() {
    let mut net = Net::new(Some(ms(200)), &[(LinkKind::Tcp, PORT, Policy::Silent)]);
    let client = net.connect(Over::auto());
    net.connected();
    assert_eq!((net.kind(client), net.wished.len()), (Some(LinkKind::Udp), 1));
    net.hubs[CLIENT].handle_answer(net.now, 1, Answer::Opened { local: None });
    net.settle();
    assert_eq!((net.kind(client), net.closed), (Some(LinkKind::Udp), 1));
}

/// R-LINK-4c: OPEN went over a link to somebody else: a late answer by datagrams still counts.
#[test]
fn r_link_4_a_late_answer_by_datagrams_counts() {
    let mut net = Net::new(Some(ms(200)), &[(LinkKind::Tcp, PORT, Policy::Foreign)]);
    let client = net.connect(Over::auto());
    net.connected();
    assert!(net.now < Instant::ZERO + ms(1_000), "{:?}", net.now);
    assert_eq!(net.kind(client), Some(LinkKind::Udp));
    net.run(Duration::from_secs(10));
    assert_eq!(net.hubs[CLIENT].endpoint().state(client), Some(State::Ready));
    assert_eq!(net.kind(client), Some(LinkKind::Udp));
}

/// R-LINK-4c: when such a link is given up OPEN goes by datagrams again.
#[test]
fn r_link_4_open_goes_back_to_datagrams() {
    let mut net = Net::new(None, &[(LinkKind::Tcp, PORT, Policy::Foreign)]);
    let client = net.connect(Over::auto());
    net.run(ms(1_000));
    net.udp = Some(ms(20));
    net.links.clear();
    net.connected();
    assert_eq!(net.kind(client), Some(LinkKind::Udp));
    assert!(net.now < Instant::ZERO + ms(4_000), "{:?}", net.now);
}

/// N49: every kind is tried in turn, at its own port.
#[test]
fn n49_one_kind_after_the_other() {
    let mut net = Net::new(
        None,
        &[(LinkKind::Tcp, PORT, Policy::Foreign), (LinkKind::Tls, 443, Policy::Accept)],
    );
    let mut over = Over::auto();
    over.links.push(LinkRoute { kind: LinkKind::Tls, port: Some(443) });
    let client = net.connect(over);
    net.connected();
    assert_eq!(net.kind(client), Some(LinkKind::Tls));
    assert_eq!(net.now, Instant::ZERO + ms(3_300), "the first had its time to answer");
}

/// R-LINK-8: a connection whose datagrams are blocked later goes over to a link, and loses nothing;
/// one whose peer is only silent for a moment does not.
#[test]
fn r_link_8_a_connection_goes_over_when_datagrams_are_blocked() {
    let mut net = Net::new(Some(ms(20)), &[TCP]);
    let client = net.connect(Over::auto());
    let server = net.connected();
    let stream = net.open(client);
    net.send(client, stream, message(0, 10));
    net.collect(server, stream, 1);
    net.udp = None;
    (1..20).for_each(|number| net.send(client, stream, message(number, 2_000)));
    let got = net.collect(server, stream, 19);
    assert!((1..20).all(|number| got[number - 1] == message(number, 2_000)));
    assert_eq!(net.kind(client), Some(LinkKind::Tcp));
}

/// R-LINK-4b: a broken link is followed by another one, after a wait that grows; nothing is lost.
#[test]
fn r_link_4_the_next_link_comes_after_a_growing_wait() {
    let mut net = Net::new(None, &[TCP]);
    let client = net.connect(Over::tcp());
    let server = net.connected();
    let stream = net.open(client);
    for number in 0..5 {
        net.send(client, stream, message(number, 1_000));
        net.reset();
        assert_eq!(net.collect(server, stream, 1), [message(number, 1_000)]);
    }
    assert_eq!(net.wished.len(), 6);
    net.links.clear();
    net.reset();
    net.run(Duration::from_secs(9));
    let times: Vec<Instant> = net.wished[6..].iter().map(|(at, ..)| *at).collect();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((3..12).contains(&times.len()), "{times:?}");
    assert!(gaps.last() > gaps.first(), "{gaps:?}");
    assert_eq!(net.kind(client), Some(LinkKind::Tcp), "the last it had");
}

/// Where links are all there is, the user hears when every one has failed, once a round.
#[test]
fn n49_every_way_has_failed() {
    let mut net = Net::new(None, &[]);
    let mut over = Over::tcp();
    over.links.push(LinkRoute { kind: LinkKind::Tls, port: Some(443) });
    net.connect(over);
    net.settle();
    let failed = |event: &HubEvent| match event {
        HubEvent::LinkFailed { carrier, error, all, .. } => {
            Some((carrier.kind, error.failure, *all))
        }
        _ => None,
    };
    let told: Vec<_> = net.events[CLIENT].iter().filter_map(failed).collect();
    let refused = LinkFailure::Refused;
    assert_eq!(told, [(LinkKind::Tcp, refused, false), (LinkKind::Tls, refused, true)]);
}

/// Names are resolved for links as for datagrams; one that has no address ends the attempt.
#[test]
fn t02_names_are_resolved_for_links() {
    for (over, found) in [
        (Over::tcp(), Ok(vec![addresses()[SERVER]])),
        (Over::auto(), Ok(vec![addresses()[SERVER]])),
        (Over::tcp(), Err("no such name".to_owned())),
        (Over::tcp(), Ok(Vec::new())),
    ] {
        let mut net = Net::new(None, &[TCP]);
        let key = net.hubs[SERVER].endpoint().public_key().expect("a key");
        let target = Target::Name { host: "server.example".into(), port: PORT };
        let (options, now) = (ConnectOptions::to(key), net.now);
        let client = net.hubs[CLIENT].connect(now, target, options, over).expect("begun");
        net.wait(CLIENT, |event| {
            matches!(event, HubEvent::Connection(Event::Resolve { .. })).then_some(())
        });
        assert!(net.wished.is_empty());
        let good = found.as_ref().is_ok_and(|found| !found.is_empty());
        net.hubs[CLIENT].resolved(now, client, found).expect("alive");
        if good {
            net.connected();
            assert_eq!(net.kind(client), Some(LinkKind::Tcp));
        } else {
            net.wait(CLIENT, |event| match event {
                HubEvent::Connection(Event::Failed { error, .. }) => {
                    assert!(matches!(error, ConnectError::Resolve { .. }));
                    Some(())
                }
                _ => None,
            });
        }
    }
}

/// R-LINK-7: a link that was opened to us is closed when no connection uses it, and not before.
#[test]
fn r_link_7_unused_links_are_closed() {
    let mut net = Net::new(None, &[TCP]);
    let client = net.connect(Over::tcp());
    net.connected();
    let silent = net.hubs[SERVER].handle_accepted(net.now, 0, LinkKind::Tcp, addresses()[CLIENT]);
    assert!(silent.is_some());
    assert_eq!(net.hubs[SERVER].links().links(), 2);
    net.run(Duration::from_secs(25));
    assert_eq!((net.hubs[SERVER].links().links(), net.closed), (1, 1));
    assert_eq!(net.kind(client), Some(LinkKind::Tcp));
    // And the client closes what it opened, when its connection is over.
    let now = net.now;
    let _ = net.hubs[CLIENT].endpoint_mut().kill(now, client);
    net.run(Duration::from_secs(41));
    assert_eq!((net.hubs[CLIENT].links().links(), net.hubs[SERVER].links().links()), (0, 0));
}
