//! What the user can tell a node to do.

use super::client::{Client, ClientOptions, Stage};
use super::conn::{Conn, Line};
use super::event::{ConnId, NodeEvent};
use super::life::End;
use super::{Node, Shutting};
use crate::address::{Address, Scheme};
use crate::config::{CallOptions, NotifyOptions};
use crate::event::{CallId, RequestId};
use crate::method::MethodRef;
use crate::outcome::{AnswerError, AskError, Refusal};
use crate::payload::Payload;
use crate::peer::Peer;
use crate::slots::Key;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use tripline_sansio::{Duration, Instant, Wish};

/// The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownConn;

impl fmt::Display for UnknownConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is over")
    }
}

impl core::error::Error for UnknownConn {}

/// What the system says of our network (row N17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NetworkKind {
    /// There is none: attempts wait until there is.
    None,
    /// Wi-Fi.
    Wifi,
    /// A mobile network.
    Cellular,
    /// Some other.
    Other,
}

impl Node {
    /// Begins a connection, which lives on over its reconnections. There will be one
    /// [`Finalised`](super::NodeEvent::Finalised) for it.
    ///
    /// Calls may be made at once: they go out when there is a pipe.
    pub fn connect(&mut self, now: Instant, address: Address, options: ClientOptions) -> ConnId {
        let now = self.tick(now);
        let session = self.new_session();
        let config = options.config.clone().unwrap_or_else(|| self.config.peer.clone());
        let client = Client::new(now, address, options);
        let key = self.conns.insert(Conn::new(Peer::caller(config, session), Some(client), None));
        if self.shutting == Shutting::No {
            self.attempt(key);
        } else {
            if let Some(client) = self.conns.get_mut(key).and_then(|conn| conn.client.as_mut()) {
                client.policy.reconnects = false;
            }
            self.went_down(key, End::Failed, String::from("we are shutting down"));
        }
        self.mark(key);
        ConnId(key)
    }

    /// Listens for clients; the number of the listener. [`Listening`](super::NodeEvent::Listening)
    /// or [`Deaf`](super::NodeEvent::Deaf) follows (row M02); over `trip+auto`, where two sockets
    /// have the one number, one of them for each. There is one UDP socket for TRiP and one for
    /// plain datagrams, each wished for when it is first needed: who wants it at another port is
    /// deaf.
    ///
    /// `None`: the address is a name, which nobody can listen at.
    pub fn listen(&mut self, address: &Address) -> Option<u64> {
        let socket = address.socket()?;
        let kind = address.scheme.link();
        Some(match address.scheme {
            Scheme::Trip => {
                let listener = self.hub.number();
                self.listen_udp(listener, socket);
                listener
            }
            Scheme::TripAuto | Scheme::TripTcp => {
                let link = self.hub.listen(kind, socket);
                self.trip_doors.insert(link);
                if address.scheme == Scheme::TripAuto {
                    self.listen_udp(link, socket);
                }
                link
            }
            Scheme::Udp => self.listen_box(socket),
            Scheme::Tcp | Scheme::Tls => {
                let link = self.hub.number();
                self.doors.insert(link, kind);
                self.wishes.push_back(Wish::Listen { link, kind, address: socket });
                link
            }
        })
    }

    fn listen_udp(&mut self, listener: u64, wanted: SocketAddr) {
        self.wish_for_udp(wanted);
        let told = self.udp_doors.ask(listener, wanted, self.udp_local);
        self.tell_udp_doors(told.into_iter().collect());
    }

    pub(super) fn tell_udp_doors(&mut self, told: Vec<NodeEvent>) {
        self.refuses_trip &= self.udp_doors.first().is_none();
        self.events.extend(told);
    }

    /// The loop has a UDP socket for TRiP already, which it has adopted under the number
    /// [`LinkHub::UDP`](tripline::LinkHub::UDP): none is wished for.
    pub fn adopt_udp(&mut self, local: SocketAddr) {
        (self.has_udp, self.udp_local) = (true, Some(local));
    }

    /// A listener that the loop has already, for links of bytes that are to carry frames: its
    /// number, by which it is to be adopted.
    pub fn adopt_listener(&mut self, kind: tripline_sansio::LinkKind) -> u64 {
        let link = self.hub.number();
        self.doors.insert(link, kind);
        link
    }

    /// Ends a listener; connections that it has brought stay (row M27).
    pub fn unlisten(&mut self, listener: u64) {
        if self.unlisten_box(listener) {
            return;
        }
        // The UDP socket serves connections that are there, and those of ours.
        if self.udp_doors.close(listener) {
            self.refuses_trip = self.udp_doors.first().is_none();
        }
        let is_link = self.doors.remove(&listener).is_some() | self.trip_doors.remove(&listener);
        if is_link {
            self.wishes.push_back(Wish::Close { link: listener });
        }
    }

    /// Answers [`Resolve`](super::NodeEvent::Resolve): the addresses, to be tried in turn, or why
    /// there are none.
    ///
    /// # Errors
    /// If the connection is over.
    pub fn resolved(
        &mut self,
        now: Instant,
        conn: ConnId,
        found: Result<Vec<SocketAddr>, String>,
    ) -> Result<(), UnknownConn> {
        let now = self.tick(now);
        let open = self.conns.get(conn.0).ok_or(UnknownConn)?;
        if let Line::Trip(line) = &open.line {
            let handle = line.handle;
            return self.hub.resolved(now, handle, found).map_err(|_| UnknownConn);
        }
        let waits = |client: &&Client| client.stage == Stage::Connecting;
        let Some(client) = open.client.as_ref().filter(waits) else { return Ok(()) };
        // A late answer: it has gone on.
        if !matches!(open.line, Line::None) || client.address.scheme.over().is_some() {
            return Ok(());
        }
        let kind = client.address.scheme.link();
        match found {
            Ok(addresses) => {
                let name = self.name_of(conn.0);
                self.open_line(conn.0, kind, addresses, name);
            }
            Err(why) => self.went_down(conn.0, End::Failed, why),
        }
        Ok(())
    }

    /// Answers [`ServerKey`](super::NodeEvent::ServerKey): the key is trusted.
    ///
    /// # Errors
    /// If the connection is over.
    pub fn trust(&mut self, now: Instant, conn: ConnId) -> Result<(), UnknownConn> {
        let now = self.tick(now);
        let open = self.conns.get(conn.0).ok_or(UnknownConn)?;
        let Line::Trip(line) = &open.line else { return Ok(()) };
        let handle = line.handle;
        self.hub.endpoint_mut().trust(now, handle).map_err(|_| UnknownConn)
    }

    /// Closes a connection in order: no new calls of the other side's are taken, what is under way
    /// on both sides has `grace` to be finished, then it ends. It is not brought back.
    ///
    /// # Errors
    /// If it is over.
    pub fn close(
        &mut self,
        now: Instant,
        conn: ConnId,
        grace: Duration,
    ) -> Result<(), UnknownConn> {
        let now = self.tick(now);
        let open = self.conns.get_mut(conn.0).ok_or(UnknownConn)?;
        // Said twice, it can only be sooner.
        if let Some(closing) = &mut open.closing {
            if now + grace < *closing {
                // Never at once: a turn lies between.
                let at = now + grace.max(Duration::from_nanos(1));
                (*closing, open.cut_at) = (at, Some(at));
            }
            self.mark(conn.0);
            return Ok(());
        }
        open.closing = Some(now + grace);
        open.peer.go_away(now, grace);
        if let Some(client) = &mut open.client {
            client.policy.reconnects = false;
        }
        if !open.is_open {
            self.drop_line(conn.0);
            self.went_down(conn.0, End::Closed { by_us: true }, String::from("closed by us"));
        }
        self.mark(conn.0);
        Ok(())
    }

    /// Ends everything in order (row N36): nobody new is let in, every connection is closed as by
    /// [`Self::close`], and then [`ShutDown`](super::NodeEvent::ShutDown) is told.
    pub fn shut_down(&mut self, now: Instant, grace: Duration) {
        let now = self.tick(now);
        match self.shutting {
            Shutting::No => self.shutting = Shutting::For(grace),
            // Said twice, it can only be sooner.
            Shutting::For(_) => {
                for key in self.conns.keys() {
                    let _ = self.close(now, ConnId(key), grace);
                }
                return;
            }
            Shutting::Told => return,
        }
        let doors: Vec<u64> = self.doors.keys().chain(&self.trip_doors).copied().collect();
        for listener in doors.into_iter().chain(self.boxes.doors.all()) {
            self.unlisten(listener);
        }
        for key in self.conns.keys() {
            // It is there.
            let _ = self.close(now, ConnId(key), grace);
        }
        // The transport's own way out knows nothing of calls that wait for their answer.
        self.hub.endpoint_mut().refuse_newcomers(now, "shutting down");
    }

    /// Throws the pipe of a connection of ours away, whatever its state, and connects anew at once
    /// (row N23).
    ///
    /// # Errors
    /// If it is over, was closed, or is not ours.
    pub fn reset(&mut self, now: Instant, conn: ConnId) -> Result<(), UnknownConn> {
        let now = self.tick(now);
        let open = self.conns.get(conn.0);
        let open = open.filter(|open| open.client.is_some() && open.closing.is_none());
        let is_up = open.ok_or(UnknownConn)?.is_open;
        self.drop_line(conn.0);
        if is_up {
            self.went_down(conn.0, End::Lost, String::from("reset by us"));
        }
        self.retry_in(now, conn, Duration::ZERO)
    }

    /// Says when a connection of ours is tried next: the answer to [`Failed`], [`Closed`] and
    /// [`Lost`], or to news of its own (row N18). It also brings back one that was to end, as long
    /// as [`Finalised`] was not told.
    ///
    /// [`Failed`]: super::NodeEvent::Failed
    /// [`Closed`]: super::NodeEvent::Closed
    /// [`Lost`]: super::NodeEvent::Lost
    /// [`Finalised`]: super::NodeEvent::Finalised
    ///
    /// # Errors
    /// If it is over, was closed, or is not ours.
    pub fn retry_in(
        &mut self,
        now: Instant,
        conn: ConnId,
        wait: Duration,
    ) -> Result<(), UnknownConn> {
        let now = self.tick(now);
        let open = self.conns.get_mut(conn.0).filter(|open| open.closing.is_none());
        let open = open.ok_or(UnknownConn)?;
        let client = open.client.as_mut().ok_or(UnknownConn)?;
        if open.is_open || !matches!(open.line, Line::None) {
            return Ok(());
        }
        client.stage = Stage::Waiting(now + wait);
        if wait.is_zero() {
            self.attempt(conn.0);
        }
        self.mark(conn.0);
        self.set_deadline(conn.0);
        Ok(())
    }

    /// Gives a connection of ours up, whatever its state: it ends, and is not tried again.
    ///
    /// # Errors
    /// If it is over.
    pub fn stop(&mut self, now: Instant, conn: ConnId) -> Result<(), UnknownConn> {
        self.close(now, conn, Duration::ZERO)
    }

    /// How long until a connection of ours is tried again; `None`: it does not wait for that.
    pub fn reconnect_wait(&self, conn: ConnId) -> Option<Duration> {
        match self.conns.get(conn.0)?.client.as_ref()?.stage {
            Stage::Waiting(at) => Some(at.saturating_duration_since(self.now)),
            _ => None,
        }
    }

    /// Our network has changed (rows N17, N22): connections find out at once whether they still
    /// get through, and those that wait are tried at once. To be called after the socket was
    /// replaced, if it was.
    pub fn network_changed(&mut self, now: Instant, kind: NetworkKind) {
        let now = self.tick(now);
        if kind == NetworkKind::None {
            return;
        }
        // It fails only for one connection that is gone.
        let _ = self.hub.endpoint_mut().network_changed(now, None);
        for key in self.conns.keys() {
            let conn = self.conns.get(key);
            let stage = conn.and_then(|conn| Some(conn.client.as_ref()?.stage));
            if matches!(stage, Some(Stage::Waiting(_))) {
                self.attempt(key);
                self.mark(key);
            }
        }
    }

    /// Sets an alarm of a connection (row N32), for a stream or whatever the user's number stands
    /// for: [`Alarm`](super::NodeEvent::Alarm) comes then, once. It dies with the connection. The
    /// same number again moves it.
    ///
    /// # Errors
    /// If the connection is over.
    pub fn set_alarm(
        &mut self,
        now: Instant,
        conn: ConnId,
        alarm: u64,
        wait: Duration,
    ) -> Result<(), UnknownConn> {
        let now = self.tick(now);
        self.conns.get(conn.0).ok_or(UnknownConn)?;
        // An alarm is never due at once: a turn lies between.
        let at = now + wait.max(Duration::from_nanos(1));
        self.alarms.set(conn.0, alarm, at);
        Ok(())
    }

    /// Stops an alarm. Returns whether there was one.
    pub fn stop_alarm(&mut self, conn: ConnId, alarm: u64) -> bool {
        self.alarms.stop(conn.0, alarm)
    }

    /// Asks, as [`Peer::call`].
    ///
    /// # Errors
    /// As there; *ended* if the connection is over.
    pub fn call<'a>(
        &mut self,
        now: Instant,
        conn: ConnId,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Payload<'a>>,
        options: CallOptions,
    ) -> Result<CallId, AskError> {
        self.with(now, conn, |peer, now| peer.call(now, method, payload, options))
            .unwrap_or(Err(AskError::Ended))
    }

    /// Says something that wants no answer, as [`Peer::notify`].
    ///
    /// # Errors
    /// As there; *ended* if the connection is over.
    pub fn notify<'a>(
        &mut self,
        now: Instant,
        conn: ConnId,
        method: impl Into<MethodRef<'a>>,
        payload: impl Into<Payload<'a>>,
        options: NotifyOptions,
    ) -> Result<(), AskError> {
        self.with(now, conn, |peer, now| peer.notify(now, method, payload, options))
            .unwrap_or(Err(AskError::Ended))
    }

    /// Calls a call off, as [`Peer::cancel`].
    pub fn cancel(&mut self, now: Instant, conn: ConnId, call: CallId) -> bool {
        self.with(now, conn, |peer, now| peer.cancel(now, call)).unwrap_or(false)
    }

    /// Answers a request, as [`Peer::reply`].
    ///
    /// # Errors
    /// As there; *unknown* if the connection is over.
    pub fn reply<'a>(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        payload: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.answer(now, conn, |peer, now| peer.reply(now, request, payload))
    }

    /// Answers with the application's *no*, as [`Peer::fail`].
    ///
    /// # Errors
    /// As there; *unknown* if the connection is over.
    pub fn fail<'a>(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        code: i32,
        detail: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.answer(now, conn, |peer, now| peer.fail(now, request, code, detail))
    }

    /// Does not take a request, as [`Peer::refuse`].
    ///
    /// # Errors
    /// As there; *unknown* if the connection is over.
    pub fn refuse<'a>(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        refusal: Refusal,
        detail: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.answer(now, conn, |peer, now| peer.refuse(now, request, refusal, detail))
    }

    /// Sends a part of a reply, as [`Peer::item`].
    ///
    /// # Errors
    /// As there; *unknown* if the connection is over.
    pub fn item<'a>(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        payload: impl Into<Payload<'a>>,
    ) -> Result<(), AnswerError> {
        self.answer(now, conn, |peer, now| peer.item(now, request, payload))
    }

    fn answer(
        &mut self,
        now: Instant,
        conn: ConnId,
        act: impl FnOnce(&mut Peer, Instant) -> Result<(), AnswerError>,
    ) -> Result<(), AnswerError> {
        self.with(now, conn, act).unwrap_or(Err(AnswerError::Unknown))
    }

    /// Uses the conversation of a connection: for all that has no command of its own here, as
    /// [`Peer::flush`] and [`Peer::consumed`]. `None` if the connection is over.
    ///
    /// Pipes are the node's to attach and detach.
    pub fn with<R>(
        &mut self,
        now: Instant,
        conn: ConnId,
        act: impl FnOnce(&mut Peer, Instant) -> R,
    ) -> Option<R> {
        let now = self.tick(now);
        let key: Key = conn.0;
        let open = self.conns.get_mut(key)?;
        let result = act(&mut open.peer, now);
        if !core::mem::replace(&mut open.is_dirty, true) {
            self.dirty.push_back(key);
        }
        Some(result)
    }
}
