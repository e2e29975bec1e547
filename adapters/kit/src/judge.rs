//! The judge: every call of the loop, held against the rules.

use crate::book::Dirt;
use crate::rule::Rule;
use crate::scene::Ready;
use crate::state::{Datagram, State, Violation};
use crate::told::Told;
use tripline_sansio::{Ecn, Instant, Path, Transmit};

/// Calls of any kind between two sleeps: beyond that a loop runs for ever.
const MAX_CALLS: usize = 100_000;
/// Datagrams that a loop may hand in, and transmits that it may take, between two sleeps. Any
/// bound is a bound; this one is far above what is of use.
const MAX_SHARE: usize = 4_096;
/// Readings of the clock between two sleeps.
const MAX_READS: usize = 3;
/// Sleeps of no length in a row after which nothing happened.
const MAX_IDLE_WAITS: usize = 3;
/// Sleeps in a row over which a loop may put off one duty for others.
const MAX_PUT_OFF: usize = 8;

type Verdict = Result<(), Violation>;

impl State {
    /// Adds a line to the trace; `line` is given the time.
    pub(crate) fn note(&mut self, line: impl FnOnce(Instant) -> String) {
        let now = self.now;
        self.book.note(line(now));
    }

    /// Fails unless all is well.
    pub(crate) fn hold(
        &mut self,
        fine: bool,
        rule: Rule,
        what: impl FnOnce(&Self) -> String,
    ) -> Verdict {
        if fine || self.broken.is_some() {
            return Ok(());
        }
        let what = what(self);
        self.fail(rule, what)
    }

    pub(crate) fn count_call(&mut self) -> Verdict {
        self.book.since.calls += 1;
        self.book.calls += 1;
        let fine = self.book.since.calls <= MAX_CALLS;
        self.hold(fine, Rule::Bounded, |_| format!("{MAX_CALLS} calls and no sleep between them"))
    }

    pub(crate) fn count_read(&mut self) -> Verdict {
        self.count_call()?;
        self.book.since.reads += 1;
        let fine = self.book.since.reads <= MAX_READS;
        let what = "reads the clock again and again between two sleeps";
        self.hold(fine, Rule::Clock, |_| what.to_owned())
    }

    /// Each call of the machine that bears a time.
    pub(crate) fn check_time(&mut self, now: Instant) -> Verdict {
        self.count_call()?;
        let last = self.book.last;
        self.hold(now >= last, Rule::Clock, |_| format!("{now:?} is told after {last:?}"))?;
        self.hold(now <= self.now, Rule::Clock, |state| {
            format!("{now:?} is told, which is still to come: it is {:?}", state.now)
        })?;
        self.hold(now >= self.woke, Rule::Clock, |state| {
            format!("{now:?} is told, though the loop woke at {:?}", state.woke)
        })?;
        self.book.last = now;
        Ok(())
    }

    pub(crate) fn on_datagram(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Ecn,
        bytes: &[u8],
    ) -> Verdict {
        self.note(|_| format!("{now:?} handle_datagram: {} bytes", bytes.len()));
        self.check_time(now)?;
        self.book.since.datagrams += 1;
        let fine = self.book.since.datagrams <= MAX_SHARE;
        self.hold(fine, Rule::Bounded, |_| {
            format!("more than {MAX_SHARE} datagrams are handed in at one go")
        })?;
        let next = self.book.received.pop_front();
        let same = next
            .as_ref()
            .is_some_and(|next| next.path == path && next.ecn == ecn && next.bytes == bytes);
        self.hold(same, Rule::Batches, |_| match next {
            Some(next) => format!(
                "hands in {} bytes of {path:?}, {ecn:?}, where {} bytes of {:?}, {:?} are next",
                bytes.len(),
                next.bytes.len(),
                next.path,
                next.ecn
            ),
            None => "hands in a datagram that did not come in".to_owned(),
        })?;
        self.book.soil(Dirt::Datagram);
        Ok(())
    }

    pub(crate) fn on_timeout(&mut self, now: Instant) -> Verdict {
        self.note(|_| format!("{now:?} handle_timeout"));
        self.check_time(now)?;
        self.book.told |= self.book.deadline.is_some_and(|deadline| deadline <= now);
        self.book.soil(Dirt::Timeout);
        Ok(())
    }

    /// Before the machine is asked for something to send.
    pub(crate) fn on_poll_transmit(&mut self, now: Instant) -> Verdict {
        self.check_time(now)?;
        let owed = self.book.owed.is_some();
        self.hold(!owed, Rule::Refusal, |_| {
            "asks for more before it has told that the last was too large".to_owned()
        })?;
        self.book.asked = true;
        Ok(())
    }

    /// The machine's answer to that.
    pub(crate) fn on_transmit(&mut self, given: Option<(&Transmit, &[u8])>) -> Verdict {
        let Some((transmit, bytes)) = given else {
            self.note(|now| format!("{now:?} poll_transmit: nothing"));
            self.book.dirt = None;
            return Ok(());
        };
        let number = self.book.issued;
        self.note(|now| format!("{now:?} poll_transmit: {} bytes, number {number}", transmit.len));
        self.book.issued += 1;
        self.book.progress = true;
        self.book.since.transmits += 1;
        let fine = self.book.since.transmits <= MAX_SHARE;
        self.hold(fine, Rule::Bounded, |_| {
            format!("more than {MAX_SHARE} transmits are taken at one go")
        })?;
        for bytes in bytes.chunks(transmit.segment_size.max(1)) {
            let (at, path, ecn) = (self.now, transmit.path, transmit.ecn);
            let datagram = Datagram { at, path, ecn, bytes: bytes.to_vec() };
            self.book.kept.push_back(crate::book::Kept { number, datagram });
        }
        Ok(())
    }

    pub(crate) fn on_too_big(&mut self, now: Instant, transmit: &Transmit) -> Verdict {
        self.note(|_| format!("{now:?} handle_too_big"));
        self.check_time(now)?;
        let owed = self.book.owed.take();
        // Of a train that was sent in part, the rest may be what was refused.
        let same = owed.is_some_and(|owed| owed.path == transmit.path);
        self.hold(same, Rule::Refusal, |_| {
            "tells of a transmit that was not refused as too large".to_owned()
        })
    }

    pub(crate) fn on_poll_event(&mut self) -> Verdict {
        self.count_call()?;
        let book = &self.book;
        let fine = book.dirt.is_none() || book.asked || book.blocked;
        let by_command = book.dirt == Some(Dirt::Command);
        let rule = if by_command { Rule::Wake } else { Rule::Order };
        self.hold(fine, rule, |state| {
            format!("asks for events before transmits, after {:?}", state.book.dirt)
        })
    }

    /// The loop takes an event.
    pub(crate) fn take_event(&mut self, event: Told) {
        self.note(|now| format!("{now:?} poll_event: {event:?}"));
        self.book.progress = true;
        self.book.events = self.book.events.saturating_sub(1);
        self.book.taken.push(event);
    }

    /// That what is offered to the socket is what the machine gave out, in order. Returns how many
    /// datagrams it is.
    pub(crate) fn match_kept(
        &mut self,
        transmit: &Transmit,
        bytes: &[u8],
    ) -> Result<usize, Violation> {
        let len = (transmit.len, bytes.len());
        self.hold(len.0 == len.1, Rule::Order, |_| format!("a transmit of {len:?} bytes"))?;
        let mut count = 0;
        for bytes in bytes.chunks(transmit.segment_size.max(1)) {
            let is = |other: &Datagram| {
                other.bytes == bytes && (other.path, other.ecn) == (transmit.path, transmit.ecn)
            };
            let due = self.book.kept.get(count).is_some_and(|kept| is(&kept.datagram));
            if !due {
                let kept = |at: &crate::book::Kept| is(&at.datagram);
                let (rule, what) = if self.book.refused.iter().any(is) {
                    (Rule::Refusal, "sends again what the system refused")
                } else if self.wire.iter().any(is) {
                    (Rule::Room, "sends a datagram twice")
                } else if self.book.kept.iter().any(kept) {
                    (Rule::Room, "sends a datagram before an older one")
                } else {
                    (Rule::Order, "sends what the machine did not give out")
                };
                return self.fail(rule, what.to_owned());
            }
            count += 1;
        }
        Ok(count)
    }

    /// Before the loop sleeps: is everything done?
    pub(crate) fn before_wait(&mut self, until: Option<Instant>, room: Option<bool>) -> Verdict {
        let now = self.now;
        let unhanded = self.has_unhanded();
        self.hold(!unhanded, Rule::Batches, |state| {
            let (datagrams, bytes) = (state.book.received.len(), state.bytes.received.len());
            format!("keeps to itself what came in: {datagrams} datagrams, {bytes} bytes, the end")
        })?;
        let owed = self.book.owed.is_some();
        self.hold(!owed, Rule::Refusal, |_| "never tells what was too large".to_owned())?;
        let blocked = self.book.blocked;
        self.hold(room != Some(false) || !blocked, Rule::Room, |_| {
            "does not wait for room on a full socket".to_owned()
        })?;
        let wanted = blocked || self.has_kept();
        self.hold(room != Some(true) || wanted, Rule::Room, |_| {
            "waits for room that it has no use for".to_owned()
        })?;
        if let Some(deadline) = self.book.deadline.filter(|deadline| *deadline <= now) {
            self.hold(self.book.told, Rule::Deadline, |_| {
                format!("sleeps again and has not told the time, though it was due at {deadline:?}")
            })?;
        }
        if until.is_none_or(|until| until > now) {
            self.before_sleep(until, room)?;
        }
        self.book.waits += 1;
        self.check_fairness()
    }

    /// Each duty has its turn, whatever the others need.
    fn check_fairness(&mut self) -> Verdict {
        let (waiting, received) = (self.has_unread(), self.book.since.datagrams > 0);
        let unsent = self.book.dirt.is_some() && !self.book.asked && !self.book.blocked;
        let book = &mut self.book;
        book.starved = if waiting && !received { book.starved + 1 } else { 0 };
        book.unsent = if unsent { book.unsent + 1 } else { 0 };
        let fine = book.starved <= MAX_PUT_OFF;
        self.hold(fine, Rule::Bounded, |_| "does not receive, busy with the rest".to_owned())?;
        let fine = self.book.unsent <= MAX_PUT_OFF;
        self.hold(fine, Rule::Bounded, |_| "does not send, busy with the rest".to_owned())
    }

    /// Before a sleep that takes time.
    fn before_sleep(&mut self, until: Option<Instant>, room: Option<bool>) -> Verdict {
        let (now, blocked) = (self.now, self.book.blocked);
        if let Some(dirt) = self.book.dirt.filter(|_| !blocked) {
            let rule = if dirt == Dirt::Command { Rule::Wake } else { Rule::Order };
            self.hold(false, rule, |_| {
                format!("sleeps before all transmits were taken, after {dirt:?}")
            })?;
        }
        let kept = self.has_kept();
        self.hold(!kept || blocked, Rule::Order, |state| {
            let (datagrams, bytes) = (state.book.kept.len(), state.bytes.kept.len());
            format!("keeps {datagrams} datagrams, {bytes} bytes back, and the socket has room")
        })?;
        self.hold(self.book.events == 0, Rule::Events, |state| {
            format!("sleeps on {} events", state.book.events)
        })?;
        let unseen = room.is_none() && self.has_unread() && !self.edges.readable;
        self.hold(!unseen, Rule::Batches, |state| {
            let left = (state.inbox.len(), state.bytes.inbox.len());
            format!("sleeps with {left:?} in the socket, which will not be told again")
        })?;
        let deadline = self.book.deadline;
        let excused = blocked && deadline.is_some_and(|deadline| deadline <= now);
        let by_command = self.book.moved_by == Dirt::Command;
        let rule = if by_command { Rule::Wake } else { Rule::Deadline };
        self.hold(excused || until == deadline, rule, |_| {
            format!("sleeps until {until:?}, and the machine's deadline is {deadline:?}")
        })
    }

    /// After a sleep that began at `began`: did it bring anything?
    pub(crate) fn after_wait(&mut self, began: Instant, ready: Ready) -> Verdict {
        if self.over {
            self.book.late_waits += 1;
            let fine = self.book.late_waits <= MAX_IDLE_WAITS;
            return self.hold(fine, Rule::Wake, |_| {
                "goes on sleeping instead of coming back when it is woken".to_owned()
            });
        }
        let idle = self.now == began && !self.book.progress;
        self.book.idle_waits = if idle { self.book.idle_waits + 1 } else { 0 };
        let fine = self.book.idle_waits <= MAX_IDLE_WAITS;
        self.hold(fine, Rule::Idle, |_| "spins: wakes at once, again and again".to_owned())?;
        self.book.progress = false;
        self.book.since = crate::book::Since::default();
        self.bytes.since = 0;
        // Room that is not there was told for nothing; a loop may ask again before it believes it.
        self.book.blocked &= !ready.writable || self.is_full();
        Ok(())
    }
}
