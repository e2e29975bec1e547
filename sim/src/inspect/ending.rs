//! The end of a connection as one side shows it (I18).

use super::lied::Lied;
use super::report::Report;
use crate::host::HostId;
use crate::marks::Mark;
use tripline_sansio::Instant;

/// The repeats by the clock: 1, 3 and 7 probe timeouts after the first (R-CLOSE-1).
const BY_CLOCK: u32 = 3;

/// What one side has said and heard of the end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// It sent NOTIFY: the newest deadline, how often.
    notify: Option<(u64, u32)>,
    /// A NOTIFY of the peer has come here.
    notified: bool,
    /// DISCONNECTs sent.
    sent: u32,
    /// The first was sent after one had come.
    answering: bool,
    /// A DISCONNECT of the peer has come here.
    heard: bool,
    /// Packets that verified here since the first DISCONNECT was sent.
    strays: u32,
    /// Packets that verified here, all.
    opened: u32,
    /// Packets with anything else were sent.
    spoke: bool,
    first_at: Instant,
}

impl Ending {
    /// Whether it says nothing more of its own.
    pub(super) const fn is_over(&self) -> bool {
        self.sent > 0 || self.heard
    }

    /// Whether it has said that it is leaving.
    pub(super) const fn is_leaving(&self) -> bool {
        self.notify.is_some()
    }

    /// NOTIFY is sent.
    pub(super) fn on_notify(&mut self, report: &mut Report, deadline: u64, peer: &Self) {
        let times = match &mut self.notify {
            Some((known, times)) if *known == deadline => {
                *times += 1;
                *times
            }
            slot => {
                let is_first = slot.is_none();
                report.hit_if(is_first, Mark::NotifySent);
                report.hit_if(is_first && peer.is_leaving() && !self.notified, Mark::NotifyCrossed);
                *slot = Some((deadline, 1));
                1
            }
        };
        report.hit_if(times == 2, Mark::NotifyRepeated);
    }

    /// NOTIFY has come here.
    pub(super) const fn on_notified(&mut self) {
        self.notified = true;
    }

    /// A packet without DISCONNECT is sent.
    pub(super) fn on_other(&mut self, report: &mut Report, host: Option<HostId>) {
        if !self.spoke && self.sent == 0 {
            // A server that says nothing had no room when the DISCONNECT came, and forgot it.
            self.heard = false;
        }
        self.spoke = true;
        if self.is_over() {
            let what = format_args!(
                "sends on after the end: {} DISCONNECTs sent, heard of one: {} (R-CLOSE-1)",
                self.sent, self.heard
            );
            report.blame("I18", host, what);
        }
    }

    /// DISCONNECT is sent.
    pub(super) fn on_disconnect(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        (code, is_server): (u64, bool),
        peer: &Self,
        lied: &Lied,
    ) {
        self.sent += 1;
        if self.sent == 1 {
            self.answering = self.heard;
            self.first_at = report.now;
            let mark = if self.heard { Mark::DisconnectAnswered } else { Mark::DisconnectSent };
            report.hit(mark);
            report.hit_if(!self.heard && peer.sent > 0, Mark::DisconnectCrossed);
            report.hit_if(code == 11, Mark::DisconnectIdle);
            let is_accusation = !self.heard && matches!(code, 2..=6);
            report.hit_if(is_accusation, Mark::DisconnectViolation);
            if is_accusation && !lied.is_known() {
                report.blame("I26", host, format_args!("accuses an honest peer ({code})"));
            }
            report.hit_if(is_server && !self.spoke, Mark::RefusedAfterConfirm);
        } else {
            report.hit(Mark::DisconnectRepeated);
        }
        // A server that has no connection answers each packet with a DISCONNECT that is no larger
        // (R-CHAL-1b, R-CLOSE-7a).
        let is_refusal = is_server && !self.spoke;
        let most = match (self.answering, is_refusal) {
            (_, true) => self.opened.max(1) + BY_CLOCK + 1,
            (true, _) => 1,
            (false, _) => 1 + BY_CLOCK + self.strays.checked_ilog2().map_or(0, |log| log + 1),
        };
        if self.sent > most {
            let (sent, strays) = (self.sent, self.strays);
            let what =
                format_args!("{sent} DISCONNECTs, {strays} strays, at most {most} (R-CLOSE-1)");
            report.blame("I18", host, what);
        }
    }

    /// A packet has verified here that had done so before: who keeps no connection answers it too.
    pub(super) const fn on_copy(&mut self) {
        self.opened = self.opened.saturating_add(1);
    }

    /// A packet has verified here; with a DISCONNECT or not.
    pub(super) fn on_opened(&mut self, report: &mut Report, is_disconnect: bool) {
        self.opened = self.opened.saturating_add(1);
        if self.sent > 0 {
            self.strays = self.strays.saturating_add(1);
            report.hit_if(!is_disconnect, Mark::DisconnectOnStray);
        }
        self.heard |= is_disconnect;
    }
}
