//! How loops with a clock of their own are made: the blocking ones and mio's.

use std::fmt;
use std::sync::Arc;
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
    pub limits: crate::Limits,
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
