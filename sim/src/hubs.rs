//! Hubs in a world: machines with several links, which wish for them.
//!
//! A [`HubHost`] makes a host of any [`Hub`]: its UDP socket is the host's address, its links are
//! pipes. A [`HubWorld`] is a world of such hosts that grants their wishes: a link is open after
//! the time that a handshake takes if somebody listens at the address, and refused if nobody does.
//! What a link is made of does not show: a TLS link is a pipe like a TCP link, as a hub sees plain
//! bytes of either.

use crate::stream::PipeMachine;
use crate::{HostId, LinkConfig, PipeId, StreamConfig, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use tripline_sansio::{
    Answer, DatagramMachine, Duration, Ecn, Hub, Instant, LinkError, LinkFailure, LinkKind, Path,
    Transmit, Wish,
};

/// From so many links on those that are closed are forgotten.
const MANY: usize = 4_096;

/// What a [`HubHost`] has to say to the world, or its user.
#[derive(Clone, Debug, PartialEq)]
pub enum HubTold<E> {
    /// For the world: it grants it, or not.
    Wish(Wish),
    /// For the user.
    Event(E),
}

/// A hub as a host.
#[derive(Debug)]
pub struct HubHost<H> {
    hub: H,
    /// The number of its UDP socket.
    udp: u64,
    /// Its links, by the pipe that each is, and back.
    links: BTreeMap<u64, u64>,
    pipes: BTreeMap<u64, u64>,
    /// What the next pipe that is opened is to it.
    next: Option<Coming>,
    closing: VecDeque<u64>,
}

/// A pipe that is about to be opened.
#[derive(Clone, Copy, Debug)]
enum Coming {
    /// The link that it wished for.
    Ours(u64),
    /// A newcomer at one of its listeners.
    Accepted { listener: u64, kind: LinkKind, remote: SocketAddr },
}

impl<H: Hub> HubHost<H> {
    /// A host of a hub whose UDP socket has this number, if it has one.
    pub fn new(hub: H, udp: u64) -> Self {
        Self {
            hub,
            udp,
            links: BTreeMap::new(),
            pipes: BTreeMap::new(),
            next: None,
            closing: VecDeque::new(),
        }
    }

    /// The hub.
    pub fn hub(&self) -> &H {
        &self.hub
    }

    /// The hub, for its user's commands.
    pub fn hub_mut(&mut self) -> &mut H {
        &mut self.hub
    }

    fn forget(&mut self, pipe: u64) -> Option<u64> {
        let link = self.links.remove(&pipe)?;
        self.pipes.remove(&link);
        Some(link)
    }
}

impl<H: Hub> DatagramMachine for HubHost<H> {
    type Event = HubTold<H::Event>;

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        self.hub.handle_datagram(now, self.udp, path, ecn, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.hub.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.hub.poll_transmit(now, out).map(|(_, transmit)| transmit)
    }

    fn handle_too_big(&mut self, now: Instant, transmit: &Transmit) {
        self.hub.handle_too_big(now, self.udp, transmit);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.hub.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        match self.hub.poll_wish() {
            Some(Wish::Close { link }) if self.pipes.contains_key(&link) => {
                let pipe = self.pipes.remove(&link)?;
                self.links.remove(&pipe);
                self.closing.push_back(pipe);
                self.poll_event()
            }
            Some(wish) => Some(HubTold::Wish(wish)),
            None => self.hub.poll_event().map(HubTold::Event),
        }
    }
}

impl<H: Hub> PipeMachine for HubHost<H> {
    fn handle_opened(&mut self, now: Instant, pipe: u64) -> bool {
        let link = match self.next.take() {
            Some(Coming::Ours(link)) => Some(link),
            Some(Coming::Accepted { listener, kind, remote }) => {
                self.hub.handle_accepted(now, listener, kind, remote)
            }
            None => None,
        };
        let Some(link) = link else { return false };
        self.links.insert(pipe, link);
        self.pipes.insert(link, pipe);
        true
    }

    fn handle_bytes(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool {
        if let Some(link) = self.links.get(&pipe) {
            self.hub.handle_bytes(now, *link, bytes);
        }
        self.links.contains_key(&pipe)
    }

    fn handle_eof(&mut self, now: Instant, pipe: u64) -> bool {
        if let Some(link) = self.links.get(&pipe) {
            self.hub.handle_eof(now, *link);
        }
        self.links.contains_key(&pipe)
    }

    fn handle_broken(&mut self, now: Instant, pipe: u64) {
        if let Some(link) = self.forget(pipe) {
            let error = LinkError { failure: LinkFailure::Broken, text: String::new() };
            self.hub.handle_answer(now, link, Answer::Failed(error));
        }
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        loop {
            let link = self.hub.poll_ready(now)?;
            if let Some(pipe) = self.pipes.get(&link) {
                return Some(*pipe);
            }
        }
    }

    fn poll_write(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        match self.links.get(&pipe) {
            Some(link) => self.hub.poll_write(now, *link, out),
            None => false,
        }
    }

    fn poll_close(&mut self) -> Option<u64> {
        self.closing.pop_front()
    }
}

/// Who listens where: the host, its number for the listener, and what of.
type Listener = (HostId, u64, LinkKind);

/// A world of hubs, and of their links.
///
/// ```
/// use tripline_sansio::{Instant, LinkKind, Solo, SoloEvent, StreamMachine};
/// use tripline_sim::{Duration, HubWorld};
///
/// /// Says nothing, and hears nothing.
/// #[derive(Debug)]
/// struct Silent;
///
/// impl StreamMachine for Silent {
///     type Event = ();
///     fn handle_bytes(&mut self, _: Instant, _: &[u8]) {}
///     fn handle_eof(&mut self, _: Instant) {}
///     fn handle_timeout(&mut self, _: Instant) {}
///     fn poll_write(&mut self, _: Instant, _: &mut Vec<u8>) -> bool { false }
///     fn poll_timeout(&self) -> Option<Instant> { None }
///     fn poll_event(&mut self) -> Option<()> { None }
/// }
///
/// let mut world = HubWorld::new(7);
/// let nowhere = "10.0.0.9:80".parse().unwrap();
/// let solo = Solo::new(Silent, LinkKind::Tcp, nowhere, "", |()| true);
/// let host = world.add("10.0.0.1:1".parse().unwrap(), solo);
/// world.run_for(Duration::from_secs(1));
/// let told = world.take_events(host);
/// let [SoloEvent::Failed(error)] = &told[..] else { unreachable!() };
/// assert_eq!(error.to_string(), "nobody listens there");
/// ```
pub struct HubWorld<H: Hub> {
    world: World<HubHost<H>>,
    listeners: BTreeMap<SocketAddr, Listener>,
    /// Links that are being opened: when they are there, whose, by which number, of what, where to.
    opening: BTreeSet<(Instant, HostId, u64, LinkKind, SocketAddr)>,
    /// Links that were opened, and between whom.
    open: Vec<(PipeId, [HostId; 2])>,
    handshake: Duration,
    /// Hosts that cannot open links now.
    cut_off: BTreeSet<HostId>,
    told: Vec<VecDeque<(Instant, H::Event)>>,
}

impl<H: Hub> HubWorld<H> {
    /// An empty world. To open a link takes 20 ms at first.
    pub fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            listeners: BTreeMap::new(),
            opening: BTreeSet::new(),
            open: Vec::new(),
            handshake: Duration::from_millis(20),
            cut_off: BTreeSet::new(),
            told: Vec::new(),
        }
    }

    /// The world, for its knobs and counters. Its time goes on by [`Self::run_for`] alone.
    pub fn world(&mut self) -> &mut World<HubHost<H>> {
        &mut self.world
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// What datagrams and links between all hosts are like from now on, and how long a link takes
    /// to be opened.
    pub fn set_weather(&mut self, link: LinkConfig, pipe: StreamConfig, handshake: Duration) {
        self.world.set_default_link(link);
        self.world.set_default_pipe(pipe);
        self.handshake = handshake;
    }

    /// Adds a hub. It has one UDP socket: the one that it wished for last, at first number 0.
    pub fn add(&mut self, address: SocketAddr, hub: H) -> HostId {
        let host = self.world.add_host(address, HubHost::new(hub, 0));
        self.told.push(VecDeque::new());
        self.grant();
        host
    }

    /// Starts another hub in the place of one, as after a crash: its links break, and nobody
    /// listens there until it does.
    pub fn restart(&mut self, host: HostId, hub: H) {
        self.break_links(host);
        self.listeners.retain(|_, (of, ..)| *of != host);
        self.opening.retain(|(_, of, ..)| *of != host);
        self.told[host.index()].clear();
        self.world.take_events(host);
        self.world.replace(host, HubHost::new(hub, 0));
        self.grant();
    }

    /// Breaks all links of a host, at both ends.
    pub fn break_links(&mut self, host: HostId) {
        self.forget_closed();
        let (mine, others): (Vec<_>, _) =
            self.open.drain(..).partition(|(_, ends)| ends.contains(&host));
        self.open = others;
        for (pipe, _) in mine {
            self.world.reset(pipe);
        }
        self.grant();
    }

    /// Forgets the links of which both ends are closed.
    fn forget_closed(&mut self) {
        let world = &self.world;
        self.open.retain(|(pipe, ends)| {
            ends.iter().all(|host| world.machine(*host).links.contains_key(&pipe.number()))
        });
    }

    /// Whether a host can open links.
    pub fn set_cut_off(&mut self, host: HostId, is_cut_off: bool) {
        if is_cut_off {
            self.cut_off.insert(host);
        } else {
            self.cut_off.remove(&host);
        }
    }

    /// The hub of a host.
    pub fn hub(&self, host: HostId) -> &H {
        self.world.machine(host).hub()
    }

    /// Uses a hub at the present time; what it has to say goes out at once.
    pub fn with<R>(&mut self, host: HostId, act: impl FnOnce(&mut H, Instant) -> R) -> R {
        let result = self.world.with(host, |machine, now| act(machine.hub_mut(), now));
        self.grant();
        result
    }

    /// A host's oldest event.
    pub fn next_event(&mut self, host: HostId) -> Option<(Instant, H::Event)> {
        self.told[host.index()].pop_front()
    }

    /// A host's events so far.
    pub fn take_events(&mut self, host: HostId) -> Vec<H::Event> {
        self.told[host.index()].drain(..).map(|(_, event)| event).collect()
    }

    /// When something happens next, if ever.
    pub fn next_time(&self) -> Option<Instant> {
        let opening = self.opening.first().map(|(at, ..)| *at);
        [self.world.next_time(), opening].into_iter().flatten().min()
    }

    /// Does the next thing, if it is not later than `deadline`. Whether there was one.
    pub fn step_until(&mut self, deadline: Instant) -> bool {
        let Some(next) = self.next_time().filter(|next| *next <= deadline) else { return false };
        if self.world.next_time().is_some_and(|at| at <= next) {
            self.world.step();
        } else {
            self.world.run_until(next);
        }
        self.grant();
        while let Some(due) = self.opening.first().copied().filter(|(at, ..)| *at <= self.now()) {
            self.opening.remove(&due);
            self.open(due.1, due.2, due.3, due.4);
            self.grant();
        }
        true
    }

    /// Does everything in the next `duration`.
    pub fn run_for(&mut self, duration: Duration) {
        let deadline = self.now() + duration;
        while self.step_until(deadline) {}
        self.world.run_until(deadline);
    }

    /// Takes what hosts have told since, and grants their wishes.
    fn grant(&mut self) {
        loop {
            let noisy = self.world.take_noisy();
            if noisy.is_empty() {
                return;
            }
            for host in noisy {
                for (at, told) in self.world.take_events(host) {
                    match told {
                        HubTold::Event(event) => self.told[host.index()].push_back((at, event)),
                        HubTold::Wish(wish) => self.on_wish(host, wish),
                    }
                }
            }
        }
    }

    fn on_wish(&mut self, host: HostId, wish: Wish) {
        match wish {
            Wish::Open { link, kind: LinkKind::Udp, .. } => {
                self.world.with(host, |machine, _| machine.udp = link);
                let local = Some(self.world.address(host));
                self.answer(host, link, Answer::Opened { local });
            }
            Wish::Open { link, kind, address, .. } => {
                let at = self.now() + self.handshake;
                self.opening.insert((at, host, link, kind, address));
            }
            Wish::Listen { link, kind, address } => {
                // Any address of the host's is its own.
                let own = SocketAddr::new(self.world.address(host).ip(), address.port());
                let free = !self.listeners.contains_key(&own);
                let answer = if free {
                    self.listeners.insert(own, (host, link, kind));
                    Answer::Opened { local: Some(own) }
                } else {
                    failed(LinkFailure::Unavailable, "address already in use")
                };
                self.answer(host, link, answer);
            }
            Wish::Close { link } => {
                self.listeners.retain(|_, (of, number, _)| (*of, *number) != (host, link));
                self.opening.retain(|(_, of, number, ..)| (*of, *number) != (host, link));
            }
        }
    }

    /// A link is there, or refused.
    fn open(&mut self, from: HostId, link: u64, kind: LinkKind, address: SocketAddr) {
        if self.cut_off.contains(&from) {
            return self.answer(from, link, failed(LinkFailure::Unreachable, ""));
        }
        let listener = self.listeners.get(&address).copied();
        let Some((to, listener, _)) = listener.filter(|(to, _, of)| *of == kind && *to != from)
        else {
            return self.answer(from, link, failed(LinkFailure::Refused, ""));
        };
        let remote = self.world.address(from);
        self.world.with(from, |machine, _| machine.next = Some(Coming::Ours(link)));
        let coming = Coming::Accepted { listener, kind, remote };
        self.world.with(to, |machine, _| machine.next = Some(coming));
        let pipe = self.world.open_pipe([from, to]);
        if self.open.len() >= MANY {
            self.forget_closed();
        }
        self.open.push((pipe, [from, to]));
        let local = Some(remote);
        self.answer(from, link, Answer::Opened { local });
    }

    fn answer(&mut self, host: HostId, link: u64, answer: Answer) {
        self.world.with(host, |machine, now| machine.hub.handle_answer(now, link, answer));
    }
}

fn failed(failure: LinkFailure, text: &str) -> Answer {
    Answer::Failed(LinkError { failure, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::{Crowd, CrowdEvent, Greeter, Solo, SoloEvent, StreamMachine};

    /// Says a word, and tells what it hears.
    #[derive(Default)]
    struct Word {
        to_say: Vec<u8>,
        told: VecDeque<Vec<u8>>,
        ended: bool,
    }

    impl StreamMachine for Word {
        type Event = Vec<u8>;
        fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
            self.told.push_back(bytes.to_vec());
        }
        fn handle_eof(&mut self, _: Instant) {
            self.ended = true;
        }
        fn handle_timeout(&mut self, _: Instant) {}
        fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(&self.to_say);
            !std::mem::take(&mut self.to_say).is_empty()
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
        fn poll_event(&mut self) -> Option<Vec<u8>> {
            self.told.pop_front()
        }
    }

    struct Doorman;

    impl Greeter for Doorman {
        type Machine = Word;
        fn greet(&mut self, _: Instant, _: u64, _: SocketAddr) -> Option<Word> {
            Some(Word { to_say: b"welcome".to_vec(), ..Word::default() })
        }
        fn closes(&self, _: &Vec<u8>) -> bool {
            false
        }
    }

    /// Two kinds of hub in one world.
    enum Either {
        Solo(Solo<Word>),
        Crowd(Crowd<Doorman>),
    }

    #[derive(Debug, PartialEq)]
    enum Told {
        Solo(SoloEvent<Vec<u8>>),
        Crowd(CrowdEvent<Vec<u8>>),
    }

    macro_rules! both {
        ($self:ident, $hub:ident => $call:expr) => {
            match $self {
                Either::Solo($hub) => $call,
                Either::Crowd($hub) => $call,
            }
        };
    }

    impl Hub for Either {
        type Event = Told;
        fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
            both!(self, hub => hub.handle_answer(now, link, answer));
        }
        fn handle_accepted(
            &mut self,
            now: Instant,
            listener: u64,
            kind: LinkKind,
            remote: SocketAddr,
        ) -> Option<u64> {
            both!(self, hub => hub.handle_accepted(now, listener, kind, remote))
        }
        fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
            both!(self, hub => hub.handle_bytes(now, link, bytes));
        }
        fn handle_eof(&mut self, now: Instant, link: u64) {
            both!(self, hub => hub.handle_eof(now, link));
        }
        fn handle_timeout(&mut self, now: Instant) {
            both!(self, hub => hub.handle_timeout(now));
        }
        fn poll_wish(&mut self) -> Option<Wish> {
            both!(self, hub => hub.poll_wish())
        }
        fn poll_ready(&mut self, now: Instant) -> Option<u64> {
            both!(self, hub => hub.poll_ready(now))
        }
        fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
            both!(self, hub => hub.poll_write(now, link, out))
        }
        fn poll_timeout(&self) -> Option<Instant> {
            both!(self, hub => hub.poll_timeout())
        }
        fn poll_event(&mut self) -> Option<Told> {
            match self {
                Self::Solo(hub) => hub.poll_event().map(Told::Solo),
                Self::Crowd(hub) => hub.poll_event().map(Told::Crowd),
            }
        }
    }

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 80))
    }

    fn caller(kind: LinkKind) -> Either {
        let word = Word { to_say: b"hello".to_vec(), ..Word::default() };
        Either::Solo(Solo::new(word, kind, at(1), "", |_| false))
    }

    fn world() -> (HubWorld<Either>, HostId) {
        let mut world = HubWorld::new(1);
        let crowd = Crowd::new(Doorman, LinkKind::Tcp, at(1), 10);
        let server = world.add(at(1), Either::Crowd(crowd));
        assert_eq!(world.take_events(server), [Told::Crowd(CrowdEvent::Listening(Some(at(1))))]);
        (world, server)
    }

    #[test]
    fn a_link_is_open_after_its_handshake_and_carries_bytes_both_ways() {
        let (mut world, server) = world();
        let client = world.add(at(2), caller(LinkKind::Tcp));
        world.run_for(Duration::from_millis(19));
        assert_eq!(world.take_events(client), []);
        world.run_for(Duration::from_millis(30));
        let word = |text: &[u8]| text.to_vec();
        let told = [SoloEvent::Opened, SoloEvent::Machine(word(b"welcome"))].map(Told::Solo);
        assert_eq!(world.take_events(client), told);
        let told = [CrowdEvent::Accepted(1, at(2)), CrowdEvent::Machine(1, word(b"hello"))];
        assert_eq!(world.take_events(server), told.map(Told::Crowd));
    }

    #[test]
    fn a_link_that_nobody_takes_is_refused_and_one_that_breaks_is_told_at_both_ends() {
        let (mut world, server) = world();
        let failed = |told: Vec<Told>| match told.into_iter().next_back() {
            Some(Told::Solo(SoloEvent::Failed(error))) => error.failure,
            Some(Told::Crowd(CrowdEvent::Gone(_, Some(error)))) => error.failure,
            other => panic!("{other:?}"),
        };
        let second = Duration::from_secs(1);
        let other_kind = world.add(at(2), caller(LinkKind::Tls));
        let client = world.add(at(3), caller(LinkKind::Tcp));
        world.set_cut_off(client, true);
        world.run_for(second);
        assert_eq!(failed(world.take_events(other_kind)), LinkFailure::Refused);
        assert_eq!(failed(world.take_events(client)), LinkFailure::Unreachable);
        world.set_cut_off(client, false);
        world.restart(client, caller(LinkKind::Tcp));
        world.run_for(second);
        world.take_events(client);
        world.break_links(client);
        world.run_for(second);
        assert_eq!(failed(world.take_events(client)), LinkFailure::Broken);
        assert_eq!(failed(world.take_events(server)), LinkFailure::Broken);
        // A server that is started anew is not there until it listens.
        world.restart(client, caller(LinkKind::Tcp));
        world.restart(server, caller(LinkKind::Tcp));
        world.run_for(second);
        assert_eq!(failed(world.take_events(client)), LinkFailure::Refused);
    }
}
