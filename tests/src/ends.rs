//! The plain bytes of links, between an endpoint and whatever carries them: what goes out is put on
//! tapes packet by packet, and what comes in may be held back to whole packets, so that a test can
//! put one of its own in between.

use crate::carrier::note;
use crate::tape::Tape;
use crate::{Side, Taped};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tripline::{LinkEndpoint, LinkId};
use tripline_sansio::Instant;

/// Links from this number on are a test's: no pipe is behind them.
const STRANGERS: u64 = 1 << 40;

/// An endpoint, and the plain bytes of its links.
pub(crate) struct Ends {
    pub(crate) links: LinkEndpoint,
    pub(crate) side: Side,
    /// What comes is thrown away: its host is cut off.
    pub(crate) deaf: bool,
    tapes: Vec<Tape>,
    /// Bytes of packets that are not complete, by pipe.
    halves: BTreeMap<u64, Vec<u8>>,
    /// Incomplete packets are held back.
    whole: bool,
    /// Links of a test, by what stands for their other end.
    strangers: BTreeMap<SocketAddr, u64>,
    next_stranger: u64,
    /// Pipes that are links no more.
    over: BTreeSet<u64>,
}

/// How many of these bytes are whole packets, each with its length before it.
fn whole_packets(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(([high, low], rest)) = bytes[whole..].split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if rest.len() < length {
            break;
        }
        whole += 2 + length;
    }
    whole
}

impl Ends {
    pub(crate) fn new(links: LinkEndpoint, side: Side) -> Self {
        Self {
            links,
            side,
            deaf: false,
            tapes: Vec::new(),
            halves: BTreeMap::new(),
            whole: false,
            strangers: BTreeMap::new(),
            next_stranger: STRANGERS,
            over: BTreeSet::new(),
        }
    }

    /// Puts what goes out on this tape.
    pub(crate) fn record(&mut self, tape: Tape) {
        self.tapes.push(tape);
    }

    /// Takes bytes of a pipe. Says whether the link goes on.
    pub(crate) fn take_in(&mut self, now: Instant, pipe: u64, bytes: &[u8]) -> bool {
        if self.deaf || bytes.is_empty() {
            return true;
        }
        let half = self.halves.entry(pipe).or_default();
        half.extend_from_slice(bytes);
        let whole = whole_packets(half);
        let link = LinkId::new(pipe);
        let packets: Vec<u8> = half.drain(..whole).collect();
        let bytes = if self.whole { &packets } else { bytes };
        bytes.is_empty() || self.links.handle_bytes(now, link, bytes).is_ok()
    }

    /// Appends what the endpoint has for a pipe; whether there was anything.
    pub(crate) fn give_out(&mut self, now: Instant, pipe: u64, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let some = self.links.poll_write(now, LinkId::new(pipe), out);
        note(|used| used.writes += u64::from(some));
        let mut rest = &out[before..];
        while let Some((length, more)) = rest.split_first_chunk() {
            let (packet, more) = more.split_at(usize::from(u16::from_be_bytes(*length)));
            for tape in &self.tapes {
                tape.put(Taped { at: now, from: self.side, bytes: packet.to_vec() });
            }
            rest = more;
        }
        some
    }

    /// The next pipe that the endpoint has bytes for. What it has for a test's own links is only
    /// put on tape.
    pub(crate) fn next_ready(&mut self, now: Instant) -> Option<u64> {
        loop {
            let link = self.links.poll_ready(now)?.number();
            if link < STRANGERS {
                return Some(link);
            }
            let mut nowhere = Vec::new();
            while self.give_out(now, link, &mut nowhere) {
                nowhere.clear();
            }
        }
    }

    /// Hands in a packet of the test's own between those that come over a pipe. Says whether the
    /// link goes on.
    ///
    /// # Panics
    /// If a part of another packet was passed on already.
    pub(crate) fn insert(&mut self, now: Instant, pipe: u64, packet: &[u8]) -> bool {
        let begun = self.halves.get(&pipe).is_some_and(|half| !half.is_empty());
        assert!(self.whole || !begun, "not in the middle of a packet");
        self.whole = true;
        self.links.handle_bytes(now, LinkId::new(pipe), &framed(packet)).is_ok()
    }

    /// Hands in a packet that came over a link of somebody else's, who opens another one when this
    /// ends.
    pub(crate) fn insert_from(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let link = match self.strangers.get(&from) {
            Some(link) => LinkId::new(*link),
            None => {
                self.next_stranger += 1;
                let link = LinkId::new(self.next_stranger);
                assert!(self.links.opened(link), "a link more");
                self.strangers.insert(from, link.number());
                link
            }
        };
        if self.links.handle_bytes(now, link, &framed(packet)).is_err() {
            self.strangers.remove(&from);
        }
    }

    /// Whether a pipe is a link still.
    pub(crate) fn is_open(&self, pipe: u64) -> bool {
        !self.over.contains(&pipe)
    }

    /// A pipe has ended.
    pub(crate) fn closed(&mut self, now: Instant, pipe: u64) {
        self.halves.remove(&pipe);
        self.over.insert(pipe);
        self.links.closed(now, LinkId::new(pipe));
    }
}

/// A packet with its length before it, as on links (R-LINK-1).
fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).expect("a packet").to_be_bytes();
    [&length, packet].concat()
}
