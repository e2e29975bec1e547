//! What happened: a running hash of every datagram, totals, and text lines on demand.
//!
//! The hash covers, for each datagram offered and each delivered: which of the two, the time,
//! source, destination, congestion mark, length and bytes, in the order in which they happened. Two
//! runs with the same hash put the same bytes on the wire at the same times. It is made by hand (a
//! folded multiplication, the construction of wyhash) so that neither a library nor the platform's
//! byte order can change it; it finds differences and is no defence against somebody who looks for
//! collisions.

use crate::drop_cause::DropCause;
use crate::rule::{PacketView, Stage};
use crate::stream::PipeView;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use tripline_sansio::Ecn;

/// What has become of all datagrams of a world.
///
/// `offered + injected + copies = delivered + dropped() + in flight`, always; `dropped()` is the
/// sum of one field for each [`DropCause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Datagrams that hosts sent.
    pub offered: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Datagrams put in by the test itself.
    pub injected: u64,
    /// Further copies made by links and rules.
    pub copies: u64,
    /// Datagrams changed by a rule or a link.
    pub corrupted: u64,
    /// Datagrams handed to machines, copies included.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Datagrams lost by a link's chance.
    pub lost: u64,
    /// Datagrams that found a queue full.
    pub queue_full: u64,
    /// Datagrams longer than a link's MTU.
    pub too_big: u64,
    /// Datagrams dropped by a rule.
    pub scripted: u64,
    /// Datagrams to an address that nobody has.
    pub no_route: u64,
    /// Datagrams from an address that their host does not have.
    pub no_source: u64,
    /// Datagrams lost in bursts ([`DropCause::Burst`]).
    pub burst: u64,
    /// Datagrams lost by number ([`DropCause::Periodic`]).
    pub periodic: u64,
    /// Datagrams lost in black-outs of links.
    pub blackout: u64,
    /// Datagrams dropped by queue management.
    pub queue_early: u64,
    /// Datagrams beyond the rate of a policer.
    pub policed: u64,
    /// Datagrams lost for their congestion mark.
    pub marked: u64,
    /// Datagrams on links that were cut.
    pub cut: u64,
    /// Datagrams to a port of a NAT that nobody is behind.
    pub nat_unbound: u64,
    /// Datagrams that a NAT's filter kept out.
    pub nat_filtered: u64,
    /// Datagrams for which a NAT had no port.
    pub nat_full: u64,
    /// Datagrams that a NAT did not turn back.
    pub nat_hairpin: u64,
    /// Datagrams to hosts that were asleep or restarted.
    pub asleep: u64,
    /// Datagrams to sleeping hosts whose sockets were full.
    pub socket_full: u64,
    /// Datagrams that were too long for their sender's system.
    pub send_too_big: u64,
    /// Datagrams of hosts that had no network.
    pub unreachable: u64,
    /// Datagrams for which their sender's system had no memory.
    pub no_buffers: u64,
}

impl Totals {
    /// All datagrams that were not delivered, whatever the cause.
    pub fn dropped(&self) -> u64 {
        DropCause::ALL.iter().map(|cause| self.of(*cause)).sum()
    }

    /// The datagrams that were not delivered for this cause.
    pub fn of(&self, cause: DropCause) -> u64 {
        let mut copy = *self;
        *copy.of_mut(cause)
    }

    const fn of_mut(&mut self, cause: DropCause) -> &mut u64 {
        match cause {
            DropCause::Lost => &mut self.lost,
            DropCause::Burst => &mut self.burst,
            DropCause::Periodic => &mut self.periodic,
            DropCause::Blackout => &mut self.blackout,
            DropCause::QueueFull => &mut self.queue_full,
            DropCause::QueueEarly => &mut self.queue_early,
            DropCause::Policed => &mut self.policed,
            DropCause::TooBig => &mut self.too_big,
            DropCause::Marked => &mut self.marked,
            DropCause::Scripted => &mut self.scripted,
            DropCause::Cut => &mut self.cut,
            DropCause::NoRoute => &mut self.no_route,
            DropCause::NoSource => &mut self.no_source,
            DropCause::NatUnbound => &mut self.nat_unbound,
            DropCause::NatFiltered => &mut self.nat_filtered,
            DropCause::NatFull => &mut self.nat_full,
            DropCause::NatHairpin => &mut self.nat_hairpin,
            DropCause::Asleep => &mut self.asleep,
            DropCause::SocketFull => &mut self.socket_full,
            DropCause::SendTooBig => &mut self.send_too_big,
            DropCause::Unreachable => &mut self.unreachable,
            DropCause::NoBuffers => &mut self.no_buffers,
        }
    }
}

/// Hash, totals and lines of one world.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    totals: Totals,
    lines: VecDeque<String>,
    /// How many lines are kept, the newest; 0: none are even written.
    keep_lines: usize,
}

impl Trace {
    /// The hash of all that happened so far.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The totals so far.
    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Keeps the newest `count` lines of text from now on.
    pub(crate) fn keep_lines(&mut self, count: usize) {
        self.keep_lines = count;
        self.lines.truncate(count);
    }

    /// The lines kept, oldest first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// A host sent a datagram; `digest` is that of its bytes.
    pub(crate) fn offered(&mut self, packet: &PacketView<'_>, digest: u64) {
        self.totals.offered += 1;
        self.totals.offered_bytes += packet.bytes.len() as u64;
        self.packet(packet, digest);
    }

    /// A datagram is handed to its receiver; `digest` is that of its bytes.
    pub(crate) fn delivered(&mut self, packet: &PacketView<'_>, digest: u64) {
        self.totals.delivered += 1;
        self.totals.delivered_bytes += packet.bytes.len() as u64;
        self.packet(packet, digest);
    }

    /// The test put a datagram in.
    pub(crate) fn injected(&mut self) {
        self.totals.injected += 1;
    }

    /// A datagram will arrive once more than it was sent.
    pub(crate) fn copied(&mut self, copies: u64) {
        self.totals.copies += copies;
    }

    /// A rule changed a datagram.
    pub(crate) fn corrupted(&mut self) {
        self.totals.corrupted += 1;
    }

    /// A datagram is not delivered.
    pub(crate) fn dropped(&mut self, packet: &PacketView<'_>, cause: DropCause) {
        *self.totals.of_mut(cause) += 1;
        let PacketView { now, source, destination, index, bytes, .. } = packet;
        let len = bytes.len();
        self.line(format_args!("{now:?} lost {source} > {destination} #{index} {len} B: {cause}"));
    }

    /// Adds a packet to the hash and the lines.
    fn packet(&mut self, packet: &PacketView<'_>, digest: u64) {
        let (kind, word) = match packet.stage {
            Stage::Offered => (1, "sent"),
            Stage::Delivered => (2, "came"),
            // Not part of the hash: what is dropped shows in what is not delivered.
            Stage::Dropped(_) => return,
        };
        let [source, destination] = [packet.source, packet.destination];
        let hash = mix(self.hash, packet.now.as_nanos());
        let hash = mix_addresses(hash, source.ip(), destination.ip());
        let ports = u64::from(source.port()) << 16 | u64::from(destination.port());
        let hash = mix(hash, kind << 40 | ecn_bits(packet.ecn) << 32 | ports);
        self.hash = mix(hash, digest);
        if self.keep_lines > 0 {
            self.packet_line(packet, word, digest);
        }
    }

    /// A line about a packet; apart, as most runs keep none.
    #[cold]
    fn packet_line(&mut self, packet: &PacketView<'_>, word: &str, digest: u64) {
        self.line(format_args!(
            "{:?} {word} {} > {} #{} {} B {:?} {digest:016x}",
            packet.now,
            packet.source,
            packet.destination,
            packet.index,
            packet.bytes.len(),
            packet.ecn,
        ));
    }

    /// Bytes were written to a pipe, or came, or its end did; `digest` is that of the bytes.
    pub(crate) fn piped(
        &mut self,
        piece: &PipeView<'_>,
        source: SocketAddr,
        destination: SocketAddr,
        digest: Option<u64>,
    ) {
        // Apart from the stages of datagrams, which count 1 and 2; bytes in a pipe
        // are never dropped.
        let is_written = piece.stage == Stage::Offered;
        let mut hash = mix(self.hash, if is_written { 3 } else { 4 });
        hash = mix(hash, piece.now.as_nanos());
        hash = mix_address(hash, source);
        hash = mix_address(hash, destination);
        hash = mix(hash, piece.pipe.number());
        self.hash = mix(hash, digest.unwrap_or_default());
        let (now, number) = (piece.now, piece.pipe.number());
        let what = if is_written { "wrote" } else { "came" };
        match (piece.bytes, digest) {
            (Some(bytes), Some(digest)) => self.line(format_args!(
                "{now:?} {what} {source} > {destination} pipe {number} {} B {digest:016x}",
                bytes.len()
            )),
            _ => self.line(format_args!(
                "{now:?} {what} {source} > {destination} pipe {number} the end"
            )),
        }
    }

    /// Adds a line, if lines are wanted; formats nothing otherwise.
    fn line(&mut self, text: fmt::Arguments<'_>) {
        if self.keep_lines == 0 {
            return;
        }
        // The oldest line's memory serves the newest.
        let mut line =
            if self.lines.len() >= self.keep_lines { self.lines.pop_front() } else { None }
                .unwrap_or_default();
        line.clear();
        // Writing to a string cannot fail.
        let _ = line.write_fmt(text);
        self.lines.push_back(line);
    }
}

/// Odd constants with no pattern: the first digits of the golden ratio, and of pi's fraction.
const KEYS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x243f_6a88_85a3_08d3];

/// Multiplies to 128 bits and adds the halves without carry: every input bit reaches every output
/// bit.
const fn fold(a: u64, b: u64) -> u64 {
    let wide = (a as u128) * (b as u128);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// The state after one more word.
pub(crate) const fn mix(state: u64, word: u64) -> u64 {
    fold(word ^ KEYS[0], state ^ KEYS[1])
}

/// Mixes in an address: its IP address as one or two words, then its port.
fn mix_address(state: u64, address: SocketAddr) -> u64 {
    let state = match address.ip() {
        IpAddr::V4(ip) => mix(state, u64::from(u32::from(ip))),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            mix(mix(state, (bits >> 64) as u64), bits as u64)
        }
    };
    mix(state, u64::from(address.port()))
}

/// Mixes in two IP addresses, together if both are short.
fn mix_addresses(state: u64, one: IpAddr, other: IpAddr) -> u64 {
    let long = |state, ip| {
        let bits = match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        mix(mix(state, (bits >> 64) as u64), bits as u64)
    };
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            mix(state, u64::from(u32::from(one)) << 32 | u64::from(u32::from(other)))
        }
        (one, other) => long(long(state, one), other),
    }
}

/// The two bits as they stand in an IP header.
const fn ecn_bits(ecn: Ecn) -> u64 {
    match ecn {
        Ecn::NotEct => 0,
        Ecn::Ect1 => 1,
        Ecn::Ect0 => 2,
        Ecn::Ce => 3,
    }
}

/// A hash of bytes and their number, the same on every platform; not for adversaries.
///
/// Two little-endian words a multiplication, in four lanes as long as there are 64 bytes, so that
/// no multiplication waits for the one before; then two by two, and the rest is filled up with
/// zeros.
pub fn digest(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut state = mix(0, bytes.len() as u64);
    if !blocks.is_empty() {
        let mut lanes =
            [state, state.rotate_left(16), state.rotate_left(32), state.rotate_left(48)];
        for block in blocks {
            let (pairs, _) = block.as_chunks::<16>();
            for (lane, pair) in lanes.iter_mut().zip(pairs) {
                *lane = fold_pair(*lane, pair);
            }
        }
        let [a, b, c, d] = lanes;
        state = mix(mix(mix(a, b), c), d);
    }
    let (pairs, rest) = rest.as_chunks::<16>();
    for pair in pairs {
        state = fold_pair(state, pair);
    }
    for chunk in rest.chunks(8) {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = mix(state, word);
    }
    // One more round, or the last word would only have passed one multiplication.
    mix(state, KEYS[1])
}

/// The state after two more words.
#[inline]
fn fold_pair(state: u64, pair: &[u8; 16]) -> u64 {
    let whole = u128::from_le_bytes(*pair);
    fold(whole as u64 ^ KEYS[0], (whole >> 64) as u64 ^ state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tripline_sansio::Instant;

    #[test]
    fn the_digest_is_fixed_for_ever() {
        // A changed value here means that no recorded trace hash holds any more. Reckoned by
        // another program from the description above.
        assert_eq!(digest(b""), GOLDEN[0]);
        assert_eq!(digest(b"tripline"), GOLDEN[1]);
        assert_eq!(digest(&(0..=99).collect::<Vec<u8>>()), GOLDEN[2]);
    }
    const GOLDEN: [u64; 3] = [0x3c9f_3975_1376_ab8b, 0x170d_99a7_47a4_2fe5, 0x3e95_2328_c7e4_483f];

    #[test]
    fn one_bit_or_one_zero_byte_changes_the_digest() {
        let mut seen = BTreeSet::new();
        for len in 0..70 {
            assert!(seen.insert(digest(&vec![0; len])), "zeros of length {len}");
            for bit in 0..len * 8 {
                let mut bytes = vec![0; len];
                bytes[bit / 8] = 1 << (bit % 8);
                assert!(seen.insert(digest(&bytes)), "length {len}, bit {bit}");
            }
        }
    }

    #[test]
    fn only_the_newest_lines_are_kept() {
        let mut trace = Trace::default();
        let [source, destination] = [1, 2].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let packet = PacketView {
            stage: Stage::Offered,
            now: Instant::ZERO,
            from: None,
            to: None,
            source,
            destination,
            sent_to: destination,
            ecn: Ecn::NotEct,
            index: 7,
            bytes: &[0; 3],
        };
        trace.dropped(&packet, DropCause::Lost);
        assert_eq!(trace.lines().count(), 0);
        trace.keep_lines(2);
        for nanos in 1..=3 {
            let packet = PacketView { now: Instant::from_nanos(nanos), ..packet };
            trace.dropped(&packet, DropCause::TooBig);
        }
        let lines: Vec<_> = trace.lines().collect();
        let tail = "lost 10.0.0.1:1 > 10.0.0.1:2 #7 3 B: too-big";
        assert_eq!(lines, [2, 3].map(|nanos| format!("0.00000000{nanos}s {tail}")));
        assert_eq!(trace.totals().dropped(), 4);
    }

    #[test]
    fn every_cause_has_a_sum_of_its_own() {
        let mut totals = Totals::default();
        for (number, cause) in (1..).zip(DropCause::ALL) {
            *totals.of_mut(cause) += number;
        }
        for (number, cause) in (1..).zip(DropCause::ALL) {
            assert_eq!(totals.of(cause), number, "{cause}");
        }
        let count = DropCause::ALL.len() as u64;
        assert_eq!(totals.dropped(), count * (count + 1) / 2);
    }
}
