//! Random schedules: whatever is sent, lost, repeated, given up or granted, and when.

use super::super::Reliability;
use super::bench::{Bench, Ended, SPACE_MIN};
use crate::wire::Order;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Schedules per property.
const CASES: u32 = 4_000;

/// Something that happens to the half.
#[derive(Clone, Debug)]
enum Op {
    Push { size: usize, reliability: Reliability, may_expire: bool },
    Batch { sizes: Vec<usize> },
    Packet { space: usize },
    Deliver { among: usize, again: bool },
    Ack { among: usize },
    Lose { among: usize },
    Expire { among: usize },
    Probe,
    Take,
    GrantStream(u64),
    GrantConnection(u64),
    End(Ended),
}

fn reliability() -> impl Strategy<Value = Reliability> {
    prop_oneof![
        4 => Just(Reliability::Reliable),
        2 => Just(Reliability::Unreliable),
        2 => (0_u8..4).prop_map(Reliability::Transmissions),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![4 => 0_usize..4, 3 => 0_usize..100, 1 => 0_usize..4_000];
    let space = prop_oneof![2 => SPACE_MIN..60, 2 => SPACE_MIN..200, 1 => Just(1_200_usize)];
    let some = || 0_usize..64;
    prop_oneof![
        60 => (size, reliability(), any::<bool>())
            .prop_map(|(size, reliability, may_expire)| Op::Push { size, reliability, may_expire }),
        30 => prop::collection::vec(prop_oneof![0_usize..4, 0_usize..200], 1..12)
            .prop_map(|sizes| Op::Batch { sizes }),
        80 => space.prop_map(|space| Op::Packet { space }),
        60 => (some(), prop::bool::weighted(0.1))
            .prop_map(|(among, again)| Op::Deliver { among, again }),
        50 => some().prop_map(|among| Op::Ack { among }),
        50 => some().prop_map(|among| Op::Lose { among }),
        30 => some().prop_map(|among| Op::Expire { among }),
        15 => Just(Op::Probe),
        20 => Just(Op::Take),
        10 => (1_u64..5_000).prop_map(Op::GrantStream),
        10 => (1_u64..5_000).prop_map(Op::GrantConnection),
        3 => Just(Op::End(Ended::Finished)),
        1 => Just(Op::End(Ended::Closed)),
    ]
}

fn run(order: Order, stream: u64, connection: u64, ops: &[Op]) {
    let mut bench = Bench::new(order, stream, connection);
    for op in ops {
        match *op {
            Op::Batch { ref sizes } => bench.push_batch(sizes),
            Op::Push { size, reliability, may_expire } => bench.push(size, reliability, may_expire),
            Op::Packet { space } => {
                bench.packet(space);
            }
            Op::Deliver { among, again } => bench.deliver_some(among, again),
            Op::Ack { among } => bench.ack_some(among),
            Op::Lose { among } => bench.lose_some(among),
            Op::Expire { among } => bench.expire_some(among),
            Op::Probe => bench.probe(),
            Op::Take => bench.take(),
            Op::GrantStream(more) => bench.grant_stream(more),
            Op::GrantConnection(more) => bench.grant_connection(more),
            Op::End(how) => bench.end(how),
        }
    }
    bench.settle();
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..120)
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..300, 0_u64..5_000, Just(1_u64 << 20)]
}

proptest! {
    #![proptest_config(config())]

    /// R-MSG-1, R-MSG-2, R-REL-1, R-REL-2, R-SKIP-1, R-SKIP-2, R-STREAM-2, R-CREDIT-3, T30, T31:
    /// whatever happens, what is reliable arrives once, whole and in the stream's order; every
    /// message has one fate; no byte and no credit leaks; and every frame obeys the rules.
    #[test]
    fn messages_keep_their_promise(
        order in prop_oneof![Just(Order::Ordered), Just(Order::Unordered), Just(Order::Latest)],
        stream in limit(),
        connection in limit(),
        ops in ops(),
    ) {
        run(order, stream, connection, &ops);
    }

    /// The same for byte streams.
    #[test]
    fn bytes_keep_their_promise(stream in limit(), connection in limit(), ops in ops()) {
        run(Order::Bytes, stream, connection, &ops);
    }
}
