//! How loops with a clock of their own are made: the blocking ones and mio's.

use crate::{Limits, Listeners, ToListen};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::LinkRoute;
use tripline_common::Clock;
use tripline_sansio::Secure;

/// How to make a loop over UDP.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How to make the socket.
    pub socket: tripline_udp::Options,
    /// Receive buffers of 64 KiB, 1 to 32: messages that one receive call can bring.
    pub receive_buffers: usize,
    /// The clock; loops whose machines compare times share one.
    pub clock: Clock,
    /// Whether the clients and servers of the adapters use AES where this machine has it in
    /// hardware, though the configuration does not say so. Without it `Config::hardware_aes` alone
    /// decides. A plain loop, which does not know its machine, makes no use of it.
    pub detect_aes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: tripline_udp::Options::default(),
            receive_buffers: 8,
            clock: Clock::new(),
            detect_aes: true,
        }
    }
}

/// How to make a loop of a hub.
#[derive(Clone, Default)]
pub struct HubOptions {
    /// For UDP sockets that the hub wishes for, and the clock.
    pub options: Options,
    /// How many links there may be, and how patient to be with them.
    pub limits: Limits,
    /// What secures TLS links; without it there are none.
    pub secure: Option<Arc<dyn Secure + Send + Sync>>,
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("options", &self.options)
            .field("limits", &self.limits)
            .field("secure", &self.secure.is_some())
            .finish()
    }
}

/// How to listen, for loops that leave it to their user to decide who comes in.
#[derive(Clone, Default)]
pub struct ListenOptions {
    /// For the UDP socket, and the clock.
    pub options: Options,
    /// What else to listen for, at the same address: TCP, TLS. Without a port of its own a link
    /// has that of the address.
    pub links: Vec<LinkRoute>,
    /// Not to listen for datagrams.
    pub no_udp: bool,
    /// How many links there may be, and how patient to be with them.
    pub limits: Limits,
    /// What secures TLS links.
    pub secure: Option<Arc<dyn Secure + Send + Sync>>,
}

impl fmt::Debug for ListenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenOptions")
            .field("options", &self.options)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

impl ListenOptions {
    /// The sockets for all that.
    ///
    /// # Errors
    /// As [`Listeners::bind`].
    pub fn bind(&self, address: SocketAddr) -> io::Result<Listeners> {
        let what = ToListen {
            udp: (!self.no_udp).then_some(&self.options.socket),
            links: self.links.iter().map(|link| (link.kind, link.port)).collect(),
            secure: self.secure.is_some(),
        };
        Listeners::bind(address, &what)
    }

    /// How to make the loop around them.
    pub fn hub(&self) -> HubOptions {
        let Self { options, limits, secure, .. } = self;
        HubOptions { options: *options, limits: *limits, secure: secure.clone() }
    }
}
