//! Frames in words, as the independent reader of the wire understands them.

use super::words::cut;
use crate::wire::{Blocked, Frame, StreamName, frames};
use std::fmt::Write as _;

/// The most characters that the frames of one packet take.
const FRAMES: usize = 150;
/// The most ranges of an ACK that are shown.
const RANGES: usize = 3;

/// All frames of a packet; one that breaks the rules ends the list.
pub(super) fn all(text: &[u8]) -> String {
    let mut list = String::new();
    for frame in frames(text) {
        if !list.is_empty() {
            list.push_str(" · ");
        }
        match frame {
            Ok(frame) => list.push_str(&one(&frame)),
            Err(flaw) => {
                let _ = write!(list, "illegal: {}", flaw.0);
                break;
            }
        }
        if list.chars().count() > FRAMES {
            break;
        }
    }
    cut(&list, FRAMES)
}

/// A stream: `c0` is the client's first of its direction, `s1>` the server's second one-way one.
fn name(stream: StreamName) -> String {
    let opener = if stream.by_server() { "s" } else { "c" };
    format!("{opener}{}{}", stream.index(), if stream.is_one_way() { ">" } else { "" })
}

const fn direction(one_way: bool) -> &'static str {
    if one_way { "one-way" } else { "two-way" }
}

fn one(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Padding { len } => format!("PADDING {len}"),
        Frame::Ping { probe, fill, .. } => {
            let probe = if *probe { " probe" } else { "" };
            format!("PING{probe}{}", if *fill { " fill" } else { "" })
        }
        Frame::Pong { .. } => "PONG".to_owned(),
        Frame::Ack(ack) => {
            let range = |(low, high): (u64, u64)| match low == high {
                true => low.to_string(),
                false => format!("{low}–{high}"),
            };
            let ranges: Vec<_> = ack.ranges().take(RANGES).map(range).collect();
            let more = if ack.ranges().nth(RANGES).is_some() { ",…" } else { "" };
            let marks = ack.ecn.map_or(String::new(), |[.., ce]| format!(" CE {ce}"));
            format!("ACK {}{more}{marks}", ranges.join(","))
        }
        Frame::Stats { sent, received, .. } => format!("STATS sent {sent} received {received}"),
        Frame::Stream(stream) => {
            let (offset, len) = (stream.offset, stream.payload.len());
            let fin = if stream.fin { " fin" } else { "" };
            format!("STREAM {} @{offset}+{len}{fin}", name(stream.stream))
        }
        Frame::Skip(skip) => format!("SKIP {} ×{}", name(skip.stream), skip.count),
        Frame::CloseStream { stream, code, end } => {
            format!("CLOSE_STREAM {} @{end} code {code}", name(*stream))
        }
        Frame::Stop { stream, code } => format!("STOP {} code {code}", name(*stream)),
        Frame::Credit { limit } => format!("CREDIT {limit}"),
        Frame::StreamCredit { stream, limit } => format!("STREAM_CREDIT {} {limit}", name(*stream)),
        Frame::Streams { one_way, limit } => format!("STREAMS {} {limit}", direction(*one_way)),
        Frame::Blocked(Blocked::Connection(at)) => format!("BLOCKED at {at}"),
        Frame::Blocked(Blocked::Stream(stream, at)) => format!("BLOCKED {} at {at}", name(*stream)),
        Frame::Blocked(Blocked::Streams(one_way, at)) => {
            format!("BLOCKED {} streams at {at}", direction(*one_way))
        }
        Frame::Renew(half) => {
            let kind = if half.confirm { "RENEW_CONFIRM" } else { "RENEW" };
            format!("{kind} zone {}", half.zone)
        }
        Frame::Notify { code, deadline, .. } => format!("NOTIFY code {code} within {deadline} ms"),
        Frame::Disconnect { code, reason, .. } => format!("DISCONNECT code {code} {reason:?}"),
        Frame::Forward(_) => "FORWARD".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_frames_in_words() {
        // From PROTOCOL.md §3: an empty STREAM that ends, CREDIT, a byte of PADDING.
        let golden = [0x15, 0x40, 0x57, 0x00, 0x30, 0x80, 0x10, 0x00, 0x00, 0x00];
        let words = all(&golden);
        assert!(words.starts_with("STREAM s5> @"), "{words}");
        assert!(words.ends_with(" fin · CREDIT 1048576 · PADDING 1"), "{words}");
        assert_eq!(all(&[]), "");
        assert!(all(&[0xff; 4]).starts_with("illegal: "));
    }

    #[test]
    fn a_packet_of_many_frames_is_cut() {
        let many: Vec<u8> =
            std::iter::repeat_n([0x30, 0x80, 0x10, 0x00, 0x00], 200).flatten().collect();
        let words = all(&many);
        assert_eq!(words.chars().count(), FRAMES);
        assert!(words.ends_with('…'));
    }
}
