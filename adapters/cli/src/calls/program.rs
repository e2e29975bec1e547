//! One request, answered by a program: what was asked to its standard input, what it says on its
//! standard output back. A program whose caller waits no longer is killed, with all that it has
//! started.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use tripline_std::calls::{Failure, Request, wait};

/// So much of what a program says on standard error goes with its failure.
const DETAIL_MAX: u64 = 4_096;

/// Runs a program for a request, and answers.
pub(crate) fn answer(request: Request, command: &[String], answer_max: u64) {
    let result = match start(&request, command) {
        Ok(child) => watched(&request, child, answer_max),
        Err(error) => Err(Failure::denied(format!("cannot run {}: {error}", command[0]))),
    };
    // Nobody may wait any more.
    let _ = request.end(result.map(Into::into));
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

/// Carries its three streams, and kills it when nobody waits for it any more.
fn watched(request: &Request, mut child: Child, answer_max: u64) -> Result<Vec<u8>, Failure> {
    let group = rustix::process::Pid::from_child(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let done = Done::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            // One that does not read its input is none of our business.
            let _ = stdin.map(|mut stdin| stdin.write_all(request.payload()));
        });
        let detail = scope.spawn(|| first_of(stderr, DETAIL_MAX));
        scope.spawn(|| {
            if wait(done.or(request.abandoned())) {
                // It may have ended meanwhile.
                let kill = rustix::process::Signal::KILL;
                let _ = rustix::process::kill_process_group(group, kill);
            }
        });
        let answer = first_of(stdout, answer_max);
        let detail = detail.join().unwrap_or_default();
        let ended = child.wait();
        done.set();
        match ended {
            Err(error) => Err(Failure::new(-1, error.to_string())),
            Ok(status) if !status.success() => Err(Failure::new(code(status), detail)),
            Ok(_) if answer.len() as u64 > answer_max => {
                Err(Failure::new(-1, format!("it said more than {answer_max} bytes")))
            }
            Ok(_) => Ok(answer),
        }
    })
}

/// As shells have it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| signal + 128)).unwrap_or(-1)
}

/// What a stream says, up to one byte more than so many; the rest is read and dropped, so that who
/// speaks can go on.
fn first_of(stream: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut first = Vec::new();
    if let Some(mut stream) = stream {
        // What was read until it broke is what there is.
        let _ = stream.by_ref().take(most + 1).read_to_end(&mut first);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
    first
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
