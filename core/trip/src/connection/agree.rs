//! What was agreed on, as the user may see it, and changes that need no new connection (row T46).
//!
//! In goes a [`Reconfigure`]; out come grants in the frames that carry them anyway, and timers.
//! Nothing here takes back what the peer was granted (R-CREDIT-2).
#![deny(clippy::arithmetic_side_effects)]

use super::streams::StreamKey;
use super::timer::Timer;
use super::{Connection, Cx, Stage};
use crate::agreed::{Agreed, Granted, Limits, Reconfigure};
use crate::config::OnSilence;
use crate::wire::{Direction, PROTOCOL_VERSION};
use alloc::sync::Arc;
use alloc::vec::Vec;
use tripline_sansio::Duration;

impl Connection {
    /// What both sides agreed on; `None` until the peer's part of it is known.
    pub(crate) fn agreed(&self) -> Option<Agreed> {
        let suite = self.suite.filter(|_| self.zone.is_some())?;
        let (granted, allowed) = self.streams.granted();
        Some(Agreed {
            version: PROTOCOL_VERSION,
            suite,
            side: self.side,
            peer: self.peer,
            single: self.is_single(),
            ours: Limits::of(&self.announced.parameters()),
            theirs: self.peer_limits,
            granted: Granted { connection_credit: self.recv_credit.granted(), ..granted },
            allowed: Granted { connection_credit: self.send_credit.limit(), ..allowed },
            idle_timeout: self.agreed_idle().unwrap_or(Duration::ZERO),
            datagram_size: u16::try_from(self.datagram_size()).unwrap_or(u16::MAX),
        })
    }

    /// The smaller of both sides' idle limits and of what ours was changed to; `None`: never.
    pub(super) fn agreed_idle(&self) -> Option<Duration> {
        // Two by two, not as a list: this is asked for each packet.
        let ours = shorter(self.config.idle_limit(), self.announced.idle_limit());
        let agreed = shorter(ours, self.peer_limits.idle_timeout);
        (!agreed.is_zero()).then_some(agreed)
    }

    /// Changes what can be changed (R-PARAM-6); false, and nothing happens, if the connection has
    /// ended.
    pub(crate) fn reconfigure(&mut self, change: &Reconfigure, cx: &mut Cx<'_>) -> bool {
        if !matches!(self.stage, Stage::Opening | Stage::Pinging | Stage::Ready) {
            return false;
        }
        let config = Arc::make_mut(&mut self.config);
        config.stream_credit = change.stream_credit.unwrap_or(config.stream_credit);
        config.connection_credit = change.connection_credit.unwrap_or(config.connection_credit);
        config.two_way_streams = change.two_way_streams.unwrap_or(config.two_way_streams);
        config.one_way_streams = change.one_way_streams.unwrap_or(config.one_way_streams);
        config.idle_timeout = change.idle_timeout.unwrap_or(config.idle_timeout);
        config.keep_alive = change.keep_alive.unwrap_or(config.keep_alive);
        config.quiet_probes = change.quiet_probes.unwrap_or(config.quiet_probes);
        config.on_silence = change.on_silence.unwrap_or(config.on_silence);
        config.send_buffer = change.send_buffer.unwrap_or(config.send_buffer);
        // The same places in range as at the beginning (R-PARAM-4).
        let wanted = config.parameters();
        if change.connection_credit.is_some() {
            self.recv_credit.set_window(wanted.connection_credit);
        }
        if change.two_way_streams.is_some() {
            self.streams.set_window(Direction::TwoWay, wanted.two_way_streams);
        }
        if change.one_way_streams.is_some() {
            self.streams.set_window(Direction::OneWay, wanted.one_way_streams);
        }
        self.reconfigure_streams(change, wanted.stream_credit, cx);
        let live = self.stage != Stage::Opening;
        if change.idle_timeout.is_some() && live {
            let at = self.idle_limit().map(|limit| cx.now + limit);
            self.timers.set(Timer::Idle, at);
        }
        if change.keep_alive.is_some() && live {
            self.arm_keep_alive();
        }
        if change.on_silence == Some(OnSilence::Drop) && self.liveness.is_silent() {
            self.on_idle(cx);
        }
        true
    }

    /// What changes for each open stream.
    fn reconfigure_streams(&mut self, change: &Reconfigure, credit: u64, cx: &mut Cx<'_>) {
        if change.stream_credit.is_none() && change.send_buffer.is_none() {
            return;
        }
        let keys: Vec<StreamKey> = self.streams.keys().collect();
        if change.stream_credit.is_some() {
            self.streams.defaults.stream_window = credit;
            self.streams.defaults.stream_credit_max = credit;
        }
        for key in keys {
            if change.stream_credit.is_some()
                && let Some(stream) = self.streams.get_mut(key)
                && let Some(recv) = stream.recv.as_mut()
            {
                recv.credit.set_window(credit);
                self.list_grant(key);
            }
            self.tell_writable(key, cx);
        }
    }
}

/// The shorter of two limits, of which zero is none.
fn shorter(one: Duration, other: Duration) -> Duration {
    if one.is_zero() || (!other.is_zero() && other < one) { other } else { one }
}
