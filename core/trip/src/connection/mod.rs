//! One connection: the shared state of two endpoints after a handshake.
//!
//! In come the user's commands, verified packets and the time; out come packets, events and a
//! deadline. This file has the state and the commands; what happens in between has a file for each
//! concern:
//!
//! - `agree`: what was agreed on, and changes of it; `absence`: whether this host was there;
//! - `opening`, `again`, `retry`: the client's handshake; `close`, `shutdown`: leaving, closing,
//!   draining; `reset`: the peer forgot us;
//! - `receive`: a verified packet, frame by frame; `transmit`: building packets and trains;
//! - `settle`: what became of the frames that were sent; `clock`: what the timers do; `pace`: what
//!   the pacer holds back; `ecn`: marks and counts;
//! - `moves`: what a new address of the peer means; `aside`: what goes to others than the active
//!   one; `reach`: where to look for a peer that does not answer; `mtu_probe`: the path's MTU;
//!   `liveness`: whether it is there; `link`: what is otherwise on a reliable stream of bytes;
//! - `single`: whether it is the only one with this peer;
//! - `zone`, `renew`: the keys, their renewal, and what it means for the rest;
//! - `commands`, `batches`: what the user says; `explain`: why it waits;
//! - `gaps`: the bounds on them; `streams`, `schedule`, `ping`, `addresses`, `mtu`, `timer`,
//!   `recovery`: leaf components.

mod absence;
mod addresses;
pub(crate) mod again;
mod agree;
mod aside;
mod batches;
mod clock;
mod close;
mod commands;
mod ecn;
mod expiry;
mod explain;
mod gaps;
mod growth;
mod link;
mod liveness;
mod moves;
mod mtu;
mod mtu_probe;
pub(crate) mod opening;
mod pace;
mod ping;
#[cfg_attr(not(feature = "plain"), path = "no_plain.rs")]
mod plain;
mod reach;
mod receive;
pub(crate) mod recovery;
pub(crate) mod referral;
mod renew;
pub(crate) mod reset;
mod rest;
mod retry;
mod schedule;
mod settle;
mod shutdown;
pub(crate) mod single;
mod streams;
mod timer;
mod transmit;
mod version;
pub(crate) mod zone;

use crate::agreed::Limits;
use crate::config::TransportConfig;
use crate::crypto::{PublicKey, ReplayWindow, Suite};
use crate::error::Phase;
use crate::event::Event;
use crate::events::Events;
use crate::fates::Fates;
use crate::handle::ConnectionHandle;
use crate::recycle::Recycler;
use crate::stats::ConnectionStats;
use crate::stream::send::SendCredit;
use crate::wire::{DATA_OVERHEAD_LONG, Parameters, Side, StreamId, Violation};
use addresses::Addresses;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use close::Closing;
use expiry::Expiry;
use link::LinkState;
use liveness::Liveness;
use mtu::MtuSearch;
use opening::Opening;
use ping::Pings;
use reach::Home;
use recovery::left_out::next_left_out;
use recovery::path_state::PathState;
use recovery::received::Received;
use recovery::sent::SentPackets;
use referral::Referrals;
use schedule::Schedule;
pub(crate) use settle::SentFrame;
use single::Single;
use streams::{RecvCredit, StreamDefaults, StreamKey, Streams};
use timer::{Timer, Timers};
pub(crate) use transmit::{Room, SHARED_SIZE_MAX, TRAIN_MAX};
use tripline_sansio::{Duration, Instant, Path, Random};
use zone::renewal::Renewal;

pub use batches::BatchResult;
pub use commands::ReceiveResult;
pub(crate) use plain::InUse;
pub(crate) use receive::Opened;
pub(crate) use version::naming_versions;
pub(crate) use zone::{Zone, renewal::OwnHalf};

/// Above this many events that were not polled, `send` says *blocked*.
pub(crate) const EVENTS_MAX: usize = 65_536;

/// When so few are left, streams that said so for that reason are told of.
pub(crate) const EVENTS_LOW: usize = EVENTS_MAX / 2;

/// Until its own first DATA is acknowledged, a side's idle limit is at most this (PROTOCOL.md
/// §2.5).
const IDLE_BEFORE_ACK: Duration = Duration::from_secs(15);

/// No window grows beyond this, so that grants stay below 2^60 for as long as data can last
/// (R-CREDIT-2).
const GRANT_MAX: u64 = 1 << 58;

/// What a call may use besides the connection itself.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) events: &'a mut Events,
    pub(crate) random: &'a mut Random,
    /// Where frames wait while their fates are dealt with; empty between calls. One for all
    /// connections, as each would keep its own forever.
    pub(crate) settled: &'a mut Vec<SentFrame>,
    pub(crate) recycler: &'a mut Recycler,
}

/// Where a connection stands (row T01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Waiting for the addresses of a name.
    Resolving,
    /// OPEN sent.
    Opening,
    /// XX: the server's key is known; the user has to trust it.
    Challenged,
    /// CHALLENGE verified; messages may flow.
    Pinging,
    /// Both sides are sure of each other.
    Ready,
    /// One side announced its end; what is under way goes on.
    Leaving,
    /// DISCONNECT is being exchanged.
    Closing,
    /// It is over; received data may still be read.
    Closed,
    /// It never came about.
    Failed,
}

/// The inner counterpart of [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client waits for addresses, a CHALLENGE, or the user's trust.
    Opening,
    /// The client may send; nothing from the server has verified yet.
    Pinging,
    /// Connected.
    Ready,
    /// DISCONNECT was sent.
    Closing,
    /// DISCONNECT was received.
    Draining,
    /// Nothing will be sent or received any more.
    Over,
}

/// What a server's connection begins with.
pub(crate) struct Accepted {
    pub(crate) zone: Zone,
    pub(crate) suite: Suite,
    pub(crate) path: Path,
    /// Whether the first DATA proves the address (R-HAND-1).
    pub(crate) proven: bool,
    pub(crate) peer: Option<PublicKey>,
    pub(crate) parameters: Parameters,
    pub(crate) user_id: [u8; 8],
    pub(crate) route: Vec<u8>,
    /// When the OPEN came.
    pub(crate) opened_at: Instant,
    /// What it does without (R-PLAIN-1).
    pub(crate) in_use: InUse,
    /// Both sides want it to be the only one (R-HAND-4).
    pub(crate) single: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    handle: ConnectionHandle,
    side: Side,
    stage: Stage,
    /// Shared with the other connections that are configured alike, until it is changed.
    config: Arc<TransportConfig>,
    /// What we announced in the handshake follows from this; `config` may have changed since.
    announced: Arc<TransportConfig>,
    /// Pattern and cipher of the handshake, once it is done.
    suite: Option<Suite>,
    /// What the peer announced, once known; the defaults before.
    peer_limits: Limits,
    /// The client's handshake, until CHALLENGE verified.
    opening: Option<Box<Opening>>,
    /// The zone that we send in.
    zone: Option<Zone>,
    renewal: Renewal,
    path: Addresses,
    /// Client: where the server may be found.
    home: Home,
    mtu: MtuSearch,
    link_state: LinkState,
    liveness: Liveness,
    peer: Option<PublicKey>,
    user_id: [u8; 8],
    route: Box<[u8]>,
    started: Instant,
    /// XX: CONFIRM is sent, byte for byte, with each PING until READY.
    confirm: Option<Box<[u8]>>,
    confirm_due: bool,
    /// What a RESET of the peer would mean.
    reset: reset::Resets,
    referrals: Referrals,

    /// The next number to leave out (R-ACK-2).
    leave_out: u64,
    replay: ReplayWindow,
    received: Received,
    sent: SentPackets<SentFrame>,
    /// Round trip, probes, congestion and MTU of the path in use.
    path_state: PathState,
    /// Probe packets that may go out now, whatever the window says.
    probes: u8,
    /// When the last probe timeout fired.
    probed_at: Instant,

    streams: Streams,
    schedule: Schedule,
    /// Streams with control frames to send.
    control: VecDeque<StreamKey>,
    /// The keys are to be made ready before they are used.
    resting: bool,
    /// Streams that wait for the connection's credit.
    credit_waiters: VecDeque<StreamKey>,
    send_credit: SendCredit,
    /// The value of the last BLOCKED for the connection, and whether it is still to be sent.
    blocked: Option<(u64, bool)>,
    recv_credit: RecvCredit,
    /// What the peer has used of it: the sum of the highest offsets.
    charged: u64,
    /// Gaps in all streams together (PROTOCOL.md §11).
    gaps: usize,
    next_token: u64,
    expiring: Expiry,
    fates: Fates,

    pings: Pings,
    closing: Closing,
    timers: Timers,
    last_received: Instant,
    /// Since when this host has been there: what was sent before measures no round trip (R-RTT-1).
    awake_since: Instant,
    /// The time of the last packet that asks for an answer.
    last_eliciting: Instant,
    own_data_acked: bool,
    stats: ConnectionStats,
    /// The client's ID, before there is a zone.
    own_id: u64,
    /// Streams of which `Readable` was said, and which were not drained since.
    unread: usize,
    /// `Drained` was said.
    drained_told: bool,
    /// What the connection does without, to be told with `Connected` (R-PLAIN-1).
    in_use: InUse,
    /// Whether it is the only one of its pair of identities (R-HAND-4).
    single: Single,
}

impl Connection {
    /// A connection that a client begins.
    pub(crate) fn client(
        handle: ConnectionHandle,
        config: Arc<TransportConfig>,
        opening: Opening,
        cx: &mut Cx<'_>,
    ) -> Self {
        let path = Addresses::new(opening.path(), true, false, cx.now);
        let mut connection = Self::new(handle, Side::Client, config, path, cx);
        connection.user_id = opening.user_id();
        connection.own_id = opening.client_id();
        connection.in_use = opening.in_use();
        connection.single = opening.single();
        connection.route = opening.route().into();
        connection.timers.set(Timer::Deadline, Some(opening.deadline()));
        connection.opening = Some(Box::new(opening));
        connection
    }

    /// A connection whose handshake a server has finished. Says `Connected`.
    pub(crate) fn server(
        handle: ConnectionHandle,
        config: Arc<TransportConfig>,
        accepted: Accepted,
        cx: &mut Cx<'_>,
    ) -> Self {
        let path = Addresses::new(accepted.path, accepted.proven, true, cx.now);
        let mut connection = Self::new(handle, Side::Server, config, path, cx);
        connection.peer = accepted.peer;
        connection.user_id = accepted.user_id;
        connection.route = accepted.route.into();
        connection.started = accepted.opened_at;
        connection.own_id = accepted.zone.own_id;
        connection.zone = Some(accepted.zone);
        connection.suite = Some(accepted.suite);
        connection.in_use = accepted.in_use;
        connection.single = if accepted.single { Single::Wanted } else { Single::No };
        connection.on_parameters(accepted.parameters, cx);
        if !connection.path.is_proven() {
            connection.pings.want(true);
        }
        connection.on_ready(cx);
        connection.arm_idle(cx.now);
        connection
    }

    fn new(
        handle: ConnectionHandle,
        side: Side,
        config: Arc<TransportConfig>,
        path: Addresses,
        cx: &mut Cx<'_>,
    ) -> Self {
        let parameters = config.parameters();
        let mtu = MtuSearch::fixed(config.datagram_size.min(transmit::DATAGRAM_MAX));
        Self {
            handle,
            side,
            stage: Stage::Opening,
            path_state: PathState::new(&config, mtu.current()),
            received: Received::new(Duration::from_millis(parameters.ack_delay_ms)),
            streams: no_streams(side, &config, &parameters),
            recv_credit: first_credit(&config, &parameters),
            renewal: Renewal::new(config.key_limits),
            announced: config.clone(),
            config,
            suite: None,
            peer_limits: Limits::of(&Parameters::default()),
            opening: None,
            zone: None,
            path,
            home: Home::default(),
            mtu,
            link_state: LinkState::default(),
            liveness: Liveness::default(),
            peer: None,
            user_id: [0; 8],
            route: Box::default(),
            started: cx.now,
            confirm: None,
            confirm_due: false,
            reset: reset::Resets::default(),
            referrals: Referrals::default(),
            leave_out: next_left_out(0, 0, cx.random),
            replay: ReplayWindow::new(),
            sent: SentPackets::new(0),
            probes: 0,
            probed_at: Instant::ZERO,
            schedule: Schedule::default(),
            control: VecDeque::new(),
            credit_waiters: VecDeque::new(),
            send_credit: SendCredit::default(),
            blocked: None,
            charged: 0,
            gaps: 0,
            next_token: 0,
            expiring: Expiry::default(),
            fates: Fates::new(),
            pings: Pings::default(),
            closing: Closing::default(),
            timers: Timers::default(),
            last_received: cx.now,
            awake_since: Instant::ZERO,
            last_eliciting: cx.now,
            own_data_acked: false,
            stats: ConnectionStats::default(),
            own_id: 0,
            unread: 0,
            drained_told: false,
            in_use: InUse::NONE,
            resting: false,
            single: Single::No,
        }
    }

    /// Where the connection stands.
    pub(crate) fn state(&self) -> State {
        match self.stage {
            Stage::Opening => match self.opening.as_deref() {
                Some(opening) => opening.state(),
                None => State::Failed,
            },
            Stage::Pinging if self.closing.is_leaving() => State::Leaving,
            Stage::Ready if self.closing.is_leaving() => State::Leaving,
            Stage::Pinging => State::Pinging,
            Stage::Ready => State::Ready,
            Stage::Closing | Stage::Draining => State::Closing,
            Stage::Over => State::Closed,
        }
    }

    /// How far an attempt has come.
    fn phase(&self) -> Phase {
        match self.state() {
            State::Resolving => Phase::Resolving,
            State::Opening => Phase::Opening,
            State::Challenged => Phase::Challenged,
            _ => Phase::Pinging,
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether the connection may be forgotten: over, and nothing left to read.
    pub(crate) fn is_gone(&self) -> bool {
        self.stage == Stage::Over && self.unread == 0
    }

    /// The largest message that fits one datagram with the longest header (R-MSG-2): a 4-byte
    /// packet number, an 8-byte offset and, as it ends the packet, no length.
    pub(crate) fn umtu(&self) -> usize {
        const STREAM_HEADER: usize = 1 + 8 + 8;
        const LENGTH_PREFIX: usize = 4;
        self.datagram_size().saturating_sub(DATA_OVERHEAD_LONG + STREAM_HEADER + LENGTH_PREFIX)
    }

    /// Counters and state.
    pub(crate) fn stats(&self) -> ConnectionStats {
        let rtt = self.path_state.rtt.summary();
        let sampled = !rtt.latest.is_zero();
        ConnectionStats {
            rtt_ns: if sampled { nanos(Some(rtt.smoothed)) } else { 0 },
            rtt_variation_ns: if sampled { nanos(Some(rtt.variation)) } else { 0 },
            rtt_latest_ns: nanos(Some(rtt.latest)),
            rtt_min_ns: nanos(Some(rtt.min)),
            congestion_window: self.path_state.controller.window(),
            slow_start_threshold: self.path_state.controller.threshold().unwrap_or(0),
            datagram_size: u64::try_from(self.datagram_size()).unwrap_or(u64::MAX),
            pacing_rate: self.path_state.pacer.rate(),
            ecn: self.path_state.ecn.status(),
            receive_window: self.recv_credit.window(),
            credit_free: self.send_credit.free(),
            bytes_in_flight: self.sent.bytes_in_flight(),
            zone: self.zone.as_ref().map_or(0, |zone| zone.number),
            ..self.stats
        }
    }

    /// The identity that the peer proved.
    pub(crate) fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    /// Where packets go.
    pub(crate) fn remote(&self) -> Path {
        self.path.path()
    }

    /// The peer's parameters are known: what waited for them may go.
    fn on_parameters(&mut self, parameters: Parameters, cx: &mut Cx<'_>) {
        self.send_credit.on_grant(parameters.connection_credit);
        self.streams.on_parameters(
            parameters.two_way_streams,
            parameters.one_way_streams,
            parameters.stream_credit,
        );
        self.peer_limits = Limits::of(&parameters);
        self.on_single(parameters.is_single());
        self.on_carrier();
        self.begin_mtu();
        if let Some(zone) = self.zone.as_mut() {
            zone.expect_reset(parameters.reset_token);
        }
        let keys: Vec<StreamKey> = self.streams.keys().collect();
        for key in keys {
            let Self { streams, fates, .. } = self;
            let Some(stream) = streams.get_mut(key) else { continue };
            let id = stream.id;
            if let Some(half) = stream.send.as_mut() {
                half.drop_larger(parameters.message_max, fates);
            }
            self.tell_fates(id, cx);
            self.wake_stream(key);
        }
    }

    /// Both sides are sure of each other: says `Connected`, once (row T10, R-HAND-5b).
    fn on_ready(&mut self, cx: &mut Cx<'_>) {
        self.stage = Stage::Ready;
        self.confirm = None;
        self.confirm_due = false;
        self.reset.again = None;
        self.on_single_ready();
        let leaving = self.closing.until();
        self.timers.set(Timer::Deadline, leaving);
        self.stats.handshake_ns = nanos(Some(cx.now - self.started));
        let route = core::mem::take(&mut self.route).into_vec();
        cx.events.push_back(Event::Connected {
            connection: self.handle,
            side: self.side,
            peer: self.peer,
            remote: self.path.path().remote,
            user_id: self.user_id,
            route,
        });
        self.in_use.tell(self.handle, cx.events);
        self.arm_keep_alive();
        self.arm_rest(cx.now);
        self.begin_zones(cx);
    }

    /// Puts a stream with payload to send into the schedule.
    fn wake_stream(&mut self, key: StreamKey) {
        // Who hands in many messages at once comes here for each.
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.scheduled) else { return };
        let may_send = self.streams.may_send(stream.id);
        let Some(stream) = self.streams.get_mut(key) else { return };
        let ready = stream.send.as_ref().is_some_and(|send| send.has_payload());
        if may_send && ready {
            stream.scheduled = true;
            self.schedule.push(key, stream.priority);
        }
    }

    /// Lists a stream with control frames to send.
    fn list_control(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key)
            && !stream.control_listed
        {
            stream.control_listed = true;
            self.control.push_back(key);
        }
    }

    /// Turns the fates that a call left behind into events.
    fn tell_fates(&mut self, id: StreamId, cx: &mut Cx<'_>) {
        for run in self.fates.drain() {
            if !self.expiring.is_empty() {
                run.tokens().for_each(|token| self.expiring.remove(token));
            }
            cx.events.push_fates(self.handle, id, run);
        }
    }

    /// The largest datagram that we send.
    fn datagram_size(&self) -> usize {
        usize::from(self.link_size().unwrap_or(self.mtu.current()))
    }

    /// The idle limit in force, if any (R-CLOSE-2).
    fn idle_limit(&self) -> Option<Duration> {
        let agreed = self.agreed_idle();
        if self.own_data_acked {
            return agreed;
        }
        Some(agreed.map_or(IDLE_BEFORE_ACK, |limit| limit.min(IDLE_BEFORE_ACK)))
    }

    /// A packet came.
    fn on_heard(&mut self, now: Instant) {
        if self.liveness.on_packet() {
            // No probe timeout ran during the silence: it begins anew, from now.
            self.probed_at = now;
            self.arm_recovery();
        } else if self.last_received == now && self.timers.at(Timer::Idle).is_some() {
            // Another of the same batch: nothing is later than it was.
            return;
        }
        self.last_received = now;
        self.arm_idle(now);
        self.arm_keep_alive();
    }

    fn arm_idle(&mut self, now: Instant) {
        let at = self.idle_limit().map(|limit| now + limit);
        self.timers.set(Timer::Idle, at);
    }

    /// R-CLOSE-4: from the newest packet received, or sent with a wish for an answer.
    fn arm_keep_alive(&mut self) {
        let every = self.config.keep_alive;
        let at = self.last_received.max(self.last_eliciting) + every;
        self.timers.set(Timer::KeepAlive, (!every.is_zero()).then_some(at));
    }
}

/// The streams of a connection that has none yet: how many the peer may open, and what each is
/// granted.
fn no_streams(side: Side, config: &TransportConfig, parameters: &Parameters) -> Streams {
    let defaults = StreamDefaults::new(parameters, config.stream_credit_max.min(GRANT_MAX));
    Streams::new(side, parameters.two_way_streams, parameters.one_way_streams, defaults)
}

/// What the connection grants the peer at first: never too little for the largest message
/// (R-CREDIT-3).
fn first_credit(config: &TransportConfig, parameters: &Parameters) -> RecvCredit {
    let least = parameters.message_max.saturating_add(8);
    RecvCredit::new(parameters.connection_credit, least)
        .growing_to(config.connection_credit_max.min(GRANT_MAX))
}

fn nanos(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A violation (and the frame type at fault) that ends the connection, or a bound at which the
/// packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Close(Violation, u64),
    AtBound,
}
