//! The model of one direction of a stream: what was promised to its user, and what has come.
//!
//! In go the calls that succeeded and what the two engines said; out come faults. It knows from the
//! calls alone what has to arrive, and never asks an engine.

use super::content;
use super::fault::{Fault, Verdict, ensure};
use super::spill::SAMPLE;
use tripline::{Code, Fate, Order, ReceiveResult, Reliability, SendOptions};

/// A message that was handed in.
#[derive(Clone, Copy, Debug)]
struct Promise {
    len: u32,
    /// It may not be given up.
    due: bool,
    unreliable: bool,
    fate: Option<Fate>,
    got: bool,
}

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct Half {
    order: Order,
    /// Tells streams and directions apart in their bytes.
    salt: u64,
    promises: Vec<Promise>,
    /// How many of them have no fate yet.
    unsettled: usize,
    /// How many that are due have not been delivered.
    missing: usize,
    /// The sender finished it.
    pub(super) finished: bool,
    /// The sender closed it early.
    pub(super) closed: Option<Code>,
    /// The receiver wants no more.
    pub(super) stop: Option<Code>,
    /// The sender knows that.
    pub(super) stopped: bool,
    /// `send` said *blocked*, and nothing has been said since.
    pub(super) blocked: bool,
    /// `Readable` was said, and nothing has been drained since.
    pub(super) readable: bool,
    /// How it ended for the receiver.
    pub(super) end: Option<ReceiveResult>,
    sent_bytes: u64,
    got_bytes: u64,
    /// The most that was handed in with one call, in bytes.
    longest: u64,
    /// Everything that was handed in has to come.
    all_due: bool,
    newest: Option<u32>,
    /// Of each length without a number: handed in, handed in and due, delivered.
    tiny: [(u64, u64, u64); content::NUMBERED],
}

impl Half {
    pub(super) fn new(order: Order, salt: u64) -> Self {
        Self {
            order,
            salt,
            promises: Vec::new(),
            unsettled: 0,
            missing: 0,
            finished: false,
            closed: None,
            stop: None,
            stopped: false,
            blocked: false,
            readable: false,
            end: None,
            sent_bytes: 0,
            got_bytes: 0,
            longest: 0,
            all_due: true,
            newest: None,
            tiny: Default::default(),
        }
    }

    /// The sender may hand in nothing more.
    pub(super) fn has_ended(&self) -> bool {
        self.finished || self.closed.is_some() || self.stopped
    }

    /// The receiver has nothing more to expect.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some() || self.stop.is_some()
    }

    /// How many messages were handed in.
    pub(super) fn handed_in(&self) -> usize {
        self.promises.len()
    }

    /// How many bytes have come.
    pub(super) const fn got_bytes(&self) -> u64 {
        self.got_bytes
    }

    /// The most that was handed in with one call, in bytes.
    pub(super) const fn longest(&self) -> u64 {
        self.longest
    }

    /// How many bytes were handed in and not read, so that somebody keeps them; nothing if what was
    /// handed in may be given up.
    pub(super) fn kept(&self) -> Option<u64> {
        let given_up = self.closed.is_some() || self.stop.is_some() || self.stopped;
        let counts = self.order != Order::Latest && self.all_due && !given_up;
        counts.then(|| self.sent_bytes - self.got_bytes)
    }

    /// Some bytes of the first message, if it is long enough.
    pub(super) fn sample(&self) -> Option<Vec<u8>> {
        let first = self.promises.first()?;
        let len = content::NUMBERED + SAMPLE;
        (first.len as usize >= len).then(|| match self.order {
            Order::Bytes => content::run(self.salt, 0, SAMPLE),
            _ => content::message(self.salt, 0, len).split_off(content::NUMBERED),
        })
    }

    /// The next message of `len` bytes behind `before` others of that length.
    pub(super) fn next_message(&self, len: usize, before: u64) -> Vec<u8> {
        match self.order {
            Order::Bytes => content::run(self.salt, self.sent_bytes + before * len as u64, len),
            _ => content::message(self.salt, self.promises.len() as u32 + before as u32, len),
        }
    }

    /// Whether messages of this half are handed in and taken many with a call: of every second.
    pub(super) const fn goes_by_batches(&self) -> bool {
        self.salt.is_multiple_of(2)
    }

    /// So many bytes were taken with one call.
    pub(super) fn on_call(&mut self, bytes: u64) {
        self.longest = self.longest.max(bytes);
    }

    /// The message was taken; `fits` is false if the peer takes none of this length, which an
    /// engine learns with the handshake.
    pub(super) fn on_sent(&mut self, len: usize, options: SendOptions, fits: bool) -> Verdict {
        ensure(!self.has_ended(), "I11", || "a message was taken after the end".into())?;
        let due = options == SendOptions::default() && fits;
        let unreliable = options.reliability == Reliability::Unreliable;
        self.promises.push(Promise { len: len as u32, due, unreliable, fate: None, got: false });
        self.unsettled += 1;
        self.sent_bytes += len as u64;
        self.all_due &= due;
        if self.order != Order::Bytes && len < content::NUMBERED {
            self.tiny[len].0 += 1;
            self.tiny[len].1 += u64::from(due);
        } else {
            self.missing += usize::from(due);
        }
        Ok(())
    }

    /// A message's fate was told.
    pub(super) fn on_fate(&mut self, number: u32, fate: Fate) -> Verdict {
        let order = self.order;
        let Some(promise) = self.promises.get_mut(number as usize) else {
            return Err(Fault::new("I11", format!("message {number} was never handed in")));
        };
        if let Some(first) = promise.fate.replace(fate) {
            return Err(Fault::new("T30", format!("message {number}: {first:?}, then {fate:?}")));
        }
        self.unsettled -= 1;
        let fits = match fate {
            Fate::Acked => !promise.unreliable,
            Fate::Sent => promise.unreliable,
            Fate::Expired => !promise.due || order == Order::Latest,
            // Whether there is a reason depends on the connection too, and is judged there.
            Fate::Undelivered => true,
        };
        ensure(fits, "T30", || format!("message {number} cannot be {fate:?}: {promise:?}"))
    }

    /// The receiver took a message or a chunk.
    pub(super) fn on_data(&mut self, bytes: &[u8]) -> Verdict {
        ensure(self.readable, "T44", || "data came without Readable".into())?;
        ensure(!self.is_over(), "I11", || "data came after the end".into())?;
        let before = self.got_bytes;
        self.got_bytes += bytes.len() as u64;
        if self.order == Order::Bytes {
            ensure(!bytes.is_empty(), "I12", || "an empty chunk".into())?;
            ensure(self.got_bytes <= self.sent_bytes, "I12", || "more came than was sent".into())?;
            return ensure(content::is_run(self.salt, before, bytes), "I12", || {
                format!("{} bytes at {before} are not those sent", bytes.len())
            });
        }
        match content::number(bytes) {
            Some(number) => self.on_numbered(number, bytes),
            None => self.on_tiny(bytes),
        }
    }

    fn on_numbered(&mut self, number: u32, bytes: &[u8]) -> Verdict {
        let Some(promise) = self.promises.get_mut(number as usize) else {
            return Err(Fault::new("I12", format!("message {number} was never sent")));
        };
        let is_right =
            bytes.len() == promise.len as usize && content::is_message(self.salt, number, bytes);
        ensure(is_right, "I12", || {
            format!("message {number} came as {} bytes that were not sent", bytes.len())
        })?;
        let twice = std::mem::replace(&mut promise.got, true);
        ensure(!twice, "I11", || format!("message {number} came twice"))?;
        self.missing -= usize::from(promise.due);
        self.take_turn(number)
    }

    /// In an ordered stream nothing comes late, and nothing that is due is left out.
    fn take_turn(&mut self, number: u32) -> Verdict {
        if self.order == Order::Unordered {
            return Ok(());
        }
        let newest = self.newest;
        ensure(newest < Some(number), "I11", || format!("message {number} after {newest:?}"))?;
        if self.order == Order::Ordered {
            let next = newest.map_or(0, |newest| newest + 1);
            // Those too short to have a number may have come in between.
            let short = |promise: &Promise| (promise.len as usize) < content::NUMBERED;
            let left_out = (next..number).find(|left| {
                self.promises[*left as usize].due && !short(&self.promises[*left as usize])
            });
            if let Some(left_out) = left_out {
                return Err(Fault::new("I11", format!("message {number} before {left_out}")));
            }
        }
        self.newest = Some(number);
        Ok(())
    }

    fn on_tiny(&mut self, bytes: &[u8]) -> Verdict {
        let (handed_in, _, got) = &mut self.tiny[bytes.len()];
        *got += 1;
        ensure(*got <= *handed_in, "I11", || {
            format!("{got} messages of {} bytes came, {handed_in} were sent", bytes.len())
        })
    }

    /// The receiver learnt of the end.
    pub(super) fn on_end(&mut self, end: ReceiveResult, leaving: bool) -> Verdict {
        ensure(self.readable, "T44", || "an end came without Readable".into())?;
        ensure(!self.is_over(), "I11", || "a second end".into())?;
        self.readable = false;
        match &end {
            ReceiveResult::Finished => {
                ensure(self.finished, "I11", || "an end that nobody made".into())?;
                self.judge_delivery()?;
            }
            ReceiveResult::Closed(code) => {
                // Whose peer leaves may see streams end by the peer's endpoint, not its user.
                let left = leaving && *code == Code::SHUTTING_DOWN;
                ensure(self.closed == Some(*code) || left, "I11", || {
                    format!("an early end that nobody made: {code:?}, not {:?}", self.closed)
                })?;
            }
            other => return Err(Fault::new("I11", format!("{other:?} is no end"))),
        }
        self.end = Some(end);
        Ok(())
    }

    /// What is still owed to the users of this half, if anything: it has to come while both sides
    /// live and the network is well. `heard_of` is false for a stream that waits for the peer to
    /// allow it.
    pub(super) fn owed(&self, heard_of: bool) -> Option<&'static str> {
        if !heard_of {
            return None;
        }
        if self.unsettled > 0 {
            return Some("messages without a fate");
        }
        let given_up = self.has_ended() || self.stop.is_some();
        if self.blocked && !given_up {
            return Some("a sender that was told `blocked` and never `Writable`");
        }
        if self.readable {
            return Some("something to read");
        }
        if self.stop.is_none() && (self.finished || self.closed.is_some()) && self.end.is_none() {
            return Some("the end of the stream");
        }
        let complete = self.stop.is_some() || self.closed.is_some() || self.is_complete();
        (!complete).then_some("reliable messages that have not come")
    }

    /// Whether everything that has to come has come.
    fn is_complete(&self) -> bool {
        match self.order {
            Order::Bytes => self.got_bytes == self.sent_bytes,
            Order::Latest => self.latest_missing().is_none(),
            _ => {
                let tiny = self.tiny.iter().all(|(_, due, got)| got >= due);
                self.missing == 0 && tiny
            }
        }
    }

    /// On a stream of which only the newest counts: the newest that has to be there and is not.
    fn latest_missing(&self) -> Option<usize> {
        let last = self.promises.len().checked_sub(1)?;
        let numbered = |promise: &Promise| promise.len as usize >= content::NUMBERED;
        self.promises.iter().enumerate().rev().find_map(|(number, promise)| {
            let due = promise.fate == Some(Fate::Acked) || promise.due && number == last;
            let missing = self.newest < Some(number as u32) && numbered(promise);
            (due && missing).then_some(number)
        })
    }

    /// What has to have been delivered by the end, if the half was not ended early.
    fn judge_delivery(&self) -> Verdict {
        ensure(self.is_complete(), "I11", || match self.order {
            Order::Bytes => format!("{} of {} bytes came", self.got_bytes, self.sent_bytes),
            Order::Latest => format!("the newest is missing: {:?}", self.latest_missing()),
            _ => {
                let lost = self.promises.iter().position(|promise| promise.due && !promise.got);
                format!("{} messages are missing, the first is {lost:?}", self.missing)
            }
        })?;
        // What was told to have arrived has arrived, due or not.
        let liar = self.promises.iter().position(|promise| {
            let numbered = promise.len as usize >= content::NUMBERED;
            promise.fate == Some(Fate::Acked) && !promise.got && numbered
        });
        let counts = matches!(self.order, Order::Ordered | Order::Unordered);
        ensure(liar.is_none() || !counts, "T30", || format!("{liar:?} was acknowledged, not read"))
    }
}
