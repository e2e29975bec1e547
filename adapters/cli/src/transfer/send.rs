//! The side that has the files.

use super::format::{ANSWER_MAX, Answer, Head, check_name, read_answer};
use super::progress::{Board, Line};
use super::{SUM_LEN, hex};
use crate::args;
use crate::fail::{Fail, Result, one_line, plain, print};
use crate::host::{FILE_STREAM, FILES};
use crate::net::{FAILED, Session, Step, closed, guarded, lost};
use crate::units;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};
use tripline::{ConnectionHandle, Event, Fate, ReceiveResult, SendError, SendOptions, StreamId};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// `tripline send`.
pub(crate) fn send(args: &args::Send, json: bool) -> Result {
    let cannot = |path: &Path| format!("cannot send {}", path.display());
    // What cannot be read is better known before anyone is called.
    for path in &args.files {
        open(path).map_err(|fail| fail.within(cannot(path)))?;
    }
    let mut session = Session::client(&args.remote, &args.client)?;
    let connection = session.connect(&args.remote, FILES, args.client.timeout)?;
    let board = Board::new(json);
    for path in &args.files {
        let began = Instant::now();
        let sent = guarded(&mut session, |session| {
            let (head, file) = open(path)?;
            let line = board.line(&head.name, head.size);
            let file = Sending::open(session, connection, &head, file, line, args.stall_timeout)?;
            file.run().map(|(sum, name)| (head, sum, name))
        });
        let (head, sum, name) = sent.map_err(|fail| fail.within(cannot(path)))?;
        guarded(&mut session, |_| report(path, &head, &name, &sum, began.elapsed(), json))?;
    }
    session.close(connection)
}

/// A file that can be sent, and what it is.
fn open(path: &Path) -> Result<(Head, File)> {
    let name = path.file_name().ok_or_else(|| Fail::local("this names no file"))?;
    let name = name.to_str().ok_or_else(|| Fail::local("its name is not UTF-8"))?.to_string();
    check_name(&name).map_err(Fail::local)?;
    let io = |error: io::Error| Fail::local(plain(&error));
    // Asked first, for to open a pipe would wait for its writer.
    let kind = std::fs::metadata(path).map_err(io)?;
    if kind.is_dir() {
        return Err(Fail::local("it is a directory; pack it first, for example with tar"));
    }
    if !kind.is_file() {
        return Err(Fail::local("it is no regular file"));
    }
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    // Files that the system makes up say that they are empty, and are not.
    if size == 0 && file.read(&mut [0]).map_err(io)? > 0 {
        return Err(Fail::local("its size is not known; copy it first, or use a pipe"));
    }
    Ok((Head { name, size }, file))
}

fn report(
    path: &Path,
    head: &Head,
    name: &str,
    sum: &[u8; SUM_LEN],
    took: Duration,
    json: bool,
) -> Result {
    if json {
        return print(serde_json::json!({
            "event": "sent", "file": path.to_string_lossy(), "name": name, "bytes": head.size,
            "sha256": hex(sum), "seconds": took.as_secs_f64(),
        }));
    }
    let (size, took, sum) = (units::show(head.size), took.as_secs_f64(), hex(sum));
    print(format_args!(
        "sent {} as {}: {size} in {took:.2} s, sha256 {sum}",
        path.display(),
        one_line(name)
    ))
}

/// One file on its way.
struct Sending<'a> {
    session: &'a mut Session,
    connection: ConnectionHandle,
    stream: StreamId,
    file: File,
    line: Line,
    hash: Sha256,
    /// Bytes of the file that were not read yet.
    left: u64,
    /// What the engine had no room for.
    waiting: Option<Bytes>,
    writable: bool,
    /// The checksum, once all was read and handed in.
    sum: Option<[u8; SUM_LEN]>,
    finished: bool,
    /// What came back so far.
    answer: Vec<u8>,
    /// When something last went on.
    progress: Instant,
    stall: Duration,
}

impl<'a> Sending<'a> {
    fn open(
        session: &'a mut Session,
        connection: ConnectionHandle,
        head: &Head,
        file: File,
        line: Line,
        stall: Duration,
    ) -> Result<Self> {
        let opened = session.with(|end, now| end.open(now, connection, FILE_STREAM));
        let stream =
            opened.map_err(|error| Fail::network(format_args!("cannot open a stream: {error}")))?;
        Ok(Self {
            session,
            connection,
            stream,
            file,
            line,
            hash: Sha256::new(),
            left: head.size,
            waiting: Some(head.write().into()),
            writable: true,
            sum: None,
            finished: false,
            answer: Vec::new(),
            progress: Instant::now(),
            stall,
        })
    }

    /// Sends all, and waits for the receiver's word.
    fn run(mut self) -> Result<([u8; SUM_LEN], String)> {
        loop {
            if let Err(fail) = self.pump() {
                // The receiver hears at once that no more will come.
                let (connection, stream) = (self.connection, self.stream);
                let _ =
                    self.session.with(|end, now| end.close_stream(now, connection, stream, FAILED));
                return Err(fail);
            }
            // The file may be faster than the socket: what was handed in goes out in between.
            let step = self.session.next(Some(self.progress + self.stall))?;
            match step {
                Step::Event(event) => {
                    if let Some(answer) = self.on(event)? {
                        return self.judge(answer);
                    }
                }
                Step::TimedOut if self.progress.elapsed() >= self.stall => {
                    let stall = humantime::format_duration(self.stall);
                    return Err(Fail::network(format_args!("nothing went on for {stall}")));
                }
                Step::TimedOut | Step::Woken | Step::Unlinked(_) => {}
            }
        }
    }

    /// Hands in as much as there is room for.
    fn pump(&mut self) -> Result {
        let (connection, stream) = (self.connection, self.stream);
        while self.writable && !self.finished {
            let Some(chunk) = self.next_chunk()? else {
                self.finished = true;
                // If the stream is gone an event or the answer says why.
                let _ = self.session.with(|end, now| end.finish(now, connection, stream));
                break;
            };
            let copy = chunk.clone();
            let options = SendOptions::default();
            match self.session.with(|end, now| end.send(now, connection, stream, copy, options)) {
                Ok(_) => self.progress = Instant::now(),
                Err(SendError::Blocked) => {
                    self.waiting = Some(chunk);
                    self.writable = false;
                }
                // The receiver wants no more; its answer, or an event, says why.
                Err(_) => self.finished = true,
            }
        }
        Ok(())
    }

    /// The head, the file, the checksum; `None` after that.
    fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        if let Some(chunk) = self.waiting.take() {
            return Ok(Some(chunk));
        }
        if self.left == 0 {
            if self.sum.is_some() {
                return Ok(None);
            }
            let sum: [u8; SUM_LEN] = self.hash.finalize_reset().into();
            self.sum = Some(sum);
            return Ok(Some(Bytes::copy_from_slice(&sum)));
        }
        let mut chunk = vec![0; CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK))];
        let read =
            self.file.read(&mut chunk).map_err(|error| Fail::io("reading failed", &error))?;
        if read == 0 {
            return Err(Fail::local("the file became shorter while it was sent"));
        }
        chunk.truncate(read);
        self.hash.update(&chunk);
        self.line.add(read);
        self.left = self.left.saturating_sub(read as u64);
        Ok(Some(chunk.into()))
    }

    fn on(&mut self, event: Event) -> Result<Option<Answer>> {
        match event {
            Event::Writable { stream, .. } if stream == self.stream => self.writable = true,
            Event::Message { stream, fate: Fate::Acked, .. } if stream == self.stream => {
                self.progress = Instant::now();
            }
            Event::Readable { stream, .. } if stream == self.stream => return self.take(),
            Event::Closed { code, reason, .. } => {
                closed(code, &reason)?;
                return Err(Fail::network("the receiver ended the connection"));
            }
            Event::Lost { cause, .. } => return Err(lost(&cause)),
            _ => {}
        }
        Ok(None)
    }

    /// Collects the answer.
    fn take(&mut self) -> Result<Option<Answer>> {
        let (connection, stream) = (self.connection, self.stream);
        let unclear = || Fail::network("the receiver's answer makes no sense");
        loop {
            match self.session.with(|end, now| end.receive(now, connection, stream)) {
                Ok(ReceiveResult::Data(bytes)) => {
                    self.answer.extend_from_slice(&bytes);
                    if self.answer.len() > ANSWER_MAX {
                        return Err(unclear());
                    }
                }
                Ok(ReceiveResult::Nothing) => return Ok(None),
                Ok(ReceiveResult::Finished) => {
                    return read_answer(&self.answer).map(Some).ok_or_else(unclear);
                }
                Ok(ReceiveResult::Closed(_)) | Err(_) => {
                    return Err(Fail::network("the receiver gave up without a word"));
                }
            }
        }
    }

    fn judge(&self, answer: Answer) -> Result<([u8; SUM_LEN], String)> {
        match (answer, self.sum) {
            (Err(text), _) => Err(Fail::network(format_args!("the receiver says: {text}"))),
            (Ok((theirs, name)), Some(ours)) if theirs == ours => Ok((ours, name)),
            (Ok((theirs, _)), ours) => Err(Fail::network(format_args!(
                "the checksums differ: {} here, {} there",
                ours.map_or("none yet".into(), |sum| hex(&sum)),
                hex(&theirs)
            ))),
        }
    }
}
