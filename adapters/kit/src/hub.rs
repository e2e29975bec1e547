//! The suite's stream machine as a hub with one link, for loops that drive hubs.

use crate::stream::StreamProbe;
use crate::told::Told;
use std::net::SocketAddr;
use tripline_sansio::{Answer, Hub, Instant, LinkKind, Solo, SoloEvent, Transmit, Wish};

/// A [`StreamProbe`] and its link, which the loop is to open: to any address, for the socket is the
/// scene's. Until the link is there nothing is told of the machine.
#[derive(Debug)]
pub struct LinkProbe(Solo<StreamProbe>);

impl LinkProbe {
    /// A hub around `machine`.
    pub fn new(machine: StreamProbe) -> Self {
        let somewhere = SocketAddr::from(([192, 0, 2, 1], 1));
        Self(Solo::new(machine, LinkKind::Tcp, somewhere, "", |_| false))
    }

    /// To be called after [`Ready::woken`](crate::Ready::woken): the scene has used the machine,
    /// which a hub that is in use elsewhere would have been told.
    pub fn woken(&mut self) {
        let _ = self.0.machine_mut();
    }
}

impl Hub for LinkProbe {
    type Event = Told;

    /// # Panics
    /// If the loop says that the link failed: it never does.
    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        let failed = matches!(answer, Answer::Failed(_));
        assert!(!failed, "the scene's link does not fail: {answer:?}");
        self.0.handle_answer(now, link, answer);
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.0.handle_bytes(now, link, bytes);
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.0.handle_eof(now, link);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.0.poll_wish()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.0.poll_transmit(now, out)
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.0.poll_ready(now)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.0.poll_write(now, link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout().filter(|_| self.0.is_open())
    }

    fn poll_event(&mut self) -> Option<Told> {
        if !self.0.is_open() {
            return None;
        }
        loop {
            if let SoloEvent::Machine(told) = self.0.poll_event()? {
                return Some(told);
            }
        }
    }
}
