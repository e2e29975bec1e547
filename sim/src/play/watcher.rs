//! Looking on while a scenario is played.

use crate::rule::PacketView;
use crate::scenario::Step;
use std::sync::Arc;
use tripline::{Aead, ConnectionStats, Event, StreamId};
use tripline_sansio::{Duration, Instant};

/// Which end of which connection something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End<'a> {
    /// The connection's name in the scenario.
    pub connection: &'a str,
    /// The host whose end it is.
    pub host: &'a str,
    /// Whether that is the client.
    pub is_client: bool,
}

/// Is shown everything that happens in a run, in order. What it does changes nothing in the run.
///
/// Every method has a body that does nothing, so that a watcher writes only those it wants.
pub trait Watcher {
    /// The hosts by their numbers ([`HostId::index`](crate::HostId::index)), before anything
    /// happens.
    fn on_start(&mut self, hosts: &[String]) {
        let _ = hosts;
    }

    /// An endpoint is about to be made with this cipher. Who wants to hear what is sealed gives
    /// back one that computes the same.
    fn aead(&mut self, aead: Arc<dyn Aead>) -> Arc<dyn Aead> {
        aead
    }

    /// A step was done, or passed over: what it sent at once has been shown before it.
    fn on_step(&mut self, now: Instant, step: &Step, fits: bool) {
        let _ = (now, step, fits);
    }

    /// A datagram was sent, delivered or dropped.
    fn on_packet(&mut self, packet: &PacketView<'_>) {
        let _ = packet;
    }

    /// An endpoint said something.
    fn on_event(&mut self, now: Instant, end: Option<End<'_>>, event: &Event) {
        let _ = (now, end, event);
    }

    /// A message was handed in (`sent`) or read, of so many bytes.
    fn on_message(&mut self, now: Instant, end: End<'_>, stream: StreamId, sent: bool, bytes: u64) {
        let _ = (now, end, stream, sent, bytes);
    }

    /// How often connections shall be shown; `None`: never.
    fn sample_every(&self) -> Option<Duration> {
        None
    }

    /// How a connection is doing.
    fn on_sample(&mut self, now: Instant, end: End<'_>, stats: &ConnectionStats) {
        let _ = (now, end, stats);
    }

    /// All is healed; from now on everything promised has to come true.
    fn on_calm(&mut self, now: Instant) {
        let _ = now;
    }
}

/// Looks away.
impl Watcher for () {}
