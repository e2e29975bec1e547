//! A NAT in words: `router 203.0.113.9 home behind=carrier timeout=30s`.
//!
//! A NAT has a name, an outside address, a kind from which its knobs start, perhaps another NAT
//! that it stands behind, and knobs. Hosts stand behind it by the word `behind=router`. Knobs are
//! kept one by one, so that each can be dropped or made smaller alone; what each does is told at
//! [`NatConfig`].

use super::host::{by_name, name_of, switch};
use super::units::{self, Time};
use super::words::{LineError, Words, check_name};
use crate::nat::{Dependence, NatConfig, PortChoice};
use std::fmt;
use std::net::IpAddr;
use tripline_sansio::Duration;

/// What a NAT is like before its knobs are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// [`NatConfig::well_behaved`]
    WellBehaved,
    /// [`NatConfig::home`]
    Home,
    /// [`NatConfig::open`]
    Open,
    /// [`NatConfig::symmetric`]
    Symmetric,
}

impl NatKind {
    const ALL: [(Self, &'static str); 4] = [
        (Self::WellBehaved, "well-behaved"),
        (Self::Home, "home"),
        (Self::Open, "open"),
        (Self::Symmetric, "symmetric"),
    ];

    /// Its configuration.
    pub const fn config(self) -> NatConfig {
        match self {
            Self::WellBehaved => NatConfig::well_behaved(),
            Self::Home => NatConfig::home(),
            Self::Open => NatConfig::open(),
            Self::Symmetric => NatConfig::symmetric(),
        }
    }
}

/// One property of a NAT; each is one field of [`NatConfig`], and one word `name=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKnob {
    /// `mapping=endpoint`, `mapping=address` or `mapping=port`: what the outside port depends on.
    Mapping(Dependence),
    /// `filtering=endpoint`, `filtering=address` or `filtering=port`: who is let in.
    Filtering(Dependence),
    /// `timeout=30s`
    Timeout(Duration),
    /// `refresh=both` or `refresh=out`: what keeps a binding alive.
    RefreshInbound(bool),
    /// `first-port=40000`
    FirstPort(u16),
    /// `ports=200`: how many there are; none at all means that nothing gets out.
    Ports(u16),
    /// `choice=random`, `choice=preserve` or `choice=sequential`
    Choice(PortChoice),
    /// `hairpin=on`
    Hairpin(bool),
}

const DEPENDENCES: [(Dependence, &str); 3] = [
    (Dependence::Endpoint, "endpoint"),
    (Dependence::Address, "address"),
    (Dependence::AddressAndPort, "port"),
];
const CHOICES: [(PortChoice, &str); 3] = [
    (PortChoice::Random, "random"),
    (PortChoice::Preserve, "preserve"),
    (PortChoice::Sequential, "sequential"),
];
const REFRESHES: [(bool, &str); 2] = [(true, "both"), (false, "out")];

impl NatKnob {
    fn parse(key: &str, value: &str) -> Result<Self, String> {
        Ok(match key {
            "mapping" => Self::Mapping(by_name(&DEPENDENCES, value)?),
            "filtering" => Self::Filtering(by_name(&DEPENDENCES, value)?),
            "timeout" => Self::Timeout(units::duration(value)?),
            "refresh" => Self::RefreshInbound(by_name(&REFRESHES, value)?),
            "first-port" => Self::FirstPort(units::number(value)?),
            "ports" => Self::Ports(units::number(value)?),
            "choice" => Self::Choice(by_name(&CHOICES, value)?),
            "hairpin" => Self::Hairpin(switch(value)?),
            _ => return Err(format!("a NAT has no `{key}`")),
        })
    }

    /// All knobs of a line.
    fn read(words: &mut Words<'_>) -> Result<Vec<Self>, LineError> {
        let mut knobs = Vec::new();
        for (key, value) in words.take_options() {
            knobs.push(Self::parse(key, value).map_err(|error| words.error(error))?);
        }
        Ok(knobs)
    }

    /// Turns this knob of `config`. There are no more ports than there are numbers for them.
    pub const fn apply(self, mut config: NatConfig) -> NatConfig {
        match self {
            Self::Mapping(value) => config.mapping = value,
            Self::Filtering(value) => config.filtering = value,
            Self::Timeout(value) => config.timeout = value,
            Self::RefreshInbound(value) => config.refresh_inbound = value,
            Self::FirstPort(value) => config.first_port = if value == 0 { 1 } else { value },
            Self::Ports(value) => config.port_count = value,
            Self::Choice(value) => config.choice = value,
            Self::Hairpin(value) => config.hairpin = value,
        }
        let room = u16::MAX - config.first_port;
        if config.port_count > room {
            config.port_count = room;
        }
        config
    }
}

impl fmt::Display for NatKnob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Mapping(value) => write!(f, "mapping={}", name_of(&DEPENDENCES, value)),
            Self::Filtering(value) => write!(f, "filtering={}", name_of(&DEPENDENCES, value)),
            Self::Timeout(value) => write!(f, "timeout={}", Time(value)),
            Self::RefreshInbound(value) => write!(f, "refresh={}", name_of(&REFRESHES, value)),
            Self::FirstPort(value) => write!(f, "first-port={value}"),
            Self::Ports(value) => write!(f, "ports={value}"),
            Self::Choice(value) => write!(f, "choice={}", name_of(&CHOICES, value)),
            Self::Hairpin(value) => write!(f, "hairpin={}", if value { "on" } else { "off" }),
        }
    }
}

/// A NAT: its name, where it is, and what it is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatSpec {
    /// What hosts and steps call it.
    pub name: String,
    /// Its outside address.
    pub outside: IpAddr,
    /// What it is like.
    pub kind: NatKind,
    /// The NAT that it stands behind, if it does.
    pub behind: Option<String>,
    /// What it is like otherwise, in the order in which the knobs are turned.
    pub knobs: Vec<NatKnob>,
}

impl NatSpec {
    /// Its configuration at the start.
    pub fn config(&self) -> NatConfig {
        self.knobs.iter().fold(self.kind.config(), |config, knob| knob.apply(config))
    }
}

/// What a NAT is behind, or a host: the option `behind=NAT`.
pub(super) fn read_behind(words: &mut Words<'_>) -> Result<Option<String>, LineError> {
    words.option("behind", |word| check_name(word).map(|()| word.to_owned()))
}

/// An address without a port.
fn outside(word: &str) -> Result<IpAddr, String> {
    word.parse().map_err(|_| format!("`{word}` is no address without a port, such as 203.0.113.9"))
}

impl std::str::FromStr for NatSpec {
    type Err = LineError;
    fn from_str(line: &str) -> Result<Self, LineError> {
        let mut words = Words::new(line);
        let name = words.name("the NAT's name")?;
        let outside = words.value("the NAT's outside address", outside)?;
        let kind = words.value("the NAT's kind", |word| by_name(&NatKind::ALL, word))?;
        let behind = read_behind(&mut words)?;
        let knobs = NatKnob::read(&mut words)?;
        words.end()?;
        Ok(Self { name, outside, kind, behind, knobs })
    }
}

impl fmt::Display for NatSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.outside, name_of(&NatKind::ALL, self.kind))?;
        self.behind.iter().try_for_each(|behind| write!(f, " behind={behind}"))?;
        self.knobs.iter().try_for_each(|knob| write!(f, " {knob}"))
    }
}

/// What happens to a NAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatDeed {
    /// `reboot-nat NAT`: it forgets all bindings.
    Reboot,
    /// `readdress-nat NAT ADDRESS`: it has another outside address, and no bindings.
    Readdress(IpAddr),
    /// `nat NAT timeout=5s`: turns knobs; the others stay, and so do bindings.
    Turn(Vec<NatKnob>),
}

impl NatDeed {
    /// The deed that begins with `verb`, and the NAT's name.
    pub(super) fn read(verb: &str, words: &mut Words<'_>) -> Result<(String, Self), LineError> {
        let name = words.name("the NAT's name")?;
        let deed = match verb {
            "reboot-nat" => Self::Reboot,
            "readdress-nat" => Self::Readdress(words.value("the new address", outside)?),
            _ => Self::Turn(NatKnob::read(words)?),
        };
        Ok((name, deed))
    }

    /// Writes it, of the NAT of this name.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        match self {
            Self::Reboot => write!(f, "reboot-nat {name}"),
            Self::Readdress(address) => write!(f, "readdress-nat {name} {address}"),
            Self::Turn(knobs) => {
                write!(f, "nat {name}")?;
                knobs.iter().try_for_each(|knob| write!(f, " {knob}"))
            }
        }
    }
}
