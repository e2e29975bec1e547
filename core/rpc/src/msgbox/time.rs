//! What a [`Msgbox`] does when its time has come: knocks, heartbeats, and the ends of waits.

use super::contact::Stage;
use super::header::{MsgboxHeader, MsgboxKind};
use super::{ContactId, GetId, Msgbox, MsgboxEvent};
use crate::slots::Key;
use crate::timers::Due;
use tripline_sansio::{Duration, Instant};

/// How long until the second knock; each further wait is twice as long.
pub(super) const KNOCK_AT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait between knocks.
const KNOCK_AT_LAST: Duration = Duration::from_secs(2);

impl Msgbox {
    pub(super) fn tend(&mut self) {
        while let Some(slot) = self.deadlines.due(self.now) {
            match self.contacts.key_at(slot) {
                Some(key) => self.tend_contact(key),
                None => self.deadlines.set(slot, None),
            }
        }
        while let Some(due) = self.get_timers.due(self.now) {
            let key = match due {
                Due::Key(key) => Some(key),
                Due::Slot(slot) => self.gets.key_at(slot),
            };
            let Some(get) = key.map(GetId) else { break };
            let Some(taken) = self.take_get(get) else { break };
            let contact = ContactId(taken.contact);
            self.events.push_back(MsgboxEvent::ReplyMissing { contact, get, gone: false });
        }
    }

    /// A contact's deadline has come, or it is new.
    pub(super) fn tend_contact(&mut self, key: Key) {
        let now = self.now;
        let contact = ContactId(key);
        let Some(known) = self.contacts.get_mut(key) else { return };
        match known.stage {
            Stage::Over => {}
            Stage::Knocking { until, .. } if until <= now => {
                self.end(key, MsgboxEvent::Failed { contact, refused: false });
            }
            Stage::Knocking { until, next, wait } => {
                if next <= now {
                    let wait_next = (wait * 2).min(KNOCK_AT_LAST);
                    known.stage = Stage::Knocking { until, next: now + wait, wait: wait_next };
                    self.beat(key, true);
                }
                self.set_deadline(key);
            }
            Stage::Ready if known.heard + self.config.silence_max <= now => {
                self.end(key, MsgboxEvent::Lost { contact });
            }
            Stage::Ready => {
                let before = known.joins.bytes();
                let torn = known.joins.give_up(now);
                let gone = before.saturating_sub(known.joins.bytes());
                self.joining = self.joining.saturating_sub(gone);
                self.count_torn(torn);
                self.beat_if_due(key);
                self.set_deadline(key);
            }
        }
    }

    fn beat_if_due(&mut self, key: Key) {
        let (now, interval) = (self.now, self.config.heartbeat);
        let Some(known) = self.contacts.get_mut(key) else { return };
        if known.beat_at > now {
            return;
        }
        // What was said meanwhile proved as much.
        if core::mem::take(&mut known.has_spoken) && known.spoke + interval > now {
            known.beat_at = known.spoke + interval;
            return;
        }
        // All by the same step: they stay as spread as they began.
        known.beat_at = now + interval;
        self.beat(key, false);
        self.stats.heartbeats = self.stats.heartbeats.saturating_add(1);
    }

    /// Says that we are there; or, first, that we want to be.
    fn beat(&mut self, key: Key, is_first: bool) {
        let Some(known) = self.contacts.get(key) else { return };
        let (path, kind) = (known.path, MsgboxKind::Heartbeat);
        let reply = known.attempt;
        self.put(path, &MsgboxHeader { kind, is_first, packets: 1, packet: 0, reply }, &[]);
    }

    pub(super) fn set_deadline(&mut self, key: Key) {
        let Some(known) = self.contacts.get(key) else { return };
        let all: [Option<Instant>; 3] = match known.stage {
            Stage::Over => [None; 3],
            Stage::Knocking { until, next, .. } => [Some(until), Some(next), None],
            // Silence is reckoned anew when this has come: most packets move no timer.
            Stage::Ready => {
                let silence = known.heard + self.config.silence_max;
                [Some(known.beat_at), Some(silence), known.joins.deadline()]
            }
        };
        self.deadlines.set(key.slot, all.into_iter().flatten().min());
    }
}
