//! Stream IDs: `index << 4 | order << 2 | one-way << 1 | opened-by-server` (PROTOCOL.md §4).

use core::fmt;

/// In which order a stream's receiver delivers (PROTOCOL.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// A byte stream: chunks in order, without boundaries, always reliable.
    Bytes,
    /// Messages in order; a gap holds up the rest until it is filled or skipped.
    Ordered,
    /// Messages as soon as each is complete.
    Unordered,
    /// Messages as soon as complete, never one older than one already delivered.
    Latest,
}

/// Who may send on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Both sides.
    TwoWay,
    /// Only the side that opened it.
    OneWay,
}

/// One of the two sides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The side that sent OPEN.
    Client,
    /// The side that answered it.
    Server,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The name of a stream: its index, order, direction and opener, in one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// Indexes lie below this (R-FRAME-3), so that every ID is a variable-length integer.
    pub const INDEX_LIMIT: u64 = 1 << 58;

    /// The ID of the stream with these properties; `None` if `index` is not below
    /// [`Self::INDEX_LIMIT`].
    pub const fn new(index: u64, order: Order, direction: Direction, opener: Side) -> Option<Self> {
        if index >= Self::INDEX_LIMIT {
            return None;
        }
        let order = match order {
            Order::Bytes => 0,
            Order::Ordered => 1 << 2,
            Order::Unordered => 2 << 2,
            Order::Latest => 3 << 2,
        };
        let one_way = match direction {
            Direction::TwoWay => 0,
            Direction::OneWay => 1 << 1,
        };
        let server = match opener {
            Side::Client => 0,
            Side::Server => 1,
        };
        Some(Self((index << 4) | order | one_way | server))
    }

    /// The ID with this number on the wire; `None` if its index is out of range.
    pub const fn from_number(number: u64) -> Option<Self> {
        if number >> 4 >= Self::INDEX_LIMIT { None } else { Some(Self(number)) }
    }

    /// The number on the wire.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The how-manieth stream of its opener in its direction, from 0. All orders count together.
    pub const fn index(self) -> u64 {
        self.0 >> 4
    }

    /// In which order the receiver delivers.
    pub const fn order(self) -> Order {
        match (self.0 >> 2) & 3 {
            0 => Order::Bytes,
            1 => Order::Ordered,
            2 => Order::Unordered,
            _ => Order::Latest,
        }
    }

    /// Who may send.
    pub const fn direction(self) -> Direction {
        if self.0 & 2 == 0 { Direction::TwoWay } else { Direction::OneWay }
    }

    /// Who opened it.
    pub const fn opener(self) -> Side {
        if self.0 & 1 == 0 { Side::Client } else { Side::Server }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, opener) = (self.direction(), self.opener());
        write!(f, "{:?}#{}({direction:?}, {opener:?})", self.order(), self.index())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-STREAM-1: the ID holds kind and opener, and every one of them reads back.
    #[test]
    fn every_property_reads_back() {
        for order in [Order::Bytes, Order::Ordered, Order::Unordered, Order::Latest] {
            for direction in [Direction::TwoWay, Direction::OneWay] {
                for opener in [Side::Client, Side::Server] {
                    for index in [0, 1, StreamId::INDEX_LIMIT - 1] {
                        let id = StreamId::new(index, order, direction, opener).unwrap();
                        assert_eq!(StreamId::from_number(id.number()), Some(id));
                        assert_eq!(
                            (id.index(), id.order(), id.direction(), id.opener()),
                            (index, order, direction, opener)
                        );
                    }
                }
            }
        }
        assert_eq!(StreamId::new(1 << 58, Order::Bytes, Direction::TwoWay, Side::Client), None);
        assert_eq!(StreamId::from_number(1 << 62), None);
    }
}
