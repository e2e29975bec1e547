//! What happens when: one line each, a time and what is done.
//!
//! ```text
//! 0s    phone connect server as c
//! 1s    phone open up ordered one-way on c
//! 1s    phone send up 1200 times=50 every=20ms
//! 5s    cut phone<>server
//! 9s    heal phone<>server
//! 9s    phone move 10.0.7.7:1000
//! ```
//!
//! Any step may end in `repeat=N each=TIME`, see [`Repeat`].
//!
//! A step that does not fit when its time comes (no such stream yet, a connection that is gone) is
//! passed over and counted. So steps can be left out one by one, which is how failures shrink.

use super::link::{LinkSpec, Way};
use super::nat::NatDeed;
use super::repeat::Repeat;
use super::system::{Pace, Refusal};
use super::units::{self, Rate, Size, Time};
use super::words::{LineError, Words, check_name};
use std::fmt;
use std::net::SocketAddr;
use tripline::{Direction, Order, Reliability};
use tripline_sansio::Duration;

/// A time after the start, and what happens then. Steps of one time happen in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, after the start of the run.
    pub at: Duration,
    /// What.
    pub action: Action,
    /// How often, if more than once.
    pub repeat: Option<Repeat>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `HOST VERB …`: the host's user, or its fate.
    Host(String, Deed),
    /// `link a<>b loss=5%`: turns knobs of a link; the others stay.
    Link(LinkSpec),
    /// `cut a>b`: nothing comes through any more.
    Cut(Way),
    /// `heal a>b`: as before the cut.
    Heal(Way),
    /// `reboot-nat NAT`, `readdress-nat NAT ADDRESS`, `nat NAT timeout=5s`: the NAT of this name.
    Nat(String, NatDeed),
}

impl Action {
    /// The hosts that it names.
    pub fn hosts(&self) -> Vec<&str> {
        match self {
            Self::Host(host, Deed::Connect { to, .. }) => vec![host, to],
            Self::Host(host, _) => vec![host],
            Self::Link(LinkSpec { way, .. }) | Self::Cut(way) | Self::Heal(way) => {
                vec![&way.from, &way.to]
            }
            Self::Nat(..) => Vec::new(),
        }
    }
}

/// What a host does, or what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `connect SERVER as NAME [deadline=10s]`
    Connect {
        /// The server's name.
        to: String,
        /// What the connection shall be called.
        name: String,
        /// How long to try.
        deadline: Option<Duration>,
    },
    /// `open STREAM ORDER DIRECTION on CONNECTION [priority=4]`
    Open {
        /// What the stream shall be called, by both sides.
        stream: String,
        /// Its order.
        order: Order,
        /// One way or two.
        direction: Direction,
        /// On which connection.
        on: String,
        /// Its priority, 0 to 7.
        priority: Option<u8>,
    },
    /// `send STREAM BYTES [times=N] [every=TIME] [tries=N|unreliable] [expires=TIME]`: messages of
    /// so many bytes. What is blocked waits, and the rest behind it.
    Send {
        /// On which stream.
        stream: String,
        /// How long each message is.
        bytes: u64,
        /// How many; 1 if it was not said.
        times: u64,
        /// One each so often; without it, as fast as they are taken.
        every: Option<Duration>,
        /// Tries of each piece: none means reliable, 1 is written `tries=1`.
        reliability: Reliability,
        /// How long each is worth sending.
        expires: Option<Duration>,
    },
    /// `finish STREAM`, behind what its sends still have to send.
    Finish(String),
    /// `close-stream STREAM CODE`
    CloseStream(String, u64),
    /// `stop STREAM CODE`
    Stop(String, u64),
    /// `priority STREAM 0..7`
    Priority(String, u8),
    /// `read STREAM N`: so many messages, while reading is `none`.
    Read(String, u64),
    /// `reading all`, `reading none`, or `reading RATE` such as `10kB/s`.
    Reading(Reading),
    /// `renew CONNECTION`: new keys.
    Renew(String),
    /// `refer CONNECTION HOST`: its server asks the client to go to another server.
    Refer(String, String),
    /// `close CONNECTION [grace=5s]`
    Close(String, Duration),
    /// `kill CONNECTION`
    Kill(String),
    /// `network-changed`: tells all of the host's connections.
    NetworkChanged,
    /// `shut-down [grace=5s]`: the whole endpoint.
    ShutDown(Duration),
    /// `move ADDRESS`: the host is somewhere else from now on; its endpoint is not told.
    Move(SocketAddr),
    /// `crash`: the host is gone, and all that it knew but its key.
    Crash,
    /// `restart`: a crashed host comes back with its key and address.
    Restart,
    /// `pause 10s`: the host does nothing; what comes meanwhile waits in its socket's buffer.
    Pause(Duration),
    /// `jump 5min`: the host's clock goes forward at once.
    Jump(Duration),
    /// `clock skew=5% wander=1%`: the host's clock goes at another pace.
    Clock(Pace),
    /// `refuses longer=1300 memory=5% all=on`: its system does not send these any more.
    Refuses(Refusal),
    /// `block 50ms`: its socket takes nothing.
    Block(Duration),
    /// `replay N over=10s`: an attacker repeats N datagrams that the host once got, at random.
    Replay(u64, Duration),
    /// `garbage N over=10s`: an attacker sends the host N datagrams of noise, or real ones with
    /// bits changed.
    Garbage(u64, Duration),
    /// `flood N over=10s`: an attacker sends the host N true OPENs from addresses that are not his.
    Flood(u64, Duration),
}

/// How a host's application reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Everything, at once.
    All,
    /// Only what `read` says.
    Nothing,
    /// So many bytes per second.
    Rate(u64),
}

const ORDERS: [(Order, &str); 4] = [
    (Order::Bytes, "bytes"),
    (Order::Ordered, "ordered"),
    (Order::Unordered, "unordered"),
    (Order::Latest, "latest"),
];
const DIRECTIONS: [(Direction, &str); 2] =
    [(Direction::OneWay, "one-way"), (Direction::TwoWay, "two-way")];

fn pick<T: Copy>(all: &[(T, &str)], word: &str) -> Result<T, String> {
    let found = all.iter().find(|(_, name)| *name == word);
    let names = || all.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    found.map(|(value, _)| *value).ok_or_else(|| format!("`{word}` is none of {}", names()))
}

fn word_of<T: PartialEq>(all: &[(T, &'static str)], value: &T) -> &'static str {
    all.iter().find(|(other, _)| other == value).map_or("?", |(_, name)| name)
}

impl std::str::FromStr for Step {
    type Err = LineError;
    fn from_str(line: &str) -> Result<Self, LineError> {
        let mut words = Words::new(line);
        let at = words.value("the time", units::duration)?;
        let subject = words.next("what happens")?;
        let repeat = Repeat::read(&mut words)?;
        let action = match subject {
            "nat" | "reboot-nat" | "readdress-nat" => {
                let (name, deed) = NatDeed::read(subject, &mut words)?;
                Action::Nat(name, deed)
            }
            "link" => Action::Link(LinkSpec::read(&mut words)?),
            "cut" => Action::Cut(words.value("the way (`a>b`)", Way::parse)?),
            "heal" => Action::Heal(words.value("the way (`a>b`)", Way::parse)?),
            host => {
                check_name(host).map_err(|error| words.error(error))?;
                let deed = Deed::read(&mut words)?;
                Action::Host(host.to_owned(), deed)
            }
        };
        words.end()?;
        Ok(Self { at, action, repeat })
    }
}

impl Deed {
    fn read(words: &mut Words<'_>) -> Result<Self, LineError> {
        let verb = words.next("what the host does")?;
        let grace = |words: &mut Words<'_>| {
            words.option("grace", units::duration).map(|grace| grace.unwrap_or_default())
        };
        let over = |words: &mut Words<'_>| {
            words.option("over", units::duration).map(|over| over.unwrap_or_default())
        };
        Ok(match verb {
            "connect" => {
                let to = words.name("the server")?;
                words.value("`as`", |word| keyword(word, "as"))?;
                let name = words.name("the connection's name")?;
                Self::Connect { to, name, deadline: words.option("deadline", units::duration)? }
            }
            "open" => Self::read_open(words)?,
            "send" => Self::read_send(words)?,
            "finish" => Self::Finish(words.name("the stream")?),
            "close-stream" => Self::CloseStream(
                words.name("the stream")?,
                words.value("the code", units::number)?,
            ),
            "stop" => {
                Self::Stop(words.name("the stream")?, words.value("the code", units::number)?)
            }
            "priority" => {
                Self::Priority(words.name("the stream")?, words.value("the priority", priority)?)
            }
            "read" => {
                Self::Read(words.name("the stream")?, words.value("how many", units::number)?)
            }
            "reading" => Self::Reading(words.value("how it reads", reading)?),
            "renew" => Self::Renew(words.name("the connection")?),
            "refer" => Self::Refer(words.name("the connection")?, words.name("the server")?),
            "close" => Self::Close(words.name("the connection")?, grace(words)?),
            "kill" => Self::Kill(words.name("the connection")?),
            "network-changed" => Self::NetworkChanged,
            "shut-down" => Self::ShutDown(grace(words)?),
            "move" => Self::Move(words.value("the address", super::host::address)?),
            "crash" => Self::Crash,
            "restart" => Self::Restart,
            "pause" => Self::Pause(words.value("how long", units::duration)?),
            "jump" => Self::Jump(words.value("how far", units::duration)?),
            "clock" => Self::Clock(Pace::read(words)?),
            "refuses" => Self::Refuses(Refusal::read(words)?),
            "block" => Self::Block(words.value("how long", units::duration)?),
            "replay" => Self::Replay(words.value("how many", units::number)?, over(words)?),
            "garbage" => Self::Garbage(words.value("how many", units::number)?, over(words)?),
            "flood" => Self::Flood(words.value("how many", units::number)?, over(words)?),
            _ => return Err(words.error(format!("a host cannot `{verb}`"))),
        })
    }

    fn read_open(words: &mut Words<'_>) -> Result<Self, LineError> {
        let stream = words.name("the stream's name")?;
        let order = words.value("the order", |word| pick(&ORDERS, word))?;
        let direction = words.value("the direction", |word| pick(&DIRECTIONS, word))?;
        words.value("`on`", |word| keyword(word, "on"))?;
        let on = words.name("the connection")?;
        Ok(Self::Open {
            stream,
            order,
            direction,
            on,
            priority: words.option("priority", priority)?,
        })
    }

    fn read_send(words: &mut Words<'_>) -> Result<Self, LineError> {
        let stream = words.name("the stream")?;
        let bytes = words.value("the size", units::bytes)?;
        let times = words.option("times", units::number)?.unwrap_or(1);
        let every = words.option("every", units::duration)?;
        let tries: Option<u8> = words.option("tries", units::number)?;
        let reliability = match tries {
            None => Reliability::Reliable,
            Some(0) => return Err(words.error("tries=0: a message is sent once at least")),
            Some(1) => Reliability::Unreliable,
            Some(tries) => Reliability::Transmissions(tries),
        };
        let expires = words.option("expires", units::duration)?;
        Ok(Self::Send { stream, bytes, times, every, reliability, expires })
    }
}

fn keyword(word: &str, wanted: &str) -> Result<(), String> {
    if word == wanted { Ok(()) } else { Err(format!("`{word}` stands where `{wanted}` belongs")) }
}

fn priority(word: &str) -> Result<u8, String> {
    units::number(word)
        .ok()
        .filter(|priority| *priority < 8)
        .ok_or_else(|| format!("`{word}` is no priority: 0 to 7"))
}

fn reading(word: &str) -> Result<Reading, String> {
    match word {
        "all" => Ok(Reading::All),
        "none" => Ok(Reading::Nothing),
        rate => units::rate(rate)
            .map(Reading::Rate)
            .map_err(|_| format!("`{rate}` is none of `all`, `none` and a rate such as 10kB/s")),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Time(self.at))?;
        match &self.action {
            Action::Host(host, deed) => write!(f, "{host} {deed}"),
            Action::Link(link) => write!(f, "link {link}"),
            Action::Cut(way) => write!(f, "cut {way}"),
            Action::Heal(way) => write!(f, "heal {way}"),
            Action::Nat(name, deed) => deed.write(f, name),
        }?;
        self.repeat.map_or(Ok(()), |repeat| write!(f, "{repeat}"))
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { to, name, deadline } => {
                write!(f, "connect {to} as {name}")?;
                option(f, "deadline", deadline.map(Time))
            }
            Self::Open { stream, order, direction, on, priority } => {
                let (order, direction) = (word_of(&ORDERS, order), word_of(&DIRECTIONS, direction));
                write!(f, "open {stream} {order} {direction} on {on}")?;
                option(f, "priority", *priority)
            }
            Self::Send { stream, bytes, times, every, reliability, expires } => {
                write!(f, "send {stream} {}", Size(*bytes))?;
                option(f, "times", (*times != 1).then_some(*times))?;
                option(f, "every", every.map(Time))?;
                match reliability {
                    Reliability::Reliable => {}
                    Reliability::Unreliable => f.write_str(" tries=1")?,
                    Reliability::Transmissions(tries) => write!(f, " tries={tries}")?,
                }
                option(f, "expires", expires.map(Time))
            }
            Self::Finish(stream) => write!(f, "finish {stream}"),
            Self::CloseStream(stream, code) => write!(f, "close-stream {stream} {code}"),
            Self::Stop(stream, code) => write!(f, "stop {stream} {code}"),
            Self::Priority(stream, priority) => write!(f, "priority {stream} {priority}"),
            Self::Read(stream, times) => write!(f, "read {stream} {times}"),
            Self::Reading(Reading::All) => f.write_str("reading all"),
            Self::Reading(Reading::Nothing) => f.write_str("reading none"),
            Self::Reading(Reading::Rate(rate)) => write!(f, "reading {}", Rate(*rate)),
            Self::Renew(connection) => write!(f, "renew {connection}"),
            Self::Refer(connection, to) => write!(f, "refer {connection} {to}"),
            Self::Close(connection, grace) => {
                write!(f, "close {connection}")?;
                option(f, "grace", some_time(*grace))
            }
            Self::Kill(connection) => write!(f, "kill {connection}"),
            Self::NetworkChanged => f.write_str("network-changed"),
            Self::ShutDown(grace) => {
                f.write_str("shut-down")?;
                option(f, "grace", some_time(*grace))
            }
            Self::Move(address) => write!(f, "move {address}"),
            Self::Crash => f.write_str("crash"),
            Self::Restart => f.write_str("restart"),
            Self::Pause(time) => write!(f, "pause {}", Time(*time)),
            Self::Jump(time) => write!(f, "jump {}", Time(*time)),
            Self::Clock(pace) => write!(f, "clock{pace}"),
            Self::Refuses(refusal) => write!(f, "refuses{refusal}"),
            Self::Block(time) => write!(f, "block {}", Time(*time)),
            Self::Replay(count, over) => attack(f, "replay", *count, *over),
            Self::Garbage(count, over) => attack(f, "garbage", *count, *over),
            Self::Flood(count, over) => attack(f, "flood", *count, *over),
        }
    }
}

fn some_time(time: Duration) -> Option<Time> {
    (!time.is_zero()).then_some(Time(time))
}

fn attack(f: &mut fmt::Formatter<'_>, verb: &str, count: u64, over: Duration) -> fmt::Result {
    write!(f, "{verb} {count}")?;
    option(f, "over", some_time(over))
}

fn option(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {key}={value}"))
}
