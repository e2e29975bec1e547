//! One request, answered by a program: what was asked to its standard input, what it says on its
//! standard output back. A program whose caller waits no longer is killed, with all that it has
//! started.

use rustix::process::Pid;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use tripline_std::calls::{Failure, Request, wait};

/// So much of what a program says on standard error goes with its failure.
const DETAIL_MAX: u64 = 4_096;

/// The programs that run now, by their process groups.
#[derive(Default)]
pub(crate) struct Programs(Mutex<Vec<Pid>>);

impl Programs {
    /// Runs a program for a request, and answers.
    pub(crate) fn answer(&self, request: Request, command: &[String], answer_max: u64) {
        let result = match self.start(&request, command) {
            Ok(child) => {
                let group = Pid::from_child(&child);
                let result = watched(&request, child, answer_max);
                self.lock().retain(|one| *one != group);
                result
            }
            Err(error) => Err(Failure::denied(format!("cannot run {}: {error}", command[0]))),
        };
        // Nobody may wait any more.
        let _ = request.end(result.map(Into::into));
    }

    /// Starts one that [`Self::kill_all`] knows: there is no moment between.
    fn start(&self, request: &Request, command: &[String]) -> std::io::Result<Child> {
        let mut running = self.lock();
        let child = start(request, command)?;
        running.push(Pid::from_child(&child));
        Ok(child)
    }

    /// Ends all of them, with all that they have started; none begins any more.
    pub(crate) fn kill_all(&self) {
        let running = self.lock();
        running.iter().copied().for_each(kill);
        // The process ends now: nothing is to be started meanwhile.
        std::mem::forget(running);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(request: &Request, command: &[String]) -> std::io::Result<Child> {
    let peer = request.caller().peer().map(|key| key.to_string()).unwrap_or_default();
    let remote = request.caller().remote().map(|remote| remote.to_string()).unwrap_or_default();
    Command::new(&command[0])
        .args(&command[1..])
        .env("TRIPLINE_METHOD", request.method().to_string())
        .env("TRIPLINE_PEER", peer)
        .env("TRIPLINE_REMOTE", remote)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it starts can be ended with it.
        .process_group(0)
        .spawn()
}

/// Carries its three streams, and kills it when nobody waits for it any more. What it has left
/// behind may hold its streams for as long as it likes: it holds up nobody here.
fn watched(request: &Request, mut child: Child, answer_max: u64) -> Result<Vec<u8>, Failure> {
    let group = Pid::from_child(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let payload = request.payload().clone();
    let write = move || {
        // One that does not read its input is none of our business.
        let _ = stdin.map(|mut stdin| stdin.write_all(&payload));
    };
    let answer = Heard::start(stdout, answer_max);
    let detail = Heard::start(stderr, DETAIL_MAX);
    let writer = thread::Builder::new().name("stdin".into()).spawn(write);
    let (answer, detail) = match (answer, detail, writer) {
        (Ok(answer), Ok(detail), Ok(_)) => (answer, detail),
        (answer, detail, writer) => {
            let errors = [answer.err(), detail.err(), writer.err()].into_iter().flatten();
            let text = errors.map(|error| error.to_string()).next().unwrap_or_default();
            kill(group);
            let _ = child.wait();
            return Err(Failure::new(-1, text));
        }
    };
    let done = Done::default();
    let ended = thread::scope(|scope| {
        let watch = || {
            if wait(done.or(request.abandoned())) {
                kill(group);
            }
        };
        // Without a watch it runs to its end, whoever waits.
        let _ = thread::Builder::new().name("watch".into()).spawn_scoped(scope, watch);
        let ended = child.wait();
        done.set();
        ended
    });
    let (answer, detail) = (answer.take(), detail.take());
    match ended {
        Err(error) => Err(Failure::new(-1, error.to_string())),
        Ok(status) if !status.success() => Err(Failure::new(code(status), detail)),
        Ok(_) if answer.len() as u64 > answer_max => {
            Err(Failure::new(-1, format!("it said more than {answer_max} bytes")))
        }
        Ok(_) => Ok(answer),
    }
}

/// Ends a program and all that it has started; it may have ended meanwhile.
fn kill(group: Pid) {
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
}

/// How long what a program has said may be on its way when it has ended.
const LINGER: Duration = Duration::from_millis(500);

/// What a stream says, up to one byte more than so many; the rest is read and dropped, so that who
/// speaks can go on.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Heard {
    fn start(stream: Option<impl Read + Send + 'static>, most: u64) -> std::io::Result<Self> {
        let (end, ended) = channel();
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let heard = Arc::clone(&bytes);
        let read = move || {
            let mut chunk = [0; 16 << 10];
            let Some(mut stream) = stream else { return };
            while let Ok(len @ 1..) = stream.read(&mut chunk) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                let room = usize::try_from(most + 1).unwrap_or(usize::MAX) - heard.len();
                heard.extend_from_slice(&chunk[..len.min(room)]);
            }
            // Nobody may wait for it any more.
            let _ = end.send(());
        };
        thread::Builder::new().name("program".into()).spawn(read)?;
        Ok(Self { bytes, ended })
    }

    /// All that was said, now that the program has ended.
    fn take(self) -> Vec<u8> {
        // If something that it has left behind holds the stream, what is there is all.
        let _ = self.ended.recv_timeout(LINGER);
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// As shells have it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| signal + 128)).unwrap_or(-1)
}

/// That the program has ended.
#[derive(Default)]
struct Done(Arc<Mutex<(bool, Option<Waker>)>>);

impl Done {
    fn set(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits for that (`false`), or for the other (`true`).
    async fn or(&self, other: impl Future<Output = ()>) -> bool {
        let mut other = std::pin::pin!(other);
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                return Poll::Ready(false);
            }
            state.1 = Some(cx.waker().clone());
            drop(state);
            other.as_mut().poll(cx).map(|()| true)
        })
        .await
    }
}
