//! Reliability of packets (protocol §5.1, RFC 9002): what was received and is owed an ACK, what was
//! sent and is in doubt, when it counts as lost, when to probe, and how much may be in flight.
//!
//! Every part is plain data with `on_*` methods. In go packet numbers, sizes and the time; out come
//! fates of packets, deadlines and windows. Nothing here sends, reads a clock or knows what a frame
//! means: [`sent::SentPackets`] keeps the caller's frame records and hands each back once.
//!
//! The order of work for an ACK frame, which the connection keeps:
//! 1. [`sent::SentPackets::check_ack`]; an error closes before any effect (R-ACK-2);
//! 2. [`sent::SentPackets::on_ack`]: each packet's fate goes to the streams and the controller;
//! 3. [`rtt::RttEstimator::update`] with the sample, if there is one, and [`pto::Pto::on_ack`];
//! 4. [`sent::SentPackets::detect_lost`]: the lost packets, then their congestion event;
//! 5. [`ecn::EcnState::on_ack`] with the counts, if the ACK is the newest, and their congestion
//!    event;
//! 6. [`congestion::Controller::on_ack_end`].

pub(crate) mod congestion;
pub(crate) mod ecn;
pub(crate) mod left_out;
mod loss_run;
pub(crate) mod pacer;
pub(crate) mod path_state;
pub(crate) mod pto;
pub(crate) mod received;
mod reordering;
mod ring;
pub(crate) mod rtt;
pub(crate) mod sent;

#[cfg(test)]
mod tests;
