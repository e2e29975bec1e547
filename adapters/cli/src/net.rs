//! What all commands that use the network share: how to listen, how to connect, and which services
//! a server offers under which route.

use crate::figures::{CliError, complain, new_key, say, while_doing};
use crate::keys::read_secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tripline::{Code, Config, ConnectOptions, Screening};
use tripline_std::{Address, Client, Connection, ListenOptions, Listener};

/// The route of a pipe.
pub(crate) const PIPE: &[u8] = b"pipe";
/// The route of files.
pub(crate) const FILES: &[u8] = b"files";
/// The route of pings.
pub(crate) const PING: &[u8] = b"ping";

/// After so much silence a peer is given up.
const IDLE: Duration = Duration::from_secs(10);
/// So often something is said even if there is nothing to say.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// How a client reaches its server.
#[derive(clap::Args)]
pub(crate) struct Peer {
    /// The server: KEY@HOST:PORT.
    #[arg(value_name = "KEY@HOST:PORT")]
    pub(crate) server: Address,
    /// Our identity: a file with a secret key. Anonymous if left out.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How long to try to connect.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// How a server is reached.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// Where to listen: IP:PORT; port 0 for one of the system's choice.
    #[arg(value_name = "IP:PORT")]
    address: SocketAddr,
    /// Our identity: a file with a secret key. One made on the spot if left out.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Prints the address as a JSON object.
    #[arg(long)]
    json: bool,
}

fn patient(mut config: Config) -> Config {
    config.transport.idle_timeout = IDLE;
    config.transport.keep_alive = KEEP_ALIVE;
    config
}

/// Connects, for this service of the server.
pub(crate) fn connect(peer: &Peer, route: &[u8]) -> Result<Connection, CliError> {
    let identity = peer.key.as_deref().map(read_secret).transpose()?;
    let client = Client::new(patient(Config { identity, ..Config::client() }))
        .map_err(while_doing("making a socket"))?;
    let options = ConnectOptions {
        route: route.to_vec(),
        deadline: peer.timeout,
        ..ConnectOptions::to(peer.server.key)
    };
    let Address { host, port, .. } = &peer.server;
    client
        .connect(peer.server.target(), options)
        .map_err(while_doing(&format!("connecting to {host}:{port}")))
}

/// Listens, and says where on stdout or, if stdout is wanted for data, on stderr. Clients that ask
/// for other services than `routes` are refused.
pub(crate) fn listen(
    place: &Place,
    routes: &'static [&'static [u8]],
    stdout_is_data: bool,
) -> Result<Listener, CliError> {
    let identity = match &place.key {
        Some(path) => read_secret(path)?,
        None => new_key("listener")?,
    };
    let mut config = patient(Config::public_server(identity));
    if let Some(server) = config.server.as_mut() {
        server.screening = Screening::Ask;
    }
    let how = ListenOptions {
        screen: Some(Box::new(|incoming| {
            let offered = routes.contains(&incoming.route.as_slice());
            let no = || (Code::NO_ROUTE, "this command does not offer that service".to_owned());
            if offered { Ok(()) } else { Err(no()) }
        })),
        ..ListenOptions::default()
    };
    let listener = Listener::bind(place.address, config, how)
        .map_err(while_doing(&format!("listening on {}", place.address)))?;
    let line = if place.json {
        serde_json::json!({ "address": listener.address() }).to_string()
    } else {
        format!("listening on {}", listener.address())
    };
    if stdout_is_data {
        complain(line);
    } else {
        say(line)?;
    }
    Ok(listener)
}
