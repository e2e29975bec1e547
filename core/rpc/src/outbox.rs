//! What waits for the pipe: frames by lane, small ones in batches.
//!
//! In go heads and payloads; out come pieces, the most urgent lane first, when they are due. A lane
//! keeps its order. Nothing is dropped in here but what has expired, and that is counted.
#![deny(clippy::arithmetic_side_effects)]

use crate::bounds::{BATCH_FULL, BATCH_MAX, BATCHED_MAX};
use crate::lane::Lane;
use crate::payload::{Buffer, Payload};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use tripline::{Batch, SendOptions};
use tripline_sansio::codec::Writer;
use tripline_sansio::{Duration, Instant};

/// What is handed to the pipe at once.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Messages to be sent as any.
    Batch(Batch),
    /// A large one, or one with its own options.
    Message {
        /// The message.
        message: Bytes,
        /// How it is to be sent.
        options: SendOptions,
        /// When it was handed in: its time runs from then.
        since: Instant,
    },
}

impl Piece {
    /// Bytes of all messages.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.bytes(),
            Self::Message { message, .. } => message.len(),
        }
    }

    fn is_expired(&self, now: Instant) -> bool {
        match self {
            Self::Batch(_) => false,
            Self::Message { options, since, .. } => {
                options.expires_after.is_some_and(|limit| *since + limit <= now)
            }
        }
    }
}

/// What the pipe says to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has it.
    Yes,
    /// There is no room; [`Peer::handle_room`](crate::Peer::handle_room) says when there is.
    Blocked,
}

#[derive(Clone, Debug)]
struct Queue {
    lane: Lane,
    pieces: VecDeque<Piece>,
    bytes: usize,
    is_blocked: bool,
    /// Since when the oldest one waits.
    since: Instant,
}

/// The lanes that were used so far, the most urgent first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    queues: Vec<Queue>,
    bytes: usize,
    /// Until nothing waits any more, nothing waits for company.
    is_flushing: bool,
    expired: u64,
}

impl Outbox {
    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that expired here.
    pub(crate) fn expired(&self) -> u64 {
        self.expired
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.pieces.is_empty())
    }

    /// Those on which something waits.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = Lane> + '_ {
        self.queues.iter().filter(|queue| !queue.pieces.is_empty()).map(|queue| queue.lane)
    }

    /// Adds a message that waits since then: what `head` writes, and the payload behind it.
    pub(crate) fn push(
        &mut self,
        since: Instant,
        lane: Lane,
        head: impl Fn(&mut Writer<'_>),
        payload: Payload<'_>,
        options: SendOptions,
    ) {
        let Some(queue) = self.queue(lane) else { return };
        if queue.pieces.is_empty() {
            queue.since = since;
        }
        let goes_with_others =
            options == SendOptions::default() && payload.as_slice().len() <= BATCHED_MAX;
        let batch = if goes_with_others { queue.batch() } else { None };
        let len = if let Some(batch) = batch {
            batch.push_with(|message| {
                head(message);
                message.bytes(payload.as_slice());
            })
        } else {
            let mut bytes = Vec::with_capacity(Buffer::ROOM);
            head(&mut Writer::new(&mut bytes));
            let message = payload.behind(&bytes);
            let len = message.len();
            queue.pieces.push_back(Piece::Message { message, options, since });
            len
        };
        queue.bytes = queue.bytes.saturating_add(len);
        self.bytes = self.bytes.saturating_add(len);
    }

    /// From now on nothing that is here waits for company.
    pub(crate) fn flush(&mut self) {
        self.is_flushing = !self.is_empty();
    }

    /// There is room again on a lane; `None`: on all.
    pub(crate) fn unblock(&mut self, lane: Option<Lane>) {
        for queue in &mut self.queues {
            queue.is_blocked &= lane.is_some_and(|lane| lane != queue.lane);
        }
    }

    /// When the next piece is due, if it is not yet.
    pub(crate) fn deadline(&self, now: Instant, wait: Duration) -> Option<Instant> {
        let waiting = self.queues.iter().filter(|queue| !queue.is_blocked);
        let at = waiting.filter(|queue| !queue.pieces.is_empty()).map(|queue| queue.since + wait);
        at.min().filter(|at| *at > now && !self.is_flushing)
    }

    /// Hands all pieces that are due to `take`, one after the other, until a lane is blocked.
    pub(crate) fn drain(
        &mut self,
        now: Instant,
        wait: Duration,
        mut take: impl FnMut(Lane, &mut Piece) -> Taken,
    ) -> bool {
        let mut some = false;
        for queue in &mut self.queues {
            while !queue.is_blocked && (self.is_flushing || queue.is_due(now, wait)) {
                let Some(piece) = queue.pieces.front_mut() else { break };
                let bytes = piece.bytes();
                if piece.is_expired(now) {
                    self.expired = self.expired.saturating_add(1);
                } else if take(queue.lane, piece) == Taken::Blocked {
                    queue.is_blocked = true;
                    break;
                } else {
                    some = true;
                }
                queue.pieces.pop_front();
                queue.bytes = queue.bytes.saturating_sub(bytes);
                self.bytes = self.bytes.saturating_sub(bytes);
            }
        }
        self.is_flushing &= !self.queues.iter().all(|queue| queue.pieces.is_empty());
        some
    }

    /// The pipe is gone: all messages that were not handed to it, in order, each with its lane and
    /// options and since when it waits.
    pub(crate) fn take_all(&mut self) -> Vec<(Lane, Bytes, SendOptions, Instant)> {
        let mut all = Vec::new();
        for queue in &mut self.queues {
            let (lane, since) = (queue.lane, queue.since);
            for piece in queue.pieces.drain(..) {
                match piece {
                    Piece::Batch(mut batch) => {
                        let options = SendOptions::default();
                        all.extend(batch.take().map(|message| (lane, message, options, since)));
                    }
                    Piece::Message { message, options, since } => {
                        all.push((lane, message, options, since));
                    }
                }
            }
            (queue.bytes, queue.is_blocked) = (0, false);
        }
        (self.bytes, self.is_flushing) = (0, false);
        all
    }

    /// The queue of a lane: there is always one.
    fn queue(&mut self, lane: Lane) -> Option<&mut Queue> {
        let order = |lane: Lane| (lane.priority(), lane);
        let place = match self.queues.binary_search_by_key(&order(lane), |queue| order(queue.lane))
        {
            Ok(place) => place,
            Err(place) => {
                self.queues.insert(place, Queue::new(lane));
                place
            }
        };
        self.queues.get_mut(place)
    }
}

impl Queue {
    fn new(lane: Lane) -> Self {
        Self { lane, pieces: VecDeque::new(), bytes: 0, is_blocked: false, since: Instant::ZERO }
    }

    /// Where small messages go.
    fn batch(&mut self) -> Option<&mut Batch> {
        match self.pieces.back() {
            Some(Piece::Batch(batch)) if batch.bytes() < BATCH_MAX => {}
            _ => self.pieces.push_back(Piece::Batch(Batch::new())),
        }
        match self.pieces.back_mut() {
            Some(Piece::Batch(batch)) => Some(batch),
            _ => None,
        }
    }

    fn is_due(&self, now: Instant, wait: Duration) -> bool {
        wait.is_zero() || self.bytes >= BATCH_FULL || self.since + wait <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const WAIT: Duration = Duration::from_millis(2);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn push(outbox: &mut Outbox, lane: Lane, bytes: &[u8]) {
        outbox.push(at(10), lane, |_| (), bytes.into(), SendOptions::default())
    }

    fn taken(outbox: &mut Outbox, now: Instant, wait: Duration) -> Vec<(Lane, Vec<Vec<u8>>)> {
        let mut all = Vec::new();
        outbox.drain(now, wait, |lane, piece| {
            all.push((
                lane,
                match piece {
                    Piece::Batch(batch) => batch.iter().map(<[u8]>::to_vec).collect(),
                    Piece::Message { message, .. } => vec![message.to_vec()],
                },
            ));
            Taken::Yes
        });
        all
    }

    /// N06: small messages wait for each other, but not long, and not if there is enough for a
    /// packet, or somebody says flush.
    #[test]
    fn n06_small_messages_wait_for_company_up_to_a_bound() {
        let mut outbox = Outbox::default();
        push(&mut outbox, Lane::DEFAULT, b"a");
        push(&mut outbox, Lane::DEFAULT, b"b");
        assert_eq!(taken(&mut outbox, at(11), WAIT), []);
        assert_eq!(outbox.deadline(at(11), WAIT), Some(at(12)));
        let both = [(Lane::DEFAULT, vec![b"a".to_vec(), b"b".to_vec()])];
        assert_eq!(taken(&mut outbox, at(12), WAIT), both);
        assert_eq!((outbox.deadline(at(12), WAIT), outbox.bytes()), (None, 0));

        push(&mut outbox, Lane::DEFAULT, b"c");
        outbox.flush();
        assert_eq!(taken(&mut outbox, at(10), WAIT).len(), 1, "flushed");
        push(&mut outbox, Lane::DEFAULT, b"d");
        assert_eq!(taken(&mut outbox, at(10), WAIT), [], "the next one waits again");
        push(&mut outbox, Lane::DEFAULT, &[7; BATCH_FULL]);
        let lens: Vec<_> = taken(&mut outbox, at(10), WAIT)
            .iter()
            .map(|(_, messages)| messages.iter().map(Vec::len).collect::<Vec<_>>())
            .collect();
        assert_eq!(lens, [vec![1], vec![BATCH_FULL]], "enough for a packet");
    }

    #[test]
    fn urgent_lanes_go_first_and_a_blocked_one_holds_up_no_other() {
        let mut outbox = Outbox::default();
        let (late, urgent) = (Lane::ordered(7), Lane::unordered(0));
        push(&mut outbox, late, b"late");
        push(&mut outbox, urgent, b"now");
        let mut order = Vec::new();
        outbox.drain(at(10), Duration::ZERO, |lane, _| {
            order.push(lane);
            if lane == urgent { Taken::Blocked } else { Taken::Yes }
        });
        assert_eq!(order, [urgent, late]);
        assert_eq!(taken(&mut outbox, at(10), Duration::ZERO), [], "blocked");
        outbox.unblock(Some(late));
        assert_eq!(taken(&mut outbox, at(10), Duration::ZERO), [], "another one's room");
        outbox.unblock(Some(urgent));
        assert_eq!(taken(&mut outbox, at(10), Duration::ZERO).len(), 1);
    }

    /// N48: what expires while it waits is not sent, and is counted.
    #[test]
    fn n48_what_expires_while_it_waits_is_dropped() {
        let mut outbox = Outbox::default();
        let options = SendOptions { expires_after: Some(WAIT), ..SendOptions::default() };
        outbox.push(at(10), Lane::DEFAULT, |_| (), (&[1]).into(), options);
        push(&mut outbox, Lane::DEFAULT, b"stays");
        let rest = [(Lane::DEFAULT, vec![b"stays".to_vec()])];
        assert_eq!(taken(&mut outbox, at(12), Duration::ZERO), rest);
        assert_eq!((outbox.expired(), outbox.bytes()), (1, 0));
    }

    #[test]
    fn what_is_left_comes_back_in_order() {
        let mut outbox = Outbox::default();
        push(&mut outbox, Lane::DEFAULT, b"x");
        push(&mut outbox, Lane::DEFAULT, &[1; BATCHED_MAX + 1]);
        push(&mut outbox, Lane::ordered(0), b"y");
        assert!(!outbox.is_empty());
        let lens = outbox.take_all().into_iter().map(|(lane, bytes, ..)| (lane, bytes.len()));
        let lane = Lane::DEFAULT;
        let all = [(Lane::ordered(0), 1), (lane, 1), (lane, BATCHED_MAX + 1)];
        assert!(lens.eq(all));
        assert!(outbox.is_empty());
        assert_eq!((outbox.bytes(), outbox.deadline(at(10), WAIT)), (0, None));
    }
}
