//! Calls: a server that adds numbers and a client that asks it, over loopback.
//!
//! `cargo run -p tripline-std --example calls [trip|trip+tcp|tcp|udp]`: the same program over each,
//! by its address. Both sides are nodes of `tripline-rpc`, each driven by a loop of its own;
//! nothing here knows what carries the calls.

use std::error::Error;
use std::sync::mpsc;
use tripline::{Config, Endpoint, LinkHub, SecretKey};
use tripline_rpc::{
    Address, CallOptions, ClientOptions, Event, Node, NodeConfig, NodeEvent, Refusal, Retry,
};
use tripline_std::{HubLoop, HubOptions, os_seed};

type Failure = Box<dyn Error + Send + Sync>;

/// A loop around a node: a server if it has an identity.
fn looper(identity: Option<SecretKey>) -> Result<HubLoop<Node>, Failure> {
    let (how, seed) = (HubOptions::default(), os_seed()?);
    let config = identity.map_or_else(Config::client, Config::public_server);
    let endpoint = Endpoint::new(config, &seed.child("endpoint"), how.options.clock.now());
    let hub = LinkHub::new(endpoint, &seed.child("links"));
    Ok(HubLoop::new(Node::new(hub, NodeConfig::default(), &seed.child("node")), &how)?)
}

/// Answers until the client is gone.
fn serve(address: &Address, identity: SecretKey, at: &mpsc::Sender<u16>) -> Result<(), Failure> {
    let mut looper = looper(Some(identity))?;
    looper.with(|node, _| node.listen(address)).ok_or("a name is no place to listen at")?;
    loop {
        looper.run_once(None)?;
        while let Some(event) = looper.next_event() {
            match event {
                NodeEvent::Listening { local: Some(local), .. } => at.send(local.port())?,
                NodeEvent::Deaf { error, .. } => return Err(error.into()),
                NodeEvent::Peer { conn, event: Event::Request { request, payload, .. } } => {
                    let sum: Option<u32> =
                        str::from_utf8(&payload)?.split('+').map(|n| n.parse::<u32>().ok()).sum();
                    looper.with(|node, now| match sum {
                        Some(sum) => node.reply(now, conn, request, &*sum.to_string()),
                        None => node.refuse(now, conn, request, Refusal::Denied, "numbers, please"),
                    })?;
                }
                NodeEvent::Closed { .. } | NodeEvent::Lost { .. } => return Ok(()),
                _ => {}
            }
        }
    }
}

/// Asks, and prints the answers.
fn ask(address: Address, sums: &[&str]) -> Result<(), Failure> {
    let mut looper = looper(None)?;
    let conn = looper.with(|node, now| node.connect(now, address, ClientOptions::default()));
    // To add is harmless to do twice: asked again if the connection breaks.
    let options = CallOptions { retry: Retry::Idempotent, ..CallOptions::default() };
    let mut asked = std::collections::BTreeMap::new();
    for sum in sums {
        let call = looper.with(|node, now| node.call(now, conn, "add", *sum, options))?;
        asked.insert(call, *sum);
    }
    loop {
        looper.run_once(None)?;
        while let Some(event) = looper.next_event() {
            match event {
                NodeEvent::Peer { event: Event::Outcome { call, outcome }, .. } => {
                    let sum = asked.remove(&call).ok_or("an outcome twice")?;
                    match outcome.into_result() {
                        Ok(answer) => println!("{sum} = {}", String::from_utf8_lossy(&answer)),
                        Err(failure) => println!("{sum}: {failure}"),
                    }
                    if asked.is_empty() {
                        let grace = tripline_sansio::Duration::from_secs(1);
                        looper.with(|node, now| node.close(now, conn, grace))?;
                    }
                }
                NodeEvent::Finalised { .. } => return Ok(()),
                _ => {}
            }
        }
    }
}

fn main() -> Result<(), Failure> {
    let scheme = std::env::args().nth(1).unwrap_or_else(|| "trip".into());
    let mut address: Address = format!("{scheme}://127.0.0.1:0").parse()?;
    let identity = SecretKey::generate(&mut os_seed()?.random("identity"));
    let key = identity.public_key();
    let (port_out, port_in) = mpsc::channel();
    let listen = address.clone();
    let server = std::thread::spawn(move || serve(&listen, identity, &port_out));
    address.port = port_in.recv().map_err(|_| "the server could not listen")?;
    if scheme.starts_with("trip") {
        address.key = Some(key);
    }
    println!("asking {address}");
    ask(address, &["1+1", "20+22", "apples+pears"])?;
    server.join().map_err(|_| "the server's thread panicked")?
}
