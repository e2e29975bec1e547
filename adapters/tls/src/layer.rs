//! One session of TLS, without I/O.

use crate::config::insecure;
use rustls::{Connection, Error, InvalidMessage};
use std::io::{Read, Write};
use tripline_sansio::{Duration, Instant, LinkError, StreamLayer};

/// The most bytes that are handed to rustls at once: what it buffers is bounded.
const BITE: usize = 16 << 10;

/// TLS around one link.
#[derive(Debug)]
pub struct TlsLayer {
    tls: Connection,
    /// Until when the handshake must be over; `None` once it is.
    deadline: Option<Instant>,
    timeout: Duration,
    /// The peer has said its goodbye.
    finished: bool,
    /// Bytes have come.
    heard: bool,
}

impl TlsLayer {
    pub(crate) fn new(mut tls: Connection, now: Instant, timeout: Duration) -> Self {
        // What waits is bounded by whoever hands it in.
        tls.set_buffer_limit(None);
        let deadline = Some(now + timeout);
        Self { tls, deadline, timeout, finished: false, heard: false }
    }

    /// Takes some bytes, at most a [`BITE`].
    fn bite(&mut self, mut bytes: &[u8], above: &mut Vec<u8>) -> Result<(), LinkError> {
        while !bytes.is_empty() && !self.finished {
            // It reads from memory, and its buffer is emptied each time: nothing is left to fail.
            let took = self.tls.read_tls(&mut bytes).map_err(insecure)?;
            let state = self.tls.process_new_packets().map_err(explain)?;
            let plain = state.plaintext_bytes_to_read();
            let before = above.len();
            above.resize(before + plain, 0);
            self.tls.reader().read_exact(&mut above[before..]).map_err(insecure)?;
            self.finished = state.peer_has_closed();
            if took == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What went wrong, in words for whoever has to find the cause.
fn explain(error: Error) -> LinkError {
    match error {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => insecure("the other side does not speak TLS"),
        Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => insecure("the other side speaks TLS, but not trip/1"),
        error => insecure(error),
    }
}

impl StreamLayer for TlsLayer {
    type Error = LinkError;

    fn handle_bytes(
        &mut self,
        _: Instant,
        bytes: &[u8],
        above: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        self.heard |= !bytes.is_empty();
        for bite in bytes.chunks(BITE) {
            self.bite(bite, above)?;
        }
        if !self.tls.is_handshaking() {
            self.deadline = None;
        }
        Ok(())
    }

    /// An end without a goodbye may be an attacker's: it is an error.
    fn handle_eof(&mut self, _: Instant) -> Result<(), LinkError> {
        match (self.finished, self.tls.is_handshaking()) {
            (true, _) => Ok(()),
            (false, true) => Err(insecure("the other side hung up during the TLS handshake")),
            (false, false) => Err(insecure("cut off: the link ended without a goodbye of TLS")),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        self.deadline = None;
        let what = if self.heard { "did not finish the TLS handshake" } else { "says nothing" };
        Err(insecure(format_args!("the other side {what} within {:?}", self.timeout)))
    }

    fn is_open(&self) -> bool {
        !self.tls.is_handshaking()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.tls.writer().write_all(bytes).map_err(insecure)
    }

    fn finish(&mut self) {
        self.tls.send_close_notify();
    }

    fn poll_write(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        while self.tls.wants_write() {
            // Into memory: it cannot fail.
            if self.tls.write_tls(out).is_err() {
                break;
            }
        }
        out.len() > before
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}
