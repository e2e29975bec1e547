//! Times, packets, steps and events in words, for every kind of record.
//!
//! In go values, out comes short text on one line. What a peer or a user wrote is shown escaped and
//! cut; nothing here can fail.

use super::frames;
use crate::scenario::Step;
use std::fmt::Write as _;
use tripline::{By, Event, Side, StreamId};
use tripline_sansio::{Duration, Instant};

/// What bits of a suite mean: the pattern of its handshake.
const PATTERNS: [&str; 4] = ["NN", "NK", "IK", "XX"];
/// And its cipher.
const CIPHERS: [&str; 3] = ["ChaCha20-Poly1305", "AES-256-GCM", "no cipher"];

/// What a packet is, by what everybody on the way can read of it (PROTOCOL.md §2).
pub(super) fn what_is_in(packet: &[u8]) -> String {
    outside(packet).unwrap_or_else(|| match packet {
        [] => "nothing".to_owned(),
        [first, ..] => format!("unknown, first byte {first:#04x}"),
    })
}

/// The outer form; `None` if it has none of those known.
fn outside(packet: &[u8]) -> Option<String> {
    let (first, rest) = packet.split_first()?;
    match first {
        0x01 => open(rest),
        0x02 => Some(format!("CHALLENGE for {}", id(rest)?)),
        0x03 => Some(format!("RETRY for {}, token of {} B", id(rest)?, rest.get(8)?)),
        0x04 => Some(format!("CONFIRM to {}", id(rest)?)),
        0x05 => {
            let reason = match rest.get(8)? {
                1 => "version",
                2 => "suite",
                3 => "key",
                _ => return None,
            };
            Some(format!("VERSION for {}, because of the {reason}", id(rest)?))
        }
        0x06 => Some("RESET".to_owned()),
        0x80 => {
            let number = u16::from_be_bytes(rest.get(8..10)?.try_into().ok()?);
            Some(format!("DATA to {} …{number:04x}", id(rest)?))
        }
        0xc0 => {
            let number = u32::from_be_bytes(rest.get(8..12)?.try_into().ok()?);
            Some(format!("DATA to {} …{number:08x}", id(rest)?))
        }
        _ => None,
    }
}

fn open(rest: &[u8]) -> Option<String> {
    let version = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
    let id = id(rest.get(4..)?)?;
    let suite = *rest.get(12)?;
    let noise = usize::from(u16::from_be_bytes(rest.get(13..15)?.try_into().ok()?));
    let pattern = PATTERNS[usize::from(suite & 3)];
    let cipher = CIPHERS.get(usize::from(suite >> 3)).copied().unwrap_or("unknown cipher");
    let psk = if suite & 4 == 0 { "" } else { " with psk" };
    // Behind the Noise message stands a MAC of 16 bytes.
    let token = rest.get(15 + noise + 16).copied().unwrap_or(0);
    let mut text = format!("OPEN {id} {pattern}{psk}, {cipher}");
    if version != 1 {
        let _ = write!(text, ", version {version}");
    }
    if token > 0 {
        let _ = write!(text, ", token of {token} B");
    }
    Some(text)
}

/// The first half of a connection ID, enough to tell those of a run apart.
fn id(bytes: &[u8]) -> Option<String> {
    let id: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
    Some(format!("{:08x}", u64::from_be_bytes(id) >> 32))
}

/// A DATA packet whose frames are known; `None` if the header is that of another packet.
pub(super) fn data(number: u64, header: &[u8], text: &[u8]) -> Option<String> {
    let is_data = matches!((header.len(), header.first()), (11, Some(0x80)) | (13, Some(0xc0)));
    let id = id(header.get(1..)?).filter(|_| is_data)?;
    Some(format!("DATA {number} to {id}: {}", frames::all(text)))
}

/// A packet in less: what DATA holds, else the kind alone.
pub(super) fn short(words: &str) -> &str {
    match words.split_once(": ") {
        Some((outside, frames)) if outside.starts_with("DATA ") => frames,
        _ => words.split([' ', ',']).next().unwrap_or_default(),
    }
}

/// A step without its time.
pub(super) fn step(step: &Step) -> String {
    let text = step.to_string();
    text.split_once(' ').map_or_else(String::new, |(_, rest)| rest.to_owned())
}

/// A stream: its number among those of its opener, and what it is like.
pub(super) fn stream(id: StreamId) -> String {
    let opener = if id.opener() == Side::Client { "client" } else { "server" };
    let text = format!("{opener} stream {} {:?} {:?}", id.index(), id.direction(), id.order());
    text.replace("TwoWay", "two-way").replace("OneWay", "one-way").to_lowercase()
}

/// Whether an event comes so often, and says so little, that pictures leave it out.
pub(super) const fn is_routine(event: &Event) -> bool {
    matches!(
        event,
        Event::Readable { .. }
            | Event::Writable { .. }
            | Event::Message { .. }
            | Event::StreamsAvailable { .. }
    )
}

/// An event, without the connection that it is about.
pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Resolve { host, port, .. } => format!("asks for the addresses of {host:?} {port}"),
        Event::ServerKey { .. } => "asks whether to trust the server's key".to_owned(),
        Event::Incoming(incoming) => format!("asks whether to let {} in", incoming.remote),
        Event::Connected { side, remote, .. } => {
            let side = if *side == Side::Client { "client" } else { "server" };
            format!("connected as {side} with {remote}")
        }
        Event::Failed { error, .. } => format!("failed to connect: {error}"),
        Event::Opened { stream: id, .. } => format!("opened by the peer: {}", stream(*id)),
        Event::Readable { stream: id, .. } => format!("readable: {}", stream(*id)),
        Event::Writable { stream: id, .. } => format!("writable again: {}", stream(*id)),
        Event::Stopped { stream: id, code, .. } => format!("stopped with {code}: {}", stream(*id)),
        Event::StreamsAvailable { direction, .. } => format!("more streams allowed: {direction:?}"),
        Event::Message { stream: id, fate, .. } => {
            format!("message {fate:?}: {}", stream(*id)).replacen("Acked", "acknowledged", 1)
        }
        Event::Leaving { code, reason, grace, .. } => {
            format!("peer leaves with {code} {reason:?}, waits {}", span(*grace))
        }
        Event::Moved { from, to, .. } => format!("peer moved from {from} to {to}"),
        Event::UmtuChanged { umtu, .. } => format!("messages of up to {umtu} B fit one datagram"),
        Event::Quiet { silence, .. } => format!("peer silent for {}", span(*silence)),
        Event::Closed { by, code, reason, .. } => {
            let by = if *by == By::Us { "us" } else { "the peer" };
            format!("closed by {by} with {code} {reason:?}")
        }
        Event::Lost { cause, .. } => format!("lost: {cause}"),
        Event::Drained { .. } => "drained".to_owned(),
        Event::Forward { followed, .. } => {
            format!("forwarded elsewhere, {}", if *followed { "follows" } else { "stays" })
        }
        Event::ShutDown => "endpoint shut down".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A time in seconds, to the nanosecond, right-aligned.
pub(super) fn clock(now: Instant) -> String {
    let nanos = now.as_nanos();
    format!("{:>6}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// A length of time in the unit that suits it, to three digits or so.
pub(super) fn span(time: Duration) -> String {
    let nanos = time.as_nanos();
    let seconds = time.as_secs_f64();
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", digits(seconds * 1e6)),
        1_000_000..1_000_000_000 => format!("{} ms", digits(seconds * 1e3)),
        _ if seconds < 120.0 => format!("{} s", digits(seconds)),
        _ if seconds < 7_200.0 => format!("{} min", digits(seconds / 60.0)),
        _ if seconds < 172_800.0 => format!("{} h", digits(seconds / 3_600.0)),
        _ => format!("{} d", digits(seconds / 86_400.0)),
    }
}

/// A number to three digits, without zeros at its end.
pub(super) fn digits(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    let text = if places > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A whole number with thin spaces between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let plain = number.to_string();
    let mut text = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The first `most` characters on one line, with a mark where something is missing, and without
/// characters that do something to a terminal.
pub(super) fn cut(text: &str, most: usize) -> String {
    let harmful = |one: char| {
        one.is_control() || matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut clean = text.chars().map(|one| if harmful(one) { '·' } else { one });
    let mut short: String = clean.by_ref().take(most).collect();
    if clean.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_named_by_their_outer_form() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        let with = |first: u8, more: &[u8]| [&[first][..], &id, more].concat();
        let open = [&[1, 0, 0, 0, 1][..], &id, &[6, 0, 2, 9, 9], &[0xaa; 16], &[20, 7]].concat();
        for (packet, words, few) in [
            (vec![], "nothing", "nothing"),
            (vec![0x77], "unknown, first byte 0x77", "unknown"),
            (vec![1, 0, 0], "unknown, first byte 0x01", "unknown"),
            (open, "OPEN 01020304 IK with psk, ChaCha20-Poly1305, token of 20 B", "OPEN"),
            (with(2, &[0x11, 0x22]), "CHALLENGE for 01020304", "CHALLENGE"),
            (with(3, &[3, 1, 2, 3]), "RETRY for 01020304, token of 3 B", "RETRY"),
            (with(4, &[0x33]), "CONFIRM to 01020304", "CONFIRM"),
            (with(5, &[2, 0]), "VERSION for 01020304, because of the suite", "VERSION"),
            (vec![6, 0x5a], "RESET", "RESET"),
            (with(0x80, &[0x11, 0x12]), "DATA to 01020304 …1112", "DATA"),
            (with(0xc0, &[1, 2, 3, 4]), "DATA to 01020304 …01020304", "DATA"),
        ] {
            assert_eq!(what_is_in(&packet), words);
            assert_eq!(short(words), few);
        }
        assert_eq!(short("DATA 7 to 01020304: PING · ACK 0–3"), "PING · ACK 0–3");
    }

    #[test]
    fn quantities_are_short() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.5 µs"),
            (20_000_000, "20 ms"),
            (20_123_456, "20.1 ms"),
            (2_000_000_000, "2 s"),
            (600_000_000_000, "10 min"),
            (14 * 86_400_000_000_000, "14 d"),
        ] {
            assert_eq!(span(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(digits(0.0), "0");
        assert_eq!(digits(100.4), "100");
        assert_eq!(digits(-0.0001), "0");
    }

    #[test]
    fn text_is_cut_and_harmless() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("a\n\u{1b}\u{202e}b", 9), "a···b");
        assert_eq!(clock(Instant::from_nanos(1_500_000_000)), "     1.500000000");
    }

    #[test]
    fn steps_lose_their_time() {
        assert_eq!(step(&"4s cut phone<>server".parse().unwrap()), "cut phone<>server");
    }
}
