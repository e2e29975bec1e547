//! What the user can tell a [`Msgbox`] to do.

use super::contact::{Contact, Stage};
use super::header::{MsgboxHeader, MsgboxKind};
use super::joins::first_packet;
use super::time::KNOCK_AT_FIRST;
use super::{BoxRequestId, ContactId, Get, GetId, Msgbox, MsgboxEvent};
use core::fmt;
use core::net::SocketAddr;
use tripline_sansio::{Duration, Instant, Path};

/// Names of attempts go on by a random step below this, beside what was used.
const STEP_MAX: u16 = 512;

/// Why a command was not taken. Nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MsgboxError {
    /// The contact is over.
    UnknownContact,
    /// The other side has not answered yet.
    NotReady,
    /// Nobody waits for this reply: it was given (row M11), or the contact is over.
    UnknownRequest,
    /// The message is longer than [`MsgboxConfig::message_max`](super::MsgboxConfig::message_max).
    TooLarge {
        /// That many bytes.
        max: usize,
    },
    /// There are as many requests as
    /// [`MsgboxConfig::requests_max`](super::MsgboxConfig::requests_max) allows.
    TooMany {
        /// That many.
        limit: usize,
    },
    /// Too much waits to be sent; after [`MsgboxEvent::Writable`] there is room.
    Blocked,
    /// There are as many contacts as
    /// [`MsgboxConfig::contacts_max`](super::MsgboxConfig::contacts_max) allows.
    Full {
        /// That many.
        limit: usize,
    },
    /// There is a contact at that address already.
    Known,
}

impl fmt::Display for MsgboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownContact => f.write_str("the contact is over"),
            Self::NotReady => f.write_str("the other side has not answered yet"),
            Self::UnknownRequest => f.write_str("nobody waits for this reply (any more)"),
            Self::TooLarge { max } => write!(f, "longer than the {max} bytes of a message"),
            Self::TooMany { limit } => {
                write!(f, "there are {limit} requests already; wait for a reply")
            }
            Self::Blocked => f.write_str("too much waits to be sent; wait for `Writable`"),
            Self::Full { limit } => write!(f, "there are {limit} contacts already"),
            Self::Known => f.write_str("there is a contact at that address already"),
        }
    }
}

impl core::error::Error for MsgboxError {}

impl Msgbox {
    /// Connects to whoever is at an address; [`MsgboxEvent::Ready`] or [`MsgboxEvent::Failed`]
    /// follows (row M01).
    ///
    /// # Errors
    /// If there are too many contacts, or one at that address.
    pub fn connect(&mut self, now: Instant, remote: SocketAddr) -> Result<ContactId, MsgboxError> {
        let now = self.tick(now);
        let limit = self.config.contacts_max;
        if self.contacts.len() >= limit {
            return Err(MsgboxError::Full { limit });
        }
        if self.by_address.contains_key(&remote) {
            return Err(MsgboxError::Known);
        }
        let until = now + self.config.connect_within;
        let stage = Stage::Knocking { until, next: now, wait: KNOCK_AT_FIRST };
        let attempt = self.new_attempt(remote);
        let mut contact = Contact::new(now, Path::to(remote), stage, attempt);
        contact.next_packet = self.random_packet();
        let key = self.contacts.insert(contact);
        self.by_address.insert(remote, key);
        self.tend_contact(key);
        Ok(ContactId(key))
    }

    /// Whether others may connect to us from now on; those who have stay (row M27).
    pub fn set_listening(&mut self, is_listening: bool) {
        self.config.is_listening = is_listening;
    }

    /// Sends a message that wants no answer.
    ///
    /// # Errors
    /// See [`MsgboxError`].
    pub fn send(
        &mut self,
        now: Instant,
        contact: ContactId,
        payload: &[u8],
    ) -> Result<(), MsgboxError> {
        self.want_room()?;
        self.push_send(now, contact, payload)
    }

    /// The same, however much waits.
    pub(crate) fn push_send(
        &mut self,
        now: Instant,
        contact: ContactId,
        payload: &[u8],
    ) -> Result<(), MsgboxError> {
        self.tick(now);
        self.may_send(contact, payload.len())?;
        self.write(contact, MsgboxKind::OneWay, 0, payload);
        Ok(())
    }

    /// Asks. There will be one [`MsgboxEvent::Reply`] or [`MsgboxEvent::ReplyMissing`] for it (row
    /// M04), the latter when nothing has come `within` that time, or at the end of the contact.
    ///
    /// # Errors
    /// See [`MsgboxError`].
    pub fn get(
        &mut self,
        now: Instant,
        contact: ContactId,
        payload: &[u8],
        within: Option<Duration>,
    ) -> Result<GetId, MsgboxError> {
        self.want_room()?;
        self.push_get(now, contact, payload, within)
    }

    /// The same, however much waits.
    pub(crate) fn push_get(
        &mut self,
        now: Instant,
        contact: ContactId,
        payload: &[u8],
        within: Option<Duration>,
    ) -> Result<GetId, MsgboxError> {
        let now = self.tick(now);
        self.may_send(contact, payload.len())?;
        let limit = self.config.requests_max;
        let known = self.contacts.get_mut(contact.0).ok_or(MsgboxError::UnknownContact)?;
        if known.asked.len() >= limit {
            return Err(MsgboxError::TooMany { limit });
        }
        let reply = known.new_reply_id();
        // One that is over at once is told of a turn later.
        let deadline = within.map(|within| now + within.max(Duration::from_nanos(1)));
        let key = self.gets.insert(Get { contact: contact.0, reply, deadline });
        known.asked.insert(reply, key);
        if let Some(at) = deadline {
            self.get_timers.insert(key, at);
        }
        self.write(contact, MsgboxKind::Request, reply, payload);
        Ok(GetId(key))
    }

    /// Does not wait for a reply any longer: nothing is told of it. Returns whether it waited.
    pub fn forget(&mut self, get: GetId) -> bool {
        self.take_get(get).is_some()
    }

    /// Answers a request, once.
    ///
    /// # Errors
    /// See [`MsgboxError`].
    pub fn reply(
        &mut self,
        now: Instant,
        request: BoxRequestId,
        payload: &[u8],
    ) -> Result<(), MsgboxError> {
        self.want_room()?;
        self.push_reply(now, request, payload)
    }

    /// The same, however much waits.
    pub(crate) fn push_reply(
        &mut self,
        now: Instant,
        request: BoxRequestId,
        payload: &[u8],
    ) -> Result<(), MsgboxError> {
        self.tick(now);
        let open = self.requests.get(request.0).copied();
        let (key, reply) = open.ok_or(MsgboxError::UnknownRequest)?;
        self.may_send(ContactId(key), payload.len())?;
        self.drop_request(request);
        self.write(ContactId(key), MsgboxKind::Reply, reply, payload);
        Ok(())
    }

    /// Will not answer a request. Returns whether it waited for that.
    pub fn drop_request(&mut self, request: BoxRequestId) -> bool {
        let Some((key, reply)) = self.requests.remove(request.0) else { return false };
        if let Some(contact) = self.contacts.get_mut(key) {
            contact.requests.remove(&reply);
        }
        true
    }

    /// Ends a contact: the other side is told, and [`MsgboxEvent::Closed`] follows here at once;
    /// for one that has not answered yet, [`MsgboxEvent::Failed`].
    ///
    /// # Errors
    /// If it is over.
    pub fn close(&mut self, now: Instant, contact: ContactId) -> Result<(), MsgboxError> {
        self.tick(now);
        let known = self.contacts.get(contact.0).filter(|known| known.stage != Stage::Over);
        let known = known.ok_or(MsgboxError::UnknownContact)?;
        let (path, attempt) = (known.path, known.attempt);
        let is_ready = known.stage == Stage::Ready;
        self.say_close(path, attempt);
        let event = match is_ready {
            true => MsgboxEvent::Closed { contact, by_us: true },
            false => MsgboxEvent::Failed { contact, refused: false },
        };
        self.end(contact.0, event);
        Ok(())
    }

    /// How many requests there may be at once, in each direction.
    pub(crate) fn requests_max(&self) -> usize {
        self.config.requests_max
    }

    /// The longest message, in bytes.
    pub fn message_max(&self) -> usize {
        self.config.message_max
    }

    /// A name for an attempt: ahead of that of the last one at the same address, if that is known;
    /// else any but 0.
    fn new_attempt(&mut self, remote: SocketAddr) -> u16 {
        let known = self.closed.range((remote, 0)..=(remote, u16::MAX));
        if let Some((_, last)) = known.max_by_key(|(_, past)| past.number) {
            let more = u16::try_from(self.random.below(u64::from(STEP_MAX))).unwrap_or(0);
            let mut name = last.next_attempt.wrapping_add(more);
            // None that is remembered; there are fewer of those than names.
            while name == 0 || self.closed.contains_key(&(remote, name)) {
                name = name.wrapping_add(1);
            }
            return name;
        }
        let number = self.random.below(u64::from(u16::MAX)).saturating_add(1);
        u16::try_from(number).unwrap_or(1)
    }

    /// Where the numbers of packets begin: anywhere, so that late packets of a contact before fill
    /// no hole in a message of this one.
    pub(super) fn random_packet(&mut self) -> u16 {
        u16::try_from(self.random.below(1 << 16)).unwrap_or(0)
    }

    /// Ends all contacts; nobody is told but the user.
    pub(crate) fn abandon_all(&mut self, now: Instant) {
        self.tick(now);
        for key in self.contacts.keys() {
            let Some(contact) = self.contacts.get(key) else { continue };
            let id = ContactId(key);
            match contact.stage {
                Stage::Over => {}
                Stage::Ready => self.end(key, MsgboxEvent::Lost { contact: id }),
                Stage::Knocking { .. } => {
                    self.end(key, MsgboxEvent::Failed { contact: id, refused: false });
                }
            }
        }
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    fn may_send(&self, contact: ContactId, len: usize) -> Result<(), MsgboxError> {
        let known = self.contacts.get(contact.0).ok_or(MsgboxError::UnknownContact)?;
        match known.stage {
            Stage::Ready => {}
            Stage::Knocking { .. } => return Err(MsgboxError::NotReady),
            Stage::Over => return Err(MsgboxError::UnknownContact),
        }
        let max = self.config.message_max;
        if len > max {
            return Err(MsgboxError::TooLarge { max });
        }
        Ok(())
    }

    /// Whether something more may wait; if not, the user will be told when it may.
    pub(crate) fn has_room(&mut self) -> bool {
        let has_room = self.out_bytes < self.config.send_buffer;
        self.was_blocked |= !has_room;
        has_room
    }

    fn want_room(&mut self) -> Result<(), MsgboxError> {
        if self.has_room() { Ok(()) } else { Err(MsgboxError::Blocked) }
    }

    /// Writes a message as one packet, or as many as it takes (R-BOX-5).
    fn write(&mut self, contact: ContactId, kind: MsgboxKind, reply: u16, payload: &[u8]) {
        let now = self.now;
        let room = self.config.packet_max.saturating_sub(MsgboxHeader::LEN).max(1);
        let count = payload.len().div_ceil(room).max(1);
        let (Ok(packets), Some(known)) = (u16::try_from(count), self.contacts.get_mut(contact.0))
        else {
            return;
        };
        let base = first_packet(known.next_packet, packets);
        known.next_packet = base.wrapping_add(packets);
        (known.spoke, known.has_spoken) = (now, true);
        let path = known.path;
        for place in 0..packets {
            let start = usize::from(place).saturating_mul(room);
            let end = start.saturating_add(room).min(payload.len());
            let packet = base.wrapping_add(place);
            let header = MsgboxHeader { kind, is_first: false, packets, packet, reply };
            self.put(path, &header, payload.get(start..end).unwrap_or_default());
        }
    }

    fn say_close(&mut self, path: Path, attempt: u16) {
        let kind = MsgboxKind::Close;
        let header = MsgboxHeader { kind, is_first: false, packets: 1, packet: 0, reply: attempt };
        self.put(path, &header, &[]);
    }

    /// A request of ours is over.
    pub(super) fn take_get(&mut self, get: GetId) -> Option<Get> {
        let taken = self.gets.remove(get.0)?;
        let Self { gets, get_timers, .. } = self;
        if taken.deadline.is_some() {
            get_timers.remove(get.0, gets.len(), |key| gets.get(key).is_some());
        }
        if let Some(contact) = self.contacts.get_mut(taken.contact) {
            contact.asked.remove(&taken.reply);
        }
        Some(taken)
    }
}
