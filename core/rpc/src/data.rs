//! The user's own data, one value for each connection, call or request (rows M28, N23).
//!
//! In go handles and values; out come the values again. Every look-up checks the handle's
//! generation, so what was kept for one that is over never reaches the one that has its slot now.
//! Nodes and peers know nothing of these tables; who puts a value in takes it out, as a rule with
//! the handle's last event.
#![deny(clippy::arithmetic_side_effects)]

use crate::event::{CallId, RequestId};
use crate::msgbox::{BoxRequestId, ContactId, GetId};
use crate::node::ConnId;
use crate::slots::Key;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// A small name of something, whose slot is used again.
pub trait Handle: Copy + sealed::Keyed {}

mod sealed {
    /// What only handles of this crate are.
    pub trait Keyed {
        /// Slot and generation.
        fn place(self) -> (u32, u32);
    }
}

macro_rules! handles {
    ($($name:ty),*) => {$(
        impl sealed::Keyed for $name {
            fn place(self) -> (u32, u32) {
                let Self(Key { slot, generation }) = self;
                (slot, generation)
            }
        }
        impl Handle for $name {}
    )*};
}

handles!(ConnId, CallId, RequestId, ContactId, GetId, BoxRequestId);

/// A value of type `T` for each handle: of the connections of one node, or of the calls or requests
/// of one connection.
///
/// ```
/// use tripline_rpc::{CallId, HandleMap};
/// let mut askers: HandleMap<CallId, &str> = HandleMap::new();
/// # fn on_asked(askers: &mut HandleMap<CallId, &'static str>, call: CallId) {
/// askers.insert(call, "ada"); // when the call is made
/// assert_eq!(askers.remove(call), Some("ada")); // with its outcome
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HandleMap<H, T> {
    slots: Vec<Option<(u32, T)>>,
    len: usize,
    handle: PhantomData<fn(H)>,
}

impl<H, T> Default for HandleMap<H, T> {
    fn default() -> Self {
        Self { slots: Vec::new(), len: 0, handle: PhantomData }
    }
}

impl<H: Handle, T> HandleMap<H, T> {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many handles have a value.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a value, and hands back the one that was in its slot: its own, or that of an older
    /// handle which nobody took out.
    pub fn insert(&mut self, handle: H, value: T) -> Option<T> {
        let (slot, generation) = handle.place();
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        if self.slots.len() <= index {
            self.slots.resize_with(index.saturating_add(1), || None);
        }
        let before = self.slots.get_mut(index)?.replace((generation, value));
        if before.is_none() {
            self.len = self.len.saturating_add(1);
        }
        before.map(|(_, value)| value)
    }

    /// The value of a handle.
    pub fn get(&self, handle: H) -> Option<&T> {
        let (slot, generation) = handle.place();
        let place = self.slots.get(usize::try_from(slot).ok()?)?;
        place.as_ref().filter(|(of, _)| *of == generation).map(|(_, value)| value)
    }

    /// The value of a handle, to be changed.
    pub fn get_mut(&mut self, handle: H) -> Option<&mut T> {
        let (slot, generation) = handle.place();
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        place.as_mut().filter(|(of, _)| *of == generation).map(|(_, value)| value)
    }

    /// Takes the value of a handle out.
    pub fn remove(&mut self, handle: H) -> Option<T> {
        let (slot, generation) = handle.place();
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        let (_, value) = place.take_if(|(of, _)| *of == generation)?;
        self.len = self.len.saturating_sub(1);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M28, N23, N27: what was kept for a handle never reaches the next one in its slot.
    #[test]
    fn m28_a_value_belongs_to_its_handle_alone() {
        let call = |generation| CallId(Key { slot: 3, generation });
        let mut names = HandleMap::new();
        assert_eq!(names.insert(call(0), "ada"), None);
        assert_eq!((names.get(call(0)), names.get(call(1))), (Some(&"ada"), None));
        assert_eq!((names.remove(call(1)), names.len()), (None, 1));
        assert_eq!(names.insert(call(1), "bob"), Some("ada"), "what nobody took out");
        *names.get_mut(call(1)).unwrap() = "eve";
        assert_eq!(names.get_mut(call(0)), None);
        assert_eq!(names.remove(call(1)), Some("eve"));
        assert!(names.is_empty());
    }
}
