//! The suite's stream machine as a hub with one link, for loops that drive hubs.

use crate::stream::StreamProbe;
use crate::told::Told;
use std::net::SocketAddr;
use tripline_sansio::{Answer, Hub, Instant, LinkKind, Solo, SoloEvent, Transmit, Wish};

/// A [`StreamProbe`] and its link, which the loop is to open: to any address, for the socket is the
/// scene's. Until the link is there nothing is told of the machine.
#[derive(Debug)]
pub struct LinkProbe {
    solo: Solo<StreamProbe>,
    /// It was noted that the scene has used the machine.
    noted: bool,
}

impl LinkProbe {
    /// A hub around `machine`.
    pub fn new(machine: StreamProbe) -> Self {
        let somewhere = SocketAddr::from(([192, 0, 2, 1], 1));
        let solo = Solo::new(machine, LinkKind::Tcp, somewhere, "", |_| false);
        Self { solo, noted: false }
    }
}

impl Hub for LinkProbe {
    type Event = Told;

    /// # Panics
    /// If the loop says that the link failed: it never does.
    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        let failed = matches!(answer, Answer::Failed(_));
        assert!(!failed, "the scene's link does not fail: {answer:?}");
        self.solo.handle_answer(now, link, answer);
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.solo.handle_bytes(now, link, bytes);
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.solo.handle_eof(now, link);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.solo.handle_timeout(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.solo.poll_wish()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.solo.poll_transmit(now, out)
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        if self.solo.machine().is_commanded() && !std::mem::replace(&mut self.noted, true) {
            // The scene has used the machine, where a user would have done so by this; once, until
            // it is asked for bytes.
            let _ = self.solo.machine_mut();
        }
        self.solo.poll_ready(now)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.noted = false;
        self.solo.poll_write(now, link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.solo.poll_timeout().filter(|_| self.solo.is_open())
    }

    fn poll_event(&mut self) -> Option<Told> {
        if !self.solo.is_open() {
            return None;
        }
        loop {
            if let SoloEvent::Machine(told) = self.solo.poll_event()? {
                return Some(told);
            }
        }
    }
}
