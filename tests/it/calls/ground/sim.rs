//! Two hosts of a simulated network.

use super::{CLIENT, Ground};
use std::net::SocketAddr;
use tripline_rpc::{Node, NodeEvent};
use tripline_sansio::Instant;
use tripline_sim::{HostId, HubWorld};

pub(crate) struct Sim {
    world: HubWorld<Node>,
    hosts: [HostId; 2],
}

impl Sim {
    pub(crate) fn new(seed: u64, nodes: [Node; 2]) -> Self {
        let mut world = HubWorld::new(seed);
        let mut number = 0_u8;
        let hosts = nodes.map(|node| {
            number += 1;
            world.add(SocketAddr::from(([10, 0, 0, number], 4_000)), node)
        });
        Self { world, hosts }
    }
}

impl Ground for Sim {
    fn now(&self) -> Instant {
        self.world.now()
    }

    fn with(&mut self, side: usize, act: &mut dyn FnMut(&mut Node, Instant)) {
        self.world.with(self.hosts[side], act);
    }

    fn step(&mut self, deadline: Instant) -> bool {
        self.world.step_until(deadline)
    }

    fn rest_until(&mut self, deadline: Instant) {
        self.world.run_for(deadline.saturating_duration_since(self.world.now()));
    }

    fn take_events(&mut self, side: usize) -> Vec<NodeEvent> {
        assert_eq!(self.hosts[CLIENT].index(), CLIENT);
        self.world.take_events(self.hosts[side])
    }

    fn node(&self, side: usize) -> &Node {
        self.world.hub(self.hosts[side])
    }

    fn sim(&mut self) -> Option<&mut HubWorld<Node>> {
        Some(&mut self.world)
    }
}
