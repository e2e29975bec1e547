//! Layers: what lies between the bytes of a link and those of a machine (TLS, framing).
//!
//! A [`StreamLayer`] is a stream machine with a second pair of ends instead of events, and
//! [`Layered`] puts one around a [`StreamMachine`], which makes a stream machine again: so layers
//! nest. A loop may as well keep a layer beside the link and put it around nothing.

use crate::{Instant, LinkError, StreamMachine};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Something that turns the bytes of a link into others, and back.
pub trait StreamLayer {
    /// How it fails: for good.
    type Error;

    /// Takes bytes of the link, cut anywhere, and appends those for whoever is above to `above`.
    ///
    /// # Errors
    /// The link makes no sense any more. What is left to be written still is: it tells the peer.
    fn handle_bytes(
        &mut self,
        now: Instant,
        bytes: &[u8],
        above: &mut Vec<u8>,
    ) -> Result<(), Self::Error>;

    /// The link has ended. An orderly end is `Ok`.
    ///
    /// # Errors
    /// It has ended too early (truncation).
    fn handle_eof(&mut self, now: Instant) -> Result<(), Self::Error>;

    /// Tells the time; to be called when [`Self::poll_timeout`]'s deadline has come.
    ///
    /// # Errors
    /// The other side is too slow.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Self::Error>;

    /// Whether bytes of whoever is above may be written.
    fn is_open(&self) -> bool;

    /// Whether the peer has said that nothing more will come.
    fn is_finished(&self) -> bool;

    /// Takes bytes of whoever is above, all of them; only while [`Self::is_open`].
    ///
    /// # Errors
    /// They cannot be sent.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Nothing more will be written.
    fn finish(&mut self);

    /// Appends bytes for the link to `out`; returns whether there were any.
    fn poll_write(&mut self, out: &mut Vec<u8>) -> bool;

    /// When [`Self::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// A layer as loops keep them.
pub type LinkLayer = Box<dyn StreamLayer<Error = LinkError> + Send>;

/// Makes the layers of links that are to be secured (TLS).
pub trait Secure {
    /// The layer of a link that we opened, to `remote`, which is called `name` if that is not
    /// empty.
    ///
    /// # Errors
    /// There is none to be had: we are no client, or the name is none.
    fn client(&self, now: Instant, name: &str, remote: SocketAddr) -> Result<LinkLayer, LinkError>;

    /// The layer of a link that was opened to us.
    ///
    /// # Errors
    /// There is none to be had: we are no server.
    fn server(&self, now: Instant) -> Result<LinkLayer, LinkError>;
}

/// What a [`Layered`] has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerEvent<E, F> {
    /// The layer is open: the machine's bytes go out.
    Open,
    /// Something of the machine.
    Machine(E),
    /// The layer has failed, and the link is to be closed behind what is left to be written. The
    /// machine was told that no more comes.
    Failed(F),
}

/// A machine within a layer: a stream machine again.
#[derive(Clone, Debug)]
pub struct Layered<L: StreamLayer, M> {
    layer: L,
    machine: M,
    was_open: bool,
    eof_told: bool,
    failed: Option<L::Error>,
    is_dead: bool,
    /// Bytes on their way up, and down; empty between calls.
    scratch: Vec<u8>,
}

impl<L: StreamLayer, M: StreamMachine> Layered<L, M> {
    /// Puts `layer` around `machine`.
    pub fn around(layer: L, machine: M) -> Self {
        Self {
            layer,
            machine,
            was_open: false,
            eof_told: false,
            failed: None,
            is_dead: false,
            scratch: Vec::new(),
        }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, to be used.
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self) {
        self.layer.finish();
    }

    fn settle(&mut self, now: Instant, result: Result<(), L::Error>) {
        if let Err(error) = result
            && !core::mem::replace(&mut self.is_dead, true)
        {
            self.failed = Some(error);
        }
        if self.is_dead || self.layer.is_finished() {
            self.tell_eof(now);
        }
    }

    fn tell_eof(&mut self, now: Instant) {
        if !core::mem::replace(&mut self.eof_told, true) {
            self.machine.handle_eof(now);
        }
    }
}

impl<L: StreamLayer, M: StreamMachine> StreamMachine for Layered<L, M> {
    type Event = LayerEvent<M::Event, L::Error>;

    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if self.is_dead {
            return;
        }
        let mut above = core::mem::take(&mut self.scratch);
        let result = self.layer.handle_bytes(now, bytes, &mut above);
        if !above.is_empty() && !self.eof_told {
            self.machine.handle_bytes(now, &above);
        }
        above.clear();
        self.scratch = above;
        self.settle(now, result);
    }

    fn handle_eof(&mut self, now: Instant) {
        if !self.is_dead {
            let result = self.layer.handle_eof(now);
            self.settle(now, result);
            self.tell_eof(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if !self.is_dead && self.layer.poll_timeout().is_some_and(|deadline| deadline <= now) {
            let result = self.layer.handle_timeout(now);
            self.settle(now, result);
        }
        self.machine.handle_timeout(now);
    }

    fn poll_write(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        if self.layer.is_open() && !self.is_dead {
            let mut below = core::mem::take(&mut self.scratch);
            if self.machine.poll_write(now, &mut below) {
                let result = self.layer.write(&below);
                self.settle(now, result);
            }
            below.clear();
            self.scratch = below;
        }
        self.layer.poll_write(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let layer = self.layer.poll_timeout().filter(|_| !self.is_dead);
        [layer, self.machine.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        if self.layer.is_open() && !core::mem::replace(&mut self.was_open, true) {
            return Some(LayerEvent::Open);
        }
        if let Some(event) = self.machine.poll_event() {
            return Some(LayerEvent::Machine(event));
        }
        self.failed.take().map(LayerEvent::Failed)
    }
}
