//! The books: a node, who waits for what of it, and what has come that nobody has taken yet.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use tripline::{Incoming as Newcomer, PublicKey};
use tripline_common::Waits;
use tripline_rpc::{
    AnswerError, AskError, CallId, CallOptions, ConnId, Event, Method, MethodRef, Node, NodeEvent,
    Outcome, Refusal, RequestId, Via,
};
use tripline_sansio::{Duration, Hub, Instant, LinkKind};

/// Requests and notifications that nobody has taken, at most. Requests beyond are refused as *busy*
/// and notifications dropped, both counted.
const ARRIVALS_MAX: usize = 65_536;

/// Their bytes, of all connections and of one.
const ARRIVED_BYTES_MAX: usize = 64 << 20;
const ARRIVED_BYTES_EACH: usize = 16 << 20;

/// What an arrival counts beside its bytes.
const ARRIVAL_COST: usize = 256;

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A request, or a notification.
    Arrival,
    /// News of a connection, or room to send on it.
    Conn(ConnId),
    /// A part of an answer, or the end of a call.
    Call(ConnId, CallId),
    /// That a request is called off, or its caller takes more.
    Request(ConnId, RequestId),
    /// What has become of a listener.
    Listener(u64),
    /// That nobody else asks for a UDP listener.
    UdpTurn,
    /// The end of all.
    End,
}

/// What has come and was not taken.
#[derive(Debug)]
pub(crate) enum Arrival {
    Request {
        conn: ConnId,
        request: RequestId,
        method: Method,
        payload: Bytes,
        deadline: Option<Instant>,
    },
    Notification {
        conn: ConnId,
        method: Method,
        payload: Bytes,
    },
}

impl Arrival {
    /// Whose it is, and what it costs while it waits.
    fn cost(&self) -> (ConnId, usize) {
        let (Self::Request { conn, payload, .. } | Self::Notification { conn, payload, .. }) = self;
        (*conn, payload.len() + ARRIVAL_COST)
    }
}

/// Whose turn it is to listen over UDP. There is one socket of a kind, and its answers have one
/// number: so they are asked for one after the other.
#[derive(Debug, Default)]
pub(crate) struct UdpTurn {
    /// Somebody asks, and has not heard.
    pub(crate) is_taken: bool,
    /// The number by which the answer comes that is still to come.
    pub(crate) asked: Option<u64>,
}

impl UdpTurn {
    pub(crate) fn is_free(&self) -> bool {
        !self.is_taken && self.asked.is_none()
    }
}

/// What whoever drives the node has to see to, without the lock.
#[derive(Debug)]
pub(crate) enum Task {
    Resolve(ConnId, String, u16),
    Screen(Newcomer),
}

/// Where a connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// An attempt is under way.
    #[default]
    Connecting,
    /// There is a way to the other side.
    Open,
    /// There is none now; the next attempt begins after so long. The text says what became of the
    /// last.
    Waiting(Duration, String),
    /// A client's way to us is gone, and why; it may come back.
    Away(String),
    /// It is over, and why.
    Over(String),
}

/// A call of ours.
#[derive(Debug, Default)]
pub(crate) struct CallBook {
    pub(crate) items: VecDeque<Bytes>,
    pub(crate) outcome: Option<Outcome>,
    /// Nobody takes its items.
    pub(crate) wants_no_items: bool,
}

/// A connection.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) status: Status,
    /// How often it was opened.
    pub(crate) opened: u64,
    pub(crate) peer: Option<PublicKey>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) kind: Option<LinkKind>,
    pub(crate) via: Via,
    /// Somebody holds it, and may ask what became of it when it is over.
    pub(crate) is_held: bool,
    /// We have connected.
    pub(crate) is_ours: bool,
    /// Bytes of what it has sent and nobody has taken.
    arrived: usize,
    /// Answers that found no room.
    unsent: VecDeque<(RequestId, Answer)>,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Reply(Bytes),
    Fail(i32, Bytes),
    Refuse(Refusal, Bytes),
}

/// What was counted here; what the node counts is [`tripline_rpc::Peer::stats`]'s to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallsStats {
    /// Requests that were refused as *busy*, as nobody took those before them.
    pub overflowed_requests: u64,
    /// Notifications that were dropped for the same reason.
    pub dropped_notifications: u64,
    /// Parts of replies to calls that want none.
    pub dropped_items: u64,
    /// Streams that others have opened and that were refused: calls are all there is here.
    pub refused_streams: u64,
}

pub(crate) struct Front {
    pub(crate) node: Node,
    pub(crate) books: HashMap<ConnId, Book>,
    /// Calls of which somebody waits for the outcome.
    pub(crate) calls: HashMap<(ConnId, CallId), CallBook>,
    arrivals: VecDeque<Arrival>,
    arrived: usize,
    pub(crate) waits: Waits<Topic>,
    pub(crate) listening: BTreeMap<u64, Result<SocketAddr, String>>,
    pub(crate) udp: UdpTurn,
    pub(crate) stats: CallsStats,
    /// The last handle was dropped.
    pub(crate) is_abandoned: bool,
    /// The node was used while its events were taken: it has something to send, as soon as may be.
    again_at: Option<Instant>,
    /// When the driver looked last, by its own clock, which may be ahead of the handles'.
    looked_at: Instant,
    /// Nothing comes any more, and why.
    pub(crate) over: Option<Arc<str>>,
    driver: Option<Waker>,
    /// The driver was woken, and has not looked since.
    is_nudged: bool,
    /// Who is to be woken once the lock is free.
    pub(crate) woken: Vec<Waker>,
}

impl Front {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node,
            books: HashMap::new(),
            calls: HashMap::new(),
            arrivals: VecDeque::new(),
            arrived: 0,
            waits: Waits::default(),
            listening: BTreeMap::new(),
            udp: UdpTurn::default(),
            stats: CallsStats::default(),
            is_abandoned: false,
            again_at: None,
            looked_at: Instant::ZERO,
            over: None,
            driver: None,
            is_nudged: false,
            woken: Vec::new(),
        }
    }

    /// There is something for the driver to do.
    pub(crate) fn nudge(&mut self) {
        if !std::mem::replace(&mut self.is_nudged, true)
            && let Some(driver) = &self.driver
        {
            self.woken.push(driver.clone());
        }
    }

    /// The driver looks.
    pub(crate) fn looked(&mut self, now: Instant) {
        (self.is_nudged, self.again_at) = (false, None);
        self.looked_at = self.looked_at.max(now);
    }

    /// When the loop is to look at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.node.poll_timeout(), self.again_at].into_iter().flatten().min()
    }

    /// The node, to be used while its events are taken.
    fn node_again(&mut self, now: Instant) -> &mut Node {
        self.again_at = Some(now + Duration::from_nanos(1));
        &mut self.node
    }

    /// Whom to wake when there is something to do; the one before, to be dropped without the lock.
    pub(crate) fn driven_by(&mut self, waker: &Waker) -> Option<Waker> {
        if self.driver.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return None;
        }
        self.driver.replace(waker.clone())
    }

    fn wake(&mut self, topic: Topic) {
        self.waits.take(topic, &mut self.woken);
    }

    /// All that the node has to tell, up to something for the driver itself.
    pub(crate) fn dispatch(&mut self, now: Instant) -> Option<Task> {
        let now = now.max(self.looked_at);
        while let Some(event) = self.node.poll_event() {
            if let Some(task) = self.on_event(now, event) {
                return Some(task);
            }
        }
        None
    }

    fn on_event(&mut self, now: Instant, event: NodeEvent) -> Option<Task> {
        match event {
            NodeEvent::Resolve { conn, host, port } => {
                return Some(Task::Resolve(conn, host, port));
            }
            NodeEvent::Incoming(newcomer) => return Some(Task::Screen(newcomer)),
            NodeEvent::Peer { conn, event } => self.on_peer(now, conn, event),
            NodeEvent::Opened { conn, peer, remote, kind, via } => {
                let book = self.book(conn);
                (book.peer, book.remote, book.kind, book.via) = (peer, remote, Some(kind), via);
                book.opened += 1;
                self.set_status(conn, Status::Open);
            }
            NodeEvent::Failed { conn, why, retry_in }
            | NodeEvent::Closed { conn, why, retry_in, .. }
            | NodeEvent::Lost { conn, why, retry_in } => {
                let is_ours = self.book(conn).is_ours;
                self.set_status(
                    conn,
                    match retry_in {
                        Some(wait) => Status::Waiting(wait, why),
                        None if is_ours => Status::Over(why),
                        None => Status::Away(why),
                    },
                );
            }
            // Whom to trust is said by the address; who gives no key trusts nobody.
            NodeEvent::ServerKey { conn, .. } => drop(self.node_again(now).stop(now, conn)),
            NodeEvent::StreamOpened { conn, stream, .. } => {
                self.stats.refused_streams += 1;
                let why = "calls are all there is here";
                let _ = self.node_again(now).refuse_stream(now, conn, stream, why);
            }
            NodeEvent::Finalised { conn } => self.finalise(conn),
            NodeEvent::Listening { listener, local } => {
                let local = local.ok_or_else(|| String::from("the system does not say where"));
                self.listens(listener, local);
            }
            NodeEvent::Deaf { listener, error } => {
                self.listens(listener, Err(error.to_string()));
            }
            NodeEvent::ShutDown => self.end("shut down"),
            _ => {}
        }
        None
    }

    /// What has become of a listener.
    fn listens(&mut self, listener: u64, answer: Result<SocketAddr, String>) {
        self.listening.insert(listener, answer);
        self.wake(Topic::Listener(listener));
        if self.udp.asked.take_if(|asked| *asked == listener).is_some() {
            self.wake(Topic::UdpTurn);
        }
    }

    /// Whoever had it has heard, or does not wait any more.
    pub(crate) fn end_udp_turn(&mut self) {
        self.udp.is_taken = false;
        self.wake(Topic::UdpTurn);
    }

    fn on_peer(&mut self, now: Instant, conn: ConnId, event: Event) {
        match event {
            Event::Outcome { call, outcome } => {
                if let Some(book) = self.call(conn, call) {
                    book.outcome = Some(outcome);
                    self.wake(Topic::Call(conn, call));
                }
            }
            Event::Item { call, payload } => match self.call(conn, call) {
                Some(book) if !book.wants_no_items => {
                    book.items.push_back(payload);
                    self.wake(Topic::Call(conn, call));
                }
                _ => {
                    self.stats.dropped_items += 1;
                    // The window of one that wanted them once moves on.
                    let node = self.node_again(now);
                    node.with(now, conn, |peer, _| peer.consumed(call, payload.len()));
                }
            },
            Event::Request { request, method, payload, deadline } => {
                let refusal = if self.is_abandoned {
                    Refusal::GoingAway
                } else if self.has_room_for(conn, &payload) {
                    let arrival = Arrival::Request { conn, request, method, payload, deadline };
                    return self.arrive(arrival);
                } else {
                    self.stats.overflowed_requests += 1;
                    Refusal::Busy
                };
                // Its caller may be gone.
                let _ = self.node_again(now).refuse(now, conn, request, refusal, b"");
            }
            Event::Notification { method, payload } => {
                if self.has_room_for(conn, &payload) {
                    self.arrive(Arrival::Notification { conn, method, payload });
                } else {
                    self.stats.dropped_notifications += 1;
                }
            }
            Event::Abandoned { request, .. } => {
                if let Some(book) = self.books.get_mut(&conn) {
                    book.unsent.retain(|(waiting, _)| *waiting != request);
                }
                self.wake(Topic::Request(conn, request));
            }
            Event::Thirsty { request } => self.wake(Topic::Request(conn, request)),
            Event::Writable => {
                self.send_unsent(now, conn);
                self.wake(Topic::Conn(conn));
            }
            _ => {}
        }
    }

    /// Where a connection stands.
    pub(crate) fn status(&self, conn: ConnId) -> Status {
        if let Some(why) = &self.over {
            return Status::Over(why.to_string());
        }
        match self.books.get(&conn) {
            Some(book) => book.status.clone(),
            None => Status::Over(String::from("the connection is over")),
        }
    }

    /// Whether what has come from a connection may wait to be taken.
    fn has_room_for(&mut self, conn: ConnId, payload: &Bytes) -> bool {
        let cost = payload.len() + ARRIVAL_COST;
        self.arrivals.len() < ARRIVALS_MAX
            && self.arrived + cost <= ARRIVED_BYTES_MAX
            && self.book(conn).arrived + cost <= ARRIVED_BYTES_EACH
    }

    fn arrive(&mut self, arrival: Arrival) {
        let (conn, cost) = arrival.cost();
        self.arrived += cost;
        self.book(conn).arrived += cost;
        self.arrivals.push_back(arrival);
        self.wake(Topic::Arrival);
    }

    /// The next that has come; requests that nobody waits for any more are skipped.
    pub(crate) fn next_arrival(&mut self) -> Option<Arrival> {
        loop {
            let arrival = self.arrivals.pop_front()?;
            let (conn, cost) = arrival.cost();
            self.arrived -= cost;
            if let Some(book) = self.books.get_mut(&conn) {
                book.arrived = book.arrived.saturating_sub(cost);
            }
            match &arrival {
                Arrival::Request { conn, request, .. } if !self.is_waiting(*conn, *request) => {}
                _ => return Some(arrival),
            }
        }
    }

    /// Whether somebody waits for the answer to a request.
    pub(crate) fn is_waiting(&self, conn: ConnId, request: RequestId) -> bool {
        let waits = self.node.peer(conn).is_some_and(|peer| peer.is_waiting(request));
        waits && self.over.is_none()
    }

    pub(crate) fn book(&mut self, conn: ConnId) -> &mut Book {
        self.books.entry(conn).or_default()
    }

    /// The book of a call that somebody waits for.
    pub(crate) fn call(&mut self, conn: ConnId, call: CallId) -> Option<&mut CallBook> {
        self.calls.get_mut(&(conn, call))
    }

    fn set_status(&mut self, conn: ConnId, status: Status) {
        self.book(conn).status = status;
        self.wake(Topic::Conn(conn));
    }

    /// Nobody can ask of it any more. Those who hold a handle find no book.
    fn finalise(&mut self, conn: ConnId) {
        if self.books.get(&conn).is_some_and(|book| !book.is_held) {
            self.books.remove(&conn);
        }
        self.wake(Topic::Conn(conn));
    }

    /// Asks; whoever asks waits for the outcome from now on.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        conn: ConnId,
        method: MethodRef<'_>,
        payload: Bytes,
        options: CallOptions,
        wants_items: bool,
    ) -> Result<CallId, AskError> {
        if self.over.is_some() {
            return Err(AskError::Ended);
        }
        let call = self.node.call(now, conn, method, payload, options)?;
        let book = CallBook { wants_no_items: !wants_items, ..CallBook::default() };
        self.calls.insert((conn, call), book);
        Ok(call)
    }

    /// Answers a request; what finds no room waits for it here, as the request waits for it there.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        answer: Answer,
    ) -> Result<(), AnswerError> {
        if self.over.is_some() {
            return Err(AnswerError::Unknown);
        }
        let told = self.try_answer(now, conn, request, &answer);
        if told == Err(AnswerError::Blocked) {
            self.book(conn).unsent.push_back((request, answer));
            return Ok(());
        }
        told
    }

    fn try_answer(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        answer: &Answer,
    ) -> Result<(), AnswerError> {
        let node = &mut self.node;
        match answer {
            Answer::Reply(payload) => node.reply(now, conn, request, payload.clone()),
            Answer::Fail(code, detail) => node.fail(now, conn, request, *code, detail.clone()),
            Answer::Refuse(refusal, detail) => {
                node.refuse(now, conn, request, *refusal, detail.clone())
            }
        }
    }

    fn send_unsent(&mut self, now: Instant, conn: ConnId) {
        loop {
            let Some(book) = self.books.get_mut(&conn) else { return };
            let Some((request, answer)) = book.unsent.pop_front() else { return };
            self.node_again(now);
            match self.try_answer(now, conn, request, &answer) {
                Err(AnswerError::Blocked) => {
                    self.book(conn).unsent.push_front((request, answer));
                    return;
                }
                // Over a new pipe it may be more than the caller takes.
                Err(AnswerError::TooLarge { .. }) => {
                    let none = Answer::Refuse(Refusal::Unanswered, Bytes::new());
                    let _ = self.try_answer(now, conn, request, &none);
                }
                _ => {}
            }
        }
    }

    /// Nobody will take what has come.
    pub(crate) fn turn_away(&mut self, now: Instant) {
        while let Some(arrival) = self.next_arrival() {
            if let Arrival::Request { conn, request, .. } = arrival {
                // Its caller may be gone.
                let _ = self.node.refuse(now, conn, request, Refusal::GoingAway, b"");
            }
        }
    }

    /// Nothing comes any more: whoever waits is told.
    pub(crate) fn end(&mut self, why: &str) {
        self.over.get_or_insert_with(|| why.into());
        // Whoever drives it is to see that it is over.
        self.nudge();
        self.waits.take_all(&mut self.woken);
    }
}
