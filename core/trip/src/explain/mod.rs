//! Why a connection and its streams wait: an answer for people and for machines.
//!
//! In goes nothing: `connection::explain` makes an [`Explanation`] of what it knows. Out come plain
//! values to match on, a text of a few lines ([`Display`](core::fmt::Display)), and JSON
//! ([`Explanation::to_json`]). Nothing here decides anything, and asking changes nothing.

mod json;
mod parts;
mod reason;
#[cfg(test)]
mod tests;

pub use reason::{EndingReason, OpeningReason, PeerReason, Reason, SendingReason, StreamReason};

use crate::State;
use crate::event::Unsafe;
use crate::handle::ConnectionHandle;
use crate::wire::StreamId;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use json::Json;
use parts::Parts;

/// Streams that one explanation lists at most (PROTOCOL.md §11).
pub(crate) const STREAMS_MAX: usize = 64;

/// Why a connection and its streams wait, at the time it was asked for.
///
/// [`Display`](fmt::Display) gives a text of a few lines, the most important reason first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Which connection.
    pub connection: ConnectionHandle,
    /// Where it stands.
    pub state: State,
    /// What it waits for, the most important first; never empty.
    pub reasons: Vec<Reason>,
    /// The streams that wait for something, by ID; at most 64.
    pub streams: Vec<StreamExplanation>,
    /// Streams that wait for something too and found no place in the list.
    pub streams_left_out: u64,
    /// Open streams that wait for nothing but their users.
    pub streams_idle: u64,
    /// It is, or is to be, the only one with this peer: a later one takes its place (R-HAND-4).
    pub single: bool,
    /// The protections that it does without (R-PLAIN-1); empty without plain mode.
    pub plain: Vec<Unsafe>,
}

/// Why one stream waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamExplanation {
    /// Which stream.
    pub stream: StreamId,
    /// What it waits for, the most important first; never empty.
    pub reasons: Vec<StreamReason>,
}

impl Explanation {
    /// The same as JSON, one line. Names and units are stable: what is a time ends in `_us`
    /// (microseconds; `null` is never), what is a size in `_bytes`. New names may come.
    ///
    /// ```text
    /// {"connection":{"slot":0,"generation":0},"state":"ready","reasons":[{"reason":
    /// "congestion_window","text":"…","in_flight_bytes":12000,"window_bytes":12000}],"streams":[
    /// {"stream":6,"reasons":[…]}],"streams_left_out":0,"streams_idle":2}
    /// ```
    pub fn to_json(&self) -> String {
        let mut json = Json::default();
        json.object(|json| {
            json.key("connection");
            json.object(|json| {
                json.number("slot", u64::from(self.connection.slot));
                json.number("generation", u64::from(self.connection.generation));
            });
            json.text("state", state_name(self.state));
            json.key("reasons");
            json.array(|json| self.reasons.iter().for_each(|one| one.parts().write(json)));
            json.key("streams");
            json.array(|json| {
                for stream in &self.streams {
                    json.object(|json| {
                        json.number("stream", stream.stream.number());
                        json.key("reasons");
                        json.array(|json| {
                            stream.reasons.iter().for_each(|one| one.parts().write(json));
                        });
                    });
                }
            });
            json.number("streams_left_out", self.streams_left_out);
            json.number("streams_idle", self.streams_idle);
            json.key("single");
            json.bare(self.single);
            json.key("unsafe");
            json.array(|json| {
                self.plain.iter().for_each(|one| json.string(switch_name(*one)));
            });
        });
        json.into_string()
    }
}

fn switch_name(switch: Unsafe) -> &'static str {
    match switch {
        Unsafe::UnsignedOut => "unsigned_out",
        Unsafe::UnsignedIn => "unsigned_in",
        Unsafe::PlainOpen => "plain_open",
        Unsafe::PlainTraffic => "plain_traffic",
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Resolving => "resolving",
        State::Opening => "opening",
        State::Challenged => "challenged",
        State::Pinging => "pinging",
        State::Ready => "ready",
        State::Leaving => "leaving",
        State::Closing => "closing",
        State::Closed => "closed",
        State::Failed => "failed",
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is {}", self.connection, state_name(self.state))?;
        for reason in &self.reasons {
            write!(f, "\n  {reason}")?;
        }
        for stream in &self.streams {
            write!(f, "\n  {}", stream.stream)?;
            for (index, reason) in stream.reasons.iter().enumerate() {
                f.write_str(if index == 0 { ": " } else { "; " })?;
                write!(f, "{reason}")?;
            }
        }
        if self.streams_left_out > 0 {
            write!(f, "\n  and {} more streams", self.streams_left_out)?;
        }
        if self.single {
            f.write_str("\n  single: the only one with this peer")?;
        }
        for one in &self.plain {
            write!(f, "\n  unsafe, {one}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().text)
    }
}

impl fmt::Display for StreamReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().text)
    }
}

impl Reason {
    /// The name of the reason, as in JSON: stable.
    pub fn name(&self) -> &'static str {
        self.parts().name
    }
}

impl StreamReason {
    /// The name of the reason, as in JSON: stable.
    pub fn name(&self) -> &'static str {
        self.parts().name
    }
}

impl Parts {
    /// As a JSON object.
    fn write(&self, json: &mut Json) {
        json.object(|json| {
            json.text("reason", self.name);
            json.text("text", &self.text);
            for (name, value) in &self.fields {
                json.key(name);
                value.write(json);
            }
        });
    }
}
