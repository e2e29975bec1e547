//! Peers whose interface is asynchronous streams, and the workloads on them, written once.
//!
//! Each side is one thread with one single-threaded tokio runtime; what the peer itself spawns runs
//! there too. Buffers are handed over as `Bytes`, the way that costs each peer no copy.

mod bulk;
mod connects;
mod idle;
mod pingpong;
mod requests;
mod streams;

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::LocalSet;

pub use bulk::bulk;
pub use connects::connects;
pub use idle::idle;
pub use pingpong::pingpong;
pub use requests::{requests, unbatched};
pub use streams::requests_on_streams;

use crate::task::{Failure, Suite};

/// A transport with connections. Its two configurations are made on the thread that needs them.
pub trait Peer: Clone + Send + 'static {
    /// A bound server.
    type Server: 'static;
    /// A bound client.
    type Client: 'static;
    /// One connection.
    type Connection: Connection;

    /// Binds a server to a free port of loopback.
    async fn server(&self, suite: Suite) -> Result<(Self::Server, SocketAddr), Failure>;
    /// Waits for the next connection, until its handshake is done; nothing if there are no more.
    async fn accept(server: &mut Self::Server) -> Result<Option<Self::Connection>, Failure>;
    /// Binds a client.
    async fn client(&self, suite: Suite) -> Result<Self::Client, Failure>;
    /// Connects, until the handshake is done.
    async fn connect(client: &Self::Client, to: SocketAddr) -> Result<Self::Connection, Failure>;
}

/// One connection of a peer.
pub trait Connection: 'static {
    /// What a stream is written to.
    type Writer: Writer;
    /// What a stream is read from.
    type Reader: Reader;

    /// Opens a two-way stream.
    async fn open(&mut self) -> Result<(Self::Writer, Self::Reader), Failure>;
    /// Waits for one that the other side has opened; nothing if the connection is over.
    async fn accept(&mut self) -> Option<(Self::Writer, Self::Reader)>;
    /// Ends the connection.
    fn close(&mut self);
    /// Waits until the other side has ended it.
    async fn closed(&mut self);
}

/// A stream, to be written.
pub trait Writer: 'static {
    /// Hands over bytes, waiting for room.
    async fn put(&mut self, bytes: Bytes) -> Result<(), Failure>;
    /// No more will come.
    async fn finish(&mut self) -> Result<(), Failure>;
}

/// A stream, to be read.
pub trait Reader: 'static {
    /// The next bytes, whatever there is; nothing at the end.
    async fn get(&mut self) -> Result<Option<Bytes>, Failure>;
    /// Appends all that is there, at least something; false at the end.
    async fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, Failure>;
}

/// Runs one side to its end on this thread.
pub fn block_on<T>(side: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(side))
}

/// Waits for tasks to end, or for the first of them to fail.
#[derive(Clone, Default)]
struct Gate {
    inner: Rc<GateInner>,
}

#[derive(Default)]
struct GateInner {
    open: std::cell::Cell<u64>,
    failure: std::cell::RefCell<Option<Failure>>,
    bell: Notify,
}

impl Gate {
    /// Runs a task beside the others.
    fn spawn(&self, task: impl Future<Output = Result<(), Failure>> + 'static) {
        let gate = self.clone();
        gate.inner.open.set(gate.inner.open.get() + 1);
        tokio::task::spawn_local(async move {
            if let Err(failure) = task.await {
                gate.inner.failure.borrow_mut().get_or_insert(failure);
            }
            gate.inner.open.set(gate.inner.open.get() - 1);
            gate.inner.bell.notify_one();
        });
    }

    /// How many tasks run.
    fn running(&self) -> u64 {
        self.inner.open.get()
    }

    /// Waits until at most `count` run; fails with the first failure.
    async fn until(&self, count: u64) -> Result<(), Failure> {
        loop {
            if let Some(failure) = self.inner.failure.borrow_mut().take() {
                return Err(failure);
            }
            if self.running() <= count {
                return Ok(());
            }
            self.inner.bell.notified().await;
        }
    }
}

/// Accepts connections for as long as there are any, and runs `serve` on each.
async fn serve_all<P: Peer, F: Future<Output = Result<(), Failure>> + 'static>(
    server: &mut P::Server,
    connections: u64,
    serve: impl Fn(P::Connection) -> F,
) -> Result<(), Failure> {
    let gate = Gate::default();
    for _ in 0..connections {
        let Some(connection) = P::accept(server).await? else { break };
        gate.spawn(serve(connection));
    }
    gate.until(0).await
}
