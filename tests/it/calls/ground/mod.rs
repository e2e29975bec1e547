//! Where two nodes meet: in the simulator, over loopback, or in memory alone.

mod looped;
mod memory;
mod sim;

pub(crate) use looped::Looped;
pub(crate) use memory::Memory;
pub(crate) use sim::Sim;

use tripline_rpc::{Node, NodeEvent};
use tripline_sansio::Instant;
use tripline_sim::HubWorld;

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

/// What drives two nodes and carries what they say.
pub(crate) trait Ground {
    fn now(&self) -> Instant;

    /// Uses a node; what it has to say goes out.
    fn with(&mut self, side: usize, act: &mut dyn FnMut(&mut Node, Instant));

    /// Does whatever is next, but nothing later than `deadline`. Whether there was anything.
    fn step(&mut self, deadline: Instant) -> bool;

    /// Nothing happens until then; not over loopback, where the time is real.
    fn rest_until(&mut self, deadline: Instant);

    fn take_events(&mut self, side: usize) -> Vec<NodeEvent>;

    fn node(&self, side: usize) -> &Node;

    /// The simulator, if this is it.
    fn sim(&mut self) -> Option<&mut HubWorld<Node>> {
        None
    }
}
