//! The header of a datagram: four 16-bit unsigned integers, big endian (rows M09 to M17).
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use tripline_sansio::codec::{Reader, Writer};

/// The bit of the type that marks the first packets of a contact.
const FIRST: u16 = 1 << 15;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MsgboxKind {
    /// Wants no answer (row M10).
    OneWay,
    /// Wants one (row M11).
    Request,
    /// Is one (row M12).
    Reply,
    /// Proves that its sender lives; never shown to the user (row M13).
    Heartbeat,
    /// Its sender is gone (row M14).
    Close,
}

const KINDS: [MsgboxKind; 5] = [
    MsgboxKind::OneWay,
    MsgboxKind::Request,
    MsgboxKind::Reply,
    MsgboxKind::Heartbeat,
    MsgboxKind::Close,
];

impl MsgboxKind {
    fn number(self) -> u16 {
        match self {
            Self::OneWay => 0,
            Self::Request => 1,
            Self::Reply => 2,
            Self::Heartbeat => 3,
            Self::Close => 4,
        }
    }

    fn from_number(number: u16) -> Option<Self> {
        KINDS.get(usize::from(number)).copied()
    }
}

/// What stands before the payload of every datagram of the msgbox profile (R-BOX-1).
///
/// ```
/// use tripline_rpc::{MsgboxHeader, MsgboxKind};
///
/// let bytes = [0x80, 1, 0, 1, 0, 5, 0, 9, b'h', b'i'];
/// let (header, payload) = MsgboxHeader::read(&bytes).unwrap();
/// assert_eq!((header.kind, header.is_first), (MsgboxKind::Request, true));
/// assert_eq!((header.packets, header.packet, header.reply), (1, 5, 9));
/// assert_eq!(payload, b"hi");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgboxHeader {
    /// What the message is.
    pub kind: MsgboxKind,
    /// Nothing has come from the other side yet, as far as the sender knows (row M17).
    pub is_first: bool,
    /// How many packets the message has, at least one (row M15).
    pub packets: u16,
    /// The packet's number; its place in the message is the rest by `packets`.
    pub packet: u16,
    /// By which a request and its reply belong together; 0 for neither (row M16).
    pub reply: u16,
}

impl MsgboxHeader {
    /// Its length in bytes.
    pub const LEN: usize = 8;

    /// Reads a header; what follows is the payload. `None`: it is none.
    pub fn read(datagram: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(datagram);
        let word = reader.u16().ok()?;
        let (packets, packet, reply) = (reader.u16().ok()?, reader.u16().ok()?, reader.u16().ok()?);
        let kind = MsgboxKind::from_number(word & !FIRST)?;
        let header = Self { kind, is_first: word & FIRST != 0, packets, packet, reply };
        (packets > 0).then(|| (header, reader.rest()))
    }

    /// Appends the header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let first = if self.is_first { FIRST } else { 0 };
        Writer::new(out)
            .u16(self.kind.number() | first)
            .u16(self.packets)
            .u16(self.packet)
            .u16(self.reply);
    }

    /// Which of its message's packets it is, from 0, and which message of so many packets.
    pub(crate) fn place(&self) -> (u16, u16) {
        let place = self.packet.checked_rem(self.packets).unwrap_or(0);
        (place, self.packet.saturating_sub(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// R-BOX-1, M09: whatever is written is read again, and the other way round.
        #[test]
        fn m09_a_header_survives_the_wire(bytes in any::<[u8; 10]>()) {
            let read = MsgboxHeader::read(&bytes);
            let type_is_known = u16::from_be_bytes([bytes[0] & 0x7f, bytes[1]]) < 5;
            let has_packets = bytes[2] > 0 || bytes[3] > 0;
            prop_assert_eq!(read.is_some(), type_is_known && has_packets);
            if let Some((header, payload)) = read {
                let mut out = Vec::new();
                header.write(&mut out);
                prop_assert_eq!(out.len(), MsgboxHeader::LEN);
                out.extend_from_slice(payload);
                prop_assert_eq!(&out[..], &bytes[..]);
            }
        }
    }

    /// R-BOX-1: shorter than a header is nothing.
    #[test]
    fn r_box_1_what_is_cut_is_no_header() {
        for len in 0..MsgboxHeader::LEN {
            assert_eq!(MsgboxHeader::read(&[0, 0, 0, 1, 0, 0, 0, 0][..len]), None);
        }
    }
}
