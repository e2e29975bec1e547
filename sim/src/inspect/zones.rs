//! Renewals as they show on the wire (I28): what one side asked for, heard, and sends in.

use super::numbers::Numbers;
use super::report::Report;
use crate::host::HostId;
use crate::marks::Mark;
use crate::wire::Half;
use std::collections::VecDeque;

/// Packets with a half that are remembered: more than a key seals while it waits to be renewed.
const CARRIERS_MAX: usize = 2_048;
/// Packets that may follow where a key seals no more payload (§5.3).
const GRACE: u64 = 1_024;
/// DISCONNECTs that may come on top.
const LAST_WORDS: u64 = 64;

/// A half that was sent.
#[derive(Clone, Debug)]
struct Own {
    zone: u64,
    id: u64,
    token: [u8; 16],
    key: [u8; 32],
    asked: u32,
    confirmed: u32,
    acked: bool,
    /// The numbers of the packets that held it.
    carriers: VecDeque<u64>,
}

/// One side's place in the run of zones.
#[derive(Debug, Default)]
pub(super) struct Zones {
    /// In which it sends.
    pub(super) zone: u64,
    /// The key that it seals with, and how many packets it sealed.
    key: Option<u64>,
    sealed: u64,
    /// The first number of the zone.
    start: u64,
    /// The newest zone in which a packet of this side is known to it to be acknowledged.
    acked_in: Option<u64>,
    own: Option<Own>,
    /// The newest zone of which it has heard the peer's half, as RENEW or RENEW_CONFIRM.
    heard: u64,
    confirmed: u64,
    /// The newest zone of which a packet of the peer verified here.
    verified: u64,
    /// Something has come here, and nobody remembers what was in it.
    is_unsure: bool,
}

impl Zones {
    /// Whether a half of this side waits for the move.
    pub(super) fn is_renewing(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.zone > self.zone)
    }

    /// Something verified here that is too long ago.
    pub(super) const fn on_unknown(&mut self) {
        self.is_unsure = true;
    }

    /// A packet is sent in `zone`, sealed with `key`.
    pub(super) fn on_sent(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        (zone, key, number): (u64, u64, u64),
        limit: u64,
        has_payload: bool,
    ) {
        if zone < self.zone {
            let what = format_args!("sends in zone {zone} after {} (R-ZONE-1)", self.zone);
            return report.blame("I28", host, what);
        }
        if zone > self.zone {
            self.on_move(report, host, zone);
            self.key = None;
            self.start = number;
            self.sealed = 0;
        }
        if *self.key.get_or_insert(key) != key {
            let what = format_args!("two keys seal in zone {zone} (R-DATA-1b)");
            report.blame("I28", host, what);
            self.key = Some(key);
        }
        self.sealed += 1;
        if has_payload && self.sealed > limit {
            let what =
                format_args!("payload in packet {} under one key, {limit} allowed", self.sealed);
            report.blame("I28", host, what);
        }
        if self.sealed > limit.saturating_add(GRACE + LAST_WORDS) {
            let what = format_args!("packet {} under one key (§5.3)", self.sealed);
            report.blame("I28", host, what);
        }
    }

    /// R-ZONE-1: who sends in a zone has both halves and knows that the peer has them, too.
    fn on_move(&mut self, report: &mut Report, host: Option<HostId>, zone: u64) {
        let own = self.own.as_ref().filter(|own| own.zone == zone);
        let knows = self.confirmed >= zone
            || self.verified >= zone
            || own.is_some_and(|own| own.acked && self.heard >= zone);
        let has_both = own.is_some() && self.heard >= zone && knows;
        if zone != self.zone + 1 || !(has_both || self.is_unsure) {
            let what = format_args!(
                "sends in zone {zone}: was in {}, own half {own:?}, heard of {}, confirmed {}, \
                 verified {} (R-ZONE-1)",
                self.zone, self.heard, self.confirmed, self.verified
            );
            report.blame("I28", host, what);
        }
        let by_packet = self.confirmed < zone && own.is_some_and(|own| !own.acked);
        report.hit_if(by_packet && self.verified >= zone, Mark::RenewHeardByPacket);
        report.hit_if(zone >= 10, Mark::ZoneTenth);
        self.zone = zone;
    }

    /// A half is sent. Returns whether its ID is new.
    pub(super) fn on_half(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        half: &Half<'_>,
        number: u64,
        is_ready: bool,
    ) -> bool {
        let zone = half.zone;
        if zone != self.zone + 1 {
            let what = format_args!("a half of zone {zone} while in {} (R-ZONE-3)", self.zone);
            report.blame("I28", host, what);
            return false;
        }
        if half.confirm != (self.heard >= zone) && !self.is_unsure {
            let what = format_args!("confirm: {}, heard of {} (§5.3)", half.confirm, self.heard);
            report.blame("I28", host, what);
        }
        let is_new = self.own.as_ref().is_none_or(|own| own.zone != zone);
        if is_new {
            self.on_first_half(report, host, half, is_ready);
        }
        let Some(own) = &mut self.own else { return is_new };
        if (own.id, &own.token, &own.key) != (half.id, half.token, half.key) {
            let what = format_args!("two different halves of zone {zone} (R-ZONE-3b)");
            report.blame("I28", host, what);
        }
        let times = if half.confirm { &mut own.confirmed } else { &mut own.asked };
        *times += 1;
        let repeated = if half.confirm { Mark::RenewConfirmRepeated } else { Mark::RenewRepeated };
        report.hit_if(*times == 2, repeated);
        own.carriers.push_back(number);
        if own.carriers.len() > CARRIERS_MAX {
            own.carriers.pop_front();
        }
        is_new
    }

    fn on_first_half(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        half: &Half<'_>,
        is_ready: bool,
    ) {
        report.hit(Mark::RenewAsked);
        if !is_ready {
            report.blame("I28", host, format_args!("a renewal before READY (R-ZONE-4)"));
        }
        // Who answers needs no leave; who asks has seen a packet of this zone acknowledged.
        if !half.confirm && self.acked_in != Some(self.zone) {
            let what = format_args!(
                "asks for zone {}, acknowledged in {:?} (R-ZONE-3)",
                half.zone, self.acked_in
            );
            report.blame("I28", host, what);
        }
        self.own = Some(Own {
            zone: half.zone,
            id: half.id,
            token: *half.token,
            key: *half.key,
            asked: 0,
            confirmed: 0,
            acked: false,
            carriers: VecDeque::new(),
        });
    }

    /// A half of the peer has reached this side.
    pub(super) fn on_heard(&mut self, report: &mut Report, half: &Half<'_>) {
        let zone = half.zone;
        let own = self.own.as_ref().filter(|own| own.zone == zone);
        report.hit_if(self.heard < zone && own.is_some_and(|own| own.acked), Mark::RenewAckedFirst);
        let crossed = own.is_some_and(|own| own.asked > 0 && own.confirmed == 0);
        report.hit_if(!half.confirm && self.heard < zone && crossed, Mark::RenewCrossed);
        self.heard = self.heard.max(zone);
        if half.confirm {
            self.confirmed = self.confirmed.max(zone);
        }
    }

    /// Whether it is the zone of the peer of which a packet verified here last.
    pub(super) const fn is_newest_heard(&self, zone: u64) -> bool {
        self.verified == zone
    }

    /// A packet of the peer's zone has verified here.
    pub(super) fn on_verified(&mut self, report: &mut Report, zone: u64) {
        report.hit_if(zone < self.verified, Mark::OldZoneAfterSwitch);
        self.verified = self.verified.max(zone);
    }

    /// An ACK has reached this side: up to where, and which numbers it knows of.
    pub(super) fn on_acked(&mut self, largest: u64, acked: &Numbers) {
        if largest >= self.start {
            self.acked_in = Some(self.zone);
        }
        if let Some(own) = &mut self.own
            && !own.acked
        {
            own.acked = own.carriers.iter().any(|number| acked.contains(*number));
        }
    }
}
