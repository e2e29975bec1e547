//! The receiving side.

use super::report;
use crate::figures::{CliError, chain, complain, while_doing};
use crate::signals::Interrupts;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tripline::Code;
use tripline_std::{Connection, Error, Listener, Stats, Stream};

/// How long clients may go on once a signal has come.
const GRACE: Duration = Duration::from_secs(2);

/// Lets a signal end the listener in order: clients are told, and have a moment (R-CLOSE-7).
pub(super) fn end_on_signal(listener: &Arc<Listener>) -> Result<Interrupts, CliError> {
    let listener = Arc::downgrade(listener);
    let act = move || {
        let Some(listener) = listener.upgrade() else { return };
        // The next signal ends the process, so nobody may wait here for the first.
        let end = move || shut_down(&listener);
        if let Err(error) = thread::Builder::new().name("shutdown".into()).spawn(end) {
            complain(format_args!("tripline: cannot start a thread: {error}"));
        }
    };
    Interrupts::call(act, || ()).map_err(|fail| fail.text.into())
}

/// Ends the listener, and waits until that is done.
pub(super) fn shut_down(listener: &Listener) -> Result<(), CliError> {
    let end = listener.shut_down(GRACE, Code::SHUTTING_DOWN, "the server is ending");
    end.map_err(while_doing("ending"))
}

/// What one client sent.
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    pub(super) stats: Stats,
}

/// Serves clients, all at once, for ever or until the first one has left.
pub(super) fn serve(listener: &Listener, once: bool, json: bool) -> Result<(), CliError> {
    loop {
        let connection = listener.accept().map_err(while_doing("accepting"))?;
        let work = move || {
            let remote = connection.remote();
            let received = drain(&connection)?;
            report::print_received(remote, &received, json)
        };
        if once {
            return work();
        }
        let thread = thread::Builder::new().name("client".into()).spawn(move || {
            // One client's bad end is no reason to stop serving.
            if let Err(error) = work() {
                complain(format_args!("tripline: {}", chain(&*error)));
            }
        });
        thread.map_err(while_doing("a client's thread"))?;
    }
}

/// Serves one client.
pub(super) fn serve_one(listener: &Listener) -> Result<Received, CliError> {
    drain(&listener.accept().map_err(while_doing("accepting"))?)
}

/// Reads all streams of a client until it leaves.
fn drain(connection: &Connection) -> Result<Received, CliError> {
    let began = Instant::now();
    let bytes = thread::scope(|scope| {
        let mut readers = Vec::new();
        // The peer's limit on streams bounds the threads.
        while let Ok(stream) = connection.accept_stream() {
            readers.push(scope.spawn(move || read(&stream)));
        }
        readers.into_iter().try_fold(0, |bytes, reader| {
            let one = reader.join().map_err(|_| "a reader panicked")?;
            Ok::<_, CliError>(bytes + one.map_err(while_doing("reading"))?)
        })
    })?;
    let elapsed = began.elapsed();
    connection.wait_closed().map_err(while_doing("the client"))?;
    let stats = connection.stats().map_err(while_doing("the counters"))?;
    Ok(Received { bytes, elapsed, stats })
}

fn read(stream: &Stream) -> Result<u64, Error> {
    let mut bytes = 0;
    while let Some(message) = stream.receive()? {
        bytes += message.len() as u64;
    }
    Ok(bytes)
}
