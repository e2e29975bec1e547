//! The memory that is shared with the kernel: buffers, and the ring of those that it may fill.
//!
//! Both are plain allocations that this module alone touches, by pointers. A buffer belongs to the
//! kernel from [`Buffers::give`] until a completion names it, and to us from then until it is given
//! again; that is what makes the slices of [`Buffers::filled`] sound, and it is for the caller to
//! keep ([`crate::ring`] does).

use crate::message::BUFFER_BYTES;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// What the kernel wants the ring of buffers aligned to: a page, of any size in use.
const PAGE: usize = 64 * 1024;

/// An allocation of zeros that stays where it is.
#[derive(Debug)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(bytes: usize, align: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(bytes.max(1), align).map_err(io::Error::other)?;
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Ok(Self { start, layout })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed here only.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// The buffers, and the ring through which they go to the kernel.
#[derive(Debug)]
pub(crate) struct Buffers {
    ring: Block,
    bytes: Block,
    count: u16,
    /// The next place of the ring; it wraps around as the kernel's does.
    tail: u16,
}

// SAFETY: the pointers are to allocations of its own, which nobody else in this process has a
// pointer to; the kernel does not care which thread is at work.
unsafe impl Send for Buffers {}

impl Buffers {
    /// `count` buffers, a power of two up to 2^15, all of them ours.
    pub(crate) fn new(count: u16) -> io::Result<Self> {
        if !count.is_power_of_two() || count > 1 << 15 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a power of two"));
        }
        let ring = Block::new(usize::from(count) * size_of::<BufRingEntry>(), PAGE)?;
        let bytes = Block::new(usize::from(count) * BUFFER_BYTES, PAGE)?;
        Ok(Self { ring, bytes, count, tail: 0 })
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// Where the ring is, for the kernel.
    pub(crate) fn ring_address(&self) -> u64 {
        self.ring.start.as_ptr().expose_provenance() as u64
    }

    /// The start of a buffer; `None` if there is no such one.
    fn buffer(&self, number: u16) -> Option<NonNull<u8>> {
        if number >= self.count {
            return None;
        }
        // SAFETY: the offset is within the allocation, by the line above.
        Some(unsafe { self.bytes.start.add(usize::from(number) * BUFFER_BYTES) })
    }

    /// Gives a buffer to the kernel. It must be ours: new, or named by a completion since it was
    /// given.
    pub(crate) fn give(&mut self, number: u16) {
        let Some(buffer) = self.buffer(number) else { return };
        let place = usize::from(self.tail % self.count);
        let entries = self.ring.start.cast::<BufRingEntry>();
        // SAFETY: the place is below the count, so within the allocation.
        let entry = unsafe { entries.add(place) };
        // SAFETY: aligned, as the block is and entries are of 16 bytes; zeros or an entry of ours;
        // and the kernel reads only places before the tail, which this one is not yet. The entry's
        // own methods write the three fields and leave the fourth, which in the first entry is the
        // tail.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(buffer.as_ptr().expose_provenance() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the address of the first entry of a ring that is initialised.
        let tail = unsafe { BufRingEntry::tail(entries.as_ptr()) };
        // SAFETY: two aligned bytes of our allocation that live as long as it does; we write them,
        // here alone, and the kernel reads them. The reference to the entry is not used any more.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // The entry first: the kernel takes what is before the tail.
        tail.store(self.tail, Ordering::Release);
    }

    /// The first `len` bytes of a buffer that a completion named, for as long as it is not given
    /// again.
    pub(crate) fn filled(&mut self, number: u16, len: usize) -> Option<&mut [u8]> {
        let buffer = self.buffer(number)?;
        // SAFETY: that many bytes are in the buffer, and initialised: it began as zeros. The kernel
        // is done with it (the caller's promise), and the borrow of `self` keeps it from being
        // given again, or read twice, while the slice lives.
        Some(unsafe { std::slice::from_raw_parts_mut(buffer.as_ptr(), len.min(BUFFER_BYTES)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H07: what is written into one buffer is in no other, to the last byte.
    #[test]
    fn h07_buffers_do_not_overlap() {
        let mut buffers = Buffers::new(4).expect("memory");
        for number in 0..4 {
            let filled = buffers.filled(number, BUFFER_BYTES).expect("a buffer");
            assert!(filled.iter().all(|byte| *byte == 0));
            filled.fill(number as u8 + 1);
        }
        for number in 0..4 {
            let filled = buffers.filled(number, usize::MAX).expect("a buffer");
            assert_eq!(filled.len(), BUFFER_BYTES);
            assert!(filled.iter().all(|byte| *byte == number as u8 + 1));
        }
        assert!(buffers.filled(4, 1).is_none());
        assert!(Buffers::new(3).is_err() && Buffers::new(0).is_err());
    }

    /// H07: the ring is written within its bounds however often it goes around.
    #[test]
    fn h07_the_ring_goes_around() {
        let mut buffers = Buffers::new(2).expect("memory");
        for turn in 0..70_000u32 {
            buffers.give((turn % 2) as u16);
        }
        buffers.give(2);
        assert_eq!(buffers.tail, (70_000u32 % 65_536) as u16);
    }
}
