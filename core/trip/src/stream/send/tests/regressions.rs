//! Schedules that once went wrong, each with what it needs and no more.

use super::super::{Reliability, SendCredit, SendHalf, Written};
use super::bench::{Bench, Ended};
use crate::event::Fate;
use crate::fates::{FateRun, Fates};
use crate::handle::MessageToken;
use crate::wire::{Direction, Order, Side, StreamId};
use alloc::vec;
use alloc::vec::Vec;

const PLENTY: u64 = 1 << 20;

/// R-REL-2: of small messages that wait together, a peer that takes less than was thought (it is
/// another one, after a RESET) costs those that it does not take, and no others.
#[test]
fn of_messages_that_wait_together_only_the_larger_are_dropped() {
    let id = StreamId::new(0, Order::Ordered, Direction::OneWay, Side::Client).unwrap();
    let (mut half, mut fates) = (SendHalf::new(id, PLENTY), Fates::new());
    for (token, len) in (0..).zip([10, 100, 10, 10]) {
        half.push(MessageToken(token), vec![1; len].into(), Reliability::Reliable, true);
    }
    half.drop_larger(50, &mut fates);
    let told: Vec<FateRun> = fates.drain().collect();
    assert_eq!(told, [FateRun::one(MessageToken(1), Fate::Undelivered)]);
    assert_eq!(half.buffered(), 30);
    let (mut out, mut credit) = (Vec::new(), SendCredit::default());
    credit.on_grant(PLENTY);
    let written = half.write_piece(&mut out, 1_000, &mut credit, &mut fates);
    assert!(matches!(written, Written::Piece(piece) if piece.len == 33), "{written:?}");
}

/// R-MSG-2: a message that expired before it was begun has an entry without length between its
/// neighbours; a resend of both wrote its length prefix all the same.
#[test]
fn a_resend_writes_nothing_of_a_message_that_was_never_begun() {
    let mut bench = Bench::new(Order::Ordered, PLENTY, PLENTY);
    bench.push(10, Reliability::Reliable, false);
    bench.push(300, Reliability::Reliable, true);
    bench.push(10, Reliability::Reliable, false);
    bench.expire(1);
    assert!(bench.packet(1_200));
    bench.lose(0);
    assert!(bench.packet(1_200), "checked against the bytes sent first");
    bench.settle();
}

/// R-SKIP-1: of a message given up, STREAM frames of a part were acknowledged between the SKIP and
/// its loss; the SKIP was then repeated for the rest only, which is no whole message.
#[test]
fn a_lost_skip_is_repeated_for_whole_messages() {
    let mut bench = Bench::new(Order::Ordered, PLENTY, PLENTY);
    bench.push(150, Reliability::Reliable, true);
    assert!(bench.packet(60) && bench.packet(60));
    bench.expire(0);
    assert!(bench.packet(60), "the SKIP");
    bench.deliver(0);
    bench.ack(0);
    bench.lose(2);
    assert!(bench.packet(60), "the SKIP again, checked");
    bench.deliver(1);
    bench.settle();
}

/// T30, T31: an empty chunk of a byte stream has nothing to send, but it has a fate, and fin comes
/// after it.
#[test]
fn an_empty_chunk_holds_up_nothing() {
    for chunks in [&[0][..], &[5, 0], &[0, 5], &[5, 0, 0, 5], &[5, 0, 5, 0]] {
        let mut bench = Bench::new(Order::Bytes, PLENTY, PLENTY);
        for size in chunks {
            bench.push(*size, Reliability::Reliable, false);
        }
        bench.packet(1_200);
        bench.end(Ended::Finished);
        bench.settle();
    }
}

/// T30: a piece sent again together with its neighbour (after a probe) begins in a message that
/// was acknowledged meanwhile and is gone; its ACK counts for the neighbour all the same, which
/// otherwise would wait for ever.
#[test]
fn an_ack_counts_for_what_follows_a_message_that_is_gone() {
    for order in [Order::Bytes, Order::Ordered, Order::Unordered, Order::Latest] {
        let mut bench = Bench::new(order, 2, PLENTY);
        bench.push(1, Reliability::Reliable, false);
        assert!(bench.packet(32));
        bench.grant_stream(2);
        bench.push(1, Reliability::Reliable, false);
        assert!(bench.packet(32));
        bench.probe();
        bench.lose(0);
        bench.lose(1);
        assert!(bench.packet(1_200), "the first message, then both");
        bench.settle();
    }
}
