//! The command line: what there is to say, and nothing of what is done about it.

use crate::address::{HostPort, Remote};
use crate::fail::Fail;
use crate::{demo, perf, sim, units};
use clap::error::ErrorKind;
use clap::{ArgAction, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;
use tripline::PublicKey;

/// What ends every help page.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something on this machine failed: a file, the disk, a checksum; or a call's answer is a no
  2  the command line is wrong
  3  the other side or the way to it failed: no answer, wrong key, refused, lost
  128 + N  ended by signal N (141: nobody reads the output any more)

Keys are printable: tpub1… may be shown to anyone, tsec1… never leaves its owner.
Durations: 500ms, 10s, 2m. Sizes: 512, 64KiB, 10M.";

/// Encrypted messages, pipes and files between machines, over UDP, TCP or TLS.
#[derive(Debug, Parser)]
#[command(name = "tripline", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    /// Speak JSON, one object per line: results on standard output, errors on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a client and a server talking over loopback, with figures.
    Demo(demo::Args),
    /// Make a secret key and show its public key.
    Keygen(Keygen),
    /// Show the public key of a secret key.
    Pubkey(Pubkey),
    /// Wait for one `tripline connect`, then carry standard input and output.
    Listen(Listen),
    /// Connect to a `tripline listen`, then carry standard input and output.
    Connect(Connect),
    /// Send files to a `tripline receive`.
    Send(Send),
    /// Take files from `tripline send` into a directory. Never overwrites.
    Receive(Receive),
    /// Ask a `tripline serve`, or any other server of calls, and print the answer.
    Call(Call),
    /// Answer requests: by a program, or with what was asked.
    Serve(Serve),
    /// Measure round trips to any tripline server.
    Ping(Ping),
    /// Measure throughput.
    Perf(perf::Args),
    /// Play scenarios in virtual time: thousands of drawn ones, or one of a file.
    Sim(sim::Args),
    /// Print the completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    Man {
        /// Of which command; without it, the page of tripline itself.
        command: Option<String>,
    },
}

/// How long to be patient.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Patience {
    /// After how much silence the other side is given up.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) idle_timeout: Duration,
}

/// By what a client travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Over {
    /// UDP, or TCP at the same port where UDP does not get through.
    Auto,
    /// UDP alone.
    Udp,
    /// TCP alone.
    Tcp,
    /// TLS over TCP alone.
    Tls,
}

/// How a client connects.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Client {
    /// How long to try to connect, the resolving of the name included.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// A file with our secret key, to prove who we are.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// By what to travel. Whatever it is, the server proves that it holds its key.
    #[arg(long, value_enum, default_value_t = Over::Auto)]
    pub(crate) over: Over,
    /// With --over tls: demand a certificate that one of those in this PEM file stands for. Without
    /// it any will do, as the server's key is what counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Say once a second on standard error what is waited for, when nothing happens.
    #[arg(long)]
    pub(crate) explain: bool,
    /// How long to be patient.
    #[command(flatten)]
    pub(crate) patience: Patience,
}

/// How a server listens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// A file with the server's secret key. Without it a key is made and thrown away.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Let only the holder of this key in; may be given several times.
    #[arg(long, value_name = "KEY", action = ArgAction::Append, value_parser = public_key)]
    pub(crate) allow: Vec<PublicKey>,
    /// Listen for TCP as well, at the same port.
    #[arg(long, conflicts_with = "tls")]
    pub(crate) tcp: bool,
    /// Listen for TLS over TCP as well, at the same port.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Do not listen for UDP.
    #[arg(long)]
    pub(crate) no_udp: bool,
    /// With --tls: a PEM file with our certificates and their key. Without it a certificate is made
    /// and thrown away.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) tls_identity: Option<PathBuf>,
    /// How long to be patient.
    #[command(flatten)]
    pub(crate) patience: Patience,
}

/// `keygen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Keygen {
    /// Where to write the secret key, with mode 0600; without it, it goes to standard output.
    pub(crate) file: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, requires = "file")]
    pub(crate) force: bool,
}

/// `pubkey`.
#[derive(Debug, clap::Args)]
pub(crate) struct Pubkey {
    /// The file with the secret key; `-` is standard input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
}

/// `listen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    /// Where to listen, HOST:PORT; port 0 lets the system choose, no host means all addresses.
    #[arg(value_name = "ADDR")]
    pub(crate) address: HostPort,
    /// Send everything back instead, to any number of clients, until interrupted.
    #[arg(long)]
    pub(crate) echo: bool,
    /// How to listen.
    #[command(flatten)]
    pub(crate) server: Server,
}

/// `connect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Connect {
    /// The server's key and address.
    #[arg(value_name = "KEY@HOST:PORT")]
    pub(crate) remote: Remote,
    /// How to connect.
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `send`.
#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    /// The files.
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// The server's key and address.
    #[arg(value_name = "KEY@HOST:PORT")]
    pub(crate) remote: Remote,
    /// After how long without any progress to give up, though the other side is there.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub(crate) stall_timeout: Duration,
    /// How to connect.
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `receive`.
#[derive(Debug, clap::Args)]
pub(crate) struct Receive {
    /// Where to listen, HOST:PORT; port 0 lets the system choose, no host means all addresses.
    #[arg(value_name = "ADDR")]
    pub(crate) address: HostPort,
    /// The directory that the files go to.
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// End after the first sender; fail if anything of it failed.
    #[arg(long)]
    pub(crate) once: bool,
    /// Refuse files larger than this.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub(crate) max_size: Option<u64>,
    /// How to listen.
    #[command(flatten)]
    pub(crate) server: Server,
}

/// What is asked and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Bytes, as they are.
    Bytes,
    /// JSON: what is sent is checked, and what comes is printed on one line.
    Json,
}

/// `call`.
#[derive(Debug, clap::Args)]
pub(crate) struct Call {
    /// Where the server is: trip://KEY@HOST:PORT, trip+tcp://KEY@HOST:PORT, tcp://HOST:PORT,
    /// tls://HOST:PORT or udp://HOST:PORT.
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: String,
    /// What for: a name, or a number behind a #.
    pub(crate) method: String,
    /// With what: a text, @FILE, or - for standard input; without it, standard input unless that is
    /// a terminal.
    pub(crate) payload: Option<String>,
    /// What payload and answer are.
    #[arg(long, value_enum, default_value_t = Format::Bytes)]
    pub(crate) format: Format,
    /// How long to wait for the answer, and before that for the connection.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// It may be done twice: ask again if the connection breaks.
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// A file with our secret key, to prove who we are (trip).
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// With tls: a PEM file with the certificates that the server's has to stand on.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// With tls: talk to whoever answers. Nothing is proven then.
    #[arg(long, conflicts_with = "tls_ca")]
    pub(crate) insecure: bool,
}

/// `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where to listen: trip://*:PORT, trip+auto://*:PORT, tcp://127.0.0.1:PORT and so on; port 0
    /// lets the system choose.
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: String,
    /// Answer with what was asked.
    #[arg(long, conflicts_with = "command")]
    pub(crate) echo: bool,
    /// Serve this method alone; may be given several times.
    #[arg(long, value_name = "METHOD", action = ArgAction::Append)]
    pub(crate) method: Vec<String>,
    /// How many requests are answered at once; 0: as many as there are cores. Others wait.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) jobs: usize,
    /// A file with the server's secret key (trip). Without it a key is made and thrown away.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Let only the holder of this key in (trip); may be given several times.
    #[arg(long, value_name = "KEY", action = ArgAction::Append, value_parser = public_key)]
    pub(crate) allow: Vec<PublicKey>,
    /// With tls: a PEM file with our certificates and their key. Without it a certificate is made
    /// and thrown away.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_identity: Option<PathBuf>,
    /// The program that answers each request: what was asked is its standard input, what it prints
    /// the answer, an exit code other than 0 the application's no. TRIPLINE_METHOD, TRIPLINE_PEER
    /// and TRIPLINE_REMOTE say what for and who asks.
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "echo")]
    pub(crate) command: Vec<String>,
}

/// `ping`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ping {
    /// The server's key and address.
    #[arg(value_name = "KEY@HOST:PORT")]
    pub(crate) remote: Remote,
    /// How many to send; 0 goes on until interrupted.
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    pub(crate) count: u64,
    /// How long to wait between two.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,
    /// How large each message is, 8 to 64KiB.
    #[arg(short, long, value_name = "SIZE", default_value = "64", value_parser = ping_size)]
    pub(crate) size: usize,
    /// How long to wait for the last answers.
    #[arg(short = 'W', long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) wait: Duration,
    /// How to connect.
    #[command(flatten)]
    pub(crate) client: Client,
}

/// A duration longer than nothing and shorter than a century.
fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_millis(1) || duration > Duration::from_secs(100 * 31_557_600) {
        return Err("it must be at least 1ms and at most 100 years".into());
    }
    Ok(duration)
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error: tripline::KeyTextError| error.to_string())
}

fn ping_size(text: &str) -> Result<usize, String> {
    match usize::try_from(units::size(text)?) {
        Ok(size @ 8..=65_536) => Ok(size),
        _ => Err("it must be 8 to 64KiB".into()),
    }
}

/// What clap has to say, on one line and without any secret key that was typed by mistake.
///
/// Help and version are no failures: `Ok` then, and printed.
pub(crate) fn refusal(error: &clap::Error) -> Result<(), Fail> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return error.print().map_err(|error| Fail::output(&error));
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Fail::usage("what is to be done? see tripline --help"));
    }
    let text = error.render().to_string();
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .take_while(|line| !line.starts_with("Usage:"))
        .collect();
    let line = lines.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    Err(Fail::usage(format_args!("{} (see tripline --help)", without_secrets(line))))
}

/// The text with each secret key cut off after its prefix.
fn without_secrets(text: &str) -> String {
    let mut parts = text.split("tsec1");
    let mut clean = parts.next().unwrap_or_default().to_string();
    for part in parts {
        clean.push_str("tsec1…");
        clean.push_str(part.trim_start_matches(|one: char| one.is_ascii_alphanumeric()));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_refusal_is_one_line_and_keeps_secrets() {
        let secret = tripline::SecretKey::from_bytes([7; 32]).to_text();
        let bad = format!("{}@localhost:1", *secret);
        let error = Args::try_parse_from(["tripline", "connect", &bad]).expect_err("no server");
        let fail = refusal(&error).expect_err("a failure");
        assert_eq!(fail.number(), 2);
        assert!(!fail.text.contains('\n') && !fail.text.contains(&secret[10..]), "{}", fail.text);
        assert!(fail.text.contains("secret key"), "{}", fail.text);
    }

    #[test]
    fn durations_have_bounds() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for text in ["", "5", "0s", "1000y", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
