//! Two loops of `tripline-std` on one thread, over this machine's loopback.

use super::Ground;
use std::sync::Arc;
use std::time::Duration;
use tripline_rpc::{Node, NodeEvent};
use tripline_sansio::Instant;
use tripline_std::{HubLoop, HubOptions};
use tripline_tls::Tls;

pub(crate) struct Looped {
    loops: [HubLoop<Node>; 2],
    began: Instant,
}

impl Looped {
    pub(crate) fn new(nodes: [Node; 2]) -> Self {
        let tls = Tls::self_signed(&["localhost"]).expect("a certificate");
        let secure = Tls::client_of_anyone().and_server(tls);
        let how = HubOptions { secure: Some(Arc::new(secure)), ..HubOptions::default() };
        let loops = nodes.map(|node| HubLoop::new(node, &how).expect("a loop"));
        let began = loops[0].clock().now();
        Self { loops, began }
    }
}

impl Ground for Looped {
    fn now(&self) -> Instant {
        self.loops[0].clock().now()
    }

    fn with(&mut self, side: usize, act: &mut dyn FnMut(&mut Node, Instant)) {
        self.loops[side].with(act);
    }

    /// Both loops look once; none of them waits for long, as the other may have something for it.
    fn step(&mut self, deadline: Instant) -> bool {
        for looper in &mut self.loops {
            looper.run_once(Some(Duration::from_micros(200))).expect("the loop runs");
        }
        assert!(self.now() < self.began + Duration::from_secs(60), "this takes too long");
        self.now() <= deadline
    }

    fn rest_until(&mut self, _: Instant) {
        panic!("a test for virtual time");
    }

    fn take_events(&mut self, side: usize) -> Vec<NodeEvent> {
        std::iter::from_fn(|| self.loops[side].next_event()).collect()
    }

    fn node(&self, side: usize) -> &Node {
        self.loops[side].hub()
    }
}
