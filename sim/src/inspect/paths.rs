//! Where a side sends, and how large its datagrams are (I15, I17).

use super::numbers::Numbers;
use super::report::Report;
use crate::host::HostId;
use crate::marks::Mark;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 64;
/// Probes of the path's MTU that are remembered.
const PROBES_MAX: usize = 16;
/// The size that every path carries.
const BASE: usize = 1_200;

/// What one packet is, for the rules of this file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) number: u64,
    pub(super) len: usize,
    pub(super) to: SocketAddr,
    /// It holds STREAM.
    pub(super) has_payload: bool,
    /// It holds STREAM or ACK: such packets go to the active address only.
    pub(super) is_main: bool,
    /// It holds nothing but PING and PADDING: the token.
    pub(super) probe: Option<u64>,
    /// Whether the books have seen a proof of the address.
    pub(super) is_proven: bool,
}

/// A packet larger than all that were acknowledged.
#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
    to: IpAddr,
    token: u64,
    len: usize,
}

/// One side's sending.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: Vec<SocketAddr>,
    active: Option<SocketAddr>,
    had_proof: bool,
    /// Whether anything verified here since the last move.
    heard: bool,
    /// The largest datagram acknowledged by IP address. An engine forgets it when it moves (§5.2);
    /// these books do not, as it shows late when that was.
    confirmed: Vec<(IpAddr, usize)>,
    /// Probes without an answer, on this path.
    probes: VecDeque<Probe>,
    /// A packet larger than 1,200 bytes with payload went to the active address.
    is_large: bool,
}

impl Paths {
    /// Whether payload goes to this address, or none has gone anywhere.
    pub(super) fn is_active(&self, address: SocketAddr) -> bool {
        self.active.is_none_or(|active| active == address)
    }

    /// A packet has verified here.
    pub(super) const fn on_verified(&mut self) {
        self.heard = true;
    }

    /// A packet is sent. `start` is the configured size, `most` the largest that may ever be sent.
    /// Returns whether the side moved.
    pub(super) fn on_sent(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        shape: &Shape,
        (start, most): (usize, usize),
    ) -> bool {
        let moved =
            shape.is_main && self.active != Some(shape.to) && self.on_main(report, host, shape);
        if shape.has_payload {
            if self.had_proof && !shape.is_proven {
                let what = format_args!("payload to {}, which is not proven (R-PATH-1b)", shape.to);
                report.blame("I17", host, what);
            }
            self.had_proof |= shape.is_proven;
        }
        self.check_size(report, host, shape, (start.max(BASE), most));
        moved
    }

    /// A packet that goes to the active address goes elsewhere than the last one.
    fn on_main(&mut self, report: &mut Report, host: Option<HostId>, shape: &Shape) -> bool {
        let Some(before) = self.active.replace(shape.to) else {
            self.known.push(shape.to);
            return false;
        };
        report.hit(Mark::Moved);
        if before.ip() != shape.to.ip() {
            report.hit(Mark::MovedHost);
            self.is_large = false;
        }
        if self.known.contains(&shape.to) {
            report.hit(Mark::MovedBack);
        } else if self.known.len() < ADDRESSES_MAX {
            self.known.push(shape.to);
        }
        if !self.heard {
            let what = format_args!("moved from {before} to {} unasked (R-PATH-2)", shape.to);
            report.blame("I17", host, what);
        }
        self.heard = false;
        true
    }

    /// R-MTU-1.
    fn check_size(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        shape: &Shape,
        (start, most): (usize, usize),
    ) {
        let Shape { number, len, probe, .. } = *shape;
        if len > most {
            let what = format_args!("a datagram of {len} bytes, {most} at most (R-MTU-1)");
            return report.blame("I15", host, what);
        }
        let confirmed = self.confirmed(shape.to.ip());
        if len > start.max(confirmed) {
            let Some(token) = probe else {
                let what = format_args!("{len} bytes, {confirmed} confirmed (R-MTU-1)");
                return report.blame("I15", host, what);
            };
            report.hit(Mark::MtuProbeSent);
            let again = self.probes.iter().any(|probe| probe.len == len);
            report.hit_if(again, Mark::MtuProbeRepeated);
            self.probes.push_back(Probe { number, to: shape.to.ip(), token, len });
            if self.probes.len() > PROBES_MAX {
                self.probes.pop_front();
            }
        } else if shape.has_payload {
            self.is_large |= len > BASE;
            // What is full and smaller than before, on the same path.
            if self.is_large && len == BASE {
                report.hit(Mark::MtuBlackHole);
                self.is_large = false;
            }
        }
    }

    /// An ACK has come here.
    pub(super) fn on_acked(&mut self, report: &mut Report, acked: &Numbers) {
        self.settle(report, |probe| acked.contains(probe.number));
    }

    /// A PONG has come here.
    pub(super) fn on_pong(&mut self, report: &mut Report, token: u64) {
        self.settle(report, |probe| probe.token == token);
    }

    /// What has reached an IP address.
    fn confirmed(&self, to: IpAddr) -> usize {
        self.confirmed.iter().find(|(ip, _)| *ip == to).map_or(0, |(_, len)| *len)
    }

    fn settle(&mut self, report: &mut Report, is_answered: impl Fn(&Probe) -> bool) {
        while let Some(at) = self.probes.iter().position(&is_answered)
            && let Some(probe) = self.probes.remove(at)
        {
            if probe.len <= self.confirmed(probe.to) {
                continue;
            }
            report.hit(Mark::MtuFound);
            self.confirmed.retain(|(ip, _)| *ip != probe.to);
            self.confirmed.push((probe.to, probe.len));
            if self.confirmed.len() > ADDRESSES_MAX {
                self.confirmed.remove(0);
            }
        }
    }
}
