//! The core crates of tripline, linked into a static library that has no standard library.
//!
//! The crate brings a panic handler of its own, and std brings another: as soon as any dependency,
//! however deep, links std, rustc stops with "found duplicate lang item `panic_impl`". Nothing
//! here is meant to run; `cargo build` is the whole test.
//!
//! This is the one test crate with `unsafe` in it: `alloc` needs a global allocator, and
//! implementing the allocator's trait is unsafe by definition. The allocator below refuses every
//! request, so its two bodies contain nothing that could go wrong.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::net::SocketAddr;
use core::panic::PanicInfo;

use tripline::{Config, ConnectOptions, Endpoint, Order, SendOptions, StreamOptions};
use tripline_rpc::{CallOptions, Framed, Peer, SessionId};
use tripline_sansio::codec::{Writer, varint_len};
use tripline_sansio::{
    Backoff, DatagramMachine, Duration, Ecn, Instant, Path, Seed, StreamMachine,
};

/// An allocator that never has memory.
struct Exhausted;

// SAFETY: the contract of `GlobalAlloc` allows null for every request, and a block that was never
// handed out can never be given back.
unsafe impl GlobalAlloc for Exhausted {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Exhausted = Exhausted;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Uses the contract's crate: draws from a seed, waits, writes; says how many bytes were written.
pub fn contract(seed: [u8; 32], now: Instant) -> usize {
    let mut random = Seed::from_bytes(seed).random("no_std");
    let second = Duration::from_secs(1);
    let wait = Backoff::new(second, (2, 1), second).next_wait(&mut random);
    let mut out = Vec::new();
    let deadline = now.as_nanos().saturating_add(wait.subsec_nanos().into());
    Writer::new(&mut out).u64(deadline).varint(random.below(1 << 20));
    out.len() + varint_len(deadline >> 2)
}

/// Uses the transport's crate: a whole endpoint connects, sends a datagram and takes one in.
pub fn transport(seed: [u8; 32], now: Instant, datagram: &mut [u8]) -> Option<usize> {
    let mut endpoint = Endpoint::new(Config::client(), &Seed::from_bytes(seed), now);
    let server = SocketAddr::from(([127, 0, 0, 1], 1));
    let connection = endpoint.connect(now, server.into(), ConnectOptions::default()).ok()?;
    let stream = endpoint.open(now, connection, StreamOptions::two_way(Order::Ordered)).ok()?;
    endpoint.send(now, connection, stream, "hello", SendOptions::default()).ok()?;
    endpoint.handle_datagram(now, Path::to(server), Ecn::NotEct, datagram);
    let mut out = Vec::new();
    let transmit = endpoint.poll_transmit(now, &mut out)?;
    Some(transmit.len)
}

/// Uses the crate of calls: a peer asks, and takes in what it is told.
pub fn calls(session: [u8; 16], now: Instant, message: &'static [u8]) -> usize {
    let peer = Peer::caller(tripline_rpc::Config::default(), SessionId(session));
    let mut framed = Framed::new(now, peer, 1 << 16);
    let _ = framed.peer_mut().call(now, "ask", message, CallOptions::default());
    framed.handle_bytes(now, message);
    let mut out = Vec::new();
    framed.poll_write(now, &mut out);
    while framed.poll_event().is_some() {}
    out.len()
}

/// The way in, so that the linker keeps what the functions above reach. A stable name instead of a
/// mangled one would need `#[unsafe(no_mangle)]` and prove nothing more.
pub extern "C" fn tripline_no_std_entry(number: u64) -> u64 {
    let written = contract([7; 32], Instant::from_nanos(number));
    let sent = transport([7; 32], Instant::from_nanos(number), &mut [0; 64]).unwrap_or(0);
    let asked = calls([7; 16], Instant::from_nanos(number), &[7; 64]);
    sent as u64 ^ written as u64 ^ asked as u64
}
