//! Probes into silence: what a side sends while nothing comes (L10, R-ACK-3).
//!
//! A side that hears nothing may ask again, with gaps that double up to three seconds (one before
//! it is READY). Counted are the times at which it sends something, and nothing but what it has
//! sent in the same silence before: that is asking again, whatever else applications and clocks
//! have it send.

use super::report::Report;
use crate::cipher::Map;
use crate::host::HostId;
use crate::marks::Mark;
use crate::wire::{Frame, frames};
use std::net::SocketAddr;
use tripline_sansio::{Duration, Instant};

/// Times this close together are one.
const TOGETHER: Duration = Duration::from_millis(1);
/// A gap at the cap of R-ACK-3, some jitter allowed for.
const CAP: Duration = Duration::from_millis(2_900);
/// A silence that is shorter is none: nobody looks at what is sent in it.
const LEAST: Duration = Duration::from_millis(300);
/// How often a side may ask again at once: twelve doublings lead from a millisecond to the cap, and
/// the two packets of a probe need not leave together.
const ASKED_AT_ONCE: u64 = 24;
/// And in each second on top, where one is the most that R-ACK-3 allows: clocks may be fast.
const ASKED_PER_SECOND: u64 = 2;
/// And for each time that a side has moved: it asks from there at once, and begins anew.
const ASKED_PER_MOVE: u64 = 8;
/// Frames of one silence that are remembered.
const FRAMES_MAX: usize = 4_096;

/// When a side last spoke without having heard anything since.
#[derive(Debug, Default)]
pub(super) struct Silence {
    since: Option<Instant>,
    last: Option<Instant>,
    gap: Duration,
    /// Gaps in a row, each at least half as long again as the one before.
    growing: u32,
    /// What was sent in this silence.
    said: Map<u64, ()>,
    /// How often nothing but that was sent, and when last.
    asked: u64,
    asked_at: Option<Instant>,
    /// Where it speaks from, and how often that was news in this silence.
    from: Option<SocketAddr>,
    moves: u64,
}

impl Silence {
    /// Something verified here.
    pub(super) fn on_heard(&mut self) {
        if self.since.is_some() {
            *self = Self { from: self.from, ..Self::default() };
        }
    }

    /// Something leaves from this address.
    pub(super) fn on_source(&mut self, from: SocketAddr) {
        if self.from.replace(from).is_some_and(|before| before != from) {
            self.moves += 1;
        }
    }

    /// Something that asks for an ACK is sent: these frames. `is_main` if it goes where payload
    /// goes, and no larger than every path carries: other addresses, and larger sizes, are tried by
    /// other clocks.
    pub(super) fn on_sent(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        text: &[u8],
        is_main: bool,
    ) {
        let since = *self.since.get_or_insert(report.now);
        if is_main && report.now - since >= LEAST {
            self.check(report, host, text, since);
        }
        let Some(last) = self.last.replace(report.now) else { return };
        let gap = report.now - last;
        if gap < TOGETHER {
            return;
        }
        report.hit_if(gap >= CAP && self.growing >= 3, Mark::ProbeAtCap);
        self.growing = if gap >= self.gap + self.gap / 2 { self.growing + 1 } else { self.growing };
        report.hit_if(self.growing == 3, Mark::ProbeThird);
        self.gap = gap;
    }

    /// R-ACK-3, as a number of times.
    fn check(&mut self, report: &mut Report, host: Option<HostId>, text: &[u8], since: Instant) {
        if !self.asks_again(text) || self.asked_at.is_some_and(|at| report.now - at < TOGETHER) {
            return;
        }
        self.asked_at = Some(report.now);
        self.asked += 1;
        let silence = report.now - since;
        let most = ASKED_AT_ONCE + ASKED_PER_SECOND * silence.as_secs();
        if self.asked > most + ASKED_PER_MOVE * self.moves {
            let asked = self.asked;
            let what = format_args!(
                "nothing heard for {silence:?}, and asked again {asked} times: the gaps have to \
                 double (R-ACK-3)"
            );
            report.blame("L10", host, what);
            self.asked = 0;
        }
    }

    /// Whether there is something, and nothing but what was sent in this silence before; it is
    /// known from then on. PINGs say nothing: they are what keeps connections alive, too.
    fn asks_again(&mut self, text: &[u8]) -> bool {
        let (mut is_old, mut is_new) = (false, false);
        for frame in frames(text).flatten() {
            let print = match &frame {
                Frame::Padding { .. }
                | Frame::Ack(_)
                | Frame::Ping { .. }
                | Frame::Stats { .. } => {
                    continue;
                }
                Frame::Stream(stream) => mark_of(stream.stream.0, stream.offset),
                other => crate::digest(format!("{other:?}").as_bytes()),
            };
            let is_known = self.said.insert(print, ()).is_some();
            (is_old, is_new) = (is_old | is_known, is_new | !is_known);
        }
        if self.said.len() > FRAMES_MAX {
            self.said.clear();
        }
        is_old && !is_new
    }
}

/// Where a piece of a stream begins, as a number.
fn mark_of(stream: u64, offset: u64) -> u64 {
    crate::trace::mix(stream, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PING, alone; and a byte of a stream at an offset.
    const PING: [u8; 10] = [0x01, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    fn piece(offset: u16) -> Vec<u8> {
        // In two bytes, and none too many.
        let [high, low] = (0x4040 + offset).to_be_bytes();
        vec![0x18, 0x6, high, low, 7]
    }

    /// What is found in a minute in which something is sent at these times, in milliseconds.
    fn minute(next: impl Fn(u64) -> u64, text: impl Fn(u64) -> Vec<u8>) -> usize {
        let (mut report, mut own) = (Report::default(), Silence::default());
        let mut at = 0;
        while at < 60_000 {
            report.now = Instant::ZERO + Duration::from_millis(at);
            own.on_sent(&mut report, None, &text(at), true);
            at = next(at).max(at + 1);
        }
        let found = report.take();
        assert!(found.iter().all(|one| one.invariant == "L10"), "{found:?}");
        found.len()
    }

    /// L10, R-ACK-3: gaps that double up to three seconds are good, gaps that stay are not.
    #[test]
    fn l10_who_asks_into_silence_asks_less_and_less() {
        let doubling = |at: u64| at + at.clamp(20, 3_000);
        assert_eq!(minute(doubling, |_| piece(1)), 0);
        assert_eq!(minute(|at| at + 200, |_| PING.to_vec()), 0, "keeps alive");
        assert!(minute(|at| at + 200, |_| piece(1)) > 0, "the same byte again and again");
        assert_eq!(minute(|at| at + 200, |at| piece((at / 200) as u16)), 0, "news");
    }

    /// Something that is heard ends the silence.
    #[test]
    fn l10_answers_end_a_silence() {
        let (mut report, mut own) = (Report::default(), Silence::default());
        for tenth in 0..600 {
            report.now = Instant::ZERO + Duration::from_millis(tenth * 100);
            own.on_sent(&mut report, None, &piece(1), true);
            if tenth % 20 == 0 {
                own.on_heard();
            }
        }
        assert!(report.take().is_empty());
    }
}
