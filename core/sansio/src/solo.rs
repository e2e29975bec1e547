//! A stream machine as a hub: one machine over one link that we open.
//!
//! So a loop that drives hubs drives a TCP or TLS client around any [`StreamMachine`].

use crate::{Answer, Hub, Instant, LinkError, LinkKind, StreamMachine, Wish};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

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

/// One stream machine and its link, number 0.
#[derive(Clone, Debug)]
pub struct Solo<M: StreamMachine> {
    machine: M,
    wish: Option<Wish>,
    is_open: bool,
    is_closing: bool,
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
        let (is_open, is_closing, is_ready) = (false, false, false);
        Self { machine, wish, is_open, is_closing, is_ready, told: None, closes }
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

    /// Closes the link behind what the machine has written.
    pub fn close(&mut self) {
        if !core::mem::replace(&mut self.is_closing, true) {
            self.wish = Some(Wish::Close { link: 0 });
        }
    }
}

impl<M: StreamMachine> Hub for Solo<M> {
    type Event = SoloEvent<M::Event>;

    fn handle_answer(&mut self, now: Instant, _: u64, answer: Answer) {
        self.is_ready = true;
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
        self.is_ready = true;
        self.machine.handle_bytes(now, bytes);
    }

    fn handle_eof(&mut self, now: Instant, _: u64) {
        self.is_ready = true;
        self.machine.handle_eof(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.is_ready = true;
        self.machine.handle_timeout(now);
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.wish.take()
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        (core::mem::take(&mut self.is_ready) && self.is_open).then_some(0)
    }

    fn poll_write(&mut self, now: Instant, _: u64, out: &mut Vec<u8>) -> bool {
        self.is_open && self.machine.poll_write(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
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
