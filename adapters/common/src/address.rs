//! Where a server is, in one text: its key, a name and a port.

use crate::{Error, resolve};
use std::fmt;
use std::io;
use std::str::FromStr;
use tripline::{PublicKey, Target};

/// A server's key, host and port, written `KEY@HOST:PORT`.
///
/// The host is a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The key that the server must hold.
    pub key: PublicKey,
    /// A name or an address; brackets around an IPv6 address are left out.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

impl Address {
    /// What the engine connects to: the address itself, or a name to be resolved first (row T02).
    pub fn target(&self) -> Target {
        match self.host.parse::<std::net::IpAddr>() {
            Ok(ip) => Target::Addresses(vec![(ip, self.port).into()]),
            Err(_) => Target::Name { host: self.host.clone(), port: self.port },
        }
    }
}

impl Address {
    /// The same, with a name resolved here and now, which may take the system some time.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn resolved(&self) -> io::Result<Target> {
        Ok(match self.target() {
            Target::Name { host, port } => Target::Addresses(resolve(&host, port)?),
            addresses @ Target::Addresses(_) => addresses,
        })
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Address(format!("{why}; KEY@HOST:PORT is wanted"));
        let (key, place) = text.split_once('@').ok_or_else(|| bad("no '@'"))?;
        let key = key.parse().map_err(|error| bad(&format!("the key: {error}")))?;
        let (host, port) = place.rsplit_once(':').ok_or_else(|| bad("no port"))?;
        let port = port.parse().map_err(|_| bad("the port is not a number up to 65535"))?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return Err(bad("the host is empty, or an IPv6 address without brackets"));
        }
        Ok(Self { key, host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, host, port } = self;
        if host.contains(':') {
            write!(f, "{key}@[{host}]:{port}")
        } else {
            write!(f, "{key}@{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline::SecretKey;

    #[test]
    fn an_address_reads_back_and_says_what_is_wrong() {
        let key = SecretKey::from_bytes([7; 32]).public_key();
        for (host, shown) in
            [("example.org", "example.org"), ("::1", "[::1]"), ("1.2.3.4", "1.2.3.4")]
        {
            let text = format!("{key}@{shown}:4444");
            let address: Address = text.parse().expect("an address");
            assert_eq!(address, Address { key, host: host.into(), port: 4_444 });
            assert_eq!(address.to_string(), text);
        }
        assert!(matches!(
            format!("{key}@a.example:1").parse::<Address>().expect("a name").target(),
            Target::Name { .. }
        ));
        for wrong in
            ["", "x@y:1", &format!("{key}@h"), &format!("{key}@h:65536"), &format!("{key}@::1:5")]
        {
            assert!(matches!(wrong.parse::<Address>(), Err(Error::Address(_))), "{wrong}");
        }
    }
}
