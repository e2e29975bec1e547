//! Buffers of large messages, used again once their user has let go of them.
//!
//! In come large messages as they are handed to the user; out comes the buffer of one that nobody
//! holds any more, for the next large message to arrive in. That saves the growing of a new one,
//! which copies, and memory that a system's allocator gives back and takes anew for each message.
//! It takes nothing from a user, bounds what it keeps, and shows nowhere outside: with it and
//! without it the same bytes go out.
#![deny(clippy::arithmetic_side_effects)]

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

/// Messages of at least so many bytes are large.
pub(crate) const LARGE: usize = 16 * 1024;

/// No longer buffer is kept.
pub(crate) const KEPT_MAX: usize = 64 * 1024 + 16;

/// So many are kept at most.
const KEPT: usize = 4;

/// The buffers of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Recycler {
    /// Handed out, oldest first; perhaps nobody else holds them by now.
    handed: VecDeque<Bytes>,
    /// Empty ones.
    free: Vec<Vec<u8>>,
}

impl Recycler {
    /// The user gets this message.
    pub(crate) fn on_taken(&mut self, message: &Bytes) {
        if !(LARGE..=KEPT_MAX).contains(&message.len()) {
            return;
        }
        if self.handed.len().saturating_add(self.free.len()) >= KEPT {
            self.handed.pop_front();
        }
        if self.free.len() < KEPT {
            self.handed.push_back(message.clone());
        }
    }

    /// An empty buffer with room, or one without if there is none.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        if let Some(free) = self.free.pop() {
            return free;
        }
        let Some(oldest) = self.handed.pop_front() else { return Vec::new() };
        match oldest.try_into_mut() {
            Ok(mut unheld) => {
                unheld.clear();
                Vec::from(unheld)
            }
            Err(held) => {
                self.handed.push_back(held);
                Vec::new()
            }
        }
    }

    /// A buffer from [`Self::take`] that was not needed.
    pub(crate) fn give_back(&mut self, buffer: Vec<u8>) {
        let kept = self.handed.len().saturating_add(self.free.len());
        if (LARGE..=KEPT_MAX).contains(&buffer.capacity()) && kept < KEPT {
            self.free.push(buffer);
        }
    }

    /// Keeps nothing any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn message(len: usize) -> Bytes {
        let mut message = Bytes::from(vec![7; len]);
        // As from a message's length in front.
        let _ = message.split_to(3);
        message
    }

    #[test]
    fn a_buffer_comes_back_once_nobody_holds_it() {
        let mut recycler = Recycler::default();
        let held = message(20_000);
        recycler.on_taken(&held);
        assert_eq!(recycler.take().capacity(), 0);
        assert_eq!(held.len(), 19_997);
        let at = held.as_ptr();
        drop(held);
        let buffer = recycler.take();
        assert!(buffer.is_empty() && buffer.capacity() == 20_000);
        assert_eq!(buffer.as_ptr(), at.wrapping_sub(3), "the same, from its beginning");
        assert_eq!(recycler.take().capacity(), 0, "it is given once");
        recycler.give_back(buffer);
        assert_eq!(recycler.take().capacity(), 20_000);
    }

    #[test]
    fn neither_too_small_nor_too_large_nor_too_many_are_kept() {
        let mut recycler = Recycler::default();
        recycler.on_taken(&message(LARGE + 2));
        recycler.on_taken(&message(KEPT_MAX + 4));
        assert!(recycler.handed.is_empty());
        for _ in 0..10 {
            recycler.on_taken(&message(KEPT_MAX));
        }
        recycler.give_back(Vec::with_capacity(LARGE));
        assert_eq!((recycler.handed.len(), recycler.free.len()), (4, 0));
        let buffers: Vec<_> = (0..4).map(|_| recycler.take()).collect();
        assert!(buffers.iter().all(|buffer| buffer.capacity() == KEPT_MAX));
        for buffer in buffers.into_iter().chain([Vec::with_capacity(LARGE)]) {
            recycler.give_back(buffer);
        }
        recycler.on_taken(&message(KEPT_MAX));
        assert_eq!((recycler.handed.len(), recycler.free.len()), (0, 4));
        recycler.clear();
        assert_eq!(recycler.take().capacity(), 0);
    }
}
