//! What each reason says: its name, its text, and its numbers with their units.
//!
//! The one place where that is written down, so that the text and the JSON cannot disagree.

use super::json::Json;
use super::reason::{EndingReason, OpeningReason, PeerReason, Reason, SendingReason, StreamReason};
use crate::wire::Direction;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use tripline_sansio::Duration;

/// A number with its meaning.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(u64),
    /// `None` is never.
    Time(Option<Duration>),
    Flag(bool),
    /// `None` is not known, or nothing.
    Text(Option<String>),
    /// `None` is not known.
    Maybe(Option<u64>),
}

impl Value {
    /// As a JSON value; times as microseconds.
    pub(super) fn write(&self, json: &mut Json) {
        match self {
            Self::Number(number) | Self::Maybe(Some(number)) => json.bare(number),
            Self::Time(Some(time)) => json.bare(time.as_micros()),
            Self::Flag(flag) => json.bare(flag),
            Self::Text(Some(text)) => json.string(text),
            Self::Time(None) | Self::Text(None) | Self::Maybe(None) => json.bare("null"),
        }
    }
}

/// A reason, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) name: &'static str,
    pub(super) text: String,
    /// Names with their units.
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Parts {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, text: text.into(), fields: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.fields.push((name, value));
        self
    }

    fn number(self, name: &'static str, value: impl Into<u64>) -> Self {
        self.with(name, Value::Number(value.into()))
    }

    fn time(self, name: &'static str, value: impl Into<Option<Duration>>) -> Self {
        self.with(name, Value::Time(value.into()))
    }

    fn flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, Value::Flag(value))
    }
}

/// A time for people: three digits and a unit.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0..1_000 => write!(f, "{micros} us"),
            1_000..100_000 => write!(f, "{}.{} ms", micros / 1_000, micros / 100 % 10),
            100_000..100_000_000 => {
                write!(f, "{}.{} s", micros / 1_000_000, micros / 100_000 % 10)
            }
            _ => write!(f, "{} s", micros / 1_000_000),
        }
    }
}

/// Behind a text: what happens in some time, or nothing if it never does.
struct Then(&'static str, Option<Duration>);

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(time) => write!(f, "; {} in {}", self.0, Span(time)),
            None => Ok(()),
        }
    }
}

/// One or many.
struct Many(u64, &'static str);

impl fmt::Display for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

impl Reason {
    pub(super) fn parts(&self) -> Parts {
        match self {
            Self::Opening(opening) => opening.parts(),
            Self::Sending(sending) => sending.parts(),
            Self::Peer(peer) => peer.parts(),
            Self::Ending(ending) => ending.parts(),
        }
    }
}

impl OpeningReason {
    fn parts(&self) -> Parts {
        match self {
            Self::Addresses { name, gives_up_in } => Parts::new(
                "addresses",
                format!(
                    "waits for its user: the addresses of {name}{}",
                    Then("fails", *gives_up_in)
                ),
            )
            .with("name", Value::Text(Some(name.clone())))
            .time("gives_up_in_us", *gives_up_in),
            Self::Challenge { waited, opens, next_in, gives_up_in, retries, hint } => {
                let hinted = hint.as_ref().map(ToString::to_string);
                let mut text = format!(
                    "waits for the server's CHALLENGE since {}; {} sent{}{}",
                    Span(*waited),
                    Many((*opens).into(), "OPEN"),
                    Then("the next goes", *next_in),
                    Then("fails", *gives_up_in),
                );
                if *retries > 0 {
                    text = format!("{text}; the server wanted our address proven (RETRY)");
                }
                if let Some(hinted) = &hinted {
                    text = format!("{text}; an unproven answer says: {hinted}");
                }
                Parts::new("challenge", text)
                    .time("waited_us", *waited)
                    .number("opens", *opens)
                    .time("next_in_us", *next_in)
                    .time("gives_up_in_us", *gives_up_in)
                    .number("retries", *retries)
                    .with("hint", Value::Text(hinted))
            }
            Self::Trust { waited, gives_up_in } => Parts::new(
                "trust",
                format!(
                    "waits for its user since {}: whether to trust the server's key{}",
                    Span(*waited),
                    Then("fails", *gives_up_in)
                ),
            )
            .time("waited_us", *waited)
            .time("gives_up_in_us", *gives_up_in),
            Self::Answer { probes, gives_up_in } => Parts::new(
                "answer",
                format!(
                    "waits for the server's first packet; {} without an answer{}",
                    Many((*probes).into(), "probe timeout"),
                    Then("fails", *gives_up_in)
                ),
            )
            .number("probes", *probes)
            .time("gives_up_in_us", *gives_up_in),
        }
    }
}

impl SendingReason {
    fn parts(&self) -> Parts {
        match self {
            Self::Undrained => Parts::new("undrained", "has something to send: drain it"),
            Self::ConnectionCredit { limit, free, streams } => Parts::new(
                "connection_credit",
                format!(
                    "waits for the peer's credit for the connection: {free} bytes left of {limit} \
                     granted; {} held up",
                    Many(*streams, "stream")
                ),
            )
            .number("limit_bytes", *limit)
            .number("free_bytes", *free)
            .number("streams", *streams),
            Self::Window { in_flight, window } => Parts::new(
                "congestion_window",
                format!(
                    "the congestion window is full: {in_flight} of {window} bytes on their way"
                ),
            )
            .number("in_flight_bytes", *in_flight)
            .number("window_bytes", *window),
            Self::Pacing { wait, rate } => Parts::new(
                "pacing",
                format!("paced at {rate} bytes per second: goes on in {}", Span(*wait)),
            )
            .time("wait_us", *wait)
            .number("rate_bytes_per_second", *rate),
            Self::Address { allowance, holds } => Parts::new(
                "address",
                format!(
                    "the peer's address is not proven: {allowance} bytes may go there{}",
                    if *holds { ", too few for what waits" } else { "" }
                ),
            )
            .number("allowance_bytes", *allowance)
            .flag("holds", *holds),
            Self::KeyLimit { sealed, limit } => Parts::new(
                "key_limit",
                format!("the key has sealed {sealed} packets of {limit}: no data until renewed"),
            )
            .number("sealed_packets", *sealed)
            .number("limit_packets", *limit),
            other => other.rarer_parts(),
        }
    }

    /// The ones that hold up least.
    fn rarer_parts(&self) -> Parts {
        match self {
            Self::Packets => {
                Parts::new("packets", "too many packets are on their way to remember another")
            }
            Self::Renewal { zone, sealed, agreed } => Parts::new(
                "renewal",
                format!(
                    "renews its keys: zone {zone}, {} sealed, {}",
                    Many(*sealed, "packet"),
                    if *agreed { "agreed" } else { "the peer's half is waited for" }
                ),
            )
            .number("zone", *zone)
            .number("sealed_packets", *sealed)
            .flag("agreed", *agreed),
            Self::StreamCredit { streams } => Parts::new(
                "stream_credit",
                format!("waits for the peer's credit for {}", Many(*streams, "stream")),
            )
            .number("streams", *streams),
            Self::StreamLimit { direction, limit } => {
                let kind = match direction {
                    Direction::TwoWay => "two-way",
                    Direction::OneWay => "one-way",
                };
                let text = format!("the peer allows no more {kind} streams: {limit} so far");
                Parts::new("stream_limit", text)
                    .with("direction", Value::Text(Some(kind.to_string())))
                    .number("limit", *limit)
            }
            Self::Events { waiting } => {
                Parts::new("events", format!("waits for its user: {waiting} events not polled"))
                    .number("waiting", *waiting)
            }
            Self::MtuSearch { size, trying, lost } => Parts::new(
                "mtu_search",
                format!(
                    "datagrams of {size} bytes; tries {trying}, lost {}",
                    Many((*lost).into(), "time")
                ),
            )
            .number("size_bytes", *size)
            .number("trying_bytes", *trying)
            .number("lost", *lost),
            // The others have their place above.
            _ => Parts::new("sending", "has something to send"),
        }
    }
}

impl PeerReason {
    fn parts(&self) -> Parts {
        match self {
            Self::Silent { silence, probes, next_in, gives_up_in } => Parts::new(
                "silent",
                format!(
                    "the peer is silent for {}; {} without an answer{}{}",
                    Span(*silence),
                    Many((*probes).into(), "probe"),
                    Then("the next goes", *next_in),
                    Then("given up", *gives_up_in),
                ),
            )
            .time("silence_us", *silence)
            .number("probes", *probes)
            .time("next_in_us", *next_in)
            .time("gives_up_in_us", *gives_up_in),
            Self::Unacknowledged { in_flight, rtt } => {
                let mut text =
                    format!("waits for acknowledgements: {in_flight} bytes on their way");
                if let Some(rtt) = rtt {
                    text = format!("{text}, round trip {}", Span(*rtt));
                }
                Parts::new("unacknowledged", text)
                    .number("in_flight_bytes", *in_flight)
                    .time("rtt_us", *rtt)
            }
            Self::Unread { streams, bytes, credit_left } => Parts::new(
                "unread",
                format!(
                    "waits for its user to read {bytes} bytes on {}; the peer may send \
                     {credit_left} more",
                    Many(*streams, "stream")
                ),
            )
            .number("streams", *streams)
            .number("unread_bytes", *bytes)
            .number("credit_left_bytes", *credit_left),
            Self::Idle { silence, gives_up_in, keep_alive_in } => Parts::new(
                "idle",
                format!(
                    "nothing to send; heard the peer {} ago{}{}",
                    Span(*silence),
                    Then("keep-alive", *keep_alive_in),
                    Then("given up", *gives_up_in),
                ),
            )
            .time("silence_us", *silence)
            .time("gives_up_in_us", *gives_up_in)
            .time("keep_alive_in_us", *keep_alive_in),
        }
    }
}

impl EndingReason {
    fn parts(&self) -> Parts {
        match self {
            Self::Leaving { ours, theirs, unsettled, bytes, peer_done, left } => {
                let who = match (ours, theirs) {
                    (true, true) => "both sides leave",
                    (true, false) => "we leave",
                    _ => "the peer leaves",
                };
                let rest = if *unsettled > 0 {
                    format!("{bytes} bytes on {} not acknowledged", Many(*unsettled, "stream"))
                } else if *peer_done {
                    String::from("all is said")
                } else {
                    String::from("waits for the peer to finish")
                };
                Parts::new("leaving", format!("{who}: {rest}{}", Then("ends", *left)))
                    .flag("ours", *ours)
                    .flag("theirs", *theirs)
                    .number("unsettled_streams", *unsettled)
                    .number("unsettled_bytes", *bytes)
                    .flag("peer_done", *peer_done)
                    .time("left_us", *left)
            }
            Self::ShutDown { connections, left } => Parts::new(
                "shut_down",
                format!(
                    "the endpoint shuts down: {} left{}",
                    Many(*connections, "connection"),
                    Then("ends", *left)
                ),
            )
            .number("connections", *connections)
            .time("left_us", *left),
            Self::Closing { left } => {
                let text =
                    format!("DISCONNECT sent, the peer's is waited for{}", Then("gone", *left));
                Parts::new("closing", text).time("left_us", *left)
            }
            Self::Draining { left } => {
                let text =
                    format!("the peer ended it, late packets may come{}", Then("gone", *left));
                Parts::new("draining", text).time("left_us", *left)
            }
            Self::Over { unread } => Parts::new(
                "over",
                format!("over; waits for its user to read {}", Many(*unread, "stream")),
            )
            .number("unread_streams", *unread),
        }
    }
}

impl StreamReason {
    pub(super) fn parts(&self) -> Parts {
        match self {
            Self::NotAllowed { limit } => {
                let text = match limit {
                    Some(limit) => format!("waits for the peer to allow more than {limit} streams"),
                    None => String::from("waits for the handshake"),
                };
                Parts::new("not_allowed", text).with("limit", Value::Maybe(*limit))
            }
            Self::StreamCredit { limit, offset, unsent } => Parts::new(
                "stream_credit",
                format!(
                    "waits for the peer's credit: at {offset} of {limit} bytes, {unsent} not sent"
                ),
            )
            .number("limit_bytes", *limit)
            .number("offset_bytes", *offset)
            .number("unsent_bytes", *unsent),
            Self::ConnectionCredit { unsent } => Parts::new(
                "connection_credit",
                format!("waits for the connection's credit with {unsent} bytes"),
            )
            .number("unsent_bytes", *unsent),
            Self::Turn { unsent, priority } => Parts::new(
                "turn",
                format!("waits for its turn with {unsent} bytes, priority {priority}"),
            )
            .number("unsent_bytes", *unsent)
            .number("priority", *priority),
            Self::Full { buffered, limit } => {
                Parts::new("full", format!("send blocked: {buffered} of {limit} bytes waiting"))
                    .number("buffered_bytes", *buffered)
                    .number("limit_bytes", *limit)
            }
            Self::Unacknowledged { bytes, end } => Parts::new(
                "unacknowledged",
                format!(
                    "{bytes} bytes{} not acknowledged",
                    if *end { " and the end of the stream" } else { "" }
                ),
            )
            .number("unacknowledged_bytes", *bytes)
            .flag("end", *end),
            Self::Unread { bytes, credit_left } => Parts::new(
                "unread",
                format!("{bytes} bytes not read; the peer may send {credit_left} more"),
            )
            .number("unread_bytes", *bytes)
            .number("credit_left_bytes", *credit_left),
            Self::Missing { from, upto } => Parts::new(
                "missing",
                format!("waits for what is missing from offset {from} on, {upto} came"),
            )
            .number("from_offset", *from)
            .number("upto_offset", *upto),
        }
    }
}
