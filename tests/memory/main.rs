//! What the engine allocates, counted: the only tests that need an allocator of their own, and a
//! process in which nothing else runs.
//!
//! Two endpoints hand each other their datagrams through one buffer; there is no socket and no
//! thread, and no simulator but in `churn` and `heap`, so every allocation counted is the engine's.
#![forbid(unsafe_code)]

mod churn;
mod heap;
mod idle;
mod strangers;
mod wire;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use tripline::{Order, StreamOptions};
use wire::Wire;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    // What the test runners ask of a program without the usual harness.
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        // Asked a second time for the ignored ones alone.
        if !arguments.iter().any(|argument| argument == "--ignored") {
            println!("t30_t40_t80_memory: test");
        }
        return;
    }
    for order in [Order::Bytes, Order::Ordered, Order::Unordered, Order::Latest] {
        t40_one_allocation_a_message_at_most(order, 64);
        t40_one_allocation_a_message_at_most(order, 1_000);
    }
    t30_memory_returns_to_where_it_was();
    idle::idle_connections_hold_4_kib_at_most();
    idle::idle_polls_do_nothing();
    strangers::d2_strangers_hold_no_more_than_is_documented();
    churn::t80_nothing_is_kept_of_what_has_ended();
    heap::t80_every_run_gives_all_memory_back();
    println!("test t30_t40_t80_memory ... ok");
}

/// T40: in steady state a message costs at most one allocation, both sides together.
fn t40_one_allocation_a_message_at_most(order: Order, len: usize) {
    const MESSAGES: usize = 2_000;
    let mut wire = Wire::connected();
    let stream = wire.open(StreamOptions::one_way(order));
    let payload = Bytes::from(vec![7; len]);
    wire.transfer(stream, &payload, MESSAGES);
    let region = Region::new(ALLOCATOR);
    let received = wire.transfer(stream, &payload, MESSAGES);
    let change = region.change();
    let calls = change.allocations + change.reallocations;
    if order == Order::Latest {
        assert!((1..=MESSAGES * len).contains(&received), "the newest arrive");
    } else {
        assert_eq!(received, MESSAGES * len, "{order:?}: all arrive");
    }
    assert!(calls <= MESSAGES, "{order:?}, {len} bytes: {calls} allocations, {MESSAGES} messages");
    println!("{order:?}, {len} bytes: {:.3} allocations a message", calls as f64 / MESSAGES as f64);
}

/// T30: what messages took is given back: after as many again nothing more is held.
fn t30_memory_returns_to_where_it_was() {
    let mut wire = Wire::connected();
    let stream = wire.open(StreamOptions::one_way(Order::Ordered));
    let payload = Bytes::from(vec![7; 500]);
    // Until windows and buffers have their sizes.
    wire.transfer(stream, &payload, 20_000);
    wire.transfer(stream, &payload, 20_000);
    let region = Region::new(ALLOCATOR);
    wire.transfer(stream, &payload, 40_000);
    let change = region.change();
    let held = change.bytes_allocated as i128 - change.bytes_deallocated as i128;
    assert!(held.abs() < 16 * 1024, "{held} bytes more are held than before 40,000 messages");
}
