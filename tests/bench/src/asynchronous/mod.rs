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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::LocalSet;

pub use bulk::bulk;
pub use connects::connects;
pub use idle::idle;
pub use pingpong::pingpong;
pub use requests::{requests, requests_each, unbatched};
pub use streams::requests_on_streams;

use crate::task::{Failure, Suite};

/// A transport with connections. Its two configurations are made on the thread that needs them.
pub trait Peer: Clone + Send + 'static {
    /// A bound server.
    type Server: 'static;
    /// A bound client.
    type Client: 'static;
    /// A connection whose handshake may not be done yet.
    type Arriving: 'static;
    /// One connection.
    type Connection: Connection;

    /// Binds a server to a free port of loopback.
    async fn server(&self, suite: Suite) -> Result<(Self::Server, SocketAddr), Failure>;
    /// Waits for the next connection to come; nothing if there are no more.
    async fn accept(server: &mut Self::Server) -> Result<Option<Self::Arriving>, Failure>;
    /// Waits until its handshake is done; others may come meanwhile.
    async fn arrive(arriving: Self::Arriving) -> Result<Self::Connection, Failure>;
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

    /// The first failure, if there is one.
    fn check(&self) -> Result<(), Failure> {
        self.inner.failure.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// Waits until at most `count` run; fails with the first failure.
    async fn until(&self, count: u64) -> Result<(), Failure> {
        loop {
            self.check()?;
            if self.running() <= count {
                return Ok(());
            }
            self.inner.bell.notified().await;
        }
    }
}

/// Whether the client has all that it waits for. What a client says when it leaves may be lost, so
/// a server does not wait for it.
#[derive(Clone, Default)]
struct Over {
    flag: Arc<AtomicBool>,
}

impl Over {
    /// How often a server looks; seldom enough not to count as work.
    const LOOK: Duration = Duration::from_millis(20);

    fn set(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Waits until it is over, or a task has failed.
    async fn wait(&self, gate: &Gate) -> Result<(), Failure> {
        while !self.flag.load(Ordering::SeqCst) {
            gate.check()?;
            tokio::time::sleep(Self::LOOK).await;
        }
        Ok(())
    }
}

/// Waits for one connection, until its handshake is done.
async fn accept_one<P: Peer>(server: &mut P::Server) -> Result<P::Connection, Failure> {
    let arriving = P::accept(server).await?.ok_or("no connection came")?;
    P::arrive(arriving).await
}

/// Accepts connections and runs `serve` on each, until the client has all that it waits for.
async fn serve_all<P: Peer, F: Future<Output = Result<(), Failure>> + 'static>(
    mut server: P::Server,
    over: &Over,
    serve: impl Fn(P::Connection) -> F + Clone + 'static,
) -> Result<(), Failure> {
    let gate = Gate::default();
    let connections = gate.clone();
    gate.spawn(async move {
        while let Some(arriving) = P::accept(&mut server).await? {
            let serve = serve.clone();
            connections.spawn(async move { serve(P::arrive(arriving).await?).await });
        }
        Ok(())
    });
    over.wait(&gate).await
}
