//! Who listens at a UDP socket. Each protocol has one for all its connections (row N38): so it is
//! where it is, and who wants to listen elsewhere cannot.
//!
//! In go listeners by their own numbers, each with the place that it wants, and what becomes of the
//! socket; out come events, one for each that asked: nobody hears another one's answer.

use super::event::NodeEvent;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::{LinkError, LinkFailure};

#[derive(Debug, Default)]
pub(crate) struct UdpDoors {
    /// Those that wait for the socket, and where they want it.
    asked: Vec<(u64, SocketAddr)>,
    /// Those that listen.
    open: Vec<u64>,
}

impl UdpDoors {
    /// Somebody wants to listen; `local` is where the socket is, if it is there.
    pub(super) fn ask(
        &mut self,
        listener: u64,
        wanted: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Option<NodeEvent> {
        match local {
            Some(local) => Some(self.answer(listener, wanted, local)),
            None => {
                self.asked.push((listener, wanted));
                None
            }
        }
    }

    fn answer(&mut self, listener: u64, wanted: SocketAddr, local: SocketAddr) -> NodeEvent {
        if wanted.port() == 0 || wanted.port() == local.port() {
            self.open.push(listener);
            return NodeEvent::Listening { listener, local: Some(local) };
        }
        let text = format!("the UDP socket has port {} already", local.port());
        let error = LinkError { failure: LinkFailure::Unavailable, text };
        NodeEvent::Deaf { listener, error }
    }

    /// The socket is there.
    pub(super) fn opened(&mut self, local: SocketAddr) -> Vec<NodeEvent> {
        let asked = core::mem::take(&mut self.asked);
        asked.into_iter().map(|(listener, wanted)| self.answer(listener, wanted, local)).collect()
    }

    /// It could not be had, or is gone.
    pub(super) fn failed(&mut self, error: &LinkError) -> Vec<NodeEvent> {
        let asked = self.asked.drain(..).map(|(listener, _)| listener);
        let all = self.open.drain(..).chain(asked);
        all.map(|listener| NodeEvent::Deaf { listener, error: error.clone() }).collect()
    }

    /// Ends one; whether it was one of these. One that still waits is told of no socket.
    pub(super) fn close(&mut self, listener: u64) -> bool {
        let before = self.asked.len().saturating_add(self.open.len());
        self.asked.retain(|(one, _)| *one != listener);
        self.open.retain(|one| *one != listener);
        self.asked.len().saturating_add(self.open.len()) < before
    }

    /// By whom clients come in.
    pub(super) fn first(&self) -> Option<u64> {
        self.open.first().copied()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<u64> {
        self.asked.iter().map(|(listener, _)| *listener).chain(self.open.iter().copied()).collect()
    }
}
