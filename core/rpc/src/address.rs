//! One syntax for every way to a peer (rows M22, M23).
//!
//! `trip://KEY@host:port`, `trip+tcp://KEY@host:port`, `tcp://host:port`, `tls://host:port`,
//! `udp://host:port`. A host is a name, an IPv4 address, an IPv6 address in brackets, or `*`: any
//! address of this machine, to listen at.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use tripline::{Over, PublicKey};
use tripline_sansio::LinkKind;

/// What carries a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// TRiP over UDP.
    Trip,
    /// TRiP over UDP, or over TCP at the same port where that does not get through.
    TripAuto,
    /// TRiP over TCP.
    TripTcp,
    /// Frames over TCP: nothing is secret, and nobody is proven.
    Tcp,
    /// Frames over TLS.
    Tls,
    /// The msgbox profile over plain datagrams: nothing is repeated or secret, and nobody is
    /// proven.
    Udp,
}

const SCHEMES: [(&str, Scheme); 6] = [
    ("trip", Scheme::Trip),
    ("trip+auto", Scheme::TripAuto),
    ("trip+tcp", Scheme::TripTcp),
    ("tcp", Scheme::Tcp),
    ("tls", Scheme::Tls),
    ("udp", Scheme::Udp),
];

impl Scheme {
    /// By what TRiP travels; `None`: it is not TRiP.
    pub(crate) fn over(self) -> Option<Over> {
        match self {
            Self::Trip => Some(Over::udp()),
            Self::TripAuto => Some(Over::auto()),
            Self::TripTcp => Some(Over::tcp()),
            Self::Tcp | Self::Tls | Self::Udp => None,
        }
    }

    /// What its links are made of; of TRiP, those that it may go by.
    pub(crate) fn link(self) -> LinkKind {
        match self {
            Self::Trip | Self::Udp => LinkKind::Udp,
            Self::Tcp | Self::TripAuto | Self::TripTcp => LinkKind::Tcp,
            Self::Tls => LinkKind::Tls,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = SCHEMES.iter().find(|(_, scheme)| scheme == self);
        f.write_str(known.map_or("", |(name, _)| name))
    }
}

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// Any address of this machine, to listen at.
    Any,
    /// An address.
    Ip(IpAddr),
    /// A name, to be resolved.
    Name(String),
}

/// A way to a peer, or a place to listen at.
///
/// ```
/// use tripline_rpc::{Address, Host, Scheme};
///
/// let address: Address = "tcp://[::1]:4000".parse()?;
/// assert_eq!((address.scheme, address.port), (Scheme::Tcp, 4000));
/// assert_eq!(address.to_string(), "tcp://[::1]:4000");
/// let any: Address = "trip://*:4000".parse()?;
/// assert_eq!(any.host, Host::Any);
/// # Ok::<(), tripline_rpc::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What carries the conversation.
    pub scheme: Scheme,
    /// For TRiP: the key that the server must prove to hold.
    pub key: Option<PublicKey>,
    /// Where.
    pub host: Host,
    /// The port; 0 lets the system choose one to listen at.
    pub port: u16,
}

impl Address {
    /// The address, if it is none that must be resolved first.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Any => Some((Ipv4Addr::UNSPECIFIED, self.port).into()),
            Host::Ip(ip) => Some((ip, self.port).into()),
            Host::Name(_) => None,
        }
    }
}

/// Why a text is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `://`.
    NoScheme,
    /// A scheme that we do not speak.
    Scheme(String),
    /// The key cannot be read.
    Key(String),
    /// Only TRiP has keys.
    KeyWithoutTrip,
    /// No port, or not one from 0 to 65535.
    Port,
    /// No host, or what stands there is none.
    Host(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme => {
                f.write_str("an address is SCHEME://HOST:PORT, for example tcp://127.0.0.1:4000")
            }
            Self::Scheme(scheme) => {
                write!(f, "{scheme}:// is not spoken here; it is one of")?;
                SCHEMES.iter().try_for_each(|(name, _)| write!(f, " {name}://"))
            }
            Self::Key(why) => write!(f, "the key before the @: {why}"),
            Self::KeyWithoutTrip => f.write_str("only trip addresses have a key before an @"),
            Self::Port => f.write_str("a port from 0 to 65535 stands at the end, behind a colon"),
            Self::Host(host) if host.contains(':') => {
                write!(f, "{host} is no host; an IPv6 address stands in brackets")
            }
            Self::Host(host) => write!(f, "{host:?} is no host name"),
        }
    }
}

impl core::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::NoScheme)?;
        let known = SCHEMES.iter().find(|(name, _)| *name == scheme);
        let scheme =
            known.map(|(_, scheme)| *scheme).ok_or(AddressError::Scheme(scheme.to_string()))?;
        let (key, rest) = match rest.split_once('@') {
            None => (None, rest),
            Some(_) if scheme.over().is_none() => return Err(AddressError::KeyWithoutTrip),
            Some((key, rest)) => {
                let key = key.parse::<PublicKey>();
                (Some(key.map_err(|error| AddressError::Key(error.to_string()))?), rest)
            }
        };
        let (host, port) = rest.rsplit_once(':').ok_or(AddressError::Port)?;
        let port = port.parse().map_err(|_| AddressError::Port)?;
        Ok(Self { scheme, key, host: host_of(host)?, port })
    }
}

fn host_of(text: &str) -> Result<Host, AddressError> {
    let wrong = || AddressError::Host(text.to_string());
    if text == "*" {
        return Ok(Host::Any);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(wrong)?;
        return inner.parse::<Ipv6Addr>().map(|ip| Host::Ip(ip.into())).map_err(|_| wrong());
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let is_odd = |one: char| one.is_whitespace() || one.is_control() || "/@[]*:?#".contains(one);
    if text.is_empty() || text.contains(is_odd) {
        return Err(wrong());
    }
    Ok(Host::Name(text.to_string()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(key) = &self.key {
            write!(f, "{key}@")?;
        }
        match &self.host {
            Host::Any => f.write_str("*")?,
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
            Host::Ip(ip) => write!(f, "{ip}")?,
            Host::Name(name) => f.write_str(name)?,
        }
        write!(f, ":{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M23: every form is read, and written as it was.
    #[test]
    fn m23_addresses_are_read_and_written() {
        let key = tripline::SecretKey::from_bytes([7; 32]).public_key().to_string();
        for text in [
            "tcp://127.0.0.1:4000",
            "tls://example.org:443",
            "udp://*:7",
            "tcp://[::1]:0",
            "trip://*:9",
            &alloc::format!("trip://{key}@host:1"),
            &alloc::format!("trip+auto://{key}@[fe80::1]:65535"),
            &alloc::format!("trip+tcp://{key}@10.0.0.1:80"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    /// M23, M30: what is wrong is said in one line.
    #[test]
    fn m23_m30_what_is_wrong_is_said() {
        let cases = [
            ("127.0.0.1:1", "an address is SCHEME://HOST:PORT, for example tcp://127.0.0.1:4000"),
            (
                "ftp://a:1",
                "ftp:// is not spoken here; it is one of trip:// trip+auto:// \
                          trip+tcp:// tcp:// tls:// udp://",
            ),
            ("tcp://k@a:1", "only trip addresses have a key before an @"),
            ("tcp://a", "a port from 0 to 65535 stands at the end, behind a colon"),
            ("tcp://a:65536", "a port from 0 to 65535 stands at the end, behind a colon"),
            ("tcp://::1:5", "::1 is no host; an IPv6 address stands in brackets"),
            ("tcp://:5", "\"\" is no host name"),
            ("tcp://a b:5", "\"a b\" is no host name"),
        ];
        for (text, line) in cases {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), line, "{text}");
        }
        let error = "trip://nokey@a:1".parse::<Address>().unwrap_err().to_string();
        assert!(error.starts_with("the key before the @: "), "{error}");
    }
}
