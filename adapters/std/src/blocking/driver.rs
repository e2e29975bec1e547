//! The loop thread of one endpoint: events to cells, commands to the engine.
//!
//! One turn is: run the loop until something happened, deal with all events, deal with all
//! commands, then look once into each stream that either of them was about. Nothing here waits but
//! the loop.

mod shutdown;

use super::cell::{
    Command, ConnCell, ConnState, Fresh, Opening, Progress, Shared, StreamCell, lock,
};
use super::entry::Entry;
use super::watch::{Notice, Watch};
use crate::{Error, HubLoop, Stats, UdpLink};
use shutdown::Shutting;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tripline::{
    By, Code, ConnectOptions, ConnectionHandle, ConnectionStats, Event, Fate, HubEvent, Incoming,
    LinkHub, LostCause, OpenError, Over, PublicKey, Side, State, StreamId, Target,
};
use tripline_common::Door;
use tripline_sansio::Instant;

/// How long a connection that nobody holds any more may take to deliver what was handed in.
const DROP_GRACE: Duration = Duration::from_secs(10);

/// An attempt to connect.
struct Connecting {
    progress: Sender<Progress>,
    began: Instant,
    phases: Vec<(State, Duration)>,
    /// It travels by links alone: when none of them does, it is not tried any longer.
    by_links: bool,
}

/// An end that waits until all streams have handed their messages to the engine.
struct Leaving {
    until: Instant,
    code: Code,
    reason: String,
}

struct Conn {
    cell: Arc<ConnCell>,
    streams: HashMap<StreamId, Entry>,
    /// Streams to be opened once the peer allows more.
    opens: VecDeque<Opening>,
    leaving: Option<Leaving>,
    /// The user wants it to end.
    closing: bool,
    undelivered: u64,
    end: Option<Error>,
    over: bool,
    released: bool,
    /// The last counters, from the time when the engine still had them.
    stats: ConnectionStats,
}

/// Who was connected, as the event says it.
struct Introduction {
    handle: ConnectionHandle,
    side: Side,
    peer: Option<PublicKey>,
    remote: SocketAddr,
    user_id: [u8; 8],
    route: Vec<u8>,
}

/// The loop thread's whole state.
pub(crate) struct Driver {
    looper: HubLoop<Watch>,
    shared: Arc<Shared>,
    door: Door,
    connecting: HashMap<ConnectionHandle, Connecting>,
    conns: HashMap<ConnectionHandle, Conn>,
    /// Streams to look into before the next turn.
    dirty: Vec<(ConnectionHandle, StreamId)>,
    leaving: Vec<ConnectionHandle>,
    shutting: Option<Shutting>,
    quit: bool,
    /// Why the loop ended.
    fate: Error,
}

impl Driver {
    pub(crate) fn new(looper: HubLoop<Watch>, shared: Arc<Shared>, door: Door) -> Self {
        Self {
            looper,
            shared,
            door,
            connecting: HashMap::new(),
            conns: HashMap::new(),
            dirty: Vec::new(),
            leaving: Vec::new(),
            shutting: None,
            quit: false,
            fate: Error::Ended,
        }
    }

    /// Runs until nobody holds a handle and no connection is left, or the socket breaks.
    pub(crate) fn run(mut self) {
        while !(self.quit && self.looper.hub().hub.endpoint().connections() == 0) {
            let now = self.looper.clock().now();
            let waiting = self.leaving.iter().filter_map(|handle| {
                self.conns.get(handle)?.leaving.as_ref().map(|leaving| leaving.until)
            });
            let first = waiting.chain(self.shutting_at()).min();
            let limit = first.map(|until| until.saturating_duration_since(now));
            if let Err(error) = self.looper.run_once(limit) {
                self.fate = error.into();
                return;
            }
            while let Some(notice) = self.looper.next_event() {
                self.on_notice(notice);
            }
            let commands = std::mem::take(&mut lock(&self.shared.inbox).commands);
            for command in commands {
                self.on_command(command);
            }
            self.service();
            self.leave();
            self.tend_shutting();
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Event(event) => self.on_event(event),
            Notice::Link(event) => self.on_link(event),
            Notice::Changed(handle, Some(state), at) if self.connecting.contains_key(&handle) => {
                if let Some(connecting) = self.connecting.get_mut(&handle) {
                    connecting.phases.push((state, at - connecting.began));
                }
            }
            Notice::Changed(..) => {}
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Resolve { connection, host, port } => self.resolve(connection, host, port),
            Event::ServerKey { connection, key } => {
                if let Some(connecting) = self.connecting.get(&connection) {
                    let _ = connecting.progress.send(Progress::ServerKey(connection, key));
                }
            }
            Event::Incoming(incoming) => self.screen(&incoming),
            Event::Connected { connection, side, peer, remote, user_id, route } => {
                let handle = connection;
                self.on_connected(Introduction { handle, side, peer, remote, user_id, route });
            }
            Event::Failed { connection, error } => {
                if let Some(connecting) = self.connecting.remove(&connection) {
                    let _ = connecting.progress.send(Progress::Done(Err(Error::Connect(error))));
                }
            }
            Event::Opened { connection, stream } => self.on_opened(connection, stream),
            Event::Readable { connection, stream } => {
                self.mark(connection, stream, |entry| entry.readable = true);
            }
            Event::Writable { connection, stream } => {
                self.mark(connection, stream, |entry| entry.blocked = false);
            }
            Event::Stopped { connection, stream, code } => {
                self.mark(connection, stream, |entry| entry.stopped = Some(code));
            }
            Event::StreamsAvailable { connection, .. } => self.open_waiting(connection),
            Event::Message { connection, stream, fate, .. } => {
                self.on_fate(connection, stream, fate)
            }
            // What the peer says about leaving is told by its end; new streams are refused.
            Event::Leaving { .. }
            | Event::Moved { .. }
            | Event::UmtuChanged { .. }
            | Event::Unlinked { .. }
            | Event::Unsafe { .. }
            | Event::Quiet { .. }
            // While opening the engine follows by itself; later it is up to the two users.
            | Event::Forward { .. } => {}
            Event::ShutDown => self.on_shut_down(),
            Event::Closed { connection, by, code, reason } => {
                self.on_end(connection, Error::Closed { by, code, reason });
            }
            Event::Lost { connection, cause } => self.on_end(connection, Error::Lost(cause)),
            Event::Drained { connection } => self.on_over(connection),
        }
    }

    /// What becomes of links. An attempt that knows no other way ends when all of them have failed:
    /// the user hears why at once, not that time is up in the end.
    fn on_link(&mut self, event: HubEvent) {
        let HubEvent::LinkFailed { connection, error, all: true, .. } = event else { return };
        if self.connecting.get(&connection).is_some_and(|connecting| connecting.by_links) {
            if let Some(connecting) = self.connecting.remove(&connection) {
                let _ = connecting.progress.send(Progress::Done(Err(Error::Link(error))));
            }
            self.on_command(Command::Kill(connection));
        }
    }

    /// Row T02: the system's resolver may take its time, so it gets a thread of its own. The
    /// attempt's deadline goes on meanwhile.
    fn resolve(&mut self, connection: ConnectionHandle, host: String, port: u16) {
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let found = crate::resolve(&host, port).map_err(|error| error.to_string());
            shared.push(Command::Resolved(connection, found));
        };
        if let Err(error) = std::thread::Builder::new().name("tripline-dns".into()).spawn(work) {
            self.on_command(Command::Resolved(connection, Err(error.to_string())));
        }
    }

    /// Rows T12 and T13: the user decides.
    fn screen(&mut self, incoming: &Incoming) {
        let decision = self.door.decide(incoming);
        self.looper.with(|watch, now| decision.tell(watch.endpoint(), now));
    }

    fn on_connected(&mut self, who: Introduction) {
        let Introduction { handle, side, peer, remote, user_id, route } = who;
        let connecting = self.connecting.remove(&handle);
        let (progress, phases) =
            connecting.map(|connecting| (connecting.progress, connecting.phases)).unzip();
        let cell = Arc::new(ConnCell {
            handle,
            side,
            peer,
            remote,
            user_id,
            route,
            phases: phases.unwrap_or_default(),
            proven: AtomicUsize::new(0),
            state: Mutex::new(ConnState::default()),
            changed: Condvar::new(),
        });
        let conn = Conn {
            cell: Arc::clone(&cell),
            streams: HashMap::new(),
            opens: VecDeque::new(),
            leaving: None,
            closing: false,
            undelivered: 0,
            end: None,
            over: false,
            released: false,
            stats: ConnectionStats::default(),
        };
        self.conns.insert(handle, conn);
        let taken = match progress {
            Some(progress) => progress.send(Progress::Done(Ok(cell))).is_ok(),
            None => {
                let mut accept = lock(&self.shared.accept);
                if accept.listening {
                    accept.queue.push_back(cell);
                }
                accept.listening
            }
        };
        if taken {
            self.shared.accepted.notify_one();
        } else {
            self.on_command(Command::Release(handle));
        }
    }

    fn on_opened(&mut self, connection: ConnectionHandle, stream: StreamId) {
        let Some(conn) = self.conns.get_mut(&connection) else { return };
        let cell = Arc::new(StreamCell::new(stream, connection, conn.cell.side));
        conn.streams.insert(stream, Entry::new(Arc::clone(&cell)));
        lock(&conn.cell.state).opened.push_back(cell);
        conn.cell.changed.notify_all();
    }

    fn on_fate(&mut self, connection: ConnectionHandle, stream: StreamId, fate: Fate) {
        if fate == Fate::Undelivered
            && let Some(conn) = self.conns.get_mut(&connection)
            && conn.closing
        {
            conn.undelivered += 1;
        }
        self.mark(connection, stream, |entry| entry.settled.count(fate));
    }

    /// Changes a stream's entry, and sees to it that its cell is looked into.
    fn mark(&mut self, handle: ConnectionHandle, id: StreamId, change: impl FnOnce(&mut Entry)) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let Some(entry) = conn.streams.get_mut(&id) else { return };
        change(entry);
        if !std::mem::replace(&mut entry.dirty, true) {
            self.dirty.push((handle, id));
        }
    }

    /// The connection has ended: everyone who waits on it is told, but what was received first.
    fn on_end(&mut self, handle: ConnectionHandle, error: Error) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        let Conn { cell, streams, opens, undelivered, stats, .. } = conn;
        let watch = self.looper.hub();
        *stats = watch.hub.endpoint().connection_stats(handle).unwrap_or(*stats);
        for (id, entry) in streams.iter_mut() {
            *undelivered += lock(&entry.cell.state).refuse(&error);
            entry.readable = true;
            if !std::mem::replace(&mut entry.dirty, true) {
                self.dirty.push((handle, *id));
            }
        }
        for Opening { reply, .. } in opens.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
        let mut state = lock(&cell.state);
        state.end = Some(error.clone());
        state.undelivered = *undelivered;
        // If it was the peer who said so, it need not be told: our answer went out with this turn.
        state.over = matches!(
            &error,
            Error::Closed { by: By::Peer, .. }
                | Error::Lost(LostCause::Peer { .. } | LostCause::Reset)
        );
        drop(state);
        cell.changed.notify_all();
        conn.end = Some(error);
        conn.leaving = None;
    }

    /// The engine has nothing more to say to the peer.
    fn on_over(&mut self, handle: ConnectionHandle) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        conn.over = true;
        lock(&conn.cell.state).over = true;
        conn.cell.changed.notify_all();
        if conn.released {
            self.forget(handle);
        }
    }

    /// Frees what nobody will read.
    fn forget(&mut self, handle: ConnectionHandle) {
        self.conns.remove(&handle);
        let _ = self.looper.with(|watch, now| watch.endpoint().kill(now, handle));
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect { target, options, over, progress } => {
                self.connect(target, *options, over, progress);
            }
            Command::Path(handle, reply) => {
                let _ = reply.send(self.looper.hub().hub.carrier(handle));
            }
            Command::Trust(handle) => {
                let _ = self.looper.with(|watch, now| watch.endpoint().trust(now, handle));
            }
            Command::Kill(handle) => {
                let _ = self.looper.with(|watch, now| watch.endpoint().kill(now, handle));
            }
            Command::Resolved(handle, found) => {
                let _ = self.looper.with(|watch, now| watch.hub.resolved(now, handle, found));
            }
            Command::Open(handle, opening) => {
                if let Some(conn) = self.conns.get_mut(&handle) {
                    // So many as there are threads that wait.
                    conn.opens.retain(|opening| opening.wanted.strong_count() > 0);
                    conn.opens.push_back(opening);
                    self.open_waiting(handle);
                }
            }
            Command::Do(task) => self.looper.with(|watch, now| (task.0)(watch.endpoint(), now)),
            Command::Touch(cell) => self.mark(cell.connection, cell.id, |_| {}),
            Command::Accepted(cell) => self.mark(cell.connection, cell.id, |entry| {
                entry.accepted = true;
                entry.readable = true;
            }),
            Command::Close { connection, grace, code, reason } => {
                self.close(connection, grace, code, reason);
            }
            Command::Release(handle) => self.release(handle),
            Command::Agreed(handle, reply) => {
                let _ = reply.send(self.looper.hub().hub.endpoint().agreed(handle));
            }
            Command::Explain(handle, reply) => {
                let act = |watch: &mut Watch, now| watch.endpoint().explain(now, handle);
                let _ = reply.send(self.looper.with(act));
            }
            Command::NetworkChanged(handle, reply) => {
                let act = |watch: &mut Watch, now| watch.endpoint().network_changed(now, handle);
                let _ = reply.send(self.looper.with(act));
            }
            Command::Reconfigure(handle, change, reply) => {
                let act =
                    |watch: &mut Watch, now| watch.endpoint().reconfigure(now, handle, change);
                let _ = reply.send(self.looper.with(act));
            }
            Command::Stats(handle, reply) => {
                let _ = reply.send(self.stats(handle));
            }
            Command::ShutDown { grace, code, reason, reply } => {
                self.shut_down(grace, code, reason, Some(reply));
            }
            Command::Quit => {
                self.quit = true;
                self.shut_down(DROP_GRACE, Code::NONE, String::new(), None);
            }
        }
    }

    fn connect(
        &mut self,
        target: Target,
        options: ConnectOptions,
        over: Over,
        progress: Sender<Progress>,
    ) {
        let by_links = !over.udp;
        let result = self.looper.with(|watch, now| {
            let handle = watch.hub.connect(now, target, options, over)?;
            watch.watch(handle, now);
            Ok((handle, now))
        });
        match result {
            Ok((handle, began)) => {
                let connecting = Connecting { progress, began, phases: Vec::new(), by_links };
                self.connecting.insert(handle, connecting);
            }
            Err(error) => {
                let _ = progress.send(Progress::Done(Err(Error::Start(error))));
            }
        }
    }

    /// Opens the streams that wait, as far as the peer allows (row T32).
    fn open_waiting(&mut self, handle: ConnectionHandle) {
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        while let Some(opening) = conn.opens.pop_front() {
            if opening.wanted.strong_count() == 0 {
                continue;
            }
            let options = opening.options;
            let opened = match &conn.end {
                Some(error) => Err(error.clone()),
                None => self
                    .looper
                    .with(|watch, now| watch.endpoint().open(now, handle, options))
                    .map_err(Error::Open),
            };
            if let Err(Error::Open(OpenError::Limit { .. })) = opened {
                conn.opens.push_front(opening);
                return;
            }
            // Whoever opened it may have just stopped waiting; then it is let go.
            let _ = opening.reply.send(opened.map(|id| {
                let cell = Arc::new(StreamCell::new(id, handle, conn.cell.side));
                let mut entry = Entry::new(Arc::clone(&cell));
                entry.accepted = true;
                conn.streams.insert(id, entry);
                Fresh::new(cell, Arc::clone(&self.shared))
            }));
        }
    }

    /// Row T25. The engine takes no messages once it leaves, so what still waits in cells goes
    /// first.
    fn close(&mut self, handle: ConnectionHandle, grace: Duration, code: Code, reason: String) {
        let now = self.looper.clock().now();
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        if conn.closing || conn.end.is_some() {
            return;
        }
        conn.closing = true;
        conn.leaving = Some(Leaving { until: now + grace, code, reason });
        for (id, entry) in &mut conn.streams {
            let closing = Error::Send(tripline::SendError::Closing);
            lock(&entry.cell.state).send_end.get_or_insert(closing);
            entry.cell.writable.notify_all();
            if !std::mem::replace(&mut entry.dirty, true) {
                self.dirty.push((handle, *id));
            }
        }
        self.leaving.push(handle);
    }

    /// Tells the engine to end those connections whose cells have been emptied, or whose grace is
    /// over.
    fn leave(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let Self { looper, conns, leaving, .. } = self;
        leaving.retain(|handle| {
            let Some(conn) = conns.get_mut(handle) else { return false };
            let Some(Leaving { until, code, reason }) = &conn.leaving else { return false };
            let now = looper.clock().now();
            let waits = |entry: &Entry| !lock(&entry.cell.state).outgoing.is_empty();
            if now < *until && conn.streams.values().any(waits) {
                return true;
            }
            let _ = looper.with(|watch, now| {
                let grace = until.saturating_duration_since(now);
                watch.endpoint().close(now, *handle, grace, *code, reason)
            });
            conn.leaving = None;
            false
        });
    }

    fn release(&mut self, handle: ConnectionHandle) {
        self.close(handle, DROP_GRACE, Code::NONE, String::new());
        let Some(conn) = self.conns.get_mut(&handle) else { return };
        conn.released = true;
        if conn.over {
            self.forget(handle);
        }
    }

    fn stats(&self, handle: Option<ConnectionHandle>) -> Stats {
        let endpoint = self.looper.hub().hub.endpoint();
        let last = |handle| self.conns.get(&handle).map(|conn| conn.stats);
        let connection =
            handle.and_then(|handle| endpoint.connection_stats(handle).or_else(|| last(handle)));
        Stats {
            connection: connection.unwrap_or_default(),
            endpoint: endpoint.stats(),
            socket: self.looper.udp(LinkHub::UDP).map(UdpLink::stats).unwrap_or_default(),
            links: self.looper.link_stats(),
            turns: self.looper.counts(),
        }
    }

    /// Looks once into each stream that something happened to.
    fn service(&mut self) {
        let Self { looper, conns, dirty, .. } = self;
        for (handle, id) in dirty.drain(..) {
            let Some(conn) = conns.get_mut(&handle) else { continue };
            let Some(entry) = conn.streams.get_mut(&id) else { continue };
            let (end, proven) = (conn.end.as_ref(), &conn.cell.proven);
            let done = looper.with(|watch, now| entry.service(watch.endpoint(), now, end, proven));
            if done {
                conn.streams.remove(&id);
            }
        }
    }
}

impl Drop for Driver {
    /// However the thread ends: nobody may wait for it any more.
    fn drop(&mut self) {
        let fate = &self.fate;
        let mut inbox = lock(&self.shared.inbox);
        inbox.dead = Some(fate.clone());
        let left = std::mem::take(&mut inbox.commands);
        drop(inbox);
        drop(left);
        lock(&self.shared.accept).dead = Some(fate.clone());
        self.shared.accepted.notify_all();
        for conn in self.conns.values() {
            let mut state = lock(&conn.cell.state);
            state.end.get_or_insert_with(|| fate.clone());
            state.over = true;
            drop(state);
            conn.cell.changed.notify_all();
            conn.streams.values().for_each(|entry| entry.cell.end(fate));
        }
    }
}
