//! Addresses as the command line takes them: `HOST:PORT` and `KEY@HOST:PORT`, both with `trip://`
//! before them if one likes; the host `*` is any address of this machine (rows M22, M23).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use tripline::{PublicKey, Target};

/// A host, by name or by address, and a UDP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// The host; an IPv6 address without its brackets; empty for "any address of this machine".
    pub(crate) host: String,
    /// The port; 0 only where the system may choose.
    pub(crate) port: u16,
}

/// A server: its key, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The key that it must prove to hold.
    pub(crate) key: PublicKey,
    /// Where it is; neither the host nor the port is empty.
    pub(crate) at: HostPort,
}

impl HostPort {
    /// What the engine is told: an address, or a name that it asks us to resolve.
    pub(crate) fn target(&self) -> Target {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => Target::Addresses(vec![(ip, self.port).into()]),
            Err(_) => Target::Name { host: self.host.clone(), port: self.port },
        }
    }
}

/// What stands behind `trip://`, or the whole text if it names no scheme.
fn without_scheme(text: &str) -> Result<&str, String> {
    match text.split_once("://") {
        None => Ok(text),
        Some(("trip", rest)) => Ok(rest),
        Some((scheme @ ("udp" | "tcp" | "tls"), _)) => {
            Err(format!("{scheme}:// is no scheme of ours; write trip:// and --over {scheme}"))
        }
        Some((scheme, _)) => Err(format!("{scheme}:// is no scheme of ours; it is trip://")),
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = without_scheme(text)?
            .rsplit_once(':')
            .ok_or("an address is HOST:PORT, for example 127.0.0.1:4000 or [::1]:4000")?;
        let port = port.parse().map_err(|_| "the port is not a number from 0 to 65535")?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let bare = rest.strip_suffix(']').ok_or("the bracket [ has no partner")?;
                bare.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address between the brackets")?;
                bare
            }
            None if host == "*" => "",
            None if host.contains(':') => return Err("put the IPv6 address in brackets".into()),
            None if host.contains(|one: char| one.is_whitespace() || "/@[]*".contains(one)) => {
                return Err("this is no host name".into());
            }
            None => host,
        };
        Ok(Self { host: host.to_string(), port })
    }
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, at) = without_scheme(text)?
            .split_once('@')
            .ok_or("a server is KEY@HOST:PORT; the server prints its key when it starts")?;
        let key = key.parse().map_err(|error: tripline::KeyTextError| error.to_string())?;
        let at: HostPort = at.parse()?;
        if at.host.is_empty() || at.port == 0 {
            return Err("both a host and a port other than 0 are needed".into());
        }
        Ok(Self { key, at })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for text in ["127.0.0.1:4000", "[::1]:0", "localhost:65535", ":7"] {
            let parsed: HostPort = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        for text in
            ["", "host", "host:", "host:65536", "::1:5", "[::1:5", "[x]:5", "a b:5", "a/b:5"]
        {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    /// M23: a scheme may stand before the address, `*` is any host, and what we do not speak is
    /// named.
    #[test]
    fn m23_schemes_and_any_host() {
        let any: HostPort = "trip://*:4000".parse().expect("any host");
        assert_eq!((any.host.as_str(), any.port), ("", 4000));
        let key = tripline::SecretKey::from_bytes([7; 32]).public_key();
        let plain: Remote = format!("{key}@[::1]:9").parse().expect("a server");
        assert_eq!(format!("trip://{key}@[::1]:9").parse(), Ok(plain));
        for (text, named) in [("tcp://h:1", "tcp"), ("tls://h:1", "tls"), ("http://h:1", "http")] {
            let error = text.parse::<HostPort>().expect_err(text);
            assert!(error.starts_with(&format!("{named}://")), "{error}");
            assert!(error.contains("trip://"), "says what to write instead: {error}");
        }
        assert!(
            "*x:1".parse::<HostPort>().is_err() && "trip://trip://h:1".parse::<HostPort>().is_err()
        );
    }

    #[test]
    fn servers_are_read() {
        let key = tripline::SecretKey::from_bytes([7; 32]).public_key();
        let remote: Remote = format!("{key}@[::1]:9").parse().expect("a server");
        assert_eq!(remote, Remote { key, at: "[::1]:9".parse().expect("an address") });
        assert!(matches!(remote.at.target(), Target::Addresses(list) if list.len() == 1));
        for text in ["", "x@h:1", &format!("{key}"), &format!("{key}@h:0"), &format!("{key}@:1")] {
            assert!(text.parse::<Remote>().is_err(), "{text}");
        }
    }
}
