//! One echo, any loop: `machine` is the program, written once against the engine; `loops` has a
//! small function for each loop that drives it.
//!
//! ```console
//! cargo run -p tripline-tests --example echo -- tokio
//! cargo run -p tripline-tests --example echo -- smol listen 127.0.0.1:4444
//! cargo run -p tripline-tests --example echo -- std connect KEY@127.0.0.1:4444 hello world
//! ```
//!
//! The first is a server and a client on the loop of that name, over loopback; the others are the
//! two for two terminals.
#![forbid(unsafe_code)]

mod loops;
mod machine;

use loops::{LOOPS, Run};
use machine::{Echo, Told};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use tripline::SecretKey;
use tripline_std::{Address, os_seed};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let names: Vec<&str> = LOOPS.iter().map(|(name, _)| *name).collect();
    let wanted = args.first().copied().unwrap_or_default();
    let Some((_, run)) = LOOPS.iter().find(|(name, _)| *name == wanted) else {
        let usage = "echo LOOP [listen IP:PORT | connect KEY@IP:PORT LINE...]";
        return Err(format!("{usage}, where LOOP is one of {names:?}").into());
    };
    match args[1..] {
        [] => both(*run),
        ["listen", at] => listen(*run, at.parse()?, &mut |address| println!("{address}")),
        ["connect", at, ref lines @ ..] => connect(*run, &at.parse()?, lines),
        _ => Err("listen IP:PORT, or connect KEY@IP:PORT LINE...".into()),
    }
}

/// Serves one client, and tells at which address.
fn listen(run: Run, at: SocketAddr, tell: &mut dyn FnMut(String)) -> Result<(), Box<dyn Error>> {
    let seed = os_seed()?;
    let key = SecretKey::generate(&mut seed.random("the server's key"));
    let public = key.public_key();
    let server = Echo::server(key, &seed);
    run(at, server, &mut |local| tell(format!("{public}@{local}")))?;
    Ok(())
}

/// Says the lines, and prints what comes back.
fn connect(run: Run, to: &Address, lines: &[&str]) -> Result<(), Box<dyn Error>> {
    let server = SocketAddr::new(to.host.parse()?, to.port);
    let lines = lines.iter().map(|line| line.to_string()).collect();
    let client = Echo::client(server, to.key, lines, &os_seed()?);
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    for told in run(any, client, &mut drop)? {
        match told {
            Told::Line(line) => println!("{line}"),
            Told::Over(Some(why)) => return Err(why.into()),
            Told::Over(None) => {}
        }
    }
    Ok(())
}

/// A server on a thread of its own, and a client.
fn both(run: Run) -> Result<(), Box<dyn Error>> {
    let (told, address) = channel();
    let server = std::thread::spawn(move || {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let tell = &mut |address| drop(told.send(address));
        listen(run, loopback, tell).map_err(|error| error.to_string())
    });
    let address: String = address.recv()?;
    println!("listening on {address}");
    connect(run, &address.parse()?, &["hello", "again", "and goodbye"])?;
    server.join().map_err(|_| "the server panicked")??;
    Ok(())
}
