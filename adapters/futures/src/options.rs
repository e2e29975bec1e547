//! How to make an endpoint.

use std::fmt;
use std::sync::Arc;
use tripline::LinkRoute;
use tripline_common::{ChoosePsk, Screen};
use tripline_sansio::Secure;
use tripline_tcp::Limits;

/// How to make the socket and the loop.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How to make the socket.
    pub socket: tripline_udp::Options,
    /// Receive buffers of 64 KiB, 1 to 32: messages that one receive call can bring.
    pub receive_buffers: usize,
    /// Whether AES is used where this machine has it in hardware, though the configuration does
    /// not say so. Without it [`Config::hardware_aes`](tripline::Config::hardware_aes) alone
    /// decides.
    pub detect_aes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { socket: tripline_udp::Options::default(), receive_buffers: 8, detect_aes: true }
    }
}

/// How to listen.
#[derive(Default)]
pub struct ListenOptions {
    /// How to make the socket and the loop.
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
    /// Who may come in, where the configuration says [`Screening::Ask`](tripline::Screening::Ask);
    /// without it nobody may.
    pub screen: Option<Screen>,
    /// Which pre-shared key a client is to have, where the configuration says
    /// [`Screening::AskForPsk`](tripline::Screening::AskForPsk): asked about each client that
    /// opened with one. Where a client names our key, `screen` speaks first; where it asks for it
    /// (XX), the pre-shared key is chosen first, by the key that the client claims alone, and
    /// `screen` is asked once it fits and all is proven (R-CHAL-4d).
    pub psk: Option<ChoosePsk>,
}

impl fmt::Debug for ListenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenOptions")
            .field("options", &self.options)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}
