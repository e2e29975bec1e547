//! How a command ends when it does not end well: one line for people, one number for scripts.

use crate::figures::{CliError, chain};
use crate::signals::Interrupted;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

/// The result of a command.
pub(crate) type Result<T = ()> = std::result::Result<T, Fail>;

/// What kind of failure it is; decides the exit code. The codes are documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something on this machine: a file, the disk, the terminal. Exit code 1.
    Local,
    /// The command line itself. Exit code 2, as clap has it.
    Usage,
    /// The other side or the way to it: no answer, refused, lost. Exit code 3.
    Network,
    /// This signal ended it. Exit code 128 + its number, as shells have it.
    Signal(i32),
    /// Whoever read our output wants no more of it. No line, and the exit code of SIGPIPE, for the
    /// work may not be done.
    Quiet,
}

/// Why a command ended: what failed, where, and what to do, in one line.
#[derive(Clone, Debug)]
pub(crate) struct Fail {
    /// Of what kind it is.
    pub(crate) kind: Kind,
    /// The line.
    pub(crate) text: String,
}

impl Fail {
    /// The same in the context of `what`. Peers are told the text without it: what our paths are
    /// called is none of their business.
    pub(crate) fn within(self, what: impl Display) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }

    /// What `demo` and `perf` fail with.
    pub(crate) fn from_chain(error: CliError) -> Self {
        if let Some(Interrupted(signal)) = error.downcast_ref() {
            return Self::signal(*signal);
        }
        match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Self::output(error),
            _ if blames_the_network(&*error) => Self::network(chain(&*error)),
            _ => Self::local(chain(&*error)),
        }
    }

    /// Something on this machine failed.
    pub(crate) fn local(text: impl Display) -> Self {
        Self { kind: Kind::Local, text: text.to_string() }
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self { kind: Kind::Usage, text: text.to_string() }
    }

    /// The other side or the way to it failed.
    pub(crate) fn network(text: impl Display) -> Self {
        Self { kind: Kind::Network, text: text.to_string() }
    }

    /// A call of the system failed while doing `what`.
    pub(crate) fn io(what: impl Display, error: &io::Error) -> Self {
        Self::local(format_args!("{what}: {}", plain(error)))
    }

    /// Standard output took no more.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self { kind: Kind::Quiet, text: "nobody reads its output any more".into() }
        } else {
            Self::io("cannot write to standard output", error)
        }
    }

    /// A signal came.
    pub(crate) fn signal(number: i32) -> Self {
        let name = signal_hook::low_level::signal_name(number).unwrap_or("a signal");
        Self { kind: Kind::Signal(number), text: format!("interrupted by {name}") }
    }

    /// Writes the line to standard error.
    pub(crate) fn report(&self, json: bool) {
        if self.kind == Kind::Quiet {
            return;
        }
        let line = if json {
            serde_json::json!({"event": "error", "exit_code": self.number(), "error": self.text})
                .to_string()
        } else {
            format!("tripline: {}", one_line(&self.text))
        };
        // Nobody is left to be told if this fails too.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// The exit code as a number.
    pub(crate) fn number(&self) -> u8 {
        match self.kind {
            Kind::Quiet => 128 + 13,
            Kind::Local => 1,
            Kind::Usage => 2,
            Kind::Network => 3,
            Kind::Signal(number) => u8::try_from(number.saturating_add(128)).unwrap_or(1),
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> ExitCode {
        self.number().into()
    }
}

/// Whether an error, or what caused it, is the peer's or the network's doing.
fn blames_the_network(error: &(dyn std::error::Error + 'static)) -> bool {
    use tripline_std::Error;
    match error.downcast_ref() {
        Some(Error::Io(_) | Error::Address(_) | Error::Start(_)) => false,
        Some(_) => true,
        None => error.source().is_some_and(blames_the_network),
    }
}

/// What the system said, without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

/// The text on one line and harmless to a terminal: part of it may come from the peer.
pub(crate) fn one_line(text: &str) -> impl Display + '_ {
    struct Line<'a>(&'a str);
    impl Display for Line<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.chars().try_for_each(|one| match one {
                one if one.is_control() => write!(f, "{}", one.escape_default()),
                // These turn the direction of writing: a name could look like another one.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "{}", one.escape_default())
                }
                one => write!(f, "{one}"),
            })
        }
    }
    Line(text)
}

/// Prints one line to standard output.
pub(crate) fn print(line: impl Display) -> Result {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Fail::output(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_whatever_the_peer_says() {
        let hostile = "no\n\u{1b}[2Jsuch \u{202e}file";
        assert_eq!(one_line(hostile).to_string(), "no\\n\\u{1b}[2Jsuch \\u{202e}file");
    }

    #[test]
    fn codes_are_as_documented() {
        assert_eq!(Fail::local("").number(), 1);
        assert_eq!(Fail::usage("").number(), 2);
        assert_eq!(Fail::network("").number(), 3);
        assert_eq!(Fail::signal(2).number(), 130);
        assert_eq!(Fail::output(&io::ErrorKind::BrokenPipe.into()).number(), 141);
    }

    /// What `demo` and `perf` fail with keeps its kind below what was being done.
    #[test]
    fn the_network_is_told_from_this_machine() {
        use crate::figures::while_doing;
        let refused = tripline_std::Error::TimedOut;
        let fail = Fail::from_chain(while_doing("connecting")(refused.clone()));
        assert_eq!(fail.kind, Kind::Network);
        assert_eq!(fail.text, format!("connecting: {refused}"));
        let full = while_doing("writing")(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(Fail::from_chain(full).kind, Kind::Local);
    }

    #[test]
    fn the_system_s_number_is_left_out() {
        assert_eq!(plain(&io::Error::from_raw_os_error(2)), "No such file or directory");
    }
}
