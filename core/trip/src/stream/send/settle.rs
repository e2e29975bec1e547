//! What became of what was sent: acknowledged, lost, or given up (R-SKIP-1, R-SKIP-2).

use super::{End, Lost, Piece, Reliability, SendCredit, SendHalf, State};
use crate::event::Fate;
use crate::fates::Fates;
use crate::handle::MessageToken;
use crate::wire::Order;
use core::ops::Range;

impl SendHalf {
    /// The peer has this piece.
    pub(crate) fn on_acked(&mut self, piece: Piece, credit: &mut SendCredit, fates: &mut Fates) {
        if self.is_closed() {
            return;
        }
        if piece.fin && matches!(self.end, End::Fin | End::FinSent) {
            self.end = End::FinAcked;
        }
        self.settle(piece.range(), false, credit, fates);
    }

    /// This piece was lost: it goes out again, unless its message has used up its transmissions.
    pub(crate) fn on_lost(&mut self, piece: Piece, credit: &mut SendCredit, fates: &mut Fates) {
        if self.is_closed() {
            return;
        }
        if piece.fin && self.end == End::FinSent {
            self.end = End::Fin;
        }
        let range = piece.range();
        if range.is_empty() || self.settled.covers(&range) {
            return;
        }
        self.give_up_in(&range, piece.attempt, credit, fates);
        match self.lost.back_mut() {
            Some(last) if last.range.end == range.start && last.attempts == piece.attempt => {
                last.range.end = range.end;
            }
            _ => self.lost.push_back(Lost { range, attempts: piece.attempt }),
        }
    }

    /// Sends a piece again that may have been lost, as a probe: only what is reliable.
    pub(crate) fn probe(&mut self, piece: Piece) {
        let range = piece.range();
        let reliable = self.queue.get(self.first_in(&range)).is_some_and(|message| {
            message.reliability == Reliability::Reliable && message.state == State::Live
        });
        if self.is_closed() {
            return;
        }
        if piece.fin && self.end == End::FinSent {
            self.end = End::Fin;
        }
        if reliable && !range.is_empty() && !self.settled.covers(&range) {
            self.lost.push_back(Lost { range, attempts: piece.attempt });
        }
    }

    /// The peer has the SKIP of this range.
    pub(crate) fn on_skip_acked(
        &mut self,
        range: Range<u64>,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) {
        if !self.is_closed() {
            self.settle(range, true, credit, fates);
        }
    }

    /// The SKIP of this range was lost.
    pub(crate) fn on_skip_lost(&mut self, range: Range<u64>) {
        if self.is_closed() {
            return;
        }
        // Whole messages, also where STREAM frames of a part were acknowledged meanwhile.
        let again = self
            .queue
            .iter()
            .skip(self.first_in(&range))
            .take_while(|message| message.start < range.end);
        for message in again.filter(|message| message.state == State::GivenUp) {
            self.skips.insert(message.range());
        }
    }

    /// The time of a message is over: it is given up, if it is not settled yet. Returns whether it
    /// was.
    pub(crate) fn expire(
        &mut self,
        token: MessageToken,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) -> bool {
        let at = self.queue.partition_point(|message| message.token < token);
        let live = self.queue.get(at).is_some_and(|m| m.token == token && m.state == State::Live);
        if live {
            self.give_up(at, credit, fates);
            self.pop_settled();
        }
        live
    }

    /// The index of the first message that may lie in `range`: what was sent twice (a probe) may
    /// begin below the front, in messages that are settled and gone.
    fn first_in(&self, range: &Range<u64>) -> usize {
        self.index_of(range.start).unwrap_or(0)
    }

    /// Marks `range` as settled, and the messages that it completes.
    fn settle(
        &mut self,
        range: Range<u64>,
        skipped: bool,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) {
        if range.is_empty() {
            return;
        }
        self.settled.insert(range.clone());
        if self.settle_in_order(&range, fates) {
            return self.pop_settled();
        }
        let mut newest_acked = None;
        let mut at = self.first_in(&range);
        while let Some(message) = self.queue.get_mut(at)
            && message.start < range.end
        {
            let complete = message.is_all_sent() && self.settled.covers(&message.range());
            match message.state {
                State::Live if complete => {
                    let freed = message.tell_all(Fate::Acked, fates);
                    self.buffered = self.buffered.saturating_sub(freed);
                    message.state = State::Settled;
                    newest_acked = Some(at);
                }
                State::GivenUp if complete && skipped => message.state = State::Settled,
                _ => {}
            }
            at = at.saturating_add(1);
        }
        if let Some(newest) = newest_acked
            && self.id.order() == Order::Latest
        {
            self.supersede(newest, credit, fates);
        }
        self.pop_settled();
    }

    /// What is acknowledged mostly touches what was before it: then whole messages leave at the
    /// front, and nothing is searched for. Says `false` if there is more to do.
    fn settle_in_order(&mut self, range: &Range<u64>, fates: &mut Fates) -> bool {
        let upto =
            self.settled.first().filter(|first| first.start == 0).map_or(0, |first| first.end);
        if upto < range.end || self.id.order() == Order::Latest {
            return false;
        }
        while let Some(front) = self.queue.front_mut() {
            let whole = front.range().end <= upto && front.is_all_sent();
            let freed = match front.state {
                State::Live if whole => front.tell_all(Fate::Acked, fates),
                State::Live => {
                    front.tell_below(upto.saturating_sub(front.start), Fate::Acked, fates)
                }
                State::Settled => 0,
                State::GivenUp => return !whole,
            };
            self.buffered = self.buffered.saturating_sub(freed);
            if !whole {
                break;
            }
            self.queue.pop_front();
            self.cursor = self.cursor.saturating_sub(1);
        }
        true
    }

    /// A newer message of a *latest* stream is acknowledged whole: whatever is older is pointless,
    /// and the peer counts it as consumed by itself, so no SKIP is needed.
    fn supersede(&mut self, newest: usize, credit: &mut SendCredit, fates: &mut Fates) {
        for at in 0..newest {
            if self.queue.get(at).is_some_and(|message| message.state == State::Live) {
                self.give_up(at, credit, fates);
            }
            if let Some(message) = self.queue.get_mut(at) {
                message.state = State::Settled;
                if message.sent > 0 {
                    self.skips.remove(message.range());
                    self.settled.insert(message.range());
                }
            }
        }
    }

    /// Gives up the messages in a lost range that may not be sent again.
    fn give_up_in(
        &mut self,
        range: &Range<u64>,
        attempt: u8,
        credit: &mut SendCredit,
        fates: &mut Fates,
    ) {
        let mut at = self.first_in(range);
        while let Some(message) = self.queue.get(at)
            && message.start < range.end
        {
            let spent = message.reliability.transmissions().is_some_and(|most| attempt >= most);
            let touched = message.range().end > range.start;
            if message.state == State::Live && spent && touched {
                self.give_up(at, credit, fates);
            }
            at = at.saturating_add(1);
        }
    }

    /// Gives up the live message at `at`: cut to what was sent of it (R-SKIP-2).
    fn give_up(&mut self, at: usize, credit: &mut SendCredit, fates: &mut Fates) {
        let bytes_order = self.id.order() == Order::Bytes;
        let Some(message) = self.queue.get_mut(at) else { return };
        let rest = message.rest();
        let freed = message.tell_all(Fate::Expired, fates);
        self.buffered = self.buffered.saturating_sub(freed);
        if !message.is_begun() {
            message.size = 0;
            message.state = State::Settled;
            return;
        }
        if !bytes_order {
            credit.release(rest);
        }
        message.size = message.sent;
        message.state = State::GivenUp;
        let range = message.range();
        self.skips.insert(range);
    }

    /// Lets settled messages go from the front.
    pub(super) fn pop_settled(&mut self) {
        while let Some(front) = self.queue.front()
            && front.state == State::Settled
            && (front.is_begun() || self.cursor == 0)
        {
            self.queue.pop_front();
            self.cursor = self.cursor.saturating_sub(1);
        }
        let base =
            self.queue.front().map_or(self.next_offset, |front| front.start.min(self.next_offset));
        // Late pieces below the base are settled, whatever they say. Mostly they are already.
        if !self.settled.covers(&(0..base)) {
            self.settled.insert(0..base);
        }
    }
}
