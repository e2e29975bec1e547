//! Packets in a stream of bytes: `length u16 · packet` (PROTOCOL.md §8, R-LINK-1).
//!
//! In go bytes, cut anywhere, and packets; out come packets, and bytes. It holds one packet at
//! most, and judges nothing but lengths. OPEN travels without the zeros at its end, which come back
//! on the other side: there it is the packet that any server knows (R-LINK-3).
#![deny(clippy::arithmetic_side_effects)]

use crate::wire::{OPEN_LEAST, Open, PacketKind, classify};
use alloc::vec::Vec;

/// The largest packet on a link, in bytes.
pub(crate) const LINK_PACKET_MAX: usize = 16_384;

/// Bytes of the length.
const LENGTH: usize = 2;

/// A length that no packet has: 0, or above [`LINK_PACKET_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLength(pub(crate) u16);

/// Finds the packets in the bytes of one link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deframer {
    length: Vec<u8>,
    packet: Vec<u8>,
    /// Bytes of the packet that are still to come; `None` while the length is incomplete.
    missing: Option<usize>,
}

impl Deframer {
    /// Takes bytes off the front of `bytes`, up to the end of the next packet, and returns that;
    /// `None` if more bytes are needed, all of `bytes` being taken then.
    ///
    /// # Errors
    /// [`BadLength`]; nothing that follows makes sense then.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&mut [u8]>, BadLength> {
        if self.missing == Some(0) {
            (self.missing, self.packet) = (None, core::mem::take(&mut self.packet));
            self.packet.clear();
        }
        let missing = match self.missing {
            Some(missing) => missing,
            None => {
                let more = LENGTH.saturating_sub(self.length.len());
                move_bytes(bytes, &mut self.length, more);
                let Some(length) = self.length.first_chunk::<LENGTH>() else { return Ok(None) };
                let length = u16::from_be_bytes(*length);
                self.length.clear();
                let whole = usize::from(length);
                if whole == 0 || whole > LINK_PACKET_MAX {
                    return Err(BadLength(length));
                }
                whole
            }
        };
        let moved = move_bytes(bytes, &mut self.packet, missing);
        let left = missing.saturating_sub(moved);
        self.missing = Some(left);
        if left > 0 {
            return Ok(None);
        }
        if classify_first(&self.packet) == Some(PacketKind::Open) && self.packet.len() < OPEN_LEAST
        {
            self.packet.resize(OPEN_LEAST, 0);
        }
        Ok(Some(&mut self.packet))
    }

    /// The bytes that are held.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.length.len().saturating_add(self.packet.len())
    }
}

/// Moves at most `most` bytes from the front of one to the end of the other; returns how many.
fn move_bytes(from: &mut &[u8], to: &mut Vec<u8>, most: usize) -> usize {
    let (taken, rest) = from.split_at_checked(most).unwrap_or((*from, &[]));
    to.extend_from_slice(taken);
    *from = rest;
    taken.len()
}

fn classify_first(packet: &[u8]) -> Option<PacketKind> {
    packet.first().copied().and_then(classify)
}

/// Appends a packet with its length. One that is empty or too long for a link is left out, and the
/// answer is `false`; ours never are.
pub(crate) fn write_packet(packet: &[u8], out: &mut Vec<u8>) -> bool {
    let packet = without_padding(packet);
    let length = u16::try_from(packet.len()).unwrap_or(0);
    if packet.is_empty() || packet.len() > LINK_PACKET_MAX || length == 0 {
        return false;
    }
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(packet);
    true
}

/// OPEN without the zeros at its end; any other packet as it is.
fn without_padding(packet: &[u8]) -> &[u8] {
    if classify_first(packet) != Some(PacketKind::Open) {
        return packet;
    }
    let Ok(open) = Open::parse(packet) else { return packet };
    let padding = if open.padding_is_zero() { open.padding_len() } else { 0 };
    packet.get(..packet.len().saturating_sub(padding)).unwrap_or(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::write_open;
    use tripline_sansio::Seed;

    fn packets(bytes: &[u8], cuts: impl FnMut(usize) -> usize) -> Vec<Vec<u8>> {
        let (mut deframer, mut cuts, mut rest, mut all) =
            (Deframer::default(), cuts, bytes, Vec::new());
        while !rest.is_empty() {
            let (mut piece, behind) = rest.split_at(cuts(rest.len()).clamp(1, rest.len()));
            while let Some(packet) = deframer.next(&mut piece).unwrap() {
                all.push(packet.to_vec());
            }
            assert!(piece.is_empty() && deframer.held() <= LINK_PACKET_MAX + LENGTH);
            rest = behind;
        }
        all
    }

    /// R-LINK-1: however the bytes are cut, the packets are the same.
    #[test]
    fn r_link_1_packets_do_not_depend_on_how_bytes_are_cut() {
        for seed in 0..50 {
            let mut random = Seed::from_number(seed).random("cuts");
            let (mut sent, mut bytes) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                let most = if random.chance(1, 4) { 16_384 } else { 40 };
                let len = usize::try_from(random.below(most)).unwrap() + 1;
                let packet = alloc::vec![0x80; len];
                assert!(write_packet(&packet, &mut bytes));
                sent.push(packet);
            }
            assert_eq!(packets(&bytes, |len| len), sent, "seed {seed}: whole");
            assert_eq!(packets(&bytes, |_| 1), sent, "seed {seed}: byte by byte");
            let cut = |_| usize::try_from(random.below(900)).unwrap();
            assert_eq!(packets(&bytes, cut), sent, "seed {seed}: at random");
        }
    }

    /// R-LINK-1: no packet is empty or above 16,384 bytes, in either direction.
    #[test]
    fn r_link_1_wrong_lengths_are_errors() {
        for (length, wrong) in [(0, true), (1, false), (16_384, false), (16_385, true)] {
            let bytes = u16::to_be_bytes(length);
            let got = Deframer::default().next(&mut bytes.as_slice()).map(|_| ());
            assert_eq!(got, if wrong { Err(BadLength(length)) } else { Ok(()) });
            let packet = alloc::vec![0x80; usize::from(length)];
            assert_eq!(write_packet(&packet, &mut Vec::new()), !wrong);
        }
    }

    /// R-LINK-3: OPEN travels without its zeros, and arrives with them.
    #[test]
    fn r_link_3_open_is_not_padded() {
        for token in [&b""[..], b"tok"] {
            let (mut open, mut bytes) = (Vec::new(), Vec::new());
            write_open(&mut open, 1, 7, 2, &[1; 96], |_| [9; 16], token).unwrap();
            assert!(write_packet(&open, &mut bytes));
            assert_eq!(bytes.len(), LENGTH + 16 + 96 + 16 + 1 + token.len());
            assert_eq!(packets(&bytes, |_| 3), [open]);
        }
    }
}
