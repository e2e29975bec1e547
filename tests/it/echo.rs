//! The echo example: one program, written once, on every loop.

#[path = "../examples/echo/loops.rs"]
mod loops;
#[path = "../examples/echo/machine.rs"]
mod machine;

use loops::{LOOPS, Run};
use machine::{Echo, Told};
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use tripline::SecretKey;
use tripline_sansio::Seed;

/// A server on one loop and a client on another; what each told.
fn talk(server: Run, client: Run, lines: &[String]) -> (Vec<Told>, Vec<Told>) {
    let key = SecretKey::from_bytes([1; 32]);
    let public = key.public_key();
    let (bound, address) = channel();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let serving = std::thread::spawn(move || {
        let echo = Echo::server(key, &Seed::from_number(1));
        server(any, echo, &mut |local| bound.send(local).expect("somebody waits"))
    });
    let to = address.recv().expect("an address");
    let echo = Echo::client(to, public, lines.to_vec(), &Seed::from_number(2));
    let heard = client(any, echo, &mut drop).expect("a socket");
    (serving.join().expect("no panic").expect("a socket"), heard)
}

/// T64, T78, U49: each loop drives the same program, and each talks with each.
#[test]
pub(crate) fn one_program_runs_on_every_loop() {
    // More than one datagram and less than the buffers hold.
    let lines: Vec<String> = (0..200).map(|number| format!("line {number} ").repeat(50)).collect();
    let said = lines.iter().cloned().map(Told::Line).chain([Told::Over(None)]);
    let said: Vec<Told> = said.collect();
    for (server_name, server) in LOOPS {
        for (client_name, client) in LOOPS {
            let (server, client) = talk(*server, *client, &lines);
            let where_ = format!("a server on {server_name}, a client on {client_name}");
            assert!(server == said, "{where_}: the server heard {} things", server.len());
            assert!(client == said, "{where_}: the client heard {} things", client.len());
        }
    }
}
