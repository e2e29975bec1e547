//! One link: a socket, perhaps a layer, and the bytes in between.

use crate::net::Wire;
use std::io;
use tripline_sansio::{Duration, Hub, Instant, LinkError, LinkFailure, LinkLayer};

/// Bytes of one read.
pub(crate) const CHUNK: usize = 64 << 10;
/// Reads of one turn, at most: no link keeps the others waiting.
pub(crate) const READS: usize = 4;
/// Rounds of writing in one drain, at most.
const WRITES: usize = 16;
/// How long an end may take to reach the other side.
const LINGER: Duration = Duration::from_secs(2);

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The connection has been begun, and must be there by then.
    Connecting(Instant),
    /// The layer is not open yet. It has a deadline of its own.
    Securing,
    /// Bytes flow.
    Open,
    /// The hub has done with it; what was written goes out, until then at the latest.
    Closing(Instant),
}

/// What a read has brought, beside bytes.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The link is open now; any bytes came after that.
    pub(crate) opened: bool,
    /// Nothing more will come; any bytes came before that.
    pub(crate) eof: bool,
    /// It has ended, behind any bytes: with an error, or as was wanted.
    pub(crate) over: Option<Option<LinkError>>,
    /// There may be more to read.
    pub(crate) more: bool,
}

impl Heard {
    fn over(error: impl Into<Option<LinkError>>) -> Self {
        Self { over: Some(error.into()), ..Self::default() }
    }
}

pub(crate) struct Line<W> {
    pub(crate) wire: W,
    layer: Option<LinkLayer>,
    pub(crate) stage: Stage,
    /// Bytes for the socket, and how many of them it has taken.
    out: Vec<u8>,
    done: usize,
    /// Nothing more will come.
    deaf: bool,
    /// Our direction has ended.
    finished: bool,
    /// The hub may have bytes.
    pub(crate) wanted: bool,
}

/// An error of the system, as hubs know errors.
pub(crate) fn failed(error: &io::Error, opening: bool) -> LinkError {
    use io::ErrorKind as Kind;
    let failure = match error.kind() {
        Kind::ConnectionRefused => LinkFailure::Refused,
        Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable => {
            LinkFailure::Unreachable
        }
        _ if opening => LinkFailure::Unavailable,
        _ => LinkFailure::Broken,
    };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    LinkError { failure, text }
}

impl<W: Wire> Line<W> {
    pub(crate) fn new(wire: W, layer: Option<LinkLayer>, stage: Stage) -> Self {
        Self {
            wire,
            layer,
            stage,
            out: Vec::new(),
            done: 0,
            deaf: false,
            finished: false,
            wanted: true,
        }
    }

    /// Whether the socket is to be watched for reading, and for writing.
    pub(crate) fn interest(&self) -> (bool, bool) {
        let connecting = matches!(self.stage, Stage::Connecting(_));
        (!connecting && !self.deaf, connecting || self.done < self.out.len())
    }

    /// When it must be looked at again at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Connecting(until) | Stage::Closing(until) => Some(until),
            Stage::Securing => self.layer.as_ref().and_then(|layer| layer.poll_timeout()),
            Stage::Open => None,
        }
    }

    /// The socket may have connected.
    pub(crate) fn connect(&mut self) -> Heard {
        match self.wire.is_connected() {
            Ok(false) => Heard::default(),
            Err(error) => Heard::over(failed(&error, true)),
            Ok(true) => {
                let stage = if self.layer.is_some() { Stage::Securing } else { Stage::Open };
                self.stage = stage;
                match self.flush() {
                    Err(error) => Heard::over(failed(&error, true)),
                    Ok(()) => Heard { opened: stage == Stage::Open, ..Heard::default() },
                }
            }
        }
    }

    /// Reads once and appends plain bytes to `plain`, which is empty; `chunk` is for its own use.
    pub(crate) fn read(&mut self, now: Instant, chunk: &mut Vec<u8>, plain: &mut Vec<u8>) -> Heard {
        if self.deaf {
            return Heard::default();
        }
        let secured = self.layer.is_some();
        let into = if secured { &mut *chunk } else { &mut *plain };
        into.resize(CHUNK, 0);
        let read = self.wire.read(into);
        into.truncate(*read.as_ref().unwrap_or(&0));
        let closing = matches!(self.stage, Stage::Closing(_));
        match read {
            Ok(0) => self.on_eof(now),
            Ok(_) if closing => {
                // Thrown away: what is left unread would turn our end into a reset.
                plain.clear();
                Heard { more: true, ..Heard::default() }
            }
            Ok(read) => {
                let more = read == CHUNK;
                Heard { more, ..self.on_bytes(now, chunk, plain) }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Heard { more: true, ..Heard::default() }
            }
            Err(error) => Heard::over((!closing).then(|| failed(&error, false))),
        }
    }

    /// Passes what was read through the layer, if there is one.
    fn on_bytes(&mut self, now: Instant, bytes: &[u8], plain: &mut Vec<u8>) -> Heard {
        let Some(layer) = &mut self.layer else { return Heard::default() };
        let result = layer.handle_bytes(now, bytes, plain);
        let (is_open, eof) = (layer.is_open(), layer.is_finished());
        // Even after an error: the peer is told why, if the socket takes it.
        let flushed = self.flush();
        let over = match (result, flushed) {
            (Err(error), _) => Some(Some(error)),
            (Ok(()), Err(error)) => Some(Some(failed(&error, false))),
            (Ok(()), Ok(())) => None,
        };
        let opened = is_open && self.stage == Stage::Securing;
        if opened {
            self.stage = Stage::Open;
        }
        self.deaf |= eof;
        Heard { opened, eof, over, more: false }
    }

    fn on_eof(&mut self, now: Instant) -> Heard {
        self.deaf = true;
        if let Stage::Closing(_) = self.stage {
            return if self.finished { Heard::over(None) } else { Heard::default() };
        }
        let told = self.layer.as_mut().map_or(Ok(()), |layer| layer.handle_eof(now));
        Heard { eof: true, over: told.err().map(Some), ..Heard::default() }
    }

    /// Its deadline has come, or may have; the end, if it is one.
    pub(crate) fn on_time(&mut self, now: Instant) -> Option<Option<LinkError>> {
        match self.stage {
            Stage::Connecting(until) if until <= now => {
                let text = String::from("in the time that was given");
                Some(Some(LinkError { failure: LinkFailure::Unreachable, text }))
            }
            Stage::Closing(until) if until <= now => Some(None),
            Stage::Securing => {
                let told = self.layer.as_mut().map_or(Ok(()), |layer| layer.handle_timeout(now));
                told.err().map(Some)
            }
            _ => None,
        }
    }

    /// Asks the hub for bytes until it has none or the socket takes no more. Says whether there may
    /// be more at once.
    pub(crate) fn write<H: Hub>(
        &mut self,
        now: Instant,
        hub: &mut H,
        link: u64,
        plain: &mut Vec<u8>,
    ) -> Result<bool, LinkError> {
        for _ in 0..WRITES {
            self.flush().map_err(|error| failed(&error, false))?;
            if self.stage != Stage::Open || self.done < self.out.len() {
                return Ok(false);
            }
            let into = if self.layer.is_some() { &mut *plain } else { &mut self.out };
            into.clear();
            if !hub.poll_write(now, link, into) {
                self.wanted = false;
                return Ok(false);
            }
            if let Some(layer) = &mut self.layer {
                layer.write(plain)?;
            }
        }
        Ok(true)
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        loop {
            if self.done >= self.out.len() {
                self.out.clear();
                self.done = 0;
                let some = self.layer.as_mut().is_some_and(|layer| layer.poll_write(&mut self.out));
                if !some {
                    break;
                }
            }
            match self.wire.write(self.out.get(self.done..).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.done += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if matches!(self.stage, Stage::Closing(_)) && !self.finished {
            self.finished = true;
            self.wire.finish()?;
        }
        Ok(())
    }

    /// The hub has done with it. Says whether it is over at once.
    pub(crate) fn close(&mut self, now: Instant) -> bool {
        if let Stage::Connecting(_) | Stage::Securing = self.stage {
            return true;
        }
        self.stage = Stage::Closing(now + LINGER);
        if let Some(layer) = &mut self.layer {
            layer.finish();
        }
        self.flush().is_err() || (self.finished && self.deaf)
    }
}
