//! The side that takes the files.

use super::format::{Answer, Head, write_answer};
use super::incoming::{Incoming, Rules, Whole, not_written};
use super::progress::Board;
use super::{SUM_LEN, hex};
use crate::args;
use crate::fail::{Fail, Result, one_line, print};
use crate::host::{FILES, Host};
use crate::net::{FAILED, Session, Step, closed, lost};
use crate::units;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use tripline::{
    Code, ConnectionHandle, Direction, Event, Order, ReceiveResult, SendOptions, StreamId,
};

/// How many senders are served at once; each may use a few MiB.
const SENDERS_MAX: usize = 6;

/// `tripline receive`.
pub(crate) fn receive(args: &args::Receive, json: bool) -> Result {
    let into = std::fs::metadata(&args.into).and_then(|kind| {
        if kind.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
    });
    let what = format!("cannot receive into {}", args.into.display());
    into.map_err(|error| Fail::io(what, &error))?;
    let places = if args.once { 1 } else { SENDERS_MAX };
    let mut session = Session::server(&args.address, &args.server, Host::new(FILES, places))?;
    announce(&session, json)?;
    let mut desk = Desk::new(&mut session, args, json);
    // Whoever is sending is told why we leave.
    desk.run().inspect_err(|fail| desk.session.abandon(fail))
}

fn announce(session: &Session, json: bool) -> Result {
    let (key, address) = session.invitation()?;
    if json {
        let address = address.to_string();
        print(serde_json::json!({"event": "listening", "key": key, "address": address}))
    } else {
        print(format_args!("listening on {key}@{address}"))
    }
}

/// A stream of a connection.
type Key = (ConnectionHandle, StreamId);
/// What became of a file that was to be moved to its final name.
type Committed = (Key, io::Result<String>);

/// All that is being received.
struct Desk<'a> {
    session: &'a mut Session,
    args: &'a args::Receive,
    json: bool,
    board: Board,
    senders: BTreeMap<ConnectionHandle, Giver>,
    files: BTreeMap<Key, Incoming>,
    /// Files that threads are writing to the disk for good.
    committing: BTreeMap<Key, Receipt>,
    report: Sender<Committed>,
    committed: Receiver<Committed>,
    threads: Vec<JoinHandle<()>>,
    /// With `--once`: how it went, once the sender has left.
    over: Option<Result>,
}

/// One sender.
struct Giver {
    remote: SocketAddr,
    /// How many of its files are whole.
    received: u64,
    /// The first thing that went wrong with it.
    failed: Option<Fail>,
}

/// What will be said about a file.
struct Receipt {
    head: Head,
    sum: [u8; SUM_LEN],
    began: Instant,
    remote: Option<SocketAddr>,
}

impl<'a> Desk<'a> {
    fn new(session: &'a mut Session, args: &'a args::Receive, json: bool) -> Self {
        let (report, committed) = channel();
        Self {
            session,
            args,
            json,
            board: Board::new(json),
            senders: BTreeMap::new(),
            files: BTreeMap::new(),
            committing: BTreeMap::new(),
            report,
            committed,
            threads: Vec::new(),
            over: None,
        }
    }

    /// Serves senders until a signal, or with `--once` until the first has left.
    fn run(&mut self) -> Result {
        loop {
            if let Step::Event(event) = self.session.next(None)? {
                self.on(event);
            }
            while let Ok((key, done)) = self.committed.try_recv() {
                self.on_committed(key, done)?;
            }
            self.threads.retain(|thread| !thread.is_finished());
            if self.committing.is_empty()
                && let Some(over) = self.over.take()
            {
                // The sender is still waiting for our half of the goodbye.
                self.session.flush()?;
                return over;
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected { connection, remote, .. } => {
                self.senders.insert(connection, Giver { remote, received: 0, failed: None });
            }
            Event::Opened { connection, stream } => self.on_opened(connection, stream),
            Event::Readable { connection, stream } => self.on_readable((connection, stream)),
            Event::Closed { connection, code, reason, .. } => {
                self.on_end(connection, closed(code, &reason));
            }
            Event::Lost { connection, cause } => self.on_end(connection, Err(lost(&cause))),
            _ => {}
        }
    }

    fn on_opened(&mut self, connection: ConnectionHandle, stream: StreamId) {
        if stream.order() == Order::Bytes && stream.direction() == Direction::TwoWay {
            self.files.insert((connection, stream), Incoming::new());
        } else {
            let _ =
                self.session.with(|end, now| end.stop(now, connection, stream, Code::STREAM_STATE));
        }
    }

    /// Takes what a stream has.
    fn on_readable(&mut self, key: Key) {
        let (connection, stream) = key;
        loop {
            let taken = self.session.with(|end, now| end.receive(now, connection, stream));
            let failed = match taken {
                Ok(ReceiveResult::Data(bytes)) => {
                    let rules = Rules {
                        into: &self.args.into,
                        max_size: self.args.max_size,
                        board: &self.board,
                        json: self.json,
                    };
                    // Of a file that has failed nothing more matters.
                    let fed = self.files.get_mut(&key).map(|file| file.feed(&bytes, rules));
                    fed.and_then(Result::err)
                }
                Ok(ReceiveResult::Nothing) => return,
                Ok(ReceiveResult::Finished) => {
                    let Some(file) = self.files.remove(&key) else { return };
                    let name = file.name().unwrap_or("a file").to_string();
                    let whole = file.finish().and_then(|whole| self.commit(key, whole));
                    return whole.unwrap_or_else(|fail| self.fail(key, &name, fail));
                }
                Ok(ReceiveResult::Closed(_)) | Err(_) => {
                    Some(Fail::network("the sender gave it up"))
                }
            };
            if let Some(fail) = failed {
                let Some(file) = self.files.remove(&key) else { return };
                self.fail(key, file.name().unwrap_or("a file"), fail);
                let _ = self.session.with(|end, now| end.stop(now, connection, stream, FAILED));
            }
        }
    }

    /// Has a whole file written to the disk for good, by a thread: a disk can take longer than the
    /// peer is patient.
    fn commit(&mut self, key: Key, whole: Whole) -> Result {
        let Whole { head, sum, partial, began } = whole;
        let remote = self.senders.get(&key.0).map(|sender| sender.remote);
        let (report, waker) = (self.report.clone(), self.session.waker());
        let work = move || {
            // If nobody listens any more the command has ended.
            let _ = report.send((key, partial.commit()));
            waker.wake();
        };
        let thread = thread::Builder::new().name("commit".into()).spawn(work);
        self.threads.push(thread.map_err(|error| Fail::io("cannot start a thread", &error))?);
        self.committing.insert(key, Receipt { head, sum, began, remote });
        Ok(())
    }

    /// A file has its name, or could not get one.
    fn on_committed(&mut self, key: Key, done: io::Result<String>) -> Result {
        let Some(receipt) = self.committing.remove(&key) else { return Ok(()) };
        match done {
            Ok(name) => {
                if let Some(sender) = self.senders.get_mut(&key.0) {
                    sender.received += 1;
                }
                self.answer(key, &Ok((receipt.sum, name.clone())));
                self.show(&receipt, &name)
            }
            Err(error) => {
                self.fail(key, &receipt.head.name, not_written(&error));
                Ok(())
            }
        }
    }

    /// A file has failed: the sender is told, and we remember.
    fn fail(&mut self, key: Key, name: &str, fail: Fail) {
        self.answer(key, &Err(fail.text.clone()));
        if let Some(sender) = self.senders.get_mut(&key.0) {
            let into = self.args.into.display();
            let what = format!("cannot receive {name} from {} into {into}", sender.remote);
            sender.failed.get_or_insert(fail.within(what));
        }
    }

    fn answer(&mut self, key: Key, answer: &Answer) {
        let (connection, stream) = key;
        let bytes = write_answer(answer);
        // A sender that has left needs no answer.
        let _ = self.session.with(|end, now| {
            end.send(now, connection, stream, bytes, SendOptions::default())?;
            end.finish(now, connection, stream).map_err(|_| tripline::SendError::Finished)
        });
    }

    /// A sender has left.
    fn on_end(&mut self, connection: ConnectionHandle, end: Result) {
        let unfinished: Vec<_> =
            self.files.keys().filter(|key| key.0 == connection).copied().collect();
        let names: Vec<_> = unfinished
            .iter()
            .filter_map(|key| Some(self.files.remove(key)?.name().unwrap_or("a file").to_string()))
            .collect();
        let Some(sender) = self.senders.remove(&connection) else { return };
        let end = end.and_then(|()| match names.as_slice() {
            [] => Ok(()),
            _ => Err(Fail::network("the sender left")),
        });
        let during = names.first().map_or(String::new(), |name| format!("{name} "));
        let end = end.map_err(|fail| {
            fail.within(format_args!("cannot receive {during}from {}", sender.remote))
        });
        // Our own trouble is the cause of what the sender said about it.
        let done = sender.failed.map_or(end, Err);
        if !self.args.once {
            if let Err(fail) = done {
                fail.report(self.json);
            }
            return;
        }
        let nothing = sender.received == 0 && self.committing.is_empty();
        let empty = || Fail::network(format_args!("{} left without a file", sender.remote));
        let done = done.and_then(|()| if nothing { Err(empty()) } else { Ok(()) });
        self.over.get_or_insert(done);
    }

    fn show(&self, receipt: &Receipt, name: &str) -> Result {
        let Receipt { head, sum, began, remote } = receipt;
        let (sum, took) = (hex(sum), began.elapsed().as_secs_f64());
        let remote = remote.map_or(String::new(), |remote| remote.to_string());
        if self.json {
            return print(serde_json::json!({
                "event": "received", "name": name, "bytes": head.size, "sha256": sum,
                "from": remote, "seconds": took,
            }));
        }
        let (name, size) = (one_line(name), units::show(head.size));
        print(format_args!("received {name} from {remote}: {size} in {took:.2} s, sha256 {sum}"))
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        // A thread that is cut off could leave a hidden file behind.
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
