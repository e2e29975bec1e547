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
use clap::error::ErrorKind;
use figures::{CliError, complain, while_doing};
use signal_hook::consts::SIGXFSZ;
use std::process::ExitCode;
use std::sync::Arc;

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
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    match survive_file_limits().and_then(|()| run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("tripline: {}", figures::chain(&*error)));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
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
    }
}

/// A write beyond the limit on file sizes shall fail like any other, not end the process: it does
/// so where the signal that comes with it is handled, by whatever handler.
fn survive_file_limits() -> Result<(), CliError> {
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map(|_| ())
        .map_err(while_doing("the limit on file sizes"))
}

/// Help goes out as it is; of a mistake, what is wrong, in one line.
fn usage(error: &clap::Error) -> ExitCode {
    let help = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || error.kind() == help {
        let printed = error.print();
        return match (error.use_stderr(), printed) {
            (true, _) => ExitCode::from(2),
            (false, Ok(())) => ExitCode::SUCCESS,
            (false, Err(_)) => ExitCode::FAILURE,
        };
    }
    let text = error.to_string();
    let lines: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let line = lines.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    complain(format_args!("tripline: {line} (--help says more)"));
    ExitCode::from(2)
}
