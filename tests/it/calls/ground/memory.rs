//! Nothing but memory: what one node writes to a link, the other is handed at once.

use super::Ground;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tripline_rpc::{Node, NodeEvent};
use tripline_sansio::{Answer, Hub, Instant, LinkError, LinkFailure, LinkKind, Wish};

#[derive(Default)]
struct Side {
    listeners: BTreeMap<u16, (u64, LinkKind)>,
    /// The other end of each link, if it is still there.
    links: BTreeMap<u64, Option<u64>>,
}

pub(crate) struct Memory {
    now: Instant,
    nodes: [Node; 2],
    sides: [Side; 2],
    told: [Vec<NodeEvent>; 2],
}

impl Memory {
    pub(crate) fn new(nodes: [Node; 2]) -> Self {
        let now = Instant::from_nanos(1);
        Self { now, nodes, sides: Default::default(), told: Default::default() }
    }

    /// Everything is said, and heard.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            if !(self.carry(0) | self.carry(1)) {
                return;
            }
        }
        panic!("they never fall silent");
    }

    fn carry(&mut self, from: usize) -> bool {
        let (now, to) = (self.now, 1 - from);
        let (mut some, mut out) = (false, Vec::new());
        assert_eq!(self.nodes[from].poll_transmit(now, &mut out), None, "there are no datagrams");
        while let Some(link) = self.nodes[from].poll_ready(now) {
            while self.nodes[from].poll_write(now, link, &mut out) {
                if let Some(Some(other)) = self.sides[from].links.get(&link) {
                    self.nodes[to].handle_bytes(now, *other, &out);
                }
                out.clear();
                some = true;
            }
        }
        while let Some(wish) = self.nodes[from].poll_wish() {
            self.grant(from, wish);
            some = true;
        }
        while let Some(event) = self.nodes[from].poll_event() {
            self.told[from].push(event);
            some = true;
        }
        some
    }

    fn grant(&mut self, from: usize, wish: Wish) {
        let (now, to) = (self.now, 1 - from);
        match wish {
            Wish::Listen { link, kind, address } => {
                self.sides[from].listeners.insert(address.port(), (link, kind));
                let local = Some(address);
                self.nodes[from].handle_answer(now, link, Answer::Opened { local });
            }
            Wish::Open { link, kind, address, .. } => {
                let listener = self.sides[to].listeners.get(&address.port()).copied();
                let remote = SocketAddr::from(([127, 0, 0, 1], 1));
                let other = listener.filter(|(_, of)| *of == kind).and_then(|(listener, _)| {
                    self.nodes[to].handle_accepted(now, listener, kind, remote)
                });
                let answer = match other {
                    Some(other) => {
                        self.sides[from].links.insert(link, Some(other));
                        self.sides[to].links.insert(other, Some(link));
                        Answer::Opened { local: None }
                    }
                    None => {
                        let (failure, text) = (LinkFailure::Refused, String::new());
                        Answer::Failed(LinkError { failure, text })
                    }
                };
                self.nodes[from].handle_answer(now, link, answer);
            }
            Wish::Close { link } => {
                self.sides[from].listeners.retain(|_, (number, _)| *number != link);
                if let Some(Some(other)) = self.sides[from].links.remove(&link)
                    && let Some(end) = self.sides[to].links.get_mut(&other)
                {
                    *end = None;
                    self.nodes[to].handle_eof(now, other);
                }
            }
        }
    }
}

impl Ground for Memory {
    fn now(&self) -> Instant {
        self.now
    }

    fn with(&mut self, side: usize, act: &mut dyn FnMut(&mut Node, Instant)) {
        act(&mut self.nodes[side], self.now);
        self.settle();
    }

    fn step(&mut self, deadline: Instant) -> bool {
        self.settle();
        let next = self.nodes.iter().filter_map(Node::poll_timeout).min();
        let Some(next) = next.filter(|next| *next <= deadline) else { return false };
        assert!(next > self.now, "rule 3");
        self.now = next;
        for node in &mut self.nodes {
            if node.poll_timeout().is_some_and(|at| at <= next) {
                node.handle_timeout(next);
            }
        }
        self.settle();
        true
    }

    fn rest_until(&mut self, deadline: Instant) {
        self.now = self.now.max(deadline);
    }

    fn take_events(&mut self, side: usize) -> Vec<NodeEvent> {
        std::mem::take(&mut self.told[side])
    }

    fn node(&self, side: usize) -> &Node {
        &self.nodes[side]
    }
}
