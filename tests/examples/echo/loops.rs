//! The loops, one function each: they drive the echo until it is over, and give back what it told.

use super::machine::{Echo, Told};
use std::io;
use std::net::SocketAddr;
use tripline_tokio::{Loop, Runtime, Udp};

/// Runs an echo on a socket at this address, and tells which address that is once it is known.
pub(crate) type Run = fn(SocketAddr, Echo, &mut dyn FnMut(SocketAddr)) -> io::Result<Vec<Told>>;

/// Every loop that there is, by name.
pub(crate) const LOOPS: &[(&str, Run)] =
    &[("std", on_std), ("mio", on_mio), ("smol", on_smol), ("tokio", on_tokio)];

/// Takes in what was told; true once it is over.
fn over(all: &mut Vec<Told>, told: Told) -> bool {
    all.push(told);
    matches!(all.last(), Some(Told::Over(_)))
}

/// The blocking loop.
fn on_std(at: SocketAddr, echo: Echo, bound: &mut dyn FnMut(SocketAddr)) -> io::Result<Vec<Told>> {
    let mut looper = tripline_std::Loop::bind(at, &tripline_std::Options::default(), echo)?;
    bound(looper.link().local_addr()?);
    let mut all = Vec::new();
    loop {
        looper.run_once(None)?;
        while let Some(told) = looper.next_event() {
            if over(&mut all, told) {
                return Ok(all);
            }
        }
    }
}

/// mio's poll, with nothing else in it.
fn on_mio(at: SocketAddr, echo: Echo, bound: &mut dyn FnMut(SocketAddr)) -> io::Result<Vec<Told>> {
    let mut source = tripline_mio::Source::bind(at, &tripline_mio::Options::default(), echo)?;
    bound(source.local_addr()?);
    let (mut poll, mut events) = (mio::Poll::new()?, mio::Events::with_capacity(16));
    poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE)?;
    let mut all = Vec::new();
    loop {
        source.run()?;
        while let Some(told) = source.next_event() {
            if over(&mut all, told) {
                return Ok(all);
            }
        }
        poll.poll(&mut events, source.poll_timeout())?;
        events.iter().for_each(|event| source.ready(event));
    }
}

/// Any runtime.
async fn on_runtime<R: Runtime>(
    runtime: R,
    at: SocketAddr,
    echo: Echo,
    bound: &mut dyn FnMut(SocketAddr),
) -> io::Result<Vec<Told>> {
    let mut looper: Loop<_, Udp<R::Io>, R::Timer> =
        Loop::bind(&runtime, at, &tripline_tokio::Options::default(), echo)?;
    bound(looper.socket().local_addr());
    let mut all = Vec::new();
    loop {
        let told = looper.next().await?;
        if over(&mut all, told) {
            return Ok(all);
        }
    }
}

/// smol's reactor, on this thread.
fn on_smol(at: SocketAddr, echo: Echo, bound: &mut dyn FnMut(SocketAddr)) -> io::Result<Vec<Told>> {
    async_io::block_on(on_runtime(tripline_smol::Smol::new(), at, echo, bound))
}

/// tokio, on this thread.
fn on_tokio(
    at: SocketAddr,
    echo: Echo,
    bound: &mut dyn FnMut(SocketAddr),
) -> io::Result<Vec<Told>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { on_runtime(tripline_tokio::Tokio::new(), at, echo, bound).await })
}
