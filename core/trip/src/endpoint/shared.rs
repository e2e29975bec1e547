//! Trains that several connections share: what a service mesh, a proxy or a test tool sends, which
//! has many connections to one address and little to say on each.
//!
//! In comes a small datagram that a connection has just written and that it says nothing behind;
//! out come trains of such datagrams, equal in size and of one path, each for one system call. A
//! connection that is told that it has company fills its small packets up (R-DATA-4b), or hardly
//! any two would have one size. All of them leave before the drain ends; a drain that is broken off
//! goes on with them.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use crate::carrier::LinkId;
use crate::connection::{SHARED_SIZE_MAX, TRAIN_MAX};
use alloc::vec::Vec;
use tripline_sansio::{Path, Transmit};

/// So many trains are in the making at once; what fits none goes alone.
const TRAINS: usize = 8;

/// A train in the making; free if it has no bytes.
#[derive(Debug)]
struct Train {
    /// Of one datagram: path, mark, size.
    first: Transmit,
    bytes: Vec<u8>,
}

impl Train {
    fn transmit(&self) -> Transmit {
        Transmit { len: self.bytes.len(), ..self.first }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It goes as it is.
    Not,
    /// It was taken out of the buffer and waits.
    Waits,
    /// The same, and the train is at its full length.
    Full,
}

/// The trains in the making.
#[derive(Debug, Default)]
pub(super) struct Shared {
    trains: Vec<Train>,
    /// How often all of them have left.
    round: u32,
}

impl Shared {
    /// Moves the datagram at the end of `out` into a train that it fits, of at most `segments`.
    pub(super) fn join(
        &mut self,
        transmit: Transmit,
        out: &mut Vec<u8>,
        segments: usize,
    ) -> Joined {
        let small = transmit.len == transmit.segment_size && transmit.len <= SHARED_SIZE_MAX;
        let Some(at) = out.len().checked_sub(transmit.len).filter(|_| small) else {
            return Joined::Not;
        };
        let Some(train) = self.train(transmit) else { return Joined::Not };
        train.bytes.extend_from_slice(out.get(at..).unwrap_or_default());
        out.truncate(at);
        let longer = train.bytes.len().saturating_add(transmit.len);
        let most = segments.saturating_mul(transmit.len).min(TRAIN_MAX);
        if longer > most { Joined::Full } else { Joined::Waits }
    }

    /// The train for datagrams like this one.
    fn train(&mut self, first: Transmit) -> Option<&mut Train> {
        let fits = |train: &Train| !train.bytes.is_empty() && train.first == first;
        let free = |train: &Train| train.bytes.is_empty();
        let trains = &mut self.trains;
        let Some(place) = trains.iter().position(fits).or_else(|| trains.iter().position(free))
        else {
            if trains.len() >= TRAINS {
                return None;
            }
            trains.push(Train { first, bytes: Vec::new() });
            return trains.last_mut();
        };
        let train = trains.get_mut(place)?;
        train.first = first;
        Some(train)
    }

    /// Appends the train of the most datagrams to `out`; `None` if none waits.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        // Of several that are as long, the first.
        let waiting = self.trains.iter_mut().rev().filter(|train| !train.bytes.is_empty());
        let train = waiting.max_by_key(|train| train.transmit().segments())?;
        let transmit = train.transmit();
        out.append(&mut train.bytes);
        if self.is_empty() {
            self.round = self.round.wrapping_add(1);
        }
        Some(transmit)
    }

    fn is_empty(&self) -> bool {
        self.trains.iter().all(|train| train.bytes.is_empty())
    }

    /// How many datagrams wait.
    pub(super) fn waiting(&self) -> u64 {
        let segments = self.trains.iter().map(|train| train.transmit().segments());
        u64::try_from(segments.fold(0_usize, usize::saturating_add)).unwrap_or(u64::MAX)
    }

    /// Whether a train of this path is in the making.
    fn serves(&self, path: Path) -> bool {
        self.trains.iter().any(|train| !train.bytes.is_empty() && train.first.path == path)
    }

    /// Gives back the room of trains gone by.
    pub(super) fn shrink(&mut self) {
        self.trains.retain(|train| !train.bytes.is_empty());
        self.trains.shrink_to_fit();
    }
}

impl Endpoint {
    /// Lets the datagram at the end of `out`, of the connection in `slot`, wait for others, if it
    /// `may`.
    pub(super) fn join_others(
        &mut self,
        slot: u32,
        one: Transmit,
        out: &mut Vec<u8>,
        may: bool,
    ) -> Joined {
        if !may {
            return Joined::Not;
        }
        let joined = self.shared.join(one, out, self.config.segments_max);
        let place = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index));
        if let Some(place) = place.filter(|_| joined != Joined::Not) {
            place.shares = Some(self.shared.round);
        }
        joined
    }

    /// Whether a datagram of the connection in `slot` waits for others: it leaves before another is
    /// written, or the two would change places.
    pub(super) fn has_shared(&self, slot: u32) -> bool {
        let place = usize::try_from(slot).ok().and_then(|index| self.slots.get(index));
        let joined = place.is_some_and(|place| place.shares == Some(self.shared.round));
        joined && !self.shared.is_empty()
    }

    /// Appends a train that connections share. What waits goes before anything new is written.
    pub(super) fn take_shared(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let train = self.shared.take(out)?;
        self.count_sent(train.segments());
        Some(train)
    }

    /// Whether a small packet of the connection in `slot` may find others to go with: one that goes
    /// the same way waits already, or the next connection sends there too.
    pub(super) fn has_company(&self, slot: u32) -> bool {
        if self.config.segments_max < 2 || self.ready.len() < 2 {
            return false;
        }
        let path = |slot: &u32| {
            let place = self.slots.get(usize::try_from(*slot).ok()?)?;
            Some(place.connection.as_deref()?.remote())
        };
        let Some(here) = path(&slot).filter(|path| LinkId::of(path.remote).is_none()) else {
            return false;
        };
        self.shared.serves(here) || self.ready.get(1).and_then(path) == Some(here)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::net::SocketAddr;
    use tripline_sansio::Ecn;

    fn datagram(port: u16, len: usize) -> Transmit {
        let path = Path::to(SocketAddr::from(([127, 0, 0, 1], port)));
        Transmit { path, ecn: Ecn::NotEct, len, segment_size: len }
    }

    fn join(shared: &mut Shared, transmit: Transmit, byte: u8) -> Joined {
        let mut out = vec![0xee];
        out.resize(transmit.len + 1, byte);
        let joined = shared.join(transmit, &mut out, 3);
        assert_eq!(out.len(), if joined == Joined::Not { transmit.len + 1 } else { 1 });
        joined
    }

    #[test]
    fn equals_leave_together_and_nobody_else_with_them() {
        let mut shared = Shared::default();
        assert_eq!(join(&mut shared, datagram(1, 96), 1), Joined::Waits);
        assert_eq!(join(&mut shared, datagram(2, 96), 2), Joined::Waits);
        assert_eq!(join(&mut shared, datagram(1, 64), 3), Joined::Waits);
        assert_eq!(join(&mut shared, datagram(1, 96), 4), Joined::Waits);
        assert!(shared.serves(datagram(2, 1).path) && !shared.serves(datagram(3, 1).path));
        assert_eq!(join(&mut shared, datagram(1, 96), 5), Joined::Full);
        let mut out = Vec::new();
        assert_eq!(shared.waiting(), 5);
        let train = shared.take(&mut out).expect("a train");
        assert_eq!(train, Transmit { len: 288, ..datagram(1, 96) });
        assert_eq!(train.segments(), 3);
        assert_eq!(out.chunks(96).map(|bytes| bytes[0]).collect::<Vec<_>>(), [1, 4, 5]);
        assert_eq!(shared.take(&mut out), Some(datagram(2, 96)));
        assert_eq!(shared.take(&mut out), Some(datagram(1, 64)));
        assert_eq!(shared.take(&mut out), None);
        shared.shrink();
        assert_eq!(shared.trains.capacity(), 0);
    }

    #[test]
    fn what_fits_no_train_goes_alone() {
        let mut shared = Shared::default();
        assert_eq!(join(&mut shared, datagram(1, SHARED_SIZE_MAX + 1), 0), Joined::Not);
        for port in 0..8 {
            assert_eq!(join(&mut shared, datagram(port, 64), 0), Joined::Waits);
        }
        assert_eq!(join(&mut shared, datagram(8, 64), 0), Joined::Not);
        let mut out = Vec::new();
        shared.take(&mut out);
        assert_eq!(join(&mut shared, datagram(8, 64), 0), Joined::Waits);
    }
}
