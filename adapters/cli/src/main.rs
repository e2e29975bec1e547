//! The command line of tripline.
//!
//! Each command is one single-threaded loop around one endpoint; helper threads exist only for what
//! can block for ever: standard input and output, the system's resolver, a disk's `fsync`, signals.
#![forbid(unsafe_code)]

mod address;
mod args;
mod calls;
mod demo;
mod explain;
mod fail;
mod figures;
mod host;
mod keys;
mod looper;
mod net;
mod perf;
mod ping;
mod pipe;
mod signals;
mod sim;
mod sockets;
mod stdio;
mod transfer;
mod units;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use fail::{Fail, Result};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // When the command line cannot be read, whether JSON is wanted has to be guessed.
    let mut json = std::env::args_os().any(|arg| arg == "--json");
    let done = match Args::try_parse() {
        Ok(args) => {
            json = args.json;
            signals::survive_file_limits().and_then(|()| run(&args))
        }
        Err(error) => args::refusal(&error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            fail.report(json);
            fail.code()
        }
    }
}

fn run(args: &Args) -> Result {
    match &args.command {
        Command::Demo(demo) => demo::run(demo).map_err(Fail::from_chain),
        Command::Perf(perf) => perf::run(perf).map_err(Fail::from_chain),
        Command::Keygen(keygen) => keys::keygen(keygen, args.json),
        Command::Pubkey(pubkey) => keys::pubkey(pubkey, args.json),
        Command::Listen(listen) => pipe::listen(listen, args.json),
        Command::Connect(connect) => pipe::connect(connect),
        Command::Send(send) => transfer::send(send, args.json),
        Command::Receive(receive) => transfer::receive(receive, args.json),
        Command::Call(call) => calls::call(call, args.json),
        Command::Serve(serve) => calls::serve(serve, args.json),
        Command::Ping(ping) => ping::ping(ping, args.json),
        Command::Sim(sim) => sim::run(sim, args.json),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "tripline", &mut text);
            raw(&text)
        }
        Command::Man { command } => raw(&manual(command.as_deref())?),
    }
}

/// A manual page.
fn manual(command: Option<&str>) -> Result<Vec<u8>> {
    let mut whole = Args::command();
    whole.build();
    let page = match command {
        None => whole,
        Some(name) => whole
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Fail::usage(format_args!("there is no command {name:?}")))?,
    };
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(page).render(&mut text);
    rendered.map_err(|error| Fail::io("cannot write the manual page", &error))?;
    Ok(text)
}

fn raw(text: &[u8]) -> Result {
    let mut out = std::io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| Fail::output(&error))
}
