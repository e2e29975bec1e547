//! The front ends of calls: the same scenes on every loop and in the simulator.

mod ground;
mod life;
#[path = "../../examples/subway.rs"]
mod subway;
mod suite;

use std::future::Future;
use tripline_calls::{Address, Caller, Calls, ClientOptions};
use tripline_rpc::Scheme;

/// A server that listens, and a client.
pub(crate) struct Scene {
    pub(crate) server: Calls,
    pub(crate) client: Calls,
    pub(crate) address: Address,
}

/// The scene's client is connected to its server.
async fn connected(scene: &Scene) -> Caller {
    let address = scene.address.to_string();
    scene.client.connected(&address, ClientOptions::default()).await.expect("a connection")
}

const SCHEMES: [Scheme; 5] = [Scheme::Trip, Scheme::TripTcp, Scheme::Tcp, Scheme::Tls, Scheme::Udp];

/// Over every scheme, on every loop, and in the simulator.
pub(crate) fn everywhere<Fut: Future<Output = ()>>(scene: impl Fn(Scene) -> Fut) {
    for scheme in SCHEMES {
        over(scheme, &scene);
    }
}

/// Over those schemes that carry all of calls.
pub(crate) fn over_pipes<Fut: Future<Output = ()>>(scene: impl Fn(Scene) -> Fut) {
    for scheme in &SCHEMES[..4] {
        over(*scheme, &scene);
    }
}

fn over<Fut: Future<Output = ()>>(scheme: Scheme, scene: &impl Fn(Scene) -> Fut) {
    for place in ground::Place::ALL {
        println!("over {scheme}, {place:?}");
        ground::play(place, scheme, scene);
    }
}
