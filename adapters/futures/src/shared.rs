//! What all handles of an endpoint share with its driver.

use crate::front::{Front, Notice};
use crate::waits::{Topic, Waits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use tripline::LinkHub;
use tripline_common::Books;
use tripline_sansio::{Answer, Ecn, Hub, Instant, LinkKind, Path, Transmit, Wish};

/// The engine with its books, behind one lock, and the clock.
pub(crate) type Shared = tripline_common::Shared<Front>;

impl Books for Front {
    type Topic = Topic;

    const WITHIN: &'static str = "Connection::with";

    fn before(&mut self, now: Instant) {
        self.dispatch(now);
    }

    fn after(&mut self, now: Instant) {
        self.dispatch(now);
        if self.has_notices() {
            self.nudge();
        }
    }

    fn waits(&mut self) -> &mut Waits {
        &mut self.waits
    }

    fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }
}

/// The engine as the loop sees it: each call takes the lock for itself.
#[derive(Debug)]
pub(crate) struct Locked(pub(crate) Arc<Shared>);

impl Locked {
    /// A number that nothing has: for a listener that the loop is to adopt.
    pub(crate) fn number(&self) -> u64 {
        self.0.lock().hub.number()
    }

    /// Hands something in, and looks what has changed by it.
    fn tell<R>(&self, now: Instant, act: impl FnOnce(&mut LinkHub) -> R) -> R {
        let mut front = self.0.lock();
        let result = act(&mut front.hub);
        front.look(now);
        result
    }
}

impl Hub for Locked {
    type Event = Notice;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        self.tell(now, |hub| hub.handle_answer(now, link, answer));
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: u64,
        kind: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        self.tell(now, |hub| hub.handle_accepted(now, listener, kind, remote))
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        link: u64,
        path: Path,
        ecn: Ecn,
        datagram: &mut [u8],
    ) {
        self.tell(now, |hub| hub.handle_datagram(now, link, path, ecn, datagram));
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        self.tell(now, |hub| hub.handle_bytes(now, link, bytes));
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        self.tell(now, |hub| hub.handle_eof(now, link));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.tell(now, |hub| hub.handle_timeout(now));
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.0.lock().hub.poll_wish()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        self.0.lock().hub.poll_transmit(now, out)
    }

    fn handle_too_big(&mut self, now: Instant, link: u64, transmit: &Transmit) {
        self.0.lock().hub.handle_too_big(now, link, transmit);
    }

    fn poll_ready(&mut self, now: Instant) -> Option<u64> {
        self.0.lock().hub.poll_ready(now)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        self.0.lock().hub.poll_write(now, link, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.lock().hub.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Notice> {
        let mut front = self.0.lock();
        front.dispatch_seen();
        let notice = front.next_notice();
        let woken = Books::take_woken(&mut *front);
        drop(front);
        woken.into_iter().for_each(Waker::wake);
        notice
    }
}
