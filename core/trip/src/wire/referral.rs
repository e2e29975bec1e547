//! A referral to another endpoint, as CHALLENGE and FORWARD carry it (PROTOCOL.md §2.3, §3).
//!
//! `count (1) · addresses (4 or 6 · IP · port) · key (32) · route length (1) · route`. In go the
//! bytes, out come the fields, checked one by one; the other way round, fields are appended. That
//! the key is one which X25519 may be used with, and who follows, is not known here.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use tripline_sansio::codec::{ReadError, Reader, Writer};

/// Addresses of one referral, at most (R-CHAL-3).
pub(crate) const REFERRAL_ADDRESSES: usize = 4;

/// What an address begins with.
const IPV4: u8 = 4;
/// See [`IPV4`].
const IPV6: u8 = 6;

/// Why a referral could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReferralError {
    /// It ends too early.
    Read(ReadError),
    /// No address, or more than [`REFERRAL_ADDRESSES`].
    Count,
    /// An address of a family that is not known.
    Family,
    /// An address that no one endpoint can have.
    Address,
    /// The route is too long for its length byte.
    Route,
}

impl ReferralError {
    /// Which rule was broken.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Read(_) => "a referral is cut off",
            Self::Count => "a referral without addresses, or with too many",
            Self::Family => "an address of an unknown family",
            Self::Address => "a referral to nowhere",
            Self::Route => "a route that is too long",
        }
    }
}

impl From<ReadError> for ReferralError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for ReferralError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}

impl core::error::Error for ReferralError {}

/// The bytes of a referral, known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReferralBody<'a>(&'a [u8]);

impl<'a> ReferralBody<'a> {
    /// Takes a referral off `reader`. Allocates nothing.
    ///
    /// # Errors
    /// See [`ReferralError`].
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, ReferralError> {
        let all = reader.rest();
        walk(reader, |_| {})?;
        let taken = all.len().saturating_sub(reader.remaining());
        Ok(Self(all.get(..taken).unwrap_or_default()))
    }

    /// The referral that all of `bytes` are.
    ///
    /// # Errors
    /// See [`ReferralError`]; bytes that are left over are [`ReferralError::Route`].
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ReferralError> {
        let mut reader = Reader::new(bytes);
        let body = Self::read(&mut reader)?;
        if reader.is_empty() { Ok(body) } else { Err(ReferralError::Route) }
    }

    /// The bytes.
    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Addresses, the key as it came, and the route.
    pub(crate) fn fields(&self) -> (Vec<SocketAddr>, [u8; 32], &'a [u8]) {
        let mut addresses = Vec::new();
        // It was read before, so this reads it again.
        let (key, route) = walk(&mut Reader::new(self.0), |address| addresses.push(address))
            .unwrap_or(([0xff; 32], &[]));
        (addresses, key, route)
    }
}

/// Reads the fields in turn, each address into `each`.
fn walk<'a>(
    reader: &mut Reader<'a>,
    mut each: impl FnMut(SocketAddr),
) -> Result<([u8; 32], &'a [u8]), ReferralError> {
    let count = usize::from(reader.u8()?);
    if !(1..=REFERRAL_ADDRESSES).contains(&count) {
        return Err(ReferralError::Count);
    }
    for _ in 0..count {
        each(read_address(reader)?);
    }
    let key = reader.array()?;
    let route_len = usize::from(reader.u8()?);
    Ok((key, reader.take(route_len)?))
}

fn read_address(reader: &mut Reader<'_>) -> Result<SocketAddr, ReferralError> {
    let ip = match reader.u8()? {
        IPV4 => IpAddr::from(reader.array::<4>()?),
        IPV6 => IpAddr::from(reader.array::<16>()?),
        _ => return Err(ReferralError::Family),
    };
    let address = SocketAddr::new(ip, reader.u16()?);
    if is_somewhere(&address) { Ok(address) } else { Err(ReferralError::Address) }
}

/// Whether one endpoint can be at an address: it has a port, and is neither *any* nor a group.
fn is_somewhere(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    address.port() != 0
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Appends a referral.
///
/// # Errors
/// If it breaks a rule of its own; nothing is appended then.
pub(crate) fn write_referral(
    out: &mut Vec<u8>,
    addresses: &[SocketAddr],
    key: &[u8; 32],
    route: &[u8],
) -> Result<(), ReferralError> {
    let count = u8::try_from(addresses.len()).map_err(|_| ReferralError::Count)?;
    if !(1..=REFERRAL_ADDRESSES).contains(&addresses.len()) {
        return Err(ReferralError::Count);
    }
    let route_len = u8::try_from(route.len()).map_err(|_| ReferralError::Route)?;
    if !addresses.iter().all(is_somewhere) {
        return Err(ReferralError::Address);
    }
    let mut out = Writer::new(out);
    out.u8(count);
    for address in addresses {
        match address.ip() {
            IpAddr::V4(ip) => out.u8(IPV4).bytes(&ip.octets()),
            IpAddr::V6(ip) => out.u8(IPV6).bytes(&ip.octets()),
        };
        out.u16(address.port());
    }
    out.bytes(key).u8(route_len).bytes(route);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;
    use alloc::vec;

    const KEY: &str = "0909090909090909090909090909090909090909090909090909090909090909";

    type Fields = (Vec<SocketAddr>, [u8; 32], Vec<u8>);

    fn parse(text: &str) -> Result<Fields, ReferralError> {
        let bytes = hex(&text.replace("KEY", KEY));
        let (addresses, key, route) = ReferralBody::parse(&bytes)?.fields();
        Ok((addresses, key, route.to_vec()))
    }

    /// T57, R-CHAL-3: golden bytes, both ways.
    #[test]
    fn t57_golden_referral() {
        let addresses = vec![
            SocketAddr::from(([192, 0, 2, 7], 4444)),
            SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 443)),
        ];
        let text = "02 04 c0000207 115c 06 20010db8000000000000000000000001 01bb KEY 04 6563686f";
        assert_eq!(parse(text), Ok((addresses.clone(), [9; 32], b"echo".to_vec())));
        let mut out = vec![];
        write_referral(&mut out, &addresses, &[9; 32], b"echo").unwrap();
        assert_eq!(out, hex(&text.replace("KEY", KEY)));
    }

    /// T57, R-CHAL-3: what is no referral, by its first broken rule.
    #[test]
    fn t57_broken_referrals_are_named() {
        let one = "04 c0000207 115c";
        for (text, error) in [
            ("00 KEY 00".into(), ReferralError::Count),
            (alloc::format!("05 {one} {one} {one} {one} {one} KEY 00"), ReferralError::Count),
            ("01 05 c0000207 115c KEY 00".into(), ReferralError::Family),
            ("01 04 c0000207 0000 KEY 00".into(), ReferralError::Address),
            ("01 04 00000000 115c KEY 00".into(), ReferralError::Address),
            ("01 04 e0000001 115c KEY 00".into(), ReferralError::Address),
            ("01 04 ffffffff 115c KEY 00".into(), ReferralError::Address),
            ("01 06 00000000000000000000ffffe0000001 115c KEY 00".into(), ReferralError::Address),
            (alloc::format!("01 {one} KEY 00 00"), ReferralError::Route),
        ] {
            assert_eq!(parse(&text), Err(error), "{text}");
        }
        assert!(matches!(parse("01 04 c00002"), Err(ReferralError::Read(_))));
        assert!(matches!(
            parse(&alloc::format!("01 {one} KEY 02 61")),
            Err(ReferralError::Read(_))
        ));
        let address = SocketAddr::from(([192, 0, 2, 7], 1));
        let mut out = vec![];
        for (addresses, route, error) in [
            (vec![], 0, ReferralError::Count),
            (vec![address; 5], 0, ReferralError::Count),
            (vec![address; 300], 0, ReferralError::Count),
            (vec![address], 256, ReferralError::Route),
            (vec![SocketAddr::from(([0, 0, 0, 0], 1))], 0, ReferralError::Address),
        ] {
            let route = vec![0; route];
            assert_eq!(write_referral(&mut out, &addresses, &[9; 32], &route), Err(error));
            assert!(out.is_empty());
        }
    }
}
