//! What a user decides before an endpoint or a connection begins.

use crate::agreed::Minimum;
use crate::connection::recovery::congestion::{Bbr, Controller, Cubic, FixedRate, NewReno};
use crate::connection::zone::limits::KeyLimits;
use crate::crypto::{Aead, Psk, PublicKey, SecretKey, default_aead};
use crate::shard::Shard;
use crate::wire::Parameters;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tripline_sansio::Duration;

/// How an [`Endpoint`](crate::Endpoint) is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our identity. Servers need one; clients without one open anonymously (NK).
    pub identity: Option<SecretKey>,
    /// Whether and how connections may come in; `None` for a pure client.
    pub server: Option<ServerConfig>,
    /// How connections behave, unless [`ConnectOptions`] says otherwise.
    pub transport: TransportConfig,
    /// How many connections there may be, those included that are closing or hold unread data.
    pub connections_max: u32,
    /// How many datagrams one [`Transmit`](tripline_sansio::Transmit) may hold. Take what the
    /// socket can segment; 1 where it cannot.
    pub segments_max: usize,
    /// Whether this machine has AES instructions: clients then open with AES-256-GCM.
    pub hardware_aes: bool,
    /// What computes the AEAD. Nothing on the wire depends on it.
    pub aead: Arc<dyn Aead>,
    /// How much strangers may cost.
    pub guard: GuardConfig,
    /// The place of this endpoint among several on one port; alone by default.
    pub shard: Shard,
    /// What this side is ready to do without, on test links. All off.
    #[cfg(feature = "plain")]
    pub plain: crate::Plain,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identity: None,
            server: None,
            transport: TransportConfig::default(),
            connections_max: 65_536,
            segments_max: 64,
            hardware_aes: false,
            aead: default_aead(),
            guard: GuardConfig::default(),
            shard: Shard::ALONE,
            #[cfg(feature = "plain")]
            plain: crate::Plain::default(),
        }
    }
}

/// How much strangers may cost (R-HAND-3). Each rate is per second, with as many at once; 0: none
/// at all; `u32::MAX`: no limit. What is not answered is counted in
/// [`Drops::rate_limited`](crate::Drops::rate_limited).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// From so many waiting half-opens on a client must first prove that it receives what is sent
    /// to its address. 0: always; `u32::MAX`: never.
    pub retry_above: u32,
    /// Handshakes begun, the dear part.
    pub challenges_per_second: u32,
    /// CHALLENGEs given again, to OPENs that came again.
    pub repeats_per_second: u32,
    /// Refusals before CONFIRM.
    pub refusals_per_second: u32,
    /// RETRYs: cheap, and all that a newcomer gets under a flood.
    pub retries_per_second: u32,
    /// Hints why an OPEN is not answered.
    pub versions_per_second: u32,
    /// RESETs. If several endpoints share one identity and are not told apart by
    /// [`Config::shard`], set this to 0: they would end each other's connections.
    pub resets_per_second: u32,
    /// Handshakes of one address of IPv4 or one /64 of IPv6, above the threshold.
    pub opens_per_prefix: u32,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            retry_above: 64,
            challenges_per_second: 2_000,
            repeats_per_second: 4_000,
            refusals_per_second: 1_000,
            retries_per_second: 250_000,
            versions_per_second: 1_000,
            resets_per_second: 1_000,
            opens_per_prefix: 20,
        }
    }
}

impl Config {
    /// A client without an identity.
    pub fn client() -> Self {
        Self::default()
    }

    /// A server that anyone may open who knows its key (row T17).
    pub fn public_server(identity: SecretKey) -> Self {
        Self { identity: Some(identity), server: Some(ServerConfig::default()), ..Self::default() }
    }

    /// A server that only the holders of these keys may open; it gives no sign of life to others
    /// (row T17).
    pub fn private_server(
        identity: SecretKey,
        clients: impl IntoIterator<Item = PublicKey>,
    ) -> Self {
        let access = Access::Private(clients.into_iter().collect());
        let server = ServerConfig { access, ..ServerConfig::default() };
        Self { identity: Some(identity), server: Some(server), ..Self::default() }
    }
}

/// Who may come in, and how that is decided.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Whose OPENs are answered at all.
    pub access: Access,
    /// Whether the user is asked about each client.
    pub screening: Screening,
    /// A secret that clients must know besides the server's key.
    pub psk: Option<Psk>,
    /// What clients have to announce at least (row T46).
    pub minimum: Minimum,
}

/// Whose OPENs a server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everyone's who knows, or asks for, the server's key.
    #[default]
    Public,
    /// Only those of clients that prove one of these keys.
    Private(Vec<PublicKey>),
}

/// Whether the user is asked about each client (row T12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screening {
    /// Whoever passes [`Access`] is in.
    #[default]
    AcceptAll,
    /// [`Event::Incoming`](crate::Event::Incoming) asks.
    Ask,
    /// The same, and clients may also open with a pre-shared key that the configuration does not
    /// name: [`accept_with`](crate::Endpoint::accept_with) chooses it by the client's key, in NK
    /// and IK also by user id and route. In XX only if the configuration names none.
    AskForPsk,
}

/// How a connection behaves. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// After how much silence the connection is given up; the smaller of both sides' counts. Zero:
    /// never. By default 30 s (row N24); until the peer has acknowledged something 15 s at most.
    pub idle_timeout: Duration,
    /// At what interval something is sent even if there is nothing to say. Zero: never.
    pub keep_alive: Duration,
    /// After how many probe timeouts with nothing received the user hears
    /// [`Event::Quiet`](crate::Event::Quiet) (row T20); 0: not before the idle limit.
    pub quiet_probes: u32,
    /// What to do when the peer is silent for longer than the idle limit (row T23).
    pub on_silence: OnSilence,
    /// The largest message we take.
    pub message_max: u64,
    /// How much the peer may have on its way or unread on one stream; at least `message_max` + 8.
    pub stream_credit: u64,
    /// The same for all streams together; at least `message_max` + 8.
    pub connection_credit: u64,
    /// Up to which `stream_credit` may grow while the path and the reader could take more than a
    /// window in a round trip. Not above `stream_credit`: it stays as it is.
    pub stream_credit_max: u64,
    /// The same for `connection_credit`. This bounds the memory that a peer may claim: the larger
    /// of the two, and a fixed constant.
    pub connection_credit_max: u64,
    /// How many two-way streams the peer may have open at once.
    pub two_way_streams: u64,
    /// How many one-way streams the peer may have open at once.
    pub one_way_streams: u64,
    /// How long an acknowledgement may be held back.
    pub ack_delay: Duration,
    /// How much may wait in one stream before `send` says *blocked*.
    pub send_buffer: u64,
    /// The size of full datagrams at first, 1,200 to 65,507. Only raise it on a path whose MTU is
    /// known.
    pub datagram_size: u16,
    /// Up to which size the connection searches for what the path carries (R-MTU-1); at most
    /// 65,507, and what the peer takes. No search if it is not above `datagram_size`.
    pub datagram_ceiling: u16,
    /// The congestion controller.
    pub congestion: Congestion,
    /// Whether packets are marked ECN-capable where the path carries the mark.
    pub ecn: bool,
    /// When the keys are renewed, and when old ones may not be used any longer.
    pub key_limits: KeyLimits,
    /// Whether there is to be one connection at most with each peer (R-HAND-4): of two that open at
    /// once one comes about, and a later one takes the place of the older. Counts if both sides
    /// want it and prove an identity (IK); a side that takes connections in says so in
    /// [`Config::transport`]. Streams of such a connection are opened once it is connected, not
    /// before: [`OpenError::NotConnected`](crate::OpenError::NotConnected).
    pub single: bool,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::ZERO,
            quiet_probes: 3,
            on_silence: OnSilence::Drop,
            message_max: 256 << 10,
            stream_credit: 1 << 20,
            connection_credit: 16 << 20,
            stream_credit_max: 16 << 20,
            connection_credit_max: 64 << 20,
            two_way_streams: 256,
            one_way_streams: 256,
            ack_delay: Duration::from_millis(25),
            send_buffer: 1 << 20,
            datagram_size: Parameters::DATAGRAM_LEAST,
            datagram_ceiling: 1_452,
            congestion: Congestion::Cubic,
            ecn: true,
            key_limits: KeyLimits::LARGEST,
            single: false,
        }
    }
}

impl TransportConfig {
    /// What is announced to the peer; values out of range are moved into it (R-PARAM-4).
    pub(crate) fn parameters(&self) -> Parameters {
        let most = (1 << 60) - 1;
        let message_max = self.message_max.min(Parameters::MESSAGE_LIMIT - 1);
        let least = message_max.saturating_add(8);
        Parameters {
            idle_timeout_ms: self.idle_timeout_ms(),
            keep_alive_ms: announced(self.keep_alive),
            message_max,
            stream_credit: self.stream_credit.clamp(least, most),
            connection_credit: self.connection_credit.clamp(least, most),
            two_way_streams: self.two_way_streams.min((1 << 58) - 1),
            one_way_streams: self.one_way_streams.min((1 << 58) - 1),
            ack_delay_ms: millis(self.ack_delay).clamp(1, (1 << 14) - 1),
            features: if self.single { Parameters::SINGLE } else { 0 },
            ..Parameters::default()
        }
    }

    /// `idle_timeout` as it is announced: whole milliseconds, and not too many.
    fn idle_timeout_ms(&self) -> u64 {
        announced(self.idle_timeout)
    }

    /// The same as a duration; zero: never. Asked with each packet that comes.
    pub(crate) fn idle_limit(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms())
    }
}

/// A time in milliseconds below 2^32. Only a time of zero is 0, which means *never*.
fn announced(duration: Duration) -> u64 {
    millis(duration).clamp(u64::from(!duration.is_zero()), u64::from(u32::MAX))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What to do with a peer that is silent for too long (row T23). The other side has its own mind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSilence {
    /// The connection is lost.
    #[default]
    Drop,
    /// It lives on, and the peer's last address is PINGed: after 3 s, then with gaps that double up
    /// to 5 minutes, until something comes or the user ends it.
    Probe,
}

/// Which congestion controller a connection uses (R-CC-1).
#[derive(Debug, Default)]
pub enum Congestion {
    /// RFC 9438, with HyStart++ (RFC 9406) (R-CC-2).
    #[default]
    Cubic,
    /// RFC 9002 §7.
    NewReno,
    /// Version 3 (draft-ietf-ccwg-bbr): for paths that lose packets for other reasons than
    /// congestion, or have deep queues (R-CC-3).
    Bbr,
    /// So many bytes a second whatever is lost, for closed networks only (R-CC-4).
    FixedRate(u64),
    /// The user's own; each connection gets a copy.
    Custom(Box<dyn Controller>),
}

impl Congestion {
    pub(crate) fn controller(&self, datagram_size: u16) -> Box<dyn Controller> {
        match self {
            Self::Cubic => Box::new(Cubic::new(datagram_size)),
            Self::NewReno => Box::new(NewReno::new(datagram_size)),
            Self::Bbr => Box::new(Bbr::new(datagram_size)),
            Self::FixedRate(rate) => Box::new(FixedRate::new(*rate, datagram_size)),
            Self::Custom(controller) => controller.clone_box(),
        }
    }
}

impl Clone for Congestion {
    fn clone(&self) -> Self {
        match self {
            Self::Cubic => Self::Cubic,
            Self::NewReno => Self::NewReno,
            Self::Bbr => Self::Bbr,
            Self::FixedRate(rate) => Self::FixedRate(*rate),
            Self::Custom(controller) => Self::Custom(controller.clone_box()),
        }
    }
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These addresses, tried in turn.
    Addresses(Vec<SocketAddr>),
    /// A name that the user's loop resolves when the engine asks (row T02).
    Name {
        /// The name.
        host: String,
        /// The UDP port.
        port: u16,
    },
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Addresses(alloc::vec![address])
    }
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The server's key. `None` asks the server for it (XX) and then the user whether to trust it.
    pub server_key: Option<PublicKey>,
    /// A secret that the server demands besides.
    pub psk: Option<Psk>,
    /// 8 bytes for the server's screening, a login for example (row T14).
    pub user_id: [u8; 8],
    /// Which service behind the endpoint is wanted; at most 255 bytes (row T15).
    pub route: Vec<u8>,
    /// How long to try (row T03): the whole handshake, the resolving of a name included. By default
    /// 10 s (row N24).
    pub deadline: Duration,
    /// How the connection behaves; `None` for what the endpoint's configuration says.
    pub transport: Option<TransportConfig>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            server_key: None,
            psk: None,
            user_id: [0; 8],
            route: Vec::new(),
            deadline: Duration::from_secs(10),
            transport: None,
        }
    }
}

impl ConnectOptions {
    /// To the server that holds this key.
    pub fn to(server_key: PublicKey) -> Self {
        Self { server_key: Some(server_key), ..Self::default() }
    }
}

/// How a stream is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// In which order the peer gets what is sent; for a two-way stream both sides.
    pub order: crate::Order,
    /// Whether the peer may send too.
    pub direction: crate::Direction,
    /// 0 (most urgent) to 7. Each level gets twice the share of the next, and none starves.
    pub priority: u8,
}

impl StreamOptions {
    /// The default priority.
    pub const PRIORITY: u8 = 3;

    /// A two-way stream of this order.
    pub const fn two_way(order: crate::Order) -> Self {
        Self { order, direction: crate::Direction::TwoWay, priority: Self::PRIORITY }
    }

    /// A one-way stream of this order.
    pub const fn one_way(order: crate::Order) -> Self {
        Self { order, direction: crate::Direction::OneWay, priority: Self::PRIORITY }
    }
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// How often it may be sent.
    pub reliability: crate::Reliability,
    /// After what time it is given up if the peer does not have it yet; `None`: never. Together
    /// with a number of transmissions, whichever comes first.
    pub expires_after: Option<Duration>,
}

impl SendOptions {
    /// Sent once, and forgotten.
    pub const UNRELIABLE: Self =
        Self { reliability: crate::Reliability::Unreliable, expires_after: None };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-PARAM-4: whatever is configured, what is announced is in range; what is in range stays.
    #[test]
    fn r_param_4_settings_out_of_range_are_moved_into_it() {
        let most = Duration::from_nanos(u64::MAX);
        for extreme in [0, 1, u64::MAX] {
            let config = TransportConfig {
                idle_timeout: most,
                keep_alive: most,
                ack_delay: if extreme == 0 { Duration::ZERO } else { most },
                message_max: extreme,
                stream_credit: extreme,
                connection_credit: extreme,
                two_way_streams: extreme,
                one_way_streams: extreme,
                ..TransportConfig::default()
            };
            assert_eq!(config.parameters().check(), Ok(()), "{extreme}");
        }
        let short = Duration::from_nanos(1);
        let config = TransportConfig { idle_timeout: short, ..TransportConfig::default() };
        assert_eq!(config.parameters().idle_timeout_ms, 1, "0 would say never");
        let own = TransportConfig::default();
        let announced = own.parameters();
        assert_eq!(
            (announced.stream_credit, announced.message_max, announced.two_way_streams),
            (own.stream_credit, own.message_max, own.two_way_streams)
        );
    }
}
