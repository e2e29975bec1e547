//! What a [`Msgbox`](super::Msgbox) knows of one other side.
#![deny(clippy::arithmetic_side_effects)]

use super::joins::Joins;
use crate::slots::Key;
use alloc::collections::BTreeMap;
use tripline_sansio::{Duration, Instant, Path};

/// Where a contact stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// We knock: next then, and again after twice as long.
    Knocking {
        until: Instant,
        next: Instant,
        wait: Duration,
    },
    Ready,
    /// The user is being told that it is over.
    Over,
}

/// So many requests of the other side's may be under way when an attempt ends.
const UNSEEN: u16 = 1_024;

/// So far ahead of the newest request that came another one may be: more than there can be at once.
const AHEAD_MAX: u16 = 8_192;

/// So many requests before the newest are known one by one.
const SEEN_MAX: u16 = 64;

/// After so long without a request it may be anywhere ahead: a run of them was lost.
const AHEAD_WITHIN: Duration = Duration::from_secs(2);

/// Which requests have come: the newest one's id, and of those before it a bit for each that came.
/// What is older than those is taken for one that came (R-BOX-4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    newest: u16,
    bits: u64,
    at: Instant,
}

impl Seen {
    /// The requests of a contact: behind the name of its attempt, so that late ones of the attempt
    /// before are known to be that; if it has none, anywhere.
    pub(crate) fn after(now: Instant, attempt: u16) -> Self {
        Self { newest: attempt, bits: if attempt == 0 { 0 } else { u64::MAX }, at: now }
    }

    /// Notes an id. `false`: it came before, or is out of place.
    pub(crate) fn note(&mut self, now: Instant, id: u16) -> bool {
        let ahead = id.wrapping_sub(self.newest);
        let ahead_max = if self.at + AHEAD_WITHIN <= now { u16::MAX - SEEN_MAX } else { AHEAD_MAX };
        if self.bits == 0 {
            (self.newest, self.bits, self.at) = (id, 1, now);
            return true;
        }
        if ahead != 0 && ahead <= ahead_max {
            // Bit 0 is the newest itself.
            self.bits = self.bits.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            (self.newest, self.at) = (id, now);
            return true;
        }
        let bit = 1_u64.checked_shl(u32::from(self.newest.wrapping_sub(id))).unwrap_or(0);
        let is_new = bit != 0 && self.bits & bit == 0;
        self.bits |= bit;
        is_new
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) path: Path,
    pub(crate) stage: Stage,
    /// Until then a knock by a lesser name may be the other side's of the same time as ours.
    pub(crate) crossing_until: Option<Instant>,
    /// By which the one that knocked names this attempt, and behind which ids of requests begin;
    /// 0: it has no names.
    pub(crate) attempt: u16,
    /// The one before, whose packets may still be under way.
    pub(crate) attempt_before: u16,
    /// Something without the first bit has come.
    pub(crate) has_more: bool,
    pub(crate) heard: Instant,
    pub(crate) spoke: Instant,
    /// Something was said since the last heartbeat was due.
    pub(crate) has_spoken: bool,
    /// When the next heartbeat is due, if nothing is said before.
    pub(crate) beat_at: Instant,
    pub(crate) next_packet: u16,
    pub(crate) next_reply: u16,
    /// What we have asked, by reply id.
    pub(crate) asked: BTreeMap<u16, Key>,
    /// What the other side has asked, by reply id.
    pub(crate) requests: BTreeMap<u16, Key>,
    pub(crate) seen: Seen,
    pub(crate) joins: Joins,
}

impl Contact {
    pub(crate) fn new(now: Instant, path: Path, stage: Stage, attempt: u16) -> Self {
        Self {
            path,
            stage,
            crossing_until: None,
            attempt,
            attempt_before: 0,
            has_more: false,
            heard: now,
            spoke: now,
            has_spoken: false,
            beat_at: now,
            next_packet: 0,
            next_reply: attempt,
            asked: BTreeMap::new(),
            requests: BTreeMap::new(),
            seen: Seen::after(now, attempt),
            joins: Joins::default(),
        }
    }

    /// A reply id that is not in use; there is one, as fewer are allowed than there are. 0 is none.
    pub(crate) fn new_reply_id(&mut self) -> u16 {
        loop {
            self.next_reply = self.next_reply.wrapping_add(1);
            if self.next_reply != 0 && !self.asked.contains_key(&self.next_reply) {
                return self.next_reply;
            }
        }
    }

    /// Both have knocked, or the other side goes by another name: the requests of both go by that.
    pub(crate) fn rename(&mut self, now: Instant, attempt: u16) {
        self.attempt_before = core::mem::replace(&mut self.attempt, attempt);
        self.next_reply = attempt;
        self.seen = Seen::after(now, attempt);
    }

    /// A name for the next attempt at the same address, ahead of every request of this one.
    pub(crate) fn next_attempt(&self) -> u16 {
        let (ours, theirs) = (self.next_reply, self.seen.newest);
        let theirs_is_ahead = self.seen.bits != 0 && theirs.wrapping_sub(ours) < 1 << 15;
        let newest = if theirs_is_ahead { theirs } else { ours };
        match newest.wrapping_add(UNSEEN) {
            0 => 1,
            attempt => attempt,
        }
    }

    /// Whether a first packet tells that the other side has begun anew (row M20).
    pub(crate) fn is_another(&mut self, now: Instant, attempt: u16) -> bool {
        if attempt == 0 {
            // It does not name its attempts: it would not say *first* again.
            return self.attempt == 0 && self.has_more;
        }
        if self.goes_by(attempt) {
            return false;
        }
        if attempt < self.attempt && self.crossing_until.is_some_and(|until| now < until) {
            self.attempt_before = attempt;
            return false;
        }
        true
    }

    /// Whether a packet with this name, or without one, is of this contact.
    pub(crate) fn goes_by(&self, name: u16) -> bool {
        let knocks = matches!(self.stage, Stage::Knocking { .. });
        knocks || name == 0 || name == self.attempt || name == self.attempt_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-BOX-4: each id once, in any order near by, and around.
    #[test]
    fn r_box_4_a_request_is_seen_once() {
        let now = Instant::from_nanos(1);
        let mut seen = Seen::after(now, 0);
        for (id, is_new) in [
            (65_534, true),
            (65_534, false),
            (1, true),
            (65_535, true),
            (65_535, false),
            (65_533, true),
            (1, false),
            (100, true),
            (1, false),
            (37, true),
            (36, false),
            (99, true),
            (99, false),
            (100 + AHEAD_MAX + 1, false),
        ] {
            assert_eq!(seen.note(now, id), is_new, "{id}");
        }
        assert!(seen.note(now + AHEAD_WITHIN, 30_000), "a run of them was lost");
    }

    /// R-BOX-4: the requests of an attempt are behind its name; those before are of another one.
    #[test]
    fn r_box_4_requests_are_behind_the_name_of_their_attempt() {
        let now = Instant::from_nanos(1);
        let path = Path::to("10.0.0.1:1".parse().unwrap());
        let mut contact = Contact::new(now, path, Stage::Ready, 65_000);
        for id in [65_000, 64_990, 60_000] {
            assert!(!contact.seen.note(now, id), "{id}");
        }
        assert!(contact.seen.note(now, 65_003) && contact.seen.note(now, 65_001));
        assert_eq!(contact.new_reply_id(), 65_001);
        assert_eq!(contact.next_attempt(), 65_003_u16.wrapping_add(UNSEEN));
    }

    /// M16: ids never collide while they are in use, around the end too.
    #[test]
    fn m16_reply_ids_never_collide() {
        let path = Path::to("10.0.0.1:1".parse().unwrap());
        let mut contact = Contact::new(Instant::ZERO, path, Stage::Ready, 1);
        let key = Key { slot: 0, generation: 0 };
        for _ in 0..1_000 {
            let id = contact.new_reply_id();
            assert!(contact.asked.insert(id, key).is_none());
        }
        for _ in 0..200_000 {
            let id = contact.new_reply_id();
            assert!(id > 1_001 || id == 1, "0 is none, and these are in use: {id}");
        }
    }
}
