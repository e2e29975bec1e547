//! What packets do.

use super::contact::{Contact, Stage};
use super::header::{MsgboxHeader, MsgboxKind};
use super::joins::{JOINING_MAX, Joined};
use super::{BoxRequestId, CLOSED_KEEP, CLOSED_MAX, ContactId, GetId, Msgbox, MsgboxEvent, Past};
use crate::slots::Key;
use bytes::Bytes;
use core::net::SocketAddr;
use tripline_sansio::{Duration, Path};

/// For so long the knock of the other side, where both have knocked, may still be under way.
const CROSSING: Duration = Duration::from_secs(5);

/// One more.
fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

impl Msgbox {
    pub(super) fn on_packet(&mut self, path: Path, header: &MsgboxHeader, payload: &[u8]) {
        let is_close = header.kind == MsgboxKind::Close;
        // Only a heartbeat names the attempt: in others the place is taken.
        let is_knock = header.kind == MsgboxKind::Heartbeat && header.is_first;
        let attempt = if is_knock { header.reply } else { 0 };
        let known = self.by_address.get(&path.remote).copied();
        let Some(key) = known else {
            return match (is_close, header.is_first) {
                (true, _) => {}
                (false, true) => self.on_newcomer(path, attempt, header, payload),
                (false, false) => {
                    count(&mut self.stats.strangers);
                    self.put_answer(path, MsgboxKind::Close, 0);
                }
            };
        };
        if is_close {
            return self.on_close(key, header.reply);
        }
        if is_knock && self.is_over(path.remote, attempt) {
            // A late one of before.
            return count(&mut self.stats.strangers);
        }
        let now = self.now;
        let Some(contact) = self.contacts.get_mut(key) else { return };
        if header.is_first && contact.stage == Stage::Ready && contact.is_another(now, attempt) {
            return self.on_return(key, path, header, payload);
        }
        if header.kind == MsgboxKind::Heartbeat && !contact.goes_by(header.reply) {
            // Of another contact at that address, ours or theirs of before: no sign of this one.
            return count(&mut self.stats.strangers);
        }
        contact.heard = now;
        contact.has_more |= !header.is_first;
        if matches!(contact.stage, Stage::Knocking { .. }) && !self.is_let_in(key, path, header) {
            return count(&mut self.stats.strangers);
        }
        if is_knock {
            self.answer_knock(key);
        }
        self.on_message(key, header, payload);
    }

    /// R-BOX-2: whether a packet lets us in: a heartbeat that goes by our name, or by none, or a
    /// knock by a greater name. Other packets are late ones of before.
    fn is_let_in(&mut self, key: Key, path: Path, header: &MsgboxHeader) -> bool {
        let (now, name) = (self.now, header.reply);
        if header.kind != MsgboxKind::Heartbeat {
            return false;
        }
        let Some(contact) = self.contacts.get_mut(key) else { return false };
        if name != 0 && name != contact.attempt {
            // Both have knocked: both go by the greater name, and know the other. The lesser one is
            // not answered: its side will hear our own knock.
            if !header.is_first {
                return false;
            }
            if name < contact.attempt {
                contact.attempt_before = name;
                return false;
            }
            contact.rename(now, name);
        }
        contact.path = path;
        self.becomes_ready(key, true);
        true
    }

    /// Whether an attempt has been over for a short while.
    fn is_over(&self, remote: SocketAddr, attempt: u16) -> bool {
        let known = self.closed.get(&(remote, attempt));
        attempt != 0 && known.is_some_and(|over| over.until > self.now)
    }

    /// Somebody's first packet (R-BOX-3; rows M05, M17).
    fn on_newcomer(&mut self, path: Path, attempt: u16, header: &MsgboxHeader, payload: &[u8]) {
        let is_over = self.is_over(path.remote, attempt);
        let is_full = self.contacts.len() >= self.config.contacts_max;
        if !self.config.is_listening || is_full || is_over {
            count(&mut self.stats.turned_away);
            return self.put_answer(path, MsgboxKind::Close, attempt);
        }
        let mut contact = Contact::new(self.now, path, Stage::Ready, attempt);
        contact.next_packet = self.random_packet();
        let key = self.contacts.insert(contact);
        self.by_address.insert(path.remote, key);
        self.becomes_ready(key, false);
        if header.kind == MsgboxKind::Heartbeat {
            self.answer_knock(key);
        }
        self.on_message(key, header, payload);
    }

    /// The other side has begun anew: first the old contact is lost, then there is a new one (row
    /// M20).
    fn on_return(&mut self, key: Key, path: Path, header: &MsgboxHeader, payload: &[u8]) {
        let before = self.contacts.get(key).map_or(0, |contact| contact.attempt);
        self.end(key, MsgboxEvent::Lost { contact: ContactId(key) });
        let is_knock = header.kind == MsgboxKind::Heartbeat;
        self.on_newcomer(path, if is_knock { header.reply } else { 0 }, header, payload);
        let new = self.by_address.get(&path.remote).copied();
        if let Some(contact) = new.and_then(|key| self.contacts.get_mut(key)) {
            contact.attempt_before = before;
        }
    }

    /// A knock is answered by the name that the contact goes by, without the bit.
    fn answer_knock(&mut self, key: Key) {
        let Some(contact) = self.contacts.get(key) else { return };
        let (path, attempt) = (contact.path, contact.attempt);
        self.put_answer(path, MsgboxKind::Heartbeat, attempt);
    }

    fn becomes_ready(&mut self, key: Key, by_us: bool) {
        // R-BOX-6: the first heartbeat comes at any time of the first interval, so that many
        // contacts that came together do not beat together (row M18).
        let interval = u64::try_from(self.config.heartbeat.as_nanos()).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(self.random.below(interval).saturating_add(1));
        let now = self.now;
        let Some(contact) = self.contacts.get_mut(key) else { return };
        (contact.stage, contact.beat_at) = (Stage::Ready, now + wait);
        contact.crossing_until = by_us.then(|| now + CROSSING);
        let remote = contact.path.remote;
        self.set_deadline(key);
        self.events.push_back(MsgboxEvent::Ready { contact: ContactId(key), remote, by_us });
    }

    /// The other side says that a contact by this name is over, or, by none, that there is none.
    fn on_close(&mut self, key: Key, name: u16) {
        let contact = ContactId(key);
        let Some(known) = self.contacts.get(key) else { return };
        let knocks = matches!(known.stage, Stage::Knocking { .. });
        // Who knocks has said nothing that could be a stranger's.
        if (knocks && name != known.attempt) || !(name == 0 || known.goes_by(name)) {
            return count(&mut self.stats.strangers);
        }
        self.end(
            key,
            match knocks {
                true => MsgboxEvent::Failed { contact, refused: true },
                false => MsgboxEvent::Closed { contact, by_us: false },
            },
        );
    }

    /// A packet of a contact: it is a message, or a part of one.
    fn on_message(&mut self, key: Key, header: &MsgboxHeader, payload: &[u8]) {
        if matches!(header.kind, MsgboxKind::Heartbeat | MsgboxKind::Close) {
            return;
        }
        let (now, max) = (self.now, self.config.message_max);
        self.pass(key, header.packet);
        if header.packets == 1 {
            if payload.len() > max {
                return count(&mut self.stats.torn);
            }
            return self.deliver(key, header, Bytes::copy_from_slice(payload));
        }
        let Some(contact) = self.contacts.get_mut(key) else { return };
        let before = contact.joins.bytes();
        if self.joining >= JOINING_MAX {
            return count(&mut self.stats.torn);
        }
        let joined = contact.joins.take(now, header, payload, max);
        let torn = contact.joins.give_up(now);
        let after = contact.joins.bytes();
        self.joining = self.joining.saturating_sub(before).saturating_add(after);
        self.count_torn(torn);
        match joined {
            Joined::Whole(message) => self.deliver(key, header, message.into()),
            Joined::Refused => count(&mut self.stats.torn),
            Joined::Waits => self.set_deadline(key),
        }
    }

    /// The numbers of packets have come so far.
    fn pass(&mut self, key: Key, packet: u16) {
        let Some(contact) = self.contacts.get_mut(key) else { return };
        let before = contact.joins.bytes();
        let torn = contact.joins.pass(packet);
        let gone = before.saturating_sub(contact.joins.bytes());
        self.joining = self.joining.saturating_sub(gone);
        self.count_torn(torn);
    }

    fn deliver(&mut self, key: Key, header: &MsgboxHeader, payload: Bytes) {
        let contact = ContactId(key);
        match header.kind {
            MsgboxKind::OneWay => {
                self.events.push_back(MsgboxEvent::Message { contact, payload });
            }
            MsgboxKind::Request => self.on_request(key, header.reply, payload),
            MsgboxKind::Reply => {
                let known = self.contacts.get(key);
                match known.and_then(|known| known.asked.get(&header.reply).copied()) {
                    None => count(&mut self.stats.unmatched),
                    Some(get) => {
                        let get = GetId(get);
                        self.take_get(get);
                        self.events.push_back(MsgboxEvent::Reply { contact, get, payload });
                    }
                }
            }
            MsgboxKind::Heartbeat | MsgboxKind::Close => {}
        }
    }

    /// Each request is told once (R-BOX-4).
    fn on_request(&mut self, key: Key, reply: u16, payload: Bytes) {
        let limit = self.config.requests_max;
        let Some(known) = self.contacts.get_mut(key) else { return };
        if reply == 0 {
            return count(&mut self.stats.malformed);
        }
        // One that is in use, however long ago it came, is this one again.
        if known.requests.contains_key(&reply) || !known.seen.note(self.now, reply) {
            return count(&mut self.stats.duplicates);
        }
        if known.requests.len() >= limit {
            return count(&mut self.stats.overflowed);
        }
        let request = self.requests.insert((key, reply));
        known.requests.insert(reply, request);
        let (contact, request) = (ContactId(key), BoxRequestId(request));
        self.events.push_back(MsgboxEvent::Request { contact, request, payload });
    }

    /// A contact is over (R-BOX-7): its requests first, then it; it stays to be asked about until
    /// the user has heard (row M21).
    pub(super) fn end(&mut self, key: Key, event: MsgboxEvent) {
        let now = self.now;
        let Some(contact) = self.contacts.get_mut(key) else { return };
        contact.stage = Stage::Over;
        let waiting = core::mem::take(&mut contact.joins);
        self.joining = self.joining.saturating_sub(waiting.bytes());
        let (remote, attempt) = (contact.path.remote, contact.attempt);
        let next_attempt = contact.next_attempt();
        let asked = core::mem::take(&mut contact.asked);
        let requests = core::mem::take(&mut contact.requests);
        for get in asked.into_values().map(GetId) {
            self.take_get(get);
            let contact = ContactId(key);
            self.events.push_back(MsgboxEvent::ReplyMissing { contact, get, gone: true });
        }
        for request in requests.into_values() {
            self.requests.remove(request);
        }
        self.by_address.remove(&remote);
        self.deadlines.set(key.slot, None);
        self.events.push_back(event);
        // Late packets of this attempt raise no ghost (row M19).
        if attempt != 0 {
            let until = now + CLOSED_KEEP;
            self.closed_count = self.closed_count.saturating_add(1);
            let number = self.closed_count;
            self.closed.insert((remote, attempt), Past { until, number, next_attempt });
            self.closed_order.push_back((until, remote, attempt));
        }
        while let Some((until, remote, attempt)) = self.closed_order.front().copied()
            && (until <= now || self.closed_order.len() > CLOSED_MAX)
        {
            self.closed_order.pop_front();
            if self.closed.get(&(remote, attempt)).is_some_and(|over| over.until == until) {
                self.closed.remove(&(remote, attempt));
            }
        }
    }
}
