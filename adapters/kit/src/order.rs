//! What the probe is to do, as a value that fits into a datagram.
//!
//! A scene orders the probe about: by the datagrams that come in, by what waits for its next
//! timeout, and from outside, as a user's call does.

use tripline_sansio::Duration;

/// What becomes of the probe's deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// It stays.
    Keep,
    /// There is none.
    Off,
    /// It is so long after now, from the order on.
    In(Duration),
    /// The same, but only once all that is to be sent was taken: a loop that reads the deadline
    /// before the drain sees an old one.
    Drained(Duration),
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Transmits to send.
    pub(crate) transmits: u16,
    /// Datagrams in each.
    pub(crate) segments: u8,
    /// Events to tell.
    pub(crate) events: u8,
    pub(crate) alarm: Alarm,
    /// A deadline that has come stays until all is sent, as that of a pacer does.
    pub(crate) sticky: bool,
}

impl Default for Orders {
    fn default() -> Self {
        Self::NOTHING
    }
}

/// Bytes of an order in a datagram; what follows is padding.
pub(crate) const LEN: usize = 14;

impl Orders {
    /// To do nothing.
    pub(crate) const NOTHING: Self =
        Self { transmits: 0, segments: 1, events: 0, alarm: Alarm::Keep, sticky: false };

    /// To send so many single datagrams.
    pub(crate) const fn send(transmits: u16) -> Self {
        Self { transmits, ..Self::NOTHING }
    }

    /// To send so many trains of so many datagrams.
    pub(crate) const fn trains(transmits: u16, segments: u8) -> Self {
        Self { transmits, segments, ..Self::NOTHING }
    }

    /// To tell so many events.
    pub(crate) const fn tell(events: u8) -> Self {
        Self { events, ..Self::NOTHING }
    }

    /// With so many events besides.
    pub(crate) const fn telling(self, events: u8) -> Self {
        Self { events, ..self }
    }

    /// With this change of the deadline besides.
    pub(crate) const fn alarm(self, alarm: Alarm) -> Self {
        Self { alarm, ..self }
    }

    /// With a deadline so many microseconds from now.
    pub(crate) const fn due_in_micros(self, micros: u64) -> Self {
        self.alarm(Alarm::In(Duration::from_micros(micros)))
    }

    /// As a datagram of `len` bytes, at least as many as the order takes.
    pub(crate) fn datagram(self, len: usize) -> Vec<u8> {
        let (kind, time) = match self.alarm {
            Alarm::Keep => (0, Duration::ZERO),
            Alarm::Off => (1, Duration::ZERO),
            Alarm::In(time) => (2, time),
            Alarm::Drained(time) => (3, time),
        };
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut bytes = self.transmits.to_be_bytes().to_vec();
        bytes.extend([self.segments, self.events, kind, u8::from(self.sticky)]);
        bytes.extend(nanos.to_be_bytes());
        bytes.resize(len.max(LEN), 0xa5);
        bytes
    }

    /// What a datagram says; nothing if it is none of ours.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let Some((fixed, time)) = bytes.get(..LEN).and_then(|bytes| bytes.split_first_chunk::<6>())
        else {
            return Self::NOTHING;
        };
        let [high, low, segments, events, kind, sticky] = *fixed;
        let nanos = time.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let time = Duration::from_nanos(nanos);
        let alarm = match kind {
            1 => Alarm::Off,
            2 => Alarm::In(time),
            3 => Alarm::Drained(time),
            _ => Alarm::Keep,
        };
        let transmits = u16::from_be_bytes([high, low]);
        Self { transmits, segments, events, alarm, sticky: sticky != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_its_datagram() {
        let time = Duration::from_micros(70_000);
        for alarm in [Alarm::Keep, Alarm::Off, Alarm::In(time), Alarm::Drained(time)] {
            let orders = Orders {
                transmits: 700,
                segments: 3,
                events: 9,
                alarm,
                sticky: alarm != Alarm::Off,
            };
            for len in [0, LEN, 1_200] {
                assert_eq!(Orders::read(&orders.datagram(len)), orders);
            }
        }
        assert_eq!(Orders::read(&[0; LEN - 1]), Orders::NOTHING);
    }
}
