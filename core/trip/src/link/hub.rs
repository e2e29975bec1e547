//! The transport as a hub: one endpoint, one UDP socket, and links that it wishes for.
//!
//! In go what any hub is handed; out come what any hub says, and the events of the endpoint. It
//! decides by what a connection travels: datagrams, a link, or whichever answers first
//! ([`Over::auto`]), and opens the next link when one breaks (`plan`). Links that others open are
//! kept for as long as a connection uses them. It never connects, listens or waits by itself, and
//! what a link is made of is the loop's business.
#![deny(clippy::arithmetic_side_effects)]

use super::plan::{Over, Plan, Stage};
use super::{LinkEnd, LinkEndpoint};
use crate::State;
use crate::carrier::LinkId;
use crate::config::{ConnectOptions, Target};
use crate::endpoint::Endpoint;
use crate::error::{StartError, UnknownConnection};
use crate::event::Event;
use crate::handle::ConnectionHandle;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::{
    Answer, DatagramMachine, Duration, Ecn, Hub, Instant, LinkError, LinkKind, Path, Random, Seed,
    Transmit, Wish,
};

/// How often it is looked whether a link that was opened to us is used by a connection: one that is
/// not is closed (R-LINK-7).
const UNUSED: Duration = Duration::from_secs(20);

/// What a [`LinkHub`] has to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HubEvent {
    /// Something happened to a connection.
    Connection(Event),
    /// A connection of ours goes on over this link, which we opened for it.
    Carried {
        /// The connection.
        connection: ConnectionHandle,
        /// By what it travels now.
        carrier: Carrier,
    },
    /// A link for a connection of ours could not be opened, or led to nobody who speaks with us.
    /// The next one is tried.
    LinkFailed {
        /// The connection.
        connection: ConnectionHandle,
        /// By what it was to travel.
        carrier: Carrier,
        /// Why it does not.
        error: LinkError,
        /// Every link that there is has failed now; the next one is tried after a wait.
        all: bool,
    },
    /// A listener could not be had, or is gone.
    Deaf {
        /// Its number.
        listener: u64,
        /// Why.
        error: LinkError,
    },
}

/// By what a connection travels, and where to (row N49).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Datagrams, or what the link is made of.
    pub kind: LinkKind,
    /// The other end of it.
    pub remote: SocketAddr,
}

/// A link, as the hub knows it.
#[derive(Debug)]
struct Known {
    carrier: Carrier,
    /// The connection of ours that it was opened for; `None`: it was opened to us.
    of: Option<ConnectionHandle>,
    is_open: bool,
}

/// An endpoint with a UDP socket and links.
#[derive(Debug)]
pub struct LinkHub {
    links: LinkEndpoint,
    random: Random,
    known: BTreeMap<LinkId, Known>,
    plans: BTreeMap<ConnectionHandle, Plan>,
    /// When plans, and links that were opened to us, are to be looked at.
    alarms: BTreeSet<(Instant, ConnectionHandle)>,
    checks: BTreeSet<(Instant, LinkId)>,
    wishes: VecDeque<Wish>,
    events: VecDeque<HubEvent>,
    next: u64,
}

impl LinkHub {
    /// The number of the UDP socket.
    pub const UDP: u64 = 0;

    /// A hub around an endpoint; `seed` is for the waits between links alone.
    pub fn new(endpoint: Endpoint, seed: &Seed) -> Self {
        Self {
            links: LinkEndpoint::new(endpoint),
            random: seed.random("links"),
            known: BTreeMap::new(),
            plans: BTreeMap::new(),
            alarms: BTreeSet::new(),
            checks: BTreeSet::new(),
            wishes: VecDeque::new(),
            events: VecDeque::new(),
            next: Self::UDP,
        }
    }

    /// The endpoint, to ask it.
    pub fn endpoint(&self) -> &Endpoint {
        self.links.endpoint()
    }

    /// The endpoint, for the user's commands; but connections that may travel by links begin here,
    /// by [`Self::connect`].
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        self.links.endpoint_mut()
    }

    /// The links, to ask about them.
    pub fn links(&self) -> &LinkEndpoint {
        &self.links
    }

    /// A number that nothing has: for a listener that the loop is to adopt.
    pub fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    /// Whether there are wishes to be taken. To take an event may bring some: who does not drain
    /// right after that asks here whether to.
    pub fn has_wishes(&self) -> bool {
        !self.wishes.is_empty()
    }

    /// Wishes for a listener; its number.
    pub fn listen(&mut self, kind: LinkKind, address: SocketAddr) -> u64 {
        let link = self.number();
        self.wishes.push_back(Wish::Listen { link, kind, address });
        link
    }

    /// Begins a connection that travels as `over` says. Only what goes over datagrams alone may be
    /// begun at the endpoint as well.
    ///
    /// # Errors
    /// As [`Endpoint::connect`].
    pub fn connect(
        &mut self,
        now: Instant,
        target: Target,
        options: ConnectOptions,
        over: Over,
    ) -> Result<ConnectionHandle, StartError> {
        if over.links.is_empty() {
            return self.endpoint_mut().connect(now, target, options);
        }
        let (addresses, name) = match &target {
            Target::Addresses(list) if list.is_empty() => return Err(StartError::NoAddress),
            Target::Addresses(list) => (list.clone(), String::new()),
            Target::Name { host, .. } => (Vec::new(), host.clone()),
        };
        let towards = match target {
            // The engine is told of the link when that is there; until then it has nowhere to go.
            Target::Addresses(_) if !over.udp => Target::from(self.nowhere()),
            target => target,
        };
        let handle = self.endpoint_mut().connect(now, towards, options)?;
        let known = !addresses.is_empty();
        self.plans.insert(handle, Plan::new(over, name, addresses));
        if known {
            self.begin(now, handle);
        }
        Ok(handle)
    }

    /// Answers [`Event::Resolve`], as [`Endpoint::resolved`] does.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn resolved(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        found: Result<Vec<SocketAddr>, String>,
    ) -> Result<(), UnknownConnection> {
        let Some(plan) = self.plans.get_mut(&connection) else {
            return self.endpoint_mut().resolved(now, connection, found);
        };
        let (first, udp) = (plan.addresses.is_empty(), plan.over.udp);
        let found = match found {
            Ok(addresses) if !addresses.is_empty() => {
                plan.addresses.clone_from(&addresses);
                Ok(addresses)
            }
            // Without an address the attempt fails, by whatever it was to travel.
            other => return self.endpoint_mut().resolved(now, connection, other),
        };
        let found = match (udp, first) {
            (true, _) => found,
            (false, true) => Ok(alloc::vec![self.nowhere()]),
            (false, false) => Ok(Vec::new()),
        };
        self.endpoint_mut().resolved(now, connection, found)?;
        if first {
            self.begin(now, connection);
        }
        Ok(())
    }

    /// By what a connection travels now; for one whose link has broken, the last it had. `None` if
    /// it is gone, or has not been anywhere yet.
    pub fn carrier(&self, connection: ConnectionHandle) -> Option<Carrier> {
        let remote = self.endpoint().remote(connection)?;
        match LinkId::of(remote) {
            None => Some(Carrier { kind: LinkKind::Udp, remote }),
            Some(link) => match self.known.get(&link) {
                Some(known) => Some(known.carrier),
                None => self.plans.get(&connection)?.last,
            },
        }
    }

    /// The address of a link that will never be there.
    fn nowhere(&mut self) -> SocketAddr {
        LinkId::new(self.number()).address()
    }

    /// The first link of a plan goes out, at once or after the head start.
    fn begin(&mut self, now: Instant, connection: ConnectionHandle) {
        let Some(plan) = self.plans.get(&connection) else { return };
        let wait = if plan.over.udp { plan.over.head_start } else { Duration::ZERO };
        self.wait(now, connection, now + wait);
    }

    /// The next link of a plan is opened at that time, which may be now.
    fn wait(&mut self, now: Instant, connection: ConnectionHandle, until: Instant) {
        let Some(plan) = self.plans.get_mut(&connection) else { return };
        plan.stage = Stage::Waiting(until);
        if until <= now {
            self.on_alarm(now, until, connection);
        } else {
            self.alarms.insert((until, connection));
        }
    }

    /// Does what is due.
    fn tend(&mut self, now: Instant) {
        while let Some((at, connection)) = self.alarms.first().copied().filter(|(at, _)| *at <= now)
        {
            self.alarms.remove(&(at, connection));
            self.on_alarm(now, at, connection);
        }
        while let Some((at, link)) = self.checks.first().copied().filter(|(at, _)| *at <= now) {
            self.checks.remove(&(at, link));
            if !self.known.contains_key(&link) {
                continue;
            }
            if self.endpoint().is_link_used(link) {
                self.checks.insert((now + UNUSED, link));
            } else {
                self.drop_link(now, link);
            }
        }
    }

    fn on_alarm(&mut self, now: Instant, at: Instant, connection: ConnectionHandle) {
        let state = self.endpoint().state(connection);
        let Some(plan) = self.plans.get_mut(&connection) else { return };
        match plan.stage {
            Stage::Waiting(until) if until == at => {
                let over_udp = plan.over.udp && !plan.wants_link;
                let opening = matches!(state, Some(State::Resolving | State::Opening));
                if over_udp && !opening {
                    // It came about without.
                    plan.stage = Stage::Resting;
                } else {
                    self.open(connection);
                }
            }
            Stage::Using { link, until: Some(until) } if until == at => {
                if matches!(state, Some(State::Opening)) {
                    let text = String::from("nobody there speaks with us");
                    self.give_up(now, link, super::plan::broken(text));
                } else {
                    plan.stage = Stage::Using { link, until: None };
                    plan.succeeded();
                }
            }
            _ => {}
        }
    }

    /// Wishes for the next link of a plan.
    fn open(&mut self, connection: ConnectionHandle) {
        let number = self.number();
        let Some(plan) = self.plans.get_mut(&connection) else { return };
        let Some(carrier) = plan.next() else { return };
        let link = LinkId::new(number);
        plan.stage = Stage::Asking(link);
        plan.last = Some(carrier);
        let Carrier { kind, remote } = carrier;
        let name = plan.name.clone();
        self.known.insert(link, Known { carrier, of: Some(connection), is_open: false });
        self.wishes.push_back(Wish::Open { link: number, kind, address: remote, name });
    }

    /// A link that we wished for is there.
    fn on_opened(&mut self, now: Instant, link: LinkId) {
        let Some(known) = self.known.get_mut(&link) else {
            return self.wishes.push_back(Wish::Close { link: link.number() });
        };
        let (Some(connection), carrier) = (known.of, known.carrier) else { return };
        known.is_open = self.links.opened(link);
        if !known.is_open {
            return self.drop_link(now, link);
        }
        let state = self.endpoint().state(connection);
        let received = self.received(connection);
        let opening = matches!(state, Some(State::Opening));
        let Some(plan) = self.plans.get_mut(&connection) else {
            return self.drop_link(now, link);
        };
        let still = match plan.quiet_since {
            Some(count) => count == received,
            None => plan.wants_link || opening,
        };
        if !still || self.links.resume(now, connection, link).is_err() {
            // Datagrams were faster, or are back, or all is over.
            plan.stage = Stage::Resting;
            (plan.quiet_since, plan.wants_link) = (None, !plan.over.udp);
            return self.drop_link(now, link);
        }
        let until = opening.then(|| now + super::plan::ANSWER);
        if let Some(until) = until {
            self.alarms.insert((until, connection));
        } else {
            plan.succeeded();
        }
        plan.stage = Stage::Using { link, until };
        (plan.quiet_since, plan.wants_link) = (None, !plan.over.udp);
        self.events.push_back(HubEvent::Carried { connection, carrier });
    }

    /// A link is of no use any more: it is closed, and the next one of its plan tried.
    fn give_up(&mut self, now: Instant, link: LinkId, error: LinkError) {
        self.wishes.push_back(Wish::Close { link: link.number() });
        self.on_gone(now, link, Some(error));
    }

    /// Closes a link that needs no successor.
    fn drop_link(&mut self, now: Instant, link: LinkId) {
        self.wishes.push_back(Wish::Close { link: link.number() });
        if self.known.remove(&link).is_some_and(|known| known.is_open) {
            self.links.closed(now, link);
        }
    }

    /// A link is gone.
    fn on_gone(&mut self, now: Instant, link: LinkId, error: Option<LinkError>) {
        let Some(known) = self.known.remove(&link) else { return };
        if known.is_open {
            self.links.closed(now, link);
        }
        let Some(connection) = known.of else { return };
        let state = self.endpoint().state(connection);
        let Some(plan) = self.plans.get_mut(&connection) else { return };
        let current = match plan.stage {
            Stage::Asking(at) | Stage::Using { link: at, .. } => at == link,
            Stage::Waiting(_) | Stage::Resting => false,
        };
        if !current {
            return;
        }
        if matches!(state, None | Some(State::Closed | State::Failed)) {
            plan.stage = Stage::Resting;
            return;
        }
        if !matches!(state, Some(State::Resolving | State::Opening)) {
            // It is connected: datagrams were given up, if there ever were any.
            plan.wants_link = true;
        }
        let wait = plan.wait(&mut self.random);
        if let Some(error) = error {
            let (carrier, all) = (known.carrier, !wait.is_zero());
            self.events.push_back(HubEvent::LinkFailed { connection, carrier, error, all });
        }
        self.wait(now, connection, now + wait);
    }

    fn received(&self, connection: ConnectionHandle) -> u64 {
        let stats = self.endpoint().connection_stats(connection);
        stats.map_or(0, |stats| stats.packets_received)
    }

    /// Puts the place at the other end of a link for the address that stands for it.
    fn name_places(&self, event: &mut Event) {
        let place = |remote: &mut SocketAddr| {
            let known = LinkId::of(*remote).and_then(|link| self.known.get(&link));
            if let Some(known) = known {
                *remote = known.carrier.remote;
            }
        };
        match event {
            Event::Incoming(incoming) => place(&mut incoming.remote),
            Event::Connected { remote, .. } => place(remote),
            Event::Moved { from, to, .. } => {
                place(from);
                place(to);
            }
            _ => {}
        }
    }

    /// Looks at an event of the endpoint on its way to the user. `false`: it is for us alone.
    fn note(&mut self, event: &Event) -> bool {
        let now = self.endpoint().last_seen();
        match event {
            Event::Quiet { connection, .. } => self.on_quiet(now, *connection),
            Event::Unlinked { connection, .. } => {
                // Before the first link there was none to lose.
                return self.plans.get(connection).is_none_or(|plan| plan.last.is_some());
            }
            Event::Drained { connection } => {
                if let Some(plan) = self.plans.remove(connection)
                    && let Stage::Asking(link) | Stage::Using { link, .. } = plan.stage
                {
                    self.drop_link(now, link);
                }
            }
            _ => {}
        }
        true
    }

    /// The peer does not answer: by datagrams that may be blocked now, or over a link that may be
    /// dead (R-LINK-8).
    fn on_quiet(&mut self, now: Instant, connection: ConnectionHandle) {
        let received = self.received(connection);
        let Some(plan) = self.plans.get_mut(&connection) else { return };
        match plan.stage {
            Stage::Resting => {
                (plan.wants_link, plan.quiet_since) = (true, Some(received));
                self.wait(now, connection, now);
            }
            Stage::Using { link, .. } => {
                let text = String::from("silent for too long");
                self.give_up(now, link, super::plan::broken(text));
            }
            Stage::Waiting(_) | Stage::Asking(_) => {}
        }
    }
}

impl Hub for LinkHub {
    type Event = HubEvent;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        self.tend(now);
        match answer {
            Answer::Opened { .. } if self.known.contains_key(&LinkId::new(link)) => {
                self.on_opened(now, LinkId::new(link));
            }
            // The UDP socket, or a listener.
            Answer::Opened { .. } => {}
            Answer::Failed(error) if self.known.contains_key(&LinkId::new(link)) => {
                self.on_gone(now, LinkId::new(link), Some(error));
            }
            Answer::Failed(error) => {
                self.events.push_back(HubEvent::Deaf { listener: link, error });
            }
        }
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        _: u64,
        kind: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        self.tend(now);
        let number = self.number();
        let link = LinkId::new(number);
        if !self.links.opened(link) {
            return None;
        }
        let carrier = Carrier { kind, remote };
        self.known.insert(link, Known { carrier, of: None, is_open: true });
        self.checks.insert((now + UNUSED, link));
        Some(number)
    }

    fn handle_datagram(&mut self, now: Instant, _: u64, path: Path, ecn: Ecn, data: &mut [u8]) {
        self.links.handle_datagram(now, path, ecn, data);
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.tend(now);
        let link = LinkId::new(link);
        if let Err(end) = self.links.handle_bytes(now, link, bytes)
            && end != LinkEnd::Unknown
        {
            if let Some(known) = self.known.get_mut(&link) {
                known.is_open = false;
            }
            self.give_up(now, link, super::plan::broken(alloc::format!("{end}")));
        }
    }

    /// A link that is open in one direction only is of no use.
    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.tend(now);
        let error = super::plan::broken(alloc::format!("{}", LinkEnd::Eof));
        self.give_up(now, LinkId::new(link), error);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.links.handle_timeout(now);
        self.tend(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.links.poll_transmit(now, out).map(|transmit| (Self::UDP, transmit))
    }

    fn handle_too_big(&mut self, now: Instant, _: u64, transmit: &Transmit) {
        self.links.handle_too_big(now, transmit);
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.links.poll_ready(now).map(LinkId::number)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.links.poll_write(now, LinkId::new(link), out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let check = self.checks.first().map(|(at, _)| *at);
        [self.links.poll_timeout(), alarm, check].into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<HubEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        loop {
            let mut event = self.links.poll_event()?;
            self.name_places(&mut event);
            if self.note(&event) {
                return Some(HubEvent::Connection(event));
            }
        }
    }
}
