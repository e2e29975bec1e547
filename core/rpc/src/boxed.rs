//! A conversation in messages of the msgbox profile (PROTOCOL.md §6, R-BOX-8).
//!
//! In go the frames of a [`Peer`](crate::Peer), and what a [`Msgbox`] tells of its contact; out
//! come messages of that contact, and frames for the peer. It is what stands between a peer, which
//! knows pipes that lose nothing, and datagrams: HELLO is answered here and never sent, names and
//! deadlines travel with each message, and a call that is called off gives its number back at once.
//! Nothing is repeated: a call whose messages are lost ends with its deadline.
#![deny(clippy::arithmetic_side_effects)]

use crate::bounds::{FRAME_LEAST, NAME_MAX};
use crate::method::{Method, NamesIn, WireMethod};
use crate::msgbox::{BoxRequestId, ContactId, GetId, Msgbox, MsgboxError};
use crate::outbox::{Piece, Taken};
use crate::outcome::{REFUSED_CANCELLED, Refusal};
use crate::wire::{Control, Deadline, Frame, Hello, SessionId, VERSION, read, write_head};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use tripline_sansio::Instant;
use tripline_sansio::codec::{ReadError, Reader, Writer};

/// What stands before the payload of a frame has at most so many bytes: kind, number, method,
/// deadline.
const HEAD_MAX: usize = 32 + NAME_MAX;

/// What a reply begins with.
const REPLIED: u8 = 0;
const FAILED: u8 = 1;
const REFUSED: u8 = 2;

/// What stands between a peer and its contact.
#[derive(Debug)]
pub(crate) struct Boxed {
    contact: ContactId,
    /// The largest frame that our peer takes.
    takes_max: usize,
    /// How long our calls wait by default, in milliseconds.
    deadline_ms: u64,
    names: NamesIn,
    /// Our calls, by their numbers and by what they are in the box.
    gets: BTreeMap<u32, GetId>,
    numbers: BTreeMap<GetId, u32>,
    /// Calls of the other side, by the numbers that they have for our peer.
    requests: BTreeMap<u32, BoxRequestId>,
    /// Below which number each was used, and those of them that are free.
    used: u32,
    free: Vec<u32>,
    to_peer: VecDeque<Bytes>,
    /// The peer has heard HELLO.
    has_greeted: bool,
}

impl Boxed {
    pub(crate) fn new(contact: ContactId, takes_max: usize) -> Self {
        Self {
            contact,
            takes_max,
            deadline_ms: 0,
            names: NamesIn::default(),
            gets: BTreeMap::new(),
            numbers: BTreeMap::new(),
            requests: BTreeMap::new(),
            used: 0,
            free: Vec::new(),
            to_peer: VecDeque::new(),
            has_greeted: false,
        }
    }

    /// The same for a newcomer, whose [first](Self::first) message this is.
    pub(crate) fn greeted(contact: ContactId, takes_max: usize, first: Bytes) -> Self {
        Self { to_peer: [first].into(), has_greeted: true, ..Self::new(contact, takes_max) }
    }

    pub(crate) fn contact(&self) -> ContactId {
        self.contact
    }

    /// What the other side would say first if it spoke frames: it remembers nothing, takes no
    /// items, and as much else as the profile carries.
    fn hello(session: SessionId, epoch: u64, msgbox: &Msgbox) -> Hello {
        Hello {
            version: VERSION,
            session,
            epoch,
            since: epoch,
            calls_max: u32::try_from(msgbox.requests_max()).unwrap_or(u32::MAX),
            frame_max: Self::frame_max(msgbox),
            deadline_ms: 0,
            item_window: 0,
            is_raw: false,
        }
    }

    /// The largest frame that becomes a message.
    pub(crate) fn frame_max(msgbox: &Msgbox) -> usize {
        msgbox.message_max().max(FRAME_LEAST)
    }

    /// The first message of a newcomer, by which its conversation begins.
    pub(crate) fn first(session: SessionId, msgbox: &Msgbox) -> Bytes {
        frame_of(&Frame::Hello(Self::hello(session, 0, msgbox)), &[])
    }

    /// Whether there are frames for the peer. What has come before it said HELLO waits for that.
    pub(crate) fn has_more(&self) -> bool {
        self.has_greeted && !self.to_peer.is_empty()
    }

    /// The next frame for the peer.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.has_greeted { self.to_peer.pop_front() } else { None }
    }

    fn tell(&mut self, head: &Frame<'_>, payload: &[u8]) {
        self.to_peer.push_back(frame_of(head, payload));
    }

    /// Takes what the peer has to say.
    pub(crate) fn take(&mut self, now: Instant, msgbox: &mut Msgbox, piece: &mut Piece) -> Taken {
        if !msgbox.has_room() {
            return Taken::Blocked;
        }
        match piece {
            Piece::Batch(batch) => batch.take().for_each(|frame| self.say(now, msgbox, &frame)),
            Piece::Message { message, .. } => self.say(now, msgbox, message),
        }
        Taken::Yes
    }

    /// One frame of our own peer's, which is well formed. What does not go out is lost, as
    /// datagrams are.
    fn say(&mut self, now: Instant, msgbox: &mut Msgbox, message: &Bytes) {
        let Ok((frame, head)) = read(message) else { return };
        let payload = message.get(head..).unwrap_or_default();
        let mut out = Vec::with_capacity(payload.len().saturating_add(16));
        match frame {
            // Ours; that of a side that was connected to is answered already.
            Frame::Hello(ours) => {
                self.deadline_ms = ours.deadline_ms;
                if !core::mem::replace(&mut self.has_greeted, true) {
                    let theirs = Self::hello(ours.session, ours.epoch, msgbox);
                    self.to_peer.push_front(frame_of(&Frame::Hello(theirs), &[]));
                }
            }
            Frame::Call { number, method, deadline, .. } => {
                let Some(method) = self.names.resolve(method) else { return };
                write_method(&method, &mut out);
                Writer::new(&mut out).varint(self.millis(deadline)).bytes(payload);
                match msgbox.push_get(now, self.contact, &out, None) {
                    Ok(get) => {
                        self.gets.insert(number, get);
                        self.numbers.insert(get, number);
                    }
                    Err(MsgboxError::TooMany { .. }) => {
                        self.tell(&refuse(number, Refusal::Busy), &[]);
                    }
                    Err(MsgboxError::TooLarge { .. }) => {
                        self.tell(&refuse(number, Refusal::TooLarge), &[]);
                    }
                    // The contact is over, of which another event tells.
                    Err(_) => {}
                }
            }
            Frame::Notify { method } => {
                let Some(method) = self.names.resolve(method) else { return };
                write_method(&method, &mut out);
                out.extend_from_slice(payload);
                let _ = msgbox.push_send(now, self.contact, &out);
            }
            Frame::Reply { number } => {
                out.push(REPLIED);
                self.answer(now, msgbox, (number, out), payload);
            }
            Frame::Fail { number, code } => {
                out.push(FAILED);
                out.extend_from_slice(&code.to_be_bytes());
                self.answer(now, msgbox, (number, out), payload);
            }
            Frame::Refuse { number, refusal } => {
                out.push(REFUSED);
                Writer::new(&mut out).varint(refusal);
                self.answer(now, msgbox, (number, out), payload);
            }
            // Items have a window of nothing: there are none.
            Frame::Item { .. } => {}
            Frame::Control(control) => self.control(msgbox, control),
        }
    }

    fn control(&mut self, msgbox: &mut Msgbox, control: Control<'_>) {
        match control {
            Control::Cancel { number, .. } => {
                let Some(get) = self.gets.remove(&number) else { return };
                self.numbers.remove(&get);
                msgbox.forget(get);
                self.tell(&Frame::Refuse { number, refusal: REFUSED_CANCELLED }, &[]);
            }
            Control::Name { number, name } => {
                // It is our own peer's.
                let _ = self.names.learn(number, name);
            }
            _ => {}
        }
    }

    fn millis(&self, deadline: Deadline) -> u64 {
        match deadline {
            Deadline::None => 0,
            Deadline::Default => self.deadline_ms,
            // Over already: the least that can be said.
            Deadline::Millis(millis) => millis.max(1),
        }
    }

    fn answer(
        &mut self,
        now: Instant,
        msgbox: &mut Msgbox,
        (number, mut out): (u32, Vec<u8>),
        payload: &[u8],
    ) {
        let Some(request) = self.requests.remove(&number) else { return };
        self.free.push(number);
        out.extend_from_slice(payload);
        if msgbox.push_reply(now, request, &out).is_err() {
            msgbox.drop_request(request);
        }
    }

    /// A message of the contact that wants no answer.
    pub(crate) fn on_message(&mut self, payload: &[u8]) {
        let mut reader = Reader::new(payload);
        if let Ok(method) = read_method(&mut reader)
            && self.takes(reader.rest())
        {
            self.tell(&Frame::Notify { method }, reader.rest());
        }
    }

    /// Whether our peer takes a frame with this payload.
    fn takes(&self, payload: &[u8]) -> bool {
        payload.len().saturating_add(HEAD_MAX) <= self.takes_max
    }

    /// A request of the contact. What it is answered at once, if it is; *none of calls* is no
    /// answer.
    pub(crate) fn on_request(&mut self, request: BoxRequestId, payload: &[u8]) -> Asked {
        let mut reader = Reader::new(payload);
        let head = read_method(&mut reader).and_then(|method| Ok((method, reader.varint()?)));
        let Ok((method, millis)) = head else { return Asked::Nothing };
        if !self.takes(reader.rest()) {
            let mut answer = alloc::vec![REFUSED];
            Writer::new(&mut answer).varint(Refusal::TooLarge.number());
            return Asked::Answered(answer);
        }
        let deadline = if millis == 0 { Deadline::None } else { Deadline::Millis(millis) };
        let number = self.free.pop().unwrap_or_else(|| {
            let number = self.used;
            self.used = self.used.saturating_add(1);
            number
        });
        self.requests.insert(number, request);
        self.tell(&Frame::Call { number, method, deadline, serial: None }, reader.rest());
        Asked::Taken
    }

    /// The reply to a request of ours. One that cannot be read says no more than that there is
    /// none.
    pub(crate) fn on_reply(&mut self, get: GetId, payload: &[u8]) {
        let Some(number) = self.numbers.remove(&get) else { return };
        self.gets.remove(&number);
        let mut reader = Reader::new(payload);
        let head = match reader.u8() {
            Ok(REPLIED) => Ok(Frame::Reply { number }),
            Ok(FAILED) => {
                reader.array().map(|code| Frame::Fail { number, code: i32::from_be_bytes(code) })
            }
            Ok(REFUSED) => reader.varint().map(|refusal| Frame::Refuse { number, refusal }),
            Ok(_) => Err(ReadError::NotShortest),
            Err(error) => Err(error),
        };
        match head {
            Ok(_) if !self.takes(reader.rest()) => {
                self.tell(&refuse(number, Refusal::Unanswered), b"the answer is too large for us");
            }
            Ok(head) => self.tell(&head, reader.rest()),
            Err(_) => self.tell(&refuse(number, Refusal::Unanswered), &[]),
        }
    }
}

/// What has become of a request.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The peer has it, or will have.
    Taken,
    /// This is the answer.
    Answered(Vec<u8>),
    /// It is no call.
    Nothing,
}

fn refuse(number: u32, refusal: Refusal) -> Frame<'static> {
    Frame::Refuse { number, refusal: refusal.number() }
}

fn frame_of(head: &Frame<'_>, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len().saturating_add(16));
    write_head(head, &mut Writer::new(&mut out));
    out.extend_from_slice(payload);
    out.into()
}

/// Twice its number, or one more than twice the length of its name, and the name.
fn write_method(method: &Method, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    match method {
        Method::Number(number) => writer.varint(u64::from(*number).saturating_mul(2)),
        Method::Name(name) => {
            let len = u64::try_from(name.len()).unwrap_or(u64::MAX);
            writer.varint(len.saturating_mul(2).saturating_add(1)).bytes(name.as_bytes())
        }
    };
}

fn read_method<'a>(reader: &mut Reader<'a>) -> Result<WireMethod<'a>, ReadError> {
    let word = reader.varint()?;
    // Of what is no method, the error says no more than that.
    let odd = ReadError::NotShortest;
    if word % 2 == 0 {
        return u16::try_from(word / 2).map(WireMethod::Number).map_err(|_| odd);
    }
    let len = usize::try_from(word / 2).ok().filter(|len| (1..=NAME_MAX).contains(len));
    let name = reader.take(len.ok_or(odd)?)?;
    core::str::from_utf8(name).map(WireMethod::Inline).map_err(|_| odd)
}
