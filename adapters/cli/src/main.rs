//! The command line of tripline. One file or folder for each command; what they share is in `net`
//! (connecting and listening) and `figures`.
#![forbid(unsafe_code)]

mod demo;
mod figures;
mod files;
mod generate;
mod keys;
mod net;
mod perf;
mod ping;
mod pipe;

use clap::Parser;
use std::process::ExitCode;

/// An encrypted message transport over UDP: demo, keys, pipes, files, measurements.
///
/// Servers are written KEY@HOST:PORT. Exit codes: 0 done, 1 failed (one line on stderr says what),
/// 2 wrong usage.
#[derive(Parser)]
#[command(name = "tripline", version)]
enum Command {
    /// Shows a client and a server talking over loopback, with figures.
    Demo(demo::Args),
    /// Makes a secret key.
    Keygen(keys::KeygenArgs),
    /// Prints the public key that belongs to a secret one.
    Pubkey(keys::PubkeyArgs),
    /// Waits for a connection; stdin goes to the peer, what comes goes to stdout.
    Listen(pipe::ListenArgs),
    /// Connects; stdin goes to the peer, what comes goes to stdout.
    Connect(pipe::ConnectArgs),
    /// Sends files to a `receive`.
    Send(files::SendArgs),
    /// Receives files into a directory.
    Receive(files::ReceiveArgs),
    /// Measures round trips to any `listen` or `receive`.
    Ping(ping::Args),
    /// Measures throughput.
    Perf(perf::Args),
    /// Prints shell completions.
    Completions(generate::CompletionsArgs),
    /// Prints the manual page.
    Man,
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Demo(args) => demo::run(&args),
        Command::Keygen(args) => keys::keygen(&args),
        Command::Pubkey(args) => keys::pubkey(&args),
        Command::Listen(args) => pipe::listen(&args),
        Command::Connect(args) => pipe::connect(&args),
        Command::Send(args) => files::send(&args),
        Command::Receive(args) => files::receive(&args),
        Command::Ping(args) => ping::run(&args),
        Command::Perf(args) => perf::run(&args),
        Command::Completions(args) => generate::completions::<Command>(&args),
        Command::Man => generate::man::<Command>(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tripline: {}", figures::chain(&*error));
            ExitCode::FAILURE
        }
    }
}
