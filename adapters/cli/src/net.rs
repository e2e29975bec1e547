//! One endpoint and its loop, as all commands use them: bind, connect with a deadline, wait for
//! events or a signal, and leave politely.

use crate::address::{HostPort, Remote};
use crate::args::{self, Client, Patience, Server};
use crate::explain::Explainer;
use crate::fail::{Fail, Result};
use crate::host::Host;
use crate::keys;
use crate::looper::Looper;
use crate::signals::Interrupts;
use crate::sockets::{self, Sockets};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tripline::{
    Carrier, Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Endpoint, Event,
    LostCause, Over, Screening, TransportConfig,
};
use tripline_sansio::LinkError;
use tripline_std::{HubOptions, Turn, Waker};

/// At what silence we say something; a third of a shorter idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// How long a polite end may take once there is nothing left to deliver but acknowledgements.
const GRACE: Duration = Duration::from_secs(5);
/// How long we stay at most to repeat a goodbye that nobody has answered.
const LINGER: Duration = Duration::from_millis(500);
/// How much may be on its way or unread in one stream. With a few buffers of this size each side
/// stays far below 64 MiB, whatever the size of the file.
const STREAM_BUFFER: u64 = 4 << 20;

/// With what code we end when something went wrong.
pub(crate) const FAILED: Code = Code::application(1);

/// Why [`Session::next`] came back.
#[derive(Debug)]
pub(crate) enum Step {
    /// Something happened.
    Event(Event),
    /// No link leads to the server; the next attempt comes after a while.
    Unlinked(LinkError),
    /// A helper thread has something for us.
    Woken,
    /// The limit has come.
    TimedOut,
}

/// An endpoint, its socket and its loop.
#[derive(Debug)]
pub(crate) struct Session {
    looper: Looper,
    /// Clients: by what to travel.
    over: Over,
    interrupts: Interrupts,
    /// Servers only: who decides on newcomers and answers pings.
    host: Option<Host>,
    /// A name that the resolver is asked for, and for which connection: when connecting, and again
    /// when a server no longer answers.
    resolving: Option<(ConnectionHandle, Receiver<Resolved>)>,
    /// Clients with `--explain`: who says what is waited for.
    explainer: Option<Explainer>,
}

impl Session {
    /// A client's session, bound to any port.
    pub(crate) fn client(remote: &Remote, options: &Client) -> Result<Self> {
        let identity = options.identity.as_deref().map(keys::load).transpose()?;
        let config = Config { identity, ..config(&options.patience) };
        let sockets = Sockets::client(remote)?;
        let how = sockets::client_options(options)?;
        let explainer = options.explain.then(Explainer::new);
        let over = match options.over {
            args::Over::Auto => Over::auto(),
            args::Over::Udp => Over::udp(),
            args::Over::Tcp => Over::tcp(),
            args::Over::Tls => Over::tls(),
        };
        Ok(Self { explainer, over, ..Self::new(sockets, config, &how, None)? })
    }

    /// A server's session, listening at `address` for whatever `host` lets in. Prints nothing.
    pub(crate) fn server(address: &HostPort, options: &Server, host: Host) -> Result<Self> {
        let identity = match &options.key {
            Some(file) => keys::load(file)?,
            None => keys::generate()?,
        };
        let mut config = match options.allow.as_slice() {
            [] => Config::public_server(identity),
            list => Config::private_server(identity, list.iter().copied()),
        };
        if let Some(server) = &mut config.server {
            server.screening = Screening::Ask;
        }
        let patience = self::config(&options.patience);
        let config = Config { identity: config.identity, server: config.server, ..patience };
        let how = sockets::server_options(options)?;
        Self::new(Sockets::server(address, options)?, config, &how, Some(host))
    }

    fn new(sockets: Sockets, config: Config, how: &HubOptions, host: Option<Host>) -> Result<Self> {
        let config = Config { segments_max: sockets.segments(), ..config };
        let looper = Looper::new(sockets, config, how)?;
        let interrupts = Interrupts::watch(looper.waker())?;
        let over = Over::udp();
        Ok(Self { looper, over, interrupts, host, resolving: None, explainer: None })
    }

    /// `tpub1…@ADDRESS:PORT`: what a client has to be told.
    pub(crate) fn invitation(&self) -> Result<(String, SocketAddr)> {
        let address = self.looper.local_addr();
        let key = self.looper.machine().public_key().map(|key| key.to_string());
        Ok((key.unwrap_or_default(), address))
    }

    /// Connects, or says in one line why not.
    pub(crate) fn connect(
        &mut self,
        remote: &Remote,
        route: &[u8],
        timeout: Duration,
    ) -> Result<ConnectionHandle> {
        let options = ConnectOptions {
            route: route.to_vec(),
            deadline: timeout,
            ..ConnectOptions::to(remote.key)
        };
        let target = remote.at.target();
        let begun = self.looper.connect(target, options, self.over.clone());
        let failed =
            |text: String| Fail::network(format!("cannot connect to {}: {text}", remote.at));
        let connection = begun.map_err(|error| failed(error.to_string()))?;
        if let Some(explainer) = &mut self.explainer {
            explainer.watch(connection);
        }
        loop {
            match self.next(None)? {
                Step::Event(Event::Connected { .. }) => {
                    self.tell_carrier(connection);
                    return Ok(connection);
                }
                Step::Event(Event::Failed { error, .. }) => {
                    return Err(failed(explain(&error, timeout, &self.over)));
                }
                Step::Unlinked(error) if !self.over.udp => return Err(failed(error.to_string())),
                Step::Event(_) | Step::Unlinked(_) | Step::Woken | Step::TimedOut => {}
            }
        }
    }

    /// With `--explain`: by what the connection travels (row N49).
    fn tell_carrier(&self, connection: ConnectionHandle) {
        let carrier = self.looper.carrier(connection).filter(|_| self.explainer.is_some());
        if let Some(Carrier { kind, remote }) = carrier {
            // Who cannot be told cannot be told that either.
            let _ = writeln!(io::stderr(), "connected over {kind} to {remote}");
        }
    }

    /// The next event that is not for the host, at the latest at `limit`.
    ///
    /// # Errors
    /// A signal, or a broken socket.
    pub(crate) fn next(&mut self, limit: Option<Instant>) -> Result<Step> {
        loop {
            self.interrupts.check()?;
            while let Some(event) = self.looper.next_event() {
                if let Some(explainer) = &mut self.explainer {
                    explainer.on_news();
                }
                if let Event::Resolve { connection, host, port } = event {
                    self.resolving = Some((connection, resolve(host, port, self.waker())?));
                    continue;
                }
                let ours = self.host.as_mut().is_some_and(|host| host.on(&mut self.looper, &event));
                if !ours {
                    return Ok(Step::Event(event));
                }
            }
            if let Some(error) = self.looper.failed() {
                return Ok(Step::Unlinked(error));
            }
            let speaks = self.explainer.as_ref().map(Explainer::next);
            let until = limit.into_iter().chain(speaks).min();
            let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
            let turn = self.looper.run_once(timeout);
            if let Some(explainer) = &mut self.explainer {
                self.looper.with(|endpoint, now| explainer.speak(endpoint, now));
            }
            match turn.map_err(|error| Fail::io("the socket is broken", &error))? {
                Turn::Event => {}
                Turn::Woken => {
                    self.interrupts.check()?;
                    self.on_resolved();
                    return Ok(Step::Woken);
                }
                Turn::TimedOut if limit.is_none_or(|limit| limit > Instant::now()) => {}
                Turn::TimedOut => return Ok(Step::TimedOut),
            }
        }
    }

    /// Hands the resolver's answer on, if it has come.
    fn on_resolved(&mut self) {
        let Some((connection, answer)) = &self.resolving else { return };
        let Ok(found) = answer.try_recv() else { return };
        let connection = *connection;
        self.resolving = None;
        self.looper.resolved(connection, found);
    }

    /// Lets what was handed in go out, without waiting.
    pub(crate) fn flush(&mut self) -> Result {
        let turn = self.looper.run_once(Some(Duration::ZERO));
        turn.map(drop).map_err(|error| Fail::io("the socket is broken", &error))
    }

    /// Uses the endpoint at the present time.
    pub(crate) fn with<R>(
        &mut self,
        action: impl FnOnce(&mut Endpoint, tripline_sansio::Instant) -> R,
    ) -> R {
        self.looper.with(action)
    }

    /// The endpoint, to be asked.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.looper.machine()
    }

    /// Ends our waits from another thread.
    pub(crate) fn waker(&self) -> Waker {
        self.looper.waker()
    }

    /// Ends a connection in order: what was handed in is delivered first.
    ///
    /// # Errors
    /// If it could not be ended in order.
    pub(crate) fn close(&mut self, connection: ConnectionHandle) -> Result {
        if self
            .with(|endpoint, now| endpoint.close(now, connection, GRACE, Code::NONE, ""))
            .is_err()
        {
            return Ok(());
        }
        loop {
            match self.next(None)? {
                Step::Event(Event::Closed { connection: ended, code, reason, .. })
                    if ended == connection =>
                {
                    self.linger()?;
                    return closed(code, &reason);
                }
                Step::Event(Event::Lost { connection: ended, cause }) if ended == connection => {
                    return Err(lost(&cause));
                }
                _ => {}
            }
        }
    }

    /// Stays until the peers have heard our goodbye, or could have.
    fn linger(&mut self) -> Result {
        let limit = Instant::now() + LINGER;
        // `Drained` comes once for each connection, and wakes us to look again.
        while self.endpoint().connections() > 0 {
            if let Step::TimedOut = self.next(Some(limit))? {
                break;
            }
        }
        Ok(())
    }

    /// Ends everything at once because of a failure, tells every peer why, and stays until they
    /// have heard it, or could have; who comes meanwhile is refused (R-CLOSE-7).
    pub(crate) fn abandon(&mut self, why: &Fail) {
        self.with(|endpoint, now| endpoint.shut_down(now, Duration::ZERO, FAILED, &why.text));
        let limit = Instant::now() + LINGER;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            // We are leaving because of another failure; one of the socket would only hide it.
            let turn = self.looper.run_once(Some(left));
            while let Some(event) = self.looper.next_event() {
                if event == Event::ShutDown {
                    return;
                }
            }
            if turn.is_err() || left.is_zero() {
                return;
            }
        }
    }
}

/// Does `work`, the last of a session; if it fails, or a signal comes, the peers are told.
pub(crate) fn guarded<R>(
    session: &mut Session,
    work: impl FnOnce(&mut Session) -> Result<R>,
) -> Result<R> {
    work(session).inspect_err(|fail| session.abandon(fail))
}

/// What an orderly end means to us.
pub(crate) fn closed(code: Code, reason: &str) -> Result {
    if code == Code::NONE {
        return Ok(());
    }
    let why = if reason.is_empty() { code.to_string() } else { reason.to_string() };
    Err(Fail::network(format_args!("the other side gave up: {why}")))
}

/// What an unexpected end means to us.
pub(crate) fn lost(cause: &LostCause) -> Fail {
    Fail::network(format_args!("connection lost: {cause}"))
}

/// What a failed attempt means, and what to do.
fn explain(error: &ConnectError, timeout: Duration, over: &Over) -> String {
    let advice = match error {
        ConnectError::Timeout { .. } => {
            let timeout = humantime::format_duration(timeout);
            let what = match (over.udp, over.links.is_empty()) {
                (true, true) => "UDP",
                (true, false) => "UDP or TCP",
                (false, _) => "TCP",
            };
            format!(" after {timeout}; does the server run there, and does {what} get through?")
        }
        ConnectError::Identity => "; compare the key with the one that the server printed".into(),
        _ => String::new(),
    };
    format!("{error}{advice}")
}

/// What all our connections have in common.
fn config(patience: &Patience) -> Config {
    let transport = TransportConfig {
        idle_timeout: patience.idle_timeout,
        keep_alive: KEEP_ALIVE.min(patience.idle_timeout / 3),
        stream_credit: STREAM_BUFFER,
        connection_credit: STREAM_BUFFER,
        send_buffer: STREAM_BUFFER,
        two_way_streams: 8,
        one_way_streams: 8,
        ..TransportConfig::default()
    };
    Config { transport, connections_max: 256, hardware_aes: hardware_aes(), ..Config::default() }
}

/// Whether AES is cheap on this machine.
fn hardware_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// What the engine is told about a name.
type Resolved = std::result::Result<Vec<SocketAddr>, String>;

/// Asks the system's resolver, which waits for as long as it likes, on a thread of its own.
fn resolve(host: String, port: u16, waker: Waker) -> Result<Receiver<Resolved>> {
    let (sender, answer) = channel();
    let ask = move || {
        let found = tripline_std::resolve(&host, port);
        // If nobody listens any more the attempt is over.
        let _ = sender.send(found.map_err(|error| crate::fail::plain(&error)));
        waker.wake();
    };
    thread::Builder::new()
        .name("resolver".into())
        .spawn(ask)
        .map_err(|error| Fail::io("cannot start a thread", &error))?;
    Ok(answer)
}
