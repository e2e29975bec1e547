//! Where scenes are played: threads and tasks over loopback, or two hosts of a simulated network.

use super::Scene;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tripline::{Config, Endpoint, LinkHub};
use tripline_calls::{Address, Calls, Driven, NodeConfig};
use tripline_rpc::{Host, Node, Scheme};
use tripline_sansio::{Instant, Seed};
use tripline_sim::{HostId, HubWorld};
use tripline_tests::identity;
use tripline_tls::Tls;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Std,
    Smol,
    Tokio,
    Simulator,
}

impl Place {
    pub(crate) const ALL: [Self; 4] = [Self::Std, Self::Smol, Self::Tokio, Self::Simulator];
}

fn server_config() -> Config {
    Config::public_server(identity("server"))
}

fn secure() -> Arc<dyn tripline_sansio::Secure + Send + Sync> {
    let tls = Tls::self_signed(&["localhost"]).expect("a certificate");
    Arc::new(Tls::client_of_anyone().and_server(tls))
}

/// Plays a scene.
pub(crate) fn play<Fut: Future<Output = ()>>(
    place: Place,
    scheme: Scheme,
    scene: &impl Fn(Scene) -> Fut,
) {
    let mut runtimes = Vec::new();
    let mut node = |config: Option<Config>| match place {
        Place::Simulator => unreachable!("it has its own"),
        Place::Std => {
            let hub = tripline_std::HubOptions { secure: Some(secure()), ..Default::default() };
            let options = tripline_std::calls::CallsOptions { config, hub, ..Default::default() };
            tripline_std::calls::node(options).expect("a node")
        }
        Place::Smol | Place::Tokio => {
            let hub = tripline_smol::HubOptions { secure: Some(secure()), ..Default::default() };
            let options = tripline_smol::calls::CallsOptions { config, hub, ..Default::default() };
            match place {
                Place::Smol => tripline_smol::calls::node(options).expect("a node"),
                _ => {
                    let runtime = tokio::runtime::Builder::new_multi_thread()
                        .worker_threads(1)
                        .enable_all()
                        .build()
                        .expect("a runtime");
                    let node = runtime.block_on(async { tripline_tokio::calls::node(options) });
                    // It lives as long as the scene.
                    runtimes.push(runtime);
                    node.expect("a node")
                }
            }
        }
    };
    if place == Place::Simulator {
        return Stage::new(scheme, NodeConfig::default()).play(scene);
    }
    let (server, client) = (node(Some(server_config())), node(None));
    async_io::block_on(async {
        let address = server.listen(&format!("{scheme}://127.0.0.1:0")).await.expect("a place");
        let playing = async {
            scene(Scene { server, client, address }).await;
            true
        };
        let limit = async {
            async_io::Timer::after(Duration::from_secs(60)).await;
            false
        };
        assert!(futures_lite::future::or(playing, limit).await, "this takes too long");
    });
}

/// Two hosts of a simulated network, whose handles go by its clock.
pub(crate) struct Stage {
    pub(crate) world: HubWorld<Driven>,
    pub(crate) hosts: [HostId; 2],
    pub(crate) calls: [Calls; 2],
    clock: Arc<AtomicU64>,
    pub(crate) address: Address,
}

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

fn node(config: Config, how: NodeConfig, seed: u64, now: Instant) -> Node {
    let seed = Seed::from_number(seed);
    let endpoint = Endpoint::new(config, &seed.child("endpoint"), now);
    Node::new(LinkHub::new(endpoint, &seed.child("links")), how, &seed.child("node"))
}

impl Stage {
    pub(crate) fn new(scheme: Scheme, how: NodeConfig) -> Self {
        let mut world = HubWorld::new(5);
        let clock = Arc::new(AtomicU64::new(world.now().as_nanos()));
        let mut hosts = Vec::new();
        let calls = [Config::client(), server_config()].map(|config| {
            let number = u8::try_from(hosts.len()).expect("two") + 1;
            let made = node(config, how.clone(), u64::from(number), world.now());
            let clock = Arc::clone(&clock);
            let time = move || Instant::from_nanos(clock.load(Ordering::Relaxed));
            let (calls, driven) = Calls::new(made, time);
            hosts.push(world.add(SocketAddr::from(([10, 0, 0, number], 4_000)), driven));
            calls
        });
        let address =
            Address { scheme, key: None, host: Host::Ip([10, 0, 0, 2].into()), port: 4_000 };
        let mut stage = Self { world, hosts: [hosts[0], hosts[1]], calls, clock, address };
        let (server, text) = (stage.calls[SERVER].clone(), stage.address.to_string());
        stage.address = stage.run(async move { server.listen(&text).await.expect("a place") });
        stage
    }

    /// Polls a future, in virtual time, until it is ready.
    pub(crate) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let limit = self.world.now() + Duration::from_secs(600);
        let (mut future, mut idle) = (pin!(future), 0);
        loop {
            let found = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(found) = found {
                return found;
            }
            // What handles have said goes out.
            for host in self.hosts {
                self.world.with(host, |_, _| ());
            }
            // An answer may be there without any time, and lead to what takes some.
            idle = if self.world.step_until(limit) { 0 } else { idle + 1 };
            assert!(idle < 3, "nothing more happens, and it is not done");
            self.clock.store(self.world.now().as_nanos(), Ordering::Relaxed);
        }
    }

    fn play<Fut: Future<Output = ()>>(mut self, scene: &impl Fn(Scene) -> Fut) {
        let [client, server] = self.calls.clone();
        let address = self.address.clone();
        let playing = scene(Scene { server, client, address });
        self.run(playing);
    }
}
