//! The reference: two endpoints and a network between them, driven by the shortest loop that obeys
//! the rules. What it hears and says is what every other loop must say when it hears the same.

use crate::actor::{Actor, CLIENT, SERVER};
use crate::state::{Datagram, START};
use std::collections::VecDeque;
use tripline_sansio::{Duration, Instant, Path};

/// How long a conversation may take, with all that follows.
pub(crate) const LENGTH: Duration = Duration::from_secs(100);
/// One way and the other, but for some nanoseconds that differ from burst to burst: no arrival may
/// fall together with a deadline, for loops need not agree on which comes first.
const LATENCY: [Duration; 2] = [Duration::from_nanos(7_000_013), Duration::from_nanos(9_000_077)];

/// What one side heard and said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) heard: VecDeque<Datagram>,
    pub(crate) said: Vec<Datagram>,
    /// How many events there were.
    pub(crate) told: u64,
    /// How often the side woke: for datagrams or for its deadline.
    pub(crate) wakes: usize,
}

/// One host of the reference.
struct Host {
    actor: Actor,
    /// On the way to it, in the order of time.
    coming: VecDeque<Datagram>,
    record: Record,
    out: Vec<u8>,
}

impl Host {
    fn new(actor: Actor) -> Self {
        Self { actor, coming: VecDeque::new(), record: Record::default(), out: Vec::new() }
    }

    /// When it wants to be woken.
    fn next(&self) -> Option<Instant> {
        let arrival = self.coming.front().map(|datagram| datagram.at);
        [arrival, self.actor.deadline()].into_iter().flatten().min()
    }

    /// One turn of the loop: receive, tell the time, drain, take the events. What it says goes to
    /// `record.said`.
    fn turn(&mut self, now: Instant) {
        self.record.wakes += 1;
        let due = self.actor.deadline().is_some_and(|deadline| deadline <= now);
        let arrived = self.coming.partition_point(|datagram| datagram.at <= now);
        assert!(!due || arrived == 0, "an arrival falls together with a deadline at {now:?}");
        for mut datagram in self.coming.drain(..arrived) {
            self.record.heard.push_back(datagram.clone());
            self.actor.datagram(now, datagram.path, datagram.ecn, &mut datagram.bytes);
        }
        if due {
            self.actor.timeout(now);
        }
        self.out.clear();
        while let Some(transmit) = self.actor.transmit(now, &mut self.out) {
            for bytes in self.out.chunks(transmit.segment_size.max(1)) {
                let (path, ecn, bytes) = (transmit.path, transmit.ecn, bytes.to_vec());
                self.record.said.push(Datagram { at: now, path, ecn, bytes });
            }
            self.out.clear();
        }
        while self.actor.event().is_some() {}
    }
}

/// A whole conversation, of which each `loses`-th datagram of either side is lost (0: none):
/// what the client heard and said, and the server.
pub(crate) fn record(loses: usize) -> [Record; 2] {
    let mut hosts = [Host::new(Actor::client(START)), Host::new(Actor::server(START))];
    let mut passed = [0, 0];
    let mut bursts = 0;
    let mut now = START;
    for host in &mut hosts {
        host.turn(now);
    }
    loop {
        for from in [0, 1] {
            let [one, other] = &mut hosts;
            let (sender, receiver) = if from == 0 { (one, other) } else { (other, one) };
            let (source, sink) = if from == 0 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
            // What is new was said in one turn.
            bursts += 1;
            for datagram in sender.record.said.iter().skip(passed[from]) {
                passed[from] += 1;
                if loses > 0 && passed[from] % loses == 0 {
                    continue;
                }
                let path = Path { remote: source, local: Some(sink.ip()) };
                let at = datagram.at + LATENCY[from] + Duration::from_nanos(bursts * 389 % 1_009);
                let at = receiver.coming.back().map_or(at, |last| last.at.max(at));
                receiver.coming.push_back(Datagram { at, path, ..datagram.clone() });
            }
        }
        let Some(next) = hosts.iter().filter_map(Host::next).min() else { break };
        if next >= START + LENGTH {
            break;
        }
        now = next;
        for host in &mut hosts {
            if host.next().is_some_and(|next| next <= now) {
                host.turn(now);
            }
        }
    }
    hosts.map(|host| {
        assert!(host.actor.is_done(), "the conversation did not come to its end");
        Record { told: host.actor.told(), ..host.record }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 7, and that there is something to compare.
    #[test]
    fn the_reference_says_the_same_each_time_and_enough() {
        for loses in [0, 7] {
            let [client, server] = record(loses);
            assert_eq!([client.clone(), server.clone()], record(loses));
            for side in [client, server] {
                assert!(side.said.len() > 80 && side.heard.len() > 80, "{}", side.said.len());
                assert!(side.said.is_sorted_by_key(|datagram| datagram.at));
                assert!(side.said.last().is_some_and(|last| last.at > START + LENGTH / 2));
                println!("{loses}: {} said, {} wakes", side.said.len(), side.wakes);
            }
        }
    }
}
