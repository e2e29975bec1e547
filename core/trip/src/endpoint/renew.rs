//! The endpoint's part in renewals: IDs and ephemeral keys for new zones (PROTOCOL.md §5.3).
//!
//! A connection says that it needs a half, the next drain gives it one; so every ID is issued and
//! released here, and a connection knows of no table (R-ID-3).
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::ids::Owner;
use crate::connection::OwnHalf;
use crate::crypto::SecretKey;
use crate::error::UnknownConnection;
use crate::handle::ConnectionHandle;
use alloc::boxed::Box;
use tripline_sansio::Instant;

/// What stands for no reset token (PROTOCOL.md §3).
const NO_TOKEN: [u8; 16] = [0; 16];

impl Endpoint {
    /// Renews the keys of a connection, as happens by itself after some time and many packets
    /// (row T24). Traffic goes on meanwhile; the number of the zone in the connection's counters
    /// rises when the new keys are in use. The wish waits until the connection is ready and its
    /// last renewal is done; several that wait are one.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn renew(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, |connection, _| connection.renew()).ok_or(UnknownConnection)
    }

    /// Gives the connection in `slot` its half of the next zone if it needs one, and takes back the
    /// IDs that it has done with. Whether it may now have something to send.
    ///
    /// With no ID to be had (PROTOCOL.md §11) the connection keeps its zone and asks again with the
    /// next drain.
    pub(super) fn tend_zones(&mut self, slot: u32) -> bool {
        let Some(connection) = self
            .slots
            .get_mut(usize::try_from(slot).unwrap_or(usize::MAX))
            .and_then(|place| place.connection.as_deref_mut())
        else {
            return false;
        };
        while let Some(id) = connection.take_released_id() {
            self.ids.release(id);
        }
        if !connection.wants_half() {
            return false;
        }
        let readable = connection.is_readable();
        let Some(id) = self.ids.issue(Owner::Connection(slot)) else {
            self.count(|drops| &mut drops.at_bound);
            return false;
        };
        // Where DATA stays readable anyone on the way could take the token and end us with it.
        let token = if readable { NO_TOKEN } else { self.reset_token(id) };
        let secret = Box::new(SecretKey::generate(&mut self.ephemerals));
        let half = OwnHalf::new(id, token, secret);
        self.with(slot, |connection, cx| connection.on_own_half(half, cx)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConnectOptions};
    use alloc::vec::Vec;
    use core::net::SocketAddr;
    use tripline_sansio::{DatagramMachine, Duration, Ecn, Path, Seed};

    /// Hands over whatever the two have to send until both are quiet.
    fn exchange(now: Instant, ends: &mut [(Endpoint, SocketAddr); 2]) {
        loop {
            let mut quiet = true;
            for (from, to) in [(0, 1), (1, 0)] {
                let mut out = Vec::new();
                while let Some(transmit) = ends[from].0.poll_transmit(now, &mut out) {
                    quiet = false;
                    let path = Path::to(ends[from].1);
                    for datagram in out.chunks_mut(transmit.segment_size) {
                        ends[to].0.handle_datagram(now, path, Ecn::NotEct, datagram);
                    }
                    out.clear();
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// R-ID-2: a connection has one ID, while its keys are renewed two, and when it is gone none,
    /// however often they were renewed and wherever that stood.
    #[test]
    fn r_id_2_no_id_is_left_behind() {
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let secret = SecretKey::from_bytes([7; 32]);
        let key = secret.public_key();
        let endpoint = |config, number| Endpoint::new(config, &Seed::from_number(number), now(0));
        fn now(millis: u64) -> Instant {
            Instant::ZERO + Duration::from_millis(millis)
        }
        for stop in 0..60 {
            let mut ends = [
                (endpoint(Config::client(), 1), address(1)),
                (endpoint(Config::public_server(secret.clone()), 2), address(2)),
            ];
            let client =
                ends[0].0.connect(now(0), address(2).into(), ConnectOptions::to(key)).unwrap();
            exchange(now(0), &mut ends);
            let mut most = [0; 2];
            for step in 1..stop {
                ends[0].0.renew(now(10 * step), client).unwrap();
                for (endpoint, _) in &mut ends {
                    endpoint.handle_timeout(now(10 * step));
                }
                exchange(now(10 * step), &mut ends);
                most = [0, 1].map(|at| ends[at].0.ids.in_use().max(most[at]));
            }
            let zone = ends[0].0.connection_stats(client).unwrap().zone;
            assert!(stop < 40 || zone > 3, "{zone} after {stop} steps");
            assert!(stop < 10 || most == [2, 2], "{most:?}");
            let end = 10 * stop;
            ends[0].0.close(now(end), client, Duration::ZERO, crate::Code::NONE, "").unwrap();
            exchange(now(end), &mut ends);
            for (endpoint, _) in &mut ends {
                endpoint.handle_timeout(now(end + 60_000));
                assert_eq!((endpoint.connections(), endpoint.ids.in_use()), (0, 0), "{stop}");
            }
        }
    }
}
