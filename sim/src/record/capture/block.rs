//! The blocks of PCAPNG, as many as are needed here.
//!
//! A block is its type, its length, a body filled up to words of four bytes, and its length again.
//! Options are a code, a length and a value each, filled up likewise. Everything is little endian;
//! the section header says so.

use super::Direction;
use std::net::IpAddr;
use tripline_sansio::Instant;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const ENHANCED_PACKET: u32 = 6;

/// Shows in which order bytes stand.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Packets begin with an IP header, whose first bits say which version.
const LINKTYPE_RAW: u16 = 101;

const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_DESCRIPTION_TEXT: u16 = 3;
const INTERFACE_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;

/// A block in the making.
pub(super) struct Block {
    bytes: Vec<u8>,
}

impl Block {
    fn new(kind: u32) -> Self {
        let mut bytes = kind.to_le_bytes().to_vec();
        // The length, known at the end.
        bytes.extend([0; 4]);
        Self { bytes }
    }

    fn put(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Up to the next word.
    fn fill(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// An option; what does not fit its length is cut off.
    fn option(self, code: u16, value: &[u8]) -> Self {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        let len = value.len() as u16;
        self.put(&code.to_le_bytes()).put(&len.to_le_bytes()).put(value).fill()
    }

    /// An option that is text, cut at a character's end.
    fn text(self, code: u16, text: &str) -> Self {
        let mut end = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.option(code, &text.as_bytes()[..end])
    }

    fn end_of_options(self) -> Self {
        self.option(END_OF_OPTIONS, &[])
    }

    /// The whole block.
    pub(super) fn finish(mut self) -> Vec<u8> {
        // No block of ours is longer than a few hundred kilobytes.
        let len = (self.bytes.len() as u32 + 4).to_le_bytes();
        self.bytes[4..8].copy_from_slice(&len);
        self.bytes.extend(len);
        self.bytes
    }

    /// The first block: which form, by whom, of what.
    pub(super) fn section(about: &str) -> Self {
        Self::new(SECTION_HEADER)
            .put(&BYTE_ORDER.to_le_bytes())
            .put(&1_u16.to_le_bytes())
            .put(&0_u16.to_le_bytes())
            // How long the section is: not known.
            .put(&u64::MAX.to_le_bytes())
            .text(COMMENT, about)
            .text(SECTION_APPLICATION, "tripline sim")
            .end_of_options()
    }

    /// An interface; they are numbered from 0 in their order. Times are in nanoseconds.
    pub(super) fn interface(name: &str, description: &str) -> Self {
        Self::new(INTERFACE_DESCRIPTION)
            .put(&LINKTYPE_RAW.to_le_bytes())
            .put(&0_u16.to_le_bytes())
            // No limit to the length of a packet.
            .put(&0_u32.to_le_bytes())
            .text(INTERFACE_NAME, name)
            .text(INTERFACE_DESCRIPTION_TEXT, description)
            .option(INTERFACE_RESOLUTION, &[9])
            .end_of_options()
    }

    /// Who has an address.
    pub(super) fn name(address: IpAddr, name: &str) -> Self {
        let (kind, mut value) = match address {
            IpAddr::V4(ip) => (1_u16, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2_u16, ip.octets().to_vec()),
        };
        value.extend_from_slice(name.as_bytes());
        value.push(0);
        // A record looks like an option, and the last one like the end of options.
        Self::new(NAME_RESOLUTION).option(kind, &value).end_of_options()
    }

    /// A packet as an interface saw it.
    pub(super) fn packet(
        interface: usize,
        at: Instant,
        direction: Direction,
        bytes: &[u8],
        comments: &[String],
    ) -> Self {
        let time = at.as_nanos();
        // No run has 2^32 hosts, and no datagram is that long.
        let len = (bytes.len() as u32).to_le_bytes();
        let mut block = Self::new(ENHANCED_PACKET)
            .put(&(interface as u32).to_le_bytes())
            .put(&((time >> 32) as u32).to_le_bytes())
            .put(&(time as u32).to_le_bytes())
            .put(&len)
            .put(&len)
            .put(bytes)
            .fill()
            .option(PACKET_FLAGS, &(direction as u32).to_le_bytes());
        for comment in comments {
            block = block.text(COMMENT, comment);
        }
        block.end_of_options()
    }
}
