//! The end of a whole endpoint: nobody new comes in, everybody is told, requests are finished, and
//! at the deadline it is over (PROTOCOL.md §5.4, R-CLOSE-7).
//!
//! In comes the user's wish, out come the ends of all connections and, once, the word that the last
//! one is gone. Connections are told a few at a time: every call does bounded work, however many
//! there are.
#![deny(clippy::arithmetic_side_effects)]

use super::Endpoint;
use super::guard::Answer;
use crate::carrier::answer_room;
use crate::connection::Zone;
use crate::event::Event;
use crate::wire::{Code, DataHeader, Frame, TruncatedNumber};
use alloc::string::String;
use alloc::vec::Vec;
use tripline_sansio::{Duration, Instant, Path};

/// Connections that one call tells to leave.
const STEP: u32 = 64;

/// The time from one step to the next, if no drain comes sooner; and by so much each step's
/// deadline is later than that of the one before, so that not all of them fall on one call.
const STEP_GAP: Duration = Duration::from_millis(1);

/// Bytes of a DATA packet with a DISCONNECT, at most, besides its text.
const FAREWELL_FIXED: usize = 48;

/// What an endpoint remembers of its own end.
#[derive(Debug, Default)]
pub(super) struct Leave {
    /// Newcomers are refused with this text.
    refusal: Option<String>,
    shutdown: Option<Shutdown>,
    /// Connections of which `Drained` was not said yet.
    undrained: u32,
}

#[derive(Debug)]
struct Shutdown {
    until: Instant,
    code: Code,
    reason: String,
    /// The slots below this one have been told.
    next: u32,
    steps: u32,
    /// When the next step is due, if there is one.
    due: Option<Instant>,
    /// `ShutDown` was said.
    told: bool,
}

impl Leave {
    /// A connection begins.
    pub(super) fn on_begun(&mut self) {
        self.undrained = self.undrained.saturating_add(1);
    }

    /// When the next step is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.shutdown.as_ref()?.due
    }

    /// When what is left ends, if the endpoint shuts down and that is not over.
    pub(super) fn until(&self) -> Option<Instant> {
        self.shutdown.as_ref().filter(|shutdown| !shutdown.told).map(|shutdown| shutdown.until)
    }

    /// Why newcomers are refused, if they are.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Whether nothing new may begin at all.
    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutdown.is_some()
    }
}

impl Endpoint {
    /// Lets nobody in any more: whoever asks from now on is refused with
    /// [`Code::SHUTTING_DOWN`] and this text (cut to 255 bytes), without asking the user.
    /// Connections go on, and own ones may begin.
    pub fn refuse_newcomers(&mut self, now: Instant, reason: &str) {
        self.tick(now);
        self.leave.refusal.get_or_insert_with(|| String::from(reason));
    }

    /// Ends all connections in order, and the endpoint with them (R-CLOSE-7). Newcomers are refused
    /// as by [`refuse_newcomers`](Self::refuse_newcomers), [`connect`](Self::connect) begins
    /// nothing, and every peer is told that we leave. What was handed in is delivered, and what
    /// peers have asked for (two-way streams that they have finished) may still be answered. At the
    /// deadline, `grace` from now, whatever is left ends with this code and text; no grace at all
    /// ends it at once.
    ///
    /// [`Event::ShutDown`] comes when the last connection is gone from the network. A second call
    /// may only bring the deadline forward.
    pub fn shut_down(&mut self, now: Instant, grace: Duration, code: Code, reason: &str) {
        let now = self.tick(now);
        self.refuse_newcomers(now, reason);
        let until = now + grace;
        match &mut self.leave.shutdown {
            Some(old) if old.until <= until => return,
            Some(old) => (old.until, old.next, old.steps) = (until, 0, 0),
            none => {
                let reason = String::from(reason);
                let (due, told) = (None, false);
                *none = Some(Shutdown { until, code, reason, next: 0, steps: 0, due, told });
            }
        }
        self.tend_shutdown();
    }

    /// Tells the next few connections to leave.
    pub(super) fn tend_shutdown(&mut self) {
        let end = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let Some(shutdown) = &mut self.leave.shutdown else { return };
        let from = shutdown.next;
        let to = from.saturating_add(STEP).min(end);
        let until = match shutdown.until {
            over if over <= self.now => over,
            until => until + STEP_GAP.saturating_mul(shutdown.steps),
        };
        let (code, reason) = (shutdown.code, shutdown.reason.clone());
        shutdown.next = to;
        shutdown.steps = shutdown.steps.saturating_add(1);
        shutdown.due = (to < end).then(|| self.now + STEP_GAP);
        for slot in from..to {
            self.with(slot, |connection, cx| connection.shut(until, code, &reason, cx));
        }
        self.tell_shut_down();
    }

    /// The text with which newcomers are refused, if they are.
    pub(super) fn leaving_reason(&self) -> Option<String> {
        self.leave.refusal().map(String::from)
    }

    /// Whether a step has something to do.
    pub(super) fn is_leaving(&self) -> bool {
        self.leave.next_timeout().is_some()
    }

    /// `Drained` was said of a connection.
    pub(super) fn on_one_drained(&mut self) {
        self.leave.undrained = self.leave.undrained.saturating_sub(1);
        self.tell_shut_down();
    }

    /// Says `ShutDown`, once, when everybody was told and nobody is left.
    fn tell_shut_down(&mut self) {
        let Some(shutdown) = &mut self.leave.shutdown else { return };
        if shutdown.due.is_none() && self.leave.undrained == 0 && !shutdown.told {
            shutdown.told = true;
            self.events.push_back(Event::ShutDown);
        }
    }

    /// A client that was let in comes too late, with its first DATA: its attempt fails by a
    /// DISCONNECT in zone 0, as in XX (R-CHAL-1b). The answer has the number of the packet that it
    /// answers, so a copy of that packet gets no other one, and it is never longer, but on a link.
    pub(super) fn refuse_first_data(
        &mut self,
        mut zone: Zone,
        header: DataHeader,
        path: Path,
        datagram: &mut [u8],
    ) {
        let len = answer_room(path, datagram.len());
        let reason = String::from(self.leave.refusal().unwrap_or_default());
        let client_id = zone.peer_id;
        let number = header
            .number
            .expand(None)
            .filter(|number| zone.open.open_packet(*number, datagram, header.header_len()).is_ok());
        let Some(number) = number else {
            return self.count(|drops| &mut drops.unauthentic);
        };
        let header = DataHeader { id: client_id, number: TruncatedNumber::new(number, None) };
        let mut packet = Vec::new();
        header.write(&mut packet);
        let body = packet.len();
        let fits = reason.len().min(255).saturating_add(FAREWELL_FIXED) <= len;
        let reason = if fits { reason.as_str() } else { "" };
        Frame::Disconnect { code: Code::SHUTTING_DOWN, frame_type: 0, reason }.write(&mut packet);
        let sealed = zone.seal.seal_packet(number, &mut packet, 0, body).is_ok();
        if sealed && packet.len() <= len && self.may_answer(Answer::Refusal) {
            self.answer(path, packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConnectOptions};
    use crate::crypto::SecretKey;
    use alloc::vec;
    use core::net::SocketAddr;
    use tripline_sansio::{DatagramMachine, Seed};

    /// R-CLOSE-7, rule 8 of the run loop: many connections are told a few per call, by drains and
    /// by the clock alike, and each is told.
    #[test]
    fn r_close_7_a_step_tells_a_few() {
        let key = SecretKey::from_bytes([7; 32]).public_key();
        let to: SocketAddr = ([10, 0, 0, 1], 1).into();
        let now = |millis| Instant::ZERO + Duration::from_millis(millis);
        let mut endpoint = Endpoint::new(Config::client(), &Seed::from_number(1), now(0));
        let count = 300_u32;
        for _ in 0..count {
            endpoint.connect(now(0), to.into(), ConnectOptions::to(key)).unwrap();
        }
        let mut told = vec![];
        let mut ended = |endpoint: &mut Endpoint| {
            let mut ended = 0;
            while let Some(event) = endpoint.poll_event() {
                ended += u32::from(matches!(event, Event::Failed { .. }));
                assert_ne!((event, told.len()), (Event::ShutDown, 0), "not before the last");
            }
            told.push(ended);
            ended
        };
        endpoint.shut_down(now(0), Duration::from_secs(1), Code::NONE, "");
        assert_eq!(ended(&mut endpoint), STEP);
        let refused = endpoint.connect(now(0), to.into(), ConnectOptions::to(key));
        assert_eq!(refused, Err(crate::StartError::ShuttingDown));
        endpoint.poll_transmit(now(0), &mut vec![]);
        assert_eq!(ended(&mut endpoint), STEP);
        let mut at = 0;
        while endpoint.connections() > 0 {
            at += 1;
            assert_eq!(endpoint.poll_timeout(), Some(now(at)), "the next step");
            endpoint.handle_timeout(now(at));
            assert!(ended(&mut endpoint) <= STEP);
        }
        assert_eq!(told.iter().sum::<u32>(), count);
        assert_eq!(at, u64::from(count.div_ceil(STEP)) - 2);
    }
}
