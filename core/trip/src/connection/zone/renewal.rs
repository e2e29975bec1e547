//! The states of a renewal: ASKED, AGREED, MOVED, STEADY (PROTOCOL.md §10.6, R-ZONE).
//!
//! In go the two halves of the next zone, and news of what was sent and what verified; out come the
//! half to send, the zone in use, and which IDs are no longer needed. The zone that we send in is
//! the caller's and lent to each call, as a move puts another in its place. No packets, no clock
//! and no randomness here: our half is given, and times are only kept.
#![deny(clippy::arithmetic_side_effects)]

use super::limits::KeyLimits;
use super::{Half, ResetToken, Zone};
use crate::crypto::{OpenKey, SecretKey};
use crate::wire::{Code, RenewFrame, Side, Violation};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use tripline_sansio::Instant;

/// Our half of a zone, freshly made.
#[derive(Debug)]
pub(crate) struct OwnHalf {
    half: Half,
    /// In a box of its own from the first: what is moved leaves no copy behind.
    secret: Box<SecretKey>,
}

impl OwnHalf {
    /// The half with this ID, its reset token (zeros: none) and an ephemeral key made for it alone.
    pub(crate) fn new(id: u64, reset_token: ResetToken, secret: Box<SecretKey>) -> Self {
        Self { half: Half { id, reset_token, key: secret.public_key() }, secret }
    }
}

/// Our half on its way to the peer.
#[derive(Clone, Copy, Debug)]
struct Letter {
    half: Half,
    /// It has to be sent (again).
    due: bool,
    /// It was sent at least once: only then it can have been answered.
    sent: bool,
    /// The peer has it.
    acked: bool,
}

#[derive(Debug)]
struct Asked {
    letter: Letter,
    /// Of our ephemeral key; wiped as soon as the keys are made.
    secret: Box<SecretKey>,
}

#[derive(Debug)]
struct Agreed {
    letter: Letter,
    next: Zone,
}

/// What is left of the zone before.
#[derive(Debug)]
struct Old {
    own_id: u64,
    open: OpenKey,
    /// The highest number that verified under it.
    highest: Option<u64>,
    /// Three probe timeouts after the first packet of the new zone; unknown until that came.
    wipe_at: Option<Instant>,
}

/// Where a renewal stands.
#[derive(Debug, Default)]
enum Step {
    /// One zone, nothing under way.
    #[default]
    Steady,
    /// Our half was sent, or is about to be; the peer's is not known.
    Asked(Box<Asked>),
    /// Both halves are known: the next zone is read. That the peer has ours is not known.
    Agreed(Box<Agreed>),
    /// We send in the new zone and still read the old one.
    Moved(Box<Old>),
}

/// What a packet's number under its zone meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing new.
    Nothing,
    /// The first packet of the zone that we already send in: the old one has three probe timeouts.
    First,
    /// The same, and it was what we waited for: we send in the new zone from now on.
    Moved,
}

/// The renewal of one connection.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    step: Step,
    limits: KeyLimits,
    /// A new zone was asked for by the user or the clock, and none is under way.
    wanted: bool,
    /// The peer's half of the next zone, until ours is there to answer with.
    theirs: Option<Box<Half>>,
    /// IDs that nobody sends to any more, at most two between two drains.
    released: Vec<u64>,
    /// Packets that failed to open since we send in this zone.
    failures: u64,
    /// The first number that we sent, or will send, in this zone.
    sent_from: u64,
    /// When this zone is old; unknown before READY.
    old_at: Option<Instant>,
    /// Payload went over in this zone: its age counts.
    used: bool,
}

fn violation(reason: &'static str) -> Violation {
    Violation::new(Code::PROTOCOL, reason)
}

impl Renewal {
    /// Nothing under way, with these limits; values out of range are moved into it.
    pub(crate) fn new(limits: KeyLimits) -> Self {
        Self { limits: limits.in_range(), ..Self::default() }
    }

    /// The limits of the keys.
    pub(crate) fn limits(&self) -> &KeyLimits {
        &self.limits
    }

    /// A new zone is wanted: by the user, or because this one is old. One under way will do.
    pub(crate) fn want(&mut self) {
        self.wanted |= !matches!(self.step, Step::Asked(_) | Step::Agreed(_));
    }

    /// Whether a renewal is wanted or under way: then, whether both halves are known.
    pub(crate) fn under_way(&self) -> Option<bool> {
        match self.step {
            Step::Asked(_) => Some(false),
            Step::Agreed(_) => Some(true),
            _ => self.wanted.then_some(false),
        }
    }

    /// A zone begins in which we send from number `sent_from` on, and which is old at `old_at`.
    pub(crate) fn begin_zone(&mut self, sent_from: u64, old_at: Instant) {
        self.sent_from = sent_from;
        self.old_at = Some(old_at);
        self.used = false;
        self.failures = 0;
    }

    /// The first number sent in this zone: whoever acknowledges it or a later one reads the zone.
    pub(crate) fn sent_from(&self) -> u64 {
        self.sent_from
    }

    /// A packet failed to open.
    pub(crate) fn on_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// How many packets failed to open since we send in this zone.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Payload goes over: the zone's age counts. Whether that is news.
    pub(crate) fn on_payload(&mut self, now: Instant) -> bool {
        let news = !mem::replace(&mut self.used, true);
        if news {
            self.grow_old(now);
        }
        news
    }

    /// The zone is old, and carried payload: a new one is wanted.
    fn grow_old(&mut self, now: Instant) {
        if self.used && self.old_at.is_some_and(|at| at <= now) {
            self.old_at = None;
            self.want();
        }
    }

    /// The time is `now`: what was to be wiped or renewed by then.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if self.wipe_at().is_some_and(|at| at <= now) {
            self.wipe();
        }
        self.grow_old(now);
    }

    /// When [`Self::on_time`] is to be called.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        let age = self.old_at.filter(|_| self.used);
        [self.wipe_at(), age].into_iter().flatten().min()
    }

    fn wipe_at(&self) -> Option<Instant> {
        match &self.step {
            Step::Moved(old) => old.wipe_at,
            _ => None,
        }
    }

    /// The first packet of the new zone came: the old one is read until `at`.
    pub(crate) fn wipe_old_at(&mut self, at: Instant) {
        if let Step::Moved(old) = &mut self.step {
            old.wipe_at = Some(at);
        }
    }

    /// The old zone is read no longer, and its last key goes (R-ZONE-2).
    fn wipe(&mut self) {
        match mem::take(&mut self.step) {
            Step::Moved(old) => self.released.push(old.own_id),
            other => self.step = other,
        }
    }

    /// Whether a half of ours is needed: to answer, or to ask. `worn`: a limit of the key asks;
    /// `heard`: the peer acknowledged a packet of this zone, without which nobody asks (R-ZONE-3).
    pub(crate) fn wants_half(&self, worn: bool, heard: bool) -> bool {
        let steady = matches!(self.step, Step::Steady);
        steady && (self.theirs.is_some() || (heard && (worn || self.wanted)))
    }

    /// Our half is there. It answers the peer's, or asks for it. `next` is the lowest number that
    /// the new zone may seal.
    pub(crate) fn on_own_half(
        &mut self,
        current: &mut Zone,
        side: Side,
        own: OwnHalf,
        next: u64,
    ) -> Result<(), Violation> {
        let letter = Letter { half: own.half, due: true, sent: false, acked: false };
        match self.theirs.take() {
            Some(theirs) => self.agree(current, side, (letter, own.secret), &theirs, next),
            None => {
                self.wanted = false;
                self.step = Step::Asked(Box::new(Asked { letter, secret: own.secret }));
                Ok(())
            }
        }
    }

    /// Both halves are known: the next zone is made.
    fn agree(
        &mut self,
        current: &mut Zone,
        side: Side,
        (letter, secret): (Letter, Box<SecretKey>),
        theirs: &Half,
        next: u64,
    ) -> Result<(), Violation> {
        self.wanted = false;
        match current.make_next(side, &letter.half, secret, theirs, next) {
            Ok(next) => {
                self.step = Step::Agreed(Box::new(Agreed { letter, next }));
                Ok(())
            }
            Err(violation) => {
                self.released.push(letter.half.id);
                Err(violation)
            }
        }
    }

    /// The peer's half came (R-ZONE-3). Whether we send in the next zone from now on.
    pub(crate) fn on_frame(
        &mut self,
        current: &mut Zone,
        side: Side,
        frame: &RenewFrame,
        next: u64,
    ) -> Result<bool, Violation> {
        let theirs = Half::read(frame)?;
        if frame.zone < current.number {
            return Ok(false);
        }
        if frame.zone == current.number {
            return same(current, &theirs).map(|()| false);
        }
        if frame.zone > current.number.saturating_add(1) {
            return Err(violation("a zone beyond the next"));
        }
        match mem::take(&mut self.step) {
            Step::Agreed(agreed) => {
                let answered = frame.confirm.then_some(agreed.letter.sent);
                let known = same(&agreed.next, &theirs);
                self.step = Step::Agreed(agreed);
                known?;
                self.on_answer(current, answered)
            }
            Step::Asked(asked) => {
                let Asked { letter, secret } = *asked;
                let (id, acked) = (letter.half.id, letter.acked.then_some(true));
                let answered = frame.confirm.then_some(letter.sent).or(acked);
                let theirs = theirs.strong().and_then(|theirs| match answered {
                    Some(false) => Err(violation("an answer to nothing")),
                    _ => Ok(theirs),
                });
                let theirs = theirs.inspect_err(|_| self.released.push(id))?;
                self.agree(current, side, (letter, secret), &theirs, next)?;
                self.on_answer(current, answered)
            }
            step @ (Step::Steady | Step::Moved(_)) => {
                self.step = step;
                self.on_question(frame.confirm, theirs).map(|()| false)
            }
        }
    }

    /// `answered`: the peer has our half, or says so; `Some(false)` if it never was sent.
    fn on_answer(&mut self, current: &mut Zone, answered: Option<bool>) -> Result<bool, Violation> {
        match answered {
            None => Ok(false),
            Some(false) => Err(violation("an answer to nothing")),
            Some(true) => {
                self.move_on(current);
                Ok(true)
            }
        }
    }

    /// The peer asks, and we did not. It asks only when it has done with the old zone, so we have
    /// too (R-ZONE-3).
    fn on_question(&mut self, confirm: bool, theirs: Half) -> Result<(), Violation> {
        if confirm {
            return Err(violation("an answer to nothing"));
        }
        match self.theirs {
            Some(ref known) if **known == theirs => Ok(()),
            Some(_) => Err(violation(CONTRADICTION)),
            None => {
                self.theirs = Some(Box::new(theirs.strong()?));
                self.wipe();
                Ok(())
            }
        }
    }

    /// R-ZONE-1: from now on we send in the next zone, and never again in this one; what it sealed
    /// with is wiped.
    fn move_on(&mut self, current: &mut Zone) {
        match mem::take(&mut self.step) {
            Step::Agreed(agreed) => {
                let old = mem::replace(current, agreed.next);
                let highest = old.highest();
                let (own_id, open) = (old.own_id, old.open);
                self.step = Step::Moved(Box::new(Old { own_id, open, highest, wipe_at: None }));
            }
            other => self.step = other,
        }
    }

    /// Packet `number` verified under the zone of `id`.
    ///
    /// # Errors
    /// R-ZONE-2: the zones overlap.
    pub(crate) fn on_number(
        &mut self,
        current: &mut Zone,
        id: u64,
        number: u64,
    ) -> Result<Seen, Violation> {
        let overlap = violation("a packet of an old zone behind one of the next");
        if id == current.own_id {
            let old = match &self.step {
                Step::Moved(old) => Some(old),
                _ => None,
            };
            if old.and_then(|old| old.highest).is_some_and(|highest| highest > number) {
                return Err(overlap);
            }
            let moved = old.is_some();
            let first = current.on_number(number);
            return Ok(if first && moved { Seen::First } else { Seen::Nothing });
        }
        match &mut self.step {
            Step::Agreed(agreed) if agreed.next.own_id == id => {
                if current.highest().is_some_and(|highest| highest > number) {
                    return Err(overlap);
                }
                self.move_on(current);
                current.on_number(number);
                Ok(Seen::Moved)
            }
            Step::Moved(old) if old.own_id == id => {
                if current.lowest().is_some_and(|lowest| lowest < number) {
                    return Err(overlap);
                }
                old.highest = old.highest.max(Some(number));
                Ok(Seen::Nothing)
            }
            _ => Ok(Seen::Nothing),
        }
    }

    /// The one key for packets to `id` (R-DATA-1b).
    pub(crate) fn open_key<'a>(&'a self, current: &'a Zone, id: u64) -> Option<&'a OpenKey> {
        if id == current.own_id {
            return Some(&current.open);
        }
        match &self.step {
            Step::Agreed(agreed) if agreed.next.own_id == id => Some(&agreed.next.open),
            Step::Moved(old) if old.own_id == id => Some(&old.open),
            _ => None,
        }
    }

    fn letter(&mut self) -> Option<&mut Letter> {
        match &mut self.step {
            Step::Asked(asked) => Some(&mut asked.letter),
            Step::Agreed(agreed) => Some(&mut agreed.letter),
            Step::Steady | Step::Moved(_) => None,
        }
    }

    /// The letter of a renewal under way, and whether the peer's half is known.
    fn pending(&self) -> Option<(&Letter, bool)> {
        match &self.step {
            Step::Asked(asked) => Some((&asked.letter, false)),
            Step::Agreed(agreed) => Some((&agreed.letter, true)),
            Step::Steady | Step::Moved(_) => None,
        }
    }

    /// Whether our half has to be sent.
    pub(crate) fn is_due(&self) -> bool {
        self.pending().is_some_and(|(letter, _)| letter.due)
    }

    /// Our half, if it has to be sent: RENEW while the peer's is unknown, then RENEW_CONFIRM.
    pub(crate) fn due(&self, current: &Zone) -> Option<RenewFrame> {
        let (letter, confirm) = self.pending()?;
        let zone = current.number.saturating_add(1);
        letter.due.then(|| letter.half.frame(zone, confirm))
    }

    /// Our half went out.
    pub(crate) fn on_sent(&mut self) {
        if let Some(letter) = self.letter() {
            (letter.due, letter.sent) = (false, true);
        }
    }

    /// A packet with our half of `zone` was acknowledged. Whether we send in it from now on.
    pub(crate) fn on_acked(&mut self, current: &mut Zone, zone: u64) -> bool {
        if zone <= current.number {
            return false;
        }
        if let Some(letter) = self.letter() {
            (letter.due, letter.acked) = (false, true);
        }
        let agreed = matches!(self.step, Step::Agreed(_));
        if agreed {
            self.move_on(current);
        }
        agreed
    }

    /// A packet with our half of `zone` was lost: it goes out again while that makes sense.
    pub(crate) fn on_lost(&mut self, current: &Zone, zone: u64) {
        if zone > current.number {
            self.on_probe();
        }
    }

    /// Nothing was heard for a while: our half goes with the probe, if it may be missing.
    pub(crate) fn on_probe(&mut self) {
        if let Some(letter) = self.letter() {
            letter.due |= !letter.acked;
        }
    }

    /// Takes an ID that nobody sends to any more.
    pub(crate) fn take_released(&mut self) -> Option<u64> {
        self.released.pop()
    }

    /// All IDs under which the peer may send, but for that of the zone that we send in.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        let other = match &self.step {
            Step::Steady => None,
            Step::Asked(asked) => Some(asked.letter.half.id),
            Step::Agreed(agreed) => Some(agreed.next.own_id),
            Step::Moved(old) => Some(old.own_id),
        };
        other.into_iter().chain(self.released.iter().copied())
    }
}

const CONTRADICTION: &str = "two different halves of one zone";

/// A half of a zone that is agreed is a copy of the one it was agreed with, or breaks a rule.
fn same(zone: &Zone, theirs: &Half) -> Result<(), Violation> {
    if zone.was_made_of(theirs) { Ok(()) } else { Err(violation(CONTRADICTION)) }
}

#[cfg(test)]
mod tests;
