//! One end of a transfer over quinn-proto: an endpoint with its one connection, virtual time in and
//! out, and the application that sends or takes as fast as it can.

use super::{CHUNK, NAME, SEGMENTS};
use crate::engine::{Engine, Progress, Task};
use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint, Event,
    FinishError, ReadError, StreamEvent, StreamId, WriteError,
};
use std::collections::VecDeque;
use std::time;
use tripline_sansio::{Ecn, Instant, Path, Transmit};

/// What an end has to do.
pub(super) enum Role {
    /// Connects and sends.
    Sender {
        client: ClientConfig,
        to: Task,
        /// Bytes that the connection has not taken yet.
        left: u64,
        stream: Option<StreamId>,
    },
    /// Takes all that comes.
    Receiver,
}

/// An endpoint with its one connection, and the application on it.
pub(super) struct End {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    role: Role,
    /// What virtual time zero is called in quinn's clock.
    zero: time::Instant,
    /// What the endpoint itself has to send, with its bytes.
    answers: VecDeque<(quinn_proto::Transmit, Vec<u8>)>,
    scratch: Vec<u8>,
    /// Read ahead: asking quinn needs more rights than the contract gives.
    deadline: Option<Instant>,
    chunk: Bytes,
    progress: Progress,
}

impl End {
    /// Nothing happens before it is begun.
    pub(super) fn new(endpoint: Endpoint, role: Role) -> Self {
        Self {
            endpoint,
            connection: None,
            role,
            zero: time::Instant::now(),
            answers: VecDeque::new(),
            scratch: Vec::new(),
            deadline: None,
            chunk: Bytes::from_static(&[0x5a; CHUNK]),
            progress: Progress::default(),
        }
    }

    /// Virtual time as quinn wants it.
    fn std(&self, now: Instant) -> time::Instant {
        self.zero + (now - Instant::ZERO)
    }

    /// Notes why it cannot go on; the first reason counts.
    fn fail(&mut self, why: impl std::fmt::Debug) {
        self.progress.failed.get_or_insert_with(|| format!("{why:?}"));
    }

    /// After every call: carries events between connection and endpoint, and reads the deadline.
    fn settle(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(answer);
            }
        }
        let deadline = connection.poll_timeout();
        self.deadline = deadline.map(|at| Instant::ZERO + at.saturating_duration_since(self.zero));
    }

    fn on_datagram_event(&mut self, now: time::Instant, event: DatagramEvent) {
        match event {
            DatagramEvent::ConnectionEvent(_, event) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            DatagramEvent::NewConnection(incoming) if self.connection.is_none() => {
                let mut answer = Vec::new();
                match self.endpoint.accept(incoming, now, &mut answer, None) {
                    Ok(accepted) => self.connection = Some(accepted),
                    Err(error) => self.fail(error.cause),
                }
            }
            DatagramEvent::NewConnection(incoming) => self.endpoint.ignore(incoming),
            DatagramEvent::Response(transmit) => {
                let bytes = self.scratch[..transmit.size].to_vec();
                self.answers.push_back((transmit, bytes));
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => {
                self.progress.connected_at = Some(now);
                self.pump();
            }
            Event::Stream(StreamEvent::Writable { .. }) => self.pump(),
            Event::Stream(StreamEvent::Readable { id }) => self.take(now, id),
            Event::Stream(StreamEvent::Opened { dir }) => {
                while let Some(id) =
                    self.connection.as_mut().and_then(|(_, one)| one.streams().accept(dir))
                {
                    self.take(now, id);
                }
            }
            Event::ConnectionLost { reason } => self.fail(reason),
            _ => {}
        }
    }

    /// Writes as much as is taken, and finishes the stream behind the last byte.
    fn pump(&mut self) {
        let Err(error) = self.try_pump() else { return };
        self.fail(error);
    }

    fn try_pump(&mut self) -> Result<(), String> {
        let Some((_, connection)) = &mut self.connection else { return Ok(()) };
        let Role::Sender { left, stream, .. } = &mut self.role else { return Ok(()) };
        let id = match *stream {
            Some(id) => id,
            None => {
                let id = connection.streams().open(Dir::Uni).ok_or("no stream to open")?;
                *stream.insert(id)
            }
        };
        if *left == 0 {
            return Ok(());
        }
        let mut sending = connection.send_stream(id);
        while *left > 0 {
            let size = CHUNK.min(usize::try_from(*left).unwrap_or(usize::MAX));
            match sending.write_chunks(&mut [self.chunk.slice(..size)]) {
                Ok(written) => {
                    *left -= written.bytes as u64;
                    self.progress.payload += written.bytes as u64;
                }
                Err(WriteError::Blocked) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
        sending.finish().map_err(|error: FinishError| error.to_string())
    }

    /// Takes what a stream has to give.
    fn take(&mut self, now: Instant, id: StreamId) {
        let Some((_, connection)) = &mut self.connection else { return };
        let mut receiving = connection.recv_stream(id);
        // One that was read to its end is not there any more.
        let Ok(mut chunks) = receiving.read(true) else { return };
        let failure = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => self.progress.payload += chunk.bytes.len() as u64,
                Ok(None) => {
                    self.progress.finished_at = Some(now);
                    break None;
                }
                Err(ReadError::Blocked) => break None,
                Err(error) => break Some(error),
            }
        };
        // Whether there is something to send now shows when the connection is asked next.
        let _ = chunks.finalize();
        if let Some(error) = failure {
            self.fail(error);
        }
    }
}

impl Engine for End {
    fn begin(&mut self, now: Instant) {
        let std = self.std(now);
        let Role::Sender { client, to, .. } = &self.role else { return };
        match self.endpoint.connect(std, client.clone(), to.receiver, NAME) {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => self.fail(error),
        }
        self.settle();
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        let (std, ecn, data) = (self.std(now), to_quinn(ecn), BytesMut::from(&*datagram));
        self.scratch.clear();
        let event =
            self.endpoint.handle(std, path.remote, path.local, ecn, data, &mut self.scratch);
        if let Some(event) = event {
            self.on_datagram_event(std, event);
        }
        self.settle();
    }

    fn handle_timeout(&mut self, now: Instant) {
        let std = self.std(now);
        if let Some((_, connection)) = &mut self.connection {
            connection.handle_timeout(std);
        }
        self.settle();
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((transmit, bytes)) = self.answers.pop_front() {
            out.extend_from_slice(&bytes);
            return Some(from_quinn(&transmit));
        }
        let std = self.std(now);
        let (_, connection) = self.connection.as_mut()?;
        self.scratch.clear();
        let transmit = connection.poll_transmit(std, SEGMENTS, &mut self.scratch);
        self.settle();
        let transmit = transmit?;
        out.extend_from_slice(&self.scratch[..transmit.size]);
        Some(from_quinn(&transmit))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn work(&mut self, now: Instant) -> bool {
        let mut worked = false;
        while let Some(event) = self.connection.as_mut().and_then(|(_, one)| one.poll()) {
            self.on_event(now, event);
            worked = true;
        }
        // quinn leaves timers due that were set while it sent; its own loop serves them next.
        if self.deadline.is_some_and(|at| at <= now) {
            self.handle_timeout(now);
            worked |= self.deadline.is_none_or(|at| at > now);
        }
        if worked {
            self.settle();
        }
        worked
    }

    fn progress(&self) -> Progress {
        let lost = self.connection.as_ref().map(|(_, one)| one.stats().path.lost_packets);
        Progress { declared_lost: lost.unwrap_or(0), ..self.progress.clone() }
    }
}

fn from_quinn(transmit: &quinn_proto::Transmit) -> Transmit {
    let ecn = match transmit.ecn {
        None => Ecn::NotEct,
        Some(EcnCodepoint::Ect0) => Ecn::Ect0,
        Some(EcnCodepoint::Ect1) => Ecn::Ect1,
        Some(EcnCodepoint::Ce) => Ecn::Ce,
    };
    Transmit {
        path: Path { remote: transmit.destination, local: transmit.src_ip },
        ecn,
        len: transmit.size,
        segment_size: transmit.segment_size.unwrap_or(transmit.size),
    }
}

fn to_quinn(ecn: Ecn) -> Option<EcnCodepoint> {
    match ecn {
        Ecn::NotEct => None,
        Ecn::Ect0 => Some(EcnCodepoint::Ect0),
        Ecn::Ect1 => Some(EcnCodepoint::Ect1),
        Ecn::Ce => Some(EcnCodepoint::Ce),
    }
}
