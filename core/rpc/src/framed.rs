//! A peer over a run of bytes: TCP, TLS, or any other pipe that keeps bytes in order.
//!
//! In go bytes, cut anywhere; out come bytes, events and a deadline: a
//! [`StreamMachine`]. Each message goes behind its length as a variable-length integer, which is
//! how batches stand in memory anyway, so a batch is written as it is (R-CALL-11).
#![deny(clippy::arithmetic_side_effects)]

use crate::bounds::FRAME_LEAST;
use crate::event::Event;
use crate::lane::Lane;
use crate::outbox::{Piece, Taken};
use crate::peer::{Peer, Pipe};
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use tripline_sansio::codec::{ReadError, Reader, Writer};
use tripline_sansio::{Instant, StreamMachine};

/// So many bytes are written at a time, or little more: what waits longer stays in order of
/// priority.
const WRITE_MAX: usize = 64 << 10;

/// One side of a conversation over one run of bytes, which is there from the beginning.
///
/// The end of the bytes is the end of the pipe. [`Self::peer_mut`] has the commands.
#[derive(Debug)]
pub struct Framed {
    peer: Peer,
    deframer: Deframer,
}

impl Framed {
    /// Attaches the pipe to a peer. `frame_max` is the largest frame that is taken and sent, in
    /// bytes: that of its configuration, or less.
    pub fn new(now: Instant, mut peer: Peer, frame_max: usize) -> Self {
        let frame_max = frame_max.clamp(FRAME_LEAST, peer.frame_max());
        peer.attach(now, Pipe { has_lanes: false, needs_heartbeat: true, frame_max });
        Self { peer, deframer: Deframer::new(frame_max) }
    }

    /// The peer.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The peer, for the user's commands.
    pub fn peer_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// The peer, for the next pipe.
    pub fn into_peer(mut self, now: Instant) -> Peer {
        self.peer.detach(now);
        self.peer
    }
}

impl StreamMachine for Framed {
    type Event = Event;

    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.peer.handle_progress(now);
        self.deframer.push(bytes);
        while let Some(message) = self.deframer.next() {
            self.peer.handle_message(now, Lane::DEFAULT, &message);
        }
    }

    fn handle_eof(&mut self, now: Instant) {
        self.peer.detach(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
    }

    fn poll_write(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.peer.handle_room(None);
        let before = out.len();
        self.peer.poll_send(now, |_, piece| write_piece(piece, before, out));
        out.len() > before
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.peer.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.peer.poll_event()
    }
}

/// Appends a piece as it travels over a run of bytes, unless enough was written since `before`.
pub(crate) fn write_piece(piece: &mut Piece, before: usize, out: &mut Vec<u8>) -> Taken {
    if out.len().saturating_sub(before) >= WRITE_MAX {
        return Taken::Blocked;
    }
    match piece {
        Piece::Batch(batch) => out.extend_from_slice(batch.wire()),
        Piece::Message { message, .. } => {
            Writer::new(out).varint(u64::try_from(message.len()).unwrap_or(u64::MAX));
            out.extend_from_slice(message);
        }
    }
    Taken::Yes
}

/// Cuts a run of bytes into messages. Nothing is allocated from a length that was only announced.
#[derive(Debug)]
pub(crate) struct Deframer {
    buffer: BytesMut,
    frame_max: usize,
    is_dead: bool,
}

impl Deframer {
    pub(crate) fn new(frame_max: usize) -> Self {
        Self { buffer: BytesMut::new(), frame_max, is_dead: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.is_dead {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message that is there whole. One that is announced as longer than the largest comes
    /// out as what no peer takes: an empty one, which is no frame. Behind it nothing comes.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let mut reader = Reader::new(&self.buffer);
        let length = match reader.varint() {
            Ok(length) => length,
            Err(ReadError::Short { .. }) => return None,
            Err(ReadError::NotShortest) => return Some(self.die()),
        };
        let prefix = self.buffer.len().saturating_sub(reader.remaining());
        let Some(length) = usize::try_from(length).ok().filter(|len| *len <= self.frame_max) else {
            return Some(self.die());
        };
        let whole = prefix.saturating_add(length);
        if self.buffer.len() < whole {
            return None;
        }
        let mut message = self.buffer.split_to(whole);
        message.advance(prefix);
        Some(message.freeze())
    }

    fn die(&mut self) -> Bytes {
        self.is_dead = true;
        self.buffer = BytesMut::new();
        Bytes::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallOptions, Config, NotifyOptions, Outcome, SessionId, Violation};
    use alloc::vec;

    fn pair() -> [Framed; 2] {
        let caller = Peer::caller(Config::default(), SessionId([1; 16]));
        [caller, Peer::callee(Config::default())]
            .map(|peer| Framed::new(Instant::ZERO, peer, 1 << 18))
    }

    /// Both write and read until there is nothing more to say, in pieces of this size.
    fn talk(sides: &mut [Framed; 2], cut: usize) {
        loop {
            let mut some = false;
            for from in [0, 1] {
                let mut bytes = Vec::new();
                while sides[from].poll_write(Instant::ZERO, &mut bytes) {}
                some |= !bytes.is_empty();
                for piece in bytes.chunks(cut) {
                    sides[usize::from(from == 0)].handle_bytes(Instant::ZERO, piece);
                }
            }
            if !some {
                return;
            }
        }
    }

    fn events(side: &mut Framed) -> Vec<Event> {
        core::iter::from_fn(|| side.poll_event()).collect()
    }

    /// R-CALL-11, U5, M31 (partial reads of headers): wherever the bytes are cut, the messages are
    /// the same.
    #[test]
    fn r_call_11_messages_survive_any_cut() {
        for cut in [1, 2, 3, 7, 1_000, usize::MAX] {
            let mut sides = pair();
            let options = CallOptions::default();
            sides[0].peer_mut().call(Instant::ZERO, "ask", &[7; 5_000], options).unwrap();
            sides[0].peer_mut().notify(Instant::ZERO, 1, b"", NotifyOptions::default()).unwrap();
            talk(&mut sides, cut);
            let told = events(&mut sides[1]);
            // The call waits for HELLO, as it is large; so does what comes behind it.
            let Some(Event::Request { request, payload, .. }) =
                told.iter().find(|event| matches!(event, Event::Request { .. }))
            else {
                panic!("{told:?}")
            };
            assert_eq!(payload[..], [7; 5_000]);
            sides[1].peer_mut().reply(Instant::ZERO, *request, b"yes").unwrap();
            talk(&mut sides, cut);
            let told = events(&mut sides[0]);
            let outcomes = told.iter().filter_map(|event| match event {
                Event::Outcome { outcome, .. } => Some(outcome),
                _ => None,
            });
            assert!(outcomes.eq([&Outcome::Reply("yes".into())]), "{told:?}");
        }
    }

    /// M31 (a received buffer can be kept): a payload stays what it is whatever comes behind it.
    #[test]
    fn m31_a_received_payload_can_be_kept() {
        let mut sides = pair();
        let mut kept = Vec::new();
        for n in 0..50 {
            let note =
                sides[0].peer_mut().notify(Instant::ZERO, 1, &[n; 3_000], NotifyOptions::default());
            note.unwrap();
            talk(&mut sides, 1_000);
            kept.extend(events(&mut sides[1]).into_iter().filter_map(|event| match event {
                Event::Notification { payload, .. } => Some(payload),
                _ => None,
            }));
        }
        assert_eq!(kept.len(), 50);
        assert!(kept.iter().zip(0..).all(|(payload, n)| **payload == [n; 3_000]));
    }

    /// R-CALL-11, P3: a length that is too large, or in two ways, ends the pipe at once.
    #[test]
    fn r_call_11_a_wrong_length_ends_the_pipe() {
        let cases: [&[u8]; 3] = [&[0x80, 0x04, 0, 1], &[0x40, 0x01], &[0xff; 9]];
        for bytes in cases {
            let mut sides = pair();
            talk(&mut sides, 100);
            events(&mut sides[0]);
            sides[0].handle_bytes(Instant::ZERO, bytes);
            sides[0].handle_bytes(Instant::ZERO, &[0; 100]);
            let violation = Violation::Malformed;
            assert_eq!(events(&mut sides[0]), [Event::Broken { violation }], "{bytes:x?}");
            assert_eq!(sides[0].deframer.buffer.capacity(), 0);
        }
    }

    /// R-CALL-9: what is written at once is bounded, and nothing is lost over it.
    #[test]
    fn r_call_9_writes_are_bounded() {
        let mut sides = pair();
        talk(&mut sides, usize::MAX);
        events(&mut sides[1]);
        let many = vec![3; 1_000];
        for _ in 0..500 {
            sides[0].peer_mut().notify(Instant::ZERO, 1, &many, NotifyOptions::default()).unwrap();
        }
        let mut bytes = Vec::new();
        assert!(sides[0].poll_write(Instant::ZERO, &mut bytes));
        assert!(bytes.len() < WRITE_MAX + (64 << 10), "{}", bytes.len());
        sides[1].handle_bytes(Instant::ZERO, &bytes);
        talk(&mut sides, usize::MAX);
        assert_eq!(events(&mut sides[1]).len(), 500);
    }
}
