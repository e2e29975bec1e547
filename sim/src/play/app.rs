//! The scripted applications: what they still have to send, and how they read.
//!
//! In go steps, timers and events; out come calls to endpoints, each told to the model.

use super::Deeds;
use super::fault::{Fault, Verdict, ensure};
use super::pact::{Pact, Phase};
use super::player::{Place, Player, Task};
use crate::scenario::Reading;
use std::collections::VecDeque;
use tripline::{
    Batch, BatchResult, Code, ConnectionHandle, Direction, Endpoint, Event, Order, ReceiveError,
    ReceiveResult, SendError, SendOptions, StreamError, StreamId,
};
use tripline_sansio::{Duration, Instant};

/// A host that reads at a rate does so this often.
const READ_EVERY: Duration = Duration::from_millis(20);

/// Messages to be sent on one half.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) bytes: usize,
    /// How many are still to be sent, those that are due included.
    pub(super) left: u64,
    /// How many may be sent now.
    pub(super) due: u64,
    pub(super) every: Option<Duration>,
    pub(super) options: SendOptions,
}

/// What an application still has to send on one half of a stream.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) jobs: Vec<Job>,
    /// Finish it behind the jobs.
    pub(super) finish: bool,
}

/// How many messages go with a call at the most, on halves where several do.
const BATCH: u64 = 20;

/// What became of messages that were to be handed in.
enum Said {
    /// So many were taken.
    Taken(u64),
    /// Not now.
    Blocked,
    /// Neither it nor any other of its kind.
    Never,
}

/// An application's hand on one half.
struct Hand<'a> {
    model: &'a mut Pact,
    deeds: &'a mut Deeds,
    stream: usize,
    side: usize,
    /// The longest message that the peer takes.
    longest: u64,
}

/// How an application takes what is there: by itself, or many messages with a call.
#[derive(Default)]
struct Taking {
    batched: bool,
    taken: VecDeque<Vec<u8>>,
}

impl Taking {
    fn next(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        handle: ConnectionHandle,
        id: StreamId,
    ) -> Result<ReceiveResult, ReceiveError> {
        if !self.batched {
            return endpoint.receive(now, handle, id);
        }
        if self.taken.is_empty() {
            let mut batch = Batch::new();
            match endpoint.receive_batch(now, handle, id, &mut batch)? {
                BatchResult::Messages(_) => self.taken.extend(batch.iter().map(<[u8]>::to_vec)),
                BatchResult::Nothing => {}
                BatchResult::Finished => return Ok(ReceiveResult::Finished),
                BatchResult::Closed(code) => return Ok(ReceiveResult::Closed(code)),
            }
        }
        let next = self.taken.pop_front();
        Ok(next.map_or(ReceiveResult::Nothing, |one| ReceiveResult::Data(one.into())))
    }
}

impl Hand<'_> {
    /// Hands in the next message of a job, or several with one call.
    fn send(
        &mut self,
        endpoint: &mut Endpoint,
        (now, handle): (Instant, ConnectionHandle),
        job: &mut Job,
    ) -> Verdict<Said> {
        let Self { model, deeds, stream, side, longest } = self;
        let leaving = model.excuses.closing;
        let known = &mut model.streams[*stream];
        let (id, may_be_gone) = (known.id, known.may_be_gone(*side));
        let Some(half) = known.sending(*side).filter(|half| !half.blocked) else {
            return Ok(Said::Blocked);
        };
        let batched = half.goes_by_batches() && job.options == SendOptions::default();
        let count = if batched { job.due.min(BATCH) } else { 1 };
        let tokens = if count == 1 {
            let message = half.next_message(job.bytes, 0);
            let token = endpoint.send(now, handle, id, message, job.options);
            token.map(|token| token.number()..token.number() + 1)
        } else {
            let mut batch = Batch::new();
            (0..count).for_each(|before| batch.push(&half.next_message(job.bytes, before)));
            let tokens = endpoint.send_batch(now, handle, id, &mut batch);
            tokens.map(|tokens| tokens.start.number()..tokens.end.number())
        };
        match tokens {
            Ok(tokens) => {
                half.on_call(job.bytes as u64 * count);
                for token in tokens {
                    model.on_token(*side, *stream, token)?;
                    if let Some(half) = model.streams[*stream].sending(*side) {
                        half.on_sent(job.bytes, job.options, job.bytes as u64 <= *longest)?;
                    }
                }
                deeds.sent += count;
                deeds.sent_bytes += job.bytes as u64 * count;
                job.due -= count;
                job.left -= count;
                Ok(Said::Taken(count))
            }
            // Its clock has jumped, and what happened to the connection is told in a moment.
            Err(SendError::UnknownConnection) => Ok(Said::Blocked),
            Err(SendError::Blocked) => {
                half.blocked = true;
                Ok(Said::Blocked)
            }
            Err(SendError::Finished) => {
                // Perhaps the peer's wish is known, and not told yet.
                let ended = half.has_ended() || half.stop.is_some() || leaving;
                ensure(ended, "T44", || "refused before the end".into())?;
                Ok(Said::Never)
            }
            Err(SendError::UnknownStream) => {
                ensure(may_be_gone, "M03", || format!("{id} is gone too soon"))?;
                Ok(Said::Never)
            }
            // Longer than the peer takes, or the connection is being closed.
            Err(SendError::TooLarge { .. } | SendError::Closing) => {
                deeds.passed_over += 1;
                Ok(Said::Never)
            }
            Err(error) => Err(Fault::new("T44", format!("send: {error}"))),
        }
    }
}

impl Player<'_> {
    /// A host has slept: its applications go on.
    pub(super) fn go_on(&mut self, host: usize) -> Verdict {
        for pact in 0..self.pacts.len() {
            for side in [0, 1] {
                let streams = self.pacts[pact].streams.len();
                if self.pacts[pact].ends[side].host == host {
                    for stream in 0..streams {
                        self.push(Place { pact, stream, side })?;
                    }
                }
            }
        }
        match self.actors[host].reading {
            Reading::All => self.read_all(host),
            _ => Ok(()),
        }
    }

    /// Gives a half something to send.
    pub(super) fn add_job(&mut self, place: Place, job: Job) -> Verdict {
        let outbox = &mut self.outboxes[place.pact][place.stream][place.side];
        outbox.jobs.push(job);
        let number = outbox.jobs.len() - 1;
        if let Some(every) = job.every
            && job.left > job.due
        {
            self.agenda.push(self.world.now() + every, Task::Job(place, number));
        }
        self.push(place)
    }

    /// The next message of a job is due.
    pub(super) fn tick(&mut self, place: Place, number: usize) -> Verdict {
        let outbox = &mut self.outboxes[place.pact][place.stream][place.side];
        let Some(job) = outbox.jobs.get_mut(number) else { return Ok(()) };
        job.due = (job.due + 1).min(job.left);
        if let Some(every) = job.every
            && job.left > job.due
        {
            self.agenda.push(self.world.now() + every, Task::Job(place, number));
        }
        self.push(place)
    }

    /// Sends what is due on a half, as far as it is taken.
    pub(super) fn push(&mut self, place: Place) -> Verdict {
        let Place { pact, stream, side } = place;
        let end = &self.pacts[pact].ends[side];
        let Some(handle) = end.handle.filter(|_| end.is_live()) else { return Ok(()) };
        let host = self.actors[end.host].id;
        // Nobody works while the host sleeps.
        if self.world.is_asleep(host) {
            return Ok(());
        }
        let peer = &self.actors[self.pacts[pact].ends[1 - side].host];
        let is_stream = self.pacts[pact].streams[stream].id.order() == Order::Bytes;
        let longest = if is_stream { u64::MAX } else { peer.message_max };
        let model = &mut self.pacts[pact];
        let mut hand = Hand { model, deeds: &mut self.deeds, stream, side, longest };
        let jobs = &mut self.outboxes[pact][stream][side].jobs;
        let watched = self.onlooker.is_some();
        let mut taken: Vec<u64> = Vec::new();
        let result = self.world.with(host, |endpoint, now| -> Verdict {
            for job in jobs {
                while job.due > 0 {
                    match hand.send(endpoint, (now, handle), job)? {
                        Said::Taken(count) if watched => {
                            taken.extend((0..count).map(|_| job.bytes as u64));
                        }
                        Said::Taken(_) => {}
                        Said::Blocked => return Ok(()),
                        Said::Never => (job.due, job.left) = (0, 0),
                    }
                }
            }
            Ok(())
        });
        result.map_err(|fault| fault.about(format_args!("{}", self.pacts[pact].name)))?;
        if let Some(onlooker) = &self.onlooker {
            let (now, id) = (self.world.now(), self.pacts[pact].streams[stream].id);
            for bytes in taken {
                let end = self.name_end((pact, side));
                onlooker.borrow_mut().on_message(now, end, id, true, bytes);
            }
        }
        self.finish_if_done(place)
    }

    /// Finishes a half whose jobs are done, if it is to be finished.
    fn finish_if_done(&mut self, place: Place) -> Verdict {
        let outbox = &mut self.outboxes[place.pact][place.stream][place.side];
        let done = outbox.jobs.iter().all(|job| job.left == 0);
        if done && std::mem::take(&mut outbox.finish) {
            return self.end_half(place, None);
        }
        Ok(())
    }

    /// Finishes a half when its jobs are done.
    pub(super) fn finish(&mut self, place: Place) -> Verdict {
        self.outboxes[place.pact][place.stream][place.side].finish = true;
        self.finish_if_done(place)
    }

    /// Ends a half: with a code early, without one behind what was sent.
    pub(super) fn end_half(&mut self, place: Place, code: Option<Code>) -> Verdict {
        let Place { pact, stream, side } = place;
        let known = &mut self.pacts[pact].streams[stream];
        if known.sending(side).is_none_or(|half| half.has_ended()) || !known.is_known(side) {
            return Ok(());
        }
        let (id, may_be_gone) = (known.id, known.may_be_gone(side));
        let done = self.call((pact, side), |endpoint, now, handle| match code {
            None => endpoint.finish(now, handle, id),
            Some(code) => endpoint.close_stream(now, handle, id, code),
        });
        let Some(done) = done else { return Ok(()) };
        let Some(half) = self.pacts[pact].streams[stream].sending(side) else { return Ok(()) };
        match done {
            Ok(()) => {
                half.finished = code.is_none();
                half.closed = code;
                half.blocked = false;
            }
            Err(StreamError::UnknownStream) => {
                ensure(may_be_gone, "M03", || format!("{id} is gone too soon"))?;
            }
            // What happened to the connection is told in a moment.
            Err(StreamError::UnknownConnection) if self.is_over((pact, side)) => {}
            Err(error) => return Err(Fault::new("M03", format!("{id}: {error}"))),
        }
        for job in &mut self.outboxes[pact][stream][side].jobs {
            (job.left, job.due) = (0, 0);
        }
        Ok(())
    }

    /// A host that reads at a rate may read again.
    pub(super) fn read_on(&mut self, host: usize) -> Verdict {
        let Reading::Rate(rate) = self.actors[host].reading else { return Ok(()) };
        let share = rate.saturating_mul(READ_EVERY.as_millis() as u64) / 1_000;
        // What was not used is not saved up, but for one large message.
        let most = share.saturating_mul(4).max(100_000);
        let actor = &mut self.actors[host];
        actor.allowance = (actor.allowance + share.max(1)).min(most);
        self.agenda.push(self.world.now() + READ_EVERY, Task::Read(host));
        self.read_all(host)
    }

    /// Reads what is there at a host, as far as it may.
    pub(super) fn read_all(&mut self, host: usize) -> Verdict {
        // Reading begins no connections, so the list stays as it is.
        for at in 0..self.actors[host].pacts.len() {
            let pact = self.actors[host].pacts[at];
            let side = usize::from(self.pacts[pact].ends[1].host == host);
            for stream in 0..self.pacts[pact].streams.len() {
                let half = self.pacts[pact].streams[stream].receiving(side);
                if half.is_some_and(|half| half.readable) {
                    self.read(Place { pact, stream, side }, u64::MAX)?;
                }
            }
        }
        Ok(())
    }

    /// Takes up to `most` messages or chunks, and what the host's rate allows.
    pub(super) fn read(&mut self, place: Place, most: u64) -> Verdict {
        let Place { pact, stream, side } = place;
        let end = &self.pacts[pact].ends[side];
        let Some(handle) = end.handle.filter(|_| end.phase == Phase::Connected) else {
            return Ok(());
        };
        let host = end.host;
        let actor = &mut self.actors[host];
        if self.world.is_asleep(actor.id) {
            return Ok(());
        }
        let bounded = matches!(actor.reading, Reading::Rate(_));
        let leaving = self.pacts[pact].excuses.closing;
        let (model, deeds) = (&mut self.pacts[pact].streams[stream], &mut self.deeds);
        let id = model.id;
        // Onlookers and echoes alone ask for the single messages.
        let tells = self.onlooker.is_some() || super::stage::echoes(actor.spec);
        let mut got: Vec<usize> = Vec::new();
        let before = deeds.received;
        let batched = model.receiving(side).is_some_and(|half| half.goes_by_batches());
        let mut hearing =
            Taking { batched: batched && most == u64::MAX && !bounded, ..Taking::default() };
        let result = self.world.with(actor.id, |endpoint, now| -> Verdict<bool> {
            for _ in 0..most {
                if bounded && actor.allowance == 0 {
                    return Ok(false);
                }
                let taken = hearing.next(endpoint, now, handle, id);
                let may_be_gone = model.may_be_gone(side);
                let Some(half) = model.receiving(side) else { return Ok(false) };
                match taken {
                    Ok(ReceiveResult::Data(bytes)) => {
                        half.on_data(&bytes)?;
                        actor.allowance = actor.allowance.saturating_sub(bytes.len().max(1) as u64);
                        deeds.received += 1;
                        deeds.received_bytes += bytes.len() as u64;
                        if tells {
                            got.push(bytes.len());
                        }
                    }
                    Ok(ReceiveResult::Nothing) => {
                        half.readable = false;
                        return Ok(false);
                    }
                    Ok(end) => {
                        half.on_end(end, leaving)?;
                        return Ok(true);
                    }
                    Err(ReceiveError::UnknownStream) => {
                        ensure(may_be_gone, "M03", || "gone too soon".into())?;
                        half.readable = false;
                        return Ok(false);
                    }
                    Err(error) => return Err(Fault::new("M03", format!("receive: {error}"))),
                }
            }
            Ok(false)
        });
        let taken = deeds.received - before;
        self.pacts[pact].ends[side].got += taken;
        let name = &self.pacts[pact].name;
        let ended = result.map_err(|fault| fault.about(format_args!("{id} of {name}")))?;
        self.after_reading(place, &got, ended)
    }

    /// Tells onlookers, echoes, and ends the own half of a stream whose peer has ended his.
    fn after_reading(&mut self, place: Place, got: &[usize], ended: bool) -> Verdict {
        let Place { pact, stream, side } = place;
        let (id, opener) = {
            let model = &self.pacts[pact].streams[stream];
            (model.id, model.opener)
        };
        if let Some(onlooker) = &self.onlooker {
            let now = self.world.now();
            for bytes in got {
                let end = self.name_end((pact, side));
                onlooker.borrow_mut().on_message(now, end, id, false, *bytes as u64);
            }
        }
        let host = self.pacts[pact].ends[side].host;
        let answers = opener != side && id.direction() == Direction::TwoWay;
        if !answers {
            return Ok(());
        }
        if super::stage::echoes(self.actors[host].spec) {
            let jobs = &mut self.outboxes[pact][stream][side].jobs;
            got.iter().for_each(|bytes| send_back(jobs, *bytes));
            self.push(place)?;
        }
        if ended { self.finish(place) } else { Ok(()) }
    }

    /// What the application does about an event.
    pub(super) fn answer(&mut self, (pact, side): (usize, usize), event: &Event) -> Verdict {
        match event {
            Event::Connected { .. } => {
                if side == 0 {
                    self.deeds.connected += 1;
                }
                Ok(())
            }
            Event::Resolve { connection, host: name, .. } => {
                let host = self.pacts[pact].ends[side].host;
                let found = Ok(self.addresses_of(pact, name));
                // The connection may have ended meanwhile.
                self.world.with(self.actors[host].id, |endpoint, now| {
                    endpoint.resolved(now, *connection, found).ok()
                });
                Ok(())
            }
            // The judge has seen that it is the right one.
            Event::ServerKey { connection, .. } => {
                let host = self.pacts[pact].ends[side].host;
                self.world.with(self.actors[host].id, |endpoint, now| {
                    endpoint.trust(now, *connection).ok()
                });
                Ok(())
            }
            Event::Opened { stream, .. } => {
                let stream = self.pacts[pact].stream(*stream)?;
                // Somebody may have been told to send on it before it was known.
                self.push(Place { pact, stream, side })
            }
            Event::Readable { stream, .. } => {
                let stream = self.pacts[pact].stream(*stream)?;
                let host = self.pacts[pact].ends[side].host;
                match self.actors[host].reading {
                    Reading::Nothing => Ok(()),
                    _ => self.read(Place { pact, stream, side }, u64::MAX),
                }
            }
            Event::Writable { stream, .. } | Event::Stopped { stream, .. } => {
                let stream = self.pacts[pact].stream(*stream)?;
                self.push(Place { pact, stream, side })
            }
            _ => Ok(()),
        }
    }

    /// Options that a stream of this order takes.
    pub(super) fn options_for(order: Order, options: SendOptions) -> SendOptions {
        if order == Order::Bytes { SendOptions::default() } else { options }
    }
}

/// Adds a message of so many bytes to an echo's jobs. Timers know jobs by their places, so those
/// that are done are used again and never taken out.
fn send_back(jobs: &mut Vec<Job>, bytes: usize) {
    let one = Job { bytes, left: 1, due: 1, every: None, options: SendOptions::default() };
    let done = jobs.iter().all(|job| job.left == 0 && job.every.is_none());
    let echo = |job: &&mut Job| job.every.is_none() && job.options == SendOptions::default();
    match jobs.last_mut().filter(echo) {
        Some(job) if job.bytes == bytes => {
            job.left += 1;
            job.due += 1;
            return;
        }
        _ => {}
    }
    // Behind all that is still to be sent, so that answers come in the order of the questions.
    match jobs.first_mut() {
        Some(first) if done => *first = one,
        _ => jobs.push(one),
    }
}
