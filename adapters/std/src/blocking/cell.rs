//! What user threads and the loop thread share: one cell for each stream and each connection, and
//! the inbox of the loop.
//!
//! A cell's lock is held for moments only. Messages go through it in batches: the loop thread looks
//! into a stream's cell once a turn, however many messages went in or came out meanwhile. What the
//! user does not read stays in the engine, but for a bounded handful, so that credit holds the
//! sender.

use crate::{Error, Settled, Stats, Waker};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tripline::{
    Agreed, Carrier, Code, ConnectOptions, ConnectionHandle, Direction, Endpoint, Explanation,
    Over, PublicKey, Reconfigure, SendOptions, Side, State, StreamId, StreamOptions, Target,
    UnknownConnection,
};
use tripline_sansio::Instant as TimePoint;

/// Bytes that wait in one cell before `send` waits; the engine's own buffer comes behind it.
pub(crate) const OUTGOING_MAX: usize = 256 << 10;
/// Bytes and messages that are taken out of the engine before the user asks for them.
pub(crate) const INCOMING_MAX: (usize, usize) = (256 << 10, 512);

/// Locks. A panic elsewhere leaves nothing half done that another thread could stumble over.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on a condition of a lock.
pub(crate) fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// When a call that begins now has to come back.
pub(crate) fn limit(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}

/// As [`wait`], until then at most.
pub(crate) fn wait_until<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> Result<MutexGuard<'a, T>, Error> {
    let Some(until) = until else { return Ok(wait(condition, guard)) };
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::TimedOut);
    }
    Ok(condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0)
}

/// Waits for an answer of the loop, until then at most. `Ok(None)` if there will be none.
pub(crate) fn answer_until<T>(
    answer: &Receiver<T>,
    until: Option<Instant>,
) -> Result<Option<T>, Error> {
    let Some(until) = until else { return Ok(answer.recv().ok()) };
    match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(value) => Ok(Some(value)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => Err(Error::TimedOut),
    }
}

/// A stream on its way to whoever opened it. One that never gets there, because they have just
/// stopped waiting, is let go like any other that nobody holds.
#[derive(Debug)]
pub(crate) struct Fresh {
    cell: Option<Arc<StreamCell>>,
    shared: Arc<Shared>,
}

impl Fresh {
    pub(crate) fn new(cell: Arc<StreamCell>, shared: Arc<Shared>) -> Self {
        Self { cell: Some(cell), shared }
    }

    /// It has arrived.
    pub(crate) fn take(mut self) -> Option<Arc<StreamCell>> {
        self.cell.take()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            cell.let_go();
            self.shared.push(Command::Touch(cell));
        }
    }
}

/// A stream that is to be opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) options: StreamOptions,
    pub(crate) reply: SyncSender<Result<Fresh, Error>>,
    /// Dead once nobody waits for it any more; then it is not opened at all.
    pub(crate) wanted: Weak<()>,
}

/// A message on its way to the engine.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// By which its sender finds it again.
    pub(crate) ticket: u64,
    pub(crate) data: Bytes,
    pub(crate) options: SendOptions,
    /// Whoever waits to hear whether the engine took it.
    pub(crate) reply: Option<SyncSender<Result<(), Error>>>,
}

/// How reading a stream ends.
#[derive(Clone, Debug)]
pub(crate) enum ReadEnd {
    Finished,
    Error(Error),
}

/// One stream, between the user and the loop.
#[derive(Debug)]
pub(crate) struct StreamCell {
    pub(crate) id: StreamId,
    pub(crate) connection: ConnectionHandle,
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    pub(crate) state: Mutex<StreamState>,
    /// There is something to read.
    pub(crate) readable: Condvar,
    /// There is room, or messages were settled.
    pub(crate) writable: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct StreamState {
    pub(crate) outgoing: VecDeque<Outgoing>,
    pub(crate) outgoing_bytes: usize,
    /// The newest ticket.
    pub(crate) tickets: u64,
    /// Messages that the user handed in and that were not refused.
    pub(crate) handed: u64,
    pub(crate) settled: Settled,
    /// The user said that no more comes.
    pub(crate) finish: bool,
    /// The user ended the sending half early, and wants no more to read.
    pub(crate) close: Option<Code>,
    pub(crate) stop: Option<Code>,
    pub(crate) priority: Option<u8>,
    pub(crate) send_end: Option<Error>,
    pub(crate) incoming: VecDeque<Bytes>,
    pub(crate) incoming_bytes: usize,
    /// The engine has more than what is in `incoming`.
    pub(crate) more: bool,
    pub(crate) read_end: Option<ReadEnd>,
    /// The loop has been asked to look into this cell.
    pub(crate) touched: bool,
    /// The user let go of the stream.
    pub(crate) abandoned: bool,
}

impl StreamCell {
    /// The cell of a stream that `side` sees.
    pub(crate) fn new(id: StreamId, connection: ConnectionHandle, side: Side) -> Self {
        let two_way = id.direction() == Direction::TwoWay;
        let ours = id.opener() == side;
        Self {
            id,
            connection,
            sends: two_way || ours,
            receives: two_way || !ours,
            state: Mutex::default(),
            readable: Condvar::new(),
            writable: Condvar::new(),
        }
    }

    /// Nobody holds it any more: what was handed in still goes out, and nothing more is read.
    pub(crate) fn let_go(&self) {
        let mut state = lock(&self.state);
        state.finish = true;
        state.abandoned = true;
        if state.read_end.is_none() {
            state.stop = Some(Code::NONE);
        }
    }

    /// The stream or its connection is over for both halves, unless they ended before.
    pub(crate) fn end(&self, error: &Error) {
        let mut state = lock(&self.state);
        state.refuse(error);
        state.read_end.get_or_insert_with(|| ReadEnd::Error(error.clone()));
        state.more = false;
        drop(state);
        self.readable.notify_all();
        self.writable.notify_all();
    }
}

impl StreamState {
    /// Takes back a message that the engine has not taken; `false` if it has.
    pub(crate) fn withdraw(&mut self, ticket: u64) -> bool {
        let Some(at) = self.outgoing.iter().position(|one| one.ticket == ticket) else {
            return false;
        };
        if let Some(outgoing) = self.outgoing.remove(at) {
            self.outgoing_bytes -= outgoing.data.len();
            self.handed -= 1;
        }
        true
    }

    /// Nothing more can be sent; returns how many messages are dropped unsent.
    pub(crate) fn refuse(&mut self, error: &Error) -> u64 {
        self.send_end.get_or_insert_with(|| error.clone());
        let mut dropped = 0;
        for outgoing in self.outgoing.drain(..) {
            if let Some(reply) = outgoing.reply {
                // Whoever waits for the answer hears that it was not taken.
                self.handed -= 1;
                let _ = reply.send(Err(error.clone()));
            } else {
                dropped += 1;
            }
        }
        self.settled.undelivered += dropped;
        self.outgoing_bytes = 0;
        dropped
    }
}

/// One connection, between the user and the loop.
#[derive(Debug)]
pub(crate) struct ConnCell {
    pub(crate) handle: ConnectionHandle,
    pub(crate) side: Side,
    pub(crate) peer: Option<PublicKey>,
    pub(crate) remote: SocketAddr,
    pub(crate) user_id: [u8; 8],
    pub(crate) route: Vec<u8>,
    /// The states on the way to readiness, and when each began, counted from the call.
    pub(crate) phases: Vec<(State, Duration)>,
    /// The largest message that the engine has taken: smaller ones it takes as well.
    pub(crate) proven: AtomicUsize,
    pub(crate) state: Mutex<ConnState>,
    pub(crate) changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct ConnState {
    /// Streams that the peer opened and nobody has taken yet.
    pub(crate) opened: VecDeque<Arc<StreamCell>>,
    /// The end, told by the engine.
    pub(crate) end: Option<Error>,
    /// The peer knows of the end, or will never.
    pub(crate) over: bool,
    /// Messages that were not delivered when the connection ended.
    pub(crate) undelivered: u64,
}

/// How an attempt to connect goes on.
#[derive(Debug)]
pub(crate) enum Progress {
    /// XX: the server showed this key.
    ServerKey(ConnectionHandle, PublicKey),
    Done(Result<Arc<ConnCell>, Error>),
}

/// What a [`Task`] does.
type Action = dyn FnOnce(&mut Endpoint, TimePoint) + Send;

/// Work of the user's, to be done by the loop thread.
pub(crate) struct Task(pub(crate) Box<Action>);

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

/// What user threads ask of the loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// Row N26.
    Do(Task),
    Connect {
        target: Target,
        options: Box<ConnectOptions>,
        over: Over,
        progress: Sender<Progress>,
    },
    Trust(ConnectionHandle),
    Kill(ConnectionHandle),
    Resolved(ConnectionHandle, Result<Vec<SocketAddr>, String>),
    Open(ConnectionHandle, Opening),
    Touch(Arc<StreamCell>),
    Accepted(Arc<StreamCell>),
    Close {
        connection: ConnectionHandle,
        grace: Duration,
        code: Code,
        reason: String,
    },
    Agreed(ConnectionHandle, SyncSender<Option<Agreed>>),
    Path(ConnectionHandle, SyncSender<Option<Carrier>>),
    Explain(ConnectionHandle, SyncSender<Option<Explanation>>),
    /// Of one connection, or of all.
    NetworkChanged(Option<ConnectionHandle>, SyncSender<Result<(), UnknownConnection>>),
    Reconfigure(ConnectionHandle, Reconfigure, SyncSender<Result<(), UnknownConnection>>),
    /// Nobody holds the connection or one of its streams any more.
    Release(ConnectionHandle),
    Stats(Option<ConnectionHandle>, SyncSender<Stats>),
    /// The whole endpoint is to end (R-CLOSE-7); answered when it has.
    ShutDown {
        grace: Duration,
        code: Code,
        reason: String,
        reply: SyncSender<()>,
    },
    /// Nobody holds anything of this endpoint any more.
    Quit,
}

/// What all handles of one endpoint share with its loop thread.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) waker: Waker,
    pub(crate) local: SocketAddr,
    pub(crate) key: Option<PublicKey>,
    pub(crate) inbox: Mutex<Inbox>,
    pub(crate) accept: Mutex<Accept>,
    pub(crate) accepted: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) commands: Vec<Command>,
    /// The loop has ended, for this reason.
    pub(crate) dead: Option<Error>,
}

/// The connections that clients opened and nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Accept {
    pub(crate) queue: VecDeque<Arc<ConnCell>>,
    /// Somebody takes them.
    pub(crate) listening: bool,
    pub(crate) dead: Option<Error>,
}

impl Shared {
    /// Hands a command to the loop. If the loop has ended it is dropped, with its reply channel,
    /// and that is what the caller notices.
    pub(crate) fn push(&self, command: Command) {
        let mut inbox = lock(&self.inbox);
        if inbox.dead.is_none() {
            inbox.commands.push(command);
            drop(inbox);
            self.waker.wake();
        }
    }

    /// Why the loop answers no more.
    pub(crate) fn death(&self) -> Error {
        lock(&self.inbox).dead.clone().unwrap_or(Error::Ended)
    }
}
