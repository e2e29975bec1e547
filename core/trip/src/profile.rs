//! Named settings for what connections are used for (row T49).
//!
//! In goes a name, out comes a [`TransportConfig`] whose every knob was thought about for that use,
//! and two times that are given per call. Where a profile says nothing of a knob the default is
//! right for it. Each has one goal, and a test in `it/profiles` that shows it beside the default in
//! the simulator.

use crate::config::{Congestion, OnSilence, TransportConfig};
use crate::wire::Parameters;
use tripline_sansio::Duration;

/// What a connection is used for.
///
/// ```
/// use tripline::{Config, Profile};
/// let mut config = Config::client();
/// config.transport = Profile::Bulk.transport();
/// ```
///
/// The two sides of a connection need not have the same profile. Bytes are per connection, and what
/// a peer may claim is bounded by `connection_credit_max` of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Many requests of many strangers: a thousand at once on one connection, and none of them can
    /// make us hold more than 4 MiB.
    WebServer,
    /// Pages and downloads: large answers come at the full rate from the first on, without waiting
    /// for windows to grow.
    WebClient,
    /// Many small messages that are worthless when late, beside some bulk: queues on the way stay
    /// short, and a peer that is gone is noticed within seconds.
    Game,
    /// Ten thousands of devices: no peer can claim more than 64 KiB.
    IotServer,
    /// A device that says little and sleeps: stays connected for a day without a single packet of
    /// its own, and wakes for few.
    IotClient,
    /// Sound and pictures: what waits is never old. A sender that is faster than the path is told
    /// so at once, and drops frames instead of delaying them.
    RealTime,
    /// Files and backups: the full rate over long paths, and over those that lose packets.
    Bulk,
    /// The worst of paths: half of all packets lost, 1,200 bytes, minutes of silence. It gets
    /// through, slowly, within 64 KiB of memory.
    Limp,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::WebServer,
        Self::WebClient,
        Self::Game,
        Self::IotServer,
        Self::IotClient,
        Self::RealTime,
        Self::Bulk,
        Self::Limp,
    ];

    /// How connections of this kind behave.
    pub fn transport(self) -> TransportConfig {
        match self {
            Self::WebServer => web_server(),
            Self::WebClient => web_client(),
            Self::Game => game(),
            Self::IotServer => TransportConfig { ack_delay: Duration::from_millis(25), ..iot() },
            Self::IotClient => iot(),
            Self::RealTime => real_time(),
            Self::Bulk => bulk(),
            Self::Limp => limp(),
        }
    }

    /// How long to try to connect: for [`ConnectOptions::deadline`](crate::ConnectOptions).
    pub const fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Game | Self::RealTime => 5,
            Self::WebServer | Self::WebClient | Self::Bulk => 10,
            Self::IotServer | Self::IotClient => 120,
            Self::Limp => 300,
        })
    }

    /// How long an orderly end may take: for [`Endpoint::close`](crate::Endpoint::close).
    pub const fn grace(self) -> Duration {
        Duration::from_secs(match self {
            Self::Game | Self::RealTime => 1,
            Self::WebServer | Self::WebClient => 5,
            Self::IotServer | Self::IotClient | Self::Bulk => 30,
            Self::Limp => 300,
        })
    }
}

/// Windows that stay as they are.
fn fixed_windows(stream: u64, connection: u64, base: TransportConfig) -> TransportConfig {
    TransportConfig {
        stream_credit: stream,
        stream_credit_max: stream,
        connection_credit: connection,
        connection_credit_max: connection,
        ..base
    }
}

fn web_server() -> TransportConfig {
    TransportConfig {
        message_max: 64 << 10,
        stream_credit: 256 << 10,
        stream_credit_max: 1 << 20,
        connection_credit: 1 << 20,
        connection_credit_max: 4 << 20,
        two_way_streams: 1_024,
        one_way_streams: 16,
        send_buffer: 1 << 20,
        ..TransportConfig::default()
    }
}

fn web_client() -> TransportConfig {
    TransportConfig {
        message_max: 1 << 20,
        stream_credit: 16 << 20,
        stream_credit_max: 16 << 20,
        connection_credit: 32 << 20,
        // Servers hardly open streams.
        two_way_streams: 16,
        one_way_streams: 64,
        ..TransportConfig::default()
    }
}

fn game() -> TransportConfig {
    TransportConfig {
        idle_timeout: Duration::from_secs(10),
        keep_alive: Duration::from_secs(2),
        quiet_probes: 2,
        message_max: 64 << 10,
        stream_credit: 256 << 10,
        stream_credit_max: 1 << 20,
        connection_credit: 1 << 20,
        connection_credit_max: 4 << 20,
        ack_delay: Duration::from_millis(5),
        send_buffer: 128 << 10,
        // It keeps the queue at the bottleneck short, where CUBIC fills it.
        congestion: Congestion::Bbr,
        ..TransportConfig::default()
    }
}

fn real_time() -> TransportConfig {
    TransportConfig {
        idle_timeout: Duration::from_secs(15),
        keep_alive: Duration::from_secs(5),
        message_max: 256 << 10,
        stream_credit: 1 << 20,
        stream_credit_max: 4 << 20,
        connection_credit: 4 << 20,
        connection_credit_max: 8 << 20,
        ack_delay: Duration::from_millis(10),
        // One frame, and the next one: what waits longer would only be late.
        send_buffer: 32 << 10,
        congestion: Congestion::Bbr,
        ..TransportConfig::default()
    }
}

fn iot() -> TransportConfig {
    let base = TransportConfig {
        // A day; whether an address translator on the way lasts as long is for the user to know,
        // who then sets a keep-alive or, after a move, is found again by its next packet.
        idle_timeout: Duration::from_secs(86_400),
        keep_alive: Duration::ZERO,
        quiet_probes: 0,
        on_silence: OnSilence::Probe,
        message_max: 8 << 10,
        two_way_streams: 4,
        one_way_streams: 4,
        ack_delay: Duration::from_millis(100),
        send_buffer: 16 << 10,
        // No search: what devices say fits.
        datagram_ceiling: Parameters::DATAGRAM_LEAST,
        ..TransportConfig::default()
    };
    fixed_windows(32 << 10, 64 << 10, base)
}

fn bulk() -> TransportConfig {
    TransportConfig {
        message_max: 4 << 20,
        stream_credit: 16 << 20,
        stream_credit_max: 256 << 20,
        connection_credit: 32 << 20,
        connection_credit_max: 512 << 20,
        two_way_streams: 64,
        one_way_streams: 64,
        send_buffer: 64 << 20,
        congestion: Congestion::Bbr,
        ..TransportConfig::default()
    }
}

fn limp() -> TransportConfig {
    let base = TransportConfig {
        idle_timeout: Duration::from_secs(600),
        keep_alive: Duration::ZERO,
        quiet_probes: 6,
        on_silence: OnSilence::Probe,
        message_max: 8 << 10,
        two_way_streams: 4,
        one_way_streams: 4,
        ack_delay: Duration::from_millis(25),
        send_buffer: 16 << 10,
        datagram_ceiling: Parameters::DATAGRAM_LEAST,
        // Half of it lost says nothing about congestion; what is so slow harms nobody.
        congestion: Congestion::FixedRate(16 << 10),
        ecn: false,
        ..TransportConfig::default()
    };
    fixed_windows(16 << 10, 32 << 10, base)
}
