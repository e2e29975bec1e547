//! What the user can tell an endpoint to do, and ask of it.

use super::Endpoint;
use super::ids::Owner;
use crate::batch::Batch;
use crate::config::{ConnectOptions, SendOptions, StreamOptions, Target, TransportConfig};
use crate::connection::opening::{Opening, Start};
use crate::connection::{BatchResult, Connection, Cx, ReceiveResult, State};
use crate::crypto::{Cipher, Handshake, Pattern, PublicKey, SecretKey, Setup, Suite, data_aead};
use crate::error::{
    OpenError, ReceiveError, SendError, StartError, StreamError, UnknownConnection,
};
use crate::event::Event;
use crate::handle::{ConnectionHandle, MessageToken};
use crate::stats::{ConnectionStats, EndpointStats};
use crate::wire::{
    Code, OpenPayload, Order, PROTOCOL_VERSION, Parameters, ROUTE_MAX, StreamId, prologue,
    through_suite, write_open,
};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::ops::Range;
use tripline_sansio::{Duration, Instant};

impl Endpoint {
    /// Our own identity, if we have one.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.identity.as_ref().map(|(_, public)| *public)
    }

    /// How connections behave for which [`ConnectOptions`] say nothing else.
    pub fn transport(&self) -> &TransportConfig {
        &self.transport
    }

    /// Begins a connection (row T01). Returns at once; the first OPEN is what `poll_transmit` hands
    /// out next, or, for a name, [`Event::Resolve`] asks for its addresses.
    ///
    /// # Errors
    /// See [`StartError`]; nothing has begun then.
    pub fn connect(
        &mut self,
        now: Instant,
        target: Target,
        options: ConnectOptions,
    ) -> Result<ConnectionHandle, StartError> {
        let now = self.tick(now);
        if self.leave.is_shutting_down() {
            return Err(StartError::ShuttingDown);
        }
        let handle =
            self.next_handle().ok_or(StartError::TooMany { limit: self.config.connections_max })?;
        if options.route.len() > ROUTE_MAX {
            return Err(StartError::RouteTooLong { length: options.route.len() });
        }
        if options.server_key.is_some_and(|key| !key.is_canonical()) {
            return Err(StartError::BadKey);
        }
        let (addresses, name) = match target {
            Target::Addresses(addresses) if addresses.is_empty() => {
                return Err(StartError::NoAddress);
            }
            Target::Addresses(addresses) => (addresses, None),
            Target::Name { host, port } => (Vec::new(), Some((host, port))),
        };
        let transport = options.transport.clone();
        let transport = transport.map_or_else(|| self.transport.clone(), Arc::new);
        let cipher = self.preferred_cipher();
        let single = transport.single
            && self.may_be_single(self.suite_for(&options, cipher), options.server_key);
        if let Some(attempt) = self.attempt_at(options.server_key.filter(|_| single), None) {
            return Err(StartError::Single { attempt });
        }
        let owner = Owner::Connection(handle.slot);
        let client_id = self
            .ids
            .issue(owner)
            .ok_or(StartError::TooMany { limit: self.config.connections_max })?;
        let parameters = transport.parameters();
        let Some(mut start) = self.start(now, client_id, addresses, &options, parameters, cipher)
        else {
            self.ids.release(client_id);
            return Err(StartError::BadKey);
        };
        start.name.clone_from(&name);
        let mut cx = Cx {
            now,
            events: &mut self.events,
            random: &mut self.random,
            settled: &mut self.settled,
            recycler: &mut self.recycler,
        };
        let connection = Connection::client(handle, transport, Opening::new(start), &mut cx);
        self.place(handle, connection);
        if let Some((host, port)) = name {
            self.events.push_back(Event::Resolve { connection: handle, host, port });
        }
        Ok(handle)
    }

    /// The cipher that we open with first.
    pub(super) fn preferred_cipher(&self) -> Cipher {
        if self.config.hardware_aes { Cipher::AesGcm } else { Cipher::ChaChaPoly }
    }

    /// The suite for this cipher: the pattern is as PROTOCOL.md §2.2 says.
    fn suite_for(&self, options: &ConnectOptions, cipher: Cipher) -> Suite {
        let pattern = match (options.server_key, &self.identity) {
            (None, _) => Pattern::Xx,
            (Some(_), Some(_)) => Pattern::Ik,
            (Some(_), None) => Pattern::Nk,
        };
        let suite = Suite::new(cipher, options.psk.is_some(), pattern);
        self.plain_suite(suite)
    }

    /// Writes the OPEN of an attempt.
    pub(super) fn start(
        &mut self,
        now: Instant,
        client_id: u64,
        addresses: Vec<SocketAddr>,
        options: &ConnectOptions,
        parameters: Parameters,
        cipher: Cipher,
    ) -> Option<Start> {
        let suite = self.suite_for(options, cipher);
        let (cipher, pattern) = (suite.cipher, suite.pattern);
        let parameters = self.announce_single(suite, options.server_key, parameters);
        let mut parameters = self.announce_plain(suite, parameters);
        // In NN anyone on the way could read the token.
        let reset_token = self.reset_token(client_id);
        parameters.reset_token = (pattern != Pattern::Nn).then_some(reset_token);
        // XX shows an identity; who has none shows one that is thrown away.
        let throw_away;
        let local = match (&self.identity, pattern) {
            (_, Pattern::Nk | Pattern::Nn) => None,
            (Some((secret, _)), _) => Some(secret),
            (None, _) => {
                throw_away = SecretKey::generate(&mut self.ephemerals);
                Some(&throw_away)
            }
        };
        let prefix = through_suite(PROTOCOL_VERSION, client_id, suite.to_byte());
        let handshake = Handshake::initiator(Setup {
            suite,
            prologue: &prologue(&prefix),
            local,
            remote: options.server_key,
            psk: options.psk.as_ref(),
            ephemeral: SecretKey::generate(&mut self.ephemerals),
            aead: self.config.aead.clone(),
        });
        let mut handshake = handshake.ok()?;
        let mut payload = Vec::new();
        if pattern != Pattern::Xx {
            let open = OpenPayload { user_id: options.user_id, route: &options.route, parameters };
            open.write(&mut payload).ok()?;
        }
        let mut noise = Vec::new();
        handshake.write_message(&payload, &mut noise).ok()?;
        let mac_key = crate::crypto::mac1_key(match pattern {
            Pattern::Nk | Pattern::Ik => options.server_key.as_ref(),
            Pattern::Nn | Pattern::Xx => None,
        });
        let mut packet = Vec::new();
        let mac1 = |bytes: &[u8]| crate::crypto::mac1(&mac_key, bytes);
        write_open(&mut packet, PROTOCOL_VERSION, client_id, suite.to_byte(), &noise, mac1, &[])
            .ok()?;
        Some(Start {
            addresses,
            name: None,
            deadline: now + options.deadline.max(Duration::from_millis(1)),
            client_id,
            packet,
            mac_key,
            handshake,
            aead: data_aead(suite, &self.config.aead),
            cipher,
            user_id: options.user_id,
            route: options.route.clone(),
            parameters,
            options: options.clone(),
            trusted: None,
            in_use: self.client_in_use(suite),
        })
    }

    /// Answers [`Event::Resolve`]: the addresses, to be tried in turn, or why there are none.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn resolved(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        found: Result<Vec<SocketAddr>, String>,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, |connection, cx| connection.on_resolved(found, cx))
            .ok_or(UnknownConnection)
    }

    /// Tells that our network has changed, so that a connection (`None`: every one) finds out at
    /// once whether the peer still hears us, and it where we are now (row N17). Harmless if nothing
    /// has changed. To be called after the socket was replaced, if it was.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn network_changed(
        &mut self,
        now: Instant,
        connection: Option<ConnectionHandle>,
    ) -> Result<(), UnknownConnection> {
        if let Some(connection) = connection {
            return self
                .command(now, connection, Connection::network_changed)
                .ok_or(UnknownConnection);
        }
        self.tick(now);
        for slot in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            self.with(slot, Connection::network_changed);
        }
        Ok(())
    }

    /// Answers [`Event::ServerKey`]: the key is trusted, go on. To refuse it, [`kill`](Self::kill).
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn trust(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, Connection::trust).ok_or(UnknownConnection)
    }

    /// Opens a stream. Nothing is sent for it until there is data, so this costs no round trip; it
    /// may be done before the connection is ready (row T11).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        options: StreamOptions,
    ) -> Result<StreamId, OpenError> {
        self.command(now, connection, |connection, _| connection.open(options))
            .unwrap_or(Err(OpenError::UnknownConnection))
    }

    /// Hands in a message, or a chunk of a byte stream. It is kept, without a copy, until its fate
    /// is told by [`Event::Message`].
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken then.
    pub fn send(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        data: impl Into<Bytes>,
        options: SendOptions,
    ) -> Result<MessageToken, SendError> {
        self.hand_in(now, connection, |connection, cx| {
            connection.send(stream, data.into(), options, cx)
        })
        .unwrap_or(Err(SendError::UnknownConnection))
    }

    /// Takes the next message or chunk of a stream. After [`Event::Readable`], call it until it
    /// says that there is nothing: only then another event will come.
    ///
    /// A message may share its buffer with others, and of a large one the endpoint keeps a handle,
    /// to use the buffer again once the user has dropped theirs. So `Bytes::try_into_mut` on it is
    /// not to be counted on; who wants to change a message copies it.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub fn receive(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Result<ReceiveResult, ReceiveError> {
        let result = self
            .take_out(now, connection, |connection| connection.receive(stream))
            .unwrap_or(Err(ReceiveError::UnknownConnection));
        // A chunk of a byte stream is part of a segment, of which the rest is still to be used.
        if let Ok(ReceiveResult::Data(message)) = &result
            && stream.order() != Order::Bytes
        {
            self.recycler.on_taken(message);
        }
        result
    }

    /// Hands in all messages of a batch, or none: as [`send`](Self::send) with
    /// [`SendOptions::default`] for each, but with one call. The batch is empty afterwards. Returns
    /// the messages' tokens, which follow each other.
    ///
    /// For many small messages this is several times cheaper than a call for each; one of kilobytes
    /// is better handed to [`send`](Self::send), which copies nothing. Of a byte stream each
    /// message is a chunk.
    ///
    /// # Errors
    /// See [`SendError`]; no message was taken then, and the batch is as it was.
    pub fn send_batch(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        batch: &mut Batch,
    ) -> Result<Range<MessageToken>, SendError> {
        self.hand_in(now, connection, |connection, cx| connection.send_batch(stream, batch, cx))
            .unwrap_or(Err(SendError::UnknownConnection))
    }

    /// Appends the messages of a stream that are there to a batch, until that has about 64 KiB: as
    /// [`receive`](Self::receive) for each, but with one call, and copied. After
    /// [`Event::Readable`], call it until it says that there is nothing. Of a byte stream each
    /// chunk is a message.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub fn receive_batch(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        batch: &mut Batch,
    ) -> Result<BatchResult, ReceiveError> {
        self.take_out(now, connection, |connection| connection.receive_batch(stream, batch))
            .unwrap_or(Err(ReceiveError::UnknownConnection))
    }

    /// Says that we send no more on a stream; what was handed in still goes out.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn finish(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Result<(), StreamError> {
        self.command(now, connection, |connection, _| connection.finish(stream))
            .unwrap_or(Err(StreamError::UnknownConnection))
    }

    /// Ends our half of a stream here and now; what is not acknowledged is dropped, and reported.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn close_stream(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        code: Code,
    ) -> Result<(), StreamError> {
        self.command(now, connection, |connection, cx| connection.close_stream(stream, code, cx))
            .unwrap_or(Err(StreamError::UnknownConnection))
    }

    /// Tells the peer to send no more on a stream; what still comes is dropped.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn stop(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        code: Code,
    ) -> Result<(), StreamError> {
        self.command(now, connection, |connection, _| connection.stop_stream(stream, code))
            .unwrap_or(Err(StreamError::UnknownConnection))
    }

    /// Whether a stream is open, or has something that was not received yet: from when it was
    /// opened here, or first heard of, until both halves are done and the user knows.
    pub fn has_stream(&self, connection: ConnectionHandle, stream: StreamId) -> bool {
        self.connection(connection).is_some_and(|connection| connection.has_stream(stream))
    }

    /// Changes a stream's priority, 0 (most urgent) to 7 (row T47).
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn set_priority(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        priority: u8,
    ) -> Result<(), StreamError> {
        self.command(now, connection, |connection, _| connection.set_priority(stream, priority))
            .unwrap_or(Err(StreamError::UnknownConnection))
    }

    /// Ends a connection in order: what was handed in is delivered first, for at most `grace`; what
    /// was not is reported. A grace of zero ends it at once (row T25). The text is cut to 255
    /// bytes.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn close(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        grace: Duration,
        code: Code,
        reason: &str,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, |connection, cx| connection.close(grace, code, reason, cx))
            .ok_or(UnknownConnection)
    }

    /// Frees a connection at once and in silence, what is unread included (row T25).
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn kill(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, Connection::kill).ok_or(UnknownConnection)
    }

    /// Where a connection stands; `None` if it is gone.
    pub fn state(&self, connection: ConnectionHandle) -> Option<State> {
        self.connection(connection).map(Connection::state)
    }

    /// The counters of a connection; `None` if it is gone.
    pub fn connection_stats(&self, connection: ConnectionHandle) -> Option<ConnectionStats> {
        self.connection(connection).map(Connection::stats)
    }

    /// The counters of the endpoint.
    pub fn stats(&self) -> EndpointStats {
        EndpointStats { datagrams_waiting: self.shared.waiting(), ..self.stats }
    }

    /// How many connections there are, those included that are closing or hold unread data.
    pub fn connections(&self) -> usize {
        usize::try_from(self.live).unwrap_or(usize::MAX)
    }

    /// How many clients a server has answered or is about to, and remembers for at most 30 s
    /// (R-HAND-2); 0 for a client.
    pub fn half_opens(&self) -> usize {
        self.half_opens.len()
    }

    /// The peer's address; `None` if the connection is gone.
    pub fn remote(&self, connection: ConnectionHandle) -> Option<SocketAddr> {
        self.connection(connection).map(|connection| connection.remote().remote)
    }

    /// The identity that the peer proved; `None` if it has none, or the connection is gone.
    pub fn peer(&self, connection: ConnectionHandle) -> Option<PublicKey> {
        self.connection(connection)?.peer()
    }

    /// The largest message that surely fits one datagram (row T35), in bytes; `None` if the
    /// connection is gone.
    pub fn umtu(&self, connection: ConnectionHandle) -> Option<usize> {
        self.connection(connection).map(Connection::umtu)
    }

    /// Tells what the path is said to carry, in bytes of UDP payload: by an ICMP message, or by the
    /// system that refused a datagram. It is tried out, never believed, and never goes below 1,200
    /// bytes (R-MTU-1).
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn mtu_hint(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        bytes: u16,
    ) -> Result<(), UnknownConnection> {
        self.command(now, connection, |connection, cx| connection.mtu_hint(bytes, cx))
            .ok_or(UnknownConnection)
    }

    /// Calls `act` with the connection that a handle names.
    pub(super) fn command<R>(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        self.tick(now);
        self.connection(handle)?;
        self.with(handle.slot, act)
    }

    /// The same where `act` hands something in for a stream, and changes nothing that concerns
    /// others than the connection.
    fn hand_in<R>(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        act: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        self.tick(now);
        self.connection(handle)?;
        self.with_writer(handle.slot, act)
    }

    /// The same where `act` takes something out, and says whether that may have given the
    /// connection something to do.
    fn take_out<R>(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        act: impl FnOnce(&mut Connection) -> (R, bool),
    ) -> Option<R> {
        self.tick(now);
        self.connection(handle)?;
        self.with_reader(handle.slot, act)
    }
}
