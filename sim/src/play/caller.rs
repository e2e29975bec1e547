//! Who floods a server: true OPENs from addresses that are not his, and RETRYs answered from others
//! than they were sent to.
//!
//! In go the server's address and public key and the RETRYs that somebody near it sees, out come
//! datagrams with their sources. He is an engine of ours without a network, so his OPENs are as
//! good as anybody's; he knows nothing secret.

use crate::rule::Stage;
use crate::scenario::{Action, Deed, Scenario};
use crate::wire::Packet;
use crate::world::World;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use tripline::{Config, ConnectOptions, Endpoint, PublicKey};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Random, Seed};

/// RETRYs of one server that are kept until they are answered; the oldest goes.
const ASKED_MAX: usize = 64;
/// Where the sources of floods lie: 100.64.0.0/10.
const NOWHERE: u32 = 0x6440_0000;
/// The bits of such an address that are free.
const FREE: u32 = 0x003f_ffff;

/// A RETRY, and where it went.
type Retry = (SocketAddr, Vec<u8>);

/// The RETRYs of each host that is flooded; nothing is kept of others.
#[derive(Clone)]
pub(super) struct Asked(Rc<RefCell<Vec<Option<VecDeque<Retry>>>>>);

impl Asked {
    /// Nothing is asked yet.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let is_flooded = |name: &str| {
            scenario.steps.iter().any(
                |step| matches!(&step.action, Action::Host(host, Deed::Flood(..)) if host == name),
            )
        };
        let hosts = scenario.hosts.iter().map(|host| is_flooded(&host.name).then(VecDeque::new));
        Self(Rc::new(RefCell::new(hosts.collect())))
    }

    /// Looks at what the flooded send to where nobody is.
    pub(super) fn attach<M: DatagramMachine>(&self, world: &mut World<M>) {
        if self.0.borrow().iter().all(Option::is_none) {
            return;
        }
        let asked = self.0.clone();
        world.add_tap(move |packet| {
            let (Stage::Offered, Some(from)) = (packet.stage, packet.from) else { return };
            if packet.bytes.first() != Some(&0x03) || !is_nowhere(packet.destination) {
                return;
            }
            if let Some(Some(asked)) = asked.borrow_mut().get_mut(from.index()) {
                asked.push_back((packet.destination, packet.bytes.to_vec()));
                if asked.len() > ASKED_MAX {
                    asked.pop_front();
                }
            }
        });
    }

    /// The oldest RETRY of a host that waits for its answer.
    pub(super) fn take(&self, host: usize) -> Option<Retry> {
        self.0.borrow_mut().get_mut(host)?.as_mut()?.pop_front()
    }
}

/// See the head of this file.
pub(super) struct Caller {
    endpoint: Endpoint,
    server: SocketAddr,
    opens: Vec<Vec<u8>>,
}

impl Caller {
    /// Somebody with so many OPENs at most for a server with this address and key; nobody if there
    /// are none.
    pub(super) fn new(
        seed: &Seed,
        now: Instant,
        (server, key): (SocketAddr, PublicKey),
        count: u64,
    ) -> Option<Self> {
        let config = Config { connections_max: u32::MAX, ..Config::client() };
        let mut endpoint = Endpoint::new(config, seed, now);
        for _ in 0..count {
            if endpoint.connect(now, server.into(), ConnectOptions::to(key)).is_err() {
                break;
            }
        }
        let opens = sent(&mut endpoint, now);
        (!opens.is_empty()).then_some(Self { endpoint, server, opens })
    }

    /// Source and bytes of the next datagram. A RETRY for one of his OPENs is answered, mostly from
    /// elsewhere.
    pub(super) fn draw(
        &mut self,
        now: Instant,
        asked: Option<Retry>,
        random: &mut Random,
    ) -> (SocketAddr, Vec<u8>) {
        if let Some((to, retry)) = asked
            && let Some(open) = self.answer(now, retry)
        {
            let source = if random.below(4) == 0 { to } else { anywhere(random) };
            return (source, open);
        }
        let at = random.below(self.opens.len() as u64) as usize;
        (anywhere(random), self.opens[at].clone())
    }

    /// The OPEN with the token of a RETRY.
    fn answer(&mut self, now: Instant, mut retry: Vec<u8>) -> Option<Vec<u8>> {
        let path = Path { remote: self.server, local: None };
        self.endpoint.handle_datagram(now, path, Ecn::NotEct, &mut retry);
        let has_token = |bytes: &Vec<u8>| match Packet::read(bytes) {
            Ok(Packet::Open(open)) => !open.token.is_empty(),
            _ => false,
        };
        sent(&mut self.endpoint, now).into_iter().find(has_token)
    }
}

/// All that an endpoint has to send.
fn sent(endpoint: &mut Endpoint, now: Instant) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = Vec::new();
    while let Some(transmit) = endpoint.poll_transmit(now, &mut buffer) {
        all.extend(buffer.chunks(transmit.segment_size).map(<[u8]>::to_vec));
        buffer.clear();
    }
    all
}

/// An address where nobody is.
fn anywhere(random: &mut Random) -> SocketAddr {
    let ip = Ipv4Addr::from(NOWHERE | random.bits32() & FREE);
    SocketAddr::from((ip, 1 + random.below(65_535) as u16))
}

fn is_nowhere(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(ip) if u32::from(ip) & !FREE == NOWHERE)
}

#[cfg(test)]
mod tests {
    use crate::{Mark, play};

    /// R-RETRY-2: whoever answers from elsewhere is asked again.
    #[test]
    fn retries_are_answered_from_elsewhere() {
        let text = r#"
            name = "tokens"
            about = "A flood at a server that asks everybody."
            seed = 4
            lasts = "4s"
            hosts = ["server public 10.0.0.1:443 retry-above=0", "client client 10.0.1.1:1000"]
            links = []
            steps = ["0s server flood 300 over=3s"]
        "#;
        let outcome = play::play(&text.parse().unwrap()).unwrap();
        assert!(outcome.marks.count(Mark::RetrySent) > 200);
        assert!(outcome.marks.count(Mark::TokenElsewhere) > 50);
    }
}
