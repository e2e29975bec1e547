//! What has come and nobody has taken yet: requests and notifications, up to a bound.

use super::Front;
use super::books::Topic;
use bytes::Bytes;
use tripline_rpc::{ConnId, Method, Refusal, RequestId};
use tripline_sansio::Instant;

/// Requests and notifications that nobody has taken, at most. Requests beyond are refused as *busy*
/// and notifications dropped, both counted.
const ARRIVALS_MAX: usize = 65_536;

/// Their bytes, of all connections and of one.
const ARRIVED_BYTES_MAX: usize = 64 << 20;
const ARRIVED_BYTES_EACH: usize = 16 << 20;

/// What an arrival counts beside its bytes.
const ARRIVAL_COST: usize = 256;

/// What has come and was not taken.
#[derive(Debug)]
pub(crate) enum Arrival {
    Request {
        conn: ConnId,
        request: RequestId,
        method: Method,
        payload: Bytes,
        deadline: Option<Instant>,
    },
    Notification {
        conn: ConnId,
        method: Method,
        payload: Bytes,
    },
}

impl Arrival {
    /// Whose it is, and what it costs while it waits.
    fn cost(&self) -> (ConnId, usize) {
        let (Self::Request { conn, payload, .. } | Self::Notification { conn, payload, .. }) = self;
        (*conn, payload.len() + ARRIVAL_COST)
    }
}

impl Front {
    /// Whether what has come from a connection may wait to be taken.
    pub(super) fn has_room_for(&mut self, conn: ConnId, payload: &Bytes) -> bool {
        let cost = payload.len() + ARRIVAL_COST;
        self.arrivals.len() < ARRIVALS_MAX
            && self.arrived + cost <= ARRIVED_BYTES_MAX
            && self.book(conn).arrived + cost <= ARRIVED_BYTES_EACH
    }

    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let (conn, cost) = arrival.cost();
        self.arrived += cost;
        self.book(conn).arrived += cost;
        self.arrivals.push_back(arrival);
        self.wake(Topic::Arrival);
    }

    /// The next that has come; requests that nobody waits for any more are skipped.
    pub(crate) fn next_arrival(&mut self) -> Option<Arrival> {
        loop {
            let arrival = self.arrivals.pop_front()?;
            let (conn, cost) = arrival.cost();
            self.arrived -= cost;
            if let Some(book) = self.books.get_mut(&conn) {
                book.arrived = book.arrived.saturating_sub(cost);
            }
            match &arrival {
                Arrival::Request { conn, request, .. } if !self.is_waiting(*conn, *request) => {}
                _ => return Some(arrival),
            }
        }
    }

    /// Nobody will take what has come.
    pub(crate) fn turn_away(&mut self, now: Instant) {
        while let Some(arrival) = self.next_arrival() {
            if let Arrival::Request { conn, request, .. } = arrival {
                // Its caller may be gone.
                let _ = self.node.refuse(now, conn, request, Refusal::GoingAway, b"");
            }
        }
    }
}
