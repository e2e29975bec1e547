//! `tripline serve`: answer requests, by a program or by what was asked.

use super::program::Programs;
use super::{node, read, unreachable};
use crate::args;
use crate::fail::{Fail, Result};
use crate::keys;
use crate::signals::Interrupts;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use tripline::Config;
use tripline_std::calls::{Arrived, Calls, ConnectFailure, Method, Refusal, Request, wait};
use tripline_tls::{ServerIdentity, Tls};

/// How long what is under way has when we are to end.
const GRACE: Duration = Duration::from_secs(5);

/// The longest answer, as the other side takes it by default, with room for its head.
const ANSWER_MAX: u64 = (256 << 10) - 512;

/// `tripline serve`.
pub(crate) fn serve(args: &args::Serve, json: bool) -> Result {
    if !args.address.starts_with("trip") && (args.key.is_some() || !args.allow.is_empty()) {
        let text = "--key and --allow are for trip addresses; others prove no keys";
        return Err(Fail::usage(text));
    }
    let identity = match &args.key {
        Some(file) => keys::load(file)?,
        None => keys::generate()?,
    };
    let config = match args.allow.as_slice() {
        [] => Config::public_server(identity),
        list => Config::private_server(identity, list.iter().copied()),
    };
    let calls = node(config, tls(args)?)?;
    let address =
        wait(calls.listen(&args.address)).map_err(|error| not_served(&args.address, &error))?;
    announce(&address.to_string(), json)?;
    let jobs = match args.jobs {
        0 => thread::available_parallelism().map_or(2, usize::from),
        jobs => jobs,
    };
    let (came, signal) = channel();
    let ended = came.clone();
    let programs = Arc::<Programs>::default();
    let running = Arc::clone(&programs);
    let told = move || {
        // Whoever waits for it may have ended.
        let _ = came.send(());
    };
    let interrupts = Interrupts::call(told, move || running.kill_all())?;
    thread::scope(|scope| {
        for _ in 0..jobs {
            let ended = ended.clone();
            let (calls, programs) = (&calls, &programs);
            scope.spawn(move || {
                work(calls, args, programs);
                let _ = ended.send(());
            });
        }
        // A signal, or nothing comes any more.
        let _ = signal.recv();
        wait(calls.shut_down(GRACE));
    });
    interrupts.check()?;
    Err(Fail::local(calls.over().unwrap_or_default()))
}

/// A listener that cannot be had is this machine's fault.
fn not_served(address: &str, failure: &ConnectFailure) -> Fail {
    let fail = unreachable("cannot serve at", address, failure);
    match failure {
        ConnectFailure::Ended(_) => Fail::local(fail.text),
        _ => fail,
    }
}

/// Answers requests, one at a time, until all is over.
fn work(calls: &Calls, args: &args::Serve, programs: &Programs) {
    while let Some(arrived) = wait(calls.next()) {
        let Arrived::Request(request) = arrived else { continue };
        if !is_served(args, request.method()) {
            let text = format!("{} is not served here", request.method());
            // Nobody may wait any more.
            let _ = request.refuse(Refusal::NoMethod, text);
        } else if args.echo {
            echo(request);
        } else {
            programs.answer(request, &args.command, ANSWER_MAX);
        }
    }
}

fn is_served(args: &args::Serve, method: &Method) -> bool {
    args.method.is_empty() || args.method.contains(&method.to_string())
}

fn echo(request: Request) {
    let payload = request.payload().clone();
    // Nobody may wait any more.
    let _ = request.reply(payload);
}

/// What `tls://` shows.
fn tls(args: &args::Serve) -> Result<Option<Tls>> {
    let made = match &args.tls_identity {
        Some(file) => {
            let pem = read(file)?;
            ServerIdentity::from_pem(&pem, &pem).and_then(Tls::server)
        }
        None if args.address.starts_with("tls://") => Tls::self_signed(&["localhost"]),
        None => return Ok(None),
    };
    let made = made.map_err(|error| Fail::local(format_args!("TLS: {}", error.text)))?;
    Ok(Some(made))
}

/// Says where we are, on standard error, as all servers do whose output is somebody else's.
fn announce(address: &str, json: bool) -> Result {
    let line = if json {
        serde_json::json!({"event": "listening", "address": address}).to_string()
    } else {
        format!("listening on {address}")
    };
    writeln!(io::stderr(), "{line}")
        .map_err(|error| Fail::io("cannot write to standard error", &error))
}
