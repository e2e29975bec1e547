//! Two toy machines for the world's own tests: one that keeps the contract and one that breaks it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Random, Transmit};

/// An address of the test network.
pub(crate) fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 4_000))
}

/// Bytes of a data datagram: kind, number, filling.
pub(crate) const DATA_BYTES: usize = 100;
const WINDOW: u32 = 16;
const RTO: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// Go-back-N with a fixed window and timeout: sends numbers in trains, one acknowledgement a batch.
pub(crate) struct Arq {
    peer: Option<SocketAddr>,
    random: Random,
    /// Sender: how many to send, the first not acknowledged, the next to send.
    total: u32,
    base: u32,
    next: u32,
    resend_at: Option<Instant>,
    /// Receiver: the next number wanted, and whom an acknowledgement is owed.
    wanted: u32,
    ack_to: Option<Path>,
    events: VecDeque<u32>,
    /// How many datagrams came in each batch.
    pub(crate) batches: Vec<u32>,
    batch: u32,
    last_now: Instant,
}

impl Arq {
    pub(crate) fn sender(peer: SocketAddr, total: u32, random: Random) -> Self {
        Self {
            peer: Some(peer),
            random,
            total,
            base: 0,
            next: 0,
            resend_at: None,
            wanted: 0,
            ack_to: None,
            events: VecDeque::new(),
            batches: Vec::new(),
            batch: 0,
            last_now: Instant::ZERO,
        }
    }

    pub(crate) fn receiver(random: Random) -> Self {
        Self { peer: None, ..Self::sender(address(0), 0, random) }
    }

    /// From now on to another address.
    pub(crate) fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    pub(crate) fn send_more(&mut self, count: u32) {
        self.total += count;
    }
}

impl DatagramMachine for Arq {
    type Event = u32;

    fn handle_datagram(&mut self, now: Instant, path: Path, _: Ecn, datagram: &mut [u8]) {
        self.last_now = self.last_now.max(now);
        self.batch += 1;
        let [kind, a, b, c, d, ..] = *datagram else { return };
        let number = u32::from_be_bytes([a, b, c, d]);
        // In place, as decryption does: a recycled buffer must not show it.
        datagram.fill(0xff);
        match kind {
            0 => {
                if number == self.wanted {
                    self.wanted += 1;
                    self.events.push_back(number);
                }
                self.ack_to = Some(path);
            }
            1 if number > self.base && number <= self.total => {
                self.base = number;
                self.next = self.next.max(number);
                let is_open = self.base < self.next;
                self.resend_at = is_open.then(|| self.last_now + RTO);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.last_now = self.last_now.max(now);
        if self.resend_at.is_some_and(|at| at <= self.last_now) {
            self.resend_at = None;
            self.next = self.base;
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.last_now = self.last_now.max(now);
        if self.batch > 0 {
            self.batches.push(std::mem::take(&mut self.batch));
        }
        if let Some(path) = self.ack_to.take() {
            out.push(1);
            out.extend_from_slice(&self.wanted.to_be_bytes());
            return Some(Transmit { path, ecn: Ecn::NotEct, len: 5, segment_size: 5 });
        }
        let end = self.total.min(self.base + WINDOW);
        let peer = self.peer.filter(|_| self.next < end)?;
        let before = out.len();
        // At most 5 a train, so that a window is several transmits.
        for number in self.next..end.min(self.next + 5) {
            out.push(0);
            out.extend_from_slice(&number.to_be_bytes());
            let filling = self.random.bytes::<{ DATA_BYTES - 5 }>();
            out.extend_from_slice(&filling);
            self.next = number + 1;
        }
        self.resend_at = self.resend_at.or(Some(self.last_now + RTO));
        let len = out.len() - before;
        Some(Transmit { path: Path::to(peer), ecn: Ecn::Ect0, len, segment_size: DATA_BYTES })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.resend_at
    }

    fn poll_event(&mut self) -> Option<u32> {
        self.events.pop_front()
    }
}

/// Which rule a [`Rogue`], of datagrams or of streams, breaks, from its first turn or its first
/// timeout on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sin {
    /// None: a control, or the tests of the others would prove nothing.
    None,
    /// The deadline is past after a drain.
    PastDeadline,
    /// A timeout changes nothing.
    StuckTimer,
    /// A timeout moves the deadline by a nanosecond, for ever.
    Spin,
    /// The length is not that of the bytes.
    WrongLength,
    /// A train whose segments are longer than the train.
    WrongSegment,
    /// Segments of no bytes.
    ZeroSegment,
    /// A train of 65 datagrams.
    LongTrain,
    /// A datagram longer than UDP's limit, or a write larger than anybody could want.
    Huge,
    /// Bytes without a transmit.
    Litter,
    /// The buffer is replaced, not appended to.
    Replace,
    /// Transmits without end.
    EndlessTransmits,
    /// Events without end.
    EndlessEvents,
    /// Fetching an event makes something to send.
    LateOutput,
    /// None that is checked: it sends from an address that its host does not have.
    Foreign,
    /// The deadline differs from look to look.
    Fickle,
    /// It says that it wrote, and did not (this one and the next two: streams).
    Boast,
    /// It writes and does not say so.
    Hide,
    /// It writes without end.
    EndlessWrites,
}

/// The timer of a [`Rogue`], each second, with the sins that a timer can commit.
pub(crate) struct Alarm {
    sin: Sin,
    deadline: Option<Instant>,
    looks: std::cell::Cell<u64>,
}

impl Alarm {
    pub(crate) fn new(sin: Sin) -> Self {
        let deadline = Some(Instant::ZERO + SECOND);
        Self { sin, deadline, looks: std::cell::Cell::new(0) }
    }

    /// Whether it was time.
    pub(crate) fn ring(&mut self, now: Instant) -> bool {
        let due = self.deadline.is_some_and(|at| at <= now);
        match self.sin {
            Sin::StuckTimer => return false,
            Sin::Spin => self.deadline = Some(now + Duration::from_nanos(1)),
            _ if due => self.deadline = Some(now + SECOND),
            _ => {}
        }
        due && self.sin != Sin::Spin
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        match self.sin {
            Sin::PastDeadline => Some(Instant::ZERO),
            Sin::Fickle => {
                self.looks.set(self.looks.get() + 1);
                Some(Instant::from_nanos(self.looks.get()))
            }
            _ => self.deadline,
        }
    }
}

/// A machine that sends two datagrams, tells one event, has a timer each second, and breaks one
/// rule.
pub(crate) struct Rogue {
    pub(crate) sin: Sin,
    pub(crate) to_send: u32,
    pub(crate) to_tell: u32,
    alarm: Alarm,
}

impl Rogue {
    pub(crate) fn new(sin: Sin) -> Self {
        Self { sin, to_send: 2, to_tell: 1, alarm: Alarm::new(sin) }
    }
}

impl DatagramMachine for Rogue {
    type Event = ();

    fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.to_tell += u32::from(self.alarm.ring(now));
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let local = (self.sin == Sin::Foreign).then(|| address(201).ip());
        let path = Path { local, ..Path::to(address(200)) };
        let transmit = |len, segment_size| Transmit { path, ecn: Ecn::NotEct, len, segment_size };
        if self.to_send == 0 {
            if self.sin == Sin::Litter {
                out.push(0);
            }
            return None;
        }
        if self.sin != Sin::EndlessTransmits {
            self.to_send -= 1;
        }
        if self.sin == Sin::Replace {
            out.clear();
        }
        let (bytes, answer) = match self.sin {
            Sin::WrongLength => (10, transmit(11, 11)),
            Sin::WrongSegment => (10, transmit(10, 11)),
            Sin::ZeroSegment => (10, transmit(10, 0)),
            Sin::LongTrain => (65, transmit(65, 1)),
            Sin::Huge => (65_508, transmit(65_508, 65_508)),
            Sin::EndlessTransmits => (1, transmit(1, 1)),
            // Right at the limits.
            _ if self.to_send == 0 => (64, transmit(64, 1)),
            _ => (65_507, transmit(65_507, 65_507)),
        };
        out.resize(out.len() + bytes, 0);
        Some(answer)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.alarm.next()
    }

    fn poll_event(&mut self) -> Option<()> {
        if self.sin == Sin::EndlessEvents {
            return Some(());
        }
        self.to_tell = self.to_tell.checked_sub(1)?;
        if self.sin == Sin::LateOutput {
            self.to_send += 1;
        }
        Some(())
    }
}

/// One test per way to break the contract; the module has a function `sin`.
macro_rules! sins {
    ($($name:ident: $sin:ident, $expected:literal;)*) => {$(
        #[test]
        #[should_panic(expected = $expected)]
        fn $name() {
            sin(Sin::$sin);
        }
    )*};
}
pub(crate) use sins;
