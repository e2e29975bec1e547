//! Memory for one receive call.

use std::io::IoSliceMut;

/// Buffers for the messages of one receive call, 64 KiB each: a message may be a whole train of
/// merged datagrams, and a smaller buffer would lose its end.
#[derive(Debug)]
pub struct RecvBuffers {
    bytes: Vec<u8>,
    count: usize,
}

impl RecvBuffers {
    /// The most buffers that one receive call can use.
    pub const MAX: usize = quinn_udp::BATCH_SIZE;
    /// Bytes of each buffer: more than any UDP datagram or merged train holds.
    pub const BUFFER_BYTES: usize = 64 * 1024;

    /// Memory for up to `count` messages per call, between 1 and [`Self::MAX`].
    ///
    /// Where the kernel merges datagrams, 8 are plenty; without that, more save system calls.
    pub fn new(count: usize) -> Self {
        let count = count.clamp(1, Self::MAX);
        Self { bytes: vec![0; count * Self::BUFFER_BYTES], count }
    }

    /// How many messages fit.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The buffers as the system wants them; those beyond [`Self::count`] are empty.
    pub(crate) fn slices(&mut self) -> [IoSliceMut<'_>; RecvBuffers::MAX] {
        let mut buffers = self.bytes.chunks_exact_mut(Self::BUFFER_BYTES);
        std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()))
    }

    /// The buffers one by one, after they were filled.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.bytes.chunks_exact_mut(Self::BUFFER_BYTES)
    }
}

/// What one receive call brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Messages of the system, each one datagram or a train of merged ones.
    pub messages: usize,
    /// Datagrams in them.
    pub datagrams: usize,
    /// Bytes in them.
    pub bytes: usize,
    /// Whether every buffer was used: there may be more to receive right away. If not, the socket
    /// was empty at the end of the call.
    pub maybe_more: bool,
}
