//! The probe: a machine that does what scenes order it to.

use crate::order::{Alarm, Orders};
use crate::told::Told;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tripline_sansio::{Duration, Ecn, Instant, Path, Transmit};

/// The probe's own state; the machine in the loop is a handle of it.
#[derive(Debug)]
pub(crate) struct Probe {
    /// What it does at its timeouts.
    alarms: VecDeque<Orders>,
    /// Transmits to give out: how many, and of how many datagrams each.
    queue: VecDeque<(u16, u8)>,
    deadline: Option<Instant>,
    /// The deadline to be had after the drain.
    drained: Option<Duration>,
    sticky: bool,
    events: VecDeque<Told>,
    /// Events so far.
    told: u64,
    /// Transmits so far.
    number: u64,
}

impl Probe {
    pub(crate) fn new(alarms: VecDeque<Orders>) -> Self {
        Self {
            alarms,
            queue: VecDeque::new(),
            deadline: None,
            drained: None,
            sticky: false,
            events: VecDeque::new(),
            told: 0,
            number: 0,
        }
    }

    /// Does as it is told.
    pub(crate) fn obey(&mut self, now: Instant, orders: Orders) {
        if orders.transmits > 0 {
            self.queue.push_back((orders.transmits, orders.segments.max(1)));
        }
        for _ in 0..orders.events {
            self.events.push_back(Told(self.told));
            self.told += 1;
        }
        match orders.alarm {
            Alarm::Keep => return,
            Alarm::Off => self.deadline = None,
            Alarm::In(time) => self.deadline = Some(now + time),
            Alarm::Drained(time) => self.drained = Some(time),
        }
        self.sticky = orders.sticky;
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        // Rule 6: to be told the time early is harmless.
        if self.deadline.is_none_or(|deadline| deadline > now) || self.sticky {
            return;
        }
        self.deadline = None;
        if let Some(orders) = self.alarms.pop_front() {
            self.obey(now, orders);
        }
    }

    /// The next transmit. Its datagrams are all different from each other.
    pub(crate) fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let Some((count, segments)) = self.queue.front_mut() else {
            if let Some(time) = self.drained.take() {
                self.deadline = Some(now + time);
            }
            if std::mem::take(&mut self.sticky) {
                self.deadline = None;
            }
            return None;
        };
        let segments = *segments;
        *count -= 1;
        if *count == 0 {
            self.queue.pop_front();
        }
        let number = self.number;
        self.number += 1;
        let [.., low] = number.to_be_bytes();
        let size = 16 + usize::from(low % 40);
        let before = out.len();
        for segment in 0..segments {
            // The last of a train may be shorter.
            let short = usize::from(segment + 1 == segments && segments > 1 && low % 2 == 1) * 5;
            let end = out.len() + size - short;
            out.extend(number.to_be_bytes());
            out.push(segment);
            out.resize(end, low);
        }
        let remote = SocketAddr::from(([192, 0, 2, low % 3 + 1], 4_000 + u16::from(low % 5)));
        let local = (low % 2 == 0).then_some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)));
        let ecn = match low % 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect0,
            _ => Ecn::Ect1,
        };
        let len = out.len() - before;
        Some(Transmit { path: Path { remote, local }, ecn, len, segment_size: size })
    }

    /// Takes all transmits at once, for a machine that makes bytes of them.
    pub(crate) fn take_transmits(&mut self) -> u16 {
        self.queue.drain(..).fold(0, |sum, (count, _)| sum.saturating_add(count))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How many events wait.
    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn event(&mut self) -> Option<Told> {
        self.events.pop_front()
    }
}
