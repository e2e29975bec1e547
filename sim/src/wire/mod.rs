//! An independent reader of the wire: packets from outside, and the frames inside DATA.
//!
//! It was written from PROTOCOL.md §2, §3 and §6 alone and shares no code with the engine, its
//! varints included, so that a mistake has to be made twice to stay unseen (I26). In goes a
//! datagram, or the plaintext of DATA; out come borrowed values, or the [`Flaw`] that makes it
//! illegal. All that can be judged without knowing what came before is judged here; nothing is
//! kept, nothing is allocated, nothing panics.
//!
//! ```
//! use tripline_sim::wire::{Frame, frames};
//! let golden = [0x15, 0x40, 0x57, 0x00, 0x30, 0x80, 0x10, 0x00, 0x00, 0x00];
//! let read: Result<Vec<_>, _> = frames(&golden).collect();
//! let read = read.unwrap();
//! assert!(matches!(read[0], Frame::Stream(stream) if stream.fin && stream.payload.is_empty()));
//! assert_eq!(read[1..], [Frame::Credit { limit: 0x10_0000 }, Frame::Padding { len: 1 }]);
//! ```

mod ack;
mod frame;
mod packet;
mod payload;
mod read;
mod stream;
#[cfg(test)]
mod tests;

pub use ack::{Ack, AckRanges};
pub use frame::{Blocked, Frame, Frames, Half, frames};
pub use packet::{Data, OPEN_MIN, Open, Packet, Suite};
pub use payload::{Answer, Hello, Limits, Referral, answer, hello, limits};
pub use read::{Flaw, Reader, varint_len};
pub use stream::{Ranges, Skip, Stream, StreamName};
