//! PINGs and PONGs (I6: each PING has its effect once).

use super::report::Report;
use crate::host::HostId;
use crate::marks::Mark;
use std::collections::VecDeque;

/// PINGs of one side that are remembered.
const PINGS_MAX: usize = 128;

#[derive(Debug)]
struct Ping {
    token: u64,
    is_main: bool,
    sent: u32,
    /// How often it verified at the peer, and how often the peer answered.
    opened: u32,
    answered: u32,
    /// How many answers came here.
    heard: u32,
}

/// The PINGs of one side.
#[derive(Debug, Default)]
pub(super) struct Pings {
    all: VecDeque<Ping>,
    forgotten: bool,
    /// Packets that verified at the peer, and nobody remembers what was in them.
    unknown: u32,
}

impl Pings {
    fn find(&mut self, token: u64) -> Option<&mut Ping> {
        self.all.iter_mut().rev().find(|ping| ping.token == token)
    }

    /// This side sends a PING; `is_main` if it goes to where its payload goes.
    pub(super) fn on_ping(&mut self, report: &mut Report, token: u64, is_main: bool) {
        if let Some(ping) = self.find(token) {
            ping.sent += 1;
            report.hit_if(ping.sent == 2, Mark::PingRepeated);
            return;
        }
        self.all.push_back(Ping { token, is_main, sent: 1, opened: 0, answered: 0, heard: 0 });
        if self.all.len() > PINGS_MAX {
            self.all.pop_front();
            self.forgotten = true;
        }
    }

    /// Something verified at the peer that is too long ago.
    pub(super) const fn on_unknown(&mut self) {
        self.unknown += 1;
    }

    /// It verified at the peer.
    pub(super) fn on_opened(&mut self, token: u64) {
        if let Some(ping) = self.find(token) {
            ping.opened += 1;
        }
    }

    /// The peer sends a PONG.
    pub(super) fn on_answered(&mut self, report: &mut Report, host: Option<HostId>, token: u64) {
        let (forgotten, unknown) = (self.forgotten, self.unknown);
        match self.find(token) {
            Some(ping) => {
                ping.answered += 1;
                if ping.answered > ping.opened + unknown {
                    let (answered, opened) = (ping.answered, ping.opened);
                    let what = format_args!("{answered} PONGs for a PING that came {opened} times");
                    report.blame("I6", host, what);
                }
            }
            None if forgotten => {}
            None => {
                let what = format_args!("a PONG {token:016x} to no PING");
                report.blame("I6", host, what);
            }
        }
    }

    /// A PONG has come to this side.
    pub(super) fn on_heard(&mut self, report: &mut Report, token: u64) {
        let Some(ping) = self.find(token) else { return };
        ping.heard += 1;
        report.hit_if(ping.heard == 1 && !ping.is_main, Mark::AddressProven);
        report.hit_if(ping.heard == 1 && ping.sent > 1, Mark::PongSlow);
        report.hit_if(ping.heard == 2, Mark::PongUnwanted);
    }
}
