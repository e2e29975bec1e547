//! A run as a packet capture in the form PCAPNG, for Wireshark and its like.
//!
//! Each host has an interface, on which a datagram is seen when it leaves its sender and again when
//! it reaches its receiver, as captures on both machines would. Another interface, `network`, sees
//! what vanishes on the way. Every packet has a comment that says who, what and how long it took;
//! steps and events that came before it are further comments. Datagrams are wrapped into IP and
//! UDP; names of hosts are given with their addresses. Times count from the start of the run.
//!
//! The datagrams stay sealed. What is in them is said in the comments, in words and without content.

mod block;
mod ip;
#[cfg(test)]
mod tests;

use super::ears::Ears;
use super::journey::Journeys;
use super::words;
use crate::host::HostId;
use crate::play::{End, Watcher};
use crate::rule::{PacketView, Stage};
use crate::scenario::{Scenario, Step};
use block::Block;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tripline::{Aead, Event};
use tripline_sansio::Instant;

/// The interface of what vanishes; those of the hosts come behind it.
const NETWORK: usize = 0;
/// The most notes that wait for a packet to be attached to; further ones are counted.
const NOTES: usize = 16;
/// The most addresses that are given names; movers have several.
const NAMES: usize = 4_096;
/// The most characters of a comment.
const COMMENT: usize = 300;
/// The most characters of the scenario that are kept.
const ABOUT: usize = 15_000;

/// Which way a packet went, as an interface sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    In = 1,
    Out = 2,
}

/// Writes a capture of a run while it goes on.
///
/// Nobody can be told of an error in the middle of a run: after the first nothing more is written,
/// and [`finish`](Self::finish) returns it.
pub struct Capture<W> {
    out: W,
    about: String,
    hosts: Vec<String>,
    journeys: Journeys,
    ears: Ears,
    /// Addresses that have names already.
    named: BTreeSet<(IpAddr, usize)>,
    /// What happened since the last packet.
    notes: Vec<String>,
    notes_left_out: u64,
    result: io::Result<()>,
}

impl<W: Write> Capture<W> {
    /// Writes a capture of a run of `scenario` to `out`, in many small pieces: files want a buffer
    /// around them.
    pub fn new(out: W, scenario: &Scenario) -> Self {
        let about: String = scenario.to_string().chars().take(ABOUT).collect();
        Self {
            out,
            about,
            hosts: Vec::new(),
            journeys: Journeys::default(),
            ears: Ears::default(),
            named: BTreeSet::new(),
            notes: Vec::new(),
            notes_left_out: 0,
            result: Ok(()),
        }
    }

    /// Ends the capture and gives back where it went.
    ///
    /// # Errors
    /// The first one that writing has met.
    pub fn finish(mut self) -> io::Result<W> {
        self.result?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, block: Block) {
        if self.result.is_ok() {
            self.result = self.out.write_all(&block.finish());
        }
    }

    fn host(&self, host: Option<HostId>) -> Option<&str> {
        self.hosts.get(host?.index()).map(String::as_str)
    }

    /// Lets readers show the host's name for its address.
    fn name(&mut self, host: Option<HostId>, address: SocketAddr) {
        let Some(host) = host.filter(|host| host.index() < self.hosts.len()) else { return };
        if self.named.len() < NAMES && self.named.insert((address.ip(), host.index())) {
            let block = Block::name(address.ip(), &self.hosts[host.index()]);
            self.put(block);
        }
    }

    /// Keeps what happened until the next packet.
    fn note(&mut self, now: Instant, text: &str) {
        if self.notes.len() < NOTES {
            let text = format!("at {} s: {text}", words::clock(now).trim_start());
            self.notes.push(words::cut(&text, COMMENT));
        } else {
            self.notes_left_out += 1;
        }
    }
}

impl<W: Write> Watcher for Capture<W> {
    fn on_start(&mut self, hosts: &[String]) {
        self.hosts = hosts.to_vec();
        let section = Block::section(&self.about);
        self.put(section);
        self.put(Block::interface("network", "what vanishes on the way"));
        for host in hosts {
            self.put(Block::interface(host, "what the host sends and gets"));
        }
    }

    fn aead(&mut self, aead: Arc<dyn Aead>) -> Arc<dyn Aead> {
        self.ears.around(aead)
    }

    fn on_step(&mut self, now: Instant, step: &Step, fits: bool) {
        let passed_over = if fits { "" } else { ", passed over" };
        self.note(now, &format!("step: {}{passed_over}", words::step(step)));
    }

    fn on_event(&mut self, now: Instant, end: Option<End<'_>>, event: &Event) {
        if words::is_routine(event) {
            return;
        }
        let event = words::event(event);
        match end {
            Some(end) => self.note(now, &format!("{} {}: {event}", end.host, end.connection)),
            None => self.note(now, &event),
        }
    }

    fn on_calm(&mut self, now: Instant) {
        self.note(now, "all is healed");
    }

    fn on_packet(&mut self, packet: &PacketView<'_>) {
        self.name(packet.from, packet.source);
        self.name(packet.to, packet.destination);
        let (seen_by, direction, fate) = match packet.stage {
            Stage::Offered => {
                self.journeys.sent(packet);
                (packet.from, Direction::Out, String::new())
            }
            Stage::Delivered => {
                let arrival = self.journeys.came(packet);
                let fate = arrival.map_or("sent by nobody".to_owned(), |arrival| {
                    let copy = if arrival.is_copy { "a copy, " } else { "" };
                    let changed = if arrival.is_changed { "changed, " } else { "" };
                    format!("{copy}{changed}came after {}", words::span(arrival.took))
                });
                (packet.to, Direction::In, fate)
            }
            Stage::Dropped(cause) => (None, Direction::Out, format!("dropped: {cause}")),
        };
        let mut comment = format!(
            "{} to {} #{}: {}",
            self.host(packet.from).unwrap_or("somebody"),
            self.host(packet.to).unwrap_or("nobody"),
            packet.index,
            self.ears.what_is_in(packet.bytes),
        );
        if !fate.is_empty() {
            comment.push_str("; ");
            comment.push_str(&fate);
        }
        let mut comments = std::mem::take(&mut self.notes);
        if self.notes_left_out > 0 {
            comments.push(format!("{} more things happened", self.notes_left_out));
            self.notes_left_out = 0;
        }
        comments.push(words::cut(&comment, COMMENT));
        let known = seen_by.filter(|host| host.index() < self.hosts.len());
        let interface = known.map_or(NETWORK, |host| host.index() + 1);
        let wrapped = ip::wrap(packet.source, packet.destination, packet.ecn, packet.bytes);
        self.put(Block::packet(interface, packet.now, direction, &wrapped, &comments));
    }
}
