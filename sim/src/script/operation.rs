//! What the bytes of a script mean.

use crate::chance::Chance;
use crate::discipline::Discipline;
use crate::link::LinkConfig;
use tripline::{
    Direction, KeyLimits, Order, Reliability, SendOptions, StreamOptions, TransportConfig,
};
use tripline_sansio::Duration;

/// The largest message that either side takes, in bytes.
pub(super) const MESSAGE_MAX: u64 = 24_000;

/// How many streams of one kind may be open at once, where few may.
pub(super) const FEW_STREAMS: u64 = 3;

/// What the world of a script is like: its first six bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The world's seed.
    pub seed: u64,
    /// Both directions of the link.
    pub link: LinkConfig,
    /// Whether the hosts' loops are sloppy.
    pub sloppy: bool,
    /// Whether credit is tight: two large messages' worth.
    pub tight_credit: bool,
    /// Whether few streams may be open at once.
    pub few_streams: bool,
    /// Whether a connection is closed in the end, and whether by the client.
    pub close: Option<bool>,
    /// How many datagrams a train may have.
    pub segments_max: usize,
    /// AES or ChaCha20.
    pub hardware_aes: bool,
    /// After how many packets a side renews its keys.
    pub renew_packets: u64,
}

impl Setting {
    /// How many bytes of a script it takes.
    pub const LEN: usize = 6;

    /// Reads it from the head of a script, and gives the rest. What is missing counts as zeros.
    pub fn decode(script: &[u8]) -> (Self, &[u8]) {
        let (head, rest) = script.split_at(script.len().min(Self::LEN));
        let byte = |at: usize| head.get(at).copied().unwrap_or(0);
        let ms = |count: u8| Duration::from_millis(u64::from(count));
        let [loss, copies, delay, bits] = [byte(2), byte(3), byte(4), byte(5)];
        let bit = |number: u8| bits >> number & 1 == 1;
        let mut link = LinkConfig::lossy(Chance::ppm(u32::from(loss) * 200_000 / 255))
            .duplicate(Chance::percent(u32::from(copies % 16)), ms(30))
            .reorder(Chance::percent(u32::from(copies / 16)), ms(40))
            .delay(ms(delay % 64))
            .jitter(ms(delay / 64 * 8))
            .mtu(1_200);
        if bit(5) {
            link = link.rate(200_000, 20_000);
        }
        let setting = Self {
            seed: u64::from(byte(0)) << 8 | u64::from(byte(1)),
            link,
            sloppy: bit(0),
            tight_credit: bit(1),
            few_streams: bit(2),
            close: bit(3).then_some(bit(4)),
            segments_max: if bit(6) { 1 } else { 64 },
            hardware_aes: bit(7),
            // From the seed's bits, of which there are enough.
            renew_packets: if byte(1) % 4 == 0 { 40 } else { 1 << 22 },
        };
        (setting, rest)
    }

    /// How the hosts' loops behave.
    pub(super) fn discipline(&self) -> Discipline {
        match self.sloppy {
            true => Discipline::sloppy(Chance::percent(10)),
            false => Discipline::default(),
        }
    }

    /// How connections behave. They never end by idling, so an end is always a mistake.
    pub(super) fn transport(&self) -> TransportConfig {
        let credit = if self.tight_credit { 2 * MESSAGE_MAX } else { 1 << 20 };
        let streams = if self.few_streams { FEW_STREAMS } else { 64 };
        TransportConfig {
            idle_timeout: Duration::ZERO,
            message_max: MESSAGE_MAX,
            stream_credit: credit,
            connection_credit: credit + 10_000,
            two_way_streams: streams,
            one_way_streams: streams,
            send_buffer: 40_000,
            key_limits: KeyLimits { renew_packets: self.renew_packets, ..KeyLimits::default() },
            ..TransportConfig::default()
        }
    }
}

/// Something that a user does. `side` is 0 for the client, 1 for the server; `stream` picks one of
/// those that fit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Open { side: usize, options: StreamOptions },
    Send { side: usize, stream: u8, size: usize, options: SendOptions, times: u8 },
    Finish { side: usize, stream: u8 },
    CloseStream { side: usize, stream: u8, code: u8 },
    Stop { side: usize, stream: u8, code: u8 },
    SetPriority { side: usize, stream: u8, priority: u8 },
    Renew { side: usize },
    Read { side: usize, stream: u8, most: u8 },
    Run { time: Duration },
}

/// What four bytes mean; any four mean something.
pub(super) fn decode(kind: u8, stream: u8, a: u8, b: u8) -> Operation {
    let side = usize::from(kind >> 5 & 1);
    match kind & 31 {
        0..=3 => Operation::Open { side, options: stream_options(a, b) },
        4..=14 => {
            Operation::Send { side, stream, size: size(a), options: send_options(b), times: b >> 5 }
        }
        15..=18 => Operation::Read { side, stream, most: a },
        19..=25 => Operation::Run { time: time(a, b) },
        26..=27 => Operation::Finish { side, stream },
        28 => Operation::CloseStream { side, stream, code: a },
        29 => Operation::Stop { side, stream, code: a },
        30 => Operation::SetPriority { side, stream, priority: a % 8 },
        _ => Operation::Renew { side },
    }
}

fn stream_options(a: u8, b: u8) -> StreamOptions {
    let order = [Order::Bytes, Order::Ordered, Order::Unordered, Order::Latest][usize::from(a % 4)];
    let direction = if a & 4 == 0 { Direction::OneWay } else { Direction::TwoWay };
    StreamOptions { order, direction, priority: b % 8 }
}

/// Mostly small messages, some of a few packets, a few of many.
fn size(a: u8) -> usize {
    let a = usize::from(a);
    match a {
        0..128 => a % 12,
        128..220 => (a - 128) * 20,
        _ => (a - 220) * 680,
    }
}

fn send_options(b: u8) -> SendOptions {
    let two_bits = b >> 2 & 3;
    let reliability = match b & 3 {
        2 => Reliability::Unreliable,
        3 => Reliability::Transmissions(two_bits),
        _ => Reliability::Reliable,
    };
    let expires_after =
        (b >> 4 & 1 == 1).then(|| Duration::from_millis(1 + u64::from(two_bits) * 40));
    SendOptions { reliability, expires_after }
}

/// From nothing over milliseconds to some seconds.
fn time(a: u8, b: u8) -> Duration {
    match b % 8 {
        0 => Duration::from_secs(u64::from(a % 8)),
        1..4 => Duration::from_millis(u64::from(a)),
        _ => Duration::from_millis(u64::from(a % 16)),
    }
}
