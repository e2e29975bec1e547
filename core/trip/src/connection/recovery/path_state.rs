//! What is known of one path, and nothing else: so a new path starts anew by making another
//! (R-MTU-1: "MTU, RTT and congestion state start anew on a new IP address").
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
    /// The largest datagram that the path is known, or configured, to carry, in bytes.
    pub(crate) mtu: u16,
}

impl PathState {
    /// A path of which nothing is known, as the configuration has it.
    pub(crate) fn new(config: &TransportConfig) -> Self {
        Self {
            rtt: RttEstimator::new(INITIAL_RTT),
            pto: Pto::default(),
            controller: config.congestion.controller(config.datagram_size),
            pacer: Pacer::default(),
            ecn: EcnState::new(config.ecn),
            mtu: config.datagram_size,
        }
    }

    /// Another path of the same connection: only the counts of ECN go on, which are the
    /// connection's.
    pub(crate) fn anew(&self, config: &TransportConfig) -> Self {
        Self { ecn: self.ecn.anew(config.ecn), ..Self::new(config) }
    }
}
