//! A network address translator, in the terms of RFC 4787: how inside addresses are mapped to
//! outside ports, who is let in, and when it all is forgotten.
//!
//! In go datagrams' addresses with their times, out come the addresses that they bear on the other
//! side, or why they are dropped. It never sees bytes. Everything is bounded: there are as many
//! bindings as ports, and each remembers at most [`PEERS_MAX`] whom it has sent to.

mod table;
#[cfg(test)]
mod tests;

pub(crate) use table::Nat;
use tripline_sansio::Duration;

/// Names a NAT of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub(crate) u32);

/// The most peers that one binding remembers having sent to, for its filter; beyond that the one
/// that was silent longest is forgotten.
pub const PEERS_MAX: usize = 1_024;

/// On what something depends: RFC 4787's three kinds, of mapping (section 4.1) and of filtering
/// (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependence {
    /// Endpoint-independent. Mapping: an inside address has one outside port, whomever it sends to.
    /// Filtering: whoever knows the port is let in.
    Endpoint,
    /// Address-dependent. Mapping: one outside port for each IP address sent to. Filtering: an
    /// outside port lets in only IP addresses that were sent to through it.
    Address,
    /// Address-and-port-dependent: the same with ports. (As a mapping: a *symmetric* NAT.)
    AddressAndPort,
}

/// Which outside port a new binding gets, of those that are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortChoice {
    /// Any, at random.
    Random,
    /// The same as inside if it is free, or else any.
    Preserve,
    /// The one after that of the last binding.
    Sequential,
}

/// What a NAT is like. Start from one that exists in the field and turn knobs.
///
/// ```
/// use tripline_sim::{Dependence, Duration, NatConfig};
/// let mobile = NatConfig::symmetric().timeout(Duration::from_secs(30)).ports(40_000, 200);
/// assert_eq!(mobile.mapping, Dependence::AddressAndPort);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// What the outside port depends on besides the inside address.
    pub mapping: Dependence,
    /// Who is let in.
    pub filtering: Dependence,
    /// How long a binding lives that nothing goes out through.
    pub timeout: Duration,
    /// Whether what comes in keeps a binding alive too.
    pub refresh_inbound: bool,
    /// The first outside port.
    pub first_port: u16,
    /// How many outside ports there are; a new binding that finds none is refused.
    pub port_count: u16,
    /// Which of them a new binding gets.
    pub choice: PortChoice,
    /// Whether what is sent from inside to an outside port of this NAT is turned back inside.
    pub hairpin: bool,
}

impl NatConfig {
    /// What RFC 4787 asks for: endpoint-independent mapping, address-dependent filtering, five
    /// minutes, hairpinning; ports at random.
    pub const fn well_behaved() -> Self {
        Self {
            mapping: Dependence::Endpoint,
            filtering: Dependence::Address,
            timeout: Duration::from_secs(300),
            refresh_inbound: true,
            first_port: 1_024,
            port_count: 64_511,
            choice: PortChoice::Random,
            hairpin: true,
        }
    }

    /// A router at home (*port-restricted cone*): endpoint-independent mapping, filtering by
    /// address and port, two minutes, no hairpinning.
    pub const fn home() -> Self {
        Self {
            filtering: Dependence::AddressAndPort,
            timeout: Duration::from_secs(120),
            hairpin: false,
            ..Self::well_behaved()
        }
    }

    /// One that lets in whoever knows the port (*full cone*).
    pub const fn open() -> Self {
        Self { filtering: Dependence::Endpoint, ..Self::well_behaved() }
    }

    /// One with a new port for each destination, which filters by address and port.
    pub const fn symmetric() -> Self {
        Self { mapping: Dependence::AddressAndPort, ..Self::home() }
    }

    /// With bindings that live so long.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With bindings that only what goes out keeps alive.
    #[must_use]
    pub const fn outbound_refresh_only(mut self) -> Self {
        self.refresh_inbound = false;
        self
    }

    /// With `count` outside ports from `first` on.
    #[must_use]
    pub const fn ports(mut self, first: u16, count: u16) -> Self {
        self.first_port = first;
        self.port_count = count;
        self
    }

    /// With outside ports chosen like this.
    #[must_use]
    pub const fn choice(mut self, choice: PortChoice) -> Self {
        self.choice = choice;
        self
    }
}

/// What has become of the datagrams at one NAT, and of its bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NatCounters {
    /// Datagrams led out; a train counts once.
    pub outbound: u64,
    /// Datagrams let in.
    pub inbound: u64,
    /// Bindings made.
    pub created: u64,
    /// Bindings that timed out, as far as anybody noticed.
    pub expired: u64,
    /// Times that there was no port for a new binding.
    pub full: u64,
    /// Datagrams to a port without a binding that came as far as the NAT.
    pub unbound: u64,
    /// Datagrams that the filter kept out.
    pub filtered: u64,
    /// Peers that a binding forgot because it knew too many.
    pub forgotten: u64,
    /// How often it was rebooted.
    pub reboots: u64,
}
