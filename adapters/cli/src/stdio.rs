//! Standard input and output beside a loop that must not wait for them.
//!
//! One thread each, a few chunks between them and the loop, and a wake whenever one of them has
//! done something. Memory is bounded by the number of chunks.

use crate::fail::{Fail, Result};
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use tripline_std::Waker;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// How many chunks may wait between a thread and the loop.
const CHUNKS: usize = 8;

/// What standard input has.
#[derive(Debug)]
pub(crate) enum Input {
    /// These bytes come next.
    Chunk(Bytes),
    /// Nothing at present; a wake will tell.
    Nothing,
    /// Nothing any more.
    End,
}

/// Standard input.
#[derive(Debug)]
pub(crate) struct Source {
    chunks: Receiver<io::Result<Bytes>>,
}

impl Source {
    /// Begins to read.
    pub(crate) fn start(waker: Waker) -> Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS);
        let read = move || {
            let mut input = io::stdin();
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match input.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(length) => {
                        chunk.truncate(length);
                        // Short reads would otherwise hold 64 KiB each while they wait.
                        chunk.shrink_to_fit();
                        Ok(Bytes::from(chunk))
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    break;
                }
                waker.wake();
            }
            // The end shows once the sender is gone, and only then may the loop look.
            drop(sender);
            waker.wake();
        };
        spawn("input", read)?;
        Ok(Self { chunks })
    }

    /// What comes next.
    ///
    /// # Errors
    /// If standard input cannot be read.
    pub(crate) fn next(&self) -> Result<Input> {
        match self.chunks.try_recv() {
            Ok(Ok(chunk)) => Ok(Input::Chunk(chunk)),
            Ok(Err(error)) => Err(Fail::io("cannot read standard input", &error)),
            Err(TryRecvError::Empty) => Ok(Input::Nothing),
            Err(TryRecvError::Disconnected) => Ok(Input::End),
        }
    }
}

/// Standard output.
#[derive(Debug)]
pub(crate) struct Sink {
    /// `None` once nothing more will be written.
    chunks: Option<SyncSender<Bytes>>,
    /// A chunk that did not fit.
    waiting: Option<Bytes>,
    /// One answer for each chunk written, then silence.
    done: Receiver<io::Result<()>>,
    /// Chunks handed in and not yet written.
    under_way: usize,
}

impl Sink {
    /// Begins to write.
    pub(crate) fn start(waker: Waker) -> Result<Self> {
        let (chunks, queue) = sync_channel::<Bytes>(CHUNKS);
        let (report, done) = sync_channel(CHUNKS * 2 + 2);
        let write = move || {
            let mut output = io::stdout();
            for chunk in queue {
                let written = output.write_all(&chunk).and_then(|()| output.flush());
                let failed = written.is_err();
                if report.send(written).is_err() || failed {
                    break;
                }
                waker.wake();
            }
            drop(report);
            waker.wake();
        };
        spawn("output", write)?;
        Ok(Self { chunks: Some(chunks), waiting: None, done, under_way: 0 })
    }

    /// Takes note of what has been written.
    ///
    /// # Errors
    /// If standard output takes no more.
    pub(crate) fn poll(&mut self) -> Result {
        while let Ok(written) = self.done.try_recv() {
            written.map_err(|error| Fail::output(&error))?;
            self.under_way = self.under_way.saturating_sub(1);
        }
        if let Some(chunk) = self.waiting.take() {
            self.hand_on(chunk)?;
        }
        Ok(())
    }

    /// Whether a chunk may be handed in.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.is_none()
    }

    /// Whether all that was handed in has been written.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// Writes a chunk; only while there is room.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result {
        self.under_way += 1;
        self.hand_on(chunk)
    }

    fn hand_on(&mut self, chunk: Bytes) -> Result {
        let Some(chunks) = &self.chunks else { return Ok(()) };
        match chunks.try_send(chunk) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(chunk)) => {
                self.waiting = Some(chunk);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => {
                // The thread has ended, and its last word says why.
                self.chunks = None;
                let last = self.done.try_iter().find_map(io::Result::err);
                let broken = || io::ErrorKind::BrokenPipe.into();
                Err(Fail::output(&last.unwrap_or_else(broken)))
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result {
    let started = thread::Builder::new().name(name.into()).spawn(work);
    started.map(drop).map_err(|error| Fail::io("cannot start a thread", &error))
}
