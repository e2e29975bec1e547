//! A stream machine as a hub: one machine over one link that we open.
//!
//! So a loop that drives hubs drives a TCP or TLS client around any [`StreamMachine`].

use crate::{Answer, Hub, Instant, LinkError, LinkKind, StreamMachine, Wish};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// What a [`Solo`] has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoloEvent<E> {
    /// The link is there.
    Opened,
    /// Something of the machine.
    Machine(E),
    /// There is no link, or none any more, and it was not the machine that wanted that. If it was
    /// open the machine has been told that no more will come.
    Failed(LinkError),
}

/// How long what the machine has left to write may take, once the link is to be closed.
const GRACE: Duration = Duration::from_secs(10);

/// One stream machine and its link, number 0.
#[derive(Clone, Debug)]
pub struct Solo<M: StreamMachine> {
    machine: M,
    wish: Option<Wish>,
    is_open: bool,
    /// The link is to be closed behind what the machine has to write, and then at the latest.
    closing: Option<Instant>,
    /// The newest time that we were told.
    now: Instant,
    is_ready: bool,
    /// The machine had nothing more to write when it was asked last, and was not used since: only
    /// then its deadline lies in the future.
    drained: bool,
    /// When the machine was last told the time because it was due.
    timed: Option<Instant>,
    told: Option<SoloEvent<M::Event>>,
    closes: fn(&M::Event) -> bool,
}

impl<M: StreamMachine> Solo<M> {
    /// A machine over a link of this kind to `address`, which is called `name` (see
    /// [`Wish::Open`]). `closes` says which events of the machine mean that it wants the link
    /// closed.
    pub fn new(
        machine: M,
        kind: LinkKind,
        address: SocketAddr,
        name: &str,
        closes: fn(&M::Event) -> bool,
    ) -> Self {
        let name = String::from(name);
        let wish = Some(Wish::Open { link: 0, kind, address, name });
        let (closing, now, told) = (None, Instant::ZERO, None);
        Self {
            machine,
            wish,
            is_open: false,
            closing,
            now,
            is_ready: false,
            drained: false,
            timed: None,
            told,
            closes,
        }
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be used.
    pub fn machine_mut(&mut self) -> &mut M {
        (self.is_ready, self.drained) = (true, false);
        &mut self.machine
    }

    /// Whether the link is open.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Closes the link behind what the machine has to write, for which there are 10 s.
    pub fn close(&mut self) {
        self.closing.get_or_insert(self.now + GRACE);
        self.is_ready = true;
    }

    /// The machine is used at this time, and may have bytes after that.
    fn used(&mut self, now: Instant) {
        (self.now, self.is_ready, self.drained) = (now, true, false);
    }

    /// The machine has nothing more to write, or no more time.
    fn end(&mut self) {
        if core::mem::take(&mut self.is_open) {
            self.wish = Some(Wish::Close { link: 0 });
        }
    }
}

impl<M: StreamMachine> Hub for Solo<M> {
    type Event = SoloEvent<M::Event>;

    fn handle_answer(&mut self, now: Instant, _: u64, answer: Answer) {
        self.used(now);
        self.told = Some(match answer {
            Answer::Opened { .. } => {
                self.is_open = true;
                SoloEvent::Opened
            }
            Answer::Failed(error) => {
                if core::mem::take(&mut self.is_open) {
                    self.machine.handle_eof(now);
                }
                SoloEvent::Failed(error)
            }
        });
    }

    fn handle_bytes(&mut self, now: Instant, _: u64, bytes: &[u8]) {
        self.used(now);
        self.machine.handle_bytes(now, bytes);
    }

    fn handle_eof(&mut self, now: Instant, _: u64) {
        self.used(now);
        self.machine.handle_eof(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.used(now);
        self.timed = Some(now);
        self.machine.handle_timeout(now);
        if self.closing.is_some_and(|until| until <= now) {
            self.end();
        }
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.wish.take()
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        (core::mem::take(&mut self.is_ready) && self.is_open).then_some(0)
    }

    fn poll_write(&mut self, now: Instant, _: u64, out: &mut Vec<u8>) -> bool {
        let some = self.is_open && self.machine.poll_write(now, out);
        self.drained = self.is_open && !some;
        if !some && self.closing.is_some() {
            self.end();
        }
        some
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let closing = self.closing.filter(|_| self.is_open);
        // While its link is full, or not there yet, the deadline of a machine may stay in the past
        // after it was told: what it waits for then is room, and to say so again would be to spin.
        let due = self.machine.poll_timeout().filter(|due| self.drained || Some(*due) > self.timed);
        [due, closing].into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        if let Some(SoloEvent::Opened) = self.told {
            return self.told.take();
        }
        // What the machine has to say to the end of its link comes before that end.
        let Some(event) = self.machine.poll_event() else { return self.told.take() };
        if (self.closes)(&event) {
            self.close();
        }
        Some(SoloEvent::Machine(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Instant {
        Instant::from_nanos(second.saturating_mul(1_000_000_000))
    }

    /// Has something to say each second, and moves its deadline only when that is taken.
    #[derive(Default)]
    struct Nag {
        due: u64,
        told: bool,
    }

    impl StreamMachine for Nag {
        type Event = ();
        fn handle_bytes(&mut self, _: Instant, _: &[u8]) {}
        fn handle_eof(&mut self, _: Instant) {}
        fn handle_timeout(&mut self, _: Instant) {
            self.told = true;
        }
        fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
            let some = core::mem::take(&mut self.told);
            if some {
                out.extend_from_slice(b"well?");
                self.due = self.due.saturating_add(1);
            }
            some
        }
        fn poll_timeout(&self) -> Option<Instant> {
            Some(at(self.due))
        }
        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }

    /// T18, T64: while the link takes nothing a deadline that is past is not told again and again,
    /// neither before the link is there nor while it is full; once it takes bytes, it is.
    #[test]
    fn t18_a_full_link_is_waited_for_and_not_spun_on() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let nag = Nag { due: 1, told: false };
        let mut solo = Solo::new(nag, LinkKind::Tcp, address, "", |()| false);
        assert_eq!(solo.poll_timeout(), Some(at(1)));
        solo.handle_timeout(at(1));
        assert_eq!(solo.poll_timeout(), None, "there is no link yet");
        solo.handle_answer(at(2), 0, Answer::Opened { local: None });
        let mut out = Vec::new();
        assert!(solo.poll_write(at(2), 0, &mut out));
        assert!(!solo.poll_write(at(2), 0, &mut out));
        assert_eq!(solo.poll_timeout(), Some(at(2)));
        solo.handle_timeout(at(2));
        assert_eq!(solo.poll_timeout(), None, "the link is full");
        assert!(solo.poll_write(at(5), 0, &mut out) && !solo.poll_write(at(5), 0, &mut out));
        assert_eq!(solo.poll_timeout(), Some(at(3)), "late, for there was no room");
    }
}
