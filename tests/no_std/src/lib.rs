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
use core::panic::PanicInfo;

use tripline::{Code, Direction, Order, Side, StreamId};
use tripline_sansio::codec::{Writer, varint_len};
use tripline_sansio::{Backoff, Duration, Instant, Seed};

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

/// Uses the transport's crate.
pub fn transport(index: u64) -> Option<(StreamId, &'static str)> {
    let id = StreamId::new(index, Order::Bytes, Direction::TwoWay, Side::Client)?;
    Some((id, Code::PROTOCOL.text()))
}

/// The way in, so that the linker keeps what the functions above reach. A stable name instead of a
/// mangled one would need `#[unsafe(no_mangle)]` and prove nothing more.
pub extern "C" fn tripline_no_std_entry(number: u64) -> u64 {
    let written = contract([7; 32], Instant::from_nanos(number));
    let id = transport(number).map_or(0, |(id, text)| id.number() ^ text.len() as u64);
    id ^ written as u64
}
