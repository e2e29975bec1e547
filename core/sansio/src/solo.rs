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
        Self { machine, wish, is_open: false, closing, now, is_ready: false, told, closes }
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be used.
    pub fn machine_mut(&mut self) -> &mut M {
        self.is_ready = true;
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
        (self.now, self.is_ready) = (now, true);
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
        (self.now, self.is_ready) = (now, true);
        self.machine.handle_bytes(now, bytes);
    }

    fn handle_eof(&mut self, now: Instant, _: u64) {
        (self.now, self.is_ready) = (now, true);
        self.machine.handle_eof(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (self.now, self.is_ready) = (now, true);
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
        if !some && self.closing.is_some() {
            self.end();
        }
        some
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let closing = self.closing.filter(|_| self.is_open);
        [self.machine.poll_timeout(), closing].into_iter().flatten().min()
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
