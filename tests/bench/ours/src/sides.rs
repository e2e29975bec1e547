//! Two sides of a run, on a thread each in this process.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::meter::pin;
use crate::task::Failure;

/// The core of the server, where sides are pinned.
pub const SERVER_CORE: usize = 0;
/// The core of the client.
pub const CLIENT_CORE: usize = 1;

/// Runs both sides and waits for them. The server tells its address; the client is asked for its
/// outcome first, because a server may wait for a client that has failed.
pub fn run<S: Send + 'static, C: Send + 'static>(
    pinned: bool,
    server: impl FnOnce(Sender<SocketAddr>) -> Result<S, Failure> + Send + 'static,
    client: impl FnOnce(SocketAddr) -> Result<C, Failure> + Send + 'static,
) -> Result<(S, C), Failure> {
    let (address_out, address_in) = channel();
    let server = thread::spawn(move || {
        if pinned {
            pin(SERVER_CORE);
        }
        server(address_out)
    });
    let Ok(address) = address_in.recv() else {
        server.join().map_err(|_| "the server's thread panicked")??;
        return Err("the server told no address".into());
    };
    let client = thread::spawn(move || {
        if pinned {
            pin(CLIENT_CORE);
        }
        client(address)
    });
    let client = client.join().map_err(|_| "the client's thread panicked")??;
    let server = server.join().map_err(|_| "the server's thread panicked")??;
    Ok((server, client))
}
