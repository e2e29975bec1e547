//! How a node for calls is made, on any loop.

use std::fmt;
use tripline::Config;
use tripline_common::Door;
use tripline_rpc::NodeConfig;

/// How to make a node for calls; `H` is what the loop wants to know.
#[derive(Default)]
pub struct CallsOptions<H> {
    /// Who we are over TRiP, and how it behaves; `None`: a client without an identity.
    pub config: Option<Config>,
    /// How conversations behave.
    pub node: NodeConfig,
    /// For sockets, links and TLS.
    pub hub: H,
    /// Who may come in over TRiP, where the configuration says to ask.
    pub door: Door,
}

impl<H: fmt::Debug> fmt::Debug for CallsOptions<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsOptions")
            .field("node", &self.node)
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}
