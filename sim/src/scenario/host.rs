//! A host in words: `server public 10.0.0.1:443 profile=web-server idle=10s`.
//!
//! A host has a name, a kind, an address, and settings of its endpoint, its application and its
//! loop. Settings are kept one by one, so that each can be dropped or changed alone; what is not
//! named is as in the profile, and without a profile as in the engine's defaults.

use super::nat::read_behind;
use super::system::{Pace, Refusal};
use super::units::{self, Percent, Size, Skew, Time};
use super::words::{LineError, Words};
use crate::chance::Chance;
use std::fmt;
use std::net::SocketAddr;
use tripline::Profile;
use tripline_sansio::Duration;

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// Connects, and takes no connections. It has no identity.
    Client,
    /// Connects with an identity of its own.
    Known,
    /// Takes connections from everybody.
    Public,
    /// Takes connections from the *known* hosts of the scenario only.
    Private,
}

impl HostKind {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Client, "client"),
        (Self::Known, "known"),
        (Self::Public, "public"),
        (Self::Private, "private"),
    ];

    /// Whether it takes connections.
    pub const fn is_server(self) -> bool {
        matches!(self, Self::Public | Self::Private)
    }
}

/// Which congestion controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// CUBIC.
    Cubic,
    /// NewReno.
    NewReno,
    /// BBR.
    Bbr,
}

impl Controller {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Cubic, "cubic"), (Self::NewReno, "newreno"), (Self::Bbr, "bbr")];
}

/// The engine's profiles by their names.
const PROFILES: [(Profile, &str); 8] = [
    (Profile::WebServer, "web-server"),
    (Profile::WebClient, "web-client"),
    (Profile::Game, "game"),
    (Profile::IotServer, "iot-server"),
    (Profile::IotClient, "iot-client"),
    (Profile::RealTime, "real-time"),
    (Profile::Bulk, "bulk"),
    (Profile::Limp, "limp"),
];

/// One setting of a host; each is one word `name=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `profile=game`: what the other settings change. Wherever it stands, it counts first.
    Profile(Profile),
    /// `idle=30s`: the idle limit; `0s` for none.
    Idle(Duration),
    /// `keep-alive=5s`; `0s` for none.
    KeepAlive(Duration),
    /// `message-max=24kB`
    MessageMax(u64),
    /// `stream-credit=48kB`, as granted at first.
    StreamCredit(u64),
    /// `connection-credit=96kB`, as granted at first.
    ConnectionCredit(u64),
    /// `credit-max=1MB`: how far both kinds of credit may grow.
    CreditMax(u64),
    /// `two-way=3`: streams that the peer may have open.
    TwoWay(u64),
    /// `one-way=3`: streams that the peer may have open.
    OneWay(u64),
    /// `send-buffer=40kB`
    SendBuffer(u64),
    /// `ack-delay=25ms`
    AckDelay(Duration),
    /// `congestion=bbr`
    Congestion(Controller),
    /// `datagram=1200`: what is sent before any search.
    Datagram(u64),
    /// `ceiling=1452`: how far the search for the path's MTU goes.
    Ceiling(u64),
    /// `ecn=off`
    Ecn(bool),
    /// `probe=on`: probe on silence rather than drop.
    Probe(bool),
    /// `renew-packets=100`: new keys after so many packets.
    RenewPackets(u64),
    /// `renew-after=10s`: new keys after this time.
    RenewAfter(Duration),
    /// `aes=on`: hardware for AES, as the engine is told.
    Aes(bool),
    /// `segments=1`: the most datagrams of one train.
    Segments(u64),
    /// `connections=10`: the most connections.
    Connections(u64),
    /// `retry-above=0`: from how many half-open connections addresses have to be proven first.
    RetryAbove(u64),
    /// `memory=256kB`: a budget, from which limits follow; other settings may say less.
    Memory(u64),
    /// `window=2`: a window of so many datagrams for ever, in place of a controller.
    Window(u64),
    /// `key-packets=100`: no payload under one key after so many packets.
    KeyPackets(u64),
    /// `quiet=1`: after how many probes without an answer the user hears of the silence; 0: never.
    Quiet(u64),
    /// `answers=20`: how many answers of each kind strangers get in a second.
    Answers(u64),
    /// `echo=on`: its application sends back what comes on two-way streams.
    Echo(bool),
    /// `lies=on`: its engine has real keys, and acknowledges what was never sent.
    Lies(bool),
    /// `asks=on`: its application knows no server's key, and trusts the one that it is shown;
    /// private servers show none, and it knows theirs.
    Asks(bool),
    /// `front=on`: it lets nobody in, and sends everybody to the next server that is no front.
    Front(bool),
    /// `sloppy=10%`: how often its loop takes each of the liberties of
    /// [`Discipline`](crate::Discipline). The world's loops are alike, so the largest of all hosts
    /// counts.
    Sloppy(Chance),
    /// `skew=5%`: how much too fast its clock goes from the start, in millionths; see
    /// [`Pace`](super::Pace).
    Skew(i32),
    /// `wander=1%`: by how much the clock's pace changes.
    Wander(Chance),
    /// `wander-every=10s`: how often.
    WanderEvery(Duration),
    /// `refuse-longer=1300`: datagrams that its system does not send; see
    /// [`Refusal`](super::Refusal).
    RefuseLonger(u64),
    /// `refuse-memory=2%`: how often its system has no memory for one.
    RefuseMemory(Chance),
}

pub(super) fn by_name<T: Copy>(all: &[(T, &str)], word: &str) -> Result<T, String> {
    let found = all.iter().find(|(_, name)| *name == word);
    found.map(|(value, _)| *value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(_, name)| *name).collect();
        format!("`{word}` is none of {}", names.join(", "))
    })
}

pub(super) fn name_of<T: Copy + PartialEq>(all: &[(T, &'static str)], value: T) -> &'static str {
    all.iter().find(|(other, _)| *other == value).map_or("?", |(_, name)| name)
}

pub(super) fn switch(word: &str) -> Result<bool, String> {
    by_name(&[(true, "on"), (false, "off")], word)
}

impl Setting {
    fn parse(key: &str, value: &str) -> Result<Self, String> {
        Ok(match key {
            "profile" => Self::Profile(by_name(&PROFILES, value)?),
            "idle" => Self::Idle(units::duration(value)?),
            "keep-alive" => Self::KeepAlive(units::duration(value)?),
            "message-max" => Self::MessageMax(units::bytes(value)?),
            "stream-credit" => Self::StreamCredit(units::bytes(value)?),
            "connection-credit" => Self::ConnectionCredit(units::bytes(value)?),
            "credit-max" => Self::CreditMax(units::bytes(value)?),
            "two-way" => Self::TwoWay(units::number(value)?),
            "one-way" => Self::OneWay(units::number(value)?),
            "send-buffer" => Self::SendBuffer(units::bytes(value)?),
            "ack-delay" => Self::AckDelay(units::duration(value)?),
            "congestion" => Self::Congestion(by_name(&Controller::ALL, value)?),
            "datagram" => Self::Datagram(units::bytes(value)?),
            "ceiling" => Self::Ceiling(units::bytes(value)?),
            "ecn" => Self::Ecn(switch(value)?),
            "probe" => Self::Probe(switch(value)?),
            "renew-packets" => Self::RenewPackets(units::number(value)?),
            "renew-after" => Self::RenewAfter(units::duration(value)?),
            "aes" => Self::Aes(switch(value)?),
            "segments" => Self::Segments(units::number(value)?),
            "connections" => Self::Connections(units::number(value)?),
            "retry-above" => Self::RetryAbove(units::number(value)?),
            "memory" => Self::Memory(units::bytes(value)?),
            "window" => Self::Window(units::number(value)?),
            "key-packets" => Self::KeyPackets(units::number(value)?),
            "quiet" => Self::Quiet(units::number(value)?),
            "answers" => Self::Answers(units::number(value)?),
            "echo" => Self::Echo(switch(value)?),
            "lies" => Self::Lies(switch(value)?),
            "asks" => Self::Asks(switch(value)?),
            "front" => Self::Front(switch(value)?),
            "sloppy" => Self::Sloppy(units::chance(value)?),
            "skew" => Self::Skew(units::skew(value)?),
            "wander" => Self::Wander(units::chance(value)?),
            "wander-every" => Self::WanderEvery(units::duration(value)?),
            "refuse-longer" => Self::RefuseLonger(units::bytes(value)?),
            "refuse-memory" => Self::RefuseMemory(units::chance(value)?),
            _ => return Err(format!("a host has no setting `{key}`")),
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |value: bool| if value { "on" } else { "off" };
        match *self {
            Self::Profile(value) => write!(f, "profile={}", name_of(&PROFILES, value)),
            Self::Idle(value) => write!(f, "idle={}", Time(value)),
            Self::KeepAlive(value) => write!(f, "keep-alive={}", Time(value)),
            Self::MessageMax(value) => write!(f, "message-max={}", Size(value)),
            Self::StreamCredit(value) => write!(f, "stream-credit={}", Size(value)),
            Self::ConnectionCredit(value) => write!(f, "connection-credit={}", Size(value)),
            Self::CreditMax(value) => write!(f, "credit-max={}", Size(value)),
            Self::TwoWay(value) => write!(f, "two-way={value}"),
            Self::OneWay(value) => write!(f, "one-way={value}"),
            Self::SendBuffer(value) => write!(f, "send-buffer={}", Size(value)),
            Self::AckDelay(value) => write!(f, "ack-delay={}", Time(value)),
            Self::Congestion(value) => write!(f, "congestion={}", name_of(&Controller::ALL, value)),
            Self::Datagram(value) => write!(f, "datagram={}", Size(value)),
            Self::Ceiling(value) => write!(f, "ceiling={}", Size(value)),
            Self::Ecn(value) => write!(f, "ecn={}", on(value)),
            Self::Probe(value) => write!(f, "probe={}", on(value)),
            Self::RenewPackets(value) => write!(f, "renew-packets={value}"),
            Self::RenewAfter(value) => write!(f, "renew-after={}", Time(value)),
            Self::Aes(value) => write!(f, "aes={}", on(value)),
            Self::Segments(value) => write!(f, "segments={value}"),
            Self::Connections(value) => write!(f, "connections={value}"),
            Self::RetryAbove(value) => write!(f, "retry-above={value}"),
            Self::Memory(value) => write!(f, "memory={}", Size(value)),
            Self::Window(value) => write!(f, "window={value}"),
            Self::KeyPackets(value) => write!(f, "key-packets={value}"),
            Self::Quiet(value) => write!(f, "quiet={value}"),
            Self::Answers(value) => write!(f, "answers={value}"),
            Self::Echo(value) => write!(f, "echo={}", on(value)),
            Self::Lies(value) => write!(f, "lies={}", on(value)),
            Self::Asks(value) => write!(f, "asks={}", on(value)),
            Self::Front(value) => write!(f, "front={}", on(value)),
            Self::Sloppy(value) => write!(f, "sloppy={}", Percent(value)),
            Self::Skew(value) => write!(f, "skew={}", Skew(value)),
            Self::Wander(value) => write!(f, "wander={}", Percent(value)),
            Self::WanderEvery(value) => write!(f, "wander-every={}", Time(value)),
            Self::RefuseLonger(value) => write!(f, "refuse-longer={}", Size(value)),
            Self::RefuseMemory(value) => write!(f, "refuse-memory={}", Percent(value)),
        }
    }
}

/// A host: who it is, where it is, and what it is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// What the steps call it.
    pub name: String,
    /// What it is.
    pub kind: HostKind,
    /// Its address at the start.
    pub address: SocketAddr,
    /// `behind=router`: the NAT that it stands behind; its address is one inside then.
    pub behind: Option<String>,
    /// What it is like, in the order in which it is set.
    pub settings: Vec<Setting>,
}

impl HostSpec {
    /// The pace of its clock at the start.
    pub fn pace(&self) -> Pace {
        let mut pace = Pace::default();
        for setting in &self.settings {
            match *setting {
                Setting::Skew(skew) => pace.skew = skew,
                Setting::Wander(wander) => pace.wander = Some(wander),
                Setting::WanderEvery(every) => pace.every = Some(every),
                _ => {}
            }
        }
        pace
    }

    /// What its system does not send at the start.
    pub fn refusal(&self) -> Refusal {
        let mut refusal = Refusal::default();
        for setting in &self.settings {
            match *setting {
                Setting::RefuseLonger(longer) => refusal.longer = Some(longer),
                Setting::RefuseMemory(memory) => refusal.memory = Some(memory),
                _ => {}
            }
        }
        refusal
    }
}

impl std::str::FromStr for HostSpec {
    type Err = LineError;
    fn from_str(line: &str) -> Result<Self, LineError> {
        let mut words = Words::new(line);
        let name = words.name("the host's name")?;
        let kind = words.value("the host's kind", |word| by_name(&HostKind::ALL, word))?;
        let address = words.value("the host's address", address)?;
        let behind = read_behind(&mut words)?;
        let mut settings = Vec::new();
        for (key, value) in words.take_options() {
            settings.push(Setting::parse(key, value).map_err(|error| words.error(error))?);
        }
        words.end()?;
        Ok(Self { name, kind, address, behind, settings })
    }
}

/// An address with its port.
pub(super) fn address(word: &str) -> Result<SocketAddr, String> {
    word.parse().map_err(|_| format!("`{word}` is no address with a port, such as 10.0.0.1:443"))
}

impl fmt::Display for HostSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, name_of(&HostKind::ALL, self.kind), self.address)?;
        self.behind.iter().try_for_each(|behind| write!(f, " behind={behind}"))?;
        self.settings.iter().try_for_each(|setting| write!(f, " {setting}"))
    }
}
