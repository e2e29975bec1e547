//! The model of one direction of a stream: what was promised, what has come.

use tripline::{Code, Fate, Order, ReceiveResult, Reliability, SendOptions};

/// The most messages in one half: a message's first byte is its number.
pub(super) const MESSAGES_MAX: usize = 250;

/// A message that was handed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    len: usize,
    options: SendOptions,
    pub(super) fate: Option<Fate>,
    got: u32,
}

impl Promise {
    /// It may not be given up.
    fn is_due(&self) -> bool {
        self.options == SendOptions::default()
    }
}

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct Half {
    order: Order,
    /// Tells streams and directions apart in their bytes.
    salt: u64,
    pub(super) promises: Vec<Promise>,
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
    bytes_sent: u64,
    bytes_got: u64,
    newest: Option<usize>,
    empty_got: usize,
}

impl Half {
    pub(super) fn new(order: Order, salt: u64) -> Self {
        Self {
            order,
            salt,
            promises: Vec::new(),
            finished: false,
            closed: None,
            stop: None,
            stopped: false,
            blocked: false,
            readable: false,
            end: None,
            bytes_sent: 0,
            bytes_got: 0,
            newest: None,
            empty_got: 0,
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

    /// The next message of about `size` bytes. Where it matters that the newest one can be told, it
    /// is not empty.
    pub(super) fn next_message(&self, size: usize) -> Vec<u8> {
        match self.order {
            Order::Bytes => {
                let end = self.bytes_sent + size as u64;
                (self.bytes_sent..end).map(|at| self.byte(at)).collect()
            }
            order => {
                let size = size.max(usize::from(order == Order::Latest));
                self.message(self.promises.len(), size)
            }
        }
    }

    fn message(&self, number: usize, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            (0..len as u64).map(|at| self.byte(at * 7 + number as u64)).collect();
        if let Some(first) = bytes.first_mut() {
            *first = number as u8;
        }
        bytes
    }

    fn byte(&self, at: u64) -> u8 {
        ((at ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }

    /// The message was taken.
    pub(super) fn on_sent(&mut self, len: usize, options: SendOptions) {
        self.promises.push(Promise { len, options, fate: None, got: 0 });
        self.bytes_sent += len as u64;
    }

    /// A message's fate was told.
    pub(super) fn on_fate(&mut self, number: usize, fate: Fate) {
        let ended = self.closed.is_some() || self.stop.is_some();
        let promise = &mut self.promises[number];
        assert_eq!(promise.fate.replace(fate), None, "{promise:?} has two fates (T30)");
        let unreliable = promise.options.reliability == Reliability::Unreliable;
        let fits = match fate {
            Fate::Acked => !unreliable,
            Fate::Sent => unreliable,
            Fate::Expired => !promise.is_due() || self.order == Order::Latest,
            Fate::Undelivered => ended,
        };
        assert!(fits, "a fate that cannot be: {promise:?}");
    }

    /// The receiver took a message or a chunk.
    pub(super) fn on_data(&mut self, bytes: &[u8]) {
        assert!(self.readable, "data without Readable");
        assert!(!self.is_over(), "data after the end");
        if self.order == Order::Bytes {
            assert!(!bytes.is_empty(), "an empty chunk");
            for byte in bytes {
                assert_eq!(*byte, self.byte(self.bytes_got), "byte {}", self.bytes_got);
                self.bytes_got += 1;
            }
            return assert!(self.bytes_got <= self.bytes_sent);
        }
        let Some(number) = bytes.first().map(|number| usize::from(*number)) else {
            self.empty_got += 1;
            return;
        };
        let expected = self.message(number, bytes.len());
        let Some(promise) = self.promises.get_mut(number) else { panic!("message {number}") };
        assert!(bytes.len() == promise.len && bytes == expected, "not what was sent: {promise:?}");
        promise.got += 1;
        assert_eq!(promise.got, 1, "message {number} came twice");
        if self.order != Order::Unordered {
            assert!(self.newest < Some(number), "message {number} after {:?}", self.newest);
        }
        self.newest = Some(number);
    }

    /// The receiver learnt of the end.
    pub(super) fn on_end(&mut self, end: ReceiveResult) {
        assert!(self.readable, "an end without Readable");
        assert!(!self.is_over(), "a second end");
        self.readable = false;
        match &end {
            ReceiveResult::Finished => {
                assert!(self.finished, "an end that nobody made");
                self.judge_delivery();
            }
            ReceiveResult::Closed(code) => {
                assert_eq!(self.closed, Some(*code), "an early end that nobody made")
            }
            other => panic!("{other:?} is no end"),
        }
        self.end = Some(end);
    }

    /// Everything has settled: was every promise kept? A stream that had to `wait` for the limit on
    /// streams may wait still.
    pub(super) fn judge(&self, waits: bool) {
        if waits {
            assert!(!self.readable && self.end.is_none(), "the peer never heard of it");
            return;
        }
        let open = self.promises.iter().find(|promise| promise.fate.is_none());
        assert!(open.is_none(), "no fate: {open:?} (T30)");
        let given = self.has_ended() || self.stop.is_some();
        assert!(!self.blocked || given, "blocked, and never told that there is room again (T44)");
        assert!(!self.readable, "something is left to read");
        if self.stop.is_none() && (self.finished || self.closed.is_some()) {
            assert!(self.end.is_some(), "the receiver never learnt of the end");
        }
        if self.stop.is_none() && self.closed.is_none() {
            self.judge_delivery();
        }
    }

    /// What has to have been delivered by now, if the half was not ended early.
    fn judge_delivery(&self) {
        if self.order == Order::Bytes {
            return assert_eq!(self.bytes_got, self.bytes_sent, "bytes are missing");
        }
        for (number, promise) in self.promises.iter().enumerate().filter(|(_, one)| one.len > 0) {
            let acked = promise.fate == Some(Fate::Acked);
            if self.order == Order::Latest {
                let last = number + 1 == self.promises.len();
                let due = acked || promise.is_due() && last;
                assert!(!due || self.newest >= Some(number), "the newest is missing: {promise:?}");
            } else {
                let due = acked || promise.is_due();
                assert!(!due || promise.got == 1, "message {number} is missing: {promise:?}");
            }
        }
        let empty = self.promises.iter().filter(|promise| promise.len == 0);
        let due = empty.clone().filter(|promise| promise.is_due()).count();
        let range = due..=empty.count();
        assert!(range.contains(&self.empty_got), "{} empty, {range:?}", self.empty_got);
    }
}
