//! What carries packets: datagrams, or a reliable stream of bytes (PROTOCOL.md §8).
//!
//! A link has a number, and stands among a connection's addresses like any other (§5.2), so that
//! moves, proofs and budgets know no second kind of place. Its address lies in the discard-only
//! prefix of IPv6 (RFC 6666), with port 0: no socket receives from there, and a datagram that
//! claims to come from there is dropped.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use tripline_sansio::Path;

/// Whether two addresses are of one kind: both stand for links, or both for datagrams.
pub(crate) fn same_kind(one: Path, other: Path) -> bool {
    LinkId::of(one.remote).is_some() == LinkId::of(other.remote).is_some()
}

/// How many bytes an answer may have that `came` bytes from there ask for, before anybody has
/// proven that he is there: as many. A link is proven by itself (R-LINK-4): as many as it takes.
pub(crate) fn answer_room(path: Path, came: usize) -> usize {
    if LinkId::of(path.remote).is_some() { ANSWER_ON_LINK } else { came }
}

/// More than any answer has.
const ANSWER_ON_LINK: usize = 1_200;

/// `100::/64`.
const PREFIX: u64 = 0x0100 << 48;

/// The number of a link: one reliable, ordered stream of bytes in each direction. Chosen by whoever
/// drives the machine; never used twice for different links of one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

impl LinkId {
    /// The link of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// How it shows where an address is expected, as in [`Event::Moved`](crate::Event::Moved), and
    /// what to connect to.
    pub fn address(self) -> SocketAddr {
        let bits = (u128::from(PREFIX) << 64) | u128::from(self.0);
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), 0)
    }

    /// The link that an address stands for; `None` for one of datagrams.
    pub fn of(address: SocketAddr) -> Option<Self> {
        let SocketAddr::V6(address) = address else { return None };
        let [a, b, c, d, n0, n1, n2, n3] = address.ip().segments();
        let number = [n0, n1, n2, n3].into_iter().fold(0, |all, part| all << 16 | u64::from(part));
        ([a, b, c, d] == [0x0100, 0, 0, 0] && address.port() == 0).then_some(Self(number))
    }

    pub(crate) fn path(self) -> Path {
        Path::to(self.address())
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-LINK-2: a link's address names it and nothing else does.
    #[test]
    fn r_link_2_an_address_stands_for_one_link() {
        for number in [0, 1, 0xffff, 0x1_0000, 0x0123_4567_89ab_cdef, u64::MAX] {
            let link = LinkId::new(number);
            assert_eq!(LinkId::of(link.address()), Some(link));
            let mut other = link.address();
            other.set_port(1);
            assert_eq!(LinkId::of(other), None, "a port");
        }
        for other in ["10.0.0.1:0", "[::1]:0", "[100:0:0:1::1]:0", "[::ffff:1.2.3.4]:0"] {
            assert_eq!(LinkId::of(other.parse().unwrap()), None, "{other}");
        }
    }
}
