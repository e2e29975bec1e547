//! What is known of one path, and nothing else: so a new path starts anew by making another
//! (R-PATH-2b: on a new IP address round-trip time, window and MTU start anew).
//!
//! Packet numbers, what was sent and what was received belong to the connection, not to a path, and
//! are not in here.

use super::congestion::Controller;
use super::ecn::EcnState;
use super::pacer::Pacer;
use super::pto::Pto;
use super::rtt::{INITIAL_RTT, RttEstimator};
use crate::config::TransportConfig;
use alloc::boxed::Box;

/// The measurements and limits of one path.
#[derive(Clone, Debug)]
pub(crate) struct PathState {
    /// The round-trip time.
    pub(crate) rtt: RttEstimator,
    /// How far probes have backed off.
    pub(crate) pto: Pto,
    /// How much may be in flight.
    pub(crate) controller: Box<dyn Controller>,
    /// How that is spread over time.
    pub(crate) pacer: Pacer,
    /// Whether it carries ECN.
    pub(crate) ecn: EcnState,
}

impl PathState {
    /// A path of which nothing is known, as the configuration has it.
    pub(crate) fn new(config: &TransportConfig, mtu: u16) -> Self {
        Self {
            rtt: RttEstimator::new(INITIAL_RTT),
            pto: Pto::default(),
            controller: config.congestion.controller(mtu),
            pacer: Pacer::default(),
            ecn: EcnState::new(config.ecn),
        }
    }

    /// Another path of the same connection: nothing is known of it, but the peer's ECN counts go
    /// on from where they are (RFC 9000 §13.4.2).
    pub(crate) fn anew(&self, config: &TransportConfig, mtu: u16) -> Self {
        Self { ecn: self.ecn.anew(config.ecn), ..Self::new(config, mtu) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::{Duration, Instant};

    /// R-PATH-2b: a new path knows nothing of what the old one taught.
    #[test]
    fn r_mtu_1_a_new_path_starts_anew() {
        let config = TransportConfig::default();
        let mut old = PathState::new(&config, 1_200);
        let ms = Duration::from_millis;
        old.rtt.update(Instant::from_nanos(1), ms(9), ms(0), ms(25));
        old.pto.on_timeout();
        old.controller.on_mtu(1_400);
        old.pacer.refill(Instant::from_nanos(1), 5, 1_400);
        let new = old.anew(&config, 1_200);
        let fresh = PathState::new(&config, 1_200);
        assert_eq!((&new.rtt, &new.pto, &new.pacer), (&fresh.rtt, &fresh.pto, &fresh.pacer));
        assert_eq!(new.controller.window(), fresh.controller.window());
        assert_eq!(new.ecn, fresh.ecn, "nothing was marked yet");
    }
}
