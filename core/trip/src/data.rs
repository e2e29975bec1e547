//! The user's own data, one value for each connection or stream (row T77).
//!
//! In go handles, stream IDs and the user's values; out come the values again. Every look-up checks
//! the handle's generation, so what was kept for a connection that is gone never reaches the one
//! that has its slot now. The engine knows nothing of these tables: it holds no user data, and a
//! table holds no engine state; who puts a value in takes it out, as a rule when the connection
//! ends.

use crate::handle::ConnectionHandle;
use crate::wire::StreamId;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A value of type `T` for each connection of one endpoint.
///
/// Look-ups cost an index and a comparison. The table grows to the largest
/// [slot](ConnectionHandle::slot) used, so to the most connections alive at once.
///
/// ```
/// use tripline::{ConnectionData, ConnectionHandle};
/// struct Player { name: String }
/// let mut players: ConnectionData<Player> = ConnectionData::new();
/// # fn on_connected(players: &mut ConnectionData<Player>, connection: ConnectionHandle) {
/// players.insert(connection, Player { name: "ada".into() }); // at `Event::Connected`
/// let name = players.get(connection).map(|player| player.name.as_str());
/// players.remove(connection); // at `Event::Closed` and `Event::Lost`
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionData<T> {
    slots: Vec<Option<(u32, T)>>,
    len: usize,
}

impl<T> ConnectionData<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), len: 0 }
    }

    /// How many connections have a value.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no connection has a value.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a value for a connection, and hands back the one that was in its slot: its own, or
    /// that of an older connection which nobody took out. The handle of a connection older than the
    /// one whose value is there changes nothing, and its value comes back.
    pub fn insert(&mut self, connection: ConnectionHandle, value: T) -> Option<T> {
        let Ok(index) = usize::try_from(connection.slot) else { return Some(value) };
        if self.slots.len() <= index {
            self.slots.resize_with(index.saturating_add(1), || None);
        }
        let Some(place) = self.slots.get_mut(index) else { return Some(value) };
        if place.as_ref().is_some_and(|(held, _)| is_older(connection.generation, *held)) {
            return Some(value);
        }
        let before = place.replace((connection.generation, value));
        if before.is_none() {
            self.len = self.len.saturating_add(1);
        }
        before.map(|(_, value)| value)
    }

    /// The value of a connection.
    pub fn get(&self, connection: ConnectionHandle) -> Option<&T> {
        match self.slots.get(usize::try_from(connection.slot).ok()?)? {
            Some((generation, value)) if *generation == connection.generation => Some(value),
            _ => None,
        }
    }

    /// The value of a connection, to be changed.
    pub fn get_mut(&mut self, connection: ConnectionHandle) -> Option<&mut T> {
        match self.slots.get_mut(usize::try_from(connection.slot).ok()?)? {
            Some((generation, value)) if *generation == connection.generation => Some(value),
            _ => None,
        }
    }

    /// Takes a connection's value out.
    pub fn remove(&mut self, connection: ConnectionHandle) -> Option<T> {
        let place = self.slots.get_mut(usize::try_from(connection.slot).ok()?)?;
        let (_, value) = place.take_if(|(generation, _)| *generation == connection.generation)?;
        self.len = self.len.saturating_sub(1);
        Some(value)
    }

    /// All connections with their values, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionHandle, &T)> {
        (0u32..).zip(&self.slots).filter_map(|(slot, place)| {
            let (generation, value) = place.as_ref()?;
            Some((ConnectionHandle { slot, generation: *generation }, value))
        })
    }
}

impl<T> Default for ConnectionData<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether generation `a` came before `b`. Generations wrap; half of their range is the past.
fn is_older(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

/// A value of type `T` for each stream of one endpoint, connection by connection.
///
/// ```
/// use tripline::{ConnectionHandle, StreamData, StreamId};
/// struct Download { received: usize }
/// let mut downloads: StreamData<Download> = StreamData::new();
/// # fn on_opened(downloads: &mut StreamData<Download>, at: ConnectionHandle, stream: StreamId) {
/// downloads.insert(at, stream, Download { received: 0 }); // at `Event::Opened`
/// downloads.remove(at, stream); // at `ReceiveResult::Finished`
/// downloads.remove_connection(at); // at `Event::Closed` and `Event::Lost`
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StreamData<T> {
    connections: ConnectionData<BTreeMap<StreamId, T>>,
}

impl<T> StreamData<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { connections: ConnectionData::new() }
    }

    /// Keeps a value for a stream, and hands back the one that it had. What an older connection of
    /// the same slot left behind is dropped; for the handle of such an older connection nothing
    /// changes, and the value comes back.
    pub fn insert(&mut self, at: ConnectionHandle, stream: StreamId, value: T) -> Option<T> {
        if let Some(streams) = self.connections.get_mut(at) {
            return streams.insert(stream, value);
        }
        let refused = self.connections.insert(at, BTreeMap::from([(stream, value)]))?;
        // An older connection's streams, or our own value back.
        match self.connections.get(at) {
            Some(_) => None,
            None => refused.into_values().next(),
        }
    }

    /// The value of a stream.
    pub fn get(&self, at: ConnectionHandle, stream: StreamId) -> Option<&T> {
        self.connections.get(at)?.get(&stream)
    }

    /// The value of a stream, to be changed.
    pub fn get_mut(&mut self, at: ConnectionHandle, stream: StreamId) -> Option<&mut T> {
        self.connections.get_mut(at)?.get_mut(&stream)
    }

    /// Takes a stream's value out.
    pub fn remove(&mut self, at: ConnectionHandle, stream: StreamId) -> Option<T> {
        self.connections.get_mut(at)?.remove(&stream)
    }

    /// Takes out the values of all streams of a connection, by stream.
    pub fn remove_connection(
        &mut self,
        at: ConnectionHandle,
    ) -> impl Iterator<Item = (StreamId, T)> + use<T> {
        self.connections.remove(at).unwrap_or_default().into_iter()
    }

    /// The streams of a connection that have a value, in the order of their IDs.
    pub fn iter(&self, at: ConnectionHandle) -> impl Iterator<Item = (StreamId, &T)> {
        self.connections.get(at).into_iter().flatten().map(|(stream, value)| (*stream, value))
    }
}

impl<T> Default for StreamData<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Direction, Order, Side};
    use alloc::vec;

    fn handle(slot: u32, generation: u32) -> ConnectionHandle {
        ConnectionHandle { slot, generation }
    }

    fn stream(index: u64) -> StreamId {
        StreamId::new(index, Order::Ordered, Direction::TwoWay, Side::Client).expect("in range")
    }

    /// T77: a value is found by the handle it was kept for, and by no other of the same slot.
    #[test]
    fn t77_data_belongs_to_one_connection() {
        let mut data = ConnectionData::new();
        assert_eq!(data.insert(handle(2, 7), "a"), None);
        assert_eq!((data.get(handle(2, 7)), data.len()), (Some(&"a"), 1));
        for other in [handle(2, 6), handle(2, 8), handle(1, 7), handle(9, 7)] {
            assert_eq!((data.get(other).copied(), data.remove(other)), (None, None), "{other:?}");
            assert_eq!(data.get_mut(other), None, "{other:?}");
        }
        *data.get_mut(handle(2, 7)).expect("is there") = "b";
        assert_eq!(data.iter().collect::<Vec<_>>(), vec![(handle(2, 7), &"b")]);
        assert_eq!(data.remove(handle(2, 7)), Some("b"));
        assert!(data.is_empty());
    }

    /// T77: the newcomer in a slot takes it over; a handle of before does not take it back.
    #[test]
    fn t77_the_newer_connection_has_the_slot() {
        let mut data = ConnectionData::new();
        data.insert(handle(0, u32::MAX), 1);
        assert_eq!(data.insert(handle(0, 0), 2), Some(1), "generations wrap");
        assert_eq!(data.insert(handle(0, u32::MAX), 3), Some(3), "too late");
        assert_eq!((data.get(handle(0, 0)), data.len()), (Some(&2), 1));
    }

    #[test]
    fn t77_streams_have_data_of_their_own() {
        let mut data = StreamData::new();
        let (at, next) = (handle(0, 0), handle(0, 1));
        assert_eq!(data.insert(at, stream(1), "one"), None);
        assert_eq!(data.insert(at, stream(0), "zero"), None);
        assert_eq!(data.insert(at, stream(1), "uno"), Some("one"));
        assert_eq!(data.get(next, stream(1)), None);
        assert_eq!(data.remove(at, stream(0)), Some("zero"));
        assert_eq!(data.insert(next, stream(1), "other"), None, "what was left is dropped");
        assert_eq!(data.insert(at, stream(2), "late"), Some("late"));
        assert_eq!(data.iter(next).collect::<Vec<_>>(), vec![(stream(1), &"other")]);
        *data.get_mut(next, stream(1)).expect("is there") = "changed";
        assert_eq!(data.remove_connection(next).collect::<Vec<_>>(), vec![(stream(1), "changed")]);
        assert_eq!(data.get(next, stream(1)), None);
    }
}
