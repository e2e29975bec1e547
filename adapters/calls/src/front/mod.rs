//! The books: a node, who waits for what of it, and what has come that nobody has taken yet.

mod answers;
mod arrivals;
mod books;

pub(crate) use arrivals::Arrival;
pub(crate) use books::{Answer, Book, CallBook, Task, Topic};
pub use books::{CallsStats, Status};

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use tripline_common::Waits;
use tripline_rpc::{
    AskError, CallId, CallOptions, ConnId, Event, MethodRef, Node, NodeEvent, Refusal, RequestId,
};
use tripline_sansio::{Duration, Hub, Instant};

/// A node, and what is written down of it.
pub(crate) struct Front {
    pub(crate) node: Node,
    pub(crate) books: HashMap<ConnId, Book>,
    /// Calls of which somebody waits for the outcome.
    pub(crate) calls: HashMap<(ConnId, CallId), CallBook>,
    arrivals: VecDeque<Arrival>,
    arrived: usize,
    pub(crate) waits: Waits<Topic>,
    /// Listeners that somebody waits for, and what has become of them.
    pub(crate) listening: BTreeMap<u64, Option<Result<SocketAddr, String>>>,
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

    /// What has become of a listener that somebody waits for.
    fn listens(&mut self, listener: u64, answer: Result<SocketAddr, String>) {
        if let Some(slot) = self.listening.get_mut(&listener) {
            *slot = Some(answer);
            self.wake(Topic::Listener(listener));
        }
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

    /// Nothing comes any more: whoever waits is told.
    pub(crate) fn end(&mut self, why: &str) {
        self.over.get_or_insert_with(|| why.into());
        // Whoever drives it is to see that it is over.
        self.nudge();
        self.waits.take_all(&mut self.woken);
    }
}
