//! Choosing and writing the payload of STREAM frames (R-MSG-1, R-MSG-2).
//!
//! The choice comes first, as a number of bytes from an offset on; then exactly those bytes of the
//! offset space are written. So a frame never needs to be taken back.

use super::run::FitEnd;
use super::{Content, End, Piece, Reliability, SendCredit, SendHalf, State};
use crate::event::Fate;
use crate::fates::Fates;
use crate::wire::{Order, StreamHeader, stream_header_len, write_stream_header};
use alloc::vec::Vec;
use core::ops::Range;
use tripline_sansio::codec::varint_len;

/// The bit of a STREAM frame's type that says *fin*; the type is one byte.
const FIN_BIT: u8 = 4;

/// What came of the attempt to write a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// A frame was appended.
    Piece(Piece),
    /// The rest of the packet is too small; nothing was appended.
    NoSpace,
    /// The stream's credit is used up.
    StreamBlocked,
    /// The connection's credit is used up, or does not cover the next message.
    ConnectionBlocked,
    /// Nothing to send.
    Nothing,
}

/// Why no bytes were chosen, or how many.
enum Planned {
    Bytes { len: u64, aligned: bool },
    Blocked(Written),
}

impl SendHalf {
    /// Appends one STREAM frame of at most `space` bytes to `out`: what was lost first, then what
    /// is new, then a bare fin.
    pub(crate) fn write_piece(
        &mut self,
        out: &mut Vec<u8>,
        space: usize,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) -> Written {
        if self.is_closed() {
            return Written::Nothing;
        }
        if let Some(written) = self.write_lost(out, space) {
            return written;
        }
        self.pass_settled(fates);
        if self.cursor < self.queue.len() {
            return self.write_new(out, space, credit, fates);
        }
        if self.end == End::Fin {
            return self.write_fin(out, space);
        }
        Written::Nothing
    }

    fn write_new(
        &mut self,
        out: &mut Vec<u8>,
        space: usize,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) -> Written {
        let offset = self.next_offset;
        let (len, aligned, to_end) =
            match self.fit(space, offset, |half, room| half.plan_new(room, credit)) {
                Ok(fitting) => fitting,
                Err(written) => return written,
            };
        let at = out.len();
        self.write_header(out, offset, len, aligned, false, to_end);
        self.emit_new(out, len, credit, fates);
        let fin = self.end == End::Fin && self.cursor == self.queue.len();
        if fin {
            if let Some(kind) = out.get_mut(at) {
                *kind |= FIN_BIT;
            }
            self.end = End::FinSent;
        }
        Written::Piece(Piece { offset, len: short(len), fin, attempt: 1 })
    }

    fn write_fin(&mut self, out: &mut Vec<u8>, space: usize) -> Written {
        let offset = self.next_offset;
        if stream_header_len(self.id, offset, Some(0)) > space {
            return Written::NoSpace;
        }
        self.write_header(out, offset, 0, false, true, false);
        self.end = End::FinSent;
        Written::Piece(Piece { offset, len: 0, fin: true, attempt: 1 })
    }

    fn write_header(
        &self,
        out: &mut Vec<u8>,
        offset: u64,
        len: u64,
        aligned: bool,
        fin: bool,
        to_end: bool,
    ) {
        let length = usize::try_from(len).ok().filter(|_| !to_end);
        write_stream_header(out, StreamHeader { id: self.id, offset, aligned, fin }, length);
    }

    /// Finds a length that fits `space` with its header. If it fills the space to the last byte,
    /// the frame needs no length field. Returns length, alignment, and whether it fills.
    fn fit(
        &self,
        space: usize,
        offset: u64,
        plan: impl Fn(&Self, u64) -> Planned,
    ) -> Result<(u64, bool, bool), Written> {
        let header = stream_header_len(self.id, offset, None);
        let room = space.checked_sub(header).ok_or(Written::NoSpace)?;
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        let (len, aligned) = match plan(self, room) {
            Planned::Bytes { len, aligned } => (len, aligned),
            Planned::Blocked(why) => return Err(why),
        };
        if len == room {
            return Ok((len, aligned, true));
        }
        let room = room.saturating_sub(u64::try_from(varint_len(len)).unwrap_or(8));
        if len <= room {
            return Ok((len, aligned, false));
        }
        match plan(self, room) {
            Planned::Bytes { len, aligned } => Ok((len, aligned, false)),
            Planned::Blocked(why) => Err(why),
        }
    }

    /// How many new bytes the next frame may carry in `room` bytes (R-MSG-2, R-CREDIT-3).
    fn plan_new(&self, room: u64, credit: &SendCredit) -> Planned {
        let granted = self.limit.saturating_sub(self.next_offset);
        if self.id.order() == Order::Bytes {
            return self.plan_bytes(room, granted, credit.free());
        }
        let most = room.min(granted);
        let short_of = if granted < room { Written::StreamBlocked } else { Written::NoSpace };
        if let Some(message) = self.queue.get(self.cursor)
            && message.sent > 0
            && message.rest() > 0
        {
            let len = message.rest().min(most);
            return match len {
                0 => Planned::Blocked(short_of),
                len => Planned::Bytes { len, aligned: false },
            };
        }
        let (mut len, mut free): (u64, u64) = (0, credit.free());
        for message in self.queue.iter().skip(self.cursor).filter(|m| m.state == State::Live) {
            let left = most.saturating_sub(len);
            if let Content::Run(run) = &message.content {
                let fit = run.fit(message.sent, message.size, left, free);
                len = len.saturating_add(fit.len);
                free = free.saturating_sub(fit.len);
                match fit.end {
                    FitEnd::Run => continue,
                    FitEnd::Room => return or_blocked(len, short_of),
                    FitEnd::Credit => return or_blocked(len, Written::ConnectionBlocked),
                }
            }
            if message.size > free {
                return or_blocked(len, Written::ConnectionBlocked);
            }
            let take = message.size.min(left);
            if take < u64::from(message.prefix) {
                return or_blocked(len, short_of);
            }
            len = len.saturating_add(take);
            free = free.saturating_sub(message.size);
            if take < message.size {
                break;
            }
        }
        or_blocked(len, Written::Nothing)
    }

    fn plan_bytes(&self, room: u64, granted: u64, free: u64) -> Planned {
        if granted == 0 {
            return Planned::Blocked(Written::StreamBlocked);
        }
        if free == 0 {
            return Planned::Blocked(Written::ConnectionBlocked);
        }
        let most = room.min(granted).min(free);
        let mut len: u64 = 0;
        for chunk in self.queue.iter().skip(self.cursor) {
            len = len.saturating_add(chunk.unsent());
            if len >= most {
                break;
            }
        }
        match len.min(most) {
            0 => Planned::Blocked(if room == 0 { Written::NoSpace } else { Written::Nothing }),
            len => Planned::Bytes { len, aligned: false },
        }
    }

    /// Appends the next `len` bytes of the offset space and moves on.
    fn emit_new(
        &mut self,
        out: &mut Vec<u8>,
        len: u64,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) {
        let bytes_order = self.id.order() == Order::Bytes;
        let mut left = len;
        while left > 0 {
            self.pass_settled(fates);
            let Some(message) = self.queue.get_mut(self.cursor) else { break };
            if !message.is_begun() {
                message.start = self.next_offset;
                if !bytes_order && matches!(message.content, Content::One(_)) {
                    credit.reserve(message.size);
                }
            }
            let take = message.unsent().min(left);
            message.write(out, message.sent..message.sent.saturating_add(take));
            message.sent = message.sent.saturating_add(take);
            if let Content::Run(run) = &mut message.content {
                credit.reserve(run.begin_upto(message.sent));
            }
            self.next_offset = self.next_offset.saturating_add(take);
            left = left.saturating_sub(take);
            if bytes_order {
                credit.use_free(take);
            } else {
                credit.use_reserved(take);
            }
            if !message.is_all_sent() {
                break;
            }
            if message.reliability == Reliability::Unreliable {
                self.buffered = self.buffered.saturating_sub(message.let_go(fates));
            }
            self.cursor = self.cursor.saturating_add(1);
        }
        self.pass_settled(fates);
    }

    /// Moves the cursor over what needs no offsets: messages that were given up before they were
    /// begun, and empty chunks of a byte stream, of which the peer has all there is.
    fn pass_settled(&mut self, fates: &mut Fates) {
        let mut empty = false;
        while let Some(message) = self.queue.get_mut(self.cursor)
            && (message.state != State::Live || message.size == 0)
        {
            if message.state == State::Live {
                fates.push(message.token, Fate::Acked);
                message.state = State::Settled;
                empty = true;
            }
            if !message.is_begun() {
                message.start = self.next_offset;
            }
            self.cursor = self.cursor.saturating_add(1);
        }
        if empty {
            self.pop_settled();
        }
    }

    /// Sends the oldest lost piece again, as far as it is still wanted and fits.
    fn write_lost(&mut self, out: &mut Vec<u8>, space: usize) -> Option<Written> {
        loop {
            let front = self.lost.front()?;
            let (range, attempts) = (front.range.clone(), front.attempts);
            let Some(wanted) = self.wanted_in(range) else {
                self.lost.pop_front();
                continue;
            };
            let offset = wanted.start;
            let fitting = self.fit(space, offset, |half, room| half.plan_again(&wanted, room));
            let (len, aligned, to_end) = match fitting {
                Ok(fitting) => fitting,
                Err(written) => return Some(written),
            };
            let end = offset.saturating_add(len);
            let fin =
                self.end == End::Fin && end == self.next_offset && self.cursor == self.queue.len();
            if fin {
                self.end = End::FinSent;
            }
            self.write_header(out, offset, len, aligned, fin, to_end);
            self.emit_again(out, offset..end);
            if let Some(front) = self.lost.front_mut() {
                front.range.start = end;
            }
            let attempt = attempts.saturating_add(1);
            return Some(Written::Piece(Piece { offset, len: short(len), fin, attempt }));
        }
    }

    /// The first part of `range` that the peer still lacks and is not given up.
    fn wanted_in(&self, range: Range<u64>) -> Option<Range<u64>> {
        for gap in self.settled.missing_in(range) {
            let mut at = self.index_of(gap.start)?;
            while let Some(message) = self.queue.get(at)
                && message.start < gap.end
            {
                let wanted = gap.start.max(message.start)..gap.end;
                if message.may_go_again()
                    && !message.range().is_empty()
                    && message.range().end > wanted.start
                {
                    return Some(wanted);
                }
                at = at.saturating_add(1);
            }
        }
        None
    }

    /// How many bytes from the start of `wanted` one frame may carry again in `room` bytes.
    fn plan_again(&self, wanted: &Range<u64>, room: u64) -> Planned {
        let most = room.min(wanted.end.saturating_sub(wanted.start));
        if self.id.order() == Order::Bytes {
            return or_blocked_unaligned(most);
        }
        let Some(first) = self.index_of(wanted.start) else {
            return Planned::Blocked(Written::Nothing);
        };
        let mut len: u64 = 0;
        for message in self.queue.iter().skip(first) {
            let sent = message.range();
            let left = most.saturating_sub(len);
            if let Content::Run(run) = &message.content {
                let from = wanted.start.saturating_sub(message.start);
                let end = run.end_at(from).min(message.sent);
                if end > from {
                    return or_blocked_unaligned(end.saturating_sub(from).min(most));
                }
                if !message.may_go_again() || message.sent == 0 {
                    break;
                }
                let fit = run.fit(from, message.sent, left, u64::MAX);
                len = len.saturating_add(fit.len);
                if fit.end != FitEnd::Run {
                    break;
                }
                continue;
            }
            if sent.start < wanted.start {
                let rest = sent.end.saturating_sub(wanted.start);
                return or_blocked_unaligned(rest.min(most));
            }
            if message.state == State::Settled && message.sent == 0 {
                continue;
            }
            let take = message.sent.min(left);
            if !message.may_go_again() || take < u64::from(message.prefix) {
                break;
            }
            len = len.saturating_add(take);
            if take < message.size {
                break;
            }
        }
        or_blocked(len, Written::NoSpace)
    }

    /// Appends bytes that were sent before.
    fn emit_again(&self, out: &mut Vec<u8>, range: Range<u64>) {
        let Some(first) = self.index_of(range.start) else { return };
        for message in self.queue.iter().skip(first) {
            let sent = message.range();
            if sent.start >= range.end {
                break;
            }
            let from = range.start.max(sent.start).saturating_sub(message.start);
            let upto = range.end.min(sent.end).saturating_sub(message.start);
            message.write(out, from..upto);
        }
    }

    /// The index of the message that holds `offset`: the last one that starts at or before it.
    pub(super) fn index_of(&self, offset: u64) -> Option<usize> {
        self.queue.partition_point(|message| message.start <= offset).checked_sub(1)
    }
}

fn or_blocked(len: u64, why: Written) -> Planned {
    match len {
        0 => Planned::Blocked(why),
        len => Planned::Bytes { len, aligned: true },
    }
}

fn or_blocked_unaligned(len: u64) -> Planned {
    match len {
        0 => Planned::Blocked(Written::NoSpace),
        len => Planned::Bytes { len, aligned: false },
    }
}

/// A length within one packet.
fn short(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
