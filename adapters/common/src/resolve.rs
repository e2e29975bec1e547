//! Names to addresses, by the system.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// The addresses of `host` as the system's resolver gives them, in its order, each with `port`.
/// `host` is a name or an address; an IPv6 address may stand in brackets.
///
/// This call waits for as long as the system's resolver does.
///
/// # Errors
/// What the resolver says; [`io::ErrorKind::NotFound`] if it names no address.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<_> = (bare, port).to_socket_addrs()?.collect();
    if addresses.is_empty() {
        let text = format!("{host} has no address");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N34: what the system knows of names.
    #[test]
    fn addresses_and_local_names_resolve() {
        let one = |text: &str| vec![text.parse::<SocketAddr>().expect("an address")];
        assert_eq!(resolve("192.0.2.1", 7).expect("literal"), one("192.0.2.1:7"));
        assert_eq!(resolve("::1", 7).expect("literal"), one("[::1]:7"));
        assert_eq!(resolve("[::1]", 7).expect("literal"), one("[::1]:7"));
        assert!(resolve("localhost", 7).expect("hosts file").iter().all(|at| at.port() == 7));
        assert!(resolve("a name with spaces", 7).is_err());
    }
}
