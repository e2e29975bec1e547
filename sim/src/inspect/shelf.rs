//! The connections that the inspector remembers, by serial numbers that count up.
//!
//! They come at one end and go at the other, so a number says where its connection stands: it is
//! looked up several times for each packet.

use super::connection::Connection;
use std::collections::VecDeque;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// The serial number of the first.
    first: u64,
    all: VecDeque<Box<Connection>>,
}

impl Shelf {
    fn place(&self, serial: u64) -> Option<usize> {
        usize::try_from(serial.checked_sub(self.first)?).ok()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of the connection that comes next.
    pub(super) fn next_serial(&self) -> u64 {
        self.first + self.all.len() as u64
    }

    /// Takes in a connection, as [`Self::next_serial`].
    pub(super) fn push(&mut self, connection: Connection) {
        self.all.push_back(Box::new(connection));
    }

    /// Takes out the oldest.
    pub(super) fn pop(&mut self) -> Option<(u64, Connection)> {
        let oldest = self.all.pop_front()?;
        self.first += 1;
        Some((self.first - 1, *oldest))
    }

    /// The connection of this number, if it is remembered.
    pub(super) fn get(&self, serial: u64) -> Option<&Connection> {
        self.all.get(self.place(serial)?).map(|connection| &**connection)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, serial: u64) -> Option<&mut Connection> {
        let place = self.place(serial)?;
        self.all.get_mut(place).map(|connection| &mut **connection)
    }
}
