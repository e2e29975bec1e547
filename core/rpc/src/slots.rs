//! A table whose places are used again, and whose keys know it.
//!
//! In go values, out come small keys; a key whose value was taken out finds nothing, however often
//! its place was used since (row N27), up to 2^32 times. The place freed last is used first: it is
//! the one that the processor still has at hand.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

/// Where a value stands, and which one it is of those that stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

#[derive(Clone, Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

#[derive(Clone, Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.places.len().saturating_sub(self.free.len())
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.places.get_mut(index(slot))
        {
            place.value = Some(value);
            return Key { slot, generation: place.generation };
        }
        let slot = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, value: Some(value) });
        Key { slot, generation: 0 }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(index(key.slot))?;
        place.value.as_ref().filter(|_| place.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(index(key.slot))?;
        place.value.as_mut().filter(|_| place.generation == key.generation)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(index(key.slot))?;
        if place.generation != key.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.slot);
        Some(value)
    }

    /// The key of the value that stands in a slot.
    pub(crate) fn key_at(&self, slot: u32) -> Option<Key> {
        let place = self.places.get(index(slot))?;
        place.value.as_ref().map(|_| Key { slot, generation: place.generation })
    }

    /// All keys, by slot.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let slots = 0..u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        slots.filter_map(|slot| self.key_at(slot)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N27: a key dies with its value, whatever comes to stand in its place.
    #[test]
    fn n27_a_key_dies_with_its_value() {
        let mut slots = Slots::default();
        let first = slots.insert('a');
        let second = slots.insert('b');
        assert_eq!(slots.remove(first), Some('a'));
        let third = slots.insert('c');
        assert_eq!((third.slot, slots.len()), (first.slot, 2));
        assert_eq!((slots.get(first), slots.len()), (None, 2));
        assert_eq!(slots.remove(first), None);
        *slots.get_mut(third).unwrap() = 'd';
        assert_eq!((slots.get(third), slots.get(second)), (Some(&'d'), Some(&'b')));
        assert_eq!(slots.keys(), [third, second]);
        assert_eq!(slots.key_at(9), None);
    }
}
