//! `listen` and `connect`: standard input to one byte stream, the peer's to standard output.
//!
//! Each side opens a one-way stream for what it has to say, so either may speak first and either
//! may end first; the end of standard input ends that direction only.

use crate::args;
use crate::fail::{Fail, Result};
use crate::host::{Host, PIPE, PIPE_STREAM};
use crate::net::{Session, Step, closed, guarded, lost};
use crate::stdio::{Input, Sink, Source};
use bytes::Bytes;
use std::io::{self, Write};
use tripline::{ConnectionHandle, Event, ReceiveResult, SendError, SendOptions, StreamId};

/// `tripline listen`.
pub(crate) fn listen(args: &args::Listen, json: bool) -> Result {
    let host = if args.echo { Host::echo(PIPE) } else { Host::new(PIPE, 1) };
    let mut session = Session::server(&args.address, &args.server, host)?;
    announce(&session, json)?;
    guarded(&mut session, |session| {
        let connection = loop {
            if let Step::Event(Event::Connected { connection, .. }) = session.next(None)? {
                break connection;
            }
        };
        Pipe::new(session, connection)?.run()
    })
}

/// `tripline connect`.
pub(crate) fn connect(args: &args::Connect) -> Result {
    let mut session = Session::client(&args.remote, &args.client)?;
    let connection = session.connect(&args.remote, PIPE, args.client.timeout)?;
    guarded(&mut session, |session| Pipe::new(session, connection)?.run())
}

/// Says where we are, on standard error: standard output is for the data.
fn announce(session: &Session, json: bool) -> Result {
    let (key, address) = session.invitation()?;
    let line = if json {
        let address = address.to_string();
        serde_json::json!({"event": "listening", "key": key, "address": address}).to_string()
    } else {
        format!("listening on {key}@{address}")
    };
    writeln!(io::stderr(), "{line}")
        .map_err(|error| Fail::io("cannot write to standard error", &error))
}

/// Both directions of one connection.
struct Pipe<'a> {
    session: &'a mut Session,
    connection: ConnectionHandle,
    input: Source,
    output: Sink,
    /// Our stream.
    ours: StreamId,
    /// A chunk of ours that the engine had no room for.
    waiting: Option<Bytes>,
    /// Whether the engine has room.
    writable: bool,
    /// Standard input has ended.
    said_all: bool,
    /// The peer's stream, once it says something.
    theirs: Option<StreamId>,
    /// The peer's stream may have something.
    readable: bool,
    /// The peer has ended its stream.
    heard_all: bool,
    /// How the connection ended, if it did.
    ended: Option<Result>,
}

impl<'a> Pipe<'a> {
    fn new(session: &'a mut Session, connection: ConnectionHandle) -> Result<Self> {
        let ours = session.with(|endpoint, now| endpoint.open(now, connection, PIPE_STREAM));
        let ours =
            ours.map_err(|error| Fail::network(format_args!("cannot open a stream: {error}")))?;
        Ok(Self {
            input: Source::start(session.waker())?,
            output: Sink::start(session.waker())?,
            session,
            connection,
            ours,
            waiting: None,
            writable: true,
            said_all: false,
            theirs: None,
            readable: false,
            heard_all: false,
            ended: None,
        })
    }

    /// Carries both directions to their ends.
    fn run(mut self) -> Result {
        loop {
            self.say()?;
            self.hear()?;
            let written = self.output.is_idle() && self.output.has_room();
            if written && let Some(end) = self.ended.take_if(|_| !self.readable) {
                return end;
            }
            if written && self.said_all && self.heard_all && self.ended.is_none() {
                return self.session.close(self.connection);
            }
            if let Step::Event(event) = self.session.next(None)? {
                self.on(event);
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Opened { stream, .. } if self.theirs.is_none() => self.theirs = Some(stream),
            Event::Readable { stream, .. } if self.theirs == Some(stream) => self.readable = true,
            Event::Writable { stream, .. } if stream == self.ours => self.writable = true,
            Event::Closed { connection, code, reason, .. } if connection == self.connection => {
                self.ended = Some(closed(code, &reason));
            }
            Event::Lost { connection, cause } if connection == self.connection => {
                self.ended = Some(Err(lost(&cause)));
            }
            _ => {}
        }
    }

    /// From standard input to our stream, while there is room.
    fn say(&mut self) -> Result {
        let (connection, ours) = (self.connection, self.ours);
        while self.writable && !self.said_all && self.ended.is_none() {
            let chunk = match self.waiting.take() {
                Some(chunk) => chunk,
                None => match self.input.next()? {
                    Input::Chunk(chunk) => chunk,
                    Input::Nothing => break,
                    Input::End => {
                        self.said_all = true;
                        // If the stream is gone its connection is, and its event says why.
                        let _ = self.session.with(|end, now| end.finish(now, connection, ours));
                        break;
                    }
                },
            };
            let copy = chunk.clone();
            let options = SendOptions::default();
            match self.session.with(|end, now| end.send(now, connection, ours, copy, options)) {
                Ok(_) => {}
                Err(SendError::Blocked) => {
                    self.waiting = Some(chunk);
                    self.writable = false;
                }
                // The peer wants no more, or is leaving: what we have to say goes nowhere.
                Err(_) => self.said_all = true,
            }
        }
        Ok(())
    }

    /// From the peer's stream to standard output, while there is room.
    fn hear(&mut self) -> Result {
        self.output.poll()?;
        let Some(theirs) = self.theirs else { return Ok(()) };
        let connection = self.connection;
        while self.readable && self.output.has_room() {
            match self.session.with(|end, now| end.receive(now, connection, theirs)) {
                Ok(ReceiveResult::Data(chunk)) => self.output.push(chunk)?,
                Ok(ReceiveResult::Nothing) => self.readable = false,
                Ok(ReceiveResult::Finished | ReceiveResult::Closed(_)) | Err(_) => {
                    self.readable = false;
                    self.heard_all = true;
                }
            }
        }
        Ok(())
    }
}
