//! Plays operations on both endpoints, tells the judge, and brings it all to a good end.

use super::Outcome;
use super::half::MESSAGES_MAX;
use super::judge::{Judge, Phase};
use super::operation::{Operation, Setting};
use crate::host::HostId;
use crate::inspect::Inspector;
use crate::link::LinkConfig;
use crate::scenario::Seal;
use crate::world::World;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Endpoint, OpenError, Order, ReceiveError,
    ReceiveResult, SecretKey, SendError, SendOptions, State, StreamError, StreamOptions,
};
use tripline_sansio::{Duration, Instant, Seed};

/// How long nothing may happen before the world counts as quiet: longer than any probe timeout.
const QUIET: Duration = Duration::from_secs(4);
/// In how much time everything has to settle once the network is well.
const SETTLE: Duration = Duration::from_secs(600);
/// The most streams of one script.
const STREAMS_MAX: usize = 200;

pub(super) struct Player {
    world: World<Endpoint>,
    hosts: [HostId; 2],
    judge: Judge,
    /// Reads along on the wire: nobody may break a rule there either.
    inspector: Inspector,
    sent: u64,
    received: u64,
}

fn endpoint(world: &World<Endpoint>, setting: &Setting, config: Config, label: &str) -> Endpoint {
    let config = Config {
        transport: setting.transport(),
        segments_max: setting.segments_max,
        hardware_aes: setting.hardware_aes,
        ..config
    };
    Endpoint::new(config, &world.seed_for(label), Instant::ZERO)
}

impl Player {
    /// The world of the setting, with a client that has just begun to connect.
    pub(super) fn new(setting: &Setting) -> Self {
        let mut world = World::new(setting.seed);
        world.set_discipline(setting.discipline());
        let key = SecretKey::generate(&mut Seed::from_number(0).random("server"));
        let options = ConnectOptions {
            deadline: Duration::from_secs(300),
            ..ConnectOptions::to(key.public_key())
        };
        let inspector = Inspector::new(Seal::Fast);
        inspector.set_slack(Duration::from_secs(1));
        world.add_tap(inspector.tap());
        let on = |config| inspector.on(Config { transport: setting.transport(), ..config });
        let client = endpoint(&world, setting, on(Config::client()), "client");
        let server = endpoint(&world, setting, on(Config::public_server(key)), "server");
        let address = |last| SocketAddr::from(([10, 0, 0, last], 7));
        let client = world.add_host(address(1), client);
        let server = world.add_host(address(2), server);
        world.set_links(client, server, setting.link);
        let handle = world
            .with(client, |endpoint, now| endpoint.connect(now, address(2).into(), options))
            .expect("the attempt begins");
        let mut judge = Judge::new();
        judge.parties[0].handle = Some(handle);
        Self { world, hosts: [client, server], judge, inspector, sent: 0, received: 0 }
    }

    /// One operation; what does not fit (no such stream, nobody connected) is passed over.
    pub(super) fn play(&mut self, operation: Operation) {
        match operation {
            Operation::Open { side, options } => self.open(side, options),
            Operation::Send { side, stream, size, options, times } => {
                if let Some(stream) = self.pick(side, stream, true) {
                    (0..=times).for_each(|_| self.send(side, stream, size, options));
                }
            }
            Operation::Finish { side, stream } => self.end_sending(side, stream, None),
            Operation::CloseStream { side, stream, code } => {
                self.end_sending(side, stream, Some(Code::application(u64::from(code))))
            }
            Operation::Stop { side, stream, code } => self.stop(side, stream, code),
            Operation::SetPriority { side, stream, priority } => {
                self.set_priority(side, stream, priority)
            }
            Operation::Renew { side } => self.renew(side),
            Operation::Read { side, stream, most } => {
                if let Some(stream) = self.pick(side, stream, false) {
                    self.read(side, stream, usize::from(most));
                }
            }
            Operation::Run { time } => {
                self.world.run_for(time);
                self.pump();
            }
        }
    }

    /// The network gets well, everybody reads, and in the end it is quiet; then everything is
    /// judged.
    pub(super) fn finish(mut self, setting: &Setting) -> Outcome {
        let healthy = LinkConfig::perfect().delay(Duration::from_millis(10));
        let dropped = self.world.totals().dropped();
        self.world.set_links(self.hosts[0], self.hosts[1], healthy);
        self.settle();
        self.judge.judge(false);
        // A stream that waits for others to end is heard of, and ended by the peer, only then.
        while self.finish_all() {
            self.settle();
        }
        self.judge.judge(true);
        for (side, party) in self.judge.parties.iter().enumerate() {
            assert_eq!(party.phase, Phase::Connected, "side {side}");
            let state = party.handle.and_then(|handle| self.machine(side).state(handle));
            assert_eq!(state, Some(State::Ready), "side {side}");
        }
        if let Some(by_client) = setting.close {
            self.close(if by_client { 0 } else { 1 });
        }
        let violations = self.inspector.take_violations();
        assert!(violations.is_empty(), "{violations:#?}");
        Outcome {
            trace_hash: self.world.trace_hash(),
            sent: self.sent,
            received: self.received,
            dropped,
            streams: self.judge.streams.len() as u64,
        }
    }

    /// Runs and reads, by what the events say alone, until nothing moves any more.
    fn settle(&mut self) {
        let deadline = self.world.now() + SETTLE;
        loop {
            let left = deadline.saturating_duration_since(self.world.now());
            if let Err(busy) = self.world.run_until_quiet(QUIET, left) {
                let stats = [0, 1].map(|side| {
                    let handle = self.judge.parties[side].handle;
                    handle.and_then(|handle| self.machine(side).connection_stats(handle))
                });
                panic!("it never gets quiet: {busy}; {stats:#?}");
            }
            self.pump();
            let mut moved = false;
            for side in [0, 1] {
                for stream in 0..self.judge.streams.len() {
                    let half = self.judge.streams[stream].receiving(side);
                    if half.is_some_and(|half| half.readable) {
                        self.read(side, stream, usize::MAX);
                        moved = true;
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// An orderly close: both sides learn of it, once, and both are gone (M03).
    fn close(&mut self, side: usize) {
        self.judge.closing = true;
        let (grace, code) = (Duration::from_secs(10), Code::application(1));
        self.call(side, |endpoint, now, handle| endpoint.close(now, handle, grace, code, "bye"))
            .expect("the connection is there");
        self.world.run_for(Duration::from_secs(60));
        self.pump();
        for (side, party) in self.judge.parties.iter().enumerate() {
            assert_eq!(party.phase, Phase::Gone, "side {side} never learnt of the close");
            let state = party.handle.and_then(|handle| self.machine(side).state(handle));
            assert_eq!(state, None, "side {side} is not gone");
            assert_eq!(self.machine(side).connections(), 0);
        }
    }

    fn machine(&self, side: usize) -> &Endpoint {
        self.world.machine(self.hosts[side])
    }

    /// Calls a side's endpoint, then shows the judge what it says. Only for a side that has a
    /// handle.
    fn call<R>(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Endpoint, Instant, ConnectionHandle) -> R,
    ) -> R {
        let handle = self.judge.parties[side].handle.expect("a handle");
        self.world.with(self.hosts[side], |endpoint, now| act(endpoint, now, handle))
    }

    /// Shows the judge all new events.
    fn pump(&mut self) {
        for side in [0, 1] {
            for (at, event) in self.world.take_events(self.hosts[side]) {
                let judged = catch_unwind(AssertUnwindSafe(|| self.judge.on_event(side, &event)));
                if let Err(panic) = judged {
                    eprintln!("side {side} at {at:?} said {event:?}");
                    resume_unwind(panic);
                }
            }
        }
    }

    /// One of the streams on which `side` may send, or which it may read; an index.
    fn pick(&mut self, side: usize, which: u8, sending: bool) -> Option<usize> {
        self.judge.parties[side].handle?;
        let fits = |stream: &mut super::judge::Stream| {
            let half = if sending { stream.sending(side) } else { stream.receiving(side) };
            half.is_some() && stream.is_known(side)
        };
        let streams = &mut self.judge.streams;
        let all: Vec<usize> = (0..streams.len()).filter(|at| fits(&mut streams[*at])).collect();
        // The newest streams are the liveliest.
        let back = usize::from(which) % all.len().clamp(1, 12);
        all.into_iter().rev().nth(back)
    }

    fn open(&mut self, side: usize, options: StreamOptions) {
        if self.judge.parties[side].handle.is_none() || self.judge.streams.len() >= STREAMS_MAX {
            return;
        }
        match self.call(side, |endpoint, now, handle| endpoint.open(now, handle, options)) {
            Ok(id) => self.judge.on_open(side, id, options),
            Err(OpenError::Limit { .. }) => self.judge.on_limit(side, options.direction),
            Err(error) => panic!("{error}"),
        }
        self.pump();
    }

    fn send(&mut self, side: usize, stream: usize, size: usize, options: SendOptions) {
        let id = self.judge.streams[stream].id;
        let bytes_order = id.order() == Order::Bytes;
        let options = if bytes_order { SendOptions::default() } else { options };
        let half = self.judge.streams[stream].sending(side).expect("it can be sent on");
        if half.promises.len() >= MESSAGES_MAX {
            return;
        }
        let message = half.next_message(size);
        let len = message.len();
        let sent = self.call(side, |e, now, handle| e.send(now, handle, id, message, options));
        let known = &mut self.judge.streams[stream];
        let may_be_gone = known.may_be_gone(side);
        let half = known.sending(side).expect("it can be sent on");
        match sent {
            Ok(token) => {
                assert!(!half.has_ended(), "taken after the end");
                self.judge.on_token(side, stream, token);
                let half = self.judge.streams[stream].sending(side).expect("it can be sent on");
                half.on_sent(len, options);
                self.sent += 1;
            }
            Err(SendError::Blocked) => half.blocked = true,
            Err(SendError::Finished) => assert!(half.has_ended(), "refused before the end"),
            Err(SendError::UnknownStream) => assert!(may_be_gone, "{id:?} is gone too soon"),
            Err(error) => panic!("{error}"),
        }
        self.pump();
    }

    /// Both sides finish all that they send on and know; whether there was any.
    fn finish_all(&mut self) -> bool {
        let mut any = false;
        for side in [0, 1] {
            for stream in 0..self.judge.streams.len() {
                let known = &mut self.judge.streams[stream];
                let open = known.sending(side).is_some_and(|half| !half.has_ended());
                if open && known.is_known(side) {
                    self.end_sending_on(side, stream, None);
                    any = true;
                }
            }
        }
        any
    }

    /// Finishes, or closes with a code.
    fn end_sending(&mut self, side: usize, which: u8, code: Option<Code>) {
        if let Some(stream) = self.pick(side, which, true) {
            self.end_sending_on(side, stream, code);
        }
    }

    fn end_sending_on(&mut self, side: usize, stream: usize, code: Option<Code>) {
        let id = self.judge.streams[stream].id;
        let done = self.call(side, |endpoint, now, handle| match code {
            None => endpoint.finish(now, handle, id),
            Some(code) => endpoint.close_stream(now, handle, id, code),
        });
        let known = &mut self.judge.streams[stream];
        match done {
            Ok(()) => {
                let half = known.sending(side).expect("it can be sent on");
                match code {
                    None => half.finished |= !half.has_ended(),
                    Some(code) if half.closed.is_none() && !half.stopped => {
                        half.closed = Some(code)
                    }
                    Some(_) => {}
                }
                half.blocked = false;
            }
            Err(StreamError::UnknownStream) => {
                assert!(known.may_be_gone(side), "{id:?} is gone too soon")
            }
            Err(error) => panic!("{error}"),
        }
        self.pump();
    }

    fn stop(&mut self, side: usize, which: u8, code: u8) {
        let Some(stream) = self.pick(side, which, false) else { return };
        let (id, code) = (self.judge.streams[stream].id, Code::application(u64::from(code)));
        let done = self.call(side, |e, now, handle| e.stop(now, handle, id, code));
        let known = &mut self.judge.streams[stream];
        match done {
            Ok(()) => {
                let half = known.receiving(side).expect("it can be read");
                if half.end.is_none() {
                    half.stop.get_or_insert(code);
                    half.readable = false;
                }
            }
            Err(StreamError::UnknownStream) => {
                assert!(known.may_be_gone(side), "{id:?} is gone too soon")
            }
            Err(error) => panic!("{error}"),
        }
        self.pump();
    }

    fn set_priority(&mut self, side: usize, which: u8, priority: u8) {
        let Some(stream) = self.pick(side, which, true) else { return };
        let id = self.judge.streams[stream].id;
        let done = self.call(side, |e, now, handle| e.set_priority(now, handle, id, priority));
        let gone = done == Err(StreamError::UnknownStream);
        assert!(done.is_ok() || gone && self.judge.streams[stream].may_be_gone(side), "{done:?}");
        self.pump();
    }

    /// New keys: nothing of the judge's business, as nobody shall notice.
    fn renew(&mut self, side: usize) {
        if self.judge.parties[side].handle.is_some() {
            self.call(side, |e, now, handle| e.renew(now, handle)).expect("it lives");
            self.pump();
        }
    }

    /// Takes up to `most` messages or chunks.
    fn read(&mut self, side: usize, stream: usize, most: usize) {
        let id = self.judge.streams[stream].id;
        for _ in 0..most {
            let taken = self.call(side, |e, now, handle| e.receive(now, handle, id));
            let known = &mut self.judge.streams[stream];
            let may_be_gone = known.may_be_gone(side);
            let half = known.receiving(side).expect("it can be read");
            let more = matches!(taken, Ok(ReceiveResult::Data(_)));
            match taken {
                Ok(ReceiveResult::Data(bytes)) => {
                    half.on_data(&bytes);
                    self.received += 1;
                }
                Ok(ReceiveResult::Nothing) => half.readable = false,
                Ok(end) => half.on_end(end),
                Err(ReceiveError::UnknownStream) => assert!(may_be_gone, "gone too soon"),
                Err(error) => panic!("{error}"),
            }
            self.pump();
            if !more {
                return;
            }
        }
    }
}
