//! What each order delivers, and what closes the connection.
#![allow(unused_must_use, reason = "most steps are judged by what can be taken after them")]

use super::*;
use crate::wire::Order::{Bytes as ByteStream, Latest, Ordered, Unordered};
use alloc::vec;
use alloc::vec::Vec;
use tripline_sansio::codec::Writer;

const MAX: u64 = 100_000;

/// A message of `length` bytes `fill` in wire form.
fn wire(length: usize, fill: u8) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).varint_bytes(&vec![fill; length]);
    out
}

fn new(order: Order) -> RecvHalf {
    RecvHalf::new(order, MAX)
}

impl RecvHalf {
    fn aligned(&mut self, offset: u64, payload: &[u8]) -> Effect {
        self.on_stream(offset, payload, true, false).unwrap()
    }
    fn piece(&mut self, offset: u64, payload: &[u8]) -> Effect {
        self.on_stream(offset, payload, false, false).unwrap()
    }
    fn refused(&mut self, offset: u64, payload: &[u8], aligned: bool) -> Code {
        self.on_stream(offset, payload, aligned, false).unwrap_err().code
    }
    /// The lengths and fill bytes of all messages that can be taken.
    fn messages(&mut self) -> Vec<(usize, u8)> {
        let mut all = Vec::new();
        while let Taken::Data { bytes, .. } = self.take() {
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
            all.push((bytes.len(), bytes.first().copied().unwrap_or(0)));
        }
        all
    }
    fn bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Taken::Data { bytes, consumed } = self.take() {
            assert_eq!(bytes.len() as u64, consumed);
            all.extend_from_slice(&bytes);
        }
        all
    }
}

const QUIET: Effect = Effect { consumed: 0, readable: false };
const READABLE: Effect = Effect { consumed: 0, readable: true };

// ---- bytes ----

#[test]
fn bytes_come_in_order_whatever_the_order_of_arrival() {
    let mut half = new(ByteStream);
    assert_eq!(half.piece(3, b"def"), QUIET);
    assert_eq!((half.gaps(), half.highest(), half.is_readable()), (1, 6, false));
    assert_eq!(half.piece(8, b"i"), QUIET);
    assert_eq!(half.piece(0, b"abcd"), READABLE);
    assert_eq!((half.gaps(), half.bytes()), (1, b"abcdef".to_vec()));
    assert_eq!(half.on_stream(5, b"fghi", false, true), Ok(READABLE));
    assert_eq!(half.bytes(), b"ghi");
    // The end was told by `bytes`, which took until there was no data.
    assert!(half.is_done() && !half.is_readable());
    assert_eq!(half.take(), Taken::Nothing);
}

#[test]
fn bytes_chunks_are_long_and_at_most_64_kib() {
    let mut half = new(ByteStream);
    for at in 0..200 {
        half.piece(at * 1_000, &[7; 1_000]);
    }
    let mut chunks = Vec::new();
    while let Taken::Data { bytes, .. } = half.take() {
        chunks.push(bytes.len());
    }
    assert_eq!(chunks.iter().sum::<usize>(), 200_000);
    assert!(chunks.iter().all(|length| *length <= 65_536) && chunks.len() < 14, "{chunks:?}");
}

/// R-SKIP-1, and *aligned* is for messages only (PROTOCOL.md §4).
#[test]
fn bytes_know_neither_skip_nor_aligned() {
    assert_eq!(new(ByteStream).on_skip(0..1).unwrap_err().code, Code::PROTOCOL);
    assert_eq!(new(ByteStream).refused(0, b"a", true), Code::PROTOCOL);
}

/// R-MSG-3: a different byte at an offset still held.
#[test]
fn a_different_byte_at_a_held_offset_is_refused() {
    let mut half = new(ByteStream);
    half.piece(5, b"five");
    half.piece(4, b"4fiv");
    assert_eq!(half.refused(0, b"01234x", false), Code::PROTOCOL);

    let mut half = new(Ordered);
    half.aligned(0, &wire(100, 1)[..50]);
    assert_eq!(half.refused(40, &[1, 1, 2], false), Code::PROTOCOL);

    let mut half = new(Ordered);
    half.aligned(10, b"\x01a\x01b");
    assert_eq!(half.refused(10, b"\x01a\x01c", true), Code::PROTOCOL);

    let mut half = new(Unordered);
    half.piece(50, &[1; 10]);
    assert_eq!(half.refused(0, &wire(80, 2), true), Code::PROTOCOL);
}

// ---- the end ----

/// R-STREAM-2.
#[test]
fn the_final_offset_never_changes_nor_lies_below_what_came() {
    for order in [ByteStream, Ordered, Unordered, Latest] {
        let aligned = order != ByteStream;
        let ended = || {
            let mut half = new(order);
            half.on_stream(2, b"\0\0", aligned, true).unwrap();
            half
        };
        let state = Err(FINAL);
        assert_eq!(ended().on_stream(4, b"\0", aligned, false), state);
        assert_eq!(ended().on_stream(3, b"", false, true), state);
        assert_eq!(ended().on_stream(5, b"", false, true), state);
        assert_eq!(ended().on_close(Code::BUSY, 5), state);
        assert_eq!(ended().on_close(Code::BUSY, 3), state);
        assert_eq!(ended().on_stream(4, b"", false, true), Ok(QUIET));
        if aligned {
            assert_eq!(ended().on_skip(3..5), state);
        }
        let mut half = new(order);
        half.piece(3, b"x");
        assert_eq!(half.on_stream(0, b"\0\0", aligned, true), state);
        assert_eq!(half.on_close(Code::BUSY, 3), state);
        assert_eq!(half.refused(u64::MAX, b"x", false), Code::FLOW_CONTROL);
    }
}

#[test]
fn an_empty_stream_finishes() {
    for order in [ByteStream, Ordered, Unordered, Latest] {
        let mut half = new(order);
        assert_eq!(half.on_stream(0, b"", false, true), Ok(READABLE));
        assert!(half.is_readable() && !half.is_done());
        assert_eq!((half.take(), half.take()), (Taken::Finished, Taken::Nothing));
        assert!(half.is_done());
        assert_eq!(half.on_close(Code::BUSY, 0), Ok(QUIET));
    }
}

/// CLOSE_STREAM: what is ready stays readable, the rest is consumed at once, also what never came.
#[test]
fn close_leaves_what_is_ready_and_consumes_the_rest() {
    let code = Code::application(1);
    let mut half = new(Ordered);
    half.aligned(0, b"\x01a");
    half.aligned(4, b"\x01c");
    assert_eq!(half.on_close(code, 10), Ok(Effect { consumed: 8, readable: true }));
    assert_eq!(half.on_close(Code::BUSY, 10), Ok(QUIET));
    assert_eq!(half.aligned(2, b"\x01b"), QUIET);
    assert!(!half.is_done());
    assert_eq!(half.messages(), [(1, b'a')]);
    assert!(half.is_done());

    let mut half = new(ByteStream);
    half.piece(0, b"ab");
    half.piece(5, b"f");
    assert_eq!(half.on_close(code, 6), Ok(Effect { consumed: 4, readable: true }));
    assert!(matches!(half.take(), Taken::Data { consumed: 2, .. }));
    assert_eq!(half.take(), Taken::Closed(code));
    assert!(half.is_done());
}

/// A stream of which all arrived stays finished when a late CLOSE_STREAM comes (an answer to STOP).
#[test]
fn close_after_all_arrived_changes_nothing() {
    let mut half = new(Unordered);
    half.on_stream(0, b"\x01a", true, true).unwrap();
    assert_eq!(half.on_close(Code::BUSY, 2), Ok(QUIET));
    assert!(matches!(half.take(), Taken::Data { .. }));
    assert_eq!(half.take(), Taken::Finished);
}

/// R-STREAM-2: from STOP on the receiver consumes what comes.
#[test]
fn stop_consumes_what_came_and_what_comes() {
    for order in [ByteStream, Ordered, Unordered, Latest] {
        let aligned = order != ByteStream;
        let mut half = new(order);
        half.on_stream(0, b"\x01a", aligned, false).unwrap();
        half.on_stream(4, b"\x01c", aligned, false).unwrap();
        let first = half.consumed();
        assert_eq!(half.stop(), Effect { consumed: 6 - first, readable: false });
        assert_eq!(half.stop(), QUIET);
        assert!(!half.is_readable() && half.take() == Taken::Nothing);
        assert_eq!(half.on_stream(2, b"\x01b", aligned, false), Ok(QUIET));
        let effect = Effect { consumed: 2, readable: false };
        assert_eq!(half.on_stream(6, b"\x01d", aligned, false), Ok(effect));
        assert!(!half.is_done());
        assert_eq!(half.on_close(Code::BUSY, 10).unwrap().consumed, 2);
        assert!(half.is_done());
    }
}

#[test]
fn stop_after_the_end_was_taken_changes_nothing() {
    let mut half = new(Ordered);
    half.on_stream(0, b"\x01a", true, true).unwrap();
    assert_eq!(half.messages(), [(1, b'a')]);
    assert!(half.is_done());
    assert_eq!(half.stop(), QUIET);
    assert!(half.is_done());
}

// ---- messages ----

/// R-MSG-2: an unordered receiver reads any aligned frame alone; others wait for the gap.
#[test]
fn a_frame_of_many_messages_is_read_alone() {
    let frame = b"\x01b\x00\x02cc";
    let mut half = new(Unordered);
    assert_eq!(half.aligned(2, frame), READABLE);
    assert_eq!(half.messages(), [(1, b'b'), (0, 0), (2, b'c')]);
    assert_eq!(half.aligned(2, frame), QUIET);
    assert_eq!(half.aligned(0, b"\x01a"), READABLE);
    assert_eq!((half.messages(), half.consumed()), (vec![(1, b'a')], 8));

    let mut half = new(Ordered);
    assert_eq!(half.aligned(2, frame), QUIET);
    assert_eq!((half.gaps(), half.messages()), (1, vec![]));
    assert_eq!(half.aligned(0, b"\x01a"), READABLE);
    assert_eq!(half.messages(), [(1, b'a'), (1, b'b'), (0, 0), (2, b'c')]);
    assert_eq!((half.gaps(), half.consumed()), (0, 8));
}

#[test]
fn a_large_message_is_put_together_from_pieces_in_any_order() {
    let message = wire(10_000, 9);
    let total = message.len();
    let slices = |size: usize| (0..total).step_by(size).map(move |at| at..total.min(at + size));
    for order in [Ordered, Unordered, Latest] {
        for backwards in [false, true] {
            let mut half = new(order);
            let mut pieces: Vec<_> = slices(1_200).collect();
            if backwards {
                pieces.reverse();
            }
            for piece in &pieces {
                assert_eq!(half.messages(), []);
                let aligned = piece.start == 0;
                half.on_stream(piece.start as u64, &message[piece.clone()], aligned, false)
                    .unwrap();
                assert!(half.memory() <= 2 * total + 1_000, "{}", half.memory());
            }
            assert_eq!((half.messages(), half.gaps()), (vec![(10_000, 9)], 0));
            assert_eq!(half.consumed(), half.highest());
            // Late repeats, sliced anew, are ignored.
            for piece in slices(700) {
                assert_eq!(half.piece(piece.start as u64, &message[piece]), QUIET);
            }
            assert!(half.memory() <= 1_000, "{}", half.memory());
        }
    }
}

/// R-MSG-2.
#[test]
fn a_frame_across_the_end_of_a_known_message_is_refused() {
    for order in [Ordered, Unordered, Latest] {
        let (first, second) = (wire(18, 1), wire(18, 2));
        let both = [&first[..], &second].concat();
        // Complete, ready or waiting.
        let mut half = new(order);
        half.aligned(0, &first);
        assert_eq!(half.refused(15, &both[15..25], false), Code::PROTOCOL);
        let mut half = new(order);
        half.aligned(19, &second);
        if order == Latest {
            // All of it is older than what was delivered, and not looked at.
            assert_eq!(half.piece(15, &both[15..25]), QUIET);
        } else {
            assert_eq!(half.refused(15, &both[15..25], false), Code::PROTOCOL);
        }
        // Begun, and within what is sure to be the message's.
        let mut half = new(order);
        half.aligned(0, &first[..17]);
        assert_eq!(half.refused(15, &both[15..25], false), Code::PROTOCOL);
        // The frame first, then what shows that it lies across.
        let crossed = || {
            let mut half = new(order);
            half.piece(15, &both[15..25]);
            half
        };
        assert_eq!(crossed().refused(0, &first, true), Code::PROTOCOL);
        assert_eq!(crossed().refused(0, &both, true), Code::PROTOCOL);
        assert_eq!(crossed().refused(19, &second, true), Code::PROTOCOL);
        assert_eq!(crossed().refused(19, &second[..5], true), Code::PROTOCOL);
        assert_eq!(crossed().refused(0, &first[..17], true), Code::PROTOCOL);
        assert_eq!(crossed().on_skip(0..19), Err(CROSSES));
        assert_eq!(crossed().on_skip(19..38), Err(CROSSES));
    }
}

/// R-MSG-3: boundaries that contradict each other.
#[test]
fn a_message_that_begins_inside_another_is_refused() {
    let message = wire(40, 5);
    for order in [Ordered, Unordered, Latest] {
        // Inside the first frame of a begun message.
        let mut half = new(order);
        half.aligned(0, &message[..20]);
        assert_eq!(half.refused(10, &message[10..], true), Code::PROTOCOL);
        assert_eq!(half.on_skip(10..20), Err(CROSSES));
        assert_eq!(half.on_skip(0..10), Err(CROSSES));
        // A known start inside a frame.
        for payload in [&message[..], &message[..20]] {
            let mut half = new(order);
            half.aligned(10, &[5; 3]);
            assert_eq!(half.refused(0, payload, true), Code::PROTOCOL);
        }
        let mut half = new(order);
        half.aligned(10, &[5; 3]);
        assert_eq!(half.refused(5, &[5; 20], false), Code::PROTOCOL);
        // Another length.
        let mut half = new(order);
        half.aligned(0, &message[..20]);
        assert_eq!(half.refused(0, &wire(30, 5)[..10], true), Code::PROTOCOL);
        // An aligned frame that reaches out of what is complete.
        let mut half = new(order);
        half.aligned(0, &message);
        assert_eq!(half.refused(30, &[20; 15], true), Code::PROTOCOL);
        // SKIP inside what waits.
        let mut half = new(Ordered);
        half.aligned(10, &message);
        assert_eq!(half.on_skip(0..20), Err(CROSSES));
    }
}

/// R-MSG-3: a length above the maximum closes (6) before a byte is stored.
#[test]
fn a_message_too_large_is_refused_before_a_byte_is_stored() {
    for order in [Ordered, Unordered, Latest] {
        let mut half = RecvHalf::new(order, 10);
        let before = half.memory();
        assert_eq!(half.refused(0, &[11, 0], true), Code::MESSAGE_TOO_LARGE);
        assert_eq!((half.memory(), half.gaps()), (before, 0));
        // Also if its first byte came in a frame that is not aligned.
        assert_eq!(RecvHalf::new(order, 10).refused(0, &[11, 0], false), Code::MESSAGE_TOO_LARGE);
    }
    assert_eq!(new(Ordered).refused(0, b"\x40\x01a", true), Code::PROTOCOL);
    assert_eq!(new(Ordered).refused(0, b"\x40", true), Code::PROTOCOL);
}

/// R-MSG-3: nothing is allocated from a declared length.
#[test]
fn a_declared_length_allocates_nothing() {
    let mut half = RecvHalf::new(Ordered, 1 << 40);
    half.aligned(0, &wire(1 << 20, 1)[..10]);
    assert!(half.memory() < 1_000, "{}", half.memory());
}

/// A first byte may come alone, in a frame that lies within its message (R-MSG-2).
#[test]
fn a_length_in_two_pieces_is_read_where_the_start_is_known() {
    let message = wire(100, 3);
    for order in [Ordered, Unordered, Latest] {
        for before in [true, false] {
            let mut half = new(order);
            if before {
                half.aligned(0, b"\0\0");
            }
            half.piece(2, &message[..1]);
            half.piece(4, &message[2..]);
            half.piece(3, &message[1..2]);
            if !before {
                assert!(!half.is_readable());
                half.aligned(0, b"\0\0");
            }
            assert_eq!(half.messages().last(), Some(&(100, 3)), "{order:?} {before}");
            assert_eq!((half.gaps(), half.consumed()), (0, half.highest()));
        }
    }
}

/// The first byte of the next message, alone and not aligned, comes before its predecessor is
/// whole.
#[test]
fn a_first_byte_behind_a_begun_message_waits_for_it() {
    let first = wire(100, 1);
    for order in [Ordered, Unordered, Latest] {
        let mut half = new(order);
        half.aligned(0, &first[..50]);
        half.piece(first.len() as u64, b"\x02");
        half.piece(50, &first[50..]);
        assert_eq!(half.messages(), [(100, 1)]);
        half.piece(first.len() as u64 + 1, b"bb");
        assert_eq!((half.messages(), half.gaps()), (vec![(2, b'b')], 0));
    }
}

// ---- giving up ----

/// R-SKIP-1.
#[test]
fn a_skipped_message_is_dropped_and_order_moves_on() {
    let mut half = new(Ordered);
    half.aligned(0, &wire(20, 1)[..10]);
    half.aligned(21, b"\x01b");
    assert_eq!(half.on_skip(0..21), Ok(Effect { consumed: 21, readable: true }));
    assert_eq!(half.on_skip(0..21), Ok(QUIET));
    assert_eq!((half.messages(), half.gaps()), (vec![(1, b'b')], 0));
    assert_eq!(half.piece(10, &[1; 11]), QUIET);
    // It may also name what never came, beyond the highest offset.
    assert_eq!(half.on_skip(23..30).unwrap().consumed, 7);
    assert_eq!((half.highest(), half.consumed()), (30, 30));
}

/// R-SKIP-1: what was delivered stays delivered, and is consumed once.
#[test]
fn a_skip_of_what_was_delivered_changes_nothing() {
    for order in [Ordered, Unordered, Latest] {
        let mut half = new(order);
        half.aligned(0, b"\x01a");
        assert_eq!(half.on_skip(0..2), Ok(QUIET));
        assert_eq!((half.messages(), half.consumed()), (vec![(1, b'a')], 2));
    }
    // What waits for its turn was not delivered.
    let mut half = new(Ordered);
    half.aligned(2, b"\x01b\x01c\x01d");
    assert_eq!(half.on_skip(4..6), Ok(Effect { consumed: 2, readable: false }));
    half.aligned(0, b"\x01a");
    assert_eq!(half.messages(), [(1, b'a'), (1, b'b'), (1, b'd')]);
}

/// R-SKIP-2: the next message begins where the range of a cut one ends, whatever its length said;
/// an aligned frame inside announces the cut before the SKIP comes.
#[test]
fn a_cut_message_is_never_delivered_and_its_successor_is() {
    let (first, second) = (wire(10_000, 1), wire(20_000, 2));
    for order in [Ordered, Unordered, Latest] {
        for skip_first in [true, false] {
            let mut half = new(order);
            half.aligned(0, &first[..1_000]);
            half.piece(1_000, &first[1_000..3_000]);
            // Pieces of the second look like the first's, and one reaches across its end.
            half.piece(3_000 + 1_200, &second[1_200..9_000]);
            half.piece(3_000 + 9_000, &second[9_000..]);
            if skip_first {
                assert_eq!(half.on_skip(0..3_000).unwrap().consumed, 3_000);
            }
            half.aligned(3_000, &second[..1_200]);
            if !skip_first {
                let own = half.on_skip(0..3_000).unwrap().consumed;
                assert_eq!(own, if order == Latest { 0 } else { 3_000 });
            }
            assert_eq!(half.messages(), [(20_000, 2)], "{order:?} {skip_first}");
            assert_eq!((half.gaps(), half.consumed()), (0, half.highest()));
        }
    }
}

/// R-SKIP-2: several cuts inside the extent that one length declares, the last one first.
#[test]
fn cuts_nest() {
    let mut half = new(Ordered);
    half.aligned(200, &wire(50, 3));
    half.aligned(100, &wire(1_000, 2)[..100]);
    half.aligned(0, &wire(5_000, 1)[..60]);
    half.piece(60, &[1; 40]);
    assert_eq!(half.on_skip(100..200).unwrap().consumed, 100);
    assert!(half.on_skip(0..100).unwrap().readable);
    assert_eq!((half.messages(), half.gaps()), (vec![(50, 3)], 0));
    assert_eq!(half.consumed(), half.highest());
}

/// R-SKIP-2: what is held of a message that is never delivered is freed when the cut shows,
/// whichever of the two frames comes first.
#[test]
fn a_cut_frees_what_is_held() {
    let first = wire(10_000, 1);
    for order in [Ordered, Unordered] {
        let mut half = new(order);
        half.aligned(0, &first[..5_000]);
        half.aligned(5_000, &[0]);
        assert!(half.memory() < 1_500, "{}", half.memory());
        let mut half = new(order);
        half.aligned(5_000, &[0]);
        half.aligned(0, &first[..5_000]);
        assert!(half.memory() < 1_500, "{}", half.memory());
        // The cut message's own bytes, late, are not kept either.
        half.piece(4_000, &first[4_000..5_000]);
        assert!(half.memory() < 1_500, "{}", half.memory());
        assert!(half.on_skip(0..5_000).unwrap().consumed == 5_000);
        assert_eq!((half.messages(), half.gaps()), (vec![(0, 0)], 0));
    }
}

/// A successor's first bytes that were taken for the cut message's are given back to it.
#[test]
fn bytes_taken_for_a_cut_messages_are_given_back() {
    let (first, second) = (wire(10_000, 1), wire(200, 2));
    for order in [Ordered, Unordered, Latest] {
        for skip_first in [true, false] {
            let mut half = new(order);
            half.aligned(0, &first[..100]);
            half.piece(100, &second[..20]);
            half.piece(120, &second[20..]);
            if skip_first {
                half.on_skip(0..100).unwrap();
            } else {
                half.aligned(100, &second[..2]);
                half.on_skip(0..100).unwrap();
            }
            assert_eq!(half.messages(), [(200, 2)], "{order:?} {skip_first}");
            assert_eq!((half.gaps(), half.consumed()), (0, half.highest()));
        }
    }
}

/// R-MSG-2: a frame that overlaps the first one of a message belongs to it whole.
#[test]
fn nothing_begins_inside_frames_that_overlap() {
    let message = wire(1_000, 1);
    let mut half = new(Unordered);
    half.aligned(0, &message[..100]);
    half.piece(50, &message[50..200]);
    assert_eq!(half.refused(150, &[0], true), Code::PROTOCOL);
    // Also once the message is known to be cut.
    let mut half = new(Unordered);
    half.aligned(0, &message[..100]);
    half.aligned(500, &[0]);
    half.piece(50, &message[50..200]);
    assert_eq!(half.refused(150, &[0], true), Code::PROTOCOL);
}

/// T39, R-CREDIT-4: what is remembered of the pieces of a message goes with it.
#[test]
fn nothing_is_left_of_a_message_in_many_pieces() {
    let message = wire(10_000, 1);
    for order in [Ordered, Unordered, Latest] {
        let mut half = new(order);
        for at in (0..message.len()).step_by(20).rev() {
            let piece = &message[at..message.len().min(at + 20)];
            half.on_stream(at as u64, piece, at == 0, false).unwrap();
        }
        assert_eq!(half.messages(), [(10_000, 1)]);
        assert!(half.memory() <= 1_000, "{}", half.memory());
    }
}

// ---- latest ----

/// Never one older than one already delivered; whatever is older then counts as consumed.
#[test]
fn latest_delivers_the_newest_only() {
    let mut half = new(Latest);
    half.aligned(2, b"\x01b\x01c");
    // The first of the frame and the hole before it are passed over at once.
    assert_eq!((half.consumed(), half.highest()), (4, 6));
    // An untaken one is replaced by a newer one.
    assert_eq!(half.aligned(8, b"\x01e"), Effect { consumed: 4, readable: true });
    assert_eq!(half.aligned(6, b"\x01d"), QUIET);
    assert_eq!(half.aligned(0, b"\x01a"), QUIET);
    assert_eq!((half.messages(), half.consumed()), (vec![(1, b'e')], 10));
}

#[test]
fn latest_passes_over_what_is_begun_and_keeps_what_is_newer() {
    let mut half = new(Latest);
    let newest = wire(500, 9);
    half.aligned(0, &wire(100, 1)[..50]);
    half.aligned(200, &newest[..300]);
    half.aligned(150, &wire(20, 2));
    assert_eq!(half.messages(), [(20, 2)]);
    assert_eq!(half.consumed(), 171);
    half.piece(500, &newest[300..]);
    assert_eq!((half.messages(), half.consumed(), half.gaps()), (vec![(500, 9)], 702, 0));
}

// ---- bounds ----

/// PROTOCOL.md §11: gaps are counted as they come and go.
#[test]
fn gaps_are_counted() {
    for order in [ByteStream, Ordered, Unordered, Latest] {
        let mut half = new(order);
        for at in (0..1_024).rev() {
            let before = half.gaps();
            half.piece(10 + at * 2, &[1]);
            assert!(half.gaps() <= before + GAPS_PER_FRAME);
        }
        assert_eq!(half.gaps(), 1_024);
        assert!(half.memory() < 1_024 * 160, "{}", half.memory());
        half.stop();
        assert_eq!(half.gaps(), 0);
    }
}

/// T39, R-CREDIT-4: empty messages beyond a gap wait as runs of bytes.
#[test]
fn empty_messages_beyond_a_gap_cost_about_what_they_charge() {
    let mut half = new(Ordered);
    for at in 0..200 {
        half.aligned(1 + at * 1_000, &[0; 1_000]);
    }
    assert!(half.memory() <= 2 * 200_001 + 8_192, "{}", half.memory());
    assert_eq!(half.gaps(), 1);
    half.aligned(0, &[0]);
    assert!(half.memory() <= 2 * 200_001 + 40_000, "{}", half.memory());
    assert_eq!(half.messages().len(), 200_001);
    assert!(half.memory() <= 8_192, "{}", half.memory());
}
