//! Lanes: by which order and with which priority messages travel.
#![deny(clippy::arithmetic_side_effects)]

use core::fmt;
use tripline::{Order, StreamOptions};

/// One of sixteen ways that messages can go beside each other over one pipe: a priority from 0
/// (most urgent) to 7, and whether messages come in the order in which they were sent.
///
/// Over TRiP each lane that is used is a stream: what is lost or large on one holds up no other.
/// On an unordered lane a loss holds up nothing but the message that was lost. Over a pipe that is
/// one run of bytes (TCP, TLS) all lanes are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// How many there are.
    pub const COUNT: usize = 16;

    /// Ordered, with the priority that streams have by default.
    pub const DEFAULT: Self = Self::ordered(StreamOptions::PRIORITY);

    const UNORDERED: u8 = 8;

    /// Messages come in order. A priority above 7 counts as 7.
    pub const fn ordered(priority: u8) -> Self {
        Self(if priority > 7 { 7 } else { priority })
    }

    /// Messages come as they arrive.
    pub const fn unordered(priority: u8) -> Self {
        Self(Self::ordered(priority).0 | Self::UNORDERED)
    }

    /// The one of the same priority on which messages come in order.
    pub const fn in_order(self) -> Self {
        Self::ordered(self.priority())
    }

    /// 0 (most urgent) to 7.
    pub const fn priority(self) -> u8 {
        self.0 & 7
    }

    /// Whether messages come in the order in which they were sent.
    pub const fn is_ordered(self) -> bool {
        self.0 & Self::UNORDERED == 0
    }

    /// The order of its stream.
    pub const fn order(self) -> Order {
        if self.is_ordered() { Order::Ordered } else { Order::Unordered }
    }

    /// Its number, below [`Self::COUNT`].
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The lane of a number.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < 16 { Some(Self(number)) } else { None }
    }

    pub(crate) const fn bit(self) -> u16 {
        1_u16.wrapping_shl(self.0 as u32)
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.is_ordered() { "ordered" } else { "unordered" };
        write!(f, "Lane::{order}({})", self.priority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_has_its_number() {
        for number in 0..16 {
            let lane = Lane::from_number(number).unwrap();
            let made = if lane.is_ordered() {
                Lane::ordered(lane.priority())
            } else {
                Lane::unordered(lane.priority())
            };
            assert_eq!(
                (made, made.number(), made.bit().trailing_zeros()),
                (lane, number, u32::from(number))
            );
        }
        assert_eq!(Lane::from_number(16), None);
        assert_eq!(Lane::ordered(200), Lane::ordered(7));
    }
}
