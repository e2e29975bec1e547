//! How calls end, and why commands are refused.

use crate::wire::Malformed;
use bytes::Bytes;
use core::fmt;

/// How a call ended: each ends once (row N02).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer.
    Reply(Bytes),
    /// The peer's application said no, by a code of its own (row N03) and bytes with it.
    Failed {
        /// The application's code; negative ones are as good.
        code: i32,
        /// What it said besides.
        detail: Bytes,
    },
    /// The peer did not take the call, or could not answer it.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What it said besides; may be empty.
        detail: Bytes,
    },
    /// The time is up.
    Deadline {
        /// Whether it was executed.
        executed: Executed,
    },
    /// We, or the peer's application, called it off.
    Cancelled {
        /// Whether it was executed.
        executed: Executed,
    },
    /// The connection is gone, and with it the answer.
    Gone {
        /// Whether it was executed.
        executed: Executed,
    },
}

impl Outcome {
    /// Whether the peer has executed the call.
    pub fn executed(&self) -> Executed {
        match self {
            Self::Reply(_) | Self::Failed { .. } => Executed::Yes,
            Self::Refused { refusal, .. } => refusal.executed(),
            Self::Deadline { executed }
            | Self::Cancelled { executed }
            | Self::Gone { executed } => *executed,
        }
    }

    /// The answer, or why there is none (row N04).
    ///
    /// # Errors
    /// Every other outcome.
    pub fn into_result(self) -> Result<Bytes, CallFailure> {
        match self {
            Self::Reply(payload) => Ok(payload),
            other => Err(CallFailure(other)),
        }
    }
}

/// Every outcome that is no answer: one type for the library's reasons and the application's (row
/// N04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure(Outcome);

impl CallFailure {
    /// The outcome; never [`Outcome::Reply`].
    pub fn outcome(&self) -> &Outcome {
        &self.0
    }

    /// The application's code, if it was the application that said no.
    pub fn code(&self) -> Option<i32> {
        match self.0 {
            Outcome::Failed { code, .. } => Some(code),
            _ => None,
        }
    }

    /// What the peer said besides.
    pub fn detail(&self) -> &[u8] {
        match &self.0 {
            Outcome::Failed { detail, .. } | Outcome::Refused { detail, .. } => detail,
            _ => &[],
        }
    }

    /// Whether the peer has executed the call.
    pub fn executed(&self) -> Executed {
        self.0.executed()
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executed = match self.executed() {
            Executed::No => "not executed",
            Executed::Yes => "executed",
            Executed::Unknown => "unknown whether executed",
        };
        match &self.0 {
            Outcome::Reply(_) => f.write_str("answered")?,
            Outcome::Failed { code, .. } => write!(f, "the peer failed with code {code}")?,
            Outcome::Refused { refusal, .. } => write!(f, "{refusal}; {executed}")?,
            Outcome::Deadline { .. } => write!(f, "no answer in time; {executed}")?,
            Outcome::Cancelled { .. } => write!(f, "called off; {executed}")?,
            Outcome::Gone { .. } => write!(f, "the connection is gone; {executed}")?,
        }
        match core::str::from_utf8(self.detail()) {
            Ok(text) if !text.is_empty() => write!(f, ": {text}"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for CallFailure {}

/// Whether a call without an answer was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Executed {
    /// Surely not: it may be made again.
    No,
    /// Yes.
    Yes,
    /// It may have been, in part or in whole.
    Unknown,
}

/// Why a peer did not take a call, or could not answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It has as many calls in flight as it takes.
    Busy,
    /// It has no handler for that method (row N05).
    NoMethod,
    /// It is shutting down (row N36).
    GoingAway,
    /// It has looked, and does not want to.
    Denied,
    /// The handler ended without an answer.
    Unanswered,
    /// The answer is gone: it was kept for a while, and had to make room.
    Forgotten,
    /// The call is larger than it takes.
    TooLarge,
    /// A later version's reason.
    Other(u64),
}

const REFUSALS: [(Refusal, u64); 7] = [
    (Refusal::Busy, 1),
    (Refusal::NoMethod, 2),
    (Refusal::GoingAway, 3),
    (Refusal::Denied, 4),
    (Refusal::Unanswered, 7),
    (Refusal::Forgotten, 8),
    (Refusal::TooLarge, 9),
];

/// The numbers of REFUSE that are outcomes of their own (R-CALL-5).
pub(crate) const REFUSED_DEADLINE: u64 = 5;
pub(crate) const REFUSED_CANCELLED: u64 = 6;

impl Refusal {
    /// Whether the call was executed all the same.
    pub fn executed(self) -> Executed {
        match self {
            Self::Busy | Self::NoMethod | Self::GoingAway | Self::Denied | Self::TooLarge => {
                Executed::No
            }
            Self::Unanswered | Self::Forgotten | Self::Other(_) => Executed::Unknown,
        }
    }

    pub(crate) fn number(self) -> u64 {
        let known = REFUSALS.iter().find(|(refusal, _)| *refusal == self);
        match (self, known) {
            (Self::Other(number), _) => number,
            (_, Some((_, number))) => *number,
            (_, None) => 0,
        }
    }

    fn from_number(number: u64) -> Self {
        let known = REFUSALS.iter().find(|(_, known)| *known == number);
        known.map_or(Self::Other(number), |(refusal, _)| *refusal)
    }
}

/// What a REFUSE means to the caller.
pub(crate) fn refused(number: u64, detail: Bytes) -> Outcome {
    let executed = Executed::Unknown;
    match number {
        REFUSED_DEADLINE => Outcome::Deadline { executed },
        REFUSED_CANCELLED => Outcome::Cancelled { executed },
        number => Outcome::Refused { refusal: Refusal::from_number(number), detail },
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the peer has too many calls in flight",
            Self::NoMethod => "the peer has no such method",
            Self::GoingAway => "the peer is going away",
            Self::Denied => "the peer does not want to",
            Self::Unanswered => "the peer's handler ended without an answer",
            Self::Forgotten => "the peer has forgotten its answer",
            Self::TooLarge => "the peer takes no call of that size",
            Self::Other(number) => return write!(f, "refused by the peer (reason {number})"),
        })
    }
}

/// Why a call or a notification was not taken. Nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// There are as many calls as [`Config::asked_max`](crate::Config::asked_max) allows.
    TooMany {
        /// That many.
        limit: usize,
    },
    /// As much waits as [`Config::send_buffer`](crate::Config::send_buffer) allows; after
    /// [`Event::Writable`](crate::Event::Writable) there is room again.
    Blocked,
    /// The payload is larger than the peer takes.
    TooLarge {
        /// The largest that it takes, in bytes.
        max: usize,
    },
    /// A name has 1 to 255 bytes.
    BadName,
    /// There is no pipe, and [`Config::unsent`](crate::Config::unsent) says to report that.
    NotConnected,
    /// The peer takes no more calls: it is shutting down.
    GoingAway,
    /// The connection is [raw](crate::Config::is_raw): it has streams, and no calls.
    Raw,
    /// The peer was ended.
    Ended,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { limit } => {
                write!(f, "there are {limit} calls already; wait for an outcome")
            }
            Self::Blocked => f.write_str("too much waits to be sent; wait for `Writable`"),
            Self::TooLarge { max } => write!(f, "larger than the {max} bytes that the peer takes"),
            Self::BadName => f.write_str("a name has 1 to 255 bytes"),
            Self::NotConnected => f.write_str("there is no connection"),
            Self::GoingAway => f.write_str("the peer is going away and takes no more calls"),
            Self::Raw => f.write_str("a raw connection carries streams, no calls"),
            Self::Ended => f.write_str("it was ended"),
        }
    }
}

impl core::error::Error for AskError {}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// Nobody waits for it: it was answered before (row M11), or called off, or the caller is gone.
    Unknown,
    /// No room: for items until [`Event::Thirsty`](crate::Event::Thirsty), for answers until
    /// [`Event::Writable`](crate::Event::Writable). The request stays open.
    Blocked,
    /// It is larger than the caller takes. The request stays open: say something shorter.
    TooLarge {
        /// The largest that it takes, in bytes.
        max: usize,
    },
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("nobody waits for this answer (any more)"),
            Self::Blocked => f.write_str("the caller takes no more for now"),
            Self::TooLarge { max } => {
                write!(f, "larger than the {max} bytes that the caller takes")
            }
        }
    }
}

impl core::error::Error for AnswerError {}

/// What the peer did that no peer may do. The pipe is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A frame that cannot be read.
    Malformed,
    /// The first frame was no HELLO, or there was a second one.
    Hello,
    /// It speaks another version.
    Version(u64),
    /// One side wants a raw connection, and the other calls.
    Kind {
        /// What the other side wants.
        is_raw: bool,
    },
    /// A call, or a stream with a name, on a raw connection.
    Raw,
    /// A call by a number that is in use, or an answer to a number that is not.
    Number,
    /// A name that was not announced, or was another one before.
    Name,
    /// More items than the window allows.
    Window,
    /// A frame above what was agreed.
    TooLarge,
    /// It asks and does not read the answers.
    Unread,
    /// It was silent for too long.
    Silent,
}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Cut | Malformed::Unknown | Malformed::Range => Self::Malformed,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a frame that cannot be read",
            Self::Hello => "no HELLO, or more than one",
            Self::Kind { is_raw: true } => "the other side wants a raw connection, and we calls",
            Self::Kind { is_raw: false } => "we want a raw connection, and the other side calls",
            Self::Raw => "a call, or a stream with a name, on a raw connection",
            Self::Version(version) => return write!(f, "version {version} is not spoken here"),
            Self::Number => "a call's number that is in use, or an answer's that is not",
            Self::Name => "a name that was not announced",
            Self::Window => "more items than were asked for",
            Self::TooLarge => "a frame above the largest",
            Self::Unread => "the answers are not read",
            Self::Silent => "silent for too long",
        })
    }
}

impl core::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn refusals_have_numbers_of_their_own() {
        for (refusal, number) in REFUSALS {
            assert_eq!((refusal.number(), Refusal::from_number(number)), (number, refusal));
            assert_ne!(number, REFUSED_DEADLINE);
            assert_ne!(number, REFUSED_CANCELLED);
        }
        assert_eq!(Refusal::from_number(99), Refusal::Other(99));
        assert_eq!(Refusal::Other(99).number(), 99);
    }

    /// N04, N33: one type with one text, the library's reasons apart from the application's.
    #[test]
    fn n04_n33_every_failure_is_one_line() {
        let failed = Outcome::Failed { code: -7, detail: Bytes::from("sold out") };
        let failure = failed.into_result().unwrap_err();
        assert_eq!(failure.to_string(), "the peer failed with code -7: sold out");
        assert_eq!((failure.code(), failure.detail()), (Some(-7), &b"sold out"[..]));
        let busy = refused(1, Bytes::new()).into_result().unwrap_err();
        assert_eq!(busy.to_string(), "the peer has too many calls in flight; not executed");
        assert_eq!((busy.code(), busy.executed()), (None, Executed::No));
        let gone = Outcome::Gone { executed: Executed::Unknown }.into_result().unwrap_err();
        assert_eq!(gone.to_string(), "the connection is gone; unknown whether executed");
        assert_eq!(Outcome::Reply(Bytes::from("x")).into_result(), Ok(Bytes::from("x")));
    }
}
