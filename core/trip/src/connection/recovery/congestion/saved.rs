//! Saving and restoring by one listing of the fields, so that the two cannot differ.
//!
//! A part walks over its fields in order, with a [`Walk`] that writes each of them down or reads
//! it back. What the values mean is checked by whoever restores.
#![deny(clippy::arithmetic_side_effects)]

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use tripline_sansio::codec::{ReadError, Reader, Writer};
use tripline_sansio::{Duration, Instant};

/// A way over the fields of a state.
pub(super) enum Walk<'a> {
    /// Appends each field.
    Save(&'a mut Vec<u8>),
    /// Overwrites each field with what was saved.
    Restore(Reader<'a>),
}

/// A part of a controller's state.
pub(super) trait Fields {
    /// Walks over all fields in a fixed order.
    ///
    /// # Errors
    /// If what was saved ends too early, or a flag is neither 0 nor 1.
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError>;
}

/// Appends `mark` and the fields of `state`.
pub(super) fn save(mark: u8, state: &mut impl Fields, out: &mut Vec<u8>) {
    out.push(mark);
    // Writing down cannot fail.
    let _ = state.walk(&mut Walk::Save(out));
}

/// Overwrites `state` with what [`save`] wrote under the same mark; whether it did, to the last
/// byte. If not, `state` is worthless.
pub(super) fn restore(mark: u8, state: &mut impl Fields, saved: &[u8]) -> bool {
    let mut reader = Reader::new(saved);
    if reader.u8() != Ok(mark) {
        return false;
    }
    let mut walk = Walk::Restore(reader);
    let read = state.walk(&mut walk);
    read.is_ok() && matches!(walk, Walk::Restore(rest) if rest.is_empty())
}

impl Walk<'_> {
    /// A number.
    pub(super) fn u64(&mut self, value: &mut u64) -> Result<(), ReadError> {
        match self {
            Self::Save(out) => {
                Writer::new(out).u64(*value);
            }
            Self::Restore(reader) => *value = reader.u64()?,
        }
        Ok(())
    }

    /// Several numbers.
    pub(super) fn all(&mut self, values: &mut [&mut u64]) -> Result<(), ReadError> {
        values.iter_mut().try_for_each(|value| self.u64(value))
    }

    /// A small number.
    pub(super) fn u8(&mut self, value: &mut u8) -> Result<(), ReadError> {
        match self {
            Self::Save(out) => out.push(*value),
            Self::Restore(reader) => *value = reader.u8()?,
        }
        Ok(())
    }

    /// A flag. Anything but 0 and 1 counts as cut off.
    pub(super) fn flag(&mut self, value: &mut bool) -> Result<(), ReadError> {
        let mut byte = u8::from(*value);
        self.u8(&mut byte)?;
        if byte > 1 {
            return Err(ReadError::Short { missing: 0 });
        }
        *value = byte == 1;
        Ok(())
    }

    /// A point in time.
    pub(super) fn instant(&mut self, value: &mut Instant) -> Result<(), ReadError> {
        let mut nanos = value.as_nanos();
        self.u64(&mut nanos)?;
        *value = Instant::from_nanos(nanos);
        Ok(())
    }

    /// A length of time, as nanoseconds; one that does not fit becomes the longest that does.
    pub(super) fn duration(&mut self, value: &mut Duration) -> Result<(), ReadError> {
        let mut nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.u64(&mut nanos)?;
        *value = Duration::from_nanos(nanos);
        Ok(())
    }

    /// A value that may be missing; `empty` is what is read over.
    pub(super) fn option<T>(
        &mut self,
        value: &mut Option<T>,
        empty: T,
        each: impl FnOnce(&mut Self, &mut T) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut present = value.is_some();
        self.flag(&mut present)?;
        if present {
            each(self, value.get_or_insert(empty))
        } else {
            *value = None;
            Ok(())
        }
    }

    /// A list of at most `most` parts; more counts as cut off. `empty` is what is read over.
    pub(super) fn list<T: Fields + Clone>(
        &mut self,
        list: &mut VecDeque<T>,
        empty: T,
        most: usize,
    ) -> Result<(), ReadError> {
        let mut count = u64::try_from(list.len()).unwrap_or(u64::MAX);
        self.u64(&mut count)?;
        if let Self::Restore(reader) = self {
            // Each part takes a byte at least, so a lie about their count reserves nothing.
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if count > most || count > reader.remaining() {
                return Err(ReadError::Short { missing: count });
            }
            list.clear();
            list.resize(count, empty);
        }
        list.iter_mut().try_for_each(|part| part.walk(self))
    }
}
